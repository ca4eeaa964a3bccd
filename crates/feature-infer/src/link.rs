//! Links: from sums to scores, and what the scores are called (`specs/model-file.md`, section Score).

use feature_kernel::numeric::det_exp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::file::field;

/// How sums become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// The sum itself: a regression, in units of its label.
    Identity,
    /// `1 / (1 + e^-z)`: probability of the second of two classes.
    Logistic,
    /// `e^z_k / sum(e^z)`: one probability per class.
    Softmax,
}

impl Link {
    /// Name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Logistic => "logistic",
            Self::Softmax => "softmax",
        }
    }

    /// Names of the scores of these classes.
    pub(crate) fn outputs(self, classes: &[String]) -> Result<Vec<String>, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        for (index, label) in classes.iter().enumerate() {
            let place = format!("classes[{index}]");
            if label.is_empty() || !label.chars().all(allowed) {
                return Err(field(&place, "letters, digits, `_+-.`", label.escape_default()));
            }
            if classes[..index].contains(label) {
                return Err(field(&place, "a label of its own", label));
            }
        }
        match (self, classes) {
            (Self::Identity, []) => Ok(vec!["score".into()]),
            (Self::Logistic, [_, positive]) => Ok(vec![format!("p_{positive}")]),
            (Self::Softmax, [_, _, ..]) => Ok(classes.iter().map(|c| format!("p_{c}")).collect()),
            (Self::Identity, _) => Err(field("classes", "none for `identity`", classes.len())),
            (Self::Logistic, _) => Err(field("classes", "2 for `logistic`", classes.len())),
            (Self::Softmax, _) => Err(field("classes", "2 or more for `softmax`", classes.len())),
        }
    }

    /// Turns finite sums into scores.
    pub(crate) fn apply(self, sums: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Logistic => sums.iter_mut().for_each(|sum| *sum = logistic(*sum)),
            Self::Softmax => softmax(sums),
        }
    }
}

/// The exponent is never positive, so that nothing overflows.
fn logistic(z: f64) -> f64 {
    let e = det_exp(-z.abs());
    if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

fn softmax(sums: &mut [f64]) {
    let mut largest = sums[0];
    for &sum in sums.iter() {
        if sum > largest {
            largest = sum;
        }
    }
    let mut total = 0.0;
    for sum in sums.iter_mut() {
        *sum = det_exp(*sum - largest);
        total += *sum;
    }
    for sum in sums.iter_mut() {
        *sum /= total;
    }
}
