//! One rule over series.

use std::fmt;

use serde::Serialize;

use super::policy::{Breach, Kind, Rule};
use super::series::Series;

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The value is inside.
    Pass,
    /// The value is outside, and the rule only asks to wait.
    Hold,
    /// The value is outside, and the rule demands a rollback.
    Rollback,
    /// There is no value.
    NoData,
    /// Too little was observed.
    TooFew,
}

/// A rule with what it found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// What it found.
    pub outcome: Outcome,
    /// The value that was compared.
    pub value: Option<f64>,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)
    }
}

impl Rule {
    /// Compares; what is missing never passes.
    #[must_use]
    pub fn find(&self, series: &Series) -> Finding {
        let found =
            |outcome, value, reason| Finding { rule: self.name.clone(), outcome, value, reason };
        if let (Some(samples), Some(least)) = (&self.samples, self.min_samples) {
            let Some(have) = series.increase(samples, &self.base_labels) else {
                return found(Outcome::NoData, None, format!("no data: {samples} is absent"));
            };
            if have < least {
                let reason = format!("{have} of {least} samples ({samples})");
                return found(Outcome::TooFew, None, reason);
            }
        }
        let Some(value) = self.value(series) else {
            let reason = format!("no data: {} has no value", self.metric);
            return found(Outcome::NoData, None, reason);
        };
        let above = self.at_most.filter(|limit| value > *limit);
        let below = self.at_least.filter(|limit| value < *limit);
        let broken = match self.breach {
            Breach::Hold => Outcome::Hold,
            Breach::Rollback => Outcome::Rollback,
        };
        let (outcome, reason) = match (above, below) {
            (Some(limit), _) => (broken, format!("{value} is above {limit}")),
            (_, Some(limit)) => (broken, format!("{value} is below {limit}")),
            // A value that is no number is neither above nor below.
            _ if value.is_nan() => (Outcome::NoData, "no data: the value is no number".into()),
            _ => (Outcome::Pass, format!("{value} is within its limits")),
        };
        found(outcome, Some(value), reason)
    }

    fn value(&self, series: &Series) -> Option<f64> {
        let value = match self.kind {
            Kind::Increase => series.increase(&self.metric, &self.labels),
            Kind::Last => series.last(&self.metric, &self.labels),
            Kind::Max => series.max(&self.metric, &self.labels),
            Kind::Quantile => series.quantile(&self.metric, &self.labels, self.q?),
            Kind::Ratio => {
                let over = series.increase(self.over.as_deref()?, &self.base_labels)?;
                let part = series.increase(&self.metric, &self.labels).or(self.absent)?;
                // Nothing of nothing says nothing.
                return (over > 0.0).then(|| part / over);
            }
        };
        value.or(self.absent)
    }
}
