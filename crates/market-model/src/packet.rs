//! A packet: the events of one exchange message of one symbol, as columns.
//!
//! The packet is the unit of everything: features are computed once, at its end. Level changes are
//! kept in runs of one operation, so that the loop that applies them does not branch on the side.
//! A feed of orders has order events in place of levels.

use core::ops::RangeInclusive;

use crate::book_view::{Level, Side};
use crate::decimal::MAX_SCALED;
use crate::order::OrderEvent;

/// Late packets in a row after which a missed reset is the likely cause (rule D2).
pub const LATE_RUN_PACKETS: u64 = 64;

/// Source time that a run of late packets may span before the same conclusion (rule D2).
pub const LATE_RUN_SPAN_NS: i64 = 5_000_000_000;

/// What a packet means as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum PacketKind {
    /// Changes to the book, trades, or both.
    #[default]
    Delta,
    /// The book is replaced: cleared first, then the runs are applied.
    Snapshot,
    /// An explicit session reset: the book is cleared (rule D5).
    Reset,
    /// Nothing happened; only time passed (rule D7).
    Heartbeat,
    /// An event of this symbol was refused by the decoder (rule D11); carries no content.
    Rejected,
    /// Trades of this symbol were refused by the decoder (rule D11), which the book does not depend on;
    /// carries no content.
    RejectedTrade,
}

/// Operation of one run of level changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BookOp {
    /// Set or delete (quantity 0) bid levels.
    SetBid,
    /// Set or delete (quantity 0) ask levels.
    SetAsk,
    /// Remove bid levels from the best down to the price of the run's one level, or all if it has none.
    ClearBid,
    /// Remove ask levels from the best up to the price of the run's one level, or all if it has none.
    ClearAsk,
}

impl BookOp {
    /// Side and ticks that a clear with these levels removes; `None` for an operation that sets.
    #[must_use]
    pub fn cleared_ticks(self, levels: &[Level]) -> Option<(Side, RangeInclusive<i64>)> {
        let bound = levels.first().map(|level| level.price_ticks);
        match self {
            Self::ClearBid => Some((Side::Bid, bound.unwrap_or(1)..=MAX_SCALED)),
            Self::ClearAsk => Some((Side::Ask, 1..=bound.unwrap_or(MAX_SCALED))),
            Self::SetBid | Self::SetAsk => None,
        }
    }
}

/// A run: the levels from the end of the previous run up to `end` share one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// What to do with the levels.
    pub op: BookOp,
    /// Index into [`Packet::levels`] one past the last level of the run.
    pub end: u32,
}

/// Who crossed the spread in a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Aggressor {
    /// The venue does not say.
    #[default]
    Unknown,
    /// A buy order took liquidity.
    Buy,
    /// A sell order took liquidity.
    Sell,
}

/// One trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trade {
    /// Price in ticks; positive.
    pub price_ticks: i64,
    /// Quantity in lots; positive.
    pub qty_lots: i64,
    /// Side that took liquidity.
    pub aggressor: Aggressor,
}

/// The events of one exchange message of one symbol.
///
/// A packet is a reusable buffer: sources clear it and fill it again, so that nothing is allocated
/// once the largest message has been seen.
///
/// ```
/// use market_model::{BookOp, Level, Packet};
/// let mut packet = Packet::default();
/// packet.push_level(BookOp::SetBid, Level::new(618_001, 696));
/// packet.push_level(BookOp::SetBid, Level::new(618_002, 2_909));
/// packet.push_level(BookOp::SetAsk, Level::new(618_003, 12));
/// let runs: Vec<_> = packet.runs().map(|(op, levels)| (op, levels.len())).collect();
/// assert_eq!(runs, [(BookOp::SetBid, 2), (BookOp::SetAsk, 1)]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packet {
    /// Dense symbol id.
    pub symbol_id: u32,
    /// What the packet means as a whole.
    pub kind: PacketKind,
    /// Exchange time, UTC ns; 0 when the source has none.
    pub ts_event_ns: i64,
    /// Local arrival time, UTC ns; 0 when unknown.
    pub ts_recv_ns: i64,
    /// Last update id of the packet; 0 when the feed has none.
    pub seq: u64,
    /// First update id of the packet; 0 when the feed does not say.
    pub first_seq: u64,
    /// Last update id of the packet before this one, as the feed says; 0 when it does not.
    pub prev_seq: u64,
    /// The venue's checksum did not match after this packet (set by sources that verify one).
    pub checksum_mismatch: bool,
    /// Level changes, in the order of the message.
    pub levels: Vec<Level>,
    /// Runs over [`Packet::levels`], in order; the last `end` equals the number of levels.
    pub run_ends: Vec<Run>,
    /// Order events, in the order of the message; empty on feeds of levels. They apply after the runs,
    /// which may then only clear.
    pub orders: Vec<OrderEvent>,
    /// Trades, in the order of the message.
    pub trades: Vec<Trade>,
}

