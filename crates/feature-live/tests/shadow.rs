//! A second engine beside the primary: silent while both agree, exact when they do not.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;

use std::sync::Arc;

use feature_kernel::frame::frame_bytes;
use feature_live::{
    EngineTwin, Error, Plane, Shadow, ShadowCounters, ShadowOptions, Twin, WorkerOptions, start,
};
use feature_runtime::{FeatureEngine, FeatureSet};
use market::{engine, packets, set, troubled};
use market_model::{Instrument, Packet};

/// What a defective twin does to one frame.
#[derive(Clone, Copy)]
enum Fault {
    /// Flips a bit of a word, counted from the start of the frame.
    Flip { word: usize },
    /// Makes no frame.
    Misses,
}

/// An engine with a fault in one frame, or none.
struct Faulty {
    engine: FeatureEngine,
    symbol: u32,
    at: u64,
    frames: u64,
    fault: Fault,
}

impl Twin for Faulty {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool {
        let Some(frame) = self.engine.process(packet).unwrap() else { return false };
        words.clear();
        words.extend_from_slice(frame.words());
        self.frames += u64::from(packet.symbol_id == self.symbol);
        if packet.symbol_id == self.symbol && self.frames == self.at {
            match self.fault {
                Fault::Flip { word } => words[word] ^= 1,
                Fault::Misses => return false,
            }
        }
        true
    }
}

/// Two symbols of the same market, packet by packet.
fn tape() -> (Vec<Instrument>, Vec<Packet>) {
    let (instrument, tape) = packets(&troubled());
    let other = Instrument { symbol: "OTHER".into(), symbol_id: 1, ..instrument.clone() };
    let both = tape.into_iter().flat_map(|packet| {
        let twin = Packet { symbol_id: 1, ..packet.clone() };
        [packet, twin]
    });
    (vec![instrument, other], both.collect())
}

fn watch(
    set: &FeatureSet,
    instruments: &[Instrument],
    tape: &[Packet],
    twin: Box<dyn Twin>,
    options: ShadowOptions,
) -> Arc<ShadowCounters> {
    let primary = engine(set, instruments);
    let shadow = Shadow::new(twin, &primary, options).unwrap();
    let counters = Arc::clone(shadow.counters());
    let plane = Plane::new(primary).with_stage(Box::new(shadow));
    let (mut sender, worker) = start(plane, &WorkerOptions::default()).unwrap();
    for packet in tape {
        sender.packet().copy_from(packet);
        sender.send().unwrap();
    }
    drop(sender);
    worker.join().unwrap();
    counters
}

#[test]
fn an_equal_engine_never_differs() {
    let (instruments, tape) = tape();
    let set = set("core_v1");
    for check_every in [1, 7, 256, 100_000] {
        let twin = Box::new(EngineTwin(engine(&set, &instruments)));
        let options = ShadowOptions { check_every, deep_every: 2 };
        let counters = watch(&set, &instruments, &tape, twin, options);
        assert_eq!(counters.mismatches(), []);
        assert_eq!(counters.mismatched_frames.get(), 0);
        assert_eq!(counters.checks.get(), tape.len().div_ceil(check_every) as u64);
        assert_eq!(counters.deep_checks.get(), counters.checks.get() / 2);
        assert!(counters.frames.get() > 600);
    }
}

