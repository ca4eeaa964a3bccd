//! The two-thread pipeline: what goes in, what comes out, and how it ends.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use feature_infer::{AnyModel, LinearModel, PlainWeights};
use feature_live::{
    Error, Full, Idle, Plane, RingOptions, Sent, Stage, Step, WorkerOptions, packet_ring, run,
    start,
};
use feature_runtime::{Latest, LatestWriter, frame_ring};
use market::{engine, packets, plain, set, troubled};
use market_io::synthetic::SyntheticConfig;
use market_model::{Packet, PacketKind, QualityFlags};

fn options(packets: usize, full: Full) -> WorkerOptions {
    let ring = RingOptions { packets, full, ..RingOptions::default() };
    WorkerOptions { ring, ..WorkerOptions::default() }
}

/// Sends a copy of a packet.
fn send(sender: &mut feature_live::PacketSender, packet: &Packet) -> Result<Sent, Error> {
    sender.packet().copy_from(packet);
    sender.send()
}

/// Counts packets, and takes its time over each.
struct Slow(Arc<AtomicU64>, Duration);

impl Stage for Slow {
    fn on_packet(&mut self, _: &Step<'_>) {
        std::thread::sleep(self.1);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn frames_behind_the_ring_are_those_of_a_plain_pass() {
    let (instrument, tape) = packets(&troubled());
    for id in ["core_v1", "lob_shared_v3"] {
        let set = set(id);
        let (frames, mut received) = frame_ring(&set, 1 << 12).unwrap();
        let plane = Plane::new(engine(&set, std::slice::from_ref(&instrument))).with_ring(frames);
        let (mut sender, worker) = start(plane, &options(8, Full::Block)).unwrap();
        for packet in &tape {
            assert_eq!(send(&mut sender, packet).unwrap(), Sent::Queued);
        }
        drop(sender);
        let report = worker.join().unwrap();
        let want = plain(&set, &instrument, &tape);
        for (index, words) in want.iter().enumerate() {
            let have = received.receive().unwrap();
            assert_eq!((have.lost, have.frame.words()), (0, words.as_slice()), "frame {index}");
        }
        assert!(received.receive().is_none() && received.is_closed());
        let counts = &report.counters.symbols[0];
        assert_eq!(report.counters.packets.get(), tape.len() as u64);
        assert_eq!(counts.frames.get(), want.len() as u64);
        assert_eq!(report.latencies.to_frame.len(), want.len() as u64);
        assert_eq!(report.latencies.to_end.len(), tape.len() as u64);
        let gaps =
            counts.quality[QualityFlags::GAP_DETECTED.bits().trailing_zeros() as usize].get();
        assert!(gaps > 0 && counts.fates[4].get() > 0, "the market has gaps");
    }
}

#[test]
fn the_latest_frame_has_the_score_of_its_features() {
    let (instrument, tape) = packets(&troubled());
    let set = set("l2_linear_v1");
    let weights = (0..set.len()).map(|index| 1e-4 * index as f64).collect();
    let model = LinearModel::from_plain(&PlainWeights { bias: -1.0, weights }, &set).unwrap();
    let model = Arc::new(AnyModel::from(model));
    let latest = LatestWriter::in_memory(&set, &["BTCUSDT"], &["p_up"]);
    let reader = latest.reader();
    let plane = Plane::new(engine(&set, std::slice::from_ref(&instrument)));
    let plane = plane.with_model(&model).unwrap().with_latest(latest);
    let (mut sender, worker) = start(plane, &options(64, Full::Block)).unwrap();
    tape.iter().for_each(|packet| _ = send(&mut sender, packet).unwrap());
    drop(sender);
    let report = worker.join().unwrap();
    let mut last = Latest::default();
    assert!(reader.read(0, &mut last).unwrap());
    assert_eq!(last.published(), report.counters.symbols[0].frames.get());
    let mut scorer = feature_infer::Scorer::new(Arc::clone(&model), &set, &instrument).unwrap();
    let want = scorer.score_frame(last.frame()).unwrap().unwrap()[0];
    assert_eq!(last.score(0).unwrap().to_bits(), want.to_bits());
    assert!(report.counters.symbols[0].scores.get() > 100);
    let other = Plane::new(engine(&market::set("core_v1"), &[instrument]));
    assert!(matches!(other.with_model(&model), Err(Error::Model(_))));
}

#[test]
fn a_full_ring_blocks_and_loses_nothing() {
    let (instrument, tape) =
        packets(&SyntheticConfig { duration_ns: 2 * market::SECOND, ..troubled() });
    let seen = Arc::new(AtomicU64::new(0));
    let slow = Box::new(Slow(Arc::clone(&seen), Duration::from_micros(200)));
    let plane = Plane::new(engine(&set("lob_shared_v1"), &[instrument])).with_stage(slow);
    let (mut sender, worker) = start(plane, &options(2, Full::Block)).unwrap();
    tape.iter().for_each(|packet| assert_eq!(send(&mut sender, packet).unwrap(), Sent::Queued));
    drop(sender);
    let report = worker.join().unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), tape.len() as u64);
    assert!(report.counters.full_waits.get() > 0);
    assert_eq!(report.counters.symbols[0].dropped.get(), 0);
}

