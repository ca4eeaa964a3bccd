//! Recordings as a live feed: the frames of extraction, and strategies that read them.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use feature_extract::{Emission, FIXED_COLUMNS, RowMaker};
use feature_kernel::frame::bit;
use feature_live::{
    Context, Error, Pace, PaperAccount, PaperThreshold, Plane, Replay, Strategy, StrategyRunner,
    WorkerOptions, start,
};
use feature_runtime::{FeatureValue, SymbolEngine, frame_ring};
use market::{engine, set, troubled};
use market_io::sink::Existing;
use market_io::synthetic::SyntheticConfig;
use market_io::write::write_binance;
use market_io::{OpenOptions, Source};
use market_model::{Packet, QualityFlags};

fn opened(path: &Path, symbol_id: u32) -> Box<dyn Source> {
    let options = OpenOptions { inputs: vec![path.into()], symbol_id, ..OpenOptions::default() };
    market_io::open(&options).unwrap()
}

fn recording(folder: &Path, name: &str, config: &SyntheticConfig) -> PathBuf {
    let path = folder.join(name);
    write_binance(&path, config, Existing::Refuse).unwrap();
    path
}

/// Live frames of a recording against the rows that extraction writes; how many.
fn live_equals_extraction(path: &Path, set_id: &str) -> usize {
    let set = set(set_id);
    let mut replay = Replay::new(vec![opened(path, 0)]).unwrap();
    let instruments: Vec<_> = replay.instruments().cloned().collect();
    let (ring, mut received) = frame_ring(&set, 1 << 15).unwrap();
    let plane = Plane::new(engine(&set, &instruments)).with_ring(ring);
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    let stop = AtomicBool::new(false);
    let sent = replay.send_all(&mut sender, Pace::Fastest, &stop).unwrap();
    drop(sender);
    assert_eq!(worker.join().unwrap().counters.packets.get(), sent);

    let mut source = opened(path, 0);
    let symbol = SymbolEngine::new(Arc::new(set.clone()), source.instrument().clone());
    let mut rows = RowMaker::new(symbol, Emission::Packet, i64::MIN, i64::MAX);
    let (mut packet, mut count) = (Packet::default(), 0);
    while source.next_packet(&mut packet).unwrap() {
        rows.push(&packet, &mut |words, valid| {
            let live = received.receive().expect("a frame for every row");
            assert_eq!(live.lost, 0);
            let header = live.frame.header();
            assert_eq!(header.source_ts_ns.cast_unsigned(), words[1], "row {count}");
            assert_eq!((header.seq, u64::from(header.epoch)), (words[3], words[4]));
            assert_eq!(u64::from(header.quality.bits()), words[5], "row {count}");
            assert_eq!(live.frame.values(), &words[FIXED_COLUMNS..], "row {count}");
            for index in 0..set.len() {
                let in_row = bit(valid, FIXED_COLUMNS + index);
                assert_eq!(in_row, bit(live.frame.valid_mask(), index), "row {count}, {index}");
            }
            count += 1;
        });
    }
    assert!(received.receive().is_none());
    count
}

#[test]
fn live_frames_are_the_rows_of_extraction() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(folder.path(), "x.gz", &troubled());
    for set in ["core_v1", "lob_shared_v3", "l2_linear_v1"] {
        assert!(live_equals_extraction(&path, set) > 300);
    }
}

#[test]
fn live_frames_are_the_rows_of_extraction_on_the_recordings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
    if !root.is_dir() {
        return eprintln!("skipped: {} is absent", root.display());
    }
    for name in ["usdm_btcusdt_20240718.gz", "spot_btcusdt_20240808.gz"] {
        let frames = live_equals_extraction(&root.join(name), "core_v1");
        println!("{name}: {frames} frames");
        assert!(frames > 1_000);
    }
}

