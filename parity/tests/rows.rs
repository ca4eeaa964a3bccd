//! Rows between packets: windows and clocks at grid points, against the Python reference, bit for bit.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use feature_extract::{Emission, FIXED_COLUMNS, RowMaker};
use feature_kernel::frame::bit;
use feature_parity::Tape;
use feature_runtime::{SymbolEngine, parse_set};
use market_io::EventsWriter;
use market_io::sink::Existing;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

const STEP_NS: i64 = 170_000_000;

/// Event time, frame number, epoch, quality bits, and the words where they are valid.
type Row = (i64, u64, u64, u64, Vec<Option<u64>>);

fn ours(tape: &Tape) -> Vec<Row> {
    let emission: Emission = format!("trade-or-step:{STEP_NS}ns").parse().unwrap();
    let engine = SymbolEngine::new(Arc::clone(&tape.set), tape.instrument.clone());
    let mut maker = RowMaker::new(engine, emission, i64::MIN, i64::MAX);
    let mut rows = Vec::new();
    for packet in &tape.packets {
        maker.push(packet, &mut |words, valid| {
            let word = |index: usize| bit(valid, index).then(|| words[index]);
            let values = (FIXED_COLUMNS..FIXED_COLUMNS + tape.set.len()).map(word).collect();
            rows.push((words[1].cast_signed(), words[3], words[4], words[5], values));
        });
    }
    rows
}

fn theirs(tape: &Tape, folder: &Path) -> Vec<Row> {
    let log_path = folder.join("packets.ndjson");
    let refuse = Existing::Refuse;
    let mut log = EventsWriter::create(&log_path, &tape.instrument, tape.header(), refuse).unwrap();
    tape.packets.iter().for_each(|packet| log.write(packet).unwrap());
    log.finish().unwrap();
    let rows_path = folder.join("rows.ndjson");
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
    let done = Command::new("python3")
        .args(["-m", "featureplane_reference", "--emit"])
        .arg(format!("trade-or-step:{STEP_NS}"))
        .arg("--rows")
        .args([&rows_path, &log_path, &folder.join("frames.bin")])
        .env("PYTHONPATH", reference)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(rows_path).unwrap();
    text.lines().map(|line| row(&serde_json::from_str(line).unwrap())).collect()
}

fn row(line: &Value) -> Row {
    let word = |word: &Value| word.as_str().map(|hex| u64::from_str_radix(hex, 16).unwrap());
    let number = |key: &str| line[key].as_u64().unwrap();
    (
        line["ts_event"].as_i64().unwrap(),
        number("seq"),
        number("epoch"),
        number("quality"),
        line["words"].as_array().unwrap().iter().map(word).collect(),
    )
}

#[test]
fn rows_between_packets_equal_those_of_the_reference() {
    let set = Arc::new(parse_set(include_str!("every_column.json"), "every_column").unwrap());
    let mut runner = TestRunner::deterministic();
    let mut total = 0;
    for round in 0..10 {
        let (instrument, packets) = testkit::tape(300).new_tree(&mut runner).unwrap().current();
        let tape = Tape { name: "rows".into(), set: Arc::clone(&set), instrument, packets };
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (ours(&tape), theirs(&tape, folder.path()));
        assert_eq!(ours.len(), theirs.len(), "round {round}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let at = format!("round {round}, row of {}", ours.0);
            assert_eq!(
                (ours.0, ours.1, ours.2, ours.3),
                (theirs.0, theirs.1, theirs.2, theirs.3),
                "{at}"
            );
            for (index, feature) in tape.set.features().iter().enumerate() {
                assert_eq!(ours.4[index], theirs.4[index], "{at}: {}", feature.name);
            }
        }
        total += ours.len();
    }
    assert!(total > 3_000, "{total} rows");
}
