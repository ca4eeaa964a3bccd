//! What each command prints and writes when all is well, and how Ctrl-C ends it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command::{featureplane, footer_rows, market, names, recording};
use market_io::synthetic::SyntheticConfig;
use serde_json::Value;

#[test]
fn the_summary_as_json_agrees_with_the_files() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    for (emit, compression) in [("packet", "zstd"), ("trade", "snappy"), ("step:500ms", "none")] {
        let extract = |out| {
            let args = ["extract", "--input", "x.gz", "--emit", emit, "--out", out];
            let more = ["--compression", compression, "--json", "--overwrite"];
            featureplane(folder.path(), &[&args[..], &more].concat())
        };
        let said = extract("x.parquet");
        assert_eq!((said.code, said.stderr.as_str()), (0, ""));
        let summary = &said.json()[0];
        let path = folder.path().join("x.parquet");
        let rows = summary["rows"].as_u64().unwrap();
        assert!(rows > 20);
        assert_eq!(rows, footer_rows(&path), "{emit}");
        assert_eq!(summary["output_bytes"], path.metadata().unwrap().len());
        assert_eq!(
            (&summary["symbol"], &summary["output"]),
            (&"BTCUSDT".into(), &"x.parquet".into())
        );
        assert_eq!(summary["feature_set_id"], "core_v1");
        if emit == "packet" {
            assert_eq!(summary["rows"], summary["frames"]);
        }
        assert_eq!(extract("x.csv").json()[0]["rows"], rows);
        let text = std::fs::read_to_string(folder.path().join("x.csv")).unwrap();
        assert_eq!(text.lines().count() as u64, rows + 1);
    }
    assert_eq!(names(folder.path()), ["x.csv", "x.gz", "x.parquet"]);
}

#[test]
fn bars_are_files_beside_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let args = "extract --input x.gz --emit step:1s --bars 1s,250ms --out x.parquet --json";
    let said = featureplane(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let want = ["x.bars-1s.parquet", "x.bars-250ms.parquet", "x.gz", "x.parquet"];
    assert_eq!(names(folder.path()), want);
    for (bars, name) in said.json()[0]["bars"].as_array().unwrap().iter().zip(want) {
        assert_eq!(bars["output"], name);
        assert_eq!(bars["bars"], footer_rows(&folder.path().join(name)));
    }
    let args = "extract --input x.gz --bars 1s --empty-bars --bars-out {bar}.csv --out y.csv";
    let said = featureplane(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("bars of 1s -> 1s.csv"), "{said:?}");
    let alone = ["extract", "--input", "x.gz", "--out", "z.csv", "--empty-bars"];
    let said = featureplane(folder.path(), &alone);
    assert!(said.code != 0 && said.stderr.contains("--bars"), "{said:?}");
}

#[test]
fn a_warm_start_takes_the_newest_snapshot_and_says_which_were_refused() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let run = |args: &str| {
        let said = featureplane(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
        assert_eq!(said.code, 0, "{said:?}");
        said
    };
    run("extract --input x.gz --out full.csv --snapshot-every 1s --snapshots states");
    let states = names(&folder.path().join("states"));
    let clock = |state: &String| state.split(['.', '-']).nth(1).unwrap().parse::<i64>().unwrap();
    let from_ns = clock(&states[2]) + 1;
    std::fs::write(folder.path().join("states").join(&states[2]), "torn").unwrap();
    run(&format!("extract --input x.gz --out cold.csv --from {from_ns}"));
    let said =
        run(&format!("extract --input x.gz --out warm.csv --from {from_ns} --warm-start states"));
    assert!(said.stdout.contains(&format!("from states/{} after", states[1])), "{said:?}");
    assert!(said.stderr.contains(&states[2]) && said.stderr.contains("checksum"), "{said:?}");
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text("warm.csv"), text("cold.csv"));
    assert!(text("full.csv").ends_with(text("cold.csv").split_once('\n').unwrap().1));
    let alone = ["extract", "--input", "x.gz", "--out", "y.csv", "--warm-start", "states"];
    let said = featureplane(folder.path(), &alone);
    assert!(said.code != 0 && said.stderr.contains("--from"), "{said:?}");
}

#[test]
fn the_file_carries_the_command_that_made_it() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let args = ["extract", "--input", "x.gz", "--out", "x.parquet"];
    assert_eq!(featureplane(folder.path(), &args).code, 0);
    let bytes = std::fs::read(folder.path().join("x.parquet")).unwrap();
    let command = b"featureplane extract --input x.gz --out x.parquet";
    assert!(bytes.windows(command.len()).any(|window| window == command));
}

