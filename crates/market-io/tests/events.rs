//! The packet log: round trips and errors.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use market_io::sink::Existing;
use market_io::{Error, EventsWriter, OpenOptions, Source, read_events_header};
use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, OrderEvent, OrderOp, Packet, PacketKind, Run,
    Sequencing, Side, Trade,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn instrument() -> Instrument {
    Instrument::new(0, "BTCUSDT", "0.10", "0.001").unwrap()
}

fn write(path: &Path, instrument: &Instrument, packets: &[Packet]) {
    let mut writer = EventsWriter::create(path, instrument, Map::new(), Existing::Refuse).unwrap();
    for packet in packets {
        writer.write(packet).unwrap();
    }
    assert!(!path.exists());
    assert_eq!(writer.finish().unwrap().rows, packets.len() as u64);
}

fn open(inputs: Vec<PathBuf>) -> Result<Box<dyn Source>, Error> {
    market_io::open(&OpenOptions { inputs, ..OpenOptions::default() })
}

fn read(source: &mut dyn Source) -> Result<Vec<Packet>, Error> {
    let mut out = Vec::new();
    let mut packet = Packet::default();
    while source.next_packet(&mut packet)? {
        out.push(packet.clone());
    }
    Ok(out)
}

fn ops() -> impl Strategy<Value = BookOp> {
    prop_oneof![
        Just(BookOp::SetBid),
        Just(BookOp::SetAsk),
        Just(BookOp::ClearBid),
        Just(BookOp::ClearAsk)
    ]
}

prop_compose! {
    fn packet()(
        kind in prop_oneof![
            Just(PacketKind::Delta), Just(PacketKind::Snapshot), Just(PacketKind::Reset),
            Just(PacketKind::Heartbeat), Just(PacketKind::Rejected),
            Just(PacketKind::RejectedTrade)
        ],
        times in any::<(i64, i64)>(),
        ids in any::<(u64, u64, u64)>(),
        checksum_mismatch in any::<bool>(),
        runs in prop::collection::vec((ops(), prop::collection::vec(any::<(i64, i64)>(), 0..5)), 0..5),
        orders in prop::collection::vec((any::<(u64, i64, i64, bool)>(), 0..4_u8), 0..4),
        trades in prop::collection::vec((any::<(i64, i64)>(), 0..3_u8), 0..4),
    ) -> Packet {
        let mut packet = Packet {
            kind, ts_event_ns: times.0, ts_recv_ns: times.1,
            seq: ids.0, first_seq: ids.1, prev_seq: ids.2, checksum_mismatch,
            ..Packet::default()
        };
        for (op, levels) in runs {
            packet.levels.extend(levels.into_iter().map(|(p, q)| Level::new(p, q)));
            packet.run_ends.push(Run { op, end: packet.levels.len() as u32 });
        }
        let ops = [OrderOp::Add, OrderOp::Modify, OrderOp::Cancel, OrderOp::Fill];
        packet.orders.extend(orders.into_iter().map(|((order_id, price_ticks, qty_lots, buys), op)| {
            let side = if buys { Side::Bid } else { Side::Ask };
            OrderEvent { order_id, price_ticks, qty_lots, side, op: ops[usize::from(op)] }
        }));
        let side = [Aggressor::Buy, Aggressor::Sell, Aggressor::Unknown];
        packet.trades.extend(trades.into_iter().map(|((price_ticks, qty_lots), s)| {
            Trade { price_ticks, qty_lots, aggressor: side[usize::from(s)] }
        }));
        packet
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn packets_come_back_as_they_were(packets in prop::collection::vec(packet(), 0..20), gzip in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(if gzip { "a.ndjson.gz" } else { "a.ndjson" });
        write(&path, &instrument(), &packets);
        let mut source = open(vec![path]).unwrap();
        prop_assert_eq!(source.instrument(), &instrument());
        prop_assert_eq!(read(&mut *source).unwrap(), packets);
    }
}

#[test]
fn the_format_is_the_documented_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut packet = Packet {
        ts_event_ns: 5,
        ts_recv_ns: 6,
        seq: 9,
        first_seq: 8,
        prev_seq: 7,
        ..Packet::default()
    };
    packet.push_level(BookOp::SetBid, Level::new(618_002, 7));
    packet.push_level(BookOp::SetBid, Level::new(618_001, 0));
    packet.push_clear_side(BookOp::ClearAsk);
    packet.trades.push(Trade { price_ticks: 618_003, qty_lots: 6, aggressor: Aggressor::Buy });
    let mut of_orders = Packet::default();
    for (op, side) in [(OrderOp::Add, Side::Bid), (OrderOp::Fill, Side::Ask)] {
        let order_id = u64::MAX - 1;
        of_orders.orders.push(OrderEvent { order_id, price_ticks: 5, qty_lots: 0, side, op });
    }
    write(&path, &instrument(), &[packet, of_orders]);
    let text = std::fs::read_to_string(&path).unwrap();
    let (header, lines) = text.split_once('\n').unwrap();
    let (line, of_orders) = lines.split_once('\n').unwrap();
    assert_eq!(
        header,
        r#"{"featureplane_packets":1,"instrument":{"symbol_id":0,"symbol":"BTCUSDT","venue":"","price_scale":1,"qty_scale":3,"tick_scaled":1,"lot_scaled":1,"feed":"delta","sequencing":"venue","max_age_ns":10000000000}}"#
    );
    assert_eq!(
        line,
        "{\"k\":\"delta\",\"e\":5,\"r\":6,\"s\":9,\"f\":8,\"p\":7,\"c\":0,\
         \"runs\":[[\"set_bid\",[[618002,7],[618001,0]]],[\"clear_ask\",[]]],\
         \"t\":[[618003,6,\"buy\"]]}"
    );
    assert_eq!(
        of_orders,
        "{\"k\":\"delta\",\"e\":0,\"r\":0,\"s\":0,\"f\":0,\"p\":0,\"c\":0,\"runs\":[],\
         \"o\":[[\"add\",18446744073709551614,\"bid\",5,0],\
         [\"fill\",18446744073709551614,\"ask\",5,0]],\"t\":[]}\n"
    );
}

