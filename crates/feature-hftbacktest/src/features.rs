//! The features of one backtest.

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use feature_runtime::{
    FeatureEngine, FeatureSet, FeatureValue, FeatureView, FrameSink, Subscription,
};
use hftbacktest::backtest::Asset;
use hftbacktest::backtest::data::Data;
use hftbacktest::backtest::proc::{LocalProcessor, Processor};
use hftbacktest::depth::{INVALID_MAX, INVALID_MIN, MarketDepth};
use hftbacktest::types::Event;
use lob_engine::Book;
use market_io::hftbacktest::Row;
use market_model::{FeedKind, Instrument, Sequencing};

use crate::error::Error;
use crate::tap::{Asset as TappedAsset, Shared, TapLocal, row};

/// Whether a backtest has features.
#[derive(Debug, Clone)]
pub enum Mode {
    /// `stats_only`: assets stay as the stock builder made them, so that nothing costs anything.
    StatsOnly,
    /// `lob_feature`: every asset has the columns of this set.
    LobFeature(FeatureSet),
}

/// An asset as the stock builders make it.
type StockAsset<MD> = Asset<dyn LocalProcessor<MD>, dyn Processor, Event>;

/// The features of the assets of one backtest, before and while it runs.
///
/// The number of an asset is its place in the backtest; attach them in the order in which they are added.
#[derive(Clone)]
pub struct Features {
    pub(crate) shared: Option<Rc<RefCell<Shared>>>,
}

