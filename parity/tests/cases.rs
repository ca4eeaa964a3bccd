//! Hand-worked cases (`parity/cases`), read by the Rust runtime and by the Python reference alike.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_extract::{Emission, FIXED_COLUMNS, RowMaker};
use feature_kernel::frame::bit;
use feature_kernel::meta::Dtype;
use feature_kernel::{FrameRef, frame::frame_bytes};
use feature_parity::{NaiveTwin, Runtime, Sut, Tape};
use feature_runtime::{FeatureSet, SymbolEngine, built_in_set, parse_set};
use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, OrderEvent, OrderOp, Packet, PacketKind,
    QualityFlags, Sequencing, Side, Trade,
};
use toml::{Table, Value};

fn int(table: &Table, key: &str) -> i64 {
    table.get(key).map_or(0, |value| value.as_integer().unwrap())
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).map_or("", |value| value.as_str().unwrap())
}

fn list<'a>(table: &'a Table, key: &str) -> &'a [Value] {
    table.get(key).map_or(&[], |value| value.as_array().unwrap())
}

fn names(table: &Table, key: &str) -> Option<Vec<String>> {
    let values = table.get(key)?.as_array().unwrap();
    Some(values.iter().map(|value| value.as_str().unwrap().to_owned()).collect())
}

fn instrument(case: &Table) -> Instrument {
    let table = case["instrument"].as_table().unwrap();
    let mut instrument = Instrument::new(int(table, "symbol_id") as u32, "CASE", "1", "1").unwrap();
    instrument.price_scale = int(table, "price_scale") as u8;
    instrument.qty_scale = int(table, "qty_scale") as u8;
    instrument.tick_scaled = int(table, "tick_scaled");
    instrument.lot_scaled = int(table, "lot_scaled");
    instrument.feed = match text(table, "feed") {
        "delta" => FeedKind::Delta,
        "snapshot" => FeedKind::Snapshot,
        other => panic!("feed {other}"),
    };
    instrument.sequencing = match text(table, "sequencing") {
        "venue" => Sequencing::Venue,
        "source_time" => Sequencing::SourceTime,
        "arrival" => Sequencing::Arrival,
        other => panic!("sequencing {other}"),
    };
    if let Some(max_age) = table.get("max_age_ns") {
        instrument.max_age_ns = Some(max_age.as_integer().unwrap());
    }
    instrument
}

fn set(case: &Table) -> Arc<FeatureSet> {
    let features = serde_json::to_value(&case["features"]).unwrap();
    let json = serde_json::json!({"id": "case", "features": features});
    Arc::new(parse_set(&json.to_string(), text(case, "name")).unwrap())
}

fn packet(table: &Table) -> Packet {
    let mut packet = Packet {
        kind: match text(table, "k") {
            "delta" => PacketKind::Delta,
            "snapshot" => PacketKind::Snapshot,
            "reset" => PacketKind::Reset,
            "heartbeat" => PacketKind::Heartbeat,
            "rejected" => PacketKind::Rejected,
            "rejected_trade" => PacketKind::RejectedTrade,
            other => panic!("packet kind {other}"),
        },
        ts_event_ns: int(table, "e"),
        ts_recv_ns: int(table, "r"),
        seq: int(table, "s") as u64,
        first_seq: int(table, "f") as u64,
        prev_seq: int(table, "p") as u64,
        checksum_mismatch: int(table, "c") != 0,
        ..Packet::default()
    };
    for run in list(table, "runs") {
        let run = run.as_array().unwrap();
        let op = match run[0].as_str().unwrap() {
            "set_bid" => BookOp::SetBid,
            "set_ask" => BookOp::SetAsk,
            "clear_bid" => BookOp::ClearBid,
            "clear_ask" => BookOp::ClearAsk,
            other => panic!("operation {other}"),
        };
        let levels = run[1].as_array().unwrap();
        if levels.is_empty() && matches!(op, BookOp::ClearBid | BookOp::ClearAsk) {
            packet.push_clear_side(op);
        }
        for level in levels {
            let pair = |i: usize| level.as_array().unwrap()[i].as_integer().unwrap();
            packet.push_level(op, Level::new(pair(0), pair(1)));
        }
    }
    for event in list(table, "o") {
        let event = event.as_array().unwrap();
        let number = |i: usize| event[i].as_integer().unwrap();
        packet.orders.push(OrderEvent {
            order_id: number(1).cast_unsigned(),
            price_ticks: number(3),
            qty_lots: number(4),
            side: match event[2].as_str().unwrap() {
                "bid" => Side::Bid,
                "ask" => Side::Ask,
                other => panic!("side {other}"),
            },
            op: match event[0].as_str().unwrap() {
                "add" => OrderOp::Add,
                "modify" => OrderOp::Modify,
                "cancel" => OrderOp::Cancel,
                "fill" => OrderOp::Fill,
                other => panic!("order event {other}"),
            },
        });
    }
    for trade in list(table, "t") {
        let trade = trade.as_array().unwrap();
        packet.trades.push(Trade {
            price_ticks: trade[0].as_integer().unwrap(),
            qty_lots: trade[1].as_integer().unwrap(),
            aggressor: match trade[2].as_str().unwrap() {
                "buy" => Aggressor::Buy,
                "sell" => Aggressor::Sell,
                _ => Aggressor::Unknown,
            },
        });
    }
    packet
}

