//! A synthetic exchange: messages like those of a Binance USD-M recording, from a seed.
//!
//! The market is simulated order by order (see `flow`), and told as an exchange would: level changes
//! gathered into diffs with ids `U`, `u` and `pu`, trades, best quotes, and REST snapshots that
//! arrive after diffs that are newer. Faults are put in on demand. The same configuration gives the
//! same messages on every machine: there is no floating point and no mathematics library in it.

mod book;
mod config;
mod flow;
mod rng;
mod source;
mod stream;

pub use config::SyntheticConfig;
pub use rng::Rng;
pub use source::SyntheticSource;
pub use stream::{SyntheticCounts, SyntheticStream};

use market_model::{Level, Trade};

/// What a [`SyntheticMessage`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SyntheticKind {
    /// Changed levels since the previous diff.
    #[default]
    Diff,
    /// One trade.
    Trade,
    /// The best levels of both sides.
    Snapshot,
    /// The best bid and ask.
    BookTicker,
}

/// One message of the synthetic exchange; a reusable buffer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyntheticMessage {
    /// What it says.
    pub kind: SyntheticKind,
    /// Time of the event (`T`), UTC ns; whole milliseconds.
    pub ts_event_ns: i64,
    /// Time of sending (`E`), UTC ns; whole milliseconds.
    pub ts_sent_ns: i64,
    /// Local time of arrival, UTC ns; strictly increasing.
    pub ts_recv_ns: i64,
    /// First update id (`U`) of a diff; the trade id of a trade; else 0.
    pub first_seq: u64,
    /// Last update id (`u`, `lastUpdateId`); 0 for trades.
    pub seq: u64,
    /// Last update id of the previous diff (`pu`); 0 for other kinds.
    pub prev_seq: u64,
    /// The trade, for trades.
    pub trade: Trade,
    /// Bid levels: by price in diffs, best first in snapshots, one in a best quote.
    pub bids: Vec<Level>,
    /// Ask levels, likewise.
    pub asks: Vec<Level>,
}

impl SyntheticMessage {
    /// Empties the message and keeps its buffers.
    pub fn clear(&mut self) {
        let (mut bids, mut asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
        bids.clear();
        asks.clear();
        *self = Self { bids, asks, ..Self::default() };
    }
}
