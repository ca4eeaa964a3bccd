//! The schema `mbo`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use lob_engine::{LobEngine, OrderFaults, Outcome};
use market_io::{Format, OpenOptions};
use market_model::{BookNeeds, BookView, OrderOp, Packet, PacketKind, QualityFlags, Side};

use super::{CENT, LAST, NONE, NS, metadata};
use crate::book::{drain, options, read, shared, write_file};
use crate::{check_sample, sample};

const SNAPSHOT: u8 = 32;

/// Time after the start, id, price in 1e-9, size, action and side, flags.
struct TestOrder<'a>(u64, u64, i64, u32, &'a str, u8);

fn record(order: &TestOrder<'_>) -> Vec<u8> {
    let TestOrder(at, id, price, size, action, flags) = order;
    let mut out = vec![14, 0xa0, 1, 0, 77, 0, 0, 0];
    out.extend((NS + at).to_le_bytes());
    out.extend(id.to_le_bytes());
    out.extend(price.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend([*flags, 0]);
    out.extend(action.as_bytes());
    out.extend((NS + at + 7).to_le_bytes());
    out.extend([0; 8]);
    out
}

/// A snapshot of two orders; a trade whose fill and cancel tell the same; a fill that a modify tells
/// again; a cancel that is more than its fill; a packet without a side; a clear with what follows it.
fn mbo() -> Vec<u8> {
    let mut file = metadata(1, 0);
    for order in [
        TestOrder(0, 0, NONE, 0, "RN", SNAPSHOT),
        TestOrder(0, 1, 10_000 * CENT, 5, "AB", SNAPSHOT),
        TestOrder(0, 2, 10_001 * CENT, 9, "AA", SNAPSHOT | LAST),
        TestOrder(10, 9, 10_000 * CENT, 2, "TA", 0),
        TestOrder(10, 1, 10_000 * CENT, 2, "FB", 0),
        TestOrder(10, 1, 10_000 * CENT, 2, "CB", LAST),
        TestOrder(20, 2, 10_001 * CENT, 1, "FA", 0),
        TestOrder(20, 2, 10_001 * CENT, 8, "MA", LAST),
        TestOrder(30, 2, 10_001 * CENT, 3, "FA", LAST),
        TestOrder(30, 2, 10_001 * CENT, 3, "CA", LAST),
        TestOrder(30, 2, 10_001 * CENT, 1, "CA", LAST),
        TestOrder(40, 3, 10_001 * CENT, 1, "AN", LAST),
        TestOrder(50, 0, NONE, 0, "RN", 0),
        TestOrder(51, 4, 9_999 * CENT, 7, "AB", LAST),
        TestOrder(60, 4, 9_999 * CENT, 7, "NB", LAST),
        TestOrder(70, 5, 9_999 * CENT, 7, "AB", 0),
    ] {
        file.extend(record(&order));
    }
    file
}

#[test]
fn the_sample_of_orders_gives_its_packets() {
    let inputs = sample("dbn", &["mbo.dbn"]);
    if std::env::var_os("ACCEPT_SAMPLES").is_some() {
        std::fs::write(&inputs[0], mbo()).unwrap();
    }
    assert_eq!(std::fs::read(&inputs[0]).unwrap(), mbo());
    check_sample(&options(inputs.clone()), Format::Dbn, "expected_mbo.ndjson");
    let mut source = market_io::open(&options(inputs)).unwrap();
    let (packets, _) = drain(source.as_mut());
    let stats = source.stats();
    assert_eq!((stats.records, stats.packets, stats.snapshots, stats.rejected), (16, 7, 2, 1));
    assert_eq!(stats.ignored["action N"], 1);
    assert_eq!(stats.ignored["event without its last record"], 1);
    assert!(stats.faults[0].to_string().contains("side"), "{}", stats.faults[0]);
    let ops: Vec<Vec<(OrderOp, i64)>> = packets
        .iter()
        .map(|packet| packet.orders.iter().map(|event| (event.op, event.qty_lots)).collect())
        .collect();
    assert_eq!(ops[1], [(OrderOp::Fill, 2)], "the cancel tells what the fill has told");
    assert_eq!(ops[2], [(OrderOp::Fill, 1), (OrderOp::Modify, 8)]);
    assert_eq!(
        (&ops[3][..], &ops[4][..]),
        (&[(OrderOp::Fill, 3)][..], &[(OrderOp::Cancel, 1)][..])
    );
}

/// Drives packets through the engine.
fn engine(options: &OpenOptions, needs: BookNeeds) -> (LobEngine, Vec<Packet>) {
    let source = market_io::open(options).unwrap();
    let engine = LobEngine::new(source.instrument(), needs);
    let (packets, error) = read(options);
    assert!(error.is_none(), "{error:?}");
    (engine, packets)
}

#[test]
fn no_order_of_es_is_unknown() {
    let Some(inputs) = shared(&["dbn/glbx_ESM4_mbo_20240508_2s.dbn.zst"]) else { return };
    let sized = OpenOptions {
        tick_size: Some("0.25".into()),
        lot_size: Some("1".into()),
        ..options(inputs)
    };
    let needs = BookNeeds { orders: true, ..BookNeeds::top(1) };
    let (mut engine, packets) = engine(&sized, needs);
    assert_eq!((packets[0].kind, packets[0].orders.len()), (PacketKind::Snapshot, 13_600));
    let fills = packets.iter().flat_map(|packet| &packet.orders).filter(|e| e.op == OrderOp::Fill);
    assert_eq!(fills.count(), 5);
    for packet in &packets {
        let Outcome::Applied(applied) = engine.apply(packet).unwrap() else { panic!("{packet:?}") };
        assert!(!applied.flags.contains(QualityFlags::UNVERIFIED_BOOK));
    }
    // What a second program finds in the file: 13,598 orders rest, 28 lots of 17 orders are bid.
    let book = engine.book();
    assert_eq!((book.order_faults(), book.order_count()), (OrderFaults::default(), 13_598));
    for (side, ticks, lots, orders) in [(Side::Bid, 20_856, 28, 22), (Side::Ask, 20_857, 17, 11)] {
        let best = book.best(side).unwrap();
        assert_eq!((best.price_ticks, best.qty_lots), (ticks, lots));
        assert_eq!(book.queue(side, ticks).unwrap().orders, orders);
    }
}

type Row = BTreeMap<String, String>;

/// Rows of a CSV file without quotes, by the names of its header.
fn csv(path: &Path) -> Vec<Row> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        names.iter().zip(line.split(',')).map(|(k, v)| ((*k).to_owned(), v.to_owned())).collect()
    };
    lines.map(row).collect()
}

