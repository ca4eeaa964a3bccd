//! `featureplane live` connected to `featureplane replay-server`: two processes and real sockets.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use command::{Said, command, featureplane, recording};
use feature_runtime::{FeatureEngine, Latest, LatestReader, built_in_set};
use market_io::synthetic::SyntheticConfig;
use market_io::{OpenOptions, open};
use market_model::Packet;
use serde_json::Value;

/// A market of this moment, so that nothing of it is stale.
fn market_of_now() -> SyntheticConfig {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    SyntheticConfig {
        seed: 3,
        start_ns: (i64::try_from(now).unwrap() - 3_000) * 1_000_000,
        duration_ns: 5_000_000_000,
        packets_per_second: 50,
        events_per_packet: 20,
        levels: 50,
        ..SyntheticConfig::default()
    }
}

/// A server and its address.
fn server(folder: &Path, more: &[&str]) -> (Child, String) {
    let args = ["replay-server", "--venue", "binance-usdm", "--input", "venue.gz", "--pace", "max"];
    let args = [&args[..], &["--json"], more].concat();
    let mut child = command(folder, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    child.stderr = Some(stderr.into_inner());
    let endpoint = line.trim().strip_prefix("binance-usdm at ").expect("an address").to_owned();
    (child, endpoint)
}

/// Ctrl-C, and what the server then says.
fn ended(mut child: Child) -> Value {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    serde_json::from_str(&text).unwrap()
}

fn live(folder: &Path, endpoint: &str) -> Said {
    let args = ["live", "--feed", "binance-usdm:BTCUSDT", "--endpoint", endpoint];
    let out = ["--record", "rec.gz", "--latest", "latest.fp", "--duration", "4s", "--json"];
    let paper = ["--paper", "l1_imbalance:0.5", "--shadow", "runtime"];
    featureplane(folder, &[&args[..], &out, &paper].concat())
}

/// Frames of a recording, and the words of the last one.
fn frames(path: &Path) -> (u64, Vec<u64>) {
    let options = OpenOptions { inputs: vec![path.into()], ..OpenOptions::default() };
    let mut source = open(&options).unwrap();
    let mut engine = FeatureEngine::new(built_in_set("core_v1").unwrap());
    engine.add_symbol(source.instrument().clone()).unwrap();
    let (mut packet, mut count, mut last) = (Packet::default(), 0, Vec::new());
    while source.next_packet(&mut packet).unwrap() {
        if let Some(frame) = engine.process(&packet).unwrap() {
            count += 1;
            last = frame.words().to_vec();
        }
    }
    (count, last)
}

/// The latest frame that the run left is the last one of its recording, and as many were published.
fn assert_recording_is_the_run(folder: &Path, summary: &Value) {
    let (count, last) = frames(&folder.join("rec.gz"));
    assert_eq!(summary["symbols"][0]["frames"], count);
    let hash = built_in_set("core_v1").unwrap().schema_hash();
    let reader = LatestReader::open(&folder.join("latest.fp"), hash).unwrap();
    let mut latest = Latest::default();
    assert!(reader.read(0, &mut latest).unwrap());
    assert_eq!(latest.published(), count);
    assert_eq!(latest.frame().words(), last);
    assert_eq!(summary["shadow"]["mismatched_frames"], 0);
}

#[test]
fn a_strategy_trades_on_paper_at_a_venue_and_the_recording_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "venue.gz", &market_of_now());
    let (server, endpoint) = server(folder.path(), &[]);
    let said = live(folder.path(), &endpoint);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("BTCUSDT: connected"), "{said:?}");
    let served = ended(server);
    assert_eq!((&served["connections"], &served["finished"]), (&1.into(), &true.into()));
    let summary = said.json();
    assert_recording_is_the_run(folder.path(), &summary);
    assert_eq!(summary["symbols"][0]["quality"], serde_json::json!({}), "{summary}");
    let truth = frames(&folder.path().join("venue.gz")).0;
    assert_eq!(summary["symbols"][0]["frames"], truth, "{summary}");
    assert!(summary["paper"][0]["trades"].as_u64().unwrap() > 0);
    assert_eq!(summary["connections"][0]["snapshots_asked"], 1);
    let table = ["extract", "--input", "rec.gz", "--out", "rec.csv", "--json"];
    let table = featureplane(folder.path(), &table);
    assert_eq!(table.code, 0, "{table:?}");
    assert_eq!(table.json()[0]["rows"], summary["symbols"][0]["frames"]);
}

