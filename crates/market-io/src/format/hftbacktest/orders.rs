//! The resting orders of an order-by-order array, and the levels that they add up to.

use std::collections::BTreeMap;

use market_model::{BookOp, Level};

#[derive(Debug, Clone, Copy)]
struct Order {
    op: BookOp,
    price_ticks: i64,
    qty_lots: i64,
}

/// Turns order events into the level changes that they make.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    by_id: BTreeMap<u64, Order>,
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The level after a new order; `None` when the id is taken.
    pub(super) fn add(&mut self, id: u64, op: BookOp, level: Level) -> Option<Level> {
        if self.by_id.contains_key(&id) {
            return None;
        }
        let Level { price_ticks, qty_lots } = level;
        self.by_id.insert(id, Order { op, price_ticks, qty_lots });
        Some(self.shift(op, price_ticks, qty_lots))
    }

    /// Side and level after an order has gone; `None` for an unknown id.
    pub(super) fn cancel(&mut self, id: u64) -> Option<(BookOp, Level)> {
        let order = self.by_id.remove(&id)?;
        Some((order.op, self.shift(order.op, order.price_ticks, -order.qty_lots)))
    }

    pub(super) fn clear(&mut self, op: BookOp) {
        self.by_id.retain(|_, order| order.op != op);
        self.side(op).clear();
    }

    fn side(&mut self, op: BookOp) -> &mut BTreeMap<i64, i64> {
        if op == BookOp::SetBid { &mut self.bids } else { &mut self.asks }
    }

    fn shift(&mut self, op: BookOp, price_ticks: i64, lots: i64) -> Level {
        let side = self.side(op);
        let sum = side.entry(price_ticks).or_default();
        *sum = sum.saturating_add(lots);
        let qty_lots = *sum;
        if qty_lots == 0 {
            side.remove(&price_ticks);
        }
        Level { price_ticks, qty_lots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_sums_of_their_orders() {
        let mut orders = Orders::default();
        assert_eq!(orders.add(1, BookOp::SetBid, Level::new(10, 3)), Some(Level::new(10, 3)));
        assert_eq!(orders.add(2, BookOp::SetBid, Level::new(10, 4)), Some(Level::new(10, 7)));
        assert_eq!(orders.add(2, BookOp::SetAsk, Level::new(11, 4)), None);
        assert_eq!(orders.cancel(1), Some((BookOp::SetBid, Level::new(10, 4))));
        assert_eq!(orders.cancel(1), None);
        assert_eq!(orders.cancel(2), Some((BookOp::SetBid, Level::new(10, 0))));
        assert!(orders.is_empty() && orders.bids.is_empty());
        orders.add(3, BookOp::SetAsk, Level::new(12, 1));
        orders.clear(BookOp::SetBid);
        assert!(!orders.is_empty());
        orders.clear(BookOp::SetAsk);
        assert!(orders.is_empty() && orders.asks.is_empty());
    }
}
