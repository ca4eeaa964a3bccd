//! Bad input and wrong usage: the exit code, the place in the message, and nothing left behind.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::path::Path;

use command::{Said, featureplane, market, names, recording};
use market_io::sink::Existing;
use market_io::write::write_hftbacktest;

const USAGE: i32 = 2;
const INPUT: i32 = 3;
const REJECTED: i32 = 4;

const SNAPSHOT: &str = "1723161255000000000 {\"lastUpdateId\":10,\"E\":1723161255000,\
     \"T\":1723161255000,\"bids\":[[\"99.9\",\"1.5\"]],\"asks\":[[\"100.1\",\"2.0\"]]}\n";

/// Update `last`, which follows `last - 1`, with one bid.
fn diff(last: u64, price: &str, qty: &str) -> String {
    format!(
        "1723161255{last:09} {{\"stream\":\"btcusdt@depth@0ms\",\"data\":{{\"e\":\"depthUpdate\",\
         \"E\":1723161255001,\"T\":1723161255001,\"s\":\"BTCUSDT\",\"U\":{last},\"u\":{last},\
         \"pu\":{},\"b\":[[\"{price}\",\"{qty}\"]],\"a\":[]}}}}\n",
        last - 1
    )
}

/// A recording with a line of its own as line 4.
fn lines(line: &str) -> String {
    let more = diff(13, "99.6", "1.0");
    format!("{SNAPSHOT}{}{}{line}{more}", diff(10, "99.8", "1.0"), diff(11, "99.7", "1.0"))
}

const NS: i64 = 1_723_161_255_000_000_000;
const BID: u64 = 1 << 31 | 1 << 30 | 1 << 29 | 1;
const ASK: u64 = 1 << 31 | 1 << 30 | 1 << 28 | 1;

type TestRow = (u64, i64, i64, f64, f64);

const ROWS: [TestRow; 5] = [
    (BID, NS, NS + 1, 99.9, 1.5),
    (ASK, NS, NS + 1, 100.1, 2.0),
    (BID, NS + 5, NS + 6, 99.8, 1.0),
    (BID, NS + 7, NS + 8, 99.7, 1.0),
    (BID, NS + 9, NS + 10, 99.6, 1.0),
];

/// An array with another third row.
fn array(price_type: &str, third: TestRow) -> Vec<u8> {
    let mut rows = ROWS;
    rows[2] = third;
    let mut text = format!(
        "{{'descr': [('ev', '<u8'), ('exch_ts', '<i8'), ('local_ts', '<i8'), ('px', '{price_type}'), \
         ('qty', '<f8'), ('order_id', '<u8'), ('ival', '<i8'), ('fval', '<f8')], \
         'fortran_order': False, 'shape': ({},), }}",
        rows.len()
    );
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    out.extend(text.as_bytes());
    for (ev, exch, local, px, qty) in rows {
        out.extend(ev.to_le_bytes());
        out.extend(exch.to_le_bytes());
        out.extend(local.to_le_bytes());
        out.extend(px.to_le_bytes());
        out.extend(qty.to_le_bytes());
        out.extend([0; 24]);
    }
    out
}

/// Runs `extract` on one input with more arguments; the folder holds nothing but the input before.
fn extract(folder: &Path, input: &str, more: &[&str]) -> Said {
    let mut args = vec!["extract", "--input", input, "--set", "lob_shared_v1"];
    args.extend(more);
    if !more.contains(&"--out") {
        args.extend(["--out", "out.parquet"]);
    }
    featureplane(folder, &args)
}

fn assert_says(name: &str, said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{name}: {said:?}");
    for part in parts {
        assert!(said.stderr.contains(part), "{name}: `{part}` is not in {}", said.stderr);
    }
}