#[test]
fn extra_keys_of_the_header_are_kept_and_cannot_replace_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut instrument = instrument();
    instrument.feed = FeedKind::Snapshot;
    instrument.sequencing = Sequencing::Arrival;
    instrument.max_age_ns = None;
    instrument.venue = "b\"inance".into();
    let Value::Object(extra) =
        json!({"feature_set": "core_v1", "schema_hash": "00ff", "instrument": 3})
    else {
        panic!()
    };
    let writer = EventsWriter::create(&path, &instrument, extra, Existing::Refuse).unwrap();
    writer.finish().unwrap();
    let (found, extra) = read_events_header(&path).unwrap();
    assert_eq!(found, instrument);
    assert_eq!(Value::Object(extra), json!({"feature_set": "core_v1", "schema_hash": "00ff"}));
}

#[test]
fn damage_is_an_error_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    write(&path, &instrument(), &[Packet::default(), Packet::default()]);
    let good = std::fs::read_to_string(&path).unwrap();
    let line = good.lines().nth(1).unwrap();
    for (from, to, field) in [
        ("\"k\":\"delta\"", "\"k\":\"dleta\"", "`k`"),
        ("\"c\":0", "\"c\":2", "`c`"),
        ("\"e\":0", "\"e\":0.5", "`line`"),
        ("\"e\":0", "\"e\":9223372036854775808", "`line`"),
        ("\"runs\":[]", "\"runs\":[[\"set\",[]]]", "`runs`"),
        ("\"runs\":[]", "\"runs\":[[\"set_bid\",[[1]]]]", "`line`"),
        ("\"t\":[]", "\"t\":[[1,2,\"up\"]]", "`t`"),
        ("\"t\":[]", "\"t\":[],\"z\":1", "`line`"),
        ("\"t\":[]}", "\"t\":[]", "`line`"),
    ] {
        let bad = format!("{}\n{line}\n{}\n", good.lines().next().unwrap(), line.replace(from, to));
        std::fs::write(&path, bad).unwrap();
        let mut source = open(vec![path.clone()]).unwrap();
        let mut packet = Packet::default();
        assert!(source.next_packet(&mut packet).unwrap());
        let error = source.next_packet(&mut packet).unwrap_err().to_string();
        assert!(error.contains("a.ndjson: line 3 ") && error.contains(field), "{to}: {error}");
        assert!(!source.next_packet(&mut packet).unwrap());
    }
}

#[test]
fn wrong_headers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    write(&path, &instrument(), &[]);
    let good = std::fs::read_to_string(&path).unwrap();
    for (from, to, field) in [
        ("packets\":1", "packets\":2", "featureplane_packets"),
        ("\"feed\":\"delta\"", "\"feed\":\"both\"", "feed"),
        ("\"sequencing\":\"venue\"", "\"sequencing\":\"\"", "sequencing"),
        ("\"price_scale\":1", "\"price_scale\":19", "price_scale"),
        ("\"tick_scaled\":1", "\"tick_scaled\":0", "tick_scaled"),
        ("\"venue\":\"\",", "", "venue"),
        ("\"instrument\"", "\"instrumint\"", "instrument"),
    ] {
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let error = open(vec![path.clone()]).err().unwrap().to_string();
        assert!(error.contains("a.ndjson: line 1 ") && error.contains(field), "{to}: {error}");
    }
}

#[test]
fn several_files_are_one_stream_of_one_instrument() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c.gz"].map(|name| folder.path().join(name));
    let packet = |seq| Packet { seq, ..Packet::default() };
    write(&a, &instrument(), &[packet(1), packet(2)]);
    write(&b, &instrument(), &[]);
    write(&c, &instrument(), &[packet(3)]);
    let mut source = open(vec![a.clone(), b, c]).unwrap();
    let seqs: Vec<u64> = read(&mut *source).unwrap().iter().map(|p| p.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(source.stats().packets, 3);
    let (done, total) = source.progress();
    assert_eq!(done, total);
    let other = folder.path().join("other");
    write(&other, &Instrument::new(0, "ETHUSDT", "0.01", "0.001").unwrap(), &[]);
    let error = read(&mut *open(vec![a, other]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("other: line 1 "), "{error}");
}

#[test]
fn options_may_only_agree_with_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, &instrument(), &[Packet::default()]);
    let inputs = vec![path];
    let same = OpenOptions {
        inputs: inputs.clone(),
        symbol: Some("BTCUSDT".into()),
        tick_size: Some("0.1".into()),
        lot_size: Some("0.001".into()),
        symbol_id: 4,
        ..OpenOptions::default()
    };
    let mut source = market_io::open(&same).unwrap();
    assert_eq!(source.instrument().symbol_id, 4);
    assert_eq!(read(&mut *source).unwrap()[0].symbol_id, 4);
    for (option, options) in [
        ("symbol", OpenOptions { symbol: Some("X".into()), ..same.clone() }),
        ("tick_size", OpenOptions { tick_size: Some("0.01".into()), ..same.clone() }),
        ("lot_size", OpenOptions { lot_size: Some("1".into()), ..same.clone() }),
        ("initial_snapshot", OpenOptions { initial_snapshot: Some("x".into()), ..same }),
    ] {
        let error = market_io::open(&options).err().unwrap().to_string();
        assert!(error.contains(option), "{error}");
    }
}