#[test]
fn several_symbols_go_to_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let config = SyntheticConfig { symbol: symbol.into(), ..market() };
        let path = recording(folder.path(), symbol, &config);
        let named = format!("\"symbol\":\"{symbol}\",\"bids\"");
        let text = std::fs::read_to_string(&path).unwrap();
        lines.extend(text.lines().map(|line| line.replace("\"bids\"", &named) + "\n"));
        std::fs::remove_file(path).unwrap();
    }
    lines.sort();
    std::fs::write(folder.path().join("both.txt"), lines.concat()).unwrap();
    let args = "extract --input both.txt --symbol BTCUSDT --symbol ETHUSDT --jobs 2 \
                --out {symbol}.csv --json";
    let said = featureplane(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    assert_eq!(said.code, 0, "{said:?}");
    let symbols: Vec<_> =
        said.json().as_array().unwrap().iter().map(|s| s["symbol"].clone()).collect();
    assert_eq!(symbols, ["BTCUSDT", "ETHUSDT"]);
    assert_eq!(names(folder.path()), ["BTCUSDT.csv", "ETHUSDT.csv", "both.txt"]);
}

#[test]
fn sets_lists_sets_and_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let said = featureplane(folder.path(), args);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{args:?}");
        said
    };
    let list = run(&["sets", "--json"]).json();
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|set| set["id"].as_str()).collect();
    assert_eq!(ids[..2], [Some("core_v1"), Some("lob_shared_v1")]);
    let text = run(&["sets"]).stdout;
    for set in list.as_array().unwrap() {
        let id = set["id"].as_str().unwrap();
        let one = run(&["sets", id, "--json"]).json();
        let features = one["features"].as_array().unwrap();
        assert_eq!(set["features"], features.len());
        assert_eq!((&one["id"], &one["schema_hash"]), (&set["id"], &set["schema_hash"]));
        assert!(text.contains(id) && text.contains(set["schema_hash"].as_str().unwrap()));
        let table = run(&["sets", id]).stdout;
        assert_eq!(table.lines().count(), features.len() + 2, "a title and a head");
        for (line, feature) in table.lines().skip(2).zip(features) {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words[1], feature["name"].as_str().unwrap());
            assert_eq!(words[3], feature["dtype"].as_str().unwrap());
        }
    }
}

