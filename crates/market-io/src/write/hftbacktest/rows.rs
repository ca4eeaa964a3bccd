//! Packets as rows of hftbacktest, in the order in which they arrived.

use std::collections::BTreeMap;

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, MAX_SCALED, POW10, Packet, PacketKind,
    Sequencing, Side,
};

use super::ArrayError;
use super::orders::Resting;
use crate::format::hftbacktest::ev::{
    BUY, CLEAR, DEPTH, EXCH, KIND_MASK, LOCAL, SELL, SNAPSHOT, TRADE,
};
use crate::format::npy::Row;

/// One level in the layout of hftbacktest; times, ids and flags of the two sides are left to the caller.
fn level_row(instrument: &Instrument, ev: u64, level: Level) -> Row {
    let exact = |units: i64, size: i64, scale: u8| {
        // Both are exact below 2^53, so the quotient is the double next to the decimal.
        units.saturating_mul(size) as f64 / POW10[usize::from(scale)] as f64
    };
    Row {
        ev,
        px: exact(level.price_ticks, instrument.tick_scaled, instrument.price_scale),
        qty: exact(level.qty_lots, instrument.lot_scaled, instrument.qty_scale),
        ..Row::default()
    }
}

/// A level of a book that is handed over beside an array: kind 4, seen by both sides, without times.
pub(super) fn book_row(instrument: &Instrument, op: BookOp, level: Level) -> Row {
    level_row(instrument, SNAPSHOT | side_of(op) | EXCH | LOCAL, level)
}

const fn side_of(op: BookOp) -> u64 {
    match op {
        BookOp::SetBid | BookOp::ClearBid => BUY,
        BookOp::SetAsk | BookOp::ClearAsk => SELL,
    }
}

const fn is_clear(op: BookOp) -> bool {
    matches!(op, BookOp::ClearBid | BookOp::ClearAsk)
}

/// Whether the ids of a recording go on from packet to packet, also where one of them makes no row.
#[derive(Debug, Default)]
struct Chain {
    last_read: u64,
    last_written: u64,
}

impl Chain {
    /// The id of the packet that the next one follows, as a reader of the rows will see it; 0 when
    /// nothing is known.
    fn step(&mut self, packet: &Packet, has_rows: bool) -> u64 {
        let named = match (packet.prev_seq, packet.first_seq) {
            (0, 0) => 0,
            (0, first) => first - 1,
            (prev, _) => prev,
        };
        if packet.kind == PacketKind::Snapshot {
            self.accept(packet.seq, has_rows);
            return 0;
        }
        if self.last_read == 0 {
            self.accept(packet.seq, has_rows);
            return named;
        }
        if packet.seq <= self.last_read {
            return named;
        }
        let follows = match (packet.prev_seq, packet.first_seq) {
            (0, 0) => true,
            (0, first) => first <= self.last_read + 1,
            (prev, _) => prev == self.last_read,
        };
        if !follows {
            return named;
        }
        let last_written = self.last_written;
        self.accept(packet.seq, has_rows);
        last_written
    }

    const fn accept(&mut self, seq: u64, has_rows: bool) {
        self.last_read = seq;
        if has_rows {
            self.last_written = seq;
        }
    }
}

/// The last book of a feed that sends whole books, of which only differences become rows.
#[derive(Debug, Default)]
struct Window {
    sides: [BTreeMap<i64, i64>; 2],
    is_known: bool,
    seq: u64,
    /// Id of the last book that made rows.
    written_seq: u64,
    ts_event_ns: i64,
}

impl Window {
    /// Deletions of both sides first, so that a book that moves never crosses in between.
    fn differences(&mut self, packet: &Packet) -> Vec<(BookOp, Level)> {
        let mut new = [BTreeMap::new(), BTreeMap::new()];
        for (op, levels) in packet.runs().filter(|(op, _)| !is_clear(*op)) {
            let side = &mut new[usize::from(op == BookOp::SetAsk)];
            side.extend(levels.iter().map(|level| (level.price_ticks, level.qty_lots)));
        }
        new.iter_mut().for_each(|side| side.retain(|_, lots| *lots > 0));
        let ops = [BookOp::SetBid, BookOp::SetAsk];
        let mut out = Vec::new();
        for ((op, new), old) in ops.iter().zip(&new).zip(&self.sides) {
            let gone = old.keys().filter(|price| !new.contains_key(price));
            out.extend(gone.map(|price| (*op, Level::new(*price, 0))));
        }
        for ((op, new), old) in ops.iter().zip(&new).zip(&self.sides) {
            let changed = new.iter().filter(|(price, lots)| old.get(price) != Some(lots));
            out.extend(changed.map(|(price, lots)| (*op, Level::new(*price, *lots))));
        }
        self.sides = new;
        out
    }
}

