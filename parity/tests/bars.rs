//! Bars against the Python reference, bit for bit: hostile tapes, a recording, and planted defects.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use feature_extract::{
    BarMaker, BarOptions, EmptyBars, Framed, bar_set, bar_spec, parse_durations_ns,
};
use feature_parity::{Tape, reference_files};
use feature_runtime::{SymbolEngine, built_in_set};
use market_io::sink::{Existing, RowBatchBuilder};
use market_io::{EventsWriter, OpenOptions};
use market_model::{Instrument, Packet, StateReader, StateWriter};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};

const EDGE_NS: i64 = 170_000_000;

type Bar = Map<String, Value>;

/// Plants a defect in the source of the reference.
type Edit = fn(&str) -> String;

fn options(durations: &str, empty: EmptyBars) -> BarOptions {
    BarOptions { durations_ns: parse_durations_ns(durations).unwrap(), empty, path: None }
}

fn engine(tape: &Tape) -> SymbolEngine {
    // Another set than that of the bars: what the user extracts does not matter.
    let set = Arc::new(built_in_set("chronicle_v1").unwrap());
    SymbolEngine::with_companion(set, bar_set().unwrap(), tape.instrument.clone())
}

/// All bars, by duration and time; after `cut` packets everything is saved and restored.
fn ours(tape: &Tape, options: &BarOptions, cut: usize) -> Vec<Bar> {
    let maker = || BarMaker::new(options, &tape.instrument, i64::MIN, i64::MAX);
    let (mut engine, mut bars) = (engine(tape), maker());
    let mut rows: Vec<Vec<(Vec<u64>, Vec<u64>)>> = vec![Vec::new(); options.durations_ns.len()];
    for (index, packet) in tape.packets.iter().enumerate() {
        if index == cut {
            let mut state = StateWriter::default();
            bars.save(&mut state);
            let (state, book) = (state.into_bytes(), engine.snapshot());
            bars = maker();
            let mut from = StateReader::new(&state);
            bars.load(&mut from).unwrap();
            assert_eq!(from.remaining(), 0);
            engine = self::engine(tape);
            engine.restore(&book).unwrap();
        }
        let framed = if engine.process(packet).is_some() { Framed::Yes } else { Framed::No };
        bars.push(packet, &engine, framed, &mut |index, words, valid| {
            rows[index].push((words.to_vec(), valid.to_vec()));
        });
    }
    bars.flush(&mut |index, words, valid| rows[index].push((words.to_vec(), valid.to_vec())));
    let mut found = Vec::new();
    for (duration_ns, rows) in options.durations_ns.iter().zip(rows) {
        let spec = bar_spec(*duration_ns, &tape.instrument).unwrap();
        let mut batch = RowBatchBuilder::new(&spec, rows.len().max(1), &["X"]);
        rows.iter().for_each(|(words, valid)| batch.push_row(words, valid));
        let batch = batch.finish();
        found.extend((0..batch.num_rows()).map(|row| bar(&batch, row)));
    }
    found
}

/// One bar as the reference writes it.
fn bar(batch: &RecordBatch, row: usize) -> Bar {
    let cell = |array: &dyn Array| -> Value {
        if let Some(array) = array.as_primitive_opt::<Float64Type>() {
            let bits = |x: f64| format!("{:016x}", x.to_bits());
            return array.is_valid(row).then(|| bits(array.value(row))).into();
        }
        let signed = array.as_primitive_opt::<Int64Type>().map(|array| array.value(row));
        let time =
            array.as_primitive_opt::<TimestampNanosecondType>().map(|array| array.value(row));
        let wide = array.as_primitive_opt::<UInt64Type>().map(|array| array.value(row));
        let narrow = array.as_primitive_opt::<UInt32Type>().map(|array| array.value(row));
        signed.or(time).map_or_else(|| wide.or(narrow.map(u64::from)).into(), Value::from)
    };
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns()).skip(1);
    named.map(|(field, column)| (field.name().clone(), cell(column.as_ref()))).collect()
}

