//! Pull, push, mismatch, snapshot: what a strategy relies on.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::{Arc, Mutex};

use feature_runtime::{Error, FeatureEngine, FeatureValue, SymbolEngine, built_in_set, parse_set};
use market_model::{BookOp, Instrument, Level, Packet, PacketKind, QualityFlags};
use proptest::prelude::*;

fn btc() -> Instrument {
    Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap()
}

fn snapshot(seq: u64, bid: (i64, i64), ask: (i64, i64)) -> Packet {
    let ts_event_ns = 1_700_000_000_000_000_000 + seq.cast_signed() * 1_000_000;
    let mut packet = Packet { kind: PacketKind::Snapshot, seq, ts_event_ns, ..Packet::default() };
    packet.push_level(BookOp::SetBid, Level::new(bid.0, bid.1));
    packet.push_level(BookOp::SetAsk, Level::new(ask.0, ask.1));
    packet
}

fn delta(seq: u64, op: BookOp, price: i64, qty: i64) -> Packet {
    let ts_event_ns = 1_700_000_000_000_000_000 + seq.cast_signed() * 1_000_000;
    let mut packet = Packet { seq, ts_event_ns, prev_seq: seq - 1, ..Packet::default() };
    packet.push_level(op, Level::new(price, qty));
    packet
}

fn engine() -> (FeatureEngine, u32) {
    let mut engine = FeatureEngine::new(built_in_set("lob_shared_v1").unwrap());
    let id = engine.add_symbol(btc()).unwrap();
    (engine, id)
}

#[test]
fn values_are_pulled_by_name_and_by_id() {
    let (mut engine, id) = engine();
    assert_eq!(engine.get_feature(id, "best_bid").unwrap(), None, "before the first frame");
    assert!(engine.get_feature_view(id, None).unwrap().is_none());
    engine.process(&snapshot(1, (618_001, 696), (618_003, 12))).unwrap();
    assert_eq!(engine.get_feature(id, "best_bid").unwrap(), Some(FeatureValue::I64(618_001)));
    assert_eq!(engine.get_feature_by_id(id, 3).unwrap(), Some(FeatureValue::I64(2)));
    let view = engine.get_feature_view(id, Some(1_700_000_000_500_000_000)).unwrap().unwrap();
    assert_eq!(view.age_ns(), Some(499_000_000));
    assert!(view.is_ready(0) && !view.is_ready(11), "OFI needs two packets");
    assert_eq!(view.quality(), QualityFlags::empty());
    assert_eq!(engine.get_feature_set_id(), "lob_shared_v1");
}

#[test]
fn misuse_is_an_error_with_the_nearest_name() {
    let (mut engine, id) = engine();
    let error = engine.get_feature(id, "spread_ema8").unwrap_err().to_string();
    assert!(
        error.contains("has no feature `spread_ema8`; did you mean `spread_ema8_scaled`?"),
        "{error}"
    );
    assert!(matches!(engine.get_feature(9, "best_bid"), Err(Error::UnknownSymbol { .. })));
    assert!(matches!(engine.get_feature_by_id(id, 16), Err(Error::UnknownFeature { .. })));
    let stranger = Packet { symbol_id: 9, ..snapshot(1, (1, 1), (2, 1)) };
    assert!(matches!(engine.process(&stranger), Err(Error::UnknownSymbol { .. })));
    let again = engine.add_symbol(btc()).unwrap_err().to_string();
    assert!(again.contains("BTCUSDT cannot be added: it was added before"), "{again}");
}

