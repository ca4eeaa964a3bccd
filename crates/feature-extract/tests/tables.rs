//! What a job leaves behind: the same bytes every time, or nothing.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use feature_extract::{Destination, Error, Job, Observer, inspect, run, run_all};
use feature_runtime::SymbolEngine;
use jobs::{
    SECOND, ipc_file, job, log, market, output, packets, parquet_file, recording, rows, rows_of,
    set, to_file,
};
use market_io::sink::{SinkError, SinkOptions, file_stem};
use market_io::synthetic::SyntheticConfig;
use market_io::{OpenOptions, write::write_hftbacktest};
use market_model::QualityFlags;

/// Names in a folder, temporary files included.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_run_writes_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    for (ending, emission) in
        [("parquet", "packet"), ("csv", "trade-or-step:1s"), ("arrow", "step:1s")]
    {
        let bytes = ["a", "b"].map(|name| {
            let path = folder.path().join(name).with_extension(ending);
            run(&to_file(&job(&[&input], "core_v1", emission), &path), &()).unwrap();
            std::fs::read(path).unwrap()
        });
        assert!(bytes[0] == bytes[1], "{ending}");
        assert!(bytes[0].len() > 1_000, "{ending}");
    }
}

#[test]
fn the_three_formats_hold_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let job = job(&[&input], "core_v1", "trade-or-step:500ms");
    let want = rows(&job);
    let path = |name: &str| folder.path().join(name);
    for name in ["x.parquet", "x.arrow", "x.csv"] {
        let output = run(&to_file(&job, &path(name)), &()).unwrap();
        assert_eq!(output.summary.rows, want.len() as u64);
        assert_eq!(output.summary.output_bytes, path(name).metadata().unwrap().len());
        assert!(output.batches.is_empty());
    }
    assert_eq!(rows_of(&parquet_file(&path("x.parquet")).1), want);
    assert_eq!(rows_of(&ipc_file(&path("x.arrow")).1), want);
    let text = std::fs::read_to_string(path("x.csv")).unwrap();
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(head[..4], ["symbol", "ts_event", "ts_recv", "seq"]);
    let best_bid = head.iter().position(|name| *name == "best_bid").unwrap();
    for (line, row) in lines.by_ref().zip(&want) {
        let cells: Vec<_> = line.split(',').collect();
        assert_eq!(cells.len(), head.len());
        assert_eq!((cells[0], cells[1]), ("BTCUSDT", &*row.ts_event.to_string()));
        assert_eq!(cells[2], row.ts_recv.map_or(String::new(), |ns| ns.to_string()));
        assert_eq!(cells[best_bid], row.values[0].map_or(String::new(), |bid| bid.to_string()));
    }
    assert_eq!(text.lines().count(), want.len() + 1);
}

#[test]
fn gzip_and_plain_input_give_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let tables = ["market.txt", "market.txt.gz"].map(|name| {
        let input = recording(folder.path(), name, &market());
        let out = folder.path().join(name).with_extension("csv");
        run(&to_file(&job(&[&input], "core_v1", "packet"), &out), &()).unwrap();
        let output = output(&job(&[&input], "core_v1", "packet"));
        let mut metadata = output.schema.metadata().clone();
        let inputs = metadata.remove("featureplane.inputs").unwrap();
        (std::fs::read(out).unwrap(), metadata, inputs)
    });
    assert!(tables[0].0 == tables[1].0);
    assert_eq!(tables[0].1, tables[1].1);
    assert_ne!(tables[0].2, tables[1].2, "what differs is what was read");
}

#[test]
fn several_inputs_are_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let whole = recording(folder.path(), "whole.txt", &market());
    let text = std::fs::read_to_string(&whole).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // The second part has no snapshot of its own before the fault.
    let (first, second) = lines.split_at(lines.len() / 3);
    let parts = [("1.txt", first), ("2.txt", second)].map(|(name, lines)| {
        let path = folder.path().join(name);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    });
    for emission in ["packet", "step:1s"] {
        let joined = rows(&job(&[&parts[0], &parts[1]], "core_v1", emission));
        assert_eq!(joined, rows(&job(&[&whole], "core_v1", emission)), "{emission}");
    }
    let swapped = run(&job(&[&parts[1], &parts[0]], "core_v1", "packet"), &());
    let swapped = swapped.map(|output| rows_of(&output.batches));
    assert!(swapped.is_err() || swapped.unwrap().len() < lines.len(), "order matters");
}