/// The bars of the reference, in the order of [`ours`].
fn theirs(tape: &Tape, options: &BarOptions, edit: Edit) -> Vec<Bar> {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("featureplane_reference");
    std::fs::create_dir_all(package.join("families")).unwrap();
    for (name, text) in reference_files() {
        let text = if *name == "bars.py" { edit(text) } else { (*text).to_owned() };
        std::fs::write(package.join(name), text).unwrap();
    }
    let (log, out) = (folder.path().join("packets.ndjson"), folder.path().join("bars.ndjson"));
    let header = Tape { set: bar_set().unwrap(), ..tape.clone() }.header();
    let mut writer =
        EventsWriter::create(&log, &tape.instrument, header, Existing::Refuse).unwrap();
    tape.packets.iter().for_each(|packet| writer.write(packet).unwrap());
    writer.finish().unwrap();
    let durations: Vec<_> = options.durations_ns.iter().map(ToString::to_string).collect();
    let mut command = Command::new("python3");
    command.args(["-m", "featureplane_reference", "--bars", &durations.join(",")]);
    if options.empty == EmptyBars::Write {
        command.arg("--empty-bars");
    }
    let done = command
        .args([&log, &out])
        .env("PYTHONPATH", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(out).unwrap();
    let mut bars: Vec<Bar> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = |bar: &Bar| {
        let duration = bar["duration_ns"].as_i64().unwrap();
        options.durations_ns.iter().position(|known| *known == duration).unwrap()
    };
    bars.sort_by_key(place);
    bars
}

fn first_difference(ours: &[Bar], theirs: &[Bar]) -> Option<String> {
    let pairs = ours.iter().zip(theirs);
    let differs = |(ours, theirs): (&Bar, &Bar)| {
        let key = ours.iter().find(|(key, value)| theirs.get(*key) != Some(value))?.0;
        let at = (&ours["bar_start"], &ours["duration_ns"]);
        Some(format!("bar {at:?}, {key}: {} and {:?}", ours[key], theirs.get(key)))
    };
    let lengths =
        (ours.len() != theirs.len()).then(|| format!("{} and {} bars", ours.len(), theirs.len()));
    pairs.filter_map(differs).next().or(lengths)
}

fn tape(name: &str, instrument: Instrument, packets: Vec<Packet>) -> Tape {
    Tape { name: name.into(), set: bar_set().unwrap(), instrument, packets }
}

/// Tapes with gaps, resets, crossed books, and times that stand still or go back; of every second one
/// the times are ends of bars.
fn hostile(count: usize) -> Vec<Tape> {
    let mut runner = TestRunner::deterministic();
    let mut make = |round: usize| {
        let (instrument, mut packets) = testkit::tape(300).new_tree(&mut runner).unwrap().current();
        for packet in packets.iter_mut().filter(|_| round % 2 == 1) {
            packet.ts_event_ns -= packet.ts_event_ns.rem_euclid(EDGE_NS);
        }
        tape(&format!("round {round}"), instrument, packets)
    };
    (0..count).map(&mut make).collect()
}

#[test]
fn bars_of_hostile_tapes_equal_those_of_the_reference() {
    let (mut bars, mut incomplete, mut empty) = (0, 0, 0);
    for (round, tape) in hostile(10).iter().enumerate() {
        let kind = if round % 2 == 0 { EmptyBars::Skip } else { EmptyBars::Write };
        let options = options("100ms,170ms,1s,60s", kind);
        let ours = ours(tape, &options, tape.packets.len() / 2);
        let theirs = theirs(tape, &options, str::to_owned);
        assert_eq!(first_difference(&ours, &theirs), None, "{}", tape.name);
        let count = |key: &str| ours.iter().filter(|bar| bar[key] == 0).count();
        (bars, incomplete) = (bars + ours.len(), incomplete + count("complete"));
        empty += count("frames");
    }
    assert!(bars > 500 && incomplete > 20 && empty > 20, "{bars} {incomplete} {empty}");
}

#[test]
fn a_cut_anywhere_changes_no_bar() {
    let tape = &hostile(1)[0];
    let options = options("170ms,1s", EmptyBars::Write);
    let whole = ours(tape, &options, usize::MAX);
    for cut in 0..tape.packets.len() {
        assert_eq!(first_difference(&ours(tape, &options, cut), &whole), None, "cut {cut}");
    }
}

/// The gate sees a closed right edge, a lost last bar, a bar that includes what follows a gap, and others.
#[test]
fn planted_defects_are_found() {
    let edits: [(&str, Edit); 6] = [
        ("closed right edge", |text| {
            text.replace("bar.start + duration <= now", "bar.start + duration < now")
        }),
        ("lost last bar", |text| text.replace("if bar is not None and bar.frames:", "if False:")),
        ("the last bar is complete", |text| {
            text.replace("duration, complete=False)", "duration, complete=True)")
        }),
        ("gaps are complete", |text| text.replace("not quality(bar) & BREAKS", "True")),
        ("variance about the mean", |text| {
            text.replace(
                "r * r for r in returns",
                "(r - sum(returns) // len(returns)) ** 2 for r in returns",
            )
        }),
        ("unweighted trade price", |text| {
            text.replace("price * tick * qty * lot for", "price * tick for")
        }),
    ];
    let tapes = hostile(10);
    let options = options("170ms,1s", EmptyBars::Skip);
    for (name, edit) in edits {
        let sources = reference_files();
        let (_, text) = sources.iter().find(|(name, _)| *name == "bars.py").unwrap();
        assert_ne!(edit(text), **text, "{name}: the edit has no effect");
        let found = tapes.iter().any(|tape| {
            let ours = ours(tape, &options, usize::MAX);
            first_difference(&ours, &theirs(tape, &options, edit)).is_some()
        });
        assert!(found, "{name} is not found");
    }
}

#[test]
fn bars_of_a_recording_equal_those_of_the_reference() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/binance");
    let inputs = vec![root.join("usdm_btcusdt_20240808.gz")];
    if !inputs[0].exists() {
        eprintln!("skipped: no recorded data at {}", inputs[0].display());
        return;
    }
    let open = OpenOptions { inputs, symbol: Some("BTCUSDT".into()), ..OpenOptions::default() };
    let tape = Tape::read(&open, bar_set().unwrap(), 6_000).unwrap();
    let options = options("1s,5s,30s,60s", EmptyBars::Skip);
    let ours = ours(&tape, &options, usize::MAX);
    let theirs = theirs(&tape, &options, str::to_owned);
    assert_eq!(first_difference(&ours, &theirs), None);
    assert!(ours.len() > 100, "{}", ours.len());
    let trades: u64 = ours.iter().map(|bar| bar["trade_count"].as_u64().unwrap()).sum();
    assert!(trades > 1_000, "{trades}");
}