#[test]
fn features_lists_what_sets_can_name() {
    let folder = tempfile::tempdir().unwrap();
    let said = featureplane(folder.path(), &["features", "--json"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let list = said.json();
    let columns: Vec<(&Value, &Value)> =
        list.as_array().unwrap().iter().map(|c| (&c["family"], &c["column"])).collect();
    for column in list.as_array().unwrap() {
        for key in ["family", "column", "dtype", "scale", "unit", "reads", "description", "source"]
        {
            assert!(!column[key].as_str().unwrap().is_empty(), "{key} of {column}");
        }
        assert!(column["rev"].as_u64().unwrap() >= 1 && column["params"].is_array(), "{column}");
    }
    let set = featureplane(folder.path(), &["sets", "core_v1", "--json"]).json();
    for feature in set["features"].as_array().unwrap() {
        assert!(columns.contains(&(&feature["family"], &feature["column"])), "{feature}");
    }
    let table = featureplane(folder.path(), &["features"]).stdout;
    assert_eq!(table.lines().count(), columns.len() + 1);
}

#[test]
fn inspect_finds_gaps_crossed_time_and_sizes() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let said = featureplane(folder.path(), &["inspect", "x.gz", "--json"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let found = said.json();
    assert_eq!(found["symbol"], "BTCUSDT");
    assert_eq!((&found["tick_size"], &found["lot_size"]), (&"0.1".into(), &"0.001".into()));
    assert_eq!((&found["gaps"], &found["rejected"]), (&1.into(), &0.into()));
    let crossed_ns = found["crossed_ns"].as_i64().unwrap();
    assert!((1..1_000_000_000).contains(&crossed_ns), "{crossed_ns}");
    assert_eq!(found["quality"]["GAP_DETECTED"], 1);
    assert_eq!(found["quality"]["DUPLICATE_INPUT"], 2);
    assert!(found["trades"].as_u64().unwrap() > 20);
    let span = found["span_ns"].as_array().unwrap();
    let start = market().start_ns;
    assert!(span[0].as_i64().unwrap() >= start);
    assert!(span[1].as_i64().unwrap() <= start + market().duration_ns);
    let text = featureplane(folder.path(), &["inspect", "x.gz"]).stdout;
    for (label, value) in [("symbol", "BTCUSDT"), ("tick size", "0.1"), ("gaps", "1")] {
        let line = text.lines().find(|line| line.starts_with(label)).unwrap();
        assert!(line.ends_with(&format!(" {value}")), "{line}");
    }
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: the path reference, since python3 is absent");
    }
    found
}

#[test]
fn parity_passes_on_good_input_and_writes_its_report() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let paths = if has_python() { "kernel,batch,reference" } else { "kernel,batch" };
    let args = ["parity", "run", "--input", "x.gz", "--paths", paths];
    let more = ["--python", "python3", "--report", "report.html", "--json"];
    let said = featureplane(folder.path(), &[&args[..], &more].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let gate = said.json();
    let cases = gate["cases"].as_array().unwrap();
    let sets: Vec<_> = cases.iter().map(|case| case["feature_set_id"].as_str().unwrap()).collect();
    assert_eq!(sets, ["core_v1", "lob_shared_v1"]);
    let expected: Vec<_> = paths.split(',').collect();
    for case in cases {
        assert!(case["frames"].as_u64().unwrap() > 100);
        let comparisons = case["comparisons"].as_array().unwrap();
        let found: Vec<_> = comparisons.iter().map(|c| c["path"].as_str().unwrap()).collect();
        assert_eq!(found, expected);
        for comparison in comparisons {
            assert_eq!(comparison["differing_bits"], 0, "{comparison}");
            assert_eq!(comparison["frames"], case["frames"], "{comparison}");
        }
    }
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.trim_start().to_ascii_lowercase().starts_with("<!doctype html>"));
    assert!(page.contains("core_v1") && page.contains("lob_shared_v1") && page.contains("batch"));
    assert_eq!(names(folder.path()), ["report.html", "x.gz"]);
}

#[test]
fn parity_takes_synthetic_markets_until_they_held_enough_events() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["parity", "run", "--paths", "kernel", "--set", "lob_shared_v1", "--json"];
    let more = ["--synthetic-events", "1000000", "--seed", "5"];
    let said = featureplane(folder.path(), &[&args[..], &more].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let gate = said.json();
    let cases = gate["cases"].as_array().unwrap();
    let tapes: Vec<_> = cases.iter().map(|case| case["tape"].as_str().unwrap()).collect();
    assert_eq!(tapes, ["synthetic seed 5", "synthetic seed 6"]);
    let events: u64 = cases.iter().map(|case| case["events"].as_u64().unwrap()).sum();
    assert!(events >= 1_000_000, "{events}");
    assert!(cases.iter().all(|case| case["comparisons"][0]["differing_bits"] == 0));
    let both = featureplane(folder.path(), &[&args[..], &more, &["--input", "x.gz"][..]].concat());
    assert_eq!(both.code, 2, "{both:?}");
    let none = featureplane(folder.path(), &["parity", "run", "--paths", "kernel"]);
    assert_eq!(none.code, 2, "{none:?}");
}

#[test]
fn parity_refuses_what_it_cannot_compare() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let run = |more: &[&str]| {
        let args = ["parity", "run", "--input", "x.gz"];
        featureplane(folder.path(), &[&args[..], more].concat())
    };
    let said = run(&["--paths", "kernel,magic"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("--paths: `magic` is none of kernel, batch"), "{said:?}");
    let said = run(&["--paths", "kernel", "--limit", "0"]);
    assert_ne!(said.code, 0, "a gate that compared nothing must not pass: {said:?}");
    let said = run(&["--paths", "reference", "--python", "no-such-python"]);
    assert_ne!(said.code, 0, "a path that did not run must not pass: {said:?}");
    assert!(said.stderr.contains("no-such-python"), "{said:?}");
}

#[test]
fn the_demo_works_in_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["demo", "--minutes", "1", "--python", "python3"];
    let said = featureplane(folder.path(), &args);
    assert_eq!(said.code, 0, "{said:?}");
    let out = folder.path().join("demo-out");
    assert_eq!(names(&out), ["features.parquet", "market.binance.gz", "report.html"]);
    let rows = said.stdout.lines().find_map(|line| line.strip_prefix("rows written")).unwrap();
    let rows: u64 = rows.trim().replace(',', "").parse().unwrap();
    assert_eq!(rows, footer_rows(&out.join("features.parquet")));
    let parity = said.stdout.lines().find(|line| line.starts_with("parity")).unwrap();
    assert!(parity.ends_with(" paths, 0 differing bits"), "{parity}");
    let before = std::fs::read(out.join("features.parquet")).unwrap();
    assert_eq!(featureplane(folder.path(), &args).code, 0, "a second time");
    assert_eq!(std::fs::read(out.join("features.parquet")).unwrap(), before);
}

