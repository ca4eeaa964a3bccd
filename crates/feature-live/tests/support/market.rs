//! Markets, and what the engine makes of them without any thread.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use feature_kernel::FeatureSet;
use feature_runtime::{FeatureEngine, built_in_set};
use market_io::Source;
use market_io::synthetic::{SyntheticConfig, SyntheticSource};
use market_model::{Instrument, Packet};

pub const SECOND: i64 = 1_000_000_000;

/// A short market with every fault.
pub fn troubled() -> SyntheticConfig {
    SyntheticConfig {
        seed: 5,
        duration_ns: 20 * SECOND,
        events_per_packet: 20,
        levels: 50,
        gaps: 2,
        crossed: 2,
        duplicates: 2,
        reorders: 1,
        ..SyntheticConfig::default()
    }
}

pub fn packets(config: &SyntheticConfig) -> (Instrument, Vec<Packet>) {
    let mut source = SyntheticSource::new(config).unwrap();
    let (mut packet, mut all) = (Packet::default(), Vec::new());
    while source.next_packet(&mut packet).unwrap() {
        all.push(packet.clone());
    }
    (source.instrument().clone(), all)
}

pub fn set(id: &str) -> FeatureSet {
    built_in_set(id).unwrap()
}

pub fn engine(set: &FeatureSet, instruments: &[Instrument]) -> FeatureEngine {
    let mut engine = FeatureEngine::new(set.clone());
    for instrument in instruments {
        engine.add_symbol(instrument.clone()).unwrap();
    }
    engine
}

/// Frames of a plain pass, one after the other.
pub fn plain(set: &FeatureSet, instrument: &Instrument, packets: &[Packet]) -> Vec<Vec<u64>> {
    let mut engine = engine(set, std::slice::from_ref(instrument));
    let frames = packets
        .iter()
        .filter_map(|packet| engine.process(packet).unwrap().map(|frame| frame.words().to_vec()));
    frames.collect()
}