/// The word that a value in a case stands for.
fn word(value: &Value, dtype: Dtype) -> u64 {
    match (dtype, value) {
        (Dtype::F64, Value::String(text)) if text.contains("0x") => hex_float(text).to_bits(),
        (Dtype::F64, Value::String(text)) => text.parse::<f64>().unwrap().to_bits(),
        (Dtype::I64 | Dtype::U32, Value::Integer(value)) => value.cast_unsigned(),
        other => panic!("{other:?}"),
    }
}

fn hex_float(text: &str) -> f64 {
    let (mantissa, exponent) = text.trim_start_matches("0x1.").split_once('p').unwrap();
    let fraction = u64::from_str_radix(&format!("{mantissa:0<13}"), 16).unwrap();
    let exponent = (exponent.parse::<i64>().unwrap() + 1023) as u64;
    f64::from_bits((exponent << 52) | fraction)
}

fn flags(table: &Table) -> QualityFlags {
    let all = names(table, "flags").unwrap_or_default();
    let flag = |name: &String| QualityFlags::from_name(name).unwrap();
    all.iter().map(flag).fold(QualityFlags::empty(), |a, b| a | b)
}

fn bits(mask: &[u64], set: &FeatureSet) -> Vec<String> {
    let on = |(i, _): &(usize, _)| bit(mask, *i);
    set.features().iter().enumerate().filter(on).map(|(_, f)| f.name.clone()).collect()
}

/// Complete comparison of values, valid bits and flags; the rest where the case says it.
fn check_frame(at: &str, set: &FeatureSet, frame: &FrameRef<'_>, expect: &Table) {
    let header = frame.header();
    assert_eq!(header.quality, flags(expect), "{at}: flags");
    for (key, found) in [
        ("seq", header.seq.cast_signed()),
        ("source_seq", header.source_seq.cast_signed()),
        ("ts", header.source_ts_ns),
        ("epoch", header.epoch.into()),
    ] {
        if let Some(want) = expect.get(key) {
            assert_eq!(want.as_integer(), Some(found), "{at}: {key}");
        }
    }
    for (key, mask) in [("ready", frame.warmup_ready_mask()), ("changed", frame.changed_mask())] {
        if let Some(want) = names(expect, key) {
            assert_eq!(want, bits(mask, set), "{at}: {key}");
        }
    }
    let empty = Table::new();
    let table = |key: &str| expect.get(key).map_or(&empty, |value| value.as_table().unwrap());
    let invalid = names(expect, "invalid").unwrap_or_default();
    for (index, feature) in set.features().iter().enumerate() {
        let found = frame.value(index);
        if let Some(text) = table("approx").get(&feature.name) {
            check_close(&format!("{at}: {}", feature.name), feature.column.dtype, found, text);
            assert!(!table("values").contains_key(&feature.name), "{at}: listed once");
            continue;
        }
        let want = table("values").get(&feature.name).map(|v| word(v, feature.column.dtype));
        let name = &feature.name;
        assert_eq!(found, want, "{at}: {name} (found, expected)");
        assert_eq!(want.is_none(), invalid.contains(name), "{at}: {name} is listed once");
        if let Some(held) = table("held").get(name) {
            assert_eq!(
                frame.values()[index],
                word(held, feature.column.dtype),
                "{at}: held {name}"
            );
        }
    }
}

/// A valid float within 1e-9 of the expected one, relatively.
fn check_close(at: &str, dtype: Dtype, found: Option<u64>, text: &Value) {
    assert_eq!(dtype, Dtype::F64, "{at}: only floats have a tolerance");
    let (found, want) = (f64::from_bits(found.expect(at)), f64::from_bits(word(text, dtype)));
    assert!((found - want).abs() <= 1e-9 * want.abs(), "{at}: {found}, expected {want} to 1e-9");
}

