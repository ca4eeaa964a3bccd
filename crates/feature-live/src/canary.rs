//! Promote, hold or roll back: a policy over recorded metrics, with a reason for every rule.
//!
//! Whatever is missing holds: no metric, no samples, no second opinion ever promotes
//! (`docs/howto/canary.md`).

mod audit;
mod policy;
mod rollout;
mod rule;
mod series;

pub use audit::{AuditLog, Entry};
pub use policy::{Breach, Kind, Policy, Rule};
pub use rollout::{Rollout, Stage as RolloutStage, State};
pub use rule::{Finding, Outcome};
pub use series::{Series, parse_prometheus_json};

use serde::Serialize;
use thiserror::Error as ThisError;

/// Why an evaluation or a change of the rollout could not be done.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum CanaryError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A policy is wrong.
    #[error("policy, {place}: {message}")]
    Policy {
        /// Rule or key.
        place: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// Metrics are not what they should be.
    #[error("metrics, line {line}: {message}")]
    Metrics {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The state file is wrong.
    #[error("{path}: {message}")]
    State {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Somebody else changed the rollout in between.
    #[error(
        "the rollout is at version {found}, not {expected}: look at it again before you change it"
    )]
    Conflict {
        /// Version that the change was meant for.
        expected: u64,
        /// Version there is.
        found: u64,
    },
    /// The audit log was changed after it was written.
    #[error("{path}, line {line}: the log was changed: {message}")]
    Audit {
        /// The file.
        path: std::path::PathBuf,
        /// Line, from 1.
        line: usize,
        /// What does not fit.
        message: String,
    },
}

/// What should happen to the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every rule passed often enough in a row.
    Promote,
    /// Not enough is known, or not for long enough.
    Hold,
    /// A rule that demands it was broken often enough in a row.
    Rollback,
}

/// How many evaluations in a row had the same tendency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
pub struct Streak {
    /// Evaluations in which every rule passed.
    pub passes: u32,
    /// Evaluations in which a rule demanded a rollback.
    pub breaches: u32,
}

/// One evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// What should happen.
    pub verdict: Verdict,
    /// Why, in one line.
    pub reason: String,
    /// Every rule in the order of the policy.
    pub findings: Vec<Finding>,
    /// The streak with this evaluation in it.
    pub streak: Streak,
}

/// Applies a policy to series, after the evaluations that `before` counts.
#[must_use]
pub fn evaluate(policy: &Policy, series: &Series, before: Streak) -> Evaluation {
    let findings: Vec<Finding> = policy.rules.iter().map(|rule| rule.find(series)).collect();
    let breach = findings.iter().find(|finding| finding.outcome == Outcome::Rollback);
    let unmet = findings.iter().find(|finding| finding.outcome != Outcome::Pass);
    let streak = match (breach, unmet) {
        (Some(_), _) => Streak { passes: 0, breaches: before.breaches.saturating_add(1) },
        (None, Some(_)) => Streak::default(),
        (None, None) => Streak { passes: before.passes.saturating_add(1), breaches: 0 },
    };
    let (verdict, reason) = match (breach, unmet) {
        (Some(finding), _) if streak.breaches >= policy.rollback_after => {
            (Verdict::Rollback, finding.to_string())
        }
        (Some(finding), _) => {
            let so_far = format!("{} of {} in a row", streak.breaches, policy.rollback_after);
            (Verdict::Hold, format!("{finding}; {so_far}"))
        }
        (None, Some(finding)) => (Verdict::Hold, finding.to_string()),
        (None, None) if streak.passes >= policy.promote_after => {
            (Verdict::Promote, format!("every rule passed {} times in a row", streak.passes))
        }
        (None, None) => {
            let so_far = format!("{} of {} in a row", streak.passes, policy.promote_after);
            (Verdict::Hold, format!("every rule passed; {so_far}"))
        }
    };
    Evaluation { verdict, reason, findings, streak }
}
