//! Metrics of a running command, and what `canary` and `rollout` make of them.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use command::{command, featureplane, market, recording};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ops/canary.toml");

/// Scrapes of a healthy process, one after the other.
fn scrapes() -> String {
    let scrape = |n: u64| {
        format!(
            "featureplane_shadow_frames_total {n}\nfeatureplane_shadow_mismatched_frames_total 0\n\
             featureplane_packets_by_fate_total{{symbol=\"A\",fate=\"duplicate_conflicts\"}} 0\n\
             featureplane_packets_dropped_total{{symbol=\"A\"}} 0\n\
             featureplane_frames_total{{symbol=\"A\"}} {n}\n\
             featureplane_packet_to_frame_seconds_bucket{{le=\"0.0001\"}} {n}\n\
             featureplane_packet_to_frame_seconds_bucket{{le=\"+Inf\"}} {n}\n\
             featureplane_ring_packets 0\nfeatureplane_frame_age_seconds{{symbol=\"A\"}} 0.1\n# EOF\n"
        )
    };
    scrape(10) + &scrape(5_000)
}

#[test]
fn a_rollout_goes_from_shadow_to_full_and_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.txt"), scrapes()).unwrap();
    let bad = scrapes().replacen("mismatched_frames_total 0\nfeatureplane_packets_by_fate_total{symbol=\"A\",fate=\"duplicate_conflicts\"} 0\nfeatureplane_packets_dropped_total{symbol=\"A\"} 0\nfeatureplane_frames_total{symbol=\"A\"} 5000", "mismatched_frames_total 2\nfeatureplane_packets_by_fate_total{symbol=\"A\",fate=\"duplicate_conflicts\"} 0\nfeatureplane_packets_dropped_total{symbol=\"A\"} 0\nfeatureplane_frames_total{symbol=\"A\"} 5000", 1);
    std::fs::write(folder.path().join("bad.txt"), bad).unwrap();
    let files = ["--state", "rollout.json", "--audit", "audit.ndjson"];
    let evaluate = |metrics: &str, more: &[&str]| {
        let args = ["canary", "evaluate", "--metrics", metrics, "--policy", POLICY, "--json"];
        featureplane(folder.path(), &[&args[..], &files, more].concat())
    };
    for (code, stage) in
        [(1, "shadow"), (1, "shadow"), (0, "canary"), (1, "canary"), (1, "canary"), (0, "full")]
    {
        let said = evaluate("good.txt", &["--apply"]);
        assert_eq!(said.code, code, "{said:?}");
        assert_eq!(said.json()["rollout"]["stage"], stage);
    }
    let said = evaluate("bad.txt", &[]);
    assert_eq!((said.code, said.json()["rollout"]["stage"].as_str()), (2, Some("full")));
    assert!(
        said.json()["evaluation"]["reason"].as_str().unwrap().starts_with("parity: 2 is above 0")
    );
    assert_eq!(evaluate("bad.txt", &["--apply"]).json()["rollout"]["stage"], "rolled_back");
    let status =
        featureplane(folder.path(), &[&["rollout", "status", "--json"][..], &files].concat());
    assert_eq!(status.json()["rollout"]["version"], 8);
    assert_eq!(status.json()["audit_entries"], 8);

    let set = |expect: &str| {
        let args = ["rollout", "set", "--stage", "shadow", "--expect", expect, "--reason", "again"];
        featureplane(folder.path(), &[&args[..], &files].concat())
    };
    let stale = set("7");
    assert_eq!(stale.code, 3, "{stale:?}");
    assert!(stale.stderr.contains("at version 8, not 7"), "{stale:?}");
    assert_eq!(set("8").code, 0);
    let args = [&["rollout", "rollback", "--reason", "drill"][..], &files].concat();
    let back = featureplane(folder.path(), &args);
    assert!(back.code == 0 && back.stdout.contains("RolledBack, version 10: drill"), "{back:?}");

    let log = folder.path().join("audit.ndjson");
    let edited = std::fs::read_to_string(&log).unwrap().replacen("promote", "hold", 1);
    std::fs::write(&log, edited).unwrap();
    let status = featureplane(folder.path(), &[&["rollout", "status"][..], &files].concat());
    assert!(status.code == 3 && status.stderr.contains("the log was changed"), "{status:?}");
}

#[test]
fn what_prevents_a_verdict_is_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.txt"), "x one\n").unwrap();
    for (metrics, policy, reason) in [
        ("m.txt", POLICY, "line 1"),
        ("absent.txt", POLICY, "absent.txt"),
        ("m.txt", "absent.toml", "absent.toml"),
        ("http://127.0.0.1:1/metrics", POLICY, "127.0.0.1:1"),
    ] {
        let args = ["canary", "evaluate", "--metrics", metrics, "--policy", policy];
        let said = featureplane(folder.path(), &args);
        assert_eq!((said.code, said.stdout.as_str()), (3, ""), "{said:?}");
        assert!(said.stderr.contains(reason), "{said:?}");
    }
    let said = featureplane(folder.path(), &["canary", "evaluate", "--no-such-option"]);
    assert_eq!(said.code, 3, "2 would be a verdict: {said:?}");
}

#[test]
fn a_running_command_is_scraped_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "x.gz", &market());
    let args = [
        "live",
        "--feed",
        "replay:x.gz",
        "--pace",
        "4x",
        "--shadow",
        "naive",
        "--metrics",
        "127.0.0.1:0",
        "--check-every",
        "10",
        "--json",
    ];
    let mut live = command(folder.path(), &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(live.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("metrics at ").unwrap();
    let args = [
        "canary",
        "evaluate",
        "--metrics",
        url,
        "--policy",
        POLICY,
        "--scrapes",
        "3",
        "--every",
        "700ms",
        "--json",
    ];
    let said = featureplane(folder.path(), &args);
    assert_eq!(said.code, 1, "too few frames to promote: {said:?}");
    let findings = said.json()["evaluation"]["findings"].clone();
    let outcome = |rule: &str| {
        let all = findings.as_array().unwrap();
        all.iter().find(|finding| finding["rule"] == rule).unwrap()["outcome"].clone()
    };
    assert_eq!(outcome("parity"), "too_few", "{findings}");
    assert_eq!(outcome("dropped packets"), "pass", "{findings}");
    let rest = live.wait_with_output().unwrap();
    assert!(rest.status.success());
    let summary: serde_json::Value = serde_json::from_slice(&rest.stdout).unwrap();
    assert_eq!(summary["shadow"]["mismatched_frames"], 0);
}
