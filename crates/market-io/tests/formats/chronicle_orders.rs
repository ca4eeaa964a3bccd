//! Queues of single orders: the packets of each event, and books that are those of a book by hand.

use std::collections::BTreeMap;

use lob_engine::{Book, OrderFaults};
use market_io::OpenOptions;
use market_io::synthetic::Rng;
use market_model::{
    Aggressor, BookNeeds, BookView, FeedKind, OrderEvent, OrderOp, Packet, PacketKind, Sequencing,
    Side, Trade,
};
use tempfile::TempDir;
use testkit::chronicle::{BOOK_EVENT, EventHead, OrderRecord, SegmentWriter};

use crate::book::{drain, options, read, write_file};

const NS: u64 = 1_700_000_000_000_000_000;
const MARKET: u32 = 1;
const NO_PRICE: u32 = 1;
const OPENING: u32 = 2;

const ADD: OrderRecord =
    OrderRecord { kind: 1, side: 1, flags: 0, order_id: 0, pair: [0; 2], price: 10_000, size: 300 };

fn add(order_id: u64, side: u8, price: u64) -> OrderRecord {
    OrderRecord { order_id, side, price, ..ADD }
}

fn cancel(order_id: u64, size: u64) -> OrderRecord {
    OrderRecord { kind: 2, order_id, size, side: 0, price: 0, ..ADD }
}

fn trade(pair: [u64; 2], price: u64, size: u64) -> OrderRecord {
    OrderRecord { kind: 4, side: 0, pair, price, size, ..ADD }
}

fn in_opening(order: OrderRecord) -> OrderRecord {
    OrderRecord { flags: order.flags | OPENING, ..order }
}

fn head(market: u32, seq: u64) -> EventHead {
    let (ingest_ns, exchange_ns) = (NS + seq * 1_000 + 5, NS + seq * 1_000);
    EventHead { market: (0, market), ingest_ns, exchange_ns, seq, native_seq: seq }
}

/// One segment with the events of markets; a break of the record numbers before each `None`.
fn queue(dir: &TempDir, events: &[Option<(u32, OrderRecord)>]) -> OpenOptions {
    let mut segment = SegmentWriter::new(0, 256 * (events.len() + 2));
    for (seq, event) in (1..).zip(events) {
        if let Some((market, order)) = event {
            segment.record(seq, NS + seq, BOOK_EVENT, &head(*market, seq).order(order));
        }
    }
    let inputs = vec![write_file(dir, "000000000.q", &segment.into_bytes())];
    let sized = OpenOptions { tick_size: Some("0.01".into()), ..options(inputs) };
    OpenOptions { lot_size: Some("1".into()), ..sized }
}

fn of_one(dir: &TempDir, orders: &[OrderRecord]) -> OpenOptions {
    let events: Vec<_> = orders.iter().map(|order| Some((MARKET, *order))).collect();
    queue(dir, &events)
}

fn event(op: OrderOp, order_id: u64, side: Side, price_ticks: i64, qty_lots: i64) -> OrderEvent {
    OrderEvent { order_id, price_ticks, qty_lots, side, op }
}

