//! What a feature may ask of a book.

/// Side of the book, or of the aggressor's opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Buy orders; best is the highest price.
    Bid,
    /// Sell orders; best is the lowest price.
    Ask,
}

/// One price level: price in ticks, quantity in lots (0 = absent).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, bytemuck::Pod, bytemuck::Zeroable,
)]
#[repr(C)]
pub struct Level {
    /// Price as a number of ticks; positive.
    pub price_ticks: i64,
    /// Quantity as a number of lots; 0 means that the level does not exist.
    pub qty_lots: i64,
}

impl Level {
    /// A level of `qty_lots` at `price_ticks`.
    #[must_use]
    pub const fn new(price_ticks: i64, qty_lots: i64) -> Self {
        Self { price_ticks, qty_lots }
    }
}

/// What a book keeps ready after every packet: no more than somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BookNeeds {
    /// Best levels of a side; at least 1 is kept.
    pub top_count: usize,
    /// Sums of neighbouring levels, so that quantities between two prices need not be added up one
    /// by one. They are right without, and slow.
    pub band_sums: bool,
    /// What changed from packet to packet ([`BookView::changes`]); every level is then looked up
    /// before it is set.
    pub changes: bool,
    /// On feeds of orders: the queue of each level ([`BookView::queue`]), and what happened to orders
    /// ([`BookView::order_flow`]).
    pub orders: bool,
}

impl BookNeeds {
    /// The best `top_count` levels of a side and nothing else.
    #[must_use]
    pub const fn top(top_count: usize) -> Self {
        Self { top_count, band_sums: false, changes: false, orders: false }
    }

    /// What either asks for.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        Self {
            top_count: self.top_count.max(other.top_count),
            band_sums: self.band_sums || other.band_sums,
            changes: self.changes || other.changes,
            orders: self.orders || other.orders,
        }
    }
}

/// What happened to the quantity at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    /// Price as a number of ticks.
    pub price_ticks: i64,
    /// Lots before; 0 when the level did not exist.
    pub before_lots: i64,
    /// Lots after; 0 when the level is gone.
    pub after_lots: i64,
}

/// The orders at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// How many there are.
    pub orders: u64,
    /// Sum of the times at which each of them got its place, UTC ns.
    pub placed_sum_ns: i128,
}

/// What happened to the orders of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderFlow {
    /// Orders that entered, replaced ones among them.
    pub add_count: u64,
    /// Their lots.
    pub add_lots: i128,
    /// Withdrawals, in whole or in part; a replaced order is one.
    pub cancel_count: u64,
    /// Lots that were withdrawn.
    pub cancel_lots: i128,
    /// Executions, in whole or in part.
    pub fill_count: u64,
    /// Lots that were executed.
    pub fill_lots: i128,
}

/// The settled book after one packet, as features see it.
///
/// Implemented by the engine's book and by the naive one that checks it, so that the same kernel
/// can run over both.
pub trait BookView {
    /// The best levels of a side, best first; at most as many as the book was built to keep ready.
    fn top(&self, side: Side) -> &[Level];

    /// A number that changes whenever [`BookView::top`] of a side may have; `None` when the book does
    /// not keep one. With it, what follows from the best levels alone is computed once.
    fn top_version(&self) -> Option<u64> {
        None
    }

    /// Sum of lots with `low_ticks <= price <= high_ticks` on a side; 0 when the range is empty.
    fn qty_between_lots(&self, side: Side, low_ticks: i64, high_ticks: i64) -> i128;

    /// Visits every level with `low_ticks <= price <= high_ticks` of a side, best first.
    fn for_each_level(&self, side: Side, low_ticks: i64, high_ticks: i64, visit: impl FnMut(Level));

    /// What changed on a side since the last book with two sides that do not cross, in the order of
    /// events: a price may occur more than once. Empty for a book that was not built to record it.
    fn changes(&self, side: Side) -> &[LevelChange];

    /// The orders at a price of a side, none when the level does not exist; `None` for a book of levels,
    /// and for one that was not built to keep them.
    fn queue(&self, side: Side, price_ticks: i64) -> Option<Queue> {
        let _ = (side, price_ticks);
        None
    }

    /// What happened to the orders of a side since the last book with two sides that do not cross; a
    /// snapshot is no flow. `None` as for [`BookView::queue`].
    fn order_flow(&self, side: Side) -> Option<OrderFlow> {
        let _ = side;
        None
    }

    /// The best level of a side.
    #[inline]
    fn best(&self, side: Side) -> Option<Level> {
        self.top(side).first().copied()
    }
}
