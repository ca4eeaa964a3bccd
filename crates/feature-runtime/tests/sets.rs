//! Built-in sets keep the contracts that they are named after.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use feature_kernel::frame::decode;
use feature_runtime::{BUILT_IN_SETS, SymbolEngine, built_in_set, parse_set};
use market_model::{BookOp, Instrument, Level, Packet, PacketKind};
use serde_json::Value;

const MS: i64 = 1_000_000;

fn json(id: &str) -> Value {
    let (_, text) = BUILT_IN_SETS.iter().find(|(known, _)| *known == id).unwrap();
    serde_json::from_str(text).unwrap()
}

/// What stands at an index of the contract of `l2_linear_v1`: column, level, input and window.
fn contract(index: usize) -> (&'static str, Option<i64>, Option<&'static str>, Option<i64>) {
    match index {
        0 => ("mid", None, None, None),
        1 => ("spread", None, None, None),
        2 => ("ofi_l1_raw", None, None, None),
        3 => ("microprice", None, None, None),
        4..=8 => ("queue_imbalance", Some(index as i64 - 4), None, None),
        _ => {
            let of = ["ofi", "spread", "qi_0"][(index - 9) / 3];
            let window_ns = [10, 20, 50][(index - 9) % 3] * MS;
            ("rolling_mean", None, Some(of), Some(window_ns))
        }
    }
}

#[test]
fn l2_linear_has_the_order_of_its_contract() {
    let set = json("l2_linear_v1");
    let features = set["features"].as_array().unwrap();
    assert_eq!(features.len(), 18);
    for (index, feature) in features.iter().enumerate() {
        let params = &feature["params"];
        let number = |key: &str| params[key].as_i64();
        let found = (
            feature["column"].as_str().unwrap(),
            number("level"),
            params["of"].as_str(),
            number("window_ns"),
        );
        assert_eq!(found, contract(index), "index {index}");
    }
    let resolved = built_in_set("l2_linear_v1").unwrap();
    let names: Vec<_> = resolved.features().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names[..4], ["mid", "spread", "ofi", "microprice"]);
    assert_eq!(names[4..9], ["qi_0", "qi_1", "qi_2", "qi_3", "qi_4"]);
    assert_eq!(names[9..12], ["rolling_ofi_10ms", "rolling_ofi_20ms", "rolling_ofi_50ms"]);
    assert_eq!(
        names[12..15],
        ["rolling_spread_10ms", "rolling_spread_20ms", "rolling_spread_50ms"]
    );
    assert_eq!(names[15..], ["rolling_qi0_10ms", "rolling_qi0_20ms", "rolling_qi0_50ms"]);
}

/// Accepted packets before a column of the deployed sets is ready.
#[test]
fn lob_shared_is_ready_when_the_deployed_sets_are() {
    let deployed = [
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, // v1
        8, 42, 2, 400, 128, 50, // v2
        40, 240, 40, 240, 2400, // v3
    ];
    for (id, features) in [("lob_shared_v1", 16), ("lob_shared_v2", 22), ("lob_shared_v3", 27)] {
        let set = built_in_set(id).unwrap();
        let warm: Vec<_> = set.features().iter().map(|f| f.warmup_min_events).collect();
        assert_eq!(warm, deployed[..features], "{id}");
        assert!(set.features().iter().all(|f| f.warmup_min_ns == 0), "{id}");
    }
}

/// The deployed system trained on the rolling columns by window and served them by signal.
#[test]
fn the_order_of_training_cannot_meet_the_order_of_serving() {
    let mut trained = json("l2_linear_v1");
    let features = trained["features"].as_array_mut().unwrap();
    let rolling = features.split_off(9);
    for window in 0..3 {
        features.extend((0..3).map(|signal| rolling[3 * signal + window].clone()));
    }
    let trained = parse_set(&trained.to_string(), "trained").unwrap();
    let served = built_in_set("l2_linear_v1").unwrap();
    assert_eq!(trained.len(), served.len());
    assert_ne!(trained.schema_hash(), served.schema_hash());
    let instrument = Instrument::new(0, "X", "1", "1").unwrap();
    let mut engine = SymbolEngine::new(served.into(), instrument);
    let mut packet = Packet { kind: PacketKind::Snapshot, seq: 1, ..Packet::default() };
    packet.push_level(BookOp::SetBid, Level::new(100, 1));
    packet.push_level(BookOp::SetAsk, Level::new(101, 1));
    let frame = engine.process(&packet).unwrap().as_bytes().to_vec();
    let refused = decode(&frame, trained.schema_hash(), trained.len()).unwrap_err();
    assert!(refused.to_string().starts_with("schema mismatch"), "{refused}");
    assert!(decode(&frame, engine.feature_set().schema_hash(), 18).is_ok());
}