#[test]
fn unusable_inputs_end_with_their_place_and_without_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let zipped = recording(folder.path(), "whole.gz", &market());
    let gzip = std::fs::read(&zipped).unwrap();
    let array_path = folder.path().join("whole.npz");
    write_hftbacktest(&array_path, &market(), Default::default(), Existing::Refuse).unwrap();
    let mut npz = std::fs::read(&array_path).unwrap();
    let middle = npz.len() / 2;
    npz[middle] ^= 0x55;
    let back = (BID, NS + 5, NS, 99.8, 1.0);
    let cut = gzip.len() / 2;
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("cut.gz", gzip[..cut].into(), &["truncated gzip stream", "byte "]),
        ("corrupt.npz", npz, &["corrupt zip member", "byte ", "CRC-32"]),
        (
            "dtype.npy",
            array("<f4", ROWS[2]),
            &["field `descr`", "column `px` of type `<f8`", "'<f4'"],
        ),
        ("unsorted.npy", array("<f8", back), &["row 2 (byte ", "field `local_ts`"]),
        ("empty.txt", Vec::new(), &["the file is empty"]),
        ("noise.bin", b"\x00\x01noise".to_vec(), &["unknown format", "noise"]),
        (
            "no_snapshot.txt",
            diff(10, "99.8", "1.0").into_bytes(),
            &["BTCUSDT: no depth snapshot", "after 1 depth updates"],
        ),
    ];
    for (name, bytes, parts) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let said = extract(folder.path(), name, &[]);
        let place = format!("error: {name}: ");
        let parts: Vec<_> = parts.iter().copied().chain([&*place]).collect();
        assert_says(name, &said, INPUT, &parts);
        assert!(said.stdout.is_empty(), "{name}: {said:?}");
        assert_eq!(names(folder.path()), [name]);
    }
    let folder = tempfile::tempdir().unwrap();
    let said = extract(folder.path(), "absent.gz", &[]);
    assert_says("absent", &said, INPUT, &["absent.gz: cannot open"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn refused_events_end_with_a_table_a_place_and_code_4() {
    let with = |px, qty| array("<f8", (BID, NS + 5, NS + 6, px, qty));
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("nan.npy", with(f64::NAN, 1.0), &["row 2 (byte ", "field `px`", "found NaN"]),
        ("minus.npy", with(99.8, -1.0), &["row 2 (byte ", "field `qty`", "found -1"]),
        (
            "nan.txt",
            lines(&diff(12, "NaN", "1.0")).into_bytes(),
            &["line 4 (byte ", "BTCUSDT", "field `b`", "NaN"],
        ),
        (
            "minus.txt",
            lines(&diff(12, "99.8", "-1.0")).into_bytes(),
            &["line 4 (byte ", "BTCUSDT", "field `b`", "-1.0"],
        ),
        (
            "half.txt",
            lines(&format!("{}\n", &diff(12, "99.8", "1.0")[..90])).into_bytes(),
            &["line 4 (byte ", "BTCUSDT", "field `line`"],
        ),
    ];
    for (name, bytes, parts) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let said = extract(folder.path(), name, &["--json"]);
        assert_eq!(said.code, REJECTED, "{name}: {said:?}");
        let summary = &said.json()[0];
        assert_eq!(summary["rejected_count"], 1, "{name}");
        let reason = summary["rejected"][0].as_str().unwrap();
        for part in parts.iter().copied().chain([name]) {
            assert!(reason.contains(part), "{name}: `{part}` is not in {reason}");
        }
        assert_eq!(summary["quality"]["REJECTED_INPUT"], 1, "{name}: {summary}");
        assert_eq!(names(folder.path()), [name, "out.parquet"]);

        std::fs::remove_file(folder.path().join("out.parquet")).unwrap();
        let said = extract(folder.path(), name, &[]);
        let place = format!("rejected: {name}: ");
        let parts: Vec<_> = parts.iter().copied().chain([&*place]).collect();
        assert_says(name, &said, REJECTED, &parts);
    }
}

