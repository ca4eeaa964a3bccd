//! Laws that hold for every tape: relations between runs, not between implementations.
#![allow(clippy::unwrap_used)] // Helpers of tests stand outside of test functions.

use std::sync::Arc;

use feature_kernel::FrameRef;
use feature_kernel::frame::{bit, frame_bytes};
use feature_kernel::meta::{Behaviour, Dtype};
use feature_parity::compare::compare;
use feature_parity::{Coverage, External, NaiveTwin, Runtime, Sut, Tape};
use feature_runtime::{SymbolEngine, parse_set};
use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, MAX_SCALED, Packet, PacketKind, QualityFlags,
    Run, Sequencing, Trade,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Columns with a known answer to mirroring, shifting and scaling.
const SET: &str = r#"{"id": "laws", "features": [
    {"family": "mid_spread", "column": "spread_scaled"},
    {"family": "ofi_l1", "column": "ofi_l1_raw"},
    {"family": "ofi_l1", "column": "ofi_l1_cum"},
    {"family": "ofi_l1", "column": "ofi_l1_sum", "params": {"window_ns": 700000000}},
    {"family": "imbalance", "column": "l1_imbalance"},
    {"family": "imbalance", "column": "depth_imbalance", "params": {"levels": 3}},
    {"family": "depth", "column": "bid_depth", "params": {"levels": 3}},
    {"family": "depth", "column": "ask_depth", "params": {"levels": 3}},
    {"family": "trades", "column": "signed_flow"},
    {"family": "trades", "column": "tfi", "params": {"window_ns": 700000000}},
    {"family": "trades", "column": "buy_qty_sum", "params": {"window_ns": 700000000}},
    {"family": "trades", "column": "sell_qty_sum", "params": {"window_ns": 700000000}},
    {"family": "impact", "column": "kyle_r2", "params": {"window_ns": 2000000000}},
    {"family": "returns", "column": "mid_autocov_x1e6", "params": {"count": 5}},
    {"family": "toxicity", "column": "toxicity_ema", "params": {"trades": 5}},
    {"family": "shock", "column": "sign_persistence", "params": {"of": "ofi_l1_raw", "count": 5}},
    {"family": "impact", "column": "kyle_lambda", "params": {"window_ns": 2000000000}}
]}"#;

type Frame = (u32, Vec<Option<i128>>);

/// Flags and values of every frame; floats as bits with the sign taken off.
fn frames(instrument: &Instrument, packets: &[Packet]) -> Vec<Frame> {
    let set = Arc::new(parse_set(SET, "laws").unwrap());
    let mut engine = SymbolEngine::new(Arc::clone(&set), instrument.clone());
    let mut all = Vec::new();
    for packet in packets {
        let Some(frame) = engine.process(packet) else { continue };
        let dtype = |i: usize| set.features()[i].column.dtype;
        let values = (0..set.len()).map(|i| value(&frame, i, dtype(i))).collect();
        all.push((frame.header().quality.bits(), values));
    }
    all
}

fn value(frame: &FrameRef<'_>, index: usize, dtype: Dtype) -> Option<i128> {
    let word = frame.value(index)?;
    Some(if dtype == Dtype::F64 {
        // A ratio as a signed integer: mirroring flips the sign bit only.
        let x = f64::from_bits(word);
        let magnitude = i128::from(x.abs().to_bits());
        if x < 0.0 { -magnitude } else { magnitude }
    } else {
        i128::from(word.cast_signed())
    })
}

fn map_levels(packet: &Packet, f: impl Fn(Level) -> Level) -> Packet {
    let mut packet = packet.clone();
    packet.levels.iter_mut().for_each(|level| *level = f(*level));
    packet
}

