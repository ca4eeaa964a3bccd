//! Drills: what goes wrong shows on the frame, in the strategy's view, in the metrics and on the page.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use feature_infer::{AnyModel, LinearModel, PlainWeights};
use feature_kernel::frame::bit;
use feature_live::{
    Context, Dashboard, EngineTwin, Error, Metrics, Plane, Server, Shadow, ShadowOptions, Strategy,
    StrategyRunner, Watched, WorkerOptions, start,
};
use feature_runtime::{LatestReader, LatestWriter, frame_ring};
use market::{engine, set};
use market_model::{BookOp, Instrument, Level, Packet, PacketKind, QualityFlags};
use testkit::{Browser, element_text};

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

/// What a drill left behind.
struct Drill {
    /// Flags and readiness on the frames that another thread received.
    frames: Vec<Seen>,
    /// The same as the strategy pulled it.
    pulled: Vec<Seen>,
    /// The text of the metrics.
    text: String,
    /// The page as a browser shows it; `None`, with a note, without a browser.
    page: Option<String>,
}

/// Runs packets, with a shadow for the set of the name.
fn drill(tape: &[Packet], shadow: &str) -> Drill {
    let set = set(SET);
    let instrument = Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap();
    let (ring, mut frames) = frame_ring(&set, 64).unwrap();
    let (seen, pulled) = channel();
    let runner = StrategyRunner::new(Notes { seen }, &set).unwrap();
    let primary = engine(&set, std::slice::from_ref(&instrument));
    let feature_set = Arc::clone(primary.feature_set());
    let twin = EngineTwin(engine(&market::set(shadow), &[instrument]));
    let options = ShadowOptions { check_every: 2, deep_every: 0 };
    let shadow = Shadow::new(Box::new(twin), &primary, options).unwrap();
    let shadow_counters = Arc::clone(shadow.counters());
    let plane = Plane::new(primary)
        .with_latest(LatestWriter::in_memory(&set, &["BTCUSDT"], &[]))
        .with_ring(ring)
        .with_stage(Box::new(runner))
        .with_stage(Box::new(shadow));
    let counters = Arc::clone(plane.counters());
    let watched =
        Watched { counters, shadow: Some(shadow_counters), feed: Vec::new(), set: feature_set };
    let dashboard = Dashboard::new(&plane, watched.clone(), "drill", 64);
    let (metrics, address) = (Metrics::new(watched.clone()), "127.0.0.1:0".parse().unwrap());
    let server = Server::start(address, Metrics::new(watched), Some(dashboard)).unwrap();
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    for packet in tape {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    }
    drop(sender);
    worker.join().unwrap();
    let slow = set.index_of(SLOW).unwrap();
    let mut received = Vec::new();
    while let Some(frame) = frames.receive() {
        let ready = bit(frame.frame.warmup_ready_mask(), slow);
        received.push((frame.frame.header().quality, ready));
    }
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::find(folder.path());
    let page = browser.map(|browser| browser.dom(&format!("http://{}/", server.address())));
    Drill { frames: received, pulled: pulled.into_iter().collect(), text: metrics.text(), page }
}

fn assert_sample(text: &str, sample: &str) {
    assert!(text.lines().any(|line| line == sample), "no `{sample}` in\n{text}");
}

/// What the page shows of the marked elements; nothing to compare without a browser.
fn assert_page(page: Option<&str>, shown: &[(&str, &str)]) {
    for (mark, want) in shown {
        let Some(page) = page else { return };
        assert_eq!(element_text(page, mark), *want, "{mark}");
    }
}

fn flags(frames: &[Seen]) -> Vec<QualityFlags> {
    frames.iter().map(|(quality, _)| *quality).collect()
}

#[test]
fn a_gap_ends_the_book_and_a_snapshot_begins_a_session() {
    let tape = [snapshot(1), delta(2), delta(5), delta(6), snapshot(9), delta(10)];
    let Drill { frames, pulled, text, page } = drill(&tape, SET);
    let lost = QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES;
    let clean = QualityFlags::empty();
    assert_eq!(flags(&frames), [clean, clean, lost, QualityFlags::STATE_RESET, clean]);
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
    let counted = "GAP_DETECTED no 1 STATE_RESET no 1 PARTIAL_FEATURES no 1";
    let shown = [
        ("id=\"frame-flags\"", "Flags none"),
        ("id=\"quality\"", &format!("BTCUSDT Flag Last frame Frames {counted}")),
        ("id=\"fates\"", "Packets: applied 4, gaps 1, awaiting snapshot 1, resets 1."),
        ("id=\"tile-parity\"", "equal"),
        ("id=\"state\"", "ended"),
    ];
    assert_page(page.as_deref(), &shown);
}

