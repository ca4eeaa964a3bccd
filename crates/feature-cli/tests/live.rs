//! `featureplane live` over recordings.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use command::{command, featureplane, market, names, recording};
use feature_live::fetch;
use feature_runtime::{Latest, LatestReader, built_in_set};
use serde_json::Value;

#[test]
fn a_replay_runs_to_its_end_and_leaves_the_latest_frame() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let table = ["extract", "--input", "x.gz", "--out", "x.csv", "--json"];
    let rows = featureplane(folder.path(), &table).json()[0]["rows"].as_u64().unwrap();
    let args = [
        "live",
        "--feed",
        "replay:x.gz",
        "--latest",
        "latest.fp",
        "--paper",
        "l1_imbalance:0.5",
        "--shadow",
        "naive",
        "--check-every",
        "50",
        "--json",
    ];
    let said = featureplane(folder.path(), &args);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    let summary = said.json();
    assert_eq!(summary["symbols"][0]["frames"], rows);
    assert!(summary["symbols"][0]["quality"]["GAP_DETECTED"].as_u64().unwrap() > 0);
    assert!(summary["to_frame_ns"]["p99"].as_u64() >= summary["to_frame_ns"]["p50"].as_u64());
    assert_eq!(summary["shadow"]["frames"], rows);
    assert_eq!(summary["shadow"]["mismatched_frames"], 0);
    assert_eq!(summary["shadow"]["first"], Value::Null);
    assert!(summary["paper"][0]["trades"].as_u64().unwrap() > 0);
    let set = built_in_set("core_v1").unwrap();
    let reader = LatestReader::open(&folder.path().join("latest.fp"), set.schema_hash()).unwrap();
    let mut latest = Latest::default();
    assert!(reader.is_closed() && reader.read(0, &mut latest).unwrap());
    assert_eq!(latest.published(), rows);
    let people =
        featureplane(folder.path(), &["live", "--feed", "replay:x.gz", "--shadow", "runtime"]);
    assert!(people.stdout.contains("0 differ"), "{people:?}");
    assert_eq!(names(folder.path()), ["latest.fp", "x.csv", "x.gz"]);
}

#[test]
fn a_run_shows_itself_on_its_page() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ops/canary.toml");
    let args = [
        "live",
        "--feed",
        "replay:x.gz",
        "--pace",
        "0.5x",
        "--shadow",
        "runtime",
        "--metrics",
        "127.0.0.1:0",
        "--policy",
        policy,
        "--state",
        "rollout.json",
    ];
    let mut live = command(folder.path(), &args).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(live.stderr.take().unwrap());
    let mut lines = said.lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("page at ")).unwrap();
    let url = line.trim_start_matches("page at ");
    assert!(fetch(url).unwrap().starts_with("<!doctype html>"));
    let started = Instant::now();
    let state = loop {
        let text = fetch(&format!("{url}state.json")).unwrap();
        let state: Value = serde_json::from_str(&text).unwrap();
        if state["symbols"][0]["frame"].is_object() {
            break state;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{state}");
        std::thread::sleep(Duration::from_millis(20));
    };
    live.kill().unwrap();
    live.wait().unwrap();
    assert_eq!((&state["feed"], &state["feature_set"]), (&"replay:x.gz".into(), &"core_v1".into()));
    assert!(state["symbols"][0]["frame"]["values"][0].is_string(), "{state}");
    assert_eq!(state["canary"]["evaluation"]["verdict"], "hold");
    assert_eq!(state["canary"]["rollout"]["stage"], "shadow");
    assert_eq!(state["shadow"]["twin"], "runtime");
    assert_eq!(names(folder.path()), ["x.gz"], "a page writes nothing");
}

#[test]
fn what_does_not_fit_is_refused_before_the_first_packet() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    std::fs::write(folder.path().join("p.toml"), "promote_after = 0\n").unwrap();
    for (more, reason) in [
        (&["--paper", "no_such:0.5"][..], "lacks `no_such`"),
        (&["--paper", "l1_imbalance"], "FEATURE:THRESHOLD"),
        (&["--paper", "l1_imbalance:-1"], "positive"),
        (&["--ring", "1000"], "power of two"),
        (&["--pace", "0x"], "--pace"),
        (&["--policy", "p.toml"], "--metrics"),
        (&["--metrics", "127.0.0.1:0", "--policy", "p.toml"], "--policy: policy, "),
        (&["--set", "no_such"], "no_such"),
        (&["--shadow", "runtime", "--check-every", "0"], "expected 1 or more"),
    ] {
        let args = [&["live", "--feed", "replay:x.gz"][..], more].concat();
        let said = featureplane(folder.path(), &args);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{more:?}: {said:?}");
        assert!(said.stderr.contains(reason), "{more:?}: {said:?}");
    }
    let said = featureplane(folder.path(), &["live", "--feed", "x.gz"]);
    assert_eq!(said.code, 2, "{said:?}");
    let said = featureplane(folder.path(), &["live", "--feed", "replay:absent.gz"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("absent.gz"), "{said:?}");
    assert_eq!(names(folder.path()), ["p.toml", "x.gz"]);
}
