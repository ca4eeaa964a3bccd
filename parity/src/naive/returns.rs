//! What the mid price did (`specs/features/returns.md`), from the list of mids since the last hole.

use std::collections::VecDeque;

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Scene, Value, number, ratio};
use super::rolling::spread;

const UNITS: f64 = (1_u64 << 52) as f64;

/// Mids of the epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Mids {
    /// Times and mids (times two) since the last gap, oldest first.
    path: VecDeque<(i64, i128)>,
    /// Times and returns of the epoch, in units of 2^-52.
    returns: VecDeque<(i64, i128)>,
    /// Return of this packet, `None` when it is unknown.
    step: Option<i128>,
    is_clamped: bool,
}

impl Mids {
    /// A book packet left a two-sided book.
    pub(super) fn step(&mut self, scene: &Scene<'_>, gap: bool, reach: (i64, usize)) {
        let mid = scene.quote.bid + scene.quote.ask;
        if gap && scene.defect != Some(Defect::ReturnsAcrossGap) {
            self.path.clear();
        }
        let before = self.path.back().map(|(_, mid)| *mid);
        self.is_clamped = false;
        self.step = match before {
            None => (!gap).then_some(0),
            Some(before) => self.between(before, mid, scene.defect),
        };
        if let (Some(_), Some(step)) = (before, self.step) {
            self.returns.push_back((scene.now_ns, step));
        }
        self.path.push_back((scene.now_ns, mid));
        let oldest = i128::from(scene.now_ns) - i128::from(reach.0);
        let is_old = |t_ns: i64| i128::from(t_ns) < oldest;
        while self.returns.front().is_some_and(|(t_ns, _)| is_old(*t_ns)) {
            self.returns.pop_front();
        }
        // One mid older than the longest horizon is its reference; the changes of the longest count stay.
        while self.path.len() > reach.1.max(2) + 1 && is_old(self.path[1].0) {
            self.path.pop_front();
        }
    }

    fn between(&mut self, before: i128, after: i128, defect: Option<Defect>) -> Option<i128> {
        if before <= 0 || after <= 0 {
            return None;
        }
        let exact = libm::log(after as f64 / before as f64) * UNITS;
        let within = exact.clamp(-UNITS, UNITS);
        self.is_clamped = within != exact;
        let truncates = defect == Some(Defect::ReturnTruncated);
        Some(if truncates { within } else { within.round_ties_even() } as i128)
    }

    /// A packet without book content: nothing moved.
    pub(super) fn idle(&mut self) {
        self.step = Some(0);
        self.is_clamped = false;
    }

    /// Whether a column of the set saw a return that was too large.
    pub(super) fn is_clamped(&self, feature: &Feature) -> bool {
        let of_steps = ["log_return_step", "realized_vol", "realized_variance"];
        self.is_clamped && of_steps.contains(&feature.column.id)
    }

    /// The value of a column of the family.
    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let value = match feature.column.id {
            "log_return_step" => self.step? as f64 / UNITS,
            "log_return" => self.since(number(feature, "window_ns"), scene)?,
            "realized_vol" => {
                let inside = self.inside(feature, scene);
                let n = inside.len() as i128;
                if n < 2 {
                    return None;
                }
                (spread(&inside) as f64 / (n * (n - 1)) as f64).sqrt() / UNITS
            }
            "realized_variance" => {
                let squares: i128 = self.inside(feature, scene).iter().map(|x| x * x).sum();
                squares as f64 / (UNITS * UNITS)
            }
            "mid_velocity" => return self.velocity(scene),
            "mid_acceleration" => self.acceleration(scene)?,
            "mid_autocov_x1e6" => return self.autocovariance(feature, scene),
            _ => return None,
        };
        Some(Value::Float(value))
    }

    fn inside(&self, feature: &Feature, scene: &Scene<'_>) -> Vec<i128> {
        let closed = i128::from(scene.defect == Some(Defect::WrongWindowEdge));
        let window_ns = i128::from(number(feature, "window_ns"));
        let edge = i128::from(scene.now_ns) - window_ns - closed;
        let newest_first = self.returns.iter().rev();
        newest_first.take_while(|(t_ns, _)| i128::from(*t_ns) > edge).map(|(_, x)| *x).collect()
    }

    fn since(&self, horizon_ns: i64, scene: &Scene<'_>) -> Option<f64> {
        let rests = scene.defect == Some(Defect::HorizonNeverIdles);
        let now_ns = if rests { self.path.back()?.0 } else { scene.now_ns };
        let then_ns = i128::from(now_ns) - i128::from(horizon_ns);
        let (_, before) = self.path.iter().rev().find(|(t_ns, _)| i128::from(*t_ns) <= then_ns)?;
        let (_, now) = self.path.back()?;
        (*before > 0 && *now > 0).then(|| libm::log(*now as f64 / *before as f64))
    }

    /// The mids at the last different times, newest first.
    fn times(&self, scene: &Scene<'_>) -> Vec<(i128, i128)> {
        let mut found: Vec<(i128, i128)> = Vec::new();
        for (t_ns, mid) in self.path.iter().rev() {
            let is_new = found.last().is_none_or(|(last_ns, _)| *last_ns != i128::from(*t_ns));
            if found.len() < 3 && (is_new || scene.defect == Some(Defect::SpeedAtOnce)) {
                found.push(((*t_ns).into(), *mid));
            }
        }
        found
    }

    fn velocity(&self, scene: &Scene<'_>) -> Option<Value> {
        let times = self.times(scene);
        let ((t1, m1), (t0, m0)) = (times.first()?, times.get(1)?);
        ratio((m1 - m0) * 1_000_000_000, 2 * scene.price_unit() * (t1 - t0))
    }

    fn acceleration(&self, scene: &Scene<'_>) -> Option<f64> {
        let times = self.times(scene);
        let [(t2, m2), (t1, m1), (t0, m0)] = times[..] else { return None };
        let (late, early) = (t2 - t1, t1 - t0);
        let turn = (m2 - m1) * early - (m1 - m0) * late;
        let times = late as f64 * early as f64 * (late + early) as f64;
        Some(turn as f64 / times * 1e18 / scene.price_unit() as f64)
    }

    fn autocovariance(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let count = usize::try_from(number(feature, "count")).ok()?;
        let mids: Vec<i128> = self.path.iter().map(|(_, mid)| *mid).collect();
        // Before the first mid nothing changed.
        let first = mids.first().copied().unwrap_or(0);
        let before = std::iter::once(&first).chain(&mids);
        let changes: Vec<i128> =
            mids.iter().zip(before).map(|(now, before)| now - before).collect();
        let last = &changes[changes.len().saturating_sub(count)..];
        let pairs = last.windows(2).map(|pair| pair[0] * pair[1]);
        let number = pairs.len();
        let by = if scene.defect == Some(Defect::PairsByCount) { number + 1 } else { number };
        let mean = pairs.sum::<i128>() as f64 * 1e6 / by as f64;
        (number >= 2).then(|| Value::Int(mean.round_ties_even() as i128))
    }
}