#[test]
fn the_page_shows_the_gap_and_the_session_while_they_are_there() {
    let tape = [snapshot(1), delta(2), delta(5), delta(6), snapshot(9)];
    let page = drill(&tape[..4], SET).page;
    let shown = [
        ("id=\"frame-flags\"", "Flags GAP_DETECTED PARTIAL_FEATURES"),
        ("id=\"tile-flags\"", "GAP_DETECTED PARTIAL_FEATURES"),
        ("id=\"tile-flags-more\"", "1 of 1 symbol with a frame"),
    ];
    assert_page(page.as_deref(), &shown);
    let page = drill(&tape, SET).page;
    assert_page(page.as_deref(), &[("id=\"frame-flags\"", "Flags STATE_RESET")]);
}

#[test]
fn a_late_packet_is_dropped_and_flagged_on_the_next_frame() {
    let tape = [snapshot(5), delta(6), delta(3), delta(7), delta(8)];
    let Drill { frames, pulled, text, .. } = drill(&tape, SET);
    let clean = QualityFlags::empty();
    assert_eq!(flags(&frames), [clean, clean, QualityFlags::OUT_OF_ORDER_INPUT, clean]);
    assert_eq!(pulled, frames);
    assert_sample(&text, "featureplane_packets_by_fate_total{symbol=\"BTCUSDT\",fate=\"late\"} 1");
    assert_sample(
        &text,
        "featureplane_quality_frames_total{symbol=\"BTCUSDT\",flag=\"OUT_OF_ORDER_INPUT\"} 1",
    );
    let page = drill(&tape[..4], SET).page;
    let shown = [
        ("id=\"frame-flags\"", "Flags OUT_OF_ORDER_INPUT"),
        ("id=\"fates\"", "Packets: applied 3, late 1."),
    ];
    assert_page(page.as_deref(), &shown);
}

#[test]
fn a_feature_that_is_not_warm_says_so_until_it_is() {
    let tape: Vec<Packet> = std::iter::once(snapshot(1)).chain((2..=12).map(delta)).collect();
    let Drill { frames, pulled, page, .. } = drill(&tape, SET);
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
    let row = format!("data-feature=\"{SLOW}\"");
    let shown = [
        (&*row, &*format!("{SLOW} 0.1 price")),
        ("data-feature=\"l1_bid_qty\"", "l1_bid_qty 0.013 quantity"),
    ];
    assert_page(page.as_deref(), &shown);
    let page = drill(&tape[..needed - 1], SET).page;
    assert_page(page.as_deref(), &[(&*row, &*format!("{SLOW} warming up 0.1 price"))]);
}

#[test]
fn a_shadow_of_another_set_differs_in_every_frame() {
    let Drill { text, page, .. } = drill(&[snapshot(1), delta(2)], "lob_shared_v2");
    assert_sample(&text, "featureplane_shadow_mismatched_frames_total 2");
    let ours = format!("schema_hash=\"{:016x}\"", set(SET).schema_hash());
    assert!(text.contains(&ours), "{text}");
    let words = |id: &str| feature_kernel::frame::frame_bytes(set(id).len()) / 8;
    let first = format!(
        "BTCUSDT 1 1 frame a frame of {} words a frame of {} words",
        words(SET),
        words("lob_shared_v2")
    );
    let head = "First differences, one for each comparison that failed Symbol Frame Update Feature Here Shadow";
    let shown = [
        ("id=\"tile-parity\"", "differs"),
        ("id=\"tile-parity-more\"", "2 of 2 frames differ"),
        ("id=\"mismatches\"", &format!("{head} {first}")),
    ];
    assert_page(page.as_deref(), &shown);
    if let Some(page) = page {
        let about = element_text(&page, "id=\"what\"");
        let hash = format!("{SET}, schema {:016x}, drill,", set(SET).schema_hash());
        assert!(about.starts_with(&hash), "{about}");
    }
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