fn mirrored(packet: &Packet) -> Packet {
    let mut packet = map_levels(packet, |l| Level::new(1_000 - l.price_ticks, l.qty_lots));
    for Run { op, .. } in &mut packet.run_ends {
        *op = match op {
            BookOp::SetBid => BookOp::SetAsk,
            BookOp::SetAsk => BookOp::SetBid,
            BookOp::ClearBid => BookOp::ClearAsk,
            BookOp::ClearAsk => BookOp::ClearBid,
        };
    }
    for trade in &mut packet.trades {
        trade.price_ticks = 1_000 - trade.price_ticks;
        trade.aggressor = match trade.aggressor {
            Aggressor::Buy => Aggressor::Sell,
            Aggressor::Sell => Aggressor::Buy,
            Aggressor::Unknown => Aggressor::Unknown,
        };
    }
    packet
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn mirroring_the_book_negates_flow_and_imbalance((instrument, packets) in testkit::tape(80)) {
        let mirror: Vec<Packet> = packets.iter().map(mirrored).collect();
        let (plain, mirror) = (frames(&instrument, &packets), frames(&instrument, &mirror));
        prop_assert_eq!(plain.len(), mirror.len());
        for ((flags, a), (other_flags, b)) in plain.iter().zip(&mirror) {
            prop_assert_eq!(flags, other_flags);
            prop_assert_eq!(a[0], b[0]);
            for index in [1, 2, 3, 4, 5, 8, 9] {
                prop_assert_eq!(a[index], b[index].map(|x| -x), "column {}", index);
            }
            prop_assert_eq!((a[6], a[7], a[10], a[11]), (b[7], b[6], b[11], b[10]));
            // Flow and price turn together, so what one does to the other stays.
            prop_assert_eq!(&a[12..17], &b[12..17]);
        }
    }

    #[test]
    fn shifting_all_prices_changes_nothing_here((instrument, packets) in testkit::tape(80), ticks in 1..1_000_000_i64) {
        let shift = |p: &Packet| {
            let mut p = map_levels(p, |l| Level::new(l.price_ticks + ticks, l.qty_lots));
            p.trades.iter_mut().for_each(|trade| trade.price_ticks += ticks);
            p
        };
        let shifted: Vec<Packet> = packets.iter().map(shift).collect();
        prop_assert_eq!(frames(&instrument, &packets), frames(&instrument, &shifted));
    }

    #[test]
    fn doubling_all_quantities_doubles_flow_and_depth((instrument, packets) in testkit::tape(80)) {
        let scale = |p: &Packet| {
            let mut p = map_levels(p, |l| Level::new(l.price_ticks, 2 * l.qty_lots));
            p.trades.iter_mut().for_each(|trade| trade.qty_lots *= 2);
            p
        };
        let scaled: Vec<Packet> = packets.iter().map(scale).collect();
        let (plain, scaled) = (frames(&instrument, &packets), frames(&instrument, &scaled));
        for ((_, a), (_, b)) in plain.iter().zip(&scaled) {
            for index in [1, 2, 3, 6, 7, 8, 10, 11] {
                prop_assert_eq!(a[index].map(|x| 2 * x), b[index], "column {}", index);
            }
            prop_assert_eq!((a[0], a[4], a[5], a[9]), (b[0], b[4], b[5], b[9]));
            prop_assert_eq!(&a[12..16], &b[12..16]);
            // Half the slope: one less in the exponent.
            let half = |x: i128| if x == 0 { 0 } else { x - x.signum() * (1 << 52) };
            prop_assert_eq!(a[16].map(half), b[16]);
        }
    }
}

/// Columns that do not ask how a quantity was cut into trades.
const CUT: &str = r#"{"id": "cut", "features": [
    {"family": "toxicity", "column": "vpin", "params": {"bucket_scaled": 35, "buckets": 6}},
    {"family": "toxicity", "column": "vpin", "params": {"bucket_scaled": 2, "buckets": 9}},
    {"family": "trades", "column": "signed_flow"},
    {"family": "trades", "column": "buy_qty_sum", "params": {"window_ns": 700000000}},
    {"family": "trades", "column": "tfi", "params": {"window_ns": 700000000}},
    {"family": "trades", "column": "vwap", "params": {"window_ns": 700000000}}
]}"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn cutting_a_trade_in_two_changes_no_quantity((instrument, packets) in testkit::tape(80), part in 1..9_i64) {
        let cut = |packet: &Packet| {
            let mut cut = packet.clone();
            cut.trades.clear();
            for trade in &packet.trades {
                let first = (trade.qty_lots * part / 9).min(trade.qty_lots - 1);
                let parts = [first, trade.qty_lots - first].into_iter().filter(|lots| *lots > 0);
                cut.trades.extend(parts.map(|qty_lots| Trade { qty_lots, ..*trade }));
            }
            cut
        };
        let set = Arc::new(parse_set(CUT, "cut").unwrap());
        let mut whole = SymbolEngine::new(Arc::clone(&set), instrument.clone());
        let mut pieces = SymbolEngine::new(set, instrument);
        for packet in &packets {
            let want = whole.process(packet).map(|frame| frame.as_bytes().to_vec());
            let got = pieces.process(&cut(packet)).map(|frame| frame.as_bytes().to_vec());
            prop_assert_eq!(got, want);
        }
    }
}