impl Packet {
    /// Empties the packet and keeps its buffers.
    pub fn clear(&mut self) {
        let (mut levels, mut run_ends) =
            (core::mem::take(&mut self.levels), core::mem::take(&mut self.run_ends));
        let (mut orders, mut trades) =
            (core::mem::take(&mut self.orders), core::mem::take(&mut self.trades));
        levels.clear();
        run_ends.clear();
        orders.clear();
        trades.clear();
        *self = Self { levels, run_ends, orders, trades, ..Self::default() };
    }

    /// Becomes a copy of another packet and keeps its buffers, which `clone_from` would not.
    pub fn copy_from(&mut self, other: &Self) {
        let Self { mut levels, mut run_ends, mut orders, mut trades, .. } = core::mem::take(self);
        levels.clone_from(&other.levels);
        run_ends.clone_from(&other.run_ends);
        orders.clone_from(&other.orders);
        trades.clone_from(&other.trades);
        *self = Self { levels, run_ends, orders, trades, ..*other };
    }

    /// Appends one level change, extending the last run when the operation is the same.
    ///
    /// # Panics
    ///
    /// Panics after 2^32 levels in one packet.
    #[inline]
    pub fn push_level(&mut self, op: BookOp, level: Level) {
        self.levels.push(level);
        let end = u32::try_from(self.levels.len()).expect("a packet has fewer than 2^32 levels");
        let is_set = matches!(op, BookOp::SetBid | BookOp::SetAsk);
        match self.run_ends.last_mut() {
            Some(run) if run.op == op && is_set => run.end = end,
            _ => self.run_ends.push(Run { op, end }),
        }
    }

    /// Appends level changes of one operation, which must be a set; how many there were.
    ///
    /// # Panics
    ///
    /// Panics after 2^32 levels in one packet.
    #[inline]
    pub fn extend_levels(&mut self, op: BookOp, levels: impl Iterator<Item = Level>) -> usize {
        debug_assert!(matches!(op, BookOp::SetBid | BookOp::SetAsk));
        let before = self.levels.len();
        self.levels.extend(levels);
        let end = u32::try_from(self.levels.len()).expect("a packet has fewer than 2^32 levels");
        match self.run_ends.last_mut() {
            Some(run) if run.op == op => run.end = end,
            _ if self.levels.len() > before => self.run_ends.push(Run { op, end }),
            _ => {}
        }
        self.levels.len() - before
    }

    /// Appends a run without levels: a clear of one whole side.
    ///
    /// # Panics
    ///
    /// Panics after 2^32 levels in one packet.
    pub fn push_clear_side(&mut self, op: BookOp) {
        debug_assert!(matches!(op, BookOp::ClearBid | BookOp::ClearAsk));
        let end = u32::try_from(self.levels.len()).expect("a packet has fewer than 2^32 levels");
        self.run_ends.push(Run { op, end });
    }

    /// The runs in order, each with its levels.
    #[inline]
    pub fn runs(&self) -> impl Iterator<Item = (BookOp, &[Level])> {
        let mut start = 0;
        self.run_ends.iter().map(move |run| {
            let levels = &self.levels[start..run.end as usize];
            start = run.end as usize;
            (run.op, levels)
        })
    }

    /// Whether the packet says anything about the book.
    #[inline]
    #[must_use]
    pub fn touches_book(&self) -> bool {
        !self.run_ends.is_empty() || !self.orders.is_empty() || self.kind == PacketKind::Snapshot
    }

    /// Number of market events in the packet: level changes, order events and trades.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        (self.levels.len() + self.orders.len() + self.trades.len()) as u64
    }
}