#[test]
fn several_symbols_are_merged_by_arrival_and_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let configs = ["AAAUSDT", "BBBUSDT"].map(|symbol| SyntheticConfig {
        symbol: symbol.into(),
        seed: u64::from(symbol.as_bytes()[0]),
        duration_ns: 5 * market::SECOND,
        ..troubled()
    });
    let paths: Vec<_> =
        configs.iter().map(|config| recording(folder.path(), &config.symbol, config)).collect();
    let sources = paths.iter().zip(0..).map(|(path, id)| opened(path, id)).collect();
    let mut replay = Replay::new(sources).unwrap();
    let (mut packet, mut last_ns, mut seen) = (Packet::default(), 0, [Vec::new(), Vec::new()]);
    while replay.next_packet(&mut packet).unwrap() {
        assert!(packet.ts_recv_ns >= last_ns);
        last_ns = packet.ts_recv_ns;
        seen[packet.symbol_id as usize].push(packet.clone());
    }
    for (symbol, packets) in seen.iter().enumerate() {
        let mut alone = opened(&paths[symbol], u32::try_from(symbol).unwrap());
        for want in packets {
            assert!(alone.next_packet(&mut packet).unwrap());
            assert_eq!(&packet, want);
        }
        assert!(!packets.is_empty() && !alone.next_packet(&mut packet).unwrap());
    }
}

#[test]
fn a_paced_replay_takes_its_time_and_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { duration_ns: 2 * market::SECOND, ..troubled() };
    let path = recording(folder.path(), "x.gz", &config);
    let run = |pace, stop: &AtomicBool| {
        let mut replay = Replay::new(vec![opened(&path, 0)]).unwrap();
        let instruments: Vec<_> = replay.instruments().cloned().collect();
        let plane = Plane::new(engine(&set("lob_shared_v1"), &instruments));
        let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
        let started = Instant::now();
        let sent = replay.send_all(&mut sender, pace, stop).unwrap();
        drop(sender);
        worker.join().unwrap();
        (started.elapsed(), sent)
    };
    let go = AtomicBool::new(false);
    let (_, all) = run(Pace::Fastest, &go);
    let (took, sent) = run(Pace::Times(4.0), &go);
    assert_eq!(sent, all);
    assert!(took > Duration::from_millis(350), "{took:?} for two seconds at four times their pace");
    let stop = Arc::new(AtomicBool::new(false));
    let other = Arc::clone(&stop);
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.store(true, Ordering::Relaxed);
    });
    let (_, sent) = run(Pace::Times(0.01), &stop);
    stopper.join().unwrap();
    assert!(sent < all, "{sent} of {all}");
}

/// The same rules as [`PaperThreshold`], over rows of extraction: what the strategy must arrive at.
fn by_hand(path: &Path, feature: &str, enter: f64) -> PaperAccount {
    let set = set("core_v1");
    let mut source = opened(path, 0);
    let mut engine = SymbolEngine::new(Arc::new(set.clone()), source.instrument().clone());
    let [signal, bid, ask] =
        [feature, "best_bid", "best_ask"].map(|name| set.index_of(name).unwrap());
    let (mut packet, mut account) = (Packet::default(), PaperAccount::default());
    while source.next_packet(&mut packet).unwrap() {
        let Some(frame) = engine.process(&packet) else { continue };
        let values = [signal, bid, ask].map(|index| frame.value(index));
        let [Some(signal_word), Some(bid), Some(ask)] = values else { continue };
        if frame.header().quality.is_empty() && bit(frame.warmup_ready_mask(), signal) {
            let x = f64::from_bits(signal_word);
            let (bid, ask) = (bid.cast_signed(), ask.cast_signed());
            if x >= enter {
                account.move_to(1, bid, ask);
            } else if x <= -enter {
                account.move_to(-1, bid, ask);
            }
        }
    }
    account
}

