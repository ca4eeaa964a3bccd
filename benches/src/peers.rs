//! The peers over their own form of the tape; each gives the best prices after a packet.

use std::collections::BTreeMap;

use hftbacktest::depth::{
    BTreeMarketDepth, HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth,
};
use hftbacktest::types::{BUY_EVENT, DEPTH_CLEAR_EVENT, Event, SELL_EVENT, Side};
use market_model::{BookOp, Packet, PacketKind};

use crate::tape::{Tape, lot, tick};

/// A book of hftbacktest.
pub trait Depth: L2MarketDepth + MarketDepth {}
impl<D: L2MarketDepth + MarketDepth> Depth for D {}

/// hftbacktest's flat array over the whole range of prices of the tape.
#[must_use]
pub fn roi_vector(tape: &Tape) -> ROIVectorMarketDepth {
    let size = tick(&tape.instrument);
    let (low, high) = tape.range_ticks;
    ROIVectorMarketDepth::new(
        size,
        lot(&tape.instrument),
        (low - 1) as f64 * size,
        (high + 1) as f64 * size,
    )
}

/// hftbacktest's hash map.
#[must_use]
pub fn hash_map(tape: &Tape) -> HashMapMarketDepth {
    HashMapMarketDepth::new(tick(&tape.instrument), lot(&tape.instrument))
}

/// hftbacktest's tree.
#[must_use]
pub fn b_tree(tape: &Tape) -> BTreeMarketDepth {
    BTreeMarketDepth::new(tick(&tape.instrument), lot(&tape.instrument))
}

/// The depth after it has been through the tape once and was emptied.
#[must_use]
pub fn warm<D: Depth>(mut depth: D, tape: &Tape) -> D {
    tape.rows.iter().for_each(|row| apply_row(&mut depth, row));
    depth.clear_depth(Side::None, 0.0);
    depth
}

/// One row into a book of hftbacktest, with the fewest tests that tell the kinds of rows apart.
#[inline(always)]
pub fn apply_row<D: Depth>(depth: &mut D, row: &Event) {
    if row.ev & 0xFF == DEPTH_CLEAR_EVENT {
        match row.ev & (BUY_EVENT | SELL_EVENT) {
            BUY_EVENT => depth.clear_depth(Side::Buy, row.px),
            SELL_EVENT => depth.clear_depth(Side::Sell, row.px),
            _ => depth.clear_depth(Side::None, 0.0),
        }
    } else if row.ev & BUY_EVENT == BUY_EVENT {
        depth.update_bid_depth(row.px, row.qty, row.exch_ts);
    } else {
        depth.update_ask_depth(row.px, row.qty, row.exch_ts);
    }
}

/// Two trees of the standard library.
#[derive(Default)]
pub struct StdTrees {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl StdTrees {
    /// Empties both sides.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Applies a packet.
    #[inline(always)]
    pub fn apply(&mut self, packet: &Packet) {
        if packet.kind == PacketKind::Snapshot {
            self.clear();
        }
        for (op, levels) in packet.runs() {
            let side = if op == BookOp::SetBid { &mut self.bids } else { &mut self.asks };
            for level in levels {
                if level.qty_lots == 0 {
                    side.remove(&level.price_ticks);
                } else {
                    side.insert(level.price_ticks, level.qty_lots);
                }
            }
        }
    }

    /// Best bid and ask in ticks, 0 on an empty side.
    #[inline(always)]
    #[must_use]
    pub fn best(&self) -> (i64, i64) {
        let bid = self.bids.last_key_value().map_or(0, |(ticks, _)| *ticks);
        (bid, self.asks.first_key_value().map_or(0, |(ticks, _)| *ticks))
    }
}
