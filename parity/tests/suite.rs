//! The shared proptest suite: hostile tapes through every path that runs here, bit for bit.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::PathBuf;
use std::sync::Arc;

use feature_parity::{
    Batch, Comparison, Coverage, External, NaiveTwin, Runtime, Sut, Tape, compare,
};
use feature_runtime::{FeatureSet, SymbolEngine, parse_set};
use market_model::{Instrument, Packet};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn every_column() -> Arc<FeatureSet> {
    Arc::new(parse_set(include_str!("every_column.json"), "every_column").unwrap())
}

fn tape(instrument: Instrument, packets: Vec<Packet>) -> Tape {
    Tape { name: "tape".into(), set: every_column(), instrument, packets }
}

fn against_runtime(tape: &Tape, sut: &mut dyn Sut) -> Comparison {
    let want = Runtime.run(tape).unwrap();
    let got = sut.run(tape).unwrap();
    compare::compare(tape, sut.name(), sut.coverage(), &want, &got)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_naive_twin_gives_the_same_frames((instrument, packets) in testkit::any_tape(80)) {
        let result = against_runtime(&tape(instrument, packets), &mut NaiveTwin::default());
        prop_assert!(result.is_equal(), "{:#?}", result.first);
    }

    /// What a family does not save, or saves differently from what it holds, shows here.
    #[test]
    fn every_column_resumes_invisibly((instrument, packets) in testkit::any_tape(60), cut in 0..60_usize) {
        let set = every_column();
        let mut whole = SymbolEngine::new(Arc::clone(&set), instrument.clone());
        let mut resumed = SymbolEngine::new(set, instrument);
        let (before, after) = packets.split_at(cut.min(packets.len()));
        for packet in before {
            whole.process(packet);
        }
        // A row between packets changes nothing that a later packet sees.
        whole.sample(whole.t_eff_ns());
        let state = whole.snapshot();
        resumed.restore(&state).unwrap();
        prop_assert_eq!(&resumed.snapshot(), &state);
        for packet in after {
            let want = whole.process(packet).map(|frame| frame.as_bytes().to_vec());
            let got = resumed.process(packet).map(|frame| frame.as_bytes().to_vec());
            prop_assert_eq!(got, want);
        }
        prop_assert_eq!(resumed.snapshot(), whole.snapshot());
    }

    #[test]
    fn the_batch_gives_the_same_rows((instrument, packets) in testkit::any_tape(80)) {
        let result = against_runtime(&tape(instrument, packets), &mut Batch);
        prop_assert!(result.is_equal(), "{:#?}", result.first);
    }
}

/// One process for many tapes would hide resets between them, so tapes are joined with care: each
/// run of the reference gets one long tape made of many short ones with a reset between.
#[test]
fn the_python_reference_gives_the_same_frames() {
    let python = PathBuf::from("python3");
    let mut runner = TestRunner::deterministic();
    let (mut frames, mut events) = (0, 0);
    for round in 0..40 {
        let tree = testkit::any_tape(900).new_tree(&mut runner).unwrap();
        let (instrument, packets) = tree.current();
        let tape = tape(instrument, packets);
        let result = against_runtime(&tape, &mut External::reference(&python));
        assert!(result.is_equal(), "round {round}: {:#?} {:#?}", tape.instrument, result.first);
        frames += result.frames;
        events += tape.events();
    }
    println!("reference: {frames} frames of {events} events equal");
    assert!(frames > 5_000, "the tapes are too poor: {frames} frames");
    assert_eq!(Coverage::Frame, External::reference(&python).coverage());
}