#[test]
fn a_planted_defect_is_found_at_its_symbol_frame_and_feature() {
    let (instruments, tape) = tape();
    let set = set("core_v1");
    let values = frame_bytes(set.len()) / 8 - set.len();
    let masks = set.len().div_ceil(64);
    let mut cases: Vec<(Fault, String)> = (0..set.len())
        .step_by(7)
        .map(|index| (Fault::Flip { word: values + index }, set.features()[index].name.clone()))
        .collect();
    cases.push((Fault::Misses, "frame".into()));
    for (word, field) in [
        (3, "seq"),
        (7, "epoch or quality_flags"),
        (8, "changed_mask"),
        (8 + masks, "warmup_ready_mask"),
        (8 + 2 * masks, "valid_mask"),
    ] {
        cases.push((Fault::Flip { word }, field.into()));
    }
    // Frames of the second symbol, to know which one the planted defect is in.
    let mut plain = engine(&set, &instruments);
    let mut headers = Vec::new();
    for packet in &tape {
        if let (Some(frame), 1) = (plain.process(packet).unwrap(), packet.symbol_id) {
            headers.push((frame.header().seq, packet.seq, packet.ts_event_ns));
        }
    }
    for (case, (fault, field)) in cases.into_iter().enumerate() {
        let at = 1 + (41 * case) % headers.len();
        let engine = engine(&set, &instruments);
        let twin = Faulty { engine, symbol: 1, at: at as u64, frames: 0, fault };
        let options = ShadowOptions { check_every: 100, deep_every: 0 };
        let counters = watch(&set, &instruments, &tape, Box::new(twin), options);
        let found = counters.mismatches();
        assert_eq!(found.len(), 1, "{field}: {found:?}");
        let place = (found[0].seq, found[0].source_seq, found[0].ts_event_ns);
        assert_eq!((found[0].symbol.as_str(), place), ("OTHER", headers[at - 1]), "{field}");
        assert_eq!((found[0].field.as_str(), found[0].twin.as_str()), (field.as_str(), "planted"));
        assert_ne!(found[0].primary, found[0].other);
        assert_eq!(counters.mismatched_frames.get(), 1, "only one frame differs");
        let by_feature: Vec<u64> = counters.features.iter().map(|count| count.get()).collect();
        assert_eq!(by_feature.iter().sum::<u64>(), found[0].features.len() as u64);
        if let Some(index) = set.index_of(&field) {
            assert_eq!(
                (by_feature[index], found[0].features.as_slice()),
                (1, &[field.clone()][..])
            );
            assert!(found[0].to_string().contains(&format!("{field} is ")), "{}", found[0]);
        }
    }
}

#[test]
fn defects_go_on_being_found_after_the_first() {
    /// A twin whose book is one lot off in every packet.
    struct Drifts(FeatureEngine);
    impl Twin for Drifts {
        fn name(&self) -> &'static str {
            "drifts"
        }
        fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool {
            let mut packet = packet.clone();
            packet
                .levels
                .iter_mut()
                .for_each(|level| level.qty_lots += i64::from(level.qty_lots > 0));
            EngineTwinOf(&mut self.0).process(&packet, words)
        }
    }
    struct EngineTwinOf<'a>(&'a mut FeatureEngine);
    impl EngineTwinOf<'_> {
        fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool {
            let Some(frame) = self.0.process(packet).unwrap() else { return false };
            words.clear();
            words.extend_from_slice(frame.words());
            true
        }
    }
    let (instruments, tape) = tape();
    let set = set("core_v1");
    let twin = Box::new(Drifts(engine(&set, &instruments)));
    let options = ShadowOptions { check_every: 64, deep_every: 0 };
    let counters = watch(&set, &instruments, &tape, twin, options);
    let found = counters.mismatches();
    assert!(found.len() > 10 && counters.mismatched_frames.get() > 500);
    assert!(found.iter().all(|mismatch| !mismatch.features.is_empty()));
    assert!(found.iter().any(|m| m.symbol == "OTHER") && found.iter().any(|m| m.symbol != "OTHER"));
}

#[test]
fn a_shadow_that_never_compares_is_refused() {
    let (instruments, _) = tape();
    let primary = engine(&set("core_v1"), &instruments);
    let twin = Box::new(EngineTwin(engine(&set("core_v1"), &instruments)));
    let options = ShadowOptions { check_every: 0, deep_every: 0 };
    assert!(matches!(Shadow::new(twin, &primary, options), Err(Error::Shadow { found: 0 })));
}
