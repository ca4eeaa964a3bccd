//! The runbook is true: its commands run, and every alert leads to a part of it.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command::{command, featureplane, market, recording};
use market_io::synthetic::SyntheticConfig;
use testkit::tool;

fn ops(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(ops(name)).unwrap()
}

/// Scrapes of a process that has seen few frames.
const METRICS: &str = "featureplane_shadow_frames_total 10\n# EOF\n";

#[test]
fn every_command_of_the_runbook_runs_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "incident.gz", &market());
    std::fs::write(folder.path().join("metrics.txt"), METRICS).unwrap();
    std::fs::create_dir_all(folder.path().join("docs/ops")).unwrap();
    std::fs::copy(ops("canary.toml"), folder.path().join("docs/ops/canary.toml")).unwrap();
    let runbook = text("runbook.md");
    let blocks = runbook.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for line in blocks.flat_map(str::lines) {
        let (line, exit) = line.split_once(" # exit ").unwrap_or((line, "0"));
        // Words in quotes are one argument.
        let words = line.split('"').enumerate().flat_map(|(index, part)| {
            if index % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
        });
        let words: Vec<&str> = words.collect();
        assert_eq!(words[0], "featureplane", "{line}");
        let said = featureplane(folder.path(), &words[1..]);
        assert_eq!(said.code.to_string(), exit, "{line}: {said:?}");
        count += 1;
    }
    assert!(count >= 15, "{count} commands");
    // Inside a sentence a command would be tried by nobody.
    let prose = runbook.split("```").step_by(2);
    let told = prose
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .find(|code| code.contains("featureplane "));
    assert_eq!(told, None);
}

#[test]
fn every_alert_leads_to_a_part_of_the_runbook() {
    let runbook = text("runbook.md");
    let heads: Vec<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|head| head.to_lowercase().replace(' ', "-"))
        .collect();
    let alerts = text("alerts.yml");
    let links: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook: \"docs/ops/runbook.md#"))
        .map(|rest| rest.trim_end_matches('"'))
        .collect();
    assert_eq!(links.len(), alerts.matches("- alert: ").count());
    for link in links {
        assert!(heads.iter().any(|head| head == link), "no `{link}` in {heads:?}");
    }
    let tested = text("alerts_test.yml");
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("{{alertname=\"{name}\"}}");
        assert!(tested.contains(&fires), "{name} is fired by no test");
    }
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let Some(promtool) = tool("PROMTOOL", "promtool") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |alerts: &str| {
        std::fs::write(folder.path().join("alerts.yml"), alerts).unwrap();
        std::fs::copy(ops("alerts_test.yml"), folder.path().join("alerts_test.yml")).unwrap();
        let mut tool = Command::new(&promtool);
        tool.current_dir(folder.path()).args(["test", "rules", "alerts_test.yml"]);
        tool.output().unwrap().status.success()
    };
    let good = text("alerts.yml");
    assert!(run(&good));
    for (from, to) in [
        ("mismatched_frames_total[5m]) > 0", "mismatched_frames_total[5m]) > 10"),
        ("flag=\"GAP_DETECTED\"", "flag=\"LOCKED_BOOK\""),
        ("age_seconds > 10", "age_seconds > 0.1"),
    ] {
        assert!(good.contains(from));
        assert!(!run(&good.replace(from, to)), "planted: {from} -> {to}");
    }
}

#[test]
fn every_expression_of_the_dashboard_is_one() {
    let dashboard: serde_json::Value = serde_json::from_str(&text("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let expressions: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(panels.len() >= 10 && expressions.len() > panels.len());
    assert!(expressions.iter().all(|text| text.contains("featureplane_")));
    let Some(promtool) = tool("PROMTOOL", "promtool") else { return };
    let folder = tempfile::tempdir().unwrap();
    let parses = |expressions: &[&str]| {
        let rules = expressions.iter().enumerate().map(|(number, text)| {
            serde_json::json!({ "record": format!("expression_{number}"), "expr": text })
        });
        let rules: Vec<_> = rules.collect();
        // Every JSON text is a YAML text.
        let file = serde_json::json!({ "groups": [{ "name": "all", "rules": rules }] });
        let path = folder.path().join("rules.yml");
        std::fs::write(&path, file.to_string()).unwrap();
        let mut tool = Command::new(&promtool);
        tool.args(["check", "rules"]).arg(&path).output().unwrap().status.success()
    };
    assert!(parses(&expressions));
    assert!(!parses(&["rate(featureplane_packets_total[5m)"]), "planted");
}

#[test]
fn a_real_prometheus_scrapes_a_real_run_and_the_canary_asks_it() {
    let Some(prometheus) = tool("PROMETHEUS", "prometheus") else { return };
    let folder = tempfile::tempdir().unwrap();
    let config =
        SyntheticConfig { duration_ns: 30_000_000_000, packets_per_second: 40, ..market() };
    recording(folder.path(), "x.gz", &config);
    let args = [
        "live",
        "--feed",
        "replay:x.gz",
        "--pace",
        "3x",
        "--shadow",
        "naive",
        "--check-every",
        "20",
        "--metrics",
        "127.0.0.1:0",
    ];
    let mut live =
        command(folder.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(live.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let target =
        line.trim().strip_prefix("metrics at http://").unwrap().trim_end_matches("/metrics");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scrape = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{}']\n\
         scrape_configs: [{{ job_name: featureplane, static_configs: [{{ targets: ['{target}'] }}] }}]\n",
        ops("alerts.yml").canonicalize().unwrap().display()
    );
    std::fs::write(folder.path().join("prometheus.yml"), scrape).unwrap();
    let mut server = Command::new(prometheus)
        .current_dir(folder.path())
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=error"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let policy = ops("canary.toml");
    let url = format!("http://127.0.0.1:{port}");
    let args = [
        "canary",
        "evaluate",
        "--metrics",
        &url,
        "--policy",
        policy.to_str().unwrap(),
        "--window",
        "1m",
        "--json",
    ];
    let started = Instant::now();
    let growth = loop {
        std::thread::sleep(Duration::from_millis(500));
        let said = featureplane(folder.path(), &args);
        if said.code == 1 {
            let findings = said.json()["evaluation"]["findings"].clone();
            let parity = findings[0]["reason"].as_str().unwrap().to_owned();
            // The growth is seen from the second scrape on.
            if parity.contains(" of 1000 samples") && !parity.starts_with("0 ") {
                assert_eq!(findings[2]["outcome"], "pass", "{findings}");
                break parity;
            }
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{said:?}");
    };
    assert!(growth.contains("samples"));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(live.wait().unwrap().success());
}