/// What happened to times and books on the way to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowStats {
    /// Packets that made rows.
    pub(super) packets: u64,
    /// Packets whose local time was moved forward, and by how much at most, ns.
    pub(super) moved: (u64, i64),
    /// Whole books older than the one before, which were left out.
    pub(super) late_books: u64,
}

/// Packets in, rows out.
#[derive(Debug)]
pub(super) struct RowMaker {
    instrument: Instrument,
    feed_latency_ns: Option<i64>,
    trades_first: bool,
    local_ts_ns: i64,
    chain: Chain,
    window: Window,
    resting: Resting,
    rows: Vec<Row>,
    pub(super) stats: RowStats,
}

impl RowMaker {
    pub(super) fn new(
        instrument: &Instrument,
        feed_latency_ns: Option<i64>,
        trades_first: bool,
    ) -> Self {
        Self {
            instrument: instrument.clone(),
            feed_latency_ns,
            trades_first,
            local_ts_ns: i64::MIN,
            chain: Chain::default(),
            window: Window::default(),
            resting: Resting::default(),
            rows: Vec::new(),
            stats: RowStats::default(),
        }
    }

    /// The rows of a packet, without the flags of the two sides; none when it holds nothing.
    pub(super) fn rows_of(&mut self, packet: &Packet) -> Result<&[Row], ArrayError> {
        self.rows.clear();
        if self.trades_first {
            self.trades(packet);
        }
        let first_of_book = self.rows.len();
        if self.resting.takes(packet) {
            self.orders(packet);
        } else if self.instrument.feed == FeedKind::Snapshot && packet.touches_book() {
            self.whole_book(packet);
        } else if packet.kind == PacketKind::Reset {
            self.rows.push(Row { ev: CLEAR, ..Row::default() });
        } else if packet.kind == PacketKind::Snapshot {
            self.snapshot(packet);
        } else {
            self.changes(packet);
        }
        self.ids(packet, first_of_book);
        if !self.trades_first {
            self.trades(packet);
        }
        if self.rows.is_empty() {
            return Ok(&[]);
        }
        let (exch_ts_ns, local_ts_ns) = self.times(packet)?;
        for row in &mut self.rows {
            (row.exch_ts_ns, row.local_ts_ns) = (exch_ts_ns, local_ts_ns);
        }
        self.stats.packets += 1;
        Ok(&self.rows)
    }

    /// The two stamps; one that is unknown follows from the other.
    ///
    /// hftbacktest tells messages apart by local time alone and wants it sorted: one that repeats or
    /// steps back is moved forward, to 1 ns after the message before.
    fn times(&mut self, packet: &Packet) -> Result<(i64, i64), ArrayError> {
        let missing = |missing| ArrayError::NoTime { packet: self.stats.packets, missing };
        let (event, recv) = (packet.ts_event_ns, packet.ts_recv_ns);
        let (event, recv) = match (event, recv, self.feed_latency_ns) {
            (0, 0, _) => return Err(missing("time")),
            (0, _, None) => return Err(missing("event time")),
            (_, 0, None) => return Err(missing("local time")),
            (0, recv, Some(latency)) => (recv - latency, recv),
            (event, 0, Some(latency)) => (event, event + latency),
            stamps => (stamps.0, stamps.1),
        };
        let local = recv.max(self.local_ts_ns.saturating_add(1));
        if local > recv {
            let (packets, most_ns) = self.stats.moved;
            self.stats.moved = (packets + 1, most_ns.max(local - recv));
        }
        self.local_ts_ns = local;
        Ok((event, local))
    }

