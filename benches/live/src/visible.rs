//! P10: from a packet being sent to its frame being readable on the thread that sent it, across the worker's.

use std::time::Instant;

use anyhow::Result;
use feature_live::{Idle, Plane, WorkerOptions, start};
use feature_runtime::{FeatureEngine, Latest, LatestWriter, built_in_set};
use market_model::{Instrument, Packet};

/// Packets before latencies count.
const WARM: usize = 2_000;

/// A plane of one symbol that publishes in memory.
fn plane(set: &str, instrument: &Instrument) -> Result<Plane> {
    let mut engine = FeatureEngine::new(built_in_set(set)?);
    engine.add_symbol(instrument.clone())?;
    let latest = LatestWriter::in_memory(engine.feature_set(), &[&instrument.symbol], &[]);
    Ok(Plane::new(engine).with_latest(latest))
}

/// Nanoseconds of every packet that made a frame, in order of size: one packet is under way at a time.
pub fn across_threads(set: &str, instrument: &Instrument, packets: &[Packet]) -> Result<Vec<u64>> {
    let plane = plane(set, instrument)?;
    let reader = plane.latest().expect("it was given one");
    let options = WorkerOptions { idle: Idle::Spin, ..WorkerOptions::default() };
    let (mut sender, worker) = start(plane, &options)?;
    let (mut latest, mut seen, mut taken) = (Latest::default(), 0, 0);
    let mut times = Vec::with_capacity(packets.len());
    for (index, packet) in packets.iter().enumerate() {
        sender.packet().copy_from(packet);
        let sent = Instant::now();
        sender.send()?;
        taken += 1;
        loop {
            // Before the table, so that a frame of this packet cannot come after the look.
            let is_done = worker.counters().packets.get() == taken;
            if reader.read(0, &mut latest)? && latest.published() > seen {
                let ns = u64::try_from(sent.elapsed().as_nanos())?;
                times.extend((index >= WARM).then_some(ns));
                seen = latest.published();
                break;
            }
            if is_done {
                break;
            }
        }
        while worker.counters().packets.get() < taken {
            std::hint::spin_loop();
        }
    }
    drop(sender);
    worker.join()?;
    times.sort_unstable();
    Ok(times)
}

/// The same work without the threads: engine, publication, reading.
pub fn on_one_thread(set: &str, instrument: &Instrument, packets: &[Packet]) -> Result<Vec<u64>> {
    let mut plane = plane(set, instrument)?;
    let reader = plane.latest().expect("it was given one");
    let (mut latest, mut seen) = (Latest::default(), 0);
    let mut times = Vec::with_capacity(packets.len());
    for (index, packet) in packets.iter().enumerate() {
        let sent = Instant::now();
        plane.process(packet, sent)?;
        if reader.read(0, &mut latest)? && latest.published() > seen {
            let ns = u64::try_from(sent.elapsed().as_nanos())?;
            times.extend((index >= WARM).then_some(ns));
            seen = latest.published();
        }
    }
    times.sort_unstable();
    Ok(times)
}