#[test]
fn a_crossed_book_is_a_flag_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(&diff(12, "100.5", "1.0"));
    std::fs::write(folder.path().join("x.txt"), text).unwrap();
    let said = extract(folder.path(), "x.txt", &["--json"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert_eq!(said.json()[0]["quality"]["CROSSED_BOOK"], 2);
}

#[test]
fn symbols_are_checked_against_the_input() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.txt", &market());
    let said = extract(folder.path(), "x.txt", &["--symbol", "ETHUSDT"]);
    assert_says("unknown", &said, INPUT, &["x.txt", "expected symbol ETHUSDT, found BTCUSDT"]);

    let other = std::fs::read_to_string(folder.path().join("x.txt")).unwrap();
    let other = other.lines().skip(5).map(|line| line.replace("BTCUSDT", "ETHUSDT") + "\n");
    let text = lines("") + &other.collect::<String>();
    std::fs::write(folder.path().join("both.txt"), text).unwrap();
    let said = extract(folder.path(), "both.txt", &[]);
    assert_says("two", &said, INPUT, &["both.txt: line ", "BTCUSDT and ETHUSDT; choose one"]);

    let two = ["--symbol", "BTCUSDT", "--symbol", "ETHUSDT"];
    let said = extract(folder.path(), "both.txt", &two);
    assert_says("no place", &said, USAGE, &["--out", "{symbol}"]);
    let twice = ["--symbol", "BTCUSDT", "--symbol", "BTCUSDT", "--out", "{symbol}.csv"];
    let said = extract(folder.path(), "x.txt", &twice);
    assert_says("twice", &said, USAGE, &["--symbol", "BTCUSDT.csv"]);
    assert_eq!(names(folder.path()), ["both.txt", "x.txt"]);
}

#[test]
fn wrong_usage_is_told_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let start = market().start_ns;
    let late = (start + 3_600_000_000_000).to_string();
    let start = start.to_string();
    std::fs::write(folder.path().join("old.parquet"), "old").unwrap();
    std::fs::write(folder.path().join("broken.json"), "{\"id\":\"x\",").unwrap();
    std::fs::create_dir(folder.path().join("dir.csv")).unwrap();
    let before = names(folder.path());
    let cases: &[(&[&str], &[&str])] = &[
        (&["--out", "x.xlsx"], &["x.xlsx", "unknown ending", ".parquet"]),
        (&["--out", "noending"], &["noending", "unknown ending"]),
        (&["--out", "old.parquet"], &["old.parquet: exists already"]),
        (&["--out", "dir.csv"], &["dir.csv: is a directory"]),
        (&["--out", "no/such/x.csv"], &["no/such/x.csv", "is not an existing directory"]),
        (&["--emit", "sometimes"], &["emit", "`sometimes`", "step:1s"]),
        (&["--emit", "step:0s"], &["`0s`", "ms"]),
        (&["--set", "core_v9"], &["unknown feature set `core_v9`", "core_v1"]),
        (&["--set", "broken.json"], &["broken.json", "line 1"]),
        (&["--set", "absent.json"], &["absent.json", "No such file"]),
        (&["--from", &late, "--to", &start], &["from", "is empty"]),
        (&["--from", &start, "--to", &start], &["from", "is empty"]),
        (&["--from", "1735689600"], &["time", "1735689600", "s"]),
        (&["--to", "2024-02-30"], &["time", "2024-02-30"]),
        (&["--format", "lobste"], &["--format", "`lobste`", "hftbacktest"]),
        (&["--compression", "gzip"], &["--compression", "zstd"]),
        (&["--no-such-option"], &["--no-such-option"]),
    ];
    for (more, parts) in cases {
        // The input does not exist: were it opened, that would be the error.
        let mut args = vec!["extract", "--input", "absent.gz"];
        args.extend(*more);
        if !more.contains(&"--out") {
            args.extend(["--out", "x.parquet"]);
        }
        let said = featureplane(folder.path(), &args);
        assert_says(&more.join(" "), &said, USAGE, parts);
        assert!(said.stdout.is_empty(), "{said:?}");
        assert_eq!(names(folder.path()), before, "{more:?}");
    }
    assert_eq!(std::fs::read(folder.path().join("old.parquet")).unwrap(), b"old");
}

#[test]
fn sizes_that_do_not_fit_are_usage() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.txt", &market());
    for (more, parts) in [
        (["--tick-size", "zero"], ["tick size", "`zero`"]),
        (["--lot-size", "-1"], ["lot size", "`-1`"]),
        (["--initial-snapshot", "eod.npz"], ["initial_snapshot", "nothing"]),
    ] {
        let more = [format!("{}={}", more[0], more[1])];
        let said = extract(folder.path(), "x.txt", &[&more[0]]);
        assert_says(&more[0], &said, USAGE, &parts);
        assert_eq!(names(folder.path()), ["x.txt"]);
    }
}

