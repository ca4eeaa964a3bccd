//! Verdicts of a policy, and the files that carry them.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::Arc;

use feature_live::canary::{
    AuditLog, CanaryError, Evaluation, Outcome, Policy, Rollout, RolloutStage, Series, Streak,
    Verdict, evaluate, parse_prometheus_json,
};

const SHIPPED: &str = include_str!("../../../docs/ops/canary.toml");

/// A scrape in which everything is well; `frames` grow from one to the next.
fn scrape(frames: u64) -> String {
    format!(
        "# TYPE featureplane_shadow_frames counter\n\
         featureplane_shadow_frames_total {frames}\n\
         featureplane_shadow_mismatched_frames_total 0\n\
         featureplane_packets_by_fate_total{{symbol=\"A\",fate=\"duplicate_conflicts\"}} 0\n\
         featureplane_packets_by_fate_total{{symbol=\"A\",fate=\"applied\"}} {frames}\n\
         featureplane_packets_dropped_total{{symbol=\"A\"}} 0\n\
         featureplane_frames_total{{symbol=\"A\"}} {frames}\n\
         featureplane_packet_to_frame_seconds_bucket{{le=\"0.000001\"}} {half}\n\
         featureplane_packet_to_frame_seconds_bucket{{le=\"0.0001\"}} {frames}\n\
         featureplane_packet_to_frame_seconds_bucket{{le=\"+Inf\"}} {frames}\n\
         featureplane_ring_packets 3\n\
         featureplane_frame_age_seconds{{symbol=\"A\"}} 0.5\n\
         # EOF\n",
        half = frames / 2
    )
}

fn judge(text: &str, streak: Streak) -> Evaluation {
    evaluate(&Policy::parse(SHIPPED).unwrap(), &Series::parse(text).unwrap(), streak)
}

fn well() -> String {
    scrape(1_000) + &scrape(2_500)
}

#[test]
fn a_canary_is_promoted_after_enough_good_evaluations_in_a_row() {
    let mut streak = Streak::default();
    for verdict in [Verdict::Hold, Verdict::Hold, Verdict::Promote, Verdict::Promote] {
        let evaluation = judge(&well(), streak);
        assert_eq!(evaluation.verdict, verdict, "{evaluation:?}");
        streak = evaluation.streak;
    }
    let bad =
        judge(&well().replace("seconds{symbol=\"A\"} 0.5", "seconds{symbol=\"A\"} 60"), streak);
    assert_eq!((bad.verdict, bad.streak), (Verdict::Hold, Streak::default()));
    assert!(bad.reason.starts_with("stale feed: 60 is above 5"), "{}", bad.reason);
}

#[test]
fn every_rule_of_the_shipped_policy_can_be_broken_and_says_why() {
    let two = Streak { passes: 2, breaches: 0 };
    assert_eq!(judge(&well(), two).verdict, Verdict::Promote);
    let last = scrape(2_500);
    for (from, to, rule, verdict) in [
        ("mismatched_frames_total 0", "mismatched_frames_total 1", "parity", Verdict::Rollback),
        ("conflicts\"} 0", "conflicts\"} 1", "conflicting duplicates", Verdict::Rollback),
        (
            "dropped_total{symbol=\"A\"} 0",
            "dropped_total{symbol=\"A\"} 7",
            "dropped packets",
            Verdict::Rollback,
        ),
        (
            "# EOF",
            "featureplane_quality_frames_total{flag=\"GAP_DETECTED\"} 2\n# EOF",
            "gaps",
            Verdict::Hold,
        ),
        ("\"0.0001\"} 2500", "\"0.0001\"} 1300", "latency", Verdict::Hold),
        ("ring_packets 3", "ring_packets 1001", "queue lag", Verdict::Hold),
        (
            "age_seconds{symbol=\"A\"} 0.5",
            "age_seconds{symbol=\"A\"} 5.1",
            "stale feed",
            Verdict::Hold,
        ),
    ] {
        assert!(last.contains(from), "{from}");
        let evaluation = judge(&(scrape(1_000) + &last.replace(from, to)), two);
        assert_eq!(evaluation.verdict, verdict, "{rule}: {evaluation:?}");
        assert!(evaluation.reason.starts_with(&format!("{rule}: ")), "{}", evaluation.reason);
        let broken = evaluation.findings.iter().filter(|f| f.outcome != Outcome::Pass).count();
        assert_eq!(broken, 1, "{evaluation:?}");
    }
}