/// Columns over several levels with known relations.
const LEVELS: &str = r#"{"id": "levels", "features": [
    {"family": "ofi_l1", "column": "ofi_l1_raw"},
    {"family": "ofi_ml", "column": "ofi_ml", "params": {"levels": 1}, "alias": "one_by_price"},
    {"family": "ofi_ml", "column": "ofi_ml", "params": {"levels": 1, "align": "index"}, "alias": "one_by_index"},
    {"family": "ofi_ml", "column": "ofi_ml", "params": {"levels": 3}},
    {"family": "ofi_ml", "column": "ofi_ml_level", "params": {"level": 0, "levels": 3}},
    {"family": "ofi_ml", "column": "ofi_ml_level", "params": {"level": 1, "levels": 3}},
    {"family": "ofi_ml", "column": "ofi_ml_level", "params": {"level": 2, "levels": 3}},
    {"family": "ofi_flow", "column": "ofi_flow", "params": {"depth_bps": 10000}},
    {"family": "depth", "column": "bid_depth", "params": {"levels": 64}},
    {"family": "depth", "column": "ask_depth", "params": {"levels": 64}},
    {"family": "shape", "column": "bid_half_depth_level"},
    {"family": "shape", "column": "ask_half_depth_level"},
    {"family": "regime", "column": "spread_regime", "params": {"window_ns": 2000000000}},
    {"family": "regime", "column": "tob_survival_ms"}
]}"#;

/// Frame number in its epoch, flags and values of every frame.
fn level_frames(instrument: &Instrument, packets: &[Packet]) -> Vec<(u64, Frame)> {
    let set = Arc::new(parse_set(LEVELS, "levels").unwrap());
    let mut engine = SymbolEngine::new(Arc::clone(&set), instrument.clone());
    let mut all = Vec::new();
    for packet in packets {
        let Some(frame) = engine.process(packet) else { continue };
        let word = |i| frame.value(i).map(|word| i128::from(word.cast_signed()));
        let header = frame.header();
        all.push((header.seq, (header.quality.bits(), (0..set.len()).map(word).collect())));
    }
    all
}

/// Each level is set to something else first, in the same packet.
fn hesitating(packet: &Packet) -> Packet {
    let mut slow = Packet { levels: Vec::new(), run_ends: Vec::new(), ..packet.clone() };
    for (op, levels) in packet.runs() {
        match (op, levels) {
            (BookOp::ClearBid | BookOp::ClearAsk, []) => slow.push_clear_side(op),
            (BookOp::ClearBid | BookOp::ClearAsk, levels) => {
                levels.iter().for_each(|level| slow.push_level(op, *level));
            }
            (BookOp::SetBid | BookOp::SetAsk, levels) => {
                for level in levels {
                    slow.push_level(op, Level::new(level.price_ticks, level.qty_lots + 3));
                    slow.push_level(op, *level);
                }
            }
        }
    }
    slow
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn levels_add_up_and_one_level_is_the_touch((instrument, packets) in testkit::tape(80)) {
        for (_, (_, values)) in level_frames(&instrument, &packets) {
            prop_assert_eq!((values[0], values[0]), (values[1], values[2]));
            let parts: Option<i128> = values[4..7].iter().copied().sum();
            prop_assert_eq!(parts, values[3]);
        }
    }

    /// Every level of these tapes is within 10,000 bps, so the flow is what the depth gained.
    #[test]
    fn flow_of_all_levels_is_the_change_of_depth((instrument, packets) in testkit::tape(80)) {
        let net = |values: &[Option<i128>]| Some(values[8]? - values[9]?);
        let mut before = None;
        for (seq, (_, values)) in level_frames(&instrument, &packets) {
            before = before.filter(|_| seq > 1);
            let Some(now) = net(&values) else { continue };
            if let (Some(before), Some(flow)) = (before, values[7]) {
                prop_assert_eq!(now - before, flow);
            }
            before = Some(now);
        }
    }

    #[test]
    fn mirroring_the_book_negates_level_flow_and_swaps_shape((instrument, packets) in testkit::tape(80)) {
        let mirror: Vec<Packet> = packets.iter().map(mirrored).collect();
        let plain = level_frames(&instrument, &packets);
        for ((_, (_, a)), (_, (_, b))) in plain.iter().zip(&level_frames(&instrument, &mirror)) {
            for index in 0..7 {
                prop_assert_eq!(a[index], b[index].map(|x| -x), "column {}", index);
            }
            prop_assert_eq!((a[10], a[11]), (b[11], b[10]));
            prop_assert_eq!((a[12], a[13]), (b[12], b[13]));
        }
    }

    #[test]
    fn what_a_level_was_within_a_packet_does_not_matter((instrument, packets) in testkit::tape(80)) {
        let slow: Vec<Packet> = packets.iter().map(hesitating).collect();
        prop_assert_eq!(level_frames(&instrument, &packets), level_frames(&instrument, &slow));
    }
}

