//! The book of orders against a naive one: a list of orders, from which everything is counted anew.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;

use lob_engine::{Book, BookShape, Error, LobEngine, MAX_LEVELS, MAX_ORDERS, OrderFaults, Outcome};
use market_model::{
    BookNeeds, BookOp, BookView, Instrument, Level, MAX_SCALED, OrderEvent, OrderFlow, OrderOp,
    Packet, PacketKind, QualityFlags, Queue, Side, StateReader, StateWriter,
};
use proptest::collection::vec;
use proptest::prelude::*;

const SIDES: [Side; 2] = [Side::Bid, Side::Ask];

/// What a naive book can be made to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    KeepsPlaceWhenLarger,
    LosesPlaceWhenSmaller,
    DuplicateAddsUp,
    PartialFillRemoves,
    UnknownModifyIgnored,
    OverdrawnStays,
    ClearKeepsOrders,
    SnapshotIsFlow,
    ReplacedIsNoCancel,
    FlowIsOfLastPacket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resting {
    id: u64,
    side: Side,
    price: i64,
    lots: i64,
    placed_ns: i64,
}

#[derive(Debug, Default, Clone)]
struct Naive {
    orders: Vec<Resting>,
    faults: OrderFaults,
    flows: [OrderFlow; 2],
    is_settled: bool,
    defect: Option<Defect>,
}

impl Naive {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn packet(&mut self, packet: &Packet, now_ns: i64) {
        if !packet.touches_book() {
            return;
        }
        if self.is_settled || self.has(Defect::FlowIsOfLastPacket) {
            self.flows = Default::default();
        }
        if packet.kind == PacketKind::Snapshot {
            self.orders.clear();
        }
        for (op, levels) in packet.runs() {
            let bound = levels.first().map(|level| level.price_ticks);
            let goes = |order: &Resting| match op {
                BookOp::ClearBid => {
                    order.side == Side::Bid && bound.is_none_or(|p| order.price >= p)
                }
                BookOp::ClearAsk => {
                    order.side == Side::Ask && bound.is_none_or(|p| order.price <= p)
                }
                BookOp::SetBid | BookOp::SetAsk => false,
            };
            if !self.has(Defect::ClearKeepsOrders) {
                self.orders.retain(|order| !goes(order));
            }
        }
        packet.orders.iter().for_each(|event| self.event(event, now_ns));
        if packet.kind == PacketKind::Snapshot && !self.has(Defect::SnapshotIsFlow) {
            self.flows = Default::default();
        }
        let (bid, ask) = (self.levels(Side::Bid), self.levels(Side::Ask));
        self.is_settled = matches!(
            (bid.first(), ask.first()),
            (Some(bid), Some(ask)) if bid.price_ticks <= ask.price_ticks
        );
    }

    fn event(&mut self, event: &OrderEvent, now_ns: i64) {
        let found = self.orders.iter().position(|order| order.id == event.order_id);
        match (event.op, found) {
            (OrderOp::Add, Some(at)) => {
                self.faults.known += 1;
                if !self.has(Defect::DuplicateAddsUp) {
                    self.orders.remove(at);
                }
                self.enter(event, now_ns);
            }
            (OrderOp::Add, None) => self.enter(event, now_ns),
            (OrderOp::Modify, None) => {
                self.faults.unknown += 1;
                if !self.has(Defect::UnknownModifyIgnored) {
                    self.enter(event, now_ns);
                }
            }
            (OrderOp::Modify, Some(at)) => self.modify(at, event, now_ns),
            (OrderOp::Cancel | OrderOp::Fill, None) => self.faults.unknown += 1,
            (OrderOp::Cancel | OrderOp::Fill, Some(at)) => self.take(at, event),
        }
    }

    fn enter(&mut self, event: &OrderEvent, placed_ns: i64) {
        if event.qty_lots > 0 {
            let OrderEvent { order_id: id, price_ticks: price, qty_lots: lots, side, .. } = *event;
            self.orders.push(Resting { id, side, price, lots, placed_ns });
            let flow = &mut self.flows[side as usize];
            flow.add_count += 1;
            flow.add_lots += i128::from(lots);
        }
    }

