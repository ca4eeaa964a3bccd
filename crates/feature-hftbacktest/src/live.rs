//! Features of a live bot, from the events of its channel.
//!
//! A live bot has no local processor to wrap, but it is generic over its channel: a channel of one's own
//! that delegates and shows every event to [`Features::see`] gives the features all of them. A connector
//! stamps each row of a message with a clock of its own, so that a change of `local_ts` says nothing
//! there: a packet is what lies between `BatchStart` and `BatchEnd`, or a row outside of them.

use hftbacktest::types::{ErrorKind, Event, LiveEvent};
use market_model::{FeedKind, Instrument, Sequencing};

use crate::error::Error;
use crate::features::{Features, symbol_id};
use crate::tap::{Asset, Shared};

impl Features {
    /// Adds an instrument of a live bot, in the order in which the bot has them; its number.
    ///
    /// The book starts empty and grows from the burst of rows that a connector makes of a snapshot, which
    /// nothing tells from changes: its frames carry `UNVERIFIED_BOOK`.
    ///
    /// # Errors
    ///
    /// [`Error::StatsOnly`], [`Error::Engine`] when the symbol was added before, [`Error::Instrument`] when
    /// a size is no decimal.
    pub fn add_live(&self, symbol: &str, tick_size: f64, lot_size: f64) -> Result<usize, Error> {
        let shared = self.shared.as_ref().ok_or(Error::StatsOnly)?;
        let Shared { engine, assets, .. } = &mut *shared.borrow_mut();
        let number = assets.len();
        // The shortest text of a size is the decimal that was meant.
        let (tick, lot) = (tick_size.to_string(), lot_size.to_string());
        let mut instrument = Instrument::new(symbol_id(number), symbol, &tick, &lot)?;
        instrument.feed = FeedKind::Delta;
        instrument.sequencing = Sequencing::Arrival;
        let asset = Asset::new(&instrument, None)?;
        engine.add_symbol(instrument)?;
        assets.push(asset);
        Ok(number)
    }

    /// Takes an event of the channel, with the number of its instrument; call it before the bot does.
    ///
    /// Orders and positions are no market events. After an interrupted connection every book is unknown:
    /// all instruments start a new session.
    ///
    /// # Errors
    ///
    /// [`Error::StatsOnly`], [`Error::Engine`] for an unknown instrument, [`Error::Row`] for times that are
    /// not in ns.
    pub fn see(&self, asset: usize, event: &LiveEvent) -> Result<(), Error> {
        let shared = self.shared.as_ref().ok_or(Error::StatsOnly)?;
        let shared = &mut *shared.borrow_mut();
        match event {
            LiveEvent::BatchStart => {
                shared.in_batch = false;
                shared.commit()?;
                shared.in_batch = true;
            }
            LiveEvent::BatchEnd => {
                shared.in_batch = false;
                shared.commit()?;
            }
            LiveEvent::Feed { event, .. } => shared.push_live(asset, event)?,
            LiveEvent::Error(error) => {
                let lost = [ErrorKind::ConnectionInterrupted, ErrorKind::CriticalConnectionError];
                if lost.contains(&error.kind) {
                    shared.lose_books()?;
                }
            }
            LiveEvent::Order { .. } | LiveEvent::Position { .. } => {}
        }
        Ok(())
    }
}

impl Shared {
    /// A row belongs to the packet that is open, whatever its own clock says.
    fn push_live(&mut self, asset: usize, event: &Event) -> Result<(), Error> {
        let Self { engine, assets, in_batch } = self;
        engine.symbol(symbol_id(asset))?;
        let asset = &mut assets[asset];
        asset.push_live(event);
        if *in_batch { Ok(()) } else { asset.commit(engine) }
    }

    fn lose_books(&mut self) -> Result<(), Error> {
        self.in_batch = false;
        for (number, asset) in self.assets.iter_mut().enumerate() {
            asset.forget();
            self.engine.reset(symbol_id(number))?;
        }
        Ok(())
    }
}
