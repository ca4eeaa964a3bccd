//! Many symbols, one feature set: the pull and push interface of a strategy.

use std::collections::BTreeMap;
use std::sync::Arc;

use feature_kernel::{FeatureSet, FrameRef};
use market_model::{Instrument, Packet, PacketKind, QualityFlags, Sequencing};

use crate::error::{Error, nearest};
use crate::symbol::SymbolEngine;
use crate::view::{FeatureValue, FeatureView};

/// Symbols that one engine may have (rule D22).
pub const MAX_SYMBOLS: usize = 4_096;

/// Receives frames as they are made. It gets a borrowed frame and no way back to the engine.
pub trait FrameSink: Send {
    /// Takes one frame in which a subscribed value changed, or which carries a quality bit.
    fn on_features(&mut self, frame: &FrameRef<'_>);
}

impl<F: FnMut(&FrameRef<'_>) + Send> FrameSink for F {
    fn on_features(&mut self, frame: &FrameRef<'_>) {
        self(frame);
    }
}

/// Handle of a push subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription(u64);

struct Subscriber {
    handle: Subscription,
    mask: Vec<u64>,
    greeted: Vec<bool>,
    sink: Box<dyn FrameSink>,
}

/// Features of many symbols from one feature set.
///
/// ```
/// use feature_runtime::{FeatureEngine, FeatureValue, built_in_set};
/// use market_model::{BookOp, Instrument, Level, Packet, PacketKind};
///
/// let mut engine = FeatureEngine::new(built_in_set("lob_shared_v1")?);
/// let btc = engine.add_symbol(Instrument::new(0, "BTCUSDT", "0.1", "0.001")?)?;
/// let mut packet = Packet { symbol_id: btc, kind: PacketKind::Snapshot, ..Packet::default() };
/// packet.push_level(BookOp::SetBid, Level::new(618_001, 696));
/// packet.push_level(BookOp::SetAsk, Level::new(618_003, 12));
/// engine.process(&packet)?;
/// assert_eq!(engine.get_feature(btc, "spread_scaled")?, Some(FeatureValue::I64(2)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FeatureEngine {
    set: Arc<FeatureSet>,
    /// By id; empty where the symbol was evicted, since an id is never given twice.
    symbols: Vec<Option<Box<SymbolEngine>>>,
    names: BTreeMap<String, u32>,
    subscribers: Vec<Subscriber>,
    next_handle: u64,
}

impl FeatureEngine {
    /// An engine without symbols.
    #[must_use]
    pub fn new(set: FeatureSet) -> Self {
        let (symbols, names, subscribers) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { set: Arc::new(set), symbols, names, subscribers, next_handle: 0 }
    }

    /// Adds a symbol; its id is the number of symbols added so far, whatever the instrument says.
    ///
    /// # Errors
    ///
    /// [`Error::SymbolRefused`] when the name is taken or the limit of [`MAX_SYMBOLS`] is reached.
    pub fn add_symbol(&mut self, mut instrument: Instrument) -> Result<u32, Error> {
        let symbol = instrument.symbol.clone();
        if self.names.len() >= MAX_SYMBOLS {
            let reason = format!("the engine has {MAX_SYMBOLS} symbols already");
            return Err(Error::SymbolRefused { symbol, reason });
        }
        let id = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        if self.names.contains_key(&symbol) {
            return Err(Error::SymbolRefused { symbol, reason: "it was added before".into() });
        }
        self.names.insert(symbol, id);
        instrument.symbol_id = id;
        self.symbols.push(Some(Box::new(SymbolEngine::new(Arc::clone(&self.set), instrument))));
        Ok(id)
    }

