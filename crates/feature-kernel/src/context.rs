//! What a family sees of one packet.

use market_model::{BookView, Instrument, Level, Side, Trade};

/// Factors from ticks and lots to scaled integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Scaled price of one tick.
    pub tick_scaled: i64,
    /// Scaled quantity of one lot.
    pub lot_scaled: i64,
    /// Decimals of prices.
    pub price_scale: u8,
    /// Decimals of quantities.
    pub qty_scale: u8,
}

impl From<&Instrument> for Units {
    fn from(instrument: &Instrument) -> Self {
        Self {
            tick_scaled: instrument.tick_scaled,
            lot_scaled: instrument.lot_scaled,
            price_scale: instrument.price_scale,
            qty_scale: instrument.qty_scale,
        }
    }
}

/// Stamps of the packet as the feed gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketStamp {
    /// Exchange time, UTC ns; 0 when missing.
    pub ts_event_ns: i64,
    /// Arrival time, UTC ns; 0 when unknown.
    pub ts_recv_ns: i64,
}

/// Best quotes in scaled units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotes {
    /// Best bid price.
    pub bid: i64,
    /// Best ask price.
    pub ask: i64,
    /// Quantity at the best bid.
    pub bid_qty: i64,
    /// Quantity at the best ask.
    pub ask_qty: i64,
}

/// Sums of the best levels: entry `k` is the quantity of the first `k`, in lots.
#[derive(Debug, Clone)]
pub(crate) struct TopSums {
    bids: Vec<i64>,
    asks: Vec<i64>,
}

impl TopSums {
    pub(crate) fn new(top_count: usize) -> Self {
        Self { bids: Vec::with_capacity(top_count + 1), asks: Vec::with_capacity(top_count + 1) }
    }

    #[inline]
    pub(crate) fn fill<B: BookView>(&mut self, book: &B) {
        for (sums, side) in [(&mut self.bids, Side::Bid), (&mut self.asks, Side::Ask)] {
            sums.clear();
            sums.push(0);
            // At most 64 quantities, each below 2^53.
            let running = book.top(side).iter().scan(0, |sum, level| {
                *sum += level.qty_lots;
                Some(*sum)
            });
            sums.extend(running);
        }
    }

    /// Quantity of the first `levels` levels of a side, in lots.
    #[inline]
    pub(crate) fn lots(&self, side: Side, levels: usize) -> i64 {
        let sums = if side == Side::Bid { &self.bids } else { &self.asks };
        sums.get(levels).or(sums.last()).copied().unwrap_or(0)
    }
}

/// The settled book and clock after one packet, or at a sampling time.
#[derive(Debug)]
pub struct Context<'a, B> {
    /// The book.
    pub book: &'a B,
    /// Sums of its best levels; meaningless when `frozen`.
    pub(crate) sums: &'a TopSums,
    /// Factors of the instrument.
    pub units: Units,
    /// Best quotes; meaningless when `frozen`.
    pub quotes: Quotes,
    /// Window clock, or the sampling time, UTC ns.
    pub now_ns: i64,
    /// `t_eff` of the last book packet, UTC ns.
    pub last_book_ns: i64,
    /// Stamps of the packet; `None` when sampling.
    pub stamp: Option<PacketStamp>,
    /// Trades of the packet in its order; none when sampling.
    pub trades: &'a [Trade],
    /// The packet had book content.
    pub book_step: bool,
    /// Updates are missing before this packet.
    pub gap_step: bool,
    /// The book is crossed or one-sided: nothing that reads it moves.
    pub frozen: bool,
}

impl<B: BookView> Context<'_, B> {
    /// Best levels of a side in ticks and lots.
    #[inline]
    #[must_use]
    pub fn top(&self, side: Side) -> &[Level] {
        self.book.top(side)
    }

    /// Sum of the first `levels` quantities of a side, scaled.
    #[inline]
    #[must_use]
    pub fn depth_scaled(&self, side: Side, levels: usize) -> i128 {
        let lots = self.sums.lots(side, levels);
        i128::from(lots) * i128::from(self.units.lot_scaled)
    }
}