    fn modify(&mut self, at: usize, event: &OrderEvent, now_ns: i64) {
        let old = self.orders[at];
        let same_place = (old.side, old.price) == (event.side, event.price_ticks);
        let shrinks = event.qty_lots > 0 && event.qty_lots <= old.lots;
        let keeps = if self.has(Defect::KeepsPlaceWhenLarger) {
            event.qty_lots > 0
        } else {
            shrinks && !self.has(Defect::LosesPlaceWhenSmaller)
        };
        if same_place && keeps {
            self.orders[at].lots = event.qty_lots;
            self.cancelled(old.side, old.lots - event.qty_lots);
            return;
        }
        self.orders.remove(at);
        if !self.has(Defect::ReplacedIsNoCancel) {
            self.cancelled(old.side, old.lots);
        }
        self.enter(event, now_ns);
    }

    fn cancelled(&mut self, side: Side, lots: i64) {
        let flow = &mut self.flows[side as usize];
        flow.cancel_count += u64::from(lots > 0);
        flow.cancel_lots += i128::from(lots);
    }

    fn take(&mut self, at: usize, event: &OrderEvent) {
        let left = self.orders[at].lots;
        let side = self.orders[at].side;
        self.faults.overdrawn += u64::from(event.qty_lots > left);
        if event.qty_lots > left && self.has(Defect::OverdrawnStays) {
            return;
        }
        let gone = if event.qty_lots == 0 { left } else { event.qty_lots.min(left) };
        self.orders[at].lots -= gone;
        let removes = event.op == OrderOp::Fill && self.has(Defect::PartialFillRemoves);
        if gone == left || removes {
            self.orders.remove(at);
        }
        if event.op == OrderOp::Cancel {
            self.cancelled(side, gone);
        } else {
            let flow = &mut self.flows[side as usize];
            flow.fill_count += 1;
            flow.fill_lots += i128::from(gone);
        }
    }

    fn levels(&self, side: Side) -> Vec<Level> {
        let mut sums = BTreeMap::<i64, i64>::new();
        for order in self.orders.iter().filter(|order| order.side == side) {
            *sums.entry(order.price).or_default() += order.lots;
        }
        let mut levels: Vec<_> = sums.into_iter().map(|(p, q)| Level::new(p, q)).collect();
        if side == Side::Bid {
            levels.reverse();
        }
        levels
    }

    fn queue(&self, side: Side, price: i64) -> Queue {
        let here = self.orders.iter().filter(|order| (order.side, order.price) == (side, price));
        let placed: Vec<i64> = here.map(|order| order.placed_ns).collect();
        Queue {
            orders: placed.len() as u64,
            placed_sum_ns: placed.into_iter().map(i128::from).sum(),
        }
    }
}

fn event() -> impl Strategy<Value = OrderEvent> {
    let op = prop_oneof![
        5 => Just(OrderOp::Add),
        3 => Just(OrderOp::Modify),
        3 => Just(OrderOp::Cancel),
        3 => Just(OrderOp::Fill),
    ];
    let side = prop_oneof![Just((Side::Bid, 90)), Just((Side::Ask, 99))];
    let qty = prop_oneof![1 => Just(0_i64), 9 => 1..8_i64];
    (op, side, 0..11_i64, qty, 0..40_u64).prop_map(
        |(op, (side, low), price, qty_lots, order_id)| OrderEvent {
            order_id,
            price_ticks: low + price,
            qty_lots,
            side,
            op,
        },
    )
}

fn packet() -> impl Strategy<Value = Packet> {
    let clear =
        (prop_oneof![Just(BookOp::ClearBid), Just(BookOp::ClearAsk)], 88..112_i64, any::<bool>());
    let clear = proptest::option::weighted(0.15, clear);
    (vec(event(), 0..6), clear, proptest::bool::weighted(0.05)).prop_map(
        |(orders, clear, replaces)| {
            let kind = if replaces { PacketKind::Snapshot } else { PacketKind::Delta };
            let mut packet = Packet { kind, orders, ..Packet::default() };
            match clear {
                Some((op, _, true)) => packet.push_clear_side(op),
                Some((op, price, false)) => packet.push_level(op, Level::new(price, 0)),
                None => {}
            }
            packet
        },
    )
}

fn needs(changes: bool) -> BookNeeds {
    BookNeeds { orders: true, changes, band_sums: true, ..BookNeeds::top(4) }
}

