//! The tape of a feed of orders: for the columns that only orders have.

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, OrderEvent, OrderOp, Packet, PacketKind,
    Sequencing, Side, Trade,
};

use super::tape::{Lcg, Tape};

const START_NS: i64 = 1_699_999_170_000_000_000;
const PACKETS: u64 = 900;
const MID_TICKS: i64 = 50_000;
const MS: i64 = 1_000_000;

/// Orders that come, shrink, grow, move, are filled and contradict the book.
pub(super) fn tape() -> Tape {
    let instrument = Instrument::new(0, "ORDERS", "0.01", "5").expect("the sizes are decimals");
    let instrument =
        Instrument { feed: FeedKind::Delta, sequencing: Sequencing::Venue, ..instrument };
    let mut maker = Maker { random: Lcg(55), next_id: 1, resting: Vec::new(), mid: MID_TICKS };
    let mut now_ns = START_NS;
    let packets = (1..=PACKETS).map(|number| {
        now_ns += 1 + maker.random.below(40 * MS);
        let mut packet = maker.packet(number);
        (packet.ts_event_ns, packet.ts_recv_ns) = (now_ns, now_ns + 2 * MS);
        if packet.touches_book() {
            let is_after_gap = matches!(number, 300 | 600);
            packet.seq = 10 * number;
            packet.prev_seq = if is_after_gap { 10 * number - 1 } else { 0 };
        }
        packet
    });
    Tape { packets: packets.collect(), instrument }
}

struct Maker {
    random: Lcg,
    next_id: u64,
    resting: Vec<(u64, Side)>,
    mid: i64,
}

impl Maker {
    fn packet(&mut self, number: u64) -> Packet {
        let mut packet = Packet::default();
        match number {
            1 | 301 | 601 | 751 => {
                packet.kind = PacketKind::Snapshot;
                self.resting.clear();
                (0..40).for_each(|_| packet.orders.extend(self.add()));
            }
            750 => packet.kind = PacketKind::Reset,
            n if n % 41 == 0 => packet.kind = PacketKind::Heartbeat,
            n if n % 23 == 0 => {
                let price_ticks = self.mid;
                let aggressor = Aggressor::Unknown;
                packet.trades.push(Trade { price_ticks, qty_lots: 3, aggressor });
            }
            _ => {
                self.mid += self.random.below(3) - 1;
                // Orders that the mid has walked over would cross; they stay only now and then.
                if self.random.below(12) != 0 {
                    packet.push_level(BookOp::ClearBid, Level::new(self.mid, 0));
                    packet.push_level(BookOp::ClearAsk, Level::new(self.mid, 0));
                }
                for _ in 0..=self.random.below(4) {
                    packet.orders.extend(self.event());
                }
            }
        }
        packet
    }

    fn side(&mut self) -> Side {
        if self.random.below(2) == 0 { Side::Bid } else { Side::Ask }
    }

    /// A price of a side; now and then one that crosses.
    fn price(&mut self, side: Side) -> i64 {
        let distance = self.random.below(9) - i64::from(self.random.below(60) == 0) * 8;
        if side == Side::Bid { self.mid - 1 - distance } else { self.mid + 1 + distance }
    }

    fn add(&mut self) -> Option<OrderEvent> {
        let (order_id, side) = (self.next_id, self.side());
        self.next_id += 1;
        self.resting.push((order_id, side));
        let (price_ticks, qty_lots) = (self.price(side), 1 + self.random.below(90));
        Some(OrderEvent { order_id, price_ticks, qty_lots, side, op: OrderOp::Add })
    }

    fn event(&mut self) -> Option<OrderEvent> {
        let op = match self.random.below(10) {
            0..4 => return self.add(),
            4 | 5 => OrderOp::Modify,
            6 | 7 => OrderOp::Cancel,
            _ => OrderOp::Fill,
        };
        // One id in thirty is of no order.
        let at = self.random.below(self.resting.len() as i64 + 1).unsigned_abs() as usize;
        let unknown = (9_000_000, Side::Bid);
        let (order_id, side) = match self.random.below(30) {
            0 => unknown,
            _ => self.resting.get(at).copied().unwrap_or(unknown),
        };
        let qty_lots = if self.random.below(3) == 0 { 0 } else { 1 + self.random.below(60) };
        if op != OrderOp::Modify && qty_lots == 0 {
            self.resting.retain(|(id, _)| *id != order_id);
        }
        let price_ticks = self.price(side);
        Some(OrderEvent { order_id, price_ticks, qty_lots, side, op })
    }
}
