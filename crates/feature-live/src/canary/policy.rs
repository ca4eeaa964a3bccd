//! What must hold for a canary to be promoted.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CanaryError;

/// A policy, as `docs/ops/canary.toml` has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Evaluations in a row that must pass before the canary is promoted; at least 1.
    pub promote_after: u32,
    /// Evaluations in a row that must demand it before the canary is rolled back; at least 1.
    pub rollback_after: u32,
    /// Rules; at least one.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// What of a metric is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Growth of a counter over the window.
    Increase,
    /// Growth of `metric` divided by the growth of `over`.
    Ratio,
    /// The last value; of several series the largest.
    Last,
    /// The largest value of the window.
    Max,
    /// Upper bound of the bucket in which the quantile `q` of a histogram's growth lies.
    Quantile,
}

/// What a broken rule demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// Wait.
    Hold,
    /// Roll back.
    Rollback,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name in reasons.
    pub name: String,
    /// What is compared.
    pub kind: Kind,
    /// Name of the metric as it is exported; of a histogram the name without `_bucket`.
    pub metric: String,
    /// Labels that a series must have; of several series the sum is taken, of states the largest.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `ratio`: the metric to divide by.
    pub over: Option<String>,
    /// Labels that a series of `over` and of `samples` must have.
    #[serde(default)]
    pub base_labels: BTreeMap<String, String>,
    /// `quantile`: which one, between 0 and 1.
    pub q: Option<f64>,
    /// Largest value that passes.
    pub at_most: Option<f64>,
    /// Smallest value that passes.
    pub at_least: Option<f64>,
    /// What a value outside demands.
    pub breach: Breach,
    /// Counter whose growth says how much was observed; without it the rule needs no minimum.
    pub samples: Option<String>,
    /// Growth of `samples` below which the rule holds.
    pub min_samples: Option<f64>,
    /// Value when no series has the name and labels; without it that holds.
    pub absent: Option<f64>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`CanaryError::Policy`] naming the rule and the key.
    pub fn parse(text: &str) -> Result<Self, CanaryError> {
        let wrong = |place: &str, message: &str| {
            Err(CanaryError::Policy { place: place.into(), message: message.into() })
        };
        let policy: Self = toml::from_str(text).map_err(|error| CanaryError::Policy {
            place: "file".into(),
            message: error.to_string(),
        })?;
        if policy.promote_after == 0 || policy.rollback_after == 0 {
            return wrong("promote_after, rollback_after", "expected 1 or more");
        }
        if policy.rules.is_empty() {
            return wrong("rule", "expected at least one: nothing would ever hold a canary back");
        }
        for rule in &policy.rules {
            if let Some(message) = rule.fault() {
                return wrong(&format!("rule `{}`", rule.name), message);
            }
        }
        Ok(policy)
    }

    /// Names of all metrics that the rules read.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for rule in &self.rules {
            let metric = match rule.kind {
                Kind::Quantile => format!("{}_bucket", rule.metric),
                _ => rule.metric.clone(),
            };
            names.push(metric);
            names.extend(rule.over.iter().chain(&rule.samples).cloned());
        }
        names.sort();
        names.dedup();
        names
    }
}

impl Rule {
    fn fault(&self) -> Option<&'static str> {
        let finite = [self.q, self.at_most, self.at_least, self.min_samples, self.absent];
        if finite.into_iter().flatten().any(|number| !number.is_finite()) {
            return Some("expected finite numbers");
        }
        if self.at_most.is_none() && self.at_least.is_none() {
            return Some("expected at_most or at_least: it could never be broken");
        }
        if (self.kind == Kind::Ratio) != self.over.is_some() {
            return Some("`over` belongs to the kind ratio, and it needs one");
        }
        if (self.kind == Kind::Quantile) != self.q.is_some_and(|q| (0.0..=1.0).contains(&q)) {
            return Some("`q` from 0 to 1 belongs to the kind quantile, and it needs one");
        }
        if self.samples.is_some() != self.min_samples.is_some() {
            return Some("`samples` and `min_samples` belong together");
        }
        None
    }
}