#[test]
fn a_range_outside_the_input_is_an_error_that_names_its_span() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.txt", &market());
    for more in [["--from", "2025-01-01T01:00"], ["--to", "2025-01-01"]] {
        let said = extract(folder.path(), "x.txt", &more);
        let parts = ["BTCUSDT: no rows by `packet`", "event time", "17356896"];
        assert_says(more[1], &said, INPUT, &parts);
        assert_eq!(names(folder.path()), ["x.txt"]);
    }
}

#[test]
fn all_faults_of_a_set_are_listed_at_once_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"id": "mine", "features": [
        {"family": "top", "column": "best_bidd"},
        {"family": "tops", "column": "best_bid"},
        {"family": "depth", "column": "bid_price", "params": {"level": 99, "foo": 1}},
        {"family": "depth", "column": "ask_price", "params": {"level": 1.5}},
        {"family": "top", "column": "best_ask", "alias": "a"},
        {"family": "top", "column": "best_bid", "alias": "a"}
    ]}"#;
    std::fs::write(folder.path().join("mine.json"), text).unwrap();
    let parts = [
        "features[0].column: unknown column `best_bidd`",
        "features[1].family: unknown family `tops`",
        "features[2].params.level",
        "features[2].params.foo: unknown parameter",
        "features[3].params.level: 1.5 is neither an integer nor a string",
        "features[5].alias: name `a` is taken by features[4]",
    ];
    assert_says("sets", &featureplane(folder.path(), &["sets", "mine.json"]), USAGE, &parts);
    recording(folder.path(), "x.txt", &market());
    let args = ["extract", "--input", "x.txt", "--set", "mine.json", "--out", "x.csv"];
    assert_says("extract", &featureplane(folder.path(), &args), USAGE, &parts);
    assert_eq!(names(folder.path()), ["mine.json", "x.txt"]);
}

#[test]
fn control_characters_of_an_input_reach_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("noise.txt", "\u{1b}[2Jnoise\u{7}");
    write("line.txt", &lines(&diff(12, "\u{1b}[31m9", "1.0")));
    write("escaped.txt", &lines(&diff(12, "\\u001b[31m9", "1.0")));
    write("key.json", "{\"id\":\"x\",\"\\u001b[31m\\u009b\":1,\"features\":[]}");
    write(
        "column.json",
        "{\"id\":\"\\u001b[1m\",\"features\":[{\"family\":\"\\u001b[32m\",\"column\":\"\\u0007\"}]}",
    );
    write("\u{1b}[33m.txt", "");
    let packets = "{\"featureplane_packets\":1,\"instrument\":{\"symbol_id\":0,\
        \"symbol\":\"B\\u001b[35mTC\",\"venue\":\"\",\"price_scale\":1,\"qty_scale\":3,\
        \"tick_scaled\":1,\"lot_scaled\":1,\"feed\":\"delta\",\"sequencing\":\"venue\",\
        \"max_age_ns\":null}}\n\
        {\"k\":\"heartbeat\",\"e\":1735689600000000000,\"r\":0,\"s\":0,\"f\":0,\"p\":0,\"c\":0,\
        \"runs\":[],\"t\":[]}\n";
    write("symbol.ndjson", packets);
    let to_csv = ["--out", "x.csv", "--overwrite"];
    let extract = |input| [&["extract", "--input", input][..], &to_csv].concat();
    let runs: [(Vec<&str>, i32); 9] = [
        (extract("noise.txt"), INPUT),
        (extract("line.txt"), REJECTED),
        (extract("escaped.txt"), REJECTED),
        (vec!["sets", "key.json"], USAGE),
        (vec!["sets", "column.json"], USAGE),
        (vec!["sets", "\u{1b}[34m"], USAGE),
        (extract("\u{1b}[33m.txt"), INPUT),
        (extract("symbol.ndjson"), INPUT),
        (vec!["inspect", "symbol.ndjson"], 0),
    ];
    for (args, code) in runs {
        let said = featureplane(folder.path(), &args);
        assert_eq!(said.code, code, "{args:?}: {said:?}");
        for text in [&said.stdout, &said.stderr] {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{args:?}: {text:?}");
        }
        let all = said.stdout + &said.stderr;
        assert!(all.contains("[3") || all.contains("[2J"), "{args:?}: what was there: {all}");
    }
    let json = featureplane(folder.path(), &["inspect", "symbol.ndjson", "--json"]).json();
    assert_eq!(json["symbol"], "B\u{1b}[35mTC", "JSON keeps the value");
}
