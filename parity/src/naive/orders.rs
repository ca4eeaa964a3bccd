//! Orders of a book (`specs/semantics.md`, rule 8): one list, in the order of places.

use std::collections::BTreeMap;

use market_model::{BookOp, OrderEvent, OrderOp, Packet, Side};

use super::Defect;

const MAX_ORDERS: usize = 1_000_000;
const MAX_LOTS: i128 = (1 << 53) - 1;

/// An order that rests.
#[derive(Debug, Clone, Copy)]
struct Order {
    id: u64,
    is_bid: bool,
    price: i64,
    lots: i64,
    placed_ns: i64,
}

/// Events and lots of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) count: i128,
    pub(super) lots: i128,
}

/// What happened to the orders of a side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    pub(super) added: Sum,
    pub(super) cancelled: Sum,
    pub(super) filled: Sum,
}

impl Sum {
    fn take(&mut self, lots: i64) {
        self.count += i128::from(lots > 0);
        self.lots += i128::from(lots);
    }
}

/// All orders, and what happened since the last two-sided book.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    resting: Vec<Order>,
    /// Of bids, of asks.
    pub(super) flows: [Flow; 2],
    /// Events of the last packet that contradict the book.
    pub(super) contradictions: u64,
}

fn enters(event: &OrderEvent) -> bool {
    matches!(event.op, OrderOp::Add | OrderOp::Modify)
}

impl Orders {
    /// Whether the events are in range and not too many.
    pub(super) fn admit(&self, packet: &Packet) -> bool {
        let lots = |is_bid: bool| -> i128 {
            let resting = self.resting.iter().filter(|order| order.is_bid == is_bid);
            let entering = packet.orders.iter().filter(|event| enters(event));
            let entering = entering.filter(|event| (event.side == Side::Bid) == is_bid);
            resting.map(|order| i128::from(order.lots)).sum::<i128>()
                + entering.map(|event| i128::from(event.qty_lots)).sum::<i128>()
        };
        let in_range = |event: &OrderEvent| {
            let (price, qty) = (i128::from(event.price_ticks), i128::from(event.qty_lots));
            (0..=MAX_LOTS).contains(&qty) && (!enters(event) || (1..=MAX_LOTS).contains(&price))
        };
        let entering = packet.orders.iter().filter(|event| enters(event)).count();
        packet.orders.iter().all(in_range)
            && self.resting.len() + entering <= MAX_ORDERS
            && lots(true).max(lots(false)) <= MAX_LOTS
    }

    pub(super) fn apply(
        &mut self,
        packet: &Packet,
        now_ns: i64,
        is_settled: bool,
        defect: Option<Defect>,
    ) {
        if is_settled || defect == Some(Defect::OrderFlowForgetsFrozen) {
            self.flows = Default::default();
        }
        self.contradictions = 0;
        for (op, levels) in packet.runs() {
            let bound = levels.first().map(|level| level.price_ticks);
            let reaches = |price: i64, is_bid: bool| {
                bound.is_none_or(|bound| if is_bid { price >= bound } else { price <= bound })
            };
            match op {
                BookOp::ClearBid => {
                    self.resting.retain(|order| !(order.is_bid && reaches(order.price, true)));
                }
                BookOp::ClearAsk => {
                    self.resting.retain(|order| order.is_bid || !reaches(order.price, false));
                }
                BookOp::SetBid | BookOp::SetAsk => {}
            }
        }
        for event in &packet.orders {
            self.event(event, now_ns, defect);
        }
    }

    fn event(&mut self, event: &OrderEvent, now_ns: i64, defect: Option<Defect>) {
        let place = self.resting.iter().position(|order| order.id == event.order_id);
        if place.is_some() == (event.op == OrderOp::Add) {
            self.contradictions += 1;
        }
        match (event.op, place) {
            (OrderOp::Add, Some(place)) => {
                self.resting.remove(place);
                self.enter(event, now_ns);
            }
            (OrderOp::Add | OrderOp::Modify, None) => self.enter(event, now_ns),
            (OrderOp::Modify, Some(place)) => self.modify(place, event, now_ns, defect),
            (OrderOp::Cancel | OrderOp::Fill, Some(place)) => self.reduce(place, event, defect),
            (OrderOp::Cancel | OrderOp::Fill, None) => {}
        }
    }

    fn flow(&mut self, is_bid: bool) -> &mut Flow {
        &mut self.flows[usize::from(!is_bid)]
    }

    fn enter(&mut self, event: &OrderEvent, now_ns: i64) {
        let OrderEvent { order_id: id, price_ticks: price, qty_lots: lots, side, .. } = *event;
        let is_bid = side == Side::Bid;
        if lots > 0 {
            self.flow(is_bid).added.take(lots);
            self.resting.push(Order { id, is_bid, price, lots, placed_ns: now_ns });
        }
    }

    fn modify(&mut self, place: usize, event: &OrderEvent, now_ns: i64, defect: Option<Defect>) {
        let old = self.resting[place];
        let stays = (old.is_bid, old.price) == (event.side == Side::Bid, event.price_ticks);
        if stays && event.qty_lots > 0 && event.qty_lots <= old.lots {
            self.resting[place].lots = event.qty_lots;
            if defect == Some(Defect::ReducedLosesPlace) {
                self.resting[place].placed_ns = now_ns;
            }
            self.flow(old.is_bid).cancelled.take(old.lots - event.qty_lots);
            return;
        }
        let kept = stays && defect == Some(Defect::ReplacedKeepsPlace);
        self.resting.remove(place);
        self.flow(old.is_bid).cancelled.take(old.lots);
        self.enter(event, if kept { old.placed_ns } else { now_ns });
    }

    fn reduce(&mut self, place: usize, event: &OrderEvent, defect: Option<Defect>) {
        let Order { is_bid, lots, .. } = self.resting[place];
        if event.qty_lots > lots {
            self.contradictions += 1;
        }
        let gone = if event.qty_lots == 0 { lots } else { lots.min(event.qty_lots) };
        self.resting[place].lots -= gone;
        let removes = event.op == OrderOp::Fill && defect == Some(Defect::PartialFillRemoves);
        if gone == lots || removes {
            self.resting.remove(place);
        }
        let is_fill = (event.op == OrderOp::Fill) != (defect == Some(Defect::FillsAreCancels));
        let flow = self.flow(is_bid);
        if is_fill { flow.filled.take(gone) } else { flow.cancelled.take(gone) }
    }

    /// Price and lots of each level of a side, best first.
    pub(super) fn levels(&self, is_bid: bool) -> Vec<(i64, i64)> {
        let mut sums = BTreeMap::<i64, i64>::new();
        for order in self.resting.iter().filter(|order| order.is_bid == is_bid) {
            *sums.entry(order.price).or_default() += order.lots;
        }
        if is_bid { sums.into_iter().rev().collect() } else { sums.into_iter().collect() }
    }

    /// When each order at a price of a side got its place, ns.
    pub(super) fn places_ns(&self, is_bid: bool, price: i64) -> Vec<i64> {
        let here =
            self.resting.iter().filter(|order| (order.is_bid, order.price) == (is_bid, price));
        here.map(|order| order.placed_ns).collect()
    }
}
