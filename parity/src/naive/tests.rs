//! Values here were worked out by hand from the specs.

use feature_kernel::{FeatureSet, FeatureSpec, ParamValue};
use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, Packet, PacketKind, QualityFlags, Sequencing,
    Trade,
};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::{Defect, Naive};

const T0: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

type Side<'a> = &'a [(i64, i64)];

fn spec(family: &str, column: &str, params: &[(&str, i64)], words: &[(&str, &str)]) -> FeatureSpec {
    let numbers = params.iter().map(|(k, v)| ((*k).to_owned(), ParamValue::Int(*v)));
    let words = words.iter().map(|(k, v)| ((*k).to_owned(), ParamValue::Text((*v).to_owned())));
    FeatureSpec {
        family: family.into(),
        column: column.into(),
        params: numbers.chain(words).collect(),
        alias: None,
    }
}

fn plain(family: &str, column: &str) -> FeatureSpec {
    spec(family, column, &[], &[])
}

fn instrument(feed: FeedKind, sequencing: Sequencing) -> Instrument {
    Instrument { feed, sequencing, ..Instrument::new(7, "X", "1", "1").unwrap() }
}

fn packet(kind: PacketKind, t: i64, seq: u64, bids: Side<'_>, asks: Side<'_>) -> Packet {
    let mut packet = Packet { kind, ts_event_ns: t, seq, ..Packet::default() };
    for (op, side) in [(BookOp::SetBid, bids), (BookOp::SetAsk, asks)] {
        for (ticks, lots) in side {
            packet.push_level(op, Level::new(*ticks, *lots));
        }
    }
    packet
}

fn snapshot(t: i64, seq: u64, bids: Side<'_>, asks: Side<'_>) -> Packet {
    packet(PacketKind::Snapshot, t, seq, bids, asks)
}

fn heartbeat(t: i64) -> Packet {
    packet(PacketKind::Heartbeat, t, 0, &[], &[])
}

/// The frame of one packet, taken apart by the table of `specs/abi-v1.md`; one mask word only.
#[derive(Debug)]
struct Read {
    bytes: Vec<u8>,
}

impl Read {
    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }
    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }
    fn seq(&self) -> u64 {
        self.u64_at(24)
    }
    fn epoch(&self) -> u32 {
        self.u32_at(56)
    }
    fn flags(&self) -> QualityFlags {
        QualityFlags::from_bits(self.u32_at(60)).unwrap()
    }
    fn changed(&self) -> u64 {
        self.u64_at(64)
    }
    fn ready(&self) -> u64 {
        self.u64_at(72)
    }
    fn valid(&self) -> u64 {
        self.u64_at(80)
    }
    fn words(&self) -> Vec<i64> {
        let words = self.bytes[88..].chunks(8);
        words.map(|word| i64::from_le_bytes(word.try_into().unwrap())).collect()
    }
}

fn push(naive: &mut Naive, packet: &Packet) -> Option<Read> {
    let mut bytes = Vec::new();
    naive.push(packet, &mut bytes);
    (!bytes.is_empty()).then_some(Read { bytes })
}

fn lob_shared() -> FeatureSet {
    let ema = |of: &str, seed: &str, alias: &str| {
        let words = [("of", of), ("form", "weighted"), ("seed", seed)];
        let spec = spec("ema", "ema_rounded", &[("span", 8)], &words);
        FeatureSpec { alias: Some(alias.into()), ..spec }
    };
    let specs = [
        plain("top", "best_bid"),
        plain("top", "best_ask"),
        plain("mid_spread", "mid_price_x2"),
        plain("mid_spread", "spread_scaled"),
        plain("depth", "bid_depth"),
        plain("depth", "ask_depth"),
        plain("imbalance", "depth_imbalance_ppm"),
        plain("microprice", "microprice_x2"),
        plain("top", "l1_bid_qty"),
        plain("top", "l1_ask_qty"),
        plain("imbalance", "l1_imbalance_ppm"),
        plain("ofi_l1", "ofi_l1_raw"),
        plain("ofi_l1", "ofi_l1_cum"),
        ema("ofi_l1_raw", "zero", "ofi_l1_ema8"),
        ema("spread_scaled", "first", "spread_ema8_scaled"),
        ema("l1_imbalance_ppm", "first", "depth_imbalance_ema8_ppm"),
    ];
    FeatureSet::new("lob_shared_v1", &specs).unwrap()
}