#[test]
fn whatever_is_missing_holds() {
    let two = Streak { passes: 2, breaches: 0 };
    assert_eq!(judge("", two).verdict, Verdict::Hold);
    for (gone, rule) in [
        ("featureplane_shadow_frames_total", "parity"),
        ("featureplane_shadow_mismatched", "parity"),
        ("featureplane_packets_dropped", "dropped packets"),
        ("featureplane_frames_total", "gaps"),
        ("featureplane_packet_to_frame", "latency"),
        ("featureplane_ring_packets", "queue lag"),
        ("featureplane_frame_age", "stale feed"),
    ] {
        let text: String =
            well().lines().filter(|l| !l.starts_with(gone)).map(|l| format!("{l}\n")).collect();
        let evaluation = judge(&text, two);
        assert_eq!(evaluation.verdict, Verdict::Hold, "{gone}");
        let finding = evaluation.findings.iter().find(|f| f.outcome == Outcome::NoData).unwrap();
        assert_eq!(finding.rule, rule);
    }
    let few = judge(&(scrape(1_000) + &scrape(1_900)), two);
    assert_eq!((few.verdict, few.findings[0].outcome), (Verdict::Hold, Outcome::TooFew));
    assert!(few.reason.contains("900 of 1000 samples"), "{}", few.reason);
    // A series that is gone from the last scrape is no state of now.
    let gone = scrape(2_500).replace("featureplane_frame_age_seconds{symbol=\"A\"} 0.5\n", "");
    assert_eq!(judge(&(scrape(1_000) + &gone), two).verdict, Verdict::Hold);
    let not_a_number =
        scrape(2_500).replace("seconds{symbol=\"A\"} 0.5", "seconds{symbol=\"A\"} NaN");
    assert_eq!(judge(&(scrape(1_000) + &not_a_number), two).verdict, Verdict::Hold);
}

#[test]
fn a_rollback_waits_for_as_many_breaches_as_the_policy_says() {
    let policy =
        Policy::parse(&SHIPPED.replace("rollback_after = 1", "rollback_after = 2")).unwrap();
    let bad = well().replace(
        "mismatched_frames_total 0\nfeatureplane_packets_by_fate",
        "mismatched_frames_total 9\nfeatureplane_packets_by_fate",
    );
    let series = Series::parse(&bad).unwrap();
    let first = evaluate(&policy, &series, Streak { passes: 9, breaches: 0 });
    // Both scrapes say 9: nothing grew within the window.
    assert_eq!(first.findings[0].outcome, Outcome::Pass);
    let series = Series::parse(
        &(scrape(1_000)
            + &scrape(2_500).replace("mismatched_frames_total 0", "mismatched_frames_total 9")),
    )
    .unwrap();
    let first = evaluate(&policy, &series, Streak { passes: 9, breaches: 0 });
    assert_eq!((first.verdict, first.streak), (Verdict::Hold, Streak { passes: 0, breaches: 1 }));
    assert!(first.reason.ends_with("1 of 2 in a row"), "{}", first.reason);
    assert_eq!(evaluate(&policy, &series, first.streak).verdict, Verdict::Rollback);
}

#[test]
fn counters_that_restart_or_appear_count_from_zero() {
    let none = std::collections::BTreeMap::new();
    let series = |values: &[&str]| {
        let text: String = values.iter().map(|value| format!("{value}\n# EOF\n")).collect();
        Series::parse(&text).unwrap()
    };
    let grown = |values: &[&str]| series(values).increase("x_total", &none);
    assert_eq!(grown(&["x_total 5"]), Some(5.0), "one scrape: since the start of the process");
    assert_eq!(grown(&["x_total 5", "x_total 9"]), Some(4.0));
    assert_eq!(grown(&["x_total 5", "x_total 2", "x_total 3"]), Some(3.0));
    assert_eq!(grown(&["y 1", "x_total 2", "x_total 3"]), Some(3.0));
    assert_eq!(grown(&["x_total{a=\"1\"} 5", "x_total{a=\"1\"} 6\nx_total{a=\"2\"} 4"]), Some(5.0));
    assert_eq!(grown(&["y 1"]), None);
    let labelled = series(&["x_total{a=\"q\\\"}\\\\\\n\"} 5 1700000000 # {id=\"7\"} 0.5"]);
    let exact = [("a".to_owned(), "q\"}\\\n".to_owned())].into();
    assert_eq!(labelled.increase("x_total", &exact), Some(5.0));
}

