//! A seeded market of single orders that never crosses.

use market_model::{OrderEvent, OrderOp, Packet, Side};

/// What happens to one order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) side: Side,
    pub(crate) price_ticks: i64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// It enters with so many lots.
    Add(i64),
    /// It has `left` of `before` lots and keeps its place.
    Reduce { before: i64, left: i64 },
    /// It leaves.
    Delete,
}

/// Prices of the market stay within these.
pub(crate) const RANGE_TICKS: (i64, i64) = (1_000, 19_000);

struct Random(u64);

impl Random {
    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Copy)]
struct Live {
    id: u64,
    side: Side,
    price_ticks: i64,
    lots: i64,
}

/// Some thousands of orders within a hundred ticks of a mid that wanders: most events near the touch.
pub(crate) fn events(count: usize) -> Vec<Event> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut live, mut events): (Vec<Live>, Vec<Event>) = (Vec::new(), Vec::new());
    let (mut mid_ticks, mut next_id) = (10_000_i64, 1_u64);
    while events.len() < count {
        if random.below(200) == 0 && !live.is_empty() {
            let up = random.below(2) == 0;
            mid_ticks += if up { 1 } else { -1 };
            // What stands at the new mid is taken.
            live.retain(|order| {
                if order.price_ticks == mid_ticks {
                    events.push(leave(order));
                }
                order.price_ticks != mid_ticks
            });
        }
        let dice = random.below(100);
        if live.len() < 3_000 || (dice < 45 && live.len() < 6_000) {
            let side = if random.below(2) == 0 { Side::Bid } else { Side::Ask };
            let away = 1 + random.below(100).min(random.below(100)).min(random.below(100)) as i64;
            let price_ticks = if side == Side::Bid { mid_ticks - away } else { mid_ticks + away };
            let lots = 1 + random.below(50) as i64;
            live.push(Live { id: next_id, side, price_ticks, lots });
            events.push(Event { id: next_id, side, price_ticks, what: What::Add(lots) });
            next_id += 1;
            continue;
        }
        let at = random.below(live.len() as u64) as usize;
        if dice < 85 || live[at].lots == 1 {
            events.push(leave(&live.swap_remove(at)));
        } else {
            let Live { id, side, price_ticks, lots: before } = live[at];
            let left = before / 2;
            live[at].lots = left;
            events.push(Event { id, side, price_ticks, what: What::Reduce { before, left } });
        }
    }
    events.truncate(count);
    events
}

fn leave(order: &Live) -> Event {
    let Live { id, side, price_ticks, .. } = *order;
    Event { id, side, price_ticks, what: What::Delete }
}

/// The events as packets of so many each.
pub(crate) fn packets(events: &[Event], each: usize) -> Vec<Packet> {
    let packet = |events: &[Event]| {
        let mut packet = Packet { ts_event_ns: 1, ..Packet::default() };
        packet.orders.extend(events.iter().map(|event| {
            let (op, qty_lots) = match event.what {
                What::Add(lots) => (OrderOp::Add, lots),
                What::Reduce { before, left } => (OrderOp::Cancel, before - left),
                What::Delete => (OrderOp::Cancel, 0),
            };
            let Event { id: order_id, side, price_ticks, .. } = *event;
            OrderEvent { order_id, price_ticks, qty_lots, side, op }
        }));
        packet
    };
    events.chunks(each).map(packet).collect()
}
