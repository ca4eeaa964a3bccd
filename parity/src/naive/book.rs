//! The naive book: two sorted lists of `(ticks, lots)`, best first.

use std::cmp::Ordering;

use market_model::{BookOp, FeedKind, Level, Packet, PacketKind};

use super::Defect;

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
    /// Applies the runs of a packet in order; `false`, and a spoiled book, when a side overflows.
    pub(super) fn apply(
        &mut self,
        packet: &Packet,
        feed: FeedKind,
        defect: Option<Defect>,
    ) -> bool {
        if packet.kind == PacketKind::Snapshot || feed == FeedKind::Snapshot {
            self.bids.clear();
            self.asks.clear();
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

    /// Whether a packet fits, tried on a copy when its size alone does not tell.
    pub(super) fn fits(&self, packet: &Packet, feed: FeedKind) -> bool {
        let largest = self.bids.len().max(self.asks.len()) + packet.levels.len();
        largest <= MAX_LEVELS || self.clone().apply(packet, feed, None)
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