/// A recorder file with the lines of two symbols in order of arrival, snapshots named.
fn two_symbols(folder: &Path) -> PathBuf {
    let mut lines = Vec::new();
    for (symbol, seed) in [("BTCUSDT", 3), ("ETHUSDT", 4)] {
        let config = SyntheticConfig { seed, symbol: symbol.into(), ..market() };
        let path = recording(folder, symbol, &config);
        let text = std::fs::read_to_string(path).unwrap();
        let named = format!("\"symbol\":\"{symbol}\",\"bids\"");
        lines.extend(text.lines().map(|line| line.replace("\"bids\"", &named)));
    }
    lines.sort_by_key(|line| line.split_once(' ').unwrap().0.parse::<i64>().unwrap());
    let path = folder.join("both.txt");
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

#[test]
fn threads_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let input = two_symbols(folder.path());
    let symbols = ["BTCUSDT", "ETHUSDT"];
    let mut seen: Vec<Vec<Vec<u8>>> = Vec::new();
    for threads in [1, 2, 8] {
        let path = |symbol| folder.path().join(format!("{threads}-{}.parquet", file_stem(symbol)));
        let jobs = symbols.map(|symbol| {
            let base = job(&[&input], "core_v1", "trade-or-step:1s");
            let open = OpenOptions { symbol: Some(symbol.into()), ..base.open.clone() };
            to_file(&Job { open, ..base }, &path(symbol))
        });
        let outputs = run_all(&jobs, threads, &()).unwrap();
        let found: Vec<_> = outputs.iter().map(|output| output.summary.symbol.as_str()).collect();
        assert_eq!(found, symbols, "results keep the order of the jobs");
        seen.push(symbols.iter().map(|symbol| std::fs::read(path(symbol)).unwrap()).collect());
    }
    assert_ne!(seen[0][0], seen[0][1]);
    assert!(seen.iter().all(|bytes| *bytes == seen[0]));

    // A symbol's table does not depend on who else is in the file.
    let open = OpenOptions { symbol: Some("ETHUSDT".into()), ..OpenOptions::default() };
    let alone = job(&[&folder.path().join("ETHUSDT")], "core_v1", "packet");
    let among = job(&[&input], "core_v1", "packet");
    let open = OpenOptions { inputs: among.open.inputs.clone(), ..open };
    assert_eq!(rows(&alone), rows(&Job { open, ..among }));
}

#[test]
fn one_bad_job_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let input = two_symbols(folder.path());
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let jobs = ["BTCUSDT", "NOSUCH", "ETHUSDT"].map(|symbol| {
        let base = job(&[&input], "lob_shared_v1", "packet");
        let open = OpenOptions { symbol: Some(symbol.into()), ..base.open.clone() };
        to_file(&Job { open, ..base }, &out.join(format!("{symbol}.csv")))
    });
    let error = run_all(&jobs, 2, &()).unwrap_err().to_string();
    assert!(error.contains("NOSUCH") && error.contains("BTCUSDT, ETHUSDT"), "{error}");
    assert_eq!(names(&out), ["BTCUSDT.csv", "ETHUSDT.csv"]);
}

