//! Windows over other columns (`specs/features/rolling.md`), computed from their entries each time.

use std::collections::VecDeque;

use feature_kernel::Feature;
use feature_kernel::meta::Dtype;

use super::Defect;
use super::columns::{Value, number};

const UNITS: f64 = (1_u64 << 40) as f64;

/// Entries of one window, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    entries: VecDeque<(i64, i128)>,
}

impl Window {
    /// Takes an entry.
    pub(super) fn push(&mut self, now_ns: i64, entry: i128) {
        self.entries.push_back((now_ns, entry));
    }

    /// Entries of the window at a time, oldest first.
    pub(super) fn inside(
        &mut self,
        feature: &Feature,
        now_ns: i64,
        defect: Option<Defect>,
    ) -> Vec<i128> {
        let window_ns = number(feature, "window_ns");
        let closed = i128::from(defect == Some(Defect::WrongWindowEdge));
        let edge = i128::from(now_ns) - i128::from(window_ns) - closed;
        let longer = usize::from(defect == Some(Defect::CountOffByOne));
        let count = usize::try_from(number(feature, "count")).unwrap_or(0) + longer;
        let is_out = |window: &VecDeque<(i64, i128)>| match window_ns {
            0 => window.len() > count,
            _ => window.front().is_some_and(|(t_ns, _)| i128::from(*t_ns) <= edge),
        };
        while is_out(&self.entries) {
            self.entries.pop_front();
        }
        self.entries.iter().map(|(_, entry)| *entry).collect()
    }
}

/// The entry for a word of an input, and whether the input was too large for it.
pub(super) fn entry(word: u64, dtype: Dtype, defect: Option<Defect>) -> (i128, bool) {
    if dtype != Dtype::F64 {
        return ((word as i64).into(), false);
    }
    let x = f64::from_bits(word);
    let within = x.clamp(-UNITS, UNITS);
    let units = within * UNITS;
    let whole =
        if defect == Some(Defect::QuantumTruncated) { units } else { units.round_ties_even() };
    (whole as i128, within != x)
}

/// `n*S2 - S1*S1`, from distances to the first entry, which it does not depend on.
pub(super) fn spread(entries: &[i128]) -> i128 {
    let first = entries.first().copied().unwrap_or(0);
    let n = entries.len() as i128;
    let sum: i128 = entries.iter().map(|x| x - first).sum();
    let squares: i128 = entries.iter().map(|x| (x - first) * (x - first)).sum();
    n * squares - sum * sum
}

fn deviation(entries: &[i128], defect: Option<Defect>) -> Option<f64> {
    let n = entries.len() as i128;
    let pairs = if defect == Some(Defect::PopulationDeviation) { n * n } else { n * (n - 1) };
    (n > 1).then(|| (spread(entries) as f64 / pairs as f64).sqrt())
}

/// The value of a column over these entries of an input of this type.
pub(super) fn value(
    feature: &Feature,
    entries: &[i128],
    dtype: Dtype,
    defect: Option<Defect>,
) -> Option<Value> {
    let n = entries.len() as f64;
    let sum: i128 = entries.iter().sum();
    let in_units = match feature.column.id {
        "rolling_mean" if !entries.is_empty() => sum as f64 / n,
        "rolling_sum" => sum as f64,
        "rolling_std" => deviation(entries, defect)?,
        "rolling_min" => *entries.iter().min()? as f64,
        "rolling_max" => *entries.iter().max()? as f64,
        "rolling_zscore" => {
            let deviation = deviation(entries, defect)?;
            let above = (entries.len() as i128 * entries.last()? - sum) as f64 / n;
            return (deviation > 0.0).then(|| Value::Float(above / deviation));
        }
        _ => return None,
    };
    let unit = if dtype == Dtype::F64 { UNITS } else { 1.0 };
    Some(Value::Float(in_units / unit))
}
