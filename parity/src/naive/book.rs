//! The naive book: two sorted lists of `(ticks, lots)`, best first.

use std::cmp::Ordering;

use market_model::{BookOp, FeedKind, Level, Packet, PacketKind};

use super::Defect;
use super::orders::Orders;

/// Levels that one side may hold (`specs/semantics.md`, rule 8).
const MAX_LEVELS: usize = 50_000;

/// How the sides of a book stand to each other (rule 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    TwoSided,
    Locked,
    Crossed,
    OneSided,
}

/// Both sides, best level first, as ticks and lots.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    pub(super) bids: Vec<(i64, i64)>,
    pub(super) asks: Vec<(i64, i64)>,
    /// The orders that the levels are made of, on a feed of orders.
    pub(super) orders: Option<Orders>,
}

fn descending(a: i64, b: i64) -> Ordering {
    b.cmp(&a)
}

fn ascending(a: i64, b: i64) -> Ordering {
    a.cmp(&b)
}

fn set(side: &mut Vec<(i64, i64)>, level: &Level, order: fn(i64, i64) -> Ordering) {
    let place = side.binary_search_by(|(price, _)| order(*price, level.price_ticks));
    match (place, level.qty_lots) {
        (Ok(at), 0) => drop(side.remove(at)),
        (Ok(at), lots) => side[at].1 = lots,
        (Err(_), 0) => {}
        (Err(at), lots) => side.insert(at, (level.price_ticks, lots)),
    }
}

fn clear(
    side: &mut Vec<(i64, i64)>,
    levels: &[Level],
    order: fn(i64, i64) -> Ordering,
    defect: Option<Defect>,
) {
    let Some(bound) = levels.first() else { return side.clear() };
    side.retain(|(price, _)| match order(*price, bound.price_ticks) {
        Ordering::Less => false,
        Ordering::Equal => defect == Some(Defect::ClearExclusive),
        Ordering::Greater => true,
    });
}

impl Book {
    /// Applies the runs of a packet in order; `false`, and a spoiled book, when it does not fit.
    pub(super) fn apply(
        &mut self,
        packet: &Packet,
        feed: FeedKind,
        now_ns: i64,
        defect: Option<Defect>,
    ) -> bool {
        let replaces = packet.kind == PacketKind::Snapshot || feed == FeedKind::Snapshot;
        if replaces {
            *self = Self::default();
        }
        if self.orders.is_some() || !packet.orders.is_empty() {
            return self.apply_orders(packet, replaces, now_ns, defect);
        }
        for (op, levels) in packet.runs() {
            match op {
                BookOp::ClearBid => clear(&mut self.bids, levels, descending, defect),
                BookOp::ClearAsk => clear(&mut self.asks, levels, ascending, defect),
                BookOp::SetBid | BookOp::SetAsk => {
                    for level in levels {
                        if op == BookOp::SetBid {
                            set(&mut self.bids, level, descending);
                        } else {
                            set(&mut self.asks, level, ascending);
                        }
                        if self.bids.len().max(self.asks.len()) > MAX_LEVELS {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    fn apply_orders(
        &mut self,
        packet: &Packet,
        replaces: bool,
        now_ns: i64,
        defect: Option<Defect>,
    ) -> bool {
        let sets = |(op, levels): (BookOp, &[Level])| {
            matches!(op, BookOp::SetBid | BookOp::SetAsk) && !levels.is_empty()
        };
        let has_levels = self.orders.is_none() && self.bids.len() + self.asks.len() > 0;
        if packet.runs().any(sets) || has_levels {
            return false;
        }
        let is_settled = matches!(self.shape(), Shape::TwoSided | Shape::Locked);
        let orders = self.orders.get_or_insert_default();
        if !orders.admit(packet) {
            return false;
        }
        orders.apply(packet, now_ns, is_settled, defect);
        if replaces && defect != Some(Defect::SnapshotIsOrderFlow) {
            orders.flows = Default::default();
        }
        (self.bids, self.asks) = (orders.levels(true), orders.levels(false));
        self.bids.len().max(self.asks.len()) <= MAX_LEVELS
    }

    /// Whether a packet fits, tried on a copy when its size alone does not tell.
    pub(super) fn fits(&self, packet: &Packet, feed: FeedKind) -> bool {
        let is_of_orders = self.orders.is_some() || !packet.orders.is_empty();
        let largest = self.bids.len().max(self.asks.len()) + packet.levels.len();
        let is_small = !is_of_orders && largest <= MAX_LEVELS;
        is_small || self.clone().apply(packet, feed, 0, None)
    }

    /// How the sides stand.
    pub(super) fn shape(&self) -> Shape {
        match (self.bids.first(), self.asks.first()) {
            (Some((bid, _)), Some((ask, _))) => match bid.cmp(ask) {
                Ordering::Less => Shape::TwoSided,
                Ordering::Equal => Shape::Locked,
                Ordering::Greater => Shape::Crossed,
            },
            _ => Shape::OneSided,
        }
    }
}