    fn ids(&mut self, packet: &Packet, first: usize) {
        let is_known = self.instrument.sequencing == Sequencing::Venue && packet.seq != 0;
        if !is_known || !packet.touches_book() {
            return;
        }
        let prev = if self.instrument.feed == FeedKind::Delta {
            self.chain.step(packet, self.rows.len() > first)
        } else {
            // Differences follow the book that they were taken to, a snapshot follows nothing.
            let is_change = self.rows.get(first).is_some_and(|row| row.ev & KIND_MASK == DEPTH);
            let prev = if is_change { self.window.written_seq } else { 0 };
            if self.rows.len() > first {
                self.window.written_seq = packet.seq;
            }
            prev
        };
        let fits = |id: u64| i64::try_from(id).ok().filter(|id| *id <= MAX_SCALED);
        let (ival, fval) = (fits(packet.seq), fits(prev).unwrap_or(0));
        for row in &mut self.rows[first..] {
            (row.ival, row.fval) = (ival.unwrap_or(0), fval as f64);
        }
    }

    fn push(&mut self, ev: u64, level: Level) {
        self.rows.push(level_row(&self.instrument, ev, level));
    }

    fn push_clear_side(&mut self, side: u64) {
        // hftbacktest clears a whole side when the bound is no number.
        self.rows.push(Row { ev: CLEAR | side, px: f64::NAN, ..Row::default() });
    }

    fn orders(&mut self, packet: &Packet) {
        let Self { resting, rows, instrument, .. } = self;
        let clear = |side| Row { ev: CLEAR | side, px: f64::NAN, ..Row::default() };
        let mut made = Vec::new();
        match resting.clear(packet, &mut |row| made.push(row)) {
            [true, true] => rows.push(clear(0)),
            [true, false] => rows.push(clear(BUY)),
            [false, true] => rows.push(clear(SELL)),
            [false, false] => {}
        }
        packet.orders.iter().for_each(|event| resting.take(event, &mut |row| made.push(row)));
        rows.extend(made.into_iter().map(|(kind, side, order_id, level)| {
            let side = if side == Side::Bid { BUY } else { SELL };
            Row { order_id, ..level_row(instrument, kind | side, level) }
        }));
    }

    fn changes(&mut self, packet: &Packet) {
        for (op, levels) in packet.runs() {
            let side = side_of(op);
            if is_clear(op) && levels.is_empty() {
                self.push_clear_side(side);
            }
            let kind = if is_clear(op) { CLEAR } else { DEPTH };
            for &level in levels {
                self.push(kind | side, level);
            }
        }
    }

    /// Each side is cleared up to its worst level, as the official converter does, or whole when the
    /// snapshot has no level of it.
    fn snapshot(&mut self, packet: &Packet) {
        for op in [BookOp::SetBid, BookOp::SetAsk] {
            let levels = || packet.runs().filter(|(found, _)| *found == op).flat_map(|(_, l)| l);
            let prices = levels().map(|level| level.price_ticks);
            let worst = if op == BookOp::SetBid { prices.min() } else { prices.max() };
            match worst {
                Some(worst) => self.push(CLEAR | side_of(op), Level::new(worst, 0)),
                None => self.push_clear_side(side_of(op)),
            }
            for &level in levels() {
                self.push(SNAPSHOT | side_of(op), level);
            }
        }
    }

    /// A book that replaces the one before: the differences, or all of it after a gap.
    fn whole_book(&mut self, packet: &Packet) {
        let window = &mut self.window;
        let is_late = match self.instrument.sequencing {
            Sequencing::Venue if packet.seq != 0 => packet.seq <= window.seq,
            Sequencing::Arrival => false,
            Sequencing::Venue | Sequencing::SourceTime => packet.ts_event_ns < window.ts_event_ns,
        };
        if window.is_known && is_late {
            self.stats.late_books += 1;
            return;
        }
        let follows = match (packet.prev_seq, packet.seq) {
            _ if self.instrument.sequencing != Sequencing::Venue => true,
            (_, 0) => true,
            (0, seq) => seq == window.seq + 1,
            (prev, _) => prev == window.seq,
        };
        let is_first = !std::mem::replace(&mut window.is_known, true);
        if packet.seq != 0 {
            window.seq = packet.seq;
        }
        window.ts_event_ns = packet.ts_event_ns;
        let changes = window.differences(packet);
        if is_first || !follows {
            self.snapshot(packet);
            return;
        }
        for (op, level) in changes {
            self.push(DEPTH | side_of(op), level);
        }
    }