/// Columns over windows of time, none of which asks for the side of a trade.
const WINDOWS: &str = r#"{"id": "windows", "features": [
    {"family": "mid_spread", "column": "spread_scaled"},
    {"family": "ofi_l1", "column": "ofi_l1_raw"},
    {"family": "ofi_l1", "column": "ofi_l1_sum", "params": {"window_ns": 900000000}},
    {"family": "regime", "column": "tight_fraction", "params": {"tight_ppm": 20000, "window_ns": 900000000}},
    {"family": "regime", "column": "spread_percentile", "params": {"window_ns": 900000000}},
    {"family": "regime", "column": "spread_regime", "params": {"window_ns": 900000000}},
    {"family": "returns", "column": "log_return", "params": {"window_ns": 900000000}},
    {"family": "returns", "column": "realized_vol", "params": {"window_ns": 900000000}},
    {"family": "impact", "column": "kyle_lambda", "params": {"window_ns": 900000000}},
    {"family": "rolling", "column": "rolling_mean", "params": {"of": "spread_scaled", "window_ns": 900000000}},
    {"family": "rolling", "column": "rolling_max", "params": {"of": "ofi_l1_raw", "window_ns": 900000000}},
    {"family": "shock", "column": "shock_count", "params": {"of": "ofi_l1_raw", "threshold_ppm": 1, "window_ns": 900000000}},
    {"family": "trades", "column": "trade_qty_sum", "params": {"window_ns": 900000000}},
    {"family": "trades", "column": "vwap", "params": {"window_ns": 900000000}}
]}"#;

/// Equal words of ready columns, and unequal ones of columns that are valid but not ready, in the
/// frames of an engine and of one that began with the packet `start`.
fn owed_to_the_past(instrument: &Instrument, packets: &[Packet], start: usize) -> (u64, u64) {
    let set = Arc::new(parse_set(WINDOWS, "windows").unwrap());
    let mut whole = SymbolEngine::new(Arc::clone(&set), instrument.clone());
    let mut late = SymbolEngine::new(Arc::clone(&set), instrument.clone());
    for packet in &packets[..start] {
        whole.process(packet);
    }
    let (mut equal, mut unready) = (0, 0);
    for packet in &packets[start..] {
        let frames = (whole.process(packet).is_some(), late.process(packet).is_some());
        if whole.t_eff_ns() != late.t_eff_ns() {
            break; // A time before the start is still the newest.
        }
        let (true, (Some(want), Some(got))) = (frames.0, (whole.frame(), late.frame())) else {
            continue;
        };
        for (index, feature) in set.features().iter().enumerate() {
            let is_window = feature.column.behaviour == Behaviour::Window;
            let is_equal = want.value(index) == got.value(index);
            if !is_window || want.value(index).is_none() {
                continue;
            }
            if bit(want.warmup_ready_mask(), index) {
                assert!(is_equal, "{} of {:?} after packet {start}", feature.name, want.header());
                equal += 1;
            } else {
                unready += u64::from(!is_equal);
            }
        }
    }
    (equal, unready)
}

/// Feeds on which every book packet is a snapshot: a gap ends no epoch there.
#[test]
fn nothing_ready_after_a_gap_owes_anything_to_what_was_before() {
    let mut runner = TestRunner::deterministic();
    let (mut equal, mut unready) = (0, 0);
    for _ in 0..200 {
        let (instrument, mut packets) = testkit::tape(120).new_tree(&mut runner).unwrap().current();
        let instrument =
            Instrument { feed: FeedKind::Snapshot, sequencing: Sequencing::Venue, ..instrument };
        let of_book = packets.iter_mut().filter(|packet| packet.touches_book());
        of_book.for_each(|packet| packet.kind = PacketKind::Snapshot);
        let mut engine =
            SymbolEngine::new(Arc::new(parse_set(WINDOWS, "windows").unwrap()), instrument.clone());
        for start in 0..packets.len() {
            let frame = engine.process(&packets[start]);
            if frame
                .is_some_and(|frame| frame.header().quality.contains(QualityFlags::GAP_DETECTED))
            {
                let (same, other) = owed_to_the_past(&instrument, &packets, start);
                (equal, unready) = (equal + same, unready + other);
            }
        }
    }
    // Without the ready bits the two engines would be seen to differ.
    assert!(equal > 1_000 && unready > 100, "{equal} equal, {unready} unready");
}