#[test]
fn nulls_are_where_a_value_is_not_valid_and_nowhere_else() {
    // Long enough that the longest horizon of the set fits between two faults.
    let market = SyntheticConfig { duration_ns: 300 * SECOND, ..market() };
    let (instrument, packets) = packets(&market);
    let set = set("core_v1");
    let mut engine = SymbolEngine::new(set.clone(), instrument);
    let mut want: Vec<Vec<Option<u64>>> = Vec::new();
    for packet in &packets {
        if let Some(frame) = engine.process(packet) {
            want.push((0..set.len()).map(|feature| frame.value(feature)).collect());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market);
    let out = folder.path().join("x.parquet");
    run(&to_file(&job(&[&input], "core_v1", "packet"), &out), &()).unwrap();
    let found = rows_of(&parquet_file(&out).1);
    assert_eq!(found.iter().map(|row| row.values.clone()).collect::<Vec<_>>(), want);
    let nulls = |flag: QualityFlags| {
        let flagged = found.iter().filter(|row| row.flags & flag.bits() != 0);
        flagged.map(|row| row.values.iter().filter(|value| value.is_none()).count()).max()
    };
    assert_eq!(nulls(QualityFlags::GAP_DETECTED), Some(set.len()), "a gap frame has no values");
    let crossed = nulls(QualityFlags::CROSSED_BOOK).unwrap();
    assert!(crossed > 20 && crossed < set.len(), "clock features live on: {crossed}");
    // The market has few levels: only the band that no level reaches is always null.
    let empty = set.index_of("band_imbalance_10_25bps").unwrap();
    for (i, feature) in set.features().iter().enumerate() {
        let valued = found.iter().any(|row| row.values[i].is_some());
        assert_eq!(valued, i != empty, "{} has a value somewhere", feature.name);
    }
}

#[test]
fn a_file_says_what_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    let job = job(&[&input], "lob_shared_v1", "step:1s");
    for name in ["x.parquet", "x.arrow"] {
        let out = folder.path().join(name);
        run(&to_file(&job, &out), &()).unwrap();
        let (schema, _) = if name == "x.arrow" { ipc_file(&out) } else { parquet_file(&out) };
        let get = |key: &str| schema.metadata()[&format!("featureplane.{key}")].clone();
        assert_eq!(get("feature_set_id"), "lob_shared_v1");
        assert_eq!(get("schema_hash"), format!("{:016x}", job.set.schema_hash()));
        assert_eq!(get("feature_set"), job.set.canonical_json());
        assert_eq!(get("version"), env!("CARGO_PKG_VERSION"));
        assert_eq!((get("command"), get("emission")), ("test".into(), "step:1000000000ns".into()));
        assert_eq!((get("symbol"), get("venue")), ("BTCUSDT".into(), "binance-usdm".into()));
        assert_eq!((get("price_scale"), get("tick_scaled")), ("1".into(), "1".into()));
        assert_eq!((get("qty_scale"), get("lot_scaled")), ("3".into(), "1".into()));
        let bytes = std::fs::read(&input).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&get("inputs")).unwrap(),
            serde_json::json!([{
                "name": "market.gz",
                "bytes": bytes.len(),
                "blake3": blake3::hash(&bytes).to_hex().to_string(),
            }])
        );
        let field = schema.field_with_name("best_bid").unwrap();
        assert!(field.is_nullable());
        for (key, value) in [("family", "top"), ("rev", "1"), ("divide_by", "1e1")] {
            assert_eq!(field.metadata()[key], value);
        }
    }
}

/// Says stop at the call with a number.
struct StopAt(u64, AtomicU64);

impl Observer for StopAt {
    fn progress(&self, _: &str, _: u64, _: u64, _: u64) -> ControlFlow<()> {
        match self.1.fetch_add(1, Ordering::Relaxed) + 1 >= self.0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[test]
fn an_interrupted_job_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { packets_per_second: 200, ..market() };
    let input = recording(folder.path(), "market.txt", &config);
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    for ending in ["parquet", "arrow", "csv"] {
        let job =
            to_file(&job(&[&input], "core_v1", "packet"), &out.join("x").with_extension(ending));
        let calls = StopAt(u64::MAX, AtomicU64::new(0));
        run(&job, &calls).unwrap();
        std::fs::remove_file(out.join("x").with_extension(ending)).unwrap();
        let calls = calls.1.into_inner();
        assert!(calls > 3, "hashing and reading are both observed: {calls}");
        for call in [1, 2, calls] {
            let error = run(&job, &StopAt(call, AtomicU64::new(0))).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "{error}");
            assert!(names(&out).is_empty(), "call {call}: {:?}", names(&out));
        }
    }
}

#[test]
fn a_failed_job_leaves_the_destination_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    let bytes = std::fs::read(&input).unwrap();
    std::fs::write(&input, &bytes[..bytes.len() / 2]).unwrap();
    let out = folder.path().join("x.parquet");
    let job = job(&[&input], "core_v1", "packet");
    let error = run(&to_file(&job, &out), &()).unwrap_err().to_string();
    assert!(error.contains("market.gz: byte ") && error.contains("truncated gzip"), "{error}");
    assert_eq!(names(folder.path()), ["market.gz"]);
    std::fs::write(&out, "old").unwrap();
    let error = run(&to_file(&job, &out), &()).unwrap_err();
    assert!(matches!(error, Error::Output(SinkError::Exists { .. })), "before the input: {error}");
    let options =
        SinkOptions { existing: market_io::sink::Existing::Replace, ..Default::default() };
    let replacing = Job { destination: Destination::File { path: out.clone(), options }, ..job };
    assert!(matches!(run(&replacing, &()), Err(Error::Input(_))));
    assert_eq!(std::fs::read(&out).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["market.gz", "x.parquet"]);
}