#[test]
fn a_strategy_trades_on_paper_as_it_would_over_extracted_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(folder.path(), "x.gz", &troubled());
    let set = set("core_v1");
    let mut replay = Replay::new(vec![opened(&path, 0)]).unwrap();
    let instruments: Vec<_> = replay.instruments().cloned().collect();
    let (results, result) = channel();
    let strategy = PaperThreshold::new("l1_imbalance", 0.5, results);
    let runner = StrategyRunner::new(strategy, &set).unwrap();
    let plane = Plane::new(engine(&set, &instruments)).with_stage(Box::new(runner));
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    replay.send_all(&mut sender, Pace::Fastest, &AtomicBool::new(false)).unwrap();
    drop(sender);
    worker.join().unwrap();
    let results = result.recv().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].account, by_hand(&path, "l1_imbalance", 0.5));
    assert!(results[0].account.trades > 10 && results[0].profit_scaled.is_some());
}

/// Writes down what it is shown.
struct Watches {
    set: Option<&'static str>,
    features: Vec<String>,
    seen: std::sync::mpsc::Sender<(bool, bool, QualityFlags)>,
}

impl Strategy for Watches {
    fn name(&self) -> &'static str {
        "watches"
    }

    fn required_feature_set_id(&self) -> Option<&str> {
        self.set
    }

    fn required_features(&self) -> Vec<String> {
        self.features.clone()
    }

    fn on_features(&mut self, context: &Context<'_>) {
        let by_name = context.get_feature(&self.features[0]).unwrap();
        assert_eq!(context.value(0), by_name);
        assert!(context.get_feature("no_such").is_err());
        assert_eq!(context.get_feature_set_id(), "lob_shared_v1");
        let view = context.get_feature_view(None).unwrap();
        assert_eq!(view.quality(), context.quality());
        assert_eq!(view.frame().header().local_ts_ns, context.packet().ts_recv_ns);
        assert!(matches!(by_name, None | Some(FeatureValue::I64(_))));
        let index = 0;
        let changed = bit(view.frame().changed_mask(), index);
        self.seen.send((view.frame().header().seq == 1, changed, context.quality())).unwrap();
    }
}

#[test]
fn a_strategy_hears_what_it_asked_for_and_every_flag() {
    let (instrument, tape) = market::packets(&troubled());
    let set = set("lob_shared_v1");
    let (seen, heard) = channel();
    let name = set.features()[0].name.clone();
    let watches = Watches { set: Some("lob_shared_v1"), features: vec![name], seen };
    let runner = StrategyRunner::new(watches, &set).unwrap();
    let plane = Plane::new(engine(&set, std::slice::from_ref(&instrument)));
    let (mut sender, worker) =
        start(plane.with_stage(Box::new(runner)), &WorkerOptions::default()).unwrap();
    for packet in &tape {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    }
    drop(sender);
    let report = worker.join().unwrap();
    let heard: Vec<_> = heard.into_iter().collect();
    assert!(
        heard.iter().all(|(first, changed, quality)| *first || *changed || !quality.is_empty())
    );
    let flagged = |bit: QualityFlags| heard.iter().any(|(.., quality)| quality.contains(bit));
    assert!(flagged(QualityFlags::GAP_DETECTED) && flagged(QualityFlags::CROSSED_BOOK));
    assert!((heard.len() as u64) < report.counters.symbols[0].frames.get());
}

#[test]
fn a_strategy_that_does_not_fit_is_not_started() {
    let (seen, _heard) = channel();
    let refused = |set_id, features: &[&str]| {
        let features = features.iter().map(|name| (*name).to_owned()).collect();
        let watches = Watches { set: set_id, features, seen: seen.clone() };
        match StrategyRunner::new(watches, &set("lob_shared_v1")) {
            Err(error @ Error::Preflight { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let other = refused(Some("core_v1"), &["best_bid"]);
    assert!(other.contains("`lob_shared_v1`") && other.contains("`core_v1`"), "{other}");
    let lacks = refused(None, &["best_bid", "no_such", "nor_this"]);
    assert!(lacks.contains("lacks `no_such`, `nor_this`"), "{lacks}");
}
