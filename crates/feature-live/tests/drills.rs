//! Drills: what goes wrong shows on the frame, in the strategy's view and in the metrics.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use feature_infer::{AnyModel, LinearModel, PlainWeights};
use feature_kernel::frame::bit;
use feature_live::{
    Context, Error, Metrics, Plane, Strategy, StrategyRunner, Watched, WorkerOptions, start,
};
use feature_runtime::{LatestReader, LatestWriter, frame_ring};
use market::{engine, set};
use market_model::{BookOp, Instrument, Level, Packet, PacketKind, QualityFlags};

const SET: &str = "lob_shared_v1";

/// A feature of the set that needs several packets.
const SLOW: &str = "spread_ema8_scaled";

/// What a strategy saw of one frame.
type Seen = (QualityFlags, bool);

struct Notes {
    seen: Sender<Seen>,
}

impl Strategy for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn required_features(&self) -> Vec<String> {
        let mut names: Vec<_> = set(SET).features().iter().map(|f| f.name.clone()).collect();
        names.retain(|name| name != SLOW);
        names.insert(0, SLOW.into());
        names
    }

    fn on_features(&mut self, context: &Context<'_>) {
        let view = context.get_feature_view(None).unwrap();
        assert_eq!(view.quality(), context.quality());
        self.seen.send((view.quality(), context.is_ready(0))).unwrap();
    }
}

/// A book whose quantities follow the sequence number.
fn packet(kind: PacketKind, seq: u64) -> Packet {
    let qty = i64::try_from(seq).unwrap() + 1;
    let ts_event_ns = 1_700_000_000_000_000_000 + 1_000_000 * qty;
    let prev_seq = seq - 1;
    let mut packet = Packet { kind, seq, prev_seq, ts_event_ns, ..Packet::default() };
    packet.push_level(BookOp::SetBid, Level::new(1_000, qty));
    packet.push_level(BookOp::SetAsk, Level::new(1_001, 2 * qty));
    packet
}

fn snapshot(seq: u64) -> Packet {
    packet(PacketKind::Snapshot, seq)
}

fn delta(seq: u64) -> Packet {
    packet(PacketKind::Delta, seq)
}

/// Runs packets; flags and readiness on the frames, in the strategy, and the text of the metrics.
fn drill(tape: &[Packet]) -> (Vec<Seen>, Vec<Seen>, String) {
    let set = set(SET);
    let instrument = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let (ring, mut frames) = frame_ring(&set, 64).unwrap();
    let (seen, pulled) = channel();
    let runner = StrategyRunner::new(Notes { seen }, &set).unwrap();
    let engine = engine(&set, &[instrument]);
    let feature_set = Arc::clone(engine.feature_set());
    let plane = Plane::new(engine).with_ring(ring).with_stage(Box::new(runner));
    let counters = Arc::clone(plane.counters());
    let metrics = Metrics::new(Watched { counters, shadow: None, set: feature_set });
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    for packet in tape {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    }
    drop(sender);
    worker.join().unwrap();
    let slow = set.index_of(SLOW).unwrap();
    let mut on_frames = Vec::new();
    while let Some(received) = frames.receive() {
        let ready = bit(received.frame.warmup_ready_mask(), slow);
        on_frames.push((received.frame.header().quality, ready));
    }
    (on_frames, pulled.into_iter().collect(), metrics.text())
}

fn assert_sample(text: &str, sample: &str) {
    assert!(text.lines().any(|line| line == sample), "no `{sample}` in\n{text}");
}

#[test]
fn a_gap_ends_the_book_and_a_snapshot_begins_a_session() {
    let tape = [snapshot(1), delta(2), delta(5), delta(6), snapshot(9), delta(10)];
    let (frames, pulled, text) = drill(&tape);
    let flags: Vec<QualityFlags> = frames.iter().map(|(quality, _)| *quality).collect();
    let lost = QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES;
    let clean = QualityFlags::empty();
    assert_eq!(flags, [clean, clean, lost, QualityFlags::STATE_RESET, clean]);
    assert_eq!(pulled, frames, "the strategy sees what is on the frames");
    assert_sample(
        &text,
        "featureplane_quality_frames_total{symbol=\"BTCUSDT\",flag=\"GAP_DETECTED\"} 1",
    );
    assert_sample(
        &text,
        "featureplane_quality_frames_total{symbol=\"BTCUSDT\",flag=\"STATE_RESET\"} 1",
    );
    assert_sample(
        &text,
        "featureplane_packets_by_fate_total{symbol=\"BTCUSDT\",fate=\"awaiting_snapshot\"} 1",
    );
    assert_sample(&text, "featureplane_epoch{symbol=\"BTCUSDT\"} 1.0");
}

#[test]
fn a_late_packet_is_dropped_and_flagged_on_the_next_frame() {
    let (frames, pulled, text) = drill(&[snapshot(5), delta(6), delta(3), delta(7), delta(8)]);
    let flags: Vec<QualityFlags> = frames.iter().map(|(quality, _)| *quality).collect();
    let clean = QualityFlags::empty();
    assert_eq!(flags, [clean, clean, QualityFlags::OUT_OF_ORDER_INPUT, clean]);
    assert_eq!(pulled, frames);
    assert_sample(&text, "featureplane_packets_by_fate_total{symbol=\"BTCUSDT\",fate=\"late\"} 1");
    assert_sample(
        &text,
        "featureplane_quality_frames_total{symbol=\"BTCUSDT\",flag=\"OUT_OF_ORDER_INPUT\"} 1",
    );
}

#[test]
fn a_feature_that_is_not_warm_says_so_until_it_is() {
    let tape: Vec<Packet> = std::iter::once(snapshot(1)).chain((2..=12).map(delta)).collect();
    let (frames, pulled, _) = drill(&tape);
    let needed = set(SET).features()[set(SET).index_of(SLOW).unwrap()].warmup_min_events as usize;
    assert!((2..12).contains(&needed), "{needed}");
    for (index, (frame, pulled)) in frames.iter().zip(&pulled).enumerate() {
        assert_eq!(
            (frame.1, pulled.1),
            (index + 1 >= needed, index + 1 >= needed),
            "frame {index}"
        );
    }
    assert_eq!((frames.len(), pulled.len()), (12, 12));
}

#[test]
fn nothing_that_was_made_for_another_set_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latest.fp");
    let (ours, other) = (set(SET), set("lob_shared_v2"));
    let instrument = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    drop(LatestWriter::create(&path, &ours, &["BTCUSDT"], &[]).unwrap());
    let hashes = [&ours, &other].map(|set| format!("{:016x}", set.schema_hash()));
    let reader = LatestReader::open(&path, other.schema_hash()).unwrap_err().to_string();
    assert!(hashes.iter().all(|hash| reader.contains(hash)), "{reader}");
    let plain = PlainWeights { bias: 0.0, weights: vec![1.0; other.len()] };
    let model = Arc::new(AnyModel::from(LinearModel::from_plain(&plain, &other).unwrap()));
    let plane = Plane::new(engine(&ours, &[instrument]));
    let refused = plane.with_model(&model).unwrap_err();
    assert!(matches!(refused, Error::Model(_)));
    let text = refused.to_string();
    assert!(text.contains(SET) && text.contains("lob_shared_v2"), "{text}");
    let (seen, _pulled) = channel();
    let strategy = StrategyRunner::new(Notes { seen }, &set("core_v1")).unwrap_err().to_string();
    assert!(strategy.contains("core_v1") && strategy.contains(SLOW), "{strategy}");
}