#[test]
fn ranges_without_rows_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let base = job(&[&input], "core_v1", "packet");
    let start = market().start_ns;
    let with = |from_ns, to_ns| Job { from_ns, to_ns, ..base.clone() };
    for (from, to) in [(start + 5, start + 5), (start + 5, start)] {
        let error = run(&with(Some(from), Some(to)), &()).unwrap_err();
        assert!(matches!(error, Error::Config { field: "from", .. }), "{error}");
    }
    for job in [with(None, Some(start)), with(Some(start + 3_600 * SECOND), None)] {
        let error = run(&job, &()).unwrap_err();
        assert!(matches!(error, Error::NoRows { .. }), "{error}");
        assert!(error.to_string().contains("BTCUSDT: no rows by `packet` with event time"));
    }
}

#[test]
fn the_summary_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let (_, packets) = packets(&market());
    let found = output(&job(&[&input], "core_v1", "packet")).summary;
    assert_eq!(found.packets, packets.len() as u64);
    assert_eq!(found.events, packets.iter().map(market_model::Packet::event_count).sum::<u64>());
    assert_eq!(found.rows, found.frames);
    let fate = |name: &str| found.packets_by_fate[name];
    assert_eq!(fate("gaps"), 2, "one is lost, one is swapped");
    assert_eq!(fate("duplicates"), 2);
    assert_eq!(fate("resets"), 2);
    assert_eq!((found.rejected_count, found.rejected.len()), (0, 0));
    assert_eq!(found.quality["CROSSED_BOOK"], found.quality["PARTIAL_FEATURES"] - 2);
    assert_eq!(found.span_ns[0], packets[0].ts_event_ns);
    assert_eq!(found.span_ns[1], packets.iter().map(|packet| packet.ts_event_ns).max().unwrap());
}

#[test]
fn a_market_looks_the_same_as_a_recording_an_array_and_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = market();
    let lines = recording(folder.path(), "market.txt", &config);
    let array = folder.path().join("BTCUSDT.npz");
    let existing = market_io::sink::Existing::Refuse;
    write_hftbacktest(&array, &config, Default::default(), existing).unwrap();
    let (instrument, packets) = packets(&config);
    let log = log(folder.path(), "market.ndjson", &instrument, &packets);
    let tables = [lines, array, log].map(|input| {
        let rows = rows(&job(&[&input], "lob_shared_v1", "packet"));
        rows.into_iter().map(|row| (row.seq, row.values)).collect::<Vec<_>>()
    });
    assert!(tables[0].len() > 200);
    assert_eq!(tables[0], tables[2]);
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn inspect_counts_what_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let (_, packets) = packets(&market());
    let open = OpenOptions { inputs: vec![input], ..OpenOptions::default() };
    let found = inspect(&open).unwrap();
    assert_eq!((found.symbol.as_str(), found.venue.as_str()), ("BTCUSDT", "binance-usdm"));
    assert_eq!((found.tick_size.as_str(), found.lot_size.as_str()), ("0.1", "0.001"));
    assert_eq!(found.packets, packets.len() as u64);
    assert_eq!(found.trades, packets.iter().map(|p| p.trades.len() as u64).sum::<u64>());
    assert_eq!(found.gaps, 2);
    assert!((1..SECOND).contains(&found.crossed_ns), "{}", found.crossed_ns);
    let [min, median, max] = found.latency_ns[..] else { panic!("both stamps are known") };
    assert!(0 < min && min <= median && median <= max);
    assert!(found.final_levels.iter().all(|levels| *levels > 10));
    let quotes = found.final_quotes.map(|quote| quote.unwrap().parse::<f64>().unwrap());
    assert!(quotes[0] < quotes[1]);
}

#[test]
fn a_book_that_is_crossed_at_the_end_counts_up_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let tape = [
        jobs::snapshot(jobs::START, 1),
        jobs::bid(jobs::START + 100, 2, 103, 1),
        jobs::bid(jobs::START + 100 + 7_000, 3, 103, 2),
    ];
    let input = log(folder.path(), "tape.ndjson", &jobs::btc(), &tape);
    let found = inspect(&OpenOptions { inputs: vec![input], ..OpenOptions::default() }).unwrap();
    assert_eq!(found.crossed_ns, 7_000);
    assert_eq!(found.final_quotes, [Some("10.3".into()), Some("10.2".into())]);
}