/// Waits until something is true; what it is appears in the failure.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn interrupt(id: u32) {
    let status = Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Starts a command, interrupts it when `is_busy`, and gives its exit code and the time it took to end.
fn interrupted(
    folder: &Path,
    args: &[&str],
    is_busy: impl Fn() -> bool,
) -> (Option<i32>, Duration) {
    let mut child =
        command::command(folder, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the command is at work", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        is_busy()
    });
    interrupt(child.id());
    let started = Instant::now();
    let mut status = None;
    wait_for("the command ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    (status.unwrap().code(), started.elapsed())
}

const SOON: Duration = Duration::from_secs(1);

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_long_extract_at_once_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { duration_ns: 60_000_000_000, ..market() };
    recording(folder.path(), "x.txt", &config);
    let inputs = ["x.txt"; 400];
    for (out, partial) in [("y.parquet", ".y.parquet"), ("y.csv", ".y.csv")] {
        let args = [&["extract", "--out", out, "--input"][..], &inputs].concat();
        let is_writing = || {
            let started = |name: &String| name.starts_with(partial);
            names(folder.path()).iter().any(started)
        };
        let (code, took) = interrupted(folder.path(), &args, is_writing);
        assert_eq!(code, Some(130));
        assert!(took < SOON, "{took:?}");
        assert_eq!(names(folder.path()), ["x.txt"]);
    }
}

/// After its extraction the demo has no job that could be asked to stop.
#[test]
#[cfg(unix)]
fn ctrl_c_ends_the_demo_while_it_proves_parity() {
    let folder = tempfile::tempdir().unwrap();
    let features = folder.path().join("demo-out/features.parquet");
    let is_proving = || features.exists();
    let args = ["demo", "--minutes", "5", "--python", "no-such-python"];
    let (code, took) = interrupted(folder.path(), &args, is_proving);
    assert!(code != Some(0) && took < SOON, "{code:?} {took:?}");
    assert!(!folder.path().join("demo-out/report.html").exists());
}

#[test]
fn a_recording_becomes_an_array_or_a_log_with_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let run = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        featureplane(folder.path(), &args)
    };
    let said = run("convert --to hftbacktest --input x.gz --out x.npz --book-out book.npz --json");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let summary = said.json();
    let sizes: Vec<_> = ["x.npz", "book.npz"]
        .iter()
        .map(|name| serde_json::json!([name, folder.path().join(name).metadata().unwrap().len()]))
        .collect();
    assert_eq!(summary["outputs"], Value::from(sizes));
    assert!(summary["rows"].as_u64() >= summary["local_rows"].as_u64());
    let said = run("convert --to events --input x.gz --out x.ndjson");
    assert!(said.code == 0 && said.stdout.contains("x.ndjson ("), "{said:?}");
    let rows = |input: &str, more: &str| {
        let said = run(&format!("extract --input {input} --out {input}.csv --json{more}"));
        assert_eq!(said.code, 0, "{said:?}");
        let text = std::fs::read_to_string(folder.path().join(format!("{input}.csv"))).unwrap();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let sized = " --symbol BTCUSDT --tick-size 0.1 --lot-size 0.001";
    let want = rows("x.gz", "");
    assert_eq!(rows("x.ndjson", ""), want);
    assert_eq!(rows("x.npz", sized), want);
    for (args, part) in [
        ("--to hftbacktest --input x.gz --out x.npz", "exists already"),
        ("--to hftbacktest --input x.gz --out x.npy", "must end in .npz"),
        ("--to hftbacktest --input x.gz --out y.npz --local-offset soon", "`soon` is neither"),
        ("--to hftbacktest --input x.gz --out y.npz --local-offset -9000000000", "--local-offset"),
        ("--to events --input x.gz --out y.ndjson --stored", "--stored belongs to"),
        ("--to parquet --input x.gz --out y", "invalid value 'parquet'"),
        ("--to events --input x.gz --symbol A --symbol B --out y", "holds one"),
    ] {
        let said = run(&format!("convert {args}"));
        assert!(said.code == 2 && said.stderr.contains(part), "{args}: {said:?}");
    }
    let wanted = ["book.npz", "x.gz", "x.gz.csv", "x.ndjson", "x.ndjson.csv", "x.npz", "x.npz.csv"];
    assert_eq!(names(folder.path()), wanted);
}
