//! Tapes with everything that can happen to a book, from a seed.

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, Packet, PacketKind, Sequencing, Trade,
};

const START_NS: i64 = 1_699_999_170_000_000_000; // A Tuesday, 21:59:30 UTC.
const MS: i64 = 1_000_000;
const PACKETS: usize = 700;
const MID_TICKS: i64 = 50_000;

/// One instrument and what happened to it.
#[derive(Debug)]
pub(super) struct Tape {
    pub(super) instrument: Instrument,
    pub(super) packets: Vec<Packet>,
}

/// The tapes: a delta feed with ids, a delta feed without, and a snapshot feed.
pub(super) fn all() -> Vec<Tape> {
    let feeds = [
        (11, FeedKind::Delta, Sequencing::Venue, ("0.1", "0.001")),
        (22, FeedKind::Delta, Sequencing::SourceTime, ("0.25", "1")),
        (33, FeedKind::Snapshot, Sequencing::Venue, ("0.00005", "10")),
        (44, FeedKind::Delta, Sequencing::Arrival, ("0.01", "0.5")),
    ];
    feeds
        .into_iter()
        .map(|(seed, feed, by, (tick, lot))| {
            let instrument = Instrument::new(0, "TAPE", tick, lot).expect("the sizes are decimals");
            let instrument = Instrument { feed, sequencing: by, ..instrument };
            let mut maker = Maker::new(seed, feed, by);
            (0..PACKETS).for_each(|number| maker.packet(number));
            Tape { instrument, packets: maker.packets }
        })
        .collect()
}

/// Numerical Recipes' 64-bit generator: the tapes must not change with a library.
pub(super) struct Lcg(pub(super) u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number in `0..n`.
    pub(super) fn below(&mut self, n: i64) -> i64 {
        (self.next() % n.unsigned_abs()).cast_signed()
    }
}

struct Maker {
    random: Lcg,
    feed: FeedKind,
    ids: bool,
    mid: i64,
    now_ns: i64,
    seq: u64,
    packets: Vec<Packet>,
}

impl Maker {
    fn new(seed: u64, feed: FeedKind, by: Sequencing) -> Self {
        let ids = by == Sequencing::Venue;
        let random = Lcg(seed);
        Self { random, feed, ids, mid: MID_TICKS, now_ns: START_NS, seq: 100, packets: Vec::new() }
    }

    fn packet(&mut self, number: usize) {
        self.now_ns += 1 + self.random.below(180 * MS);
        self.mid += self.random.below(5) - 2;
        match (number, number % 100) {
            (0, _) => self.opening(),
            (_, 17) => self.push(PacketKind::Heartbeat, |_, _| {}),
            (_, 23) => self.repeat(),
            (_, 31) => self.late(),
            (_, 37) => self.crossed(),
            (_, 43) => self.one_sided(),
            (_, 47) => self.locked(),
            (300 | 500, _) => self.gap(),
            (301 | 501 | 650, _) => self.snapshot(),
            (400, _) => self.push(PacketKind::Reset, |_, _| {}),
            (401, _) => self.snapshot(),
            (640, _) => self.push(PacketKind::Rejected, |_, _| {}),
            (_, 61) => self.odd_times(),
            _ if self.feed == FeedKind::Snapshot => self.snapshot(),
            _ if self.random.below(6) == 0 => self.push(PacketKind::Delta, Self::trades),
            _ => self.push(PacketKind::Delta, Self::changes),
        }
    }

    /// A delta feed starts without a snapshot, so that the unverified stretch is played too.
    fn opening(&mut self) {
        match self.feed {
            FeedKind::Delta => self.push(PacketKind::Delta, Self::levels),
            FeedKind::Snapshot => self.snapshot(),
        }
    }

    fn push(&mut self, kind: PacketKind, fill: impl FnOnce(&mut Self, &mut Packet)) {
        let recv_ns = self.now_ns + 2 * MS + self.random.below(30 * MS);
        let mut packet =
            Packet { kind, ts_event_ns: self.now_ns, ts_recv_ns: recv_ns, ..Packet::default() };
        fill(self, &mut packet);
        if self.ids && packet.touches_book() {
            let step = if self.feed == FeedKind::Snapshot { 1 } else { 1 + self.random.next() % 4 };
            (packet.prev_seq, packet.first_seq) = (self.seq, self.seq + 1);
            self.seq += step;
            packet.seq = self.seq;
        }
        self.packets.push(packet);
    }

    fn qty(&mut self) -> i64 {
        1 + self.random.below(900)
    }