#[test]
fn each_kind_of_event_gives_its_packet() {
    let dir = tempfile::tempdir().unwrap();
    let change = OrderRecord { kind: 3, size: 200, ..add(7, 1, 10_010) };
    let alone = OrderRecord { order_id: 8, ..trade([0, 0], 10_020, 0) };
    let options = of_one(
        &dir,
        &[
            add(7, 1, 10_000),
            add(8, 2, 10_020),
            cancel(7, 100),
            change,
            trade([7, 8], 10_020, 50),
            cancel(7, 0),
            alone,
            OrderRecord { kind: 6, ..ADD },
            OrderRecord { kind: 5, ..ADD },
        ],
    );
    let mut source = market_io::open(&options).unwrap();
    let instrument = source.instrument();
    assert_eq!((instrument.sequencing, instrument.feed), (Sequencing::Arrival, FeedKind::Delta));
    assert_eq!((instrument.symbol.as_str(), instrument.venue.as_str()), ("0:1", "chronicle-0"));
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(source.stats().ignored["trade without price or quantity"], 1);
    let (bid, ask) = (Side::Bid, Side::Ask);
    let orders: Vec<_> = packets.iter().map(|packet| packet.orders.clone()).collect();
    let wanted = [
        vec![event(OrderOp::Add, 7, bid, 1_000, 300)],
        vec![event(OrderOp::Add, 8, ask, 1_002, 300)],
        vec![event(OrderOp::Cancel, 7, bid, 0, 100)],
        vec![event(OrderOp::Modify, 7, bid, 1_001, 200)],
        vec![event(OrderOp::Fill, 7, bid, 0, 50), event(OrderOp::Fill, 8, ask, 0, 50)],
        vec![event(OrderOp::Cancel, 7, bid, 0, 0)],
        vec![event(OrderOp::Fill, 8, bid, 0, 0)],
        vec![],
        vec![],
    ];
    assert_eq!(orders, wanted);
    let aggressor = Aggressor::Unknown;
    assert_eq!(packets[4].trades, [Trade { price_ticks: 1_002, qty_lots: 50, aggressor }]);
    let kinds = [packets[7].kind, packets[8].kind];
    assert_eq!(kinds, [PacketKind::Heartbeat, PacketKind::Reset]);
    let first = &packets[0];
    let times = [first.ts_event_ns, first.ts_recv_ns].map(i64::cast_unsigned);
    assert_eq!((times, first.seq), ([NS + 1_000, NS + 1_005], 0));
}

/// An order without a price is in no queue, and what happens to it contradicts nothing.
#[test]
fn orders_without_a_price_are_known_and_in_no_queue() {
    let dir = tempfile::tempdir().unwrap();
    let market = |order_id, side| OrderRecord { flags: NO_PRICE, ..add(order_id, side, 0) };
    let priced = OrderRecord { kind: 3, size: 100, ..add(3, 2, 10_030) };
    let unpriced = OrderRecord { flags: NO_PRICE, kind: 3, size: 100, ..add(2, 1, 0) };
    let options = of_one(
        &dir,
        &[
            add(1, 2, 10_020),
            market(2, 1),
            trade([2, 1], 10_020, 300),
            market(3, 2),
            cancel(3, 200),
            // The market order gets a price, an order in a queue loses its own.
            priced,
            add(2, 1, 10_000),
            unpriced,
            cancel(2, 0),
        ],
    );
    let mut source = market_io::open(&options).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    let ids: Vec<_> =
        packets.iter().flat_map(|packet| &packet.orders).map(|o| o.order_id).collect();
    assert_eq!(ids, [1, 1, 3, 2, 2]);
    assert_eq!(source.stats().ignored["event of an order without a price"], 4);
    let mut book = Book::new(BookNeeds { orders: true, ..BookNeeds::top(1) });
    packets.iter().for_each(|packet| book.apply(packet).unwrap());
    assert_eq!(book.order_faults(), OrderFaults::default());
    assert_eq!(book.levels(Side::Bid).len(), 0);
    assert_eq!(book.best(Side::Ask).unwrap().price_ticks, 1_003);
}

#[test]
fn a_call_auction_is_one_packet_whatever_stands_between_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let other = |order_id| Some((2, add(order_id, 1, 5_000)));
    let mine = |order| Some((MARKET, order));
    let events = [
        mine(in_opening(add(1, 1, 10_050))),
        other(2),
        mine(in_opening(add(3, 2, 10_000))),
        mine(in_opening(OrderRecord { flags: NO_PRICE, ..add(4, 1, 0) })),
        other(5),
        mine(in_opening(trade([1, 3], 10_020, 300))),
        other(6),
        mine(add(7, 1, 9_990)),
        mine(in_opening(add(8, 1, 9_980))),
        None,
        mine(in_opening(add(9, 1, 9_970))),
    ];
    let options = OpenOptions { symbol: Some("1".into()), ..queue(&dir, &events) };
    let (packets, error) = read(&options);
    assert!(error.is_none(), "{error:?}");
    let counts =
        packets.iter().map(|packet| (packet.kind, packet.orders.len(), packet.trades.len()));
    let (delta, rejected) = (PacketKind::Delta, PacketKind::Rejected);
    let wanted = [(delta, 4, 1), (delta, 1, 0), (delta, 1, 0), (rejected, 0, 0), (delta, 1, 0)];
    assert_eq!(counts.collect::<Vec<_>>(), wanted);
    assert_eq!(packets[0].ts_event_ns.cast_unsigned(), NS + 6_000, "the time of its last record");
    // A damaged end does not take what was gathered before it.
    let path = &options.inputs[0];
    let mut bytes = std::fs::read(path).unwrap();
    let last = 64 + 9 * 192;
    bytes[last..last + 4].fill(0);
    std::fs::write(path, bytes).unwrap();
    let (found, error) = read(&options);
    assert_eq!(found, packets[..3]);
    assert!(error.unwrap().to_string().contains("a hole"));
}