#[test]
fn golden_frames_of_lob_shared_v1() {
    let inputs: [(Side<'_>, Side<'_>); 4] = [
        (&[(1_000_000, 10), (999_000, 30)], &[(1_001_000, 20), (1_002_000, 5)]),
        (&[(1_000_000, 15), (999_000, 30)], &[(1_001_000, 15), (1_002_000, 5)]),
        (&[(1_000_500, 12), (1_000_000, 15)], &[(1_001_000, 15), (1_002_000, 5)]),
        (&[(1_000_500, 12)], &[(1_002_000, 5)]),
    ];
    #[rustfmt::skip]
    let expected: [(u64, u64, [i64; 16]); 4] = [
        (65_535, 2_047, [1_000_000, 1_001_000, 2_001_000, 1_000, 40, 25, 230_769, 2_000_667,
                         10, 20, -333_333, 0, 0, 0, 1_000, -333_333]),
        (49_136, 65_535, [1_000_000, 1_001_000, 2_001_000, 1_000, 45, 20, 384_615, 2_001_000,
                          15, 15, 0, 10, 10, 2, 1_000, -259_259]),
        (64_989, 65_535, [1_000_500, 1_001_000, 2_001_500, 500, 27, 20, 148_936, 2_001_444,
                          12, 15, -111_111, 12, 22, 4, 889, -226_337]),
        (65_278, 65_535, [1_000_500, 1_002_000, 2_002_500, 1_500, 12, 5, 411_765, 2_003_118,
                          12, 5, 411_765, 15, 37, 7, 1_025, -84_537]),
    ];
    let set = lob_shared();
    let mut naive = Naive::new(&set, &instrument(FeedKind::Snapshot, Sequencing::Venue));
    for (seq, ((bids, asks), (changed, ready, words))) in (1..).zip(inputs.iter().zip(expected)) {
        let frame = push(&mut naive, &snapshot(T0 + seq * 1_000_000, seq as u64, bids, asks));
        let frame = frame.unwrap();
        assert_eq!(&frame.bytes[..8], b"FUFRAME1");
        assert_eq!(frame.bytes.len(), 64 + 24 + 8 * 16);
        assert_eq!(frame.u64_at(8), set.schema_hash());
        assert_eq!((frame.u32_at(16), frame.u32_at(20)), (7, 16));
        assert_eq!((frame.seq(), frame.u64_at(32), frame.epoch()), (seq as u64, seq as u64, 0));
        assert_eq!(frame.u64_at(40), (T0 + seq * 1_000_000) as u64);
        assert_eq!(frame.flags(), QualityFlags::empty());
        assert_eq!((frame.changed(), frame.ready(), frame.valid()), (changed, ready, 65_535));
        assert_eq!(frame.words(), words, "frame {seq}");
    }
}

#[test]
fn a_flow_leaves_the_window_at_its_edge() {
    let sum = spec("ofi_l1", "ofi_l1_sum", &[("window_ns", 10)], &[]);
    let set = FeatureSet::new("s", &[sum]).unwrap();
    let mut naive = Naive::new(&set, &instrument(FeedKind::Delta, Sequencing::Arrival));
    let delta = |t, bids| packet(PacketKind::Delta, t, 0, bids, &[]);
    let tape = [
        (snapshot(T0, 0, &[(100, 1)], &[(101, 1)]), 0, 0),
        (delta(T0 + 1, &[(100, 6)]), 5, 0),
        (delta(T0 + 10, &[(100, 9)]), 8, 1),
        (heartbeat(T0 + 11), 3, 1),
        (heartbeat(T0 + 19), 3, 1),
        (heartbeat(T0 + 20), 0, 1),
    ];
    for (packet, value, ready) in tape {
        let frame = push(&mut naive, &packet).unwrap();
        assert_eq!((frame.words(), frame.ready()), (vec![value], ready), "{packet:?}");
    }
}

#[test]
fn a_gap_on_a_delta_feed_repeats_the_last_words_once() {
    let set = FeatureSet::new("s", &[plain("top", "l1_bid_qty"), plain("ofi_l1", "ofi_l1_cum")]);
    let mut naive = Naive::new(&set.unwrap(), &instrument(FeedKind::Delta, Sequencing::Venue));
    let delta = |t, seq, prev, lots| Packet {
        prev_seq: prev,
        ..packet(PacketKind::Delta, t, seq, &[(100, lots)], &[])
    };
    push(&mut naive, &snapshot(T0, 10, &[(100, 1)], &[(101, 1)])).unwrap();
    assert_eq!(push(&mut naive, &delta(T0 + 1, 11, 10, 4)).unwrap().words(), [4, 3]);
    assert!(push(&mut naive, &delta(T0 + 2, 11, 10, 4)).is_none());
    let gap = push(&mut naive, &delta(T0 + 3, 13, 12, 9)).unwrap();
    let expected =
        QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES | QualityFlags::DUPLICATE_INPUT;
    assert_eq!((gap.seq(), gap.u64_at(32), gap.flags()), (3, 13, expected));
    assert_eq!((gap.words(), gap.valid(), gap.changed()), (vec![4, 3], 0, 0));
    assert_eq!(gap.ready(), 3);
    assert!(push(&mut naive, &delta(T0 + 4, 14, 13, 9)).is_none());
    let fresh = push(&mut naive, &snapshot(T0 + 5, 20, &[(90, 2)], &[(91, 1)])).unwrap();
    assert_eq!((fresh.seq(), fresh.epoch()), (1, 1));
    assert_eq!(fresh.flags(), QualityFlags::STATE_RESET);
    assert_eq!((fresh.words(), fresh.changed(), fresh.ready()), (vec![2, 0], 3, 1));
}

