//! The hot path allocates nothing and calls the system for nothing once it is warm.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use feature_infer::{AnyModel, LinearModel, PlainWeights};
use feature_live::{Idle, Plane, RingOptions, WorkerOptions, packet_ring, run, start};
use feature_runtime::{LatestWriter, frame_ring};
use market::{SECOND, engine, packets, set};
use market_io::synthetic::SyntheticConfig;
use market_model::{Instrument, Packet};
use testkit::tool;

/// Set in the process that is watched.
const WATCHED: &str = "FEATUREPLANE_TEST_WATCHED";
const BEGIN: &str = "hot path begins";
const END: &str = "hot path ends";

/// A market that stays as it is: what is warm remains so.
fn quiet() -> (Instrument, Vec<Packet>) {
    let config = SyntheticConfig {
        duration_ns: 400 * SECOND,
        packets_per_second: 10,
        events_per_packet: 6,
        levels: 50,
        ..SyntheticConfig::default()
    };
    packets(&config)
}

/// A plane with everything that the library sends a frame to.
fn plane(instrument: &Instrument, folder: &Path) -> (Plane, feature_runtime::FrameReceiver) {
    let set = set("l2_linear_v1");
    let weights = (0..set.len()).map(|index| 1e-4 * index as f64).collect();
    let model = LinearModel::from_plain(&PlainWeights { bias: 0.0, weights }, &set).unwrap();
    let (ring, receiver) = frame_ring(&set, 1 << 10).unwrap();
    let symbols = [instrument.symbol.as_str()];
    let latest =
        LatestWriter::create(&folder.join("latest.fp"), &set, &symbols, &["p_up"]).unwrap();
    let plane = Plane::new(engine(&set, std::slice::from_ref(instrument)));
    (
        plane
            .with_model(&Arc::new(AnyModel::from(model)))
            .unwrap()
            .with_latest(latest)
            .with_ring(ring),
        receiver,
    )
}

#[test]
fn after_warm_up_nothing_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let (instrument, tape) = quiet();
    let warm = tape.len() - 1_000;
    // Longest window of the set, twice.
    assert!(tape[warm].ts_event_ns - tape[0].ts_event_ns > 100 * SECOND);
    let (plane, _receiver) = plane(&instrument, folder.path());
    let options = RingOptions { packets: 1 << 15, ..RingOptions::default() };
    let (mut sender, receiver) = packet_ring(&options, plane.counters()).unwrap();
    let mut send = |packet: &Packet| {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    };
    let counters = Arc::clone(plane.counters());
    let (go, wait) = std::sync::mpsc::channel();
    // The counts are those of one thread, so the worker's body is counted on its own.
    let worker = std::thread::spawn(move || {
        let (mut measured, mut plane) = (None, plane);
        let mut receiver = receiver;
        for packets in [warm, 1_000] {
            wait.recv().unwrap();
            let work = || (0..packets).for_each(|_| while !receiver.step(&mut plane).unwrap() {});
            measured = Some(allocation_counter::measure(work));
        }
        measured.unwrap()
    });
    tape[..warm].iter().for_each(&mut send);
    go.send(()).unwrap();
    while counters.packets.get() < warm as u64 {
        std::thread::yield_now();
    }
    let sending = allocation_counter::measure(|| tape[warm..].iter().for_each(&mut send));
    go.send(()).unwrap();
    let working = worker.join().unwrap();
    assert_eq!((sending.count_total, working.count_total), (0, 0), "{sending:?} {working:?}");
    assert!(counters.symbols[0].scores.get() > 1_000);
    let planted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8; 64])));
    assert_eq!(planted.count_total, 1, "the counter counts");
}

/// A line of output is a call that the trace shows.
fn mark(text: &str) {
    use std::io::Write;
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// The process that is watched: warm-up, then a thousand packets between two lines of output.
fn watched() {
    let folder = tempfile::tempdir().unwrap();
    let (instrument, tape) = quiet();
    let warm = tape.len() - 1_000;
    let (plane, _receiver) = plane(&instrument, folder.path());
    let counters = Arc::clone(plane.counters());
    let options = WorkerOptions { idle: Idle::Spin, ..WorkerOptions::default() };
    let (mut sender, worker) = start(plane, &options).unwrap();
    for (index, packet) in tape.iter().enumerate() {
        if index == warm {
            mark(BEGIN);
        }
        sender.packet().copy_from(packet);
        sender.send().unwrap();
        while counters.queued() > 0 {
            std::hint::spin_loop();
        }
    }
    mark(END);
    drop(sender);
    worker.join().unwrap();
}

#[test]
fn after_warm_up_the_system_is_not_called() {
    if std::env::var_os(WATCHED).is_some() {
        return watched();
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let Some(strace) = tool("STRACE", "strace") else { return };
    let watch = Command::new(strace)
        .args(["-f", "-s", "64", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "after_warm_up_the_system_is_not_called", "--nocapture"])
        .env(WATCHED, "1")
        .output()
        .unwrap();
    if !watch.status.success() {
        let said = String::from_utf8_lossy(&watch.stderr).into_owned();
        assert!(said.contains("ptrace") || said.contains("PTRACE"), "{said}");
        return eprintln!("skipped: strace may not watch processes here");
    }
    assert!(String::from_utf8_lossy(&watch.stdout).contains(END));
    let trace = std::fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let at = |mark: &str| lines.iter().position(|line| line.contains(mark)).unwrap();
    let (begin, end) = (at(BEGIN), at(END));
    assert!(begin > 100, "the warm-up calls the system");
    assert_eq!(lines[begin + 1..end], [""; 0]);
}

#[test]
fn the_body_of_a_worker_runs_on_any_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (instrument, tape) = quiet();
    let (plane, _receiver) = plane(&instrument, folder.path());
    let (mut sender, receiver) = packet_ring(&RingOptions::default(), plane.counters()).unwrap();
    for packet in &tape {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    }
    drop(sender);
    let report = run(plane, receiver, Idle::Spin).unwrap();
    assert_eq!(report.latencies.to_end.len(), tape.len() as u64);
}