#[test]
fn subscribers_hear_what_they_asked_for_and_every_flag() {
    let (mut engine, _) = engine();
    let hash = engine.feature_set().schema_hash();
    let heard: Arc<Mutex<Vec<(u64, QualityFlags)>>> = Arc::default();
    let sink = Arc::clone(&heard);
    let handle = engine
        .on_features(
            hash,
            &["best_bid"],
            Box::new(move |frame: &feature_runtime::FrameRef<'_>| {
                let header = frame.header();
                sink.lock().unwrap().push((header.seq, header.quality));
            }),
        )
        .unwrap();
    engine.process(&snapshot(1, (100, 5), (102, 5))).unwrap(); // first: full
    engine.process(&delta(2, BookOp::SetAsk, 102, 7)).unwrap(); // best_bid stands
    engine.process(&delta(3, BookOp::SetBid, 101, 7)).unwrap(); // best_bid moves
    engine.process(&delta(3, BookOp::SetBid, 101, 7)).unwrap(); // duplicate: no frame
    engine.process(&delta(4, BookOp::SetAsk, 102, 8)).unwrap(); // carries the flag
    assert!(engine.unsubscribe(handle));
    engine.process(&delta(5, BookOp::SetBid, 101, 1)).unwrap();
    assert!(!engine.unsubscribe(handle));
    let none = QualityFlags::empty();
    assert_eq!(*heard.lock().unwrap(), [(1, none), (3, none), (4, QualityFlags::DUPLICATE_INPUT)]);
}

#[test]
fn a_consumer_of_another_schema_is_refused() {
    let (mut engine, _) = engine();
    let hash = built_in_set("core_v1").unwrap().schema_hash();
    let sink = Box::new(|_: &feature_runtime::FrameRef<'_>| {});
    let error = engine.on_features(hash, &[], sink).unwrap_err().to_string();
    let found = engine.feature_set().schema_hash();
    assert_eq!(
        error,
        format!("schema mismatch: the consumer expects {hash:016x}, the frame has {found:016x}")
    );
}

#[test]
fn a_gap_gives_one_frame_without_values_then_silence_until_a_snapshot() {
    let (mut engine, id) = engine();
    engine.process(&snapshot(1, (100, 5), (102, 5))).unwrap();
    let gap = engine.process(&delta(3, BookOp::SetBid, 101, 1)).unwrap().unwrap();
    assert_eq!(gap.header().quality, QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES);
    assert_eq!((gap.valid_mask(), gap.changed_mask()), (&[0_u64][..], &[0_u64][..]));
    assert_eq!(gap.values()[0], 100, "the last good value is held");
    assert!(engine.process(&delta(4, BookOp::SetBid, 101, 2)).unwrap().is_none());
    assert_eq!(engine.get_feature(id, "best_bid").unwrap(), None);
    let fresh = engine.process(&snapshot(9, (90, 5), (92, 5))).unwrap().unwrap();
    assert_eq!((fresh.header().epoch, fresh.header().seq), (1, 1));
    assert_eq!(fresh.header().quality, QualityFlags::STATE_RESET);
    let counters = engine.symbol(id).unwrap().counters();
    assert_eq!((counters.gaps, counters.awaiting, counters.resets), (1, 1, 1));
}

#[test]
fn a_refused_packet_is_flagged_and_explained() {
    let mut engine = SymbolEngine::new(built_in_set("lob_shared_v1").unwrap().into(), btc());
    engine.process(&snapshot(1, (100, 5), (102, 5))).unwrap();
    let frame = engine.process(&delta(2, BookOp::SetBid, -7, 1)).unwrap();
    assert!(
        frame.header().quality.contains(QualityFlags::REJECTED_INPUT | QualityFlags::GAP_DETECTED)
    );
    let why = engine.take_refusal().unwrap().to_string();
    assert!(why.contains("price -7 ticks") && why.contains("seq 2"), "{why}");
    assert!(engine.take_refusal().is_none());
}

#[test]
fn another_tick_size_starts_a_new_session() {
    let mut engine = SymbolEngine::new(built_in_set("lob_shared_v1").unwrap().into(), btc());
    engine.process(&snapshot(1, (100, 5), (102, 5))).unwrap();
    engine.change_instrument(Instrument::new(0, "BTCUSDT", "0.01", "0.001").unwrap());
    assert!(engine.frame().is_none());
    assert!(engine.process(&delta(2, BookOp::SetBid, 101, 1)).is_none(), "a snapshot is due");
    let frame = engine.process(&snapshot(3, (1_000, 5), (1_002, 5))).unwrap();
    assert_eq!((frame.header().epoch, frame.header().seq), (1, 1));
    assert_eq!(frame.header().quality, QualityFlags::STATE_RESET);
    assert_eq!(frame.value(0), Some(1_000));
}

#[test]
fn every_fault_of_a_set_is_listed_with_its_path() {
    let json = r#"{"id": "bad", "features": [
        {"family": "depht", "column": "bid_depth"},
        {"family": "depth", "column": "bid_depth", "params": {"levels": 0, "bps": 5}},
        {"family": "depth", "column": "bid_depth_band", "params": {"lo_bps": 9, "hi_bps": 3}},
        {"family": "ema", "column": "ema", "params": {"of": "nothing"}},
        {"family": "top", "column": "best_bid", "params": {"x": 0.5}},
        {"family": "top", "column": "best_ask", "alias": "Best Ask"},
        {"family": "top", "column": "best_ask"},
        {"family": "top", "column": "best_ask"}
    ]}"#;
    let error = parse_set(json, "bad.json").unwrap_err().to_string();
    for part in [
        "features[0].family: unknown family `depht`",
        "features[1].params.bps: unknown parameter; `bid_depth` takes levels",
        "features[1].params.levels: 0 is not an integer in 1..=64",
        "features[2].params.hi_bps: 3 is not above lo_bps 9",
        "features[3].params.of",
        "features[3].params: give either span or tau_ns",
        "features[4].params.x: 0.5 is neither an integer nor a string",
        "features[5].alias",
        "features[7].alias: name `best_ask` is taken by features[6]",
    ] {
        assert!(error.contains(part), "missing `{part}` in:\n{error}");
    }
    let shape = parse_set(r#"{"id": "x", "featurez": []}"#, "x.json").unwrap_err().to_string();
    assert!(
        shape.contains("x.json") && shape.contains("featurez") && shape.contains("line 1"),
        "{shape}"
    );
}