impl Features {
    /// Features of a backtest that has no assets yet.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        let shared = match mode {
            Mode::StatsOnly => None,
            Mode::LobFeature(set) => {
                let (engine, assets) = (FeatureEngine::new(set), Vec::new());
                let shared = Shared { engine, assets, in_batch: false };
                Some(Rc::new(RefCell::new(shared)))
            }
        };
        Self { shared }
    }

    /// Attaches an asset that starts without a book; tick and lot size are those of its depth.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] when the symbol was attached before, [`Error::Instrument`] when a size is no decimal,
    /// [`Error::OneSidedInitialBook`] when the depth was given a snapshot: then
    /// [`Features::attach_with_book`] is needed, since hftbacktest emits no event for it.
    pub fn attach<MD: MarketDepth + 'static>(
        &self,
        symbol: &str,
        asset: StockAsset<MD>,
    ) -> Result<StockAsset<MD>, Error> {
        self.wrap(symbol, asset, None)
    }

    /// Attaches an asset whose depth was given an initial snapshot: the same rows.
    ///
    /// # Errors
    ///
    /// As [`Features::attach`]; [`Error::OneSidedInitialBook`] when the depth has no book,
    /// [`Error::InitialBook`] when a row is not a level of a snapshot.
    pub fn attach_with_book<MD: MarketDepth + 'static>(
        &self,
        symbol: &str,
        asset: StockAsset<MD>,
        snapshot: &Data<Event>,
    ) -> Result<StockAsset<MD>, Error> {
        let rows: Vec<Row> = (0..snapshot.len()).map(|index| row(&snapshot[index])).collect();
        self.wrap(symbol, asset, Some(&rows))
    }

    fn wrap<MD: MarketDepth + 'static>(
        &self,
        symbol: &str,
        asset: StockAsset<MD>,
        initial: Option<&[Row]>,
    ) -> Result<StockAsset<MD>, Error> {
        let Some(shared) = &self.shared else { return Ok(asset) };
        let depth = asset.local.depth();
        let has_book = depth.best_bid_tick() != INVALID_MIN || depth.best_ask_tick() != INVALID_MAX;
        if has_book != initial.is_some() {
            let word = |with| if with { "with" } else { "without" };
            let (depth, features) = (word(has_book), word(initial.is_some()));
            return Err(Error::OneSidedInitialBook { symbol: symbol.into(), depth, features });
        }
        // The shortest text of a size is the decimal that was meant.
        let (tick, lot) = (depth.tick_size().to_string(), depth.lot_size().to_string());
        let number = shared.borrow().assets.len();
        let mut instrument = Instrument::new(symbol_id(number), symbol, &tick, &lot)?;
        instrument.feed = FeedKind::Delta;
        instrument.sequencing = Sequencing::Arrival;
        let tapped = TappedAsset::new(&instrument, initial)?;
        let Shared { engine, assets, .. } = &mut *shared.borrow_mut();
        engine.add_symbol(instrument)?;
        assets.push(tapped);
        let tap = TapLocal { inner: asset.local, shared: Rc::clone(shared), asset: number };
        Ok(Asset { local: Box::new(tap), exch: asset.exch, reader: asset.reader })
    }

    /// Number of attached assets; `None` in mode `stats_only`.
    #[must_use]
    pub fn num_assets(&self) -> Option<usize> {
        self.shared.as_ref().map(|shared| shared.borrow().assets.len())
    }

    /// Completes the packets of the current time. A wake of the strategy is at the end of a packet, so
    /// [`crate::FeatureBot`] calls this whenever it gets control; without it, the questions below do.
    ///
    /// # Errors
    ///
    /// [`Error::Row`] when the times of the rows decrease or are not in ns.
    #[inline]
    pub fn commit(&self) -> Result<(), Error> {
        self.shared.as_ref().map_or(Ok(()), |shared| shared.borrow_mut().commit())
    }

    fn ready(&self) -> Result<Ref<'_, FeatureEngine>, Error> {
        let shared = self.shared.as_ref().ok_or(Error::StatsOnly)?;
        shared.borrow_mut().commit()?;
        Ok(Ref::map(shared.borrow(), |shared| &shared.engine))
    }

    /// Value of a feature by name; `None` before the first frame and where it is not defined.
    ///
    /// # Errors
    ///
    /// [`Error::StatsOnly`], [`Error::Engine`] for an unknown asset or feature, [`Error::Row`].
    pub fn get_feature(&self, asset: usize, name: &str) -> Result<Option<FeatureValue>, Error> {
        Ok(self.ready()?.get_feature(symbol_id(asset), name)?)
    }

    /// Value of a feature by its index in the set, for hot loops; else as [`Features::get_feature`].
    ///
    /// # Errors
    ///
    /// As [`Features::get_feature`].
    #[inline]
    pub fn get_feature_by_id(
        &self,
        asset: usize,
        feature_id: usize,
    ) -> Result<Option<FeatureValue>, Error> {
        Ok(self.ready()?.get_feature_by_id(symbol_id(asset), feature_id)?)
    }

    /// Index of a feature in the set.
    ///
    /// # Errors
    ///
    /// [`Error::StatsOnly`], [`Error::Engine`] for an unknown feature.
    pub fn feature_index(&self, name: &str) -> Result<usize, Error> {
        Ok(self.ready()?.feature_index(name)?)
    }

    /// The last frame of an asset; `None` before the first one of the epoch.
    ///
    /// # Errors
    ///
    /// As [`Features::get_feature`].
    pub fn feature_view(&self, asset: usize) -> Result<Option<AssetView<'_>>, Error> {
        let engine = self.ready()?;
        let symbol_id = symbol_id(asset);
        let exists = engine.get_feature_view(symbol_id, None)?.is_some();
        Ok(exists.then_some(AssetView { engine, symbol_id }))
    }

    /// Calls `sink` for every frame in which one of the named features changed, or which carries a quality
    /// bit; an empty list means all of them.
    ///
    /// # Errors
    ///
    /// [`Error::StatsOnly`], [`Error::Engine`] for an unknown feature.
    pub fn on_features(
        &self,
        features: &[&str],
        sink: impl FrameSink + 'static,
    ) -> Result<Subscription, Error> {
        let shared = self.shared.as_ref().ok_or(Error::StatsOnly)?;
        let engine = &mut shared.borrow_mut().engine;
        let set = std::sync::Arc::clone(engine.feature_set());
        let all: Vec<&str> = set.features().iter().map(|feature| feature.name.as_str()).collect();
        let features = if features.is_empty() { &all } else { features };
        Ok(engine.on_features(set.schema_hash(), features, Box::new(sink))?)
    }
}

/// An asset number as the engine counts.
pub(crate) fn symbol_id(asset: usize) -> u32 {
    u32::try_from(asset).unwrap_or(u32::MAX)
}

/// One frame of one asset. While it lives, the backtest cannot move on.
pub struct AssetView<'a> {
    engine: Ref<'a, FeatureEngine>,
    symbol_id: u32,
}

impl AssetView<'_> {
    /// The frame.
    ///
    /// # Panics
    ///
    /// Never: the view exists only where a frame does.
    #[must_use]
    pub fn get(&self) -> FeatureView<'_> {
        let view = self.engine.get_feature_view(self.symbol_id, None);
        view.ok().flatten().expect("Invariant: the view was there when this value was made")
    }

    /// The book that the features were computed from: integers, and free of what the depths of hftbacktest
    /// keep after a crossing or a clear.
    ///
    /// # Panics
    ///
    /// Never: the symbol exists as long as the view does.
    #[must_use]
    pub fn book(&self) -> &Book {
        let symbol = self.engine.symbol(self.symbol_id);
        symbol.expect("Invariant: the view is of a symbol of the engine").book()
    }
}