#[test]
fn a_gap_on_a_frozen_book_makes_the_next_step_a_gap_step() {
    let set = FeatureSet::new("s", &[plain("ofi_l1", "ofi_l1_raw"), plain("ofi_l1", "ofi_l1_cum")]);
    let mut naive = Naive::new(&set.unwrap(), &instrument(FeedKind::Snapshot, Sequencing::Venue));
    push(&mut naive, &snapshot(T0, 1, &[(100, 1)], &[(101, 1)])).unwrap();
    let next = push(&mut naive, &snapshot(T0 + 1, 2, &[(100, 5)], &[(101, 1)])).unwrap();
    assert_eq!((next.words(), next.valid()), (vec![4, 4], 3));
    let frozen = push(&mut naive, &snapshot(T0 + 2, 9, &[(100, 5)], &[])).unwrap();
    assert!(frozen.flags().contains(QualityFlags::GAP_DETECTED | QualityFlags::ONE_SIDED_BOOK));
    assert_eq!((frozen.words(), frozen.valid()), (vec![4, 4], 0));
    let across = push(&mut naive, &snapshot(T0 + 3, 10, &[(100, 8)], &[(101, 1)])).unwrap();
    assert_eq!((across.words(), across.valid()), (vec![4, 4], 2));
    let after = push(&mut naive, &snapshot(T0 + 4, 11, &[(100, 9)], &[(101, 1)])).unwrap();
    assert_eq!((after.words(), after.valid()), (vec![1, 5], 3));
}

#[test]
fn too_many_late_packets_ask_for_a_snapshot() {
    let set = FeatureSet::new("s", &[plain("top", "best_bid")]).unwrap();
    let mut naive = Naive::new(&set, &instrument(FeedKind::Snapshot, Sequencing::Venue));
    let book = |t, seq| snapshot(t, seq, &[(100, 1)], &[(101, 1)]);
    push(&mut naive, &book(T0, 1_000)).unwrap();
    for seq in 1..64 {
        assert!(push(&mut naive, &book(T0 + 1, seq)).is_none(), "{seq}");
    }
    let given_up = push(&mut naive, &book(T0 + 1, 64)).unwrap();
    assert_eq!((given_up.seq(), given_up.valid(), given_up.u64_at(32)), (2, 0, 64));
    let fresh = push(&mut naive, &book(T0 + 2, 65)).unwrap();
    assert_eq!((fresh.seq(), fresh.epoch()), (1, 1));
    assert!(push(&mut naive, &book(T0 + 2, 30)).is_none());
    assert!(push(&mut naive, &book(T0 + 2 + 5 * SECOND, 31)).is_some());
}

#[test]
fn bands_are_half_open_and_the_mid_moves_them() {
    let bps = [("lo_bps", 10), ("hi_bps", 20)];
    let specs = [
        spec("depth", "bid_depth_band", &bps, &[]),
        spec("depth", "ask_depth_band", &bps, &[]),
        spec("depth", "bid_depth_within", &[("bps", 20)], &[]),
    ];
    let set = FeatureSet::new("s", &specs).unwrap();
    let mut naive = Naive::new(&set, &instrument(FeedKind::Snapshot, Sequencing::Arrival));
    let bids = [(9_990, 1), (9_980, 2), (9_979, 4)];
    let asks = [(10_010, 8), (10_020, 16), (10_021, 32)];
    let frame = push(&mut naive, &snapshot(T0, 0, &bids, &asks)).unwrap();
    assert_eq!(frame.words(), [1, 8, 3]);
}