#[test]
fn faults_are_flagged_counted_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "venue.gz", &market_of_now());
    let faults = ["--fault", "disconnect@60", "--fault", "drop:0.02", "--slow", "1ms"];
    let (server, endpoint) = server(folder.path(), &faults);
    let said = live(folder.path(), &endpoint);
    assert_eq!(said.code, 0, "{said:?}");
    let served = ended(server);
    assert_eq!(served["faults"]["disconnect"], 1);
    let summary = said.json();
    assert_recording_is_the_run(folder.path(), &summary);
    let quality = &summary["symbols"][0]["quality"];
    for flag in ["GAP_DETECTED", "REJECTED_INPUT", "STATE_RESET"] {
        assert!(quality[flag].as_u64().is_some_and(|count| count > 0), "{flag}: {summary}");
    }
    let connection = &summary["connections"][0];
    assert_eq!(connection["connections"], served["connections"]);
    assert!(connection["snapshots_asked"].as_u64().unwrap() > 1, "{summary}");
    assert!(said.stderr.contains("BTCUSDT: lost: "), "{said:?}");
    let table = featureplane(folder.path(), &["extract", "--input", "rec.gz", "--out", "rec.csv"]);
    assert_eq!(table.code, 4, "refused lines, and every row is there: {table:?}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_connected() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "venue.gz", &market_of_now());
    std::fs::write(folder.path().join("there.gz"), "x").unwrap();
    let sizes = ["--tick-size", "0.1", "--lot-size", "0.001"];
    let usdm = ["live", "--feed", "binance-usdm:BTCUSDT"];
    for (args, code, reason) in [
        ([&usdm[..], &["--endpoint", "ws://127.0.0.1:9"]].concat(), 3, "of BTCUSDT"),
        ([&usdm[..], &["--endpoint", "ws://"]].concat(), 2, "ws://HOST:PORT"),
        ([&usdm[..], &sizes, &["--endpoint", "http://x"]].concat(), 2, "ws://HOST:PORT"),
        ([&usdm[..], &sizes, &["--silence", "0s"]].concat(), 2, "--silence"),
        ([&usdm[..], &sizes, &["--record", "there.gz"]].concat(), 2, "there.gz"),
        (vec!["live", "--feed", "nowhere:X"], 2, "binance-usdm"),
        (vec!["live", "--feed", "okx:"], 2, "VENUE:SYMBOL"),
        (vec!["live", "--feed", "replay:venue.gz", "--record", "y"], 2, "--record"),
        (vec!["replay-server", "--venue", "x", "--input", "venue.gz"], 2, "kraken"),
        (vec!["replay-server", "--venue", "okx", "--input", "absent"], 3, "absent"),
        (
            vec!["replay-server", "--venue", "okx", "--input", "venue.gz", "--fault", "lose:1"],
            2,
            "KIND:PROBABILITY",
        ),
    ] {
        let said = featureplane(folder.path(), &args);
        assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{args:?}: {said:?}");
        assert!(said.stderr.contains(reason), "{args:?}: {said:?}");
    }
    let several = ["live", "--feed", "okx:A-B,C-D", "--record", "one.gz"];
    let said = featureplane(folder.path(), &[&several[..], &sizes].concat());
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("{symbol}"), "{said:?}");
}