    /// Twenty levels a side around the mid, some missing.
    fn levels(&mut self, packet: &mut Packet) {
        for (op, sign) in [(BookOp::SetBid, -1), (BookOp::SetAsk, 1)] {
            for distance in 1..=20 {
                if distance < 3 || self.random.below(4) != 0 {
                    let qty = self.qty();
                    packet.push_level(op, Level::new(self.mid + sign * distance, qty));
                }
            }
        }
    }

    fn snapshot(&mut self) {
        self.push(PacketKind::Snapshot, Self::levels);
    }

    /// A few changes that keep the book two-sided: what the mid walked into is deleted.
    fn changes(&mut self, packet: &mut Packet) {
        for (op, sign) in [(BookOp::SetBid, -1), (BookOp::SetAsk, 1)] {
            for into in 0..4 {
                packet.push_level(op, Level::new(self.mid - sign * into, 0));
            }
            for _ in 0..1 + self.random.below(4) {
                let distance =
                    1 + self.random.below(25) + self.random.below(2) * self.random.below(900);
                let qty = if self.random.below(4) == 0 { 0 } else { self.qty() };
                packet.push_level(op, Level::new(self.mid + sign * distance, qty));
            }
            let qty = self.qty();
            packet.push_level(op, Level::new(self.mid + sign, qty));
        }
        if self.random.below(5) == 0 {
            self.trades(packet);
        }
    }

    fn trades(&mut self, packet: &mut Packet) {
        for _ in 0..1 + self.random.below(3) {
            let (sign, aggressor) = match self.random.below(3) {
                0 => (1, Aggressor::Buy),
                1 => (-1, Aggressor::Sell),
                _ => (1, Aggressor::Unknown),
            };
            let qty_lots = self.qty();
            packet.trades.push(Trade { price_ticks: self.mid + sign, qty_lots, aggressor });
        }
    }

    fn repeat(&mut self) {
        let last = self.packets.iter().rev().find(|packet| packet.touches_book()).cloned();
        self.packets.extend(last);
    }

    fn late(&mut self) {
        let mut books = self.packets.iter().rev().filter(|packet| packet.touches_book());
        let earlier = books.nth(3).cloned();
        self.packets.extend(earlier);
    }

    fn crossed(&mut self) {
        self.with_book(|mid, packet| {
            packet.push_level(BookOp::SetBid, Level::new(mid + 30, 5));
        });
        // The next changes keep away from this level, so it is removed again at once.
        self.now_ns += 3 * MS;
        self.with_book(|mid, packet| {
            packet.push_level(BookOp::SetBid, Level::new(mid + 30, 0));
        });
    }

    fn one_sided(&mut self) {
        self.with_book(|_, packet| packet.push_clear_side(BookOp::ClearAsk));
        self.now_ns += 3 * MS;
        self.push(PacketKind::Delta, Self::levels);
    }

    fn locked(&mut self) {
        self.with_book(|mid, packet| {
            packet.push_level(BookOp::ClearBid, Level::new(mid, 0));
            packet.push_level(BookOp::ClearAsk, Level::new(mid, 0));
            packet.push_level(BookOp::SetBid, Level::new(mid, 40));
            packet.push_level(BookOp::SetAsk, Level::new(mid, 60));
        });
        self.now_ns += 3 * MS;
        self.with_book(|mid, packet| {
            packet.push_level(BookOp::SetBid, Level::new(mid, 0));
            packet.push_level(BookOp::SetAsk, Level::new(mid, 0));
        });
    }

    /// A packet of the feed's kind: on a snapshot feed the whole book comes along.
    fn with_book(&mut self, fill: impl FnOnce(i64, &mut Packet)) {
        let (kind, whole) = match self.feed {
            FeedKind::Delta => (PacketKind::Delta, false),
            FeedKind::Snapshot => (PacketKind::Snapshot, true),
        };
        self.push(kind, |maker, packet| {
            if whole {
                maker.levels(packet);
            }
            fill(maker.mid, packet);
        });
    }

    fn gap(&mut self) {
        self.seq += 50;
        let (feed, seq) = (self.feed, self.seq);
        self.push(
            if feed == FeedKind::Delta { PacketKind::Delta } else { PacketKind::Snapshot },
            Self::levels,
        );
        if let Some(packet) = self.packets.last_mut()
            && packet.seq != 0
        {
            packet.prev_seq = if feed == FeedKind::Delta { seq - 1 } else { 0 };
            packet.first_seq = if feed == FeedKind::Delta { seq } else { 0 };
        }
    }

    /// No event time, no arrival time, or an event time from the future.
    fn odd_times(&mut self) {
        self.push(PacketKind::Delta, Self::trades);
        let which = self.random.below(3);
        let Some(packet) = self.packets.last_mut() else { return };
        match which {
            0 => packet.ts_event_ns = 0,
            1 => packet.ts_recv_ns = 0,
            _ => packet.ts_event_ns += 3_600_000 * MS,
        }
    }
}