#[test]
fn funding_is_strictly_after_now() {
    let set = FeatureSet::new("s", &[plain("time", "seconds_to_funding")]).unwrap();
    let mut naive = Naive::new(&set, &instrument(FeedKind::Snapshot, Sequencing::Arrival));
    let midnight = 1_700_006_400 * SECOND;
    let tape = [
        (snapshot(midnight - 1, 0, &[(1, 1)], &[(2, 1)]), 1),
        (heartbeat(midnight), 28_800),
        (heartbeat(midnight + 1), 28_800),
        (heartbeat(midnight + SECOND), 28_799),
    ];
    for (packet, seconds) in tape {
        assert_eq!(push(&mut naive, &packet).unwrap().words(), [seconds]);
    }
}

fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Small books around 100, with resets, repeats, holes, odd stamps, clears, and idle packets.
fn noise(seed: u64) -> Vec<Packet> {
    let mut state = seed;
    let mut dice = |below| random(&mut state, below);
    let (mut t, mut seq) = (1_700_006_400 * SECOND - 2_000, 1);
    let mut tape: Vec<Packet> = vec![heartbeat(t)];
    for _ in 0..2_000 {
        // Nanoseconds until midnight, so that some packet meets it; then some milliseconds too.
        let jumps = t > 1_700_006_400 * SECOND && dice(8) == 0;
        t += dice(4) as i64 + if jumps { 1_500_000 } else { 0 };
        let stamp = t - if dice(9) == 0 { dice(5) as i64 } else { 0 };
        let kind = [PacketKind::Snapshot, PacketKind::Delta][dice(3).min(1) as usize];
        let mut next = packet(kind, stamp, seq, &[], &[]);
        match dice(40) {
            0 => next.kind = PacketKind::Reset,
            1..6 => next.kind = PacketKind::Heartbeat,
            6 => next = tape[tape.len() - 1].clone(),
            7 => next.prev_seq = seq + 3,
            8 => next.push_level(BookOp::ClearBid, Level::new(99, 0)),
            9 => next.seq = seq.saturating_sub(2).max(1),
            _ => {}
        }
        for _ in 0..dice(6).saturating_sub(3) {
            let (price_ticks, qty_lots) = (97 + dice(5) as i64, 1 + dice(9) as i64);
            let aggressor =
                [Aggressor::Unknown, Aggressor::Unknown, Aggressor::Buy, Aggressor::Sell]
                    [dice(4) as usize];
            next.trades.push(Trade { price_ticks, qty_lots, aggressor });
        }
        if matches!(next.kind, PacketKind::Snapshot | PacketKind::Delta) && dice(12) != 0 {
            for _ in 0..=dice(5) {
                let lots = dice(4) as i64;
                next.push_level(BookOp::SetBid, Level::new(96 + dice(5) as i64, lots));
                next.push_level(BookOp::SetAsk, Level::new(100 + dice(5) as i64, 3 - lots));
            }
        }
        seq += u64::from(next.touches_book());
        tape.push(next);
    }
    tape.push(heartbeat(1_700_006_400 * SECOND + 28_800 * SECOND));
    tape
}

fn frames(set: &FeatureSet, instrument: &Instrument, defect: Option<Defect>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packets in noises_of_orders().into_iter().chain([noise(42)]) {
        let mut naive = Naive::new(set, instrument);
        if let Some(defect) = defect {
            naive = naive.with_defect(defect);
        }
        packets.iter().for_each(|packet| naive.push(packet, &mut bytes));
    }
    bytes
}

/// What happens to orders, from one fixed seed.
fn noises_of_orders() -> Vec<Vec<Packet>> {
    let mut runner = TestRunner::deterministic();
    (0..12).map(|_| testkit::order_tape(150).new_tree(&mut runner).unwrap().current().1).collect()
}

#[test]
fn every_planted_defect_changes_a_frame() {
    let every_column = include_str!("../../tests/every_column.json");
    let set = feature_runtime::parse_set(every_column, "every_column").unwrap();
    let feeds = [
        (FeedKind::Delta, Sequencing::Venue),
        (FeedKind::Delta, Sequencing::Arrival),
        (FeedKind::Snapshot, Sequencing::Venue),
        (FeedKind::Snapshot, Sequencing::SourceTime),
    ];
    let scaled = |plain: Instrument| Instrument { price_scale: 1, lot_scaled: 41, ..plain };
    let instruments = feeds.map(|(feed, sequencing)| scaled(instrument(feed, sequencing)));
    let right = instruments.each_ref().map(|instrument| frames(&set, instrument, None));
    assert!(right.iter().all(|bytes| bytes.len() > 100 * 200));
    for defect in Defect::ALL {
        let mut pairs = instruments.iter().zip(&right);
        let is_seen =
            pairs.any(|(instrument, right)| frames(&set, instrument, Some(*defect)) != *right);
        assert!(is_seen, "{}", defect.name());
    }
}

#[test]
fn names_of_defects_are_unique() {
    let mut names: Vec<_> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Defect::ALL.len());
}