#[test]
fn a_dropped_packet_is_counted_and_flagged_and_ends_the_book_until_a_snapshot() {
    let (instrument, tape) = packets(&SyntheticConfig {
        duration_ns: 10 * market::SECOND,
        ..SyntheticConfig::default()
    });
    let start = tape.iter().position(|packet| packet.kind == PacketKind::Snapshot).unwrap();
    let tape = &tape[start..];
    let set = set("lob_shared_v1");
    let (frames, mut received) = frame_ring(&set, 1 << 12).unwrap();
    let plane = Plane::new(engine(&set, &[instrument])).with_ring(frames);
    // The worker does not run yet: a ring of 16 is full after 16 packets.
    let ring = RingOptions { packets: 16, full: Full::Drop, ..RingOptions::default() };
    let (mut sender, receiver) = packet_ring(&ring, plane.counters()).unwrap();
    let sent: Vec<Sent> = tape[..20].iter().map(|p| send(&mut sender, p).unwrap()).collect();
    assert_eq!(sent.iter().filter(|sent| **sent == Sent::Dropped).count(), 4);
    assert_eq!(sent[16..], [Sent::Dropped; 4]);
    let counters = Arc::clone(plane.counters());
    let worker = std::thread::spawn(move || run(plane, receiver, Idle::Rest));
    while counters.packets.get() < 16 {
        std::thread::yield_now();
    }
    assert_eq!(counters.symbols[0].dropped.get(), 4);
    assert_eq!(send(&mut sender, &tape[20]).unwrap(), Sent::Queued);
    assert_eq!(send(&mut sender, &tape[21]).unwrap(), Sent::Queued);
    drop(sender);
    let report = worker.join().unwrap().unwrap();
    assert_eq!(report.counters.packets.get(), 16 + 1 + 2, "one packet says that some are missing");
    let mut last = None;
    while let Some(received) = received.receive() {
        last = Some((received.frame.header().quality, received.frame.valid_mask()[0]));
    }
    let lost =
        QualityFlags::REJECTED_INPUT | QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES;
    assert_eq!(last, Some((lost, 0)), "no value is valid, and no frame follows without a snapshot");
    assert_eq!(counters.symbols[0].fates[5].get(), 2, "later packets wait for a snapshot");
}

#[test]
fn whatever_was_accepted_is_processed_before_the_end() {
    let (instrument, tape) =
        packets(&SyntheticConfig { duration_ns: 5 * market::SECOND, ..troubled() });
    let set = set("lob_shared_v1");
    for stop_after in (0..tape.len()).step_by(7) {
        let plane = Plane::new(engine(&set, std::slice::from_ref(&instrument)));
        let (mut sender, worker) = start(plane, &options(32, Full::Block)).unwrap();
        tape[..stop_after].iter().for_each(|packet| _ = send(&mut sender, packet).unwrap());
        drop(sender);
        let report = worker.join().unwrap();
        assert_eq!(report.counters.packets.get(), stop_after as u64);
        assert_eq!(report.counters.queued(), 0);
        assert_eq!(
            report.counters.symbols[0].frames.get(),
            plain(&set, &instrument, &tape[..stop_after]).len() as u64
        );
    }
}

#[test]
fn a_panic_of_the_worker_reaches_the_sender_and_whoever_joins() {
    struct Fails;
    impl Stage for Fails {
        fn on_packet(&mut self, _: &Step<'_>) {
            panic!("planted");
        }
    }
    let (instrument, tape) = packets(&troubled());
    for full in [Full::Block, Full::Drop] {
        let engine = engine(&set("lob_shared_v1"), std::slice::from_ref(&instrument));
        let plane = Plane::new(engine).with_stage(Box::new(Fails));
        let (mut sender, worker) = start(plane, &options(4, full)).unwrap();
        let ended =
            (0..1_000_000).any(|_| matches!(send(&mut sender, &tape[0]), Err(Error::WorkerEnded)));
        assert!(ended);
        let error = worker.join().unwrap_err().to_string();
        assert!(error.contains("planted"), "{error}");
    }
}

#[test]
fn sizes_symbols_and_cores_that_do_not_exist_are_told() {
    let (instrument, tape) = packets(&troubled());
    let plane = || Plane::new(engine(&set("lob_shared_v1"), std::slice::from_ref(&instrument)));
    for size in [0, 1, 3, 100_000, 1 << 25] {
        let error = start(plane(), &options(size, Full::Block)).unwrap_err().to_string();
        assert!(error.contains("power of two") && error.contains(&size.to_string()), "{error}");
    }
    let options = WorkerOptions { core: Some(4_096), ..options(8, Full::Block) };
    let (mut sender, worker) = start(plane(), &options).unwrap();
    let error = send(&mut sender, &Packet { symbol_id: 9, ..tape[0].clone() }).unwrap_err();
    assert_eq!(error.to_string(), "packet of symbol 9; the ring has symbols 0 to 0");
    drop(sender);
    assert!(!worker.join().unwrap().is_pinned);
}