    /// Removes the symbols whose last packet is `ttl_ns` or more of event time behind the newest packet
    /// of any symbol, and returns their ids, by last applied sequence number, then id (rule D22).
    ///
    /// The clock is that of the packets, so a replay evicts what the live run evicted. Nothing is
    /// evicted unless asked for; a symbol that had no packet yet stays. Ids are not given again: an
    /// evicted one is unknown, and a symbol that is added again starts anew under another id.
    pub fn evict_idle(&mut self, ttl_ns: i64) -> Vec<u32> {
        let newest_ns = self.symbols().map(SymbolEngine::t_eff_ns).max().unwrap_or(0);
        let idle = |symbol: &&SymbolEngine| {
            symbol.t_eff_ns() != 0 && newest_ns.saturating_sub(symbol.t_eff_ns()) >= ttl_ns
        };
        let mut evicted: Vec<(u64, u32)> = self
            .symbols()
            .filter(idle)
            .map(|symbol| (symbol.lob.applied_seq(), symbol.instrument.symbol_id))
            .collect();
        evicted.sort_unstable();
        for &(_, id) in &evicted {
            if let Some(symbol) = self.symbols[id as usize].take() {
                self.names.remove(&symbol.instrument.symbol);
            }
        }
        evicted.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes one packet and pushes the frame, if one is due, to the subscribers that want it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`] when the packet's symbol was never added. Defects of the data are
    /// quality bits, not errors.
    pub fn process(&mut self, packet: &Packet) -> Result<Option<FrameRef<'_>>, Error> {
        let id = packet.symbol_id as usize;
        if self.symbols.get(id).is_none_or(Option::is_none) {
            return Err(self.unknown_symbol(packet.symbol_id.to_string()));
        }
        let Some(symbol) = &mut self.symbols[id] else { return Ok(None) };
        let Some(frame) = symbol.process(packet) else { return Ok(None) };
        for subscriber in &mut self.subscribers {
            if subscriber.greeted.len() <= id {
                subscriber.greeted.resize(id + 1, false);
            }
            // The first frame is full: the subscriber has nothing to compare it with.
            let first = !std::mem::replace(&mut subscriber.greeted[id], true);
            let changed =
                frame.changed_mask().iter().zip(&subscriber.mask).any(|(a, b)| a & b != 0);
            if first || changed || frame.header().quality != QualityFlags::empty() {
                subscriber.sink.on_features(&frame);
            }
        }
        Ok(Some(frame))
    }

    /// Value of a feature by name; `None` before the first frame and where it is not defined.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`], [`Error::UnknownFeature`].
    pub fn get_feature(&self, symbol_id: u32, name: &str) -> Result<Option<FeatureValue>, Error> {
        let index = self.feature_index(name)?;
        self.get_feature_by_id(symbol_id, index)
    }

    /// Value of a feature by index; `None` before the first frame and where it is not defined.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`], [`Error::UnknownFeature`].
    #[inline]
    pub fn get_feature_by_id(
        &self,
        symbol_id: u32,
        feature_id: usize,
    ) -> Result<Option<FeatureValue>, Error> {
        let symbol = self.symbol(symbol_id)?;
        let Some(feature) = self.set.features().get(feature_id) else {
            return Err(self.unknown_feature(&feature_id.to_string()));
        };
        let word = symbol.frame().and_then(|frame| frame.value(feature_id));
        Ok(word.map(|word| FeatureValue::from_word(word, feature.column.dtype)))
    }

