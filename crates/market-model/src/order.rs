//! Order events: what a feed of single orders says about each of them.

use crate::book_view::Side;

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderOp {
    /// The order enters at the end of the queue of its price.
    Add,
    /// The order now has this side, price and quantity. It keeps its place in the queue when only its
    /// quantity fell; otherwise it is replaced: it leaves, and enters at the end.
    Modify,
    /// So many lots were withdrawn; 0 stands for all that are left.
    Cancel,
    /// So many lots were executed; 0 stands for all that are left.
    Fill,
}

/// One event of one order.
///
/// A replacement under another id is a cancel and an add in one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderEvent {
    /// Id of the order, as the feed numbers it; any value.
    pub order_id: u64,
    /// Price in ticks, positive; of no meaning for [`OrderOp::Cancel`] and [`OrderOp::Fill`].
    pub price_ticks: i64,
    /// Quantity in lots; an added or modified order of 0 lots does not exist (afterwards).
    pub qty_lots: i64,
    /// Side of the order; of no meaning for [`OrderOp::Cancel`] and [`OrderOp::Fill`].
    pub side: Side,
    /// What happened.
    pub op: OrderOp,
}

impl OrderEvent {
    /// Whether the event states a whole order, not only an amount that leaves one.
    #[inline]
    #[must_use]
    pub const fn states_order(&self) -> bool {
        matches!(self.op, OrderOp::Add | OrderOp::Modify)
    }
}