fn check_frames(case: &Table, at: &str, sut: &mut dyn Sut) -> u32 {
    let (set, instrument) = (set(case), instrument(case));
    let length = frame_bytes(set.len());
    let mut packets = Vec::new();
    let mut seen = 0;
    for (index, table) in list(case, "packets").iter().enumerate() {
        let table = table.as_table().unwrap();
        packets.push(packet(table));
        let tape = Tape {
            name: at.into(),
            set: set.clone(),
            instrument: instrument.clone(),
            packets: packets.clone(),
        };
        let frames = sut.run(&tape).unwrap();
        let at = format!("{at}, packet {} through {}", index + 1, sut.name());
        let expect = table["expect"].as_table().unwrap();
        let due = expect["frame"].as_bool().unwrap();
        assert_eq!(frames.len(), seen + if due { length } else { 0 }, "{at}: a frame is due");
        if due {
            let last = &frames[seen..];
            let words = feature_kernel::frame::decode(last, set.schema_hash(), set.len()).unwrap();
            check_frame(&at, &set, &FrameRef::from_words(&words), expect);
        }
        seen = frames.len();
    }
    packets.len() as u32
}

fn check_rows(case: &Table, at: &str) {
    let emission: Emission = format!("{}ns", text(case, "emit")).parse().unwrap();
    let set = set(case);
    let engine = SymbolEngine::new(set.clone(), instrument(case));
    let mut maker = RowMaker::new(engine, emission, i64::MIN, i64::MAX);
    let mut rows: Vec<(Vec<u64>, Vec<u64>)> = Vec::new();
    for table in list(case, "packets") {
        maker.push(&packet(table.as_table().unwrap()), &mut |words, valid| {
            rows.push((words.to_vec(), valid.to_vec()));
        });
    }
    let expected = list(case, "rows");
    assert_eq!(rows.len(), expected.len(), "{at}: number of rows");
    for (index, ((words, valid), expect)) in rows.iter().zip(expected).enumerate() {
        let (at, expect) = (format!("{at}, row {}", index + 1), expect.as_table().unwrap());
        assert_eq!(words[1].cast_signed(), int(expect, "ts_event"), "{at}: ts_event");
        assert_eq!(words[3].cast_signed(), int(expect, "seq"), "{at}: seq");
        assert_eq!(words[4].cast_signed(), int(expect, "epoch"), "{at}: epoch");
        assert_eq!(words[5], u64::from(flags(expect).bits()), "{at}: flags");
        for (index, feature) in set.features().iter().enumerate() {
            let slot = FIXED_COLUMNS + index;
            let found = bit(valid, slot).then(|| words[slot]);
            let want = expect["values"].as_table().unwrap().get(&feature.name);
            let want = want.map(|value| word(value, feature.column.dtype));
            assert_eq!(found, want, "{at}: {}", feature.name);
        }
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn the_tolerance_is_1e_9_of_the_value() {
    let text = Value::String("24999.917085427136".into());
    check_close("inside", Dtype::F64, Some(24_999.917_085_427_157_f64.to_bits()), &text);
    for (found, dtype) in [
        (Some(24_999.917_112_f64.to_bits()), Dtype::F64),
        (Some(f64::NAN.to_bits()), Dtype::F64),
        (None, Dtype::F64),
        (Some(24_999), Dtype::I64),
    ] {
        let outside = std::panic::catch_unwind(|| check_close("planted", dtype, found, &text));
        assert!(outside.is_err(), "{found:?} as {dtype:?} passes");
    }
}

#[test]
fn the_cases_of_a_set_have_its_columns() {
    for (id, name) in [("ccxt_hf_v1", "golden_row"), ("lob_shared_v3", "golden_frames")] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(id);
        let text = std::fs::read_to_string(file.with_extension("toml")).unwrap();
        let table: Table = text.parse().unwrap();
        let mut cases = list(&table, "case").iter().map(|case| case.as_table().unwrap());
        let case = cases.find(|case| self::text(case, "name") == name).unwrap();
        let built_in = feature_runtime::built_in_set(id).unwrap();
        assert_eq!(set(case).schema_hash(), built_in.schema_hash(), "{id}");
    }
}

#[test]
fn every_case_holds_in_the_runtime_and_in_the_naive_twin() {
    let (mut cases, mut packets) = (0, 0);
    for file in files() {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let table: Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        for case in list(&table, "case") {
            let case = case.as_table().unwrap();
            let at = format!("{stem}/{}", text(case, "name"));
            packets += check_frames(case, &at, &mut Runtime);
            check_frames(case, &at, &mut NaiveTwin::default());
            if case.contains_key("emit") {
                check_rows(case, &at);
            }
            cases += 1;
        }
    }
    println!("{cases} cases, {packets} packets");
    assert!(cases >= 30, "{cases} cases");
}

#[test]
fn the_case_of_a_set_has_the_columns_of_the_set() {
    let mut sets = 0;
    for file in files() {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(built_in) = built_in_set(&stem) else { continue };
        let table: Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        let first = list(&table, "case")[0].as_table().unwrap();
        // The first case has the columns of the set, and perhaps some of its own behind them.
        let of_set = built_in.canonical_json();
        let of_set = of_set.trim_end_matches("]}");
        assert!(set(first).canonical_json().starts_with(of_set), "{stem}");
        sets += 1;
    }
    assert!(sets >= 3, "{sets} cases of sets");
}