/// A decimal in units of 1e-9; an empty one is no price.
fn nanos(text: &str) -> i64 {
    if text.is_empty() {
        return NONE;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<9}").parse().unwrap()
}

/// Price, size and count of ten levels, bids and asks in turn.
fn ten_levels(engine: &LobEngine, tick: i64) -> Vec<(i64, i64, u64)> {
    let mut found = Vec::new();
    for level in 0..10 {
        for side in [Side::Bid, Side::Ask] {
            let cell = engine.book().top(side).get(level).map_or((NONE, 0, 0), |best| {
                let queue = engine.book().queue(side, best.price_ticks).unwrap();
                (best.price_ticks * tick, best.qty_lots, queue.orders)
            });
            found.push(cell);
        }
    }
    found
}

fn expected_levels(row: &Row) -> Vec<(i64, i64, u64)> {
    let mut wanted = Vec::new();
    for level in 0..10 {
        for side in ["bid", "ask"] {
            let cell = |what: &str| row[&format!("{side}_{what}_{level:02}")].as_str();
            let number = |what: &str| cell(what).parse::<u64>().unwrap();
            wanted.push((nanos(cell("px")), number("sz").cast_signed(), number("ct")));
        }
    }
    wanted
}

/// Each expected row is the book after its message, in price, size and order count of ten levels; the
/// one row of a trade is the book after the fills that belong to it.
fn rows_met(messages: &[Row], rows: &[Row]) -> usize {
    // The expected rows are of single messages, so each message is made a packet; the times say which.
    let mut file = metadata(3, 0);
    let mut times: Vec<&str> = messages.iter().map(|row| row["ts_event"].as_str()).collect();
    times.dedup();
    let mut at = 0;
    for row in messages {
        at += usize::from(times[at] != row["ts_event"]);
        let (price, action) = (&row["price"], format!("{}{}", row["action"], row["side"]));
        let price = if price == "0" { NONE } else { nanos(price) };
        let order = TestOrder(
            1_000 * at as u64,
            row["order_id"].parse().unwrap(),
            price,
            row["size"].parse().unwrap(),
            &action,
            LAST,
        );
        file.extend(record(&order));
    }
    let dir = tempfile::tempdir().unwrap();
    let inputs = vec![write_file(&dir, "arl.dbn", &file)];
    let needs = BookNeeds { orders: true, ..BookNeeds::top(10) };
    let sized = OpenOptions { tick_size: Some("0.0001".into()), ..options(inputs) };
    let (mut engine, packets) = engine(&sized, needs);
    let mut packets = packets.into_iter().peekable();
    let mut rows = rows.iter().peekable();
    let tick = 100_000;
    let (mut at, mut equal) = (0, 0);
    for (index, message) in messages.iter().enumerate() {
        at += usize::from(times[at] != message["ts_event"]);
        let now_ns = NS.cast_signed() + 1_000 * at as i64;
        // A cancel that repeats a fill is in no packet, and a packet may wait for its message.
        let is_told = message["action"] == "C" && messages[index - 1]["action"] == "F";
        if !is_told && packets.peek().is_some_and(|packet| packet.ts_event_ns == now_ns) {
            engine.apply(&packets.next().unwrap()).unwrap();
        }
        let group_goes_on = messages.get(index + 1).is_some_and(|next| {
            let same = ["ts_event", "sequence"].iter().all(|key| next[*key] == message[*key]);
            same && matches!(next["action"].as_str(), "F" | "C")
                && message["action"] != "C"
                && (message["action"] == "T" || message["action"] == "F")
        });
        let Some(row) = rows.peek() else { break };
        let same = ["ts_event", "sequence"].iter().all(|key| row[*key] == message[*key]);
        let is_of_group = is_told || message["action"] == row["action"];
        if same && is_of_group && !group_goes_on {
            if ten_levels(&engine, tick) != expected_levels(row) {
                break;
            }
            equal += 1;
            rows.next();
        }
    }
    equal
}

#[test]
fn every_row_of_mbp_10_is_reproduced_from_the_orders() {
    let names = ["mbo_part1", "mbp10_expected_part1"]
        .map(|part| format!("xnas_mbo_mbp10/ARL_20250717_{part}.csv.zst"));
    let Some(paths) = shared(&[&names[0], &names[1]]) else { return };
    let (mut messages, rows) = (csv(&paths[0]), csv(&paths[1]));
    assert_eq!((rows_met(&messages, &rows), rows.len()), (1_596, 1_596));
    // Planted: one lot more in the first order, which only the row of the clear before it survives.
    messages[1].insert("size".into(), "101".into());
    assert_eq!(rows_met(&messages, &rows), 1);
}