    /// A consistent view of the last frame; `None` before the first one of the epoch.
    ///
    /// `now_ns` is the caller's clock, against which the view tells its age; the engine has none.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    pub fn get_feature_view(
        &self,
        symbol_id: u32,
        now_ns: Option<i64>,
    ) -> Result<Option<FeatureView<'_>>, Error> {
        let frame = self.symbol(symbol_id)?.frame();
        Ok(frame.map(|frame| FeatureView { frame, set: &self.set, now_ns }))
    }

    /// Id of the feature set.
    #[must_use]
    pub fn get_feature_set_id(&self) -> &str {
        self.set.id()
    }

    /// The feature set.
    #[must_use]
    pub fn feature_set(&self) -> &Arc<FeatureSet> {
        &self.set
    }

    /// Index of a feature by name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFeature`], with the closest name.
    pub fn feature_index(&self, name: &str) -> Result<usize, Error> {
        self.set.index_of(name).ok_or_else(|| self.unknown_feature(name))
    }

    /// Id of a symbol by name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    pub fn symbol_id(&self, name: &str) -> Result<u32, Error> {
        self.names.get(name).copied().ok_or_else(|| self.unknown_symbol(name.into()))
    }

    /// One symbol's engine.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    pub fn symbol(&self, symbol_id: u32) -> Result<&SymbolEngine, Error> {
        let found = self.symbols.get(symbol_id as usize).and_then(Option::as_deref);
        found.ok_or_else(|| self.unknown_symbol(symbol_id.to_string()))
    }

    /// Symbols in the order in which they were added.
    pub fn symbols(&self) -> impl Iterator<Item = &SymbolEngine> {
        self.symbols.iter().filter_map(Option::as_deref)
    }

    /// Subscribes to frames in which one of `features` changed, or which carry a quality bit.
    /// `expected_schema_hash` is the set that the consumer was built for.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] when the engine runs another set, [`Error::UnknownFeature`].
    pub fn on_features(
        &mut self,
        expected_schema_hash: u64,
        features: &[&str],
        sink: Box<dyn FrameSink>,
    ) -> Result<Subscription, Error> {
        let found = self.set.schema_hash();
        if expected_schema_hash != found {
            let expected = expected_schema_hash;
            return Err(feature_kernel::Error::SchemaMismatch { expected, found }.into());
        }
        let mut mask = vec![0_u64; self.set.len().div_ceil(64)];
        for name in features {
            let index = self.feature_index(name)?;
            mask[index / 64] |= 1 << (index % 64);
        }
        let handle = Subscription(self.next_handle);
        self.next_handle += 1;
        self.subscribers.push(Subscriber { handle, mask, greeted: Vec::new(), sink });
        Ok(handle)
    }

    /// Ends a subscription; `false` when it had ended before.
    pub fn unsubscribe(&mut self, handle: Subscription) -> bool {
        let before = self.subscribers.len();
        self.subscribers.retain(|subscriber| subscriber.handle != handle);
        self.subscribers.len() != before
    }

    /// Sets how the packets of a symbol follow each other, where only the input itself tells.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    ///
    /// # Panics
    ///
    /// Panics after the first book packet of the symbol.
    pub fn set_sequencing(&mut self, symbol_id: u32, sequencing: Sequencing) -> Result<(), Error> {
        let found = self.symbols.get_mut(symbol_id as usize).and_then(Option::as_deref_mut);
        match found {
            Some(symbol) => symbol.set_sequencing(sequencing),
            None => return Err(self.unknown_symbol(symbol_id.to_string())),
        }
        Ok(())
    }

    /// Resets one symbol, as an explicit session reset does (rule D5).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    pub fn reset(&mut self, symbol_id: u32) -> Result<(), Error> {
        let packet = Packet { symbol_id, kind: PacketKind::Reset, ..Packet::default() };
        self.process(&packet).map(|_| ())
    }

    pub(crate) fn symbols_mut(&mut self) -> impl Iterator<Item = &mut SymbolEngine> {
        self.symbols.iter_mut().filter_map(Option::as_deref_mut)
    }

    fn unknown_symbol(&self, symbol: String) -> Error {
        let known: Vec<_> = self.names.keys().take(20).cloned().collect();
        Error::UnknownSymbol { symbol, known: known.join(", ") }
    }

    fn unknown_feature(&self, name: &str) -> Error {
        let nearest = nearest(name, self.set.features().iter().map(|f| f.name.as_str()));
        Error::UnknownFeature { set: self.set.id().into(), feature: name.into(), nearest }
    }
}

impl core::fmt::Debug for FeatureEngine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FeatureEngine")
            .field("set", &self.set.id())
            .field("symbols", &self.names.keys())
            .field("subscribers", &self.subscribers.len())
            .finish()
    }
}