    fn trades(&mut self, packet: &Packet) {
        for trade in &packet.trades {
            let side = match trade.aggressor {
                Aggressor::Buy => BUY,
                Aggressor::Sell => SELL,
                Aggressor::Unknown => 0,
            };
            self.push(TRADE | side, Level::new(trade.price_ticks, trade.qty_lots));
        }
    }
}

#[cfg(test)]
mod tests {
    use market_model::{OrderEvent, OrderOp};

    use super::*;

    fn update(seq: u64, first_seq: u64, prev_seq: u64) -> Packet {
        Packet { seq, first_seq, prev_seq, ..Packet::default() }
    }

    #[test]
    fn a_packet_without_rows_does_not_look_like_a_gap() {
        let mut chain = Chain::default();
        let snapshot = Packet { kind: PacketKind::Snapshot, seq: 10, ..Packet::default() };
        assert_eq!(chain.step(&snapshot, true), 0);
        assert_eq!(chain.step(&update(15, 11, 10), true), 10);
        assert_eq!(chain.step(&update(20, 17, 15), false), 15);
        assert_eq!(chain.step(&update(25, 22, 20), true), 15, "20 is in no row");
        assert_eq!(chain.step(&update(25, 22, 20), true), 20, "repeated");
        assert_eq!(chain.step(&update(40, 35, 33), true), 33, "a gap stays one");
        assert_eq!(chain.step(&update(30, 26, 25), true), 25, "and is not accepted");
    }

    #[test]
    fn ids_without_a_named_predecessor_follow_by_their_first_id() {
        let mut chain = Chain::default();
        assert_eq!(chain.step(&update(10, 8, 0), true), 7);
        assert_eq!(chain.step(&update(12, 9, 0), true), 10, "it overlaps");
        assert_eq!(chain.step(&update(14, 13, 0), true), 12);
        assert_eq!(chain.step(&update(19, 17, 0), true), 16, "15 and 16 are missing");
    }

