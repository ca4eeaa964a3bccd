//! `featureplane canary evaluate`: a verdict over metrics, with a reason for every rule.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use feature_extract::parse_duration_ns;
use feature_live::canary::{
    AuditLog, Evaluation, Policy, Rollout, RolloutStage, Series, State, Streak, Verdict, evaluate,
    parse_prometheus_json,
};
use feature_live::fetch;
use serde_json::json;

use crate::args::Evaluate;
use crate::print;

/// Exit codes of the verdicts.
const PROMOTE: u8 = 0;
const HOLD: u8 = 1;
const ROLLBACK: u8 = 2;

/// Evaluates once; the exit code is the verdict, and 3 for anything that prevents one.
pub(crate) fn run(args: &Evaluate) -> anyhow::Result<u8> {
    let text =
        std::fs::read_to_string(&args.policy).with_context(|| args.policy.display().to_string())?;
    let policy = Policy::parse(&text)?;
    let rollout = args.state.as_deref().map(Rollout::new);
    let before = rollout.as_ref().map(Rollout::load).transpose()?;
    let streak = before.as_ref().map_or_else(Streak::default, |state| state.streak);
    let evaluation = evaluate(&policy, &series(args, &policy)?, streak);
    let mut after = None;
    if let (Some(rollout), Some(state)) = (&rollout, &before) {
        let change = |state: &mut State| apply(state, &evaluation, args.apply);
        after = Some(rollout.swap(state.version, change, now_ns())?);
    }
    let said = json!({
        "metrics": args.metrics,
        "policy": args.policy,
        "evaluation": evaluation,
        "rollout": after,
    });
    if let Some(path) = &args.audit {
        AuditLog::new(path).append(now_ns(), "evaluate", said.clone())?;
    }
    if args.json {
        print::json(&said)?;
    } else {
        show(&evaluation, after.as_ref());
    }
    Ok(match evaluation.verdict {
        Verdict::Promote => PROMOTE,
        Verdict::Hold => HOLD,
        Verdict::Rollback => ROLLBACK,
    })
}

/// Carries the streak on, and moves the stage when that was asked for.
fn apply(state: &mut State, evaluation: &Evaluation, moves: bool) {
    state.streak = evaluation.streak;
    let stage = match evaluation.verdict {
        Verdict::Promote => state.stage.promoted(),
        Verdict::Hold => state.stage,
        Verdict::Rollback => RolloutStage::RolledBack,
    };
    if moves && stage != state.stage {
        state.stage = stage;
        state.reason.clone_from(&evaluation.reason);
        // The next stage has to earn its own promotion.
        state.streak = Streak::default();
    }
}

fn series(args: &Evaluate, policy: &Policy) -> anyhow::Result<Series> {
    if !args.metrics.starts_with("http://") {
        let text = std::fs::read_to_string(&args.metrics).with_context(|| args.metrics.clone())?;
        return Ok(Series::parse(&text)?);
    }
    let address = args.metrics.trim_end_matches('/');
    if address.matches('/').count() == 2 {
        let seconds = parse_duration_ns(&args.window)? / 1_000_000_000;
        let names = policy.metrics().join("|");
        let query = format!("{{__name__=~\"{names}\"}}[{}s]", seconds.max(1));
        let url = format!("{address}/api/v1/query?query={}", encoded(&query));
        return Ok(parse_prometheus_json(&fetch(&url)?)?);
    }
    let every = u64::try_from(parse_duration_ns(&args.every)?)?;
    let mut series = Series::default();
    for scrape in 0..args.scrapes {
        if scrape > 0 {
            std::thread::sleep(std::time::Duration::from_nanos(every));
        }
        series.append(Series::parse(&fetch(&args.metrics)?)?);
    }
    Ok(series)
}

/// Percent-encoded for a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Wall time, UTC ns.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn show(evaluation: &Evaluation, rollout: Option<&State>) {
    let verdict = match evaluation.verdict {
        Verdict::Promote => "promote",
        Verdict::Hold => "hold",
        Verdict::Rollback => "rollback",
    };
    print::line(format_args!("{verdict}: {}", evaluation.reason));
    let rows: Vec<Vec<String>> = evaluation
        .findings
        .iter()
        .map(|finding| {
            let outcome = format!("{:?}", finding.outcome);
            vec![finding.rule.clone(), outcome, finding.reason.clone()]
        })
        .collect();
    print::table(&["rule", "outcome", "reason"], &rows);
    if let Some(state) = rollout {
        super::rollout::show(state);
    }
}