/// A tape on which sums leave the range of 64 bits.
fn huge() -> Tape {
    let json = r#"{"id": "huge", "features": [
        {"family": "depth", "column": "bid_depth_within", "params": {"bps": 9999}},
        {"family": "ofi_l1", "column": "ofi_l1_cum"},
        {"family": "microprice", "column": "microprice"},
        {"family": "microprice", "column": "microprice_x2"}
    ]}"#;
    let mut packet = Packet { kind: PacketKind::Snapshot, seq: 1, ..Packet::default() };
    packet.ts_event_ns = testkit::START_NS;
    for price in 1..=1_200 {
        packet.push_level(BookOp::SetBid, Level::new(1_000_000 + price, MAX_SCALED));
    }
    packet.push_level(BookOp::SetAsk, Level::new(3_000_000, MAX_SCALED));
    let mut packets = vec![packet];
    for seq in 2..1_100_u64 {
        let ts_event_ns = testkit::START_NS + seq.cast_signed();
        let mut packet = Packet { seq, prev_seq: seq - 1, ts_event_ns, ..Packet::default() };
        let price = 2_000_000 + seq.cast_signed();
        packet.push_level(BookOp::SetBid, Level::new(price, MAX_SCALED));
        packets.push(packet);
    }
    let instrument = Instrument::new(0, "HUGE", "1", "1").unwrap();
    let set = Arc::new(parse_set(json, "huge").unwrap());
    Tape { name: "huge".into(), set, instrument, packets }
}

#[test]
fn sums_saturate_with_a_flag_and_never_wrap() {
    let tape = huge();
    let want = Runtime.run(&tape).unwrap();
    let last = &want[want.len() - frame_bytes(4)..];
    let words = feature_kernel::frame::decode(last, tape.set.schema_hash(), 4).unwrap();
    let frame = FrameRef::from_words(&words);
    assert!(frame.header().quality.contains(QualityFlags::SATURATED));
    assert_eq!(frame.values()[0].cast_signed(), i64::MAX, "depth");
    assert_eq!(frame.values()[1].cast_signed(), i64::MAX, "cumulative flow");
    let python = std::path::Path::new("python3");
    let suts: [Box<dyn Sut>; 2] =
        [Box::new(NaiveTwin::default()), Box::new(External::reference(python))];
    for mut sut in suts {
        let got = sut.run(&tape).unwrap();
        let result = compare(&tape, sut.name(), Coverage::Frame, &want, &got);
        assert!(result.is_equal(), "{:?}", result.first);
    }
}

/// Sums of squares of huge integers need more than 128 bits.
#[test]
fn windows_over_huge_numbers_stay_exact() {
    let windows = ["mean", "sum", "std", "zscore", "min", "max"].map(|column| {
        format!(
            r#",{{"family": "rolling", "column": "rolling_{column}", "params": {{"of": "cum", "count": 50}}}},
            {{"family": "rolling", "column": "rolling_{column}", "params": {{"of": "x", "window_ns": 70}}}}"#
        )
    });
    let json = format!(
        r#"{{"id": "huge", "features": [
            {{"family": "ofi_l1", "column": "ofi_l1_cum", "alias": "cum"}},
            {{"family": "microprice", "column": "microprice", "alias": "x"}}{}
        ]}}"#,
        windows.concat()
    );
    let tape = Tape { set: Arc::new(parse_set(&json, "huge").unwrap()), ..huge() };
    let want = Runtime.run(&tape).unwrap();
    let mut reference = External::reference(std::path::Path::new("python3"));
    let got = reference.run(&tape).unwrap();
    let result = compare(&tape, reference.name(), Coverage::Frame, &want, &got);
    assert!(result.is_equal(), "{:?}", result.first);
    let last = &want[want.len() - frame_bytes(tape.set.len())..];
    let (hash, n) = (tape.set.schema_hash(), tape.set.len());
    let words = feature_kernel::frame::decode(last, hash, n).unwrap();
    let frame = FrameRef::from_words(&words);
    let index = tape.set.index_of("rolling_std_x_70ns").unwrap();
    let deviation = f64::from_bits(frame.value(index).unwrap());
    // 70 values, half a tick apart: 0.5 * sqrt(70 * 71 / 12).
    assert!((10.17..10.18).contains(&deviation), "{deviation}");
}