#[test]
fn events_that_leave_something_open_are_refused_by_field() {
    let dir = tempfile::tempdir().unwrap();
    let change = OrderRecord { kind: 3, ..add(7, 1, 10_000) };
    for (bad, part) in [
        (OrderRecord { kind: 9, ..ADD }, "field `order event_type`: expected 1 to 6, found 9"),
        (add(0, 1, 10_000), "field `order_id`: expected the number of an order"),
        (add(7, 0, 10_000), "field `side`: expected 1 (buy) or 2 (sell), found 0"),
        (add(7, 1, 10_001), "field `price`: expected a price on the tick grid"),
        (add(7, 1, u64::MAX), "field `price`"),
        (cancel(0, 5), "field `order_id`"),
        (OrderRecord { size: 0, ..change }, "field `qty`: expected what is left"),
        (
            OrderRecord { price: 0, ..change },
            "field `price`: expected the price of the order after",
        ),
        (OrderRecord { side: 0, ..change }, "field `side`"),
        (trade([0, 0], 10_000, 5), "field `order_id`"),
    ] {
        let options = of_one(&dir, &[add(7, 1, 10_000), bad]);
        let mut source = market_io::open(&options).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(packets[1].kind, PacketKind::Rejected, "{bad:?}");
        let fault = source.stats().faults[0].to_string();
        assert!(fault.contains(part), "{fault}");
    }
    let mut segment = SegmentWriter::new(0, 1_024);
    segment.record(0, NS, BOOK_EVENT, &head(MARKET, 0).order(&add(7, 1, 10_000)));
    segment.record(1, NS, BOOK_EVENT, &head(MARKET, 1).event(2, 1, &[1; 48]));
    let path = write_file(&dir, "short.q", &segment.into_bytes());
    let mut source = market_io::open(&options(vec![path])).unwrap();
    drain(source.as_mut());
    let fault = source.stats().faults[0].to_string();
    assert!(fault.contains("expected 64 bytes for the event of an order, found 48"), "{fault}");
}

/// Ticks and lots of the levels of both sides, best first.
type Levels = [Vec<(i64, i64)>; 2];

/// The book by hand: orders by id, as the rules have it; side, ticks (0 without a price), lots.
#[derive(Default)]
struct Plain {
    orders: BTreeMap<u64, (Side, i64, i64)>,
}

impl Plain {
    fn take(&mut self, id: u64, lots: i64) {
        let order = self.orders.get_mut(&id).unwrap();
        order.2 -= if lots == 0 { order.2 } else { lots };
        if order.2 == 0 {
            self.orders.remove(&id);
        }
    }

    fn levels(&self, side: Side) -> Vec<(i64, i64)> {
        let mut levels = BTreeMap::<i64, i64>::new();
        for (_, ticks, lots) in self.orders.values().filter(|order| order.0 == side && order.1 != 0)
        {
            *levels.entry(*ticks).or_default() += lots;
        }
        let ascending: Vec<_> = levels.into_iter().collect();
        if side == Side::Ask { ascending } else { ascending.into_iter().rev().collect() }
    }
}