#[test]
fn a_snapshot_that_does_not_fit_is_refused_and_changes_nothing() {
    let set = Arc::new(built_in_set("lob_shared_v1").unwrap());
    let mut engine = SymbolEngine::new(Arc::clone(&set), btc());
    engine.process(&snapshot(1, (100, 5), (102, 5))).unwrap();
    let state = engine.snapshot();
    let mut equal = SymbolEngine::new(Arc::clone(&set), btc());
    equal.restore(&state).unwrap();
    assert_eq!(state, equal.snapshot(), "equal states give equal bytes");
    for at in 0..state.len() {
        let mut bad = state.clone();
        bad[at] ^= 0x10;
        assert!(engine.restore(&bad).is_err(), "flipped byte {at}");
    }
    for cut in 0..state.len() {
        assert!(engine.restore(&state[..cut]).is_err(), "{cut} bytes");
    }
    assert_eq!(engine.snapshot(), state);
    let mut other = SymbolEngine::new(set, Instrument::new(0, "BTCUSDT", "0.5", "0.001").unwrap());
    let error = other.restore(&state).unwrap_err().to_string();
    assert!(error.contains("instrument") && error.contains("tick 5e-1"), "{error}");
    let mut other = SymbolEngine::new(built_in_set("core_v1").unwrap().into(), btc());
    assert!(other.restore(&state).unwrap_err().to_string().contains("schema hash"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Stopping after any packet and continuing from the snapshot changes no later byte.
    #[test]
    fn resume_is_invisible((instrument, packets) in testkit::tape(60)) {
        let every_column = include_str!("../../../parity/tests/every_column.json");
        let set = Arc::new(parse_set(every_column, "every_column").unwrap());
        let mut whole = SymbolEngine::new(Arc::clone(&set), instrument.clone());
        let mut states = vec![whole.snapshot()];
        let mut frames = Vec::new();
        for packet in &packets {
            frames.push(whole.process(packet).map(|frame| frame.as_bytes().to_vec()));
            states.push(whole.snapshot());
        }
        for (cut, state) in states.iter().enumerate() {
            let mut resumed = SymbolEngine::new(Arc::clone(&set), instrument.clone());
            resumed.restore(state).unwrap();
            prop_assert_eq!(&resumed.snapshot(), state, "state after restoring at {}", cut);
            for (index, packet) in packets.iter().enumerate().skip(cut) {
                let got = resumed.process(packet).map(|frame| frame.as_bytes().to_vec());
                prop_assert_eq!(&got, &frames[index], "cut {}, packet {}", cut, index);
            }
        }
    }

    /// Symbols in one engine do not see each other.
    #[test]
    fn interleaved_symbols_are_independent((instrument, a) in testkit::tape(40), (_, b) in testkit::tape(40)) {
        let set = built_in_set("lob_shared_v1").unwrap();
        let mut both = FeatureEngine::new(set.clone());
        let names = ["A", "B"].map(|name| Instrument { symbol: name.into(), ..instrument.clone() });
        for name in &names {
            both.add_symbol(name.clone()).unwrap();
        }
        let mut alone = names.map(|name| SymbolEngine::new(Arc::new(set.clone()), name));
        for index in 0..a.len().max(b.len()) {
            for (id, tape) in [(0_u32, &a), (1, &b)] {
                let Some(packet) = tape.get(index) else { continue };
                let packet = Packet { symbol_id: id, ..packet.clone() };
                let joint = both.process(&packet).unwrap().map(|f| f.as_bytes()[24..].to_vec());
                let single = alone[id as usize].process(&packet).map(|f| f.as_bytes()[24..].to_vec());
                prop_assert_eq!(joint, single);
            }
        }
    }
}

#[test]
fn idle_symbols_leave_by_event_time_in_the_order_of_their_sequence() {
    let (mut engine, _) = engine();
    for name in ["B", "C", "D", "never"] {
        engine.add_symbol(Instrument::new(0, name, "0.1", "0.001").unwrap()).unwrap();
    }
    // One second per 1,000 of the sequence.
    for (id, seq) in [(0, 20), (1, 10), (2, 2_000), (3, 10)] {
        let packet = snapshot(seq, (618_001, 696), (618_003, 12));
        engine.process(&Packet { symbol_id: id, ..packet }).unwrap();
    }
    assert!(engine.evict_idle(1_990_000_001).is_empty(), "a nanosecond short for B");
    assert_eq!(engine.evict_idle(1_980_000_000), [1, 3, 0], "by sequence, then id");
    assert!(matches!(engine.symbol(1), Err(Error::UnknownSymbol { .. })));
    assert!(matches!(engine.symbol_id("B"), Err(Error::UnknownSymbol { .. })));
    let late = Packet { symbol_id: 1, ..snapshot(3_000, (618_001, 696), (618_003, 12)) };
    assert!(matches!(engine.process(&late), Err(Error::UnknownSymbol { .. })));
    assert!(engine.symbol(4).is_ok(), "a symbol that had no packet yet stays");
    let kept = engine.symbol_id("C").unwrap();
    assert!(engine.symbol(kept).unwrap().frame().is_some());

    let again = engine.add_symbol(Instrument::new(0, "B", "0.1", "0.001").unwrap()).unwrap();
    assert_eq!(again, 5, "an id is never given twice");
    assert!(engine.symbol(again).unwrap().frame().is_none());
    let state = engine.snapshot();
    engine.restore(&state).unwrap();
}

#[test]
fn a_symbol_above_the_limit_is_refused_until_one_was_evicted() {
    let mut engine = FeatureEngine::new(built_in_set("lob_shared_v1").unwrap());
    let add = |engine: &mut FeatureEngine, n: usize| {
        engine.add_symbol(Instrument::new(0, &format!("S{n}"), "0.1", "0.001").unwrap())
    };
    for n in 0..feature_runtime::MAX_SYMBOLS {
        add(&mut engine, n).unwrap();
    }
    let error = add(&mut engine, 5_000).unwrap_err().to_string();
    assert!(error.contains("4096 symbols already"), "{error}");
    for (id, seq) in [(0, 10), (1, 2_000)] {
        let packet = snapshot(seq, (618_001, 696), (618_003, 12));
        engine.process(&Packet { symbol_id: id, ..packet }).unwrap();
    }
    assert_eq!(engine.evict_idle(1_000_000_000), [0]);
    assert_eq!(add(&mut engine, 5_000).unwrap(), 4_096);
}
