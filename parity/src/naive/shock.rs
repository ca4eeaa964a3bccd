//! Extremes and signs of other columns (`specs/features/shock.md`).

use std::cmp::Ordering;

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Value, number, ratio, word};

/// The input at the step before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before(Option<Ordering>);

impl Before {
    /// The entry of a step, 1 for yes; `None` when it is no sample.
    pub(super) fn entry(
        &mut self,
        feature: &Feature,
        x: f64,
        defect: Option<Defect>,
    ) -> Option<i128> {
        if feature.column.id == "sign_persistence" {
            let sign = if x > 0.0 {
                Ordering::Greater
            } else if x < 0.0 {
                Ordering::Less
            } else {
                Ordering::Equal
            };
            let before = self.0.replace(sign)?;
            let skips = defect == Some(Defect::ZeroHasNoSign) && sign == Ordering::Equal;
            return Some(i128::from(sign == before && !skips));
        }
        let threshold = number(feature, "threshold_ppm") as f64 / 1e6;
        let measured = match (word(feature, "side"), defect) {
            ("below", Some(Defect::SideIgnored)) | ("above", _) => x,
            ("below", _) => -x,
            _ => x.abs(),
        };
        let equal = defect == Some(Defect::ThresholdIncluded) && measured == threshold;
        Some(i128::from(measured > threshold || equal))
    }
}

/// The value of a column over these entries.
pub(super) fn value(feature: &Feature, entries: &[i128]) -> Option<Value> {
    let yes = entries.iter().sum();
    match feature.column.id {
        "shock_count" => Some(Value::Int(yes)),
        _ => ratio(yes, entries.len() as i128),
    }
}