/// Runs both books through the engine; the first thing that differs.
fn difference(packets: &[Packet], changes: bool, defect: Option<Defect>) -> Option<String> {
    let mut instrument = Instrument::new(0, "TEST", "1", "1").unwrap();
    instrument.sequencing = market_model::Sequencing::Arrival;
    let mut engine = LobEngine::new(&instrument, needs(changes));
    let mut naive = Naive { defect, ..Naive::default() };
    let mut is_of_orders = false;
    for (index, packet) in packets.iter().enumerate() {
        let now_ns = 1_700_000_000_000_000_000 + 1_000 * index as i64;
        let packet = Packet { ts_event_ns: now_ns, ..packet.clone() };
        let Ok(Outcome::Applied(_)) = engine.apply(&packet) else {
            return Some(format!("packet {index} was not applied"));
        };
        naive.packet(&packet, now_ns);
        is_of_orders &= packet.kind != PacketKind::Snapshot;
        is_of_orders |= !packet.orders.is_empty();
        let book = engine.book();
        let at = |what: &str| Some(format!("packet {index}: {what}"));
        if book.order_faults() != naive.faults {
            return at("faults");
        }
        if book.order_count() != naive.orders.len() {
            return at("number of orders");
        }
        for side in SIDES {
            let want = naive.levels(side);
            if book.levels(side) != want || book.top(side) != &want[..want.len().min(4)] {
                return at("levels");
            }
            // Whole blocks of sixteen neighbouring prices, whose sums are kept.
            let within = want.iter().filter(|level| (80..=112).contains(&level.price_ticks));
            let sum_lots: i64 = within.map(|level| level.qty_lots).sum();
            if book.qty_between_lots(side, 80, 112) != i128::from(sum_lots) {
                return at("sum");
            }
            if book.order_flow(side) != is_of_orders.then_some(naive.flows[side as usize]) {
                return at("flow");
            }
            let queue = |price| is_of_orders.then(|| naive.queue(side, price));
            if (88..112).any(|price| book.queue(side, price) != queue(price)) {
                return at("queue");
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_book_of_orders_equals_a_list_of_orders(packets in vec(packet(), 1..60), changes in any::<bool>()) {
        prop_assert_eq!(difference(&packets, changes, None), None);
    }

    /// Equal states give equal bytes, and what follows them is the same.
    #[test]
    fn a_restored_book_continues(packets in vec(packet(), 2..60), cut in 0..60_usize) {
        let instrument = Instrument::new(0, "TEST", "1", "1").unwrap();
        let mut whole = LobEngine::new(&instrument, needs(true));
        let (before, after) = packets.split_at(cut.min(packets.len()));
        for packet in before {
            whole.apply(packet).unwrap();
        }
        let mut out = StateWriter::default();
        whole.save(&mut out);
        let bytes = out.into_bytes();
        let mut resumed = LobEngine::new(&instrument, needs(true));
        resumed.load(&mut StateReader::new(&bytes)).unwrap();
        let mut out = StateWriter::default();
        resumed.save(&mut out);
        prop_assert_eq!(out.into_bytes(), bytes);
        for packet in after {
            prop_assert_eq!(whole.apply(packet).unwrap(), resumed.apply(packet).unwrap());
            for side in SIDES {
                prop_assert_eq!(whole.book().levels(side), resumed.book().levels(side));
                prop_assert_eq!(whole.book().changes(side), resumed.book().changes(side));
                prop_assert_eq!(whole.book().order_flow(side), resumed.book().order_flow(side));
            }
        }
    }
}

#[test]
fn every_planted_defect_is_seen() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tapes: Vec<Vec<Packet>> =
        (0..60).map(|_| vec(packet(), 1..60).new_tree(&mut runner).unwrap().current()).collect();
    for defect in [
        Defect::KeepsPlaceWhenLarger,
        Defect::LosesPlaceWhenSmaller,
        Defect::DuplicateAddsUp,
        Defect::PartialFillRemoves,
        Defect::UnknownModifyIgnored,
        Defect::OverdrawnStays,
        Defect::ClearKeepsOrders,
        Defect::SnapshotIsFlow,
        Defect::ReplacedIsNoCancel,
        Defect::FlowIsOfLastPacket,
    ] {
        let found = tapes.iter().find_map(|packets| difference(packets, false, Some(defect)));
        println!(
            "{defect:?}: {}",
            found.as_ref().unwrap_or_else(|| panic!("{defect:?} was not seen"))
        );
    }
}

fn order(op: OrderOp, order_id: u64, side: Side, price_ticks: i64, qty_lots: i64) -> OrderEvent {
    OrderEvent { order_id, price_ticks, qty_lots, side, op }
}

fn with(orders: &[OrderEvent]) -> Packet {
    Packet { ts_event_ns: 1_700_000_000_000_000_000, orders: orders.to_vec(), ..Packet::default() }
}

#[test]
fn an_order_that_contradicts_the_book_leaves_it_unverified() {
    let mut instrument = Instrument::new(0, "TEST", "1", "1").unwrap();
    instrument.sequencing = market_model::Sequencing::Arrival;
    let mut engine = LobEngine::new(&instrument, BookNeeds::top(1));
    let two_sided =
        [order(OrderOp::Add, 1, Side::Bid, 10, 5), order(OrderOp::Add, 2, Side::Ask, 11, 5)];
    let mut take = |packet: &Packet| match engine.apply(packet).unwrap() {
        Outcome::Applied(applied) => applied.flags,
        other => panic!("{other:?}"),
    };
    let snapshot = Packet { kind: PacketKind::Snapshot, ..with(&two_sided) };
    assert_eq!(take(&with(&two_sided)), QualityFlags::UNVERIFIED_BOOK, "nothing has confirmed it");
    assert_eq!(take(&snapshot), QualityFlags::empty());
    assert_eq!(take(&with(&[order(OrderOp::Fill, 1, Side::Bid, 0, 2)])), QualityFlags::empty());
    for wrong in [
        order(OrderOp::Cancel, 9, Side::Bid, 0, 1),
        order(OrderOp::Fill, 2, Side::Ask, 0, 6),
        order(OrderOp::Add, 1, Side::Bid, 10, 5),
    ] {
        assert_eq!(take(&snapshot), QualityFlags::empty());
        assert!(take(&with(&[wrong])).contains(QualityFlags::UNVERIFIED_BOOK), "{wrong:?}");
        let next = take(&with(&[order(OrderOp::Add, 50, Side::Ask, 12, 1)]));
        assert!(next.contains(QualityFlags::UNVERIFIED_BOOK), "until the next snapshot");
    }
    let want = OrderFaults { unknown: 1, known: 1, overdrawn: 1 };
    assert_eq!(engine.book().order_faults(), want);
}

#[test]
fn refused_packets_change_nothing() {
    let add = |id, price, lots| order(OrderOp::Add, id, Side::Bid, price, lots);
    let mut levels = Packet::default();
    levels.push_level(BookOp::SetBid, Level::new(10, 1));
    let mut both = with(&[add(7, 10, 1)]);
    both.push_level(BookOp::SetAsk, Level::new(20, 1));
    let many = (0..=MAX_LEVELS as i64).map(|n| add(n as u64 + 10, 20 + n, 1)).collect::<Vec<_>>();
    let crowd = (0..=MAX_ORDERS as u64).map(|n| add(n + 10, 20, 1)).collect::<Vec<_>>();
    for (refused, part) in [
        (levels, "levels and orders in one book"),
        (both, "levels and orders in one book"),
        (with(&[add(3, 9, 2), add(4, 0, 2)]), "order 4, price 0 ticks"),
        (with(&[add(3, 9, 2), add(4, 9, -1)]), "quantity -1 lots"),
        (with(&[order(OrderOp::Fill, 1, Side::Bid, 9, MAX_SCALED + 1)]), "out of range"),
        (with(&[add(3, 9, MAX_SCALED - 6), add(4, 8, 2)]), "more than 2^53-1 lots"),
        (with(&many), "Bid side would hold 50002 levels"),
        (with(&crowd), "the book would hold 1000002 orders"),
    ] {
        let mut book = Book::new(needs(false));
        book.apply(&with(&[add(1, 10, 5)])).unwrap();
        let error = book.apply(&refused).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!((book.levels(Side::Bid), book.order_count()), (vec![Level::new(10, 5)], 1));
    }
    // A replacement may be of the other kind.
    let mut book = Book::new(needs(false));
    let mut levels = Packet { kind: PacketKind::Snapshot, ..Packet::default() };
    levels.push_level(BookOp::SetBid, Level::new(10, 1));
    book.replace(&levels).unwrap();
    assert!(matches!(book.apply(&with(&[add(1, 9, 1)])), Err(Error::LevelsAndOrders { .. })));
    book.replace(&with(&[add(1, 9, 1)])).unwrap();
    assert_eq!(
        (book.levels(Side::Bid), book.shape()),
        (vec![Level::new(9, 1)], BookShape::OneSided)
    );
    book.replace(&levels).unwrap();
    assert_eq!((book.order_count(), book.order_flow(Side::Bid)), (0, None));
}
