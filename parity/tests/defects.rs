//! The gate itself is checked: every planted defect must be seen, by the name of what it breaks.

use std::sync::Arc;

use feature_parity::compare::compare;
use feature_parity::naive::Defect;
use feature_parity::{NaiveTwin, Runtime, Sut, Tape};
use feature_runtime::parse_set;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn every_planted_defect_is_caught() {
    let set = Arc::new(parse_set(include_str!("every_column.json"), "every_column").unwrap());
    let mut runner = TestRunner::deterministic();
    let tapes: Vec<Tape> = (0..300)
        .map(|_| {
            let (instrument, packets) =
                testkit::any_tape(200).new_tree(&mut runner).unwrap().current();
            Tape { name: "tape".into(), set: Arc::clone(&set), instrument, packets }
        })
        .collect();
    let caught_by = |defect: Option<Defect>| {
        tapes.iter().find_map(|tape| {
            let want = Runtime.run(tape).unwrap();
            let mut twin = NaiveTwin { defect };
            let got = twin.run(tape).unwrap();
            compare(tape, twin.name(), twin.coverage(), &want, &got).first
        })
    };
    assert_eq!(caught_by(None), None, "without a defect nothing differs");
    for defect in Defect::ALL {
        let found = caught_by(Some(*defect));
        let first = found.unwrap_or_else(|| panic!("`{}` was not caught", defect.name()));
        println!(
            "{:<24} seq {:>4} {:<40} {} / {}",
            defect.name(),
            first.seq,
            first.feature,
            first.runtime,
            first.other
        );
    }
    assert!(Defect::ALL.len() >= 40, "{} defects are planted", Defect::ALL.len());
}