#[test]
fn metrics_that_cannot_be_read_are_told_with_their_line() {
    for (text, line, message) in [
        ("x 1\ny", 2, "a value"),
        ("x{a=\"1} 5", 1, "no end"),
        ("x{a} 5", 1, "label"),
        ("x inf", 1, "no number"),
        ("x one", 1, "no number"),
    ] {
        let error = Series::parse(text).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}")) && error.contains(message), "{error}");
    }
}

#[test]
fn prometheus_is_read_like_scrapes() {
    let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"x_total","job":"a"},"values":[[1.0,"5"],[2.0,"9"]]},
        {"metric":{"__name__":"x_total","job":"b"},"values":[[1.5,"7"]]},
        {"metric":{"__name__":"age","job":"b"},"values":[[1.5,"0.25"]]}]}}"#;
    let series = parse_prometheus_json(answer).unwrap();
    let none = std::collections::BTreeMap::new();
    assert_eq!(series.increase("x_total", &none), Some(4.0), "what was before is not known");
    assert_eq!(series.last("age", &none), Some(0.25));
    let error = parse_prometheus_json(r#"{"status":"error","error":"planted"}"#).unwrap_err();
    assert!(error.to_string().contains("planted"), "{error}");
    assert!(parse_prometheus_json("<html>").is_err());
}

#[test]
fn policies_that_could_never_hold_anything_back_are_refused() {
    for (from, to, message) in [
        ("promote_after = 3", "promote_after = 0", "1 or more"),
        ("at_most = 5", "", "never be broken"),
        ("q = 0.99", "q = 1.5", "from 0 to 1"),
        ("over = \"featureplane_frames_total\"", "", "`over` belongs"),
        ("min_samples = 1000", "", "belong together"),
        ("at_most = 1000", "at_most = inf", "finite"),
        ("kind = \"last\"", "kind = \"first\"", "first"),
        ("breach = \"hold\"", "breach = \"shrug\"", "shrug"),
        ("name = \"gaps\"", "name = \"gaps\"\nunknown = 1", "unknown"),
    ] {
        assert!(SHIPPED.contains(from), "{from}");
        let error = Policy::parse(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(message), "{from} -> {to}: {error}");
    }
    assert!(Policy::parse("promote_after = 1\nrollback_after = 1\nrule = []\n").is_err());
}

#[test]
fn of_many_changes_to_one_version_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let rollout = Arc::new(Rollout::new(&folder.path().join("rollout.json")));
    assert_eq!(rollout.load().unwrap().stage, RolloutStage::Shadow);
    for version in 0..10 {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let rollout = Arc::clone(&rollout);
                std::thread::spawn(move || {
                    rollout.swap(version, |state| state.reason = format!("by {number}"), 1).is_ok()
                })
            })
            .collect();
        let winners = threads.into_iter().map(|t| t.join().unwrap());
        assert_eq!(winners.filter(|won| *won).count(), 1, "version {version}");
    }
    assert_eq!(rollout.load().unwrap().version, 10);
    let stale = rollout.swap(3, |_| {}, 1).unwrap_err();
    assert!(matches!(stale, CanaryError::Conflict { expected: 3, found: 10 }), "{stale}");
    std::fs::write(folder.path().join("rollout.json"), "{\"version\": 10}").unwrap();
    assert!(matches!(rollout.load(), Err(CanaryError::State { .. })));
}

#[test]
fn an_audit_log_that_was_edited_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.ndjson");
    let log = AuditLog::new(&path);
    assert_eq!(log.entries().unwrap(), []);
    for at_ns in 1..=4 {
        log.append(at_ns, "evaluate", serde_json::json!({ "verdict": "hold" })).unwrap();
    }
    assert_eq!(log.entries().unwrap().len(), 4);
    let good = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    for (bad, line) in [
        (good.replacen("hold", "none", 1), 2),
        ([lines[0], lines[2], lines[3]].join("\n"), 2),
        ([lines[1], lines[2]].join("\n"), 1),
        (good[..good.len() - 5].to_owned(), 4),
    ] {
        std::fs::write(&path, bad).unwrap();
        let error = log.entries().unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}")), "{error}");
        assert!(log.append(5, "evaluate", serde_json::Value::Null).is_err());
    }
}