    fn book(seq: u64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Packet {
        let mut packet = Packet { kind: PacketKind::Snapshot, seq, ..Packet::default() };
        (packet.ts_event_ns, packet.ts_recv_ns) = (seq as i64 * 10, seq as i64 * 10 + 5);
        for (op, levels) in [(BookOp::SetBid, bids), (BookOp::SetAsk, asks)] {
            for &(price, lots) in levels {
                packet.push_level(op, Level::new(price, lots));
            }
        }
        packet
    }

    fn shown(rows: &[Row]) -> Vec<(u64, u64, f64, f64)> {
        rows.iter().map(|row| (row.ev & KIND_MASK, row.ev >> 28 & 3, row.px, row.qty)).collect()
    }

    #[test]
    fn whole_books_become_differences_and_a_gap_a_snapshot() {
        let mut instrument = Instrument::new(0, "X", "1", "1").unwrap();
        instrument.feed = FeedKind::Snapshot;
        let mut maker = RowMaker::new(&instrument, None, false);
        let first = shown(maker.rows_of(&book(1, &[(9, 1), (8, 1)], &[(11, 1)])).unwrap());
        assert_eq!(
            first,
            [
                (3, 2, 8.0, 0.0),
                (4, 2, 9.0, 1.0),
                (4, 2, 8.0, 1.0),
                (3, 1, 11.0, 0.0),
                (4, 1, 11.0, 1.0)
            ]
        );
        let second = maker.rows_of(&book(2, &[(11, 3), (9, 1)], &[(12, 1)])).unwrap().to_vec();
        let want = [(1, 2, 8.0, 0.0), (1, 1, 11.0, 0.0), (1, 2, 11.0, 3.0), (1, 1, 12.0, 1.0)];
        assert_eq!(shown(&second), want);
        assert!(second.iter().all(|row| (row.ival, row.fval) == (2, 1.0)));
        assert_eq!(shown(maker.rows_of(&book(2, &[(9, 5)], &[])).unwrap()), []);
        assert_eq!(shown(maker.rows_of(&book(3, &[(11, 3), (9, 1)], &[(12, 1)])).unwrap()), []);
        let gap = maker.rows_of(&book(7, &[(9, 1)], &[])).unwrap();
        assert_eq!((gap[0].ev & KIND_MASK, gap[2].ev & KIND_MASK), (CLEAR, CLEAR));
        assert!(gap.len() == 3 && gap[2].px.is_nan(), "{gap:?}");
        assert_eq!((maker.stats.packets, maker.stats.late_books), (3, 1));
    }

    fn order(op: OrderOp, id: u64, price_ticks: i64, qty_lots: i64) -> OrderEvent {
        OrderEvent { order_id: id, price_ticks, qty_lots, side: Side::Bid, op }
    }

    #[test]
    fn orders_become_rows_that_state_what_is_left_of_them() {
        let instrument = Instrument::new(0, "X", "1", "1").unwrap();
        let mut maker = RowMaker::new(&instrument, None, false);
        let mut rows = |kind, orders: &[OrderEvent]| {
            let orders = orders.to_vec();
            let (ts_event_ns, ts_recv_ns) = (10, 15);
            let packet = Packet { kind, orders, ts_event_ns, ts_recv_ns, ..Packet::default() };
            let rows = maker.rows_of(&packet).unwrap();
            rows.iter().map(|r| (r.ev & KIND_MASK, r.order_id, r.px, r.qty)).collect::<Vec<_>>()
        };
        let (add, modify) = (OrderOp::Add, OrderOp::Modify);
        let (fill, cancel) = (OrderOp::Fill, OrderOp::Cancel);
        let first = rows(PacketKind::Snapshot, &[order(add, 7, 9, 5), order(add, 8, 8, 4)]);
        assert_eq!(first[0].0, CLEAR);
        assert_eq!(first[1..], [(10, 7, 9.0, 5.0), (10, 8, 8.0, 4.0)]);
        let delta = PacketKind::Delta;
        assert_eq!(
            rows(delta, &[order(fill, 7, 0, 2), order(cancel, 7, 0, 1), order(fill, 9, 0, 1)]),
            [(13, 7, 9.0, 2.0), (12, 7, 9.0, 3.0), (12, 7, 9.0, 2.0)],
            "an order that does not rest makes no row"
        );
        assert_eq!(
            rows(delta, &[order(modify, 7, 7, 6), order(add, 8, 8, 1), order(fill, 7, 0, 0)]),
            [
                (12, 7, 7.0, 6.0),
                (11, 8, 8.0, 4.0),
                (10, 8, 8.0, 1.0),
                (13, 7, 7.0, 6.0),
                (11, 7, 7.0, 6.0)
            ]
        );
        let mut asks = order(modify, 8, 8, 2);
        asks.side = Side::Ask;
        assert_eq!(rows(delta, &[asks]), [(11, 8, 8.0, 1.0), (10, 8, 8.0, 2.0)]);
    }

    #[test]
    fn times_are_made_where_they_are_missing_and_moved_where_they_repeat() {
        let instrument = Instrument::new(0, "X", "1", "1").unwrap();
        let packet = |event, recv| {
            let mut packet = book(1, &[(9, 1)], &[(11, 1)]);
            (packet.ts_event_ns, packet.ts_recv_ns) = (event, recv);
            packet
        };
        let mut strict = RowMaker::new(&instrument, None, false);
        for (event, recv, part) in [(0, 5, "event time"), (5, 0, "local time"), (0, 0, "no time")] {
            let error = strict.rows_of(&packet(event, recv)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let mut maker = RowMaker::new(&instrument, Some(3), false);
        let mut stamps = |event, recv| {
            let row = maker.rows_of(&packet(event, recv)).unwrap()[0];
            (row.exch_ts_ns, row.local_ts_ns)
        };
        assert_eq!(stamps(10, 0), (10, 13));
        assert_eq!(stamps(0, 20), (17, 20));
        assert_eq!(stamps(12, 20), (12, 21));
        assert_eq!(stamps(13, 15), (13, 22));
        assert_eq!(maker.stats.moved, (2, 7));
    }
}
