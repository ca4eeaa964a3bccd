//! The peers: hftbacktest's book of orders, and one of the standard library's parts.
#![allow(clippy::disallowed_types, reason = "a peer as it is usually written; nothing iterates")]

use std::collections::{BTreeMap, HashMap, VecDeque};

use hftbacktest::depth::{L3MarketDepth, MarketDepth, ROIVectorMarketDepth};
use market_model::Side;

use crate::market::{Event, RANGE_TICKS, What};

/// hftbacktest's flat array, with a tick and a lot of 1.
pub(crate) fn roi() -> ROIVectorMarketDepth {
    ROIVectorMarketDepth::new(1.0, 1.0, RANGE_TICKS.0 as f64, RANGE_TICKS.1 as f64)
}

/// One event into it.
#[inline(always)]
pub(crate) fn apply(depth: &mut ROIVectorMarketDepth, event: &Event) {
    let price = event.price_ticks as f64;
    let done = match (event.what, event.side) {
        (What::Add(lots), Side::Bid) => {
            depth.add_buy_order(event.id, price, lots as f64, 1).is_ok()
        }
        (What::Add(lots), Side::Ask) => {
            depth.add_sell_order(event.id, price, lots as f64, 1).is_ok()
        }
        (What::Reduce { left, .. }, _) => {
            depth.modify_order(event.id, price, left as f64, 1).is_ok()
        }
        (What::Delete, _) => depth.delete_order(event.id, 1).is_ok(),
    };
    debug_assert!(done, "{event:?}");
}

/// Price and lots of its best bid and ask.
pub(crate) fn best(depth: &ROIVectorMarketDepth) -> [(i64, i64); 2] {
    let bid = (depth.best_bid_tick(), depth.best_bid_qty() as i64);
    [bid, (depth.best_ask_tick(), depth.best_ask_qty() as i64)]
}

#[derive(Default)]
struct StdLevel {
    lots: i64,
    queue: VecDeque<(u64, i64)>,
}

/// A queue for each price in a tree, and a table that finds the price of an order.
#[derive(Default)]
pub(crate) struct StdBook {
    places: HashMap<u64, i64>,
    sides: [BTreeMap<i64, StdLevel>; 2],
}

impl StdBook {
    #[inline(always)]
    pub(crate) fn apply(&mut self, event: &Event) {
        let side = &mut self.sides[event.side as usize];
        if let What::Add(lots) = event.what {
            self.places.insert(event.id, event.price_ticks);
            let level = side.entry(event.price_ticks).or_default();
            level.lots += lots;
            level.queue.push_back((event.id, lots));
            return;
        }
        let price = self.places[&event.id];
        let Some(level) = side.get_mut(&price) else { return };
        let Some(at) = level.queue.iter().position(|(id, _)| *id == event.id) else { return };
        if let What::Reduce { left, .. } = event.what {
            level.lots += left - level.queue[at].1;
            level.queue[at].1 = left;
            return;
        }
        level.lots -= level.queue[at].1;
        level.queue.remove(at);
        self.places.remove(&event.id);
        if level.queue.is_empty() {
            side.remove(&price);
        }
    }

    /// Price, lots and orders of the best level of a side.
    pub(crate) fn best(&self, side: Side) -> Option<(i64, i64, u64)> {
        let levels = &self.sides[side as usize];
        let (price, level) =
            if side == Side::Bid { levels.last_key_value() } else { levels.first_key_value() }?;
        Some((*price, level.lots, level.queue.len() as u64))
    }
}