/// A random day: each event, and the levels of the book by hand behind it.
fn day(rng: &mut Rng, len: usize) -> (Vec<OrderRecord>, Vec<Levels>) {
    let (mut plain, mut events, mut levels) = (Plain::default(), Vec::new(), Vec::new());
    for order_id in 1..=len as u64 {
        let (ticks, lots) = (900 + rng.below(200), 1 + rng.below(500));
        let known: Vec<u64> = plain.orders.keys().copied().collect();
        let pick = |rng: &mut Rng| known[rng.below(known.len() as u64) as usize];
        let part = |plain: &Plain, rng: &mut Rng, id: u64| {
            rng.below(plain.orders[&id].2.cast_unsigned() + 1)
        };
        let event = match rng.below(10) {
            0..=1 if !known.is_empty() => {
                let id = pick(rng);
                let size = part(&plain, rng, id);
                plain.take(id, size.cast_signed());
                cancel(id, size)
            }
            2..=3 if !known.is_empty() => {
                let id = pick(rng);
                let size = part(&plain, rng, id).max(1);
                plain.take(id, size.cast_signed());
                let pair = if rng.below(2) == 0 { [id, 0] } else { [0, id] };
                trade(pair, ticks * 10, size)
            }
            4 => {
                plain.orders.insert(order_id, (Side::Bid, 0, lots.cast_signed()));
                OrderRecord { flags: NO_PRICE, size: lots, ..add(order_id, 1, 0) }
            }
            5 if !known.is_empty() => {
                let id = pick(rng);
                let side = plain.orders[&id].0;
                plain.orders.insert(id, (side, ticks.cast_signed(), lots.cast_signed()));
                let side = if side == Side::Bid { 1 } else { 2 };
                OrderRecord { kind: 3, size: lots, ..add(id, side, ticks * 10) }
            }
            _ => {
                let side = if rng.below(2) == 0 { Side::Bid } else { Side::Ask };
                plain.orders.insert(order_id, (side, ticks.cast_signed(), lots.cast_signed()));
                let side = if side == Side::Bid { 1 } else { 2 };
                OrderRecord { size: lots, ..add(order_id, side, ticks * 10) }
            }
        };
        events.push(event);
        levels.push([plain.levels(Side::Bid), plain.levels(Side::Ask)]);
    }
    (events, levels)
}

#[test]
fn books_are_those_of_a_book_by_hand() {
    for seed in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (events, levels) = day(&mut Rng::new(seed), 400);
        let options = of_one(&dir, &events);
        let mut source = market_io::open(&options).unwrap();
        let mut book = Book::new(BookNeeds { orders: true, ..BookNeeds::top(1) });
        let mut packet = Packet::default();
        let mut compared = 0;
        while source.next_packet(&mut packet).unwrap() {
            book.apply(&packet).unwrap();
            let number = ((packet.ts_event_ns.cast_unsigned() - NS) / 1_000) as usize;
            for (side, wanted) in [Side::Bid, Side::Ask].into_iter().zip(&levels[number - 1]) {
                let found = book.levels(side).into_iter().map(|l| (l.price_ticks, l.qty_lots));
                assert_eq!(found.collect::<Vec<_>>(), *wanted, "seed {seed}, event {number}");
            }
            compared += 1;
        }
        assert_eq!(book.order_faults(), OrderFaults::default());
        assert!(compared > 300, "{compared}");
    }
}

#[test]
fn places_hold_the_orders_without_a_price() {
    let dir = tempfile::tempdir().unwrap();
    let options = of_one(&dir, &day(&mut Rng::new(3), 300).0);
    let mut source = market_io::open(&options).unwrap();
    let (mut packets, mut places, mut packet) = (Vec::new(), Vec::new(), Packet::default());
    while source.next_packet(&mut packet).unwrap() {
        packets.push(packet.clone());
        places.push(source.place().unwrap());
    }
    for (at, place) in places.iter().enumerate().step_by(7) {
        let mut late = market_io::open(&options).unwrap();
        late.resume(place).unwrap();
        let (found, error) = drain(late.as_mut());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(found, packets[at + 1..], "behind packet {at}");
    }
}
