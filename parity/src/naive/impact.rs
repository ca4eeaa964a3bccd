//! What flow does to the price (`specs/features/impact.md`), from the list of pairs.

use std::collections::VecDeque;

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Quote, Scene, Value, number};
use super::flow::Flow;

/// Flows and changes of the mid of the epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs {
    before: Option<Quote>,
    history: VecDeque<(i64, i128, i128)>,
    /// The pair of this packet.
    pub(super) newest: Option<(i128, i128)>,
}

impl Pairs {
    /// A book packet left a two-sided book.
    pub(super) fn step(&mut self, scene: &Scene<'_>, gap: bool, reach_ns: i64) {
        let quote = scene.quote;
        if gap && scene.defect != Some(Defect::PairsAcrossGap) {
            self.before = None;
        }
        self.newest = self.before.replace(quote).map(|before| {
            let change = quote.bid + quote.ask - before.bid - before.ask;
            (Flow::between(before, quote), change)
        });
        if let Some((flow, change)) = self.newest {
            self.history.push_back((scene.now_ns, flow, change));
        }
        let oldest = i128::from(scene.now_ns) - i128::from(reach_ns);
        while self.history.front().is_some_and(|(t_ns, ..)| i128::from(*t_ns) < oldest) {
            self.history.pop_front();
        }
    }

    /// The value of a regression.
    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let closed = i128::from(scene.defect == Some(Defect::WrongWindowEdge));
        let window_ns = i128::from(number(feature, "window_ns"));
        let edge = i128::from(scene.now_ns) - window_ns - closed;
        let inside: Vec<(i128, i128)> = self
            .history
            .iter()
            .filter(|(t_ns, ..)| i128::from(*t_ns) > edge)
            .map(|(_, flow, change)| (*flow, *change))
            .collect();
        let least = if scene.defect == Some(Defect::TwoPairsFit) { 2 } else { 3 };
        if inside.len() < least {
            return None;
        }
        let swapped = scene.defect == Some(Defect::RegressionSwapped);
        let x: Vec<i128> = inside.iter().map(|(flow, _)| *flow).collect();
        let y: Vec<i128> = inside.iter().map(|(_, change)| *change).collect();
        let (x, y) = if swapped { (y, x) } else { (x, y) };
        let (xy, xx, yy) = (centred(&x, &y), centred(&x, &x), centred(&y, &y));
        if xx == 0 {
            return None;
        }
        let slope = xy as f64 / xx as f64;
        let quantity = 10_i128.pow(u32::from(scene.instrument.qty_scale)) as f64;
        match feature.column.id {
            "kyle_lambda" => Some(Value::Float(slope * quantity / (2 * scene.price_unit()) as f64)),
            _ if yy == 0 => None,
            _ => Some(Value::Float((slope * (xy as f64 / yy as f64)).min(1.0))),
        }
    }
}

/// `n * sum(a*b) - sum(a) * sum(b)`: the sum over all pairs of entries of the products of their distances.
fn centred(a: &[i128], b: &[i128]) -> i128 {
    let (a0, b0) = (a[0], b[0]);
    let products: i128 = a.iter().zip(b).map(|(a, b)| (a - a0) * (b - b0)).sum();
    let sum = |side: &[i128], first: i128| -> i128 { side.iter().map(|x| x - first).sum() };
    a.len() as i128 * products - sum(a, a0) * sum(b, b0)
}

/// Averages of one surprise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surprise {
    steps: i64,
    means: [f64; 2],
    squares: f64,
    product: f64,
    base: f64,
    value: f64,
}

impl Default for Surprise {
    fn default() -> Self {
        Self { steps: 0, means: [0.0; 2], squares: 1.0, product: 0.0, base: 0.0, value: 0.0 }
    }
}

impl Surprise {
    /// A book packet left a two-sided book; `depth` is that of both sides.
    pub(super) fn step(
        &mut self,
        feature: &Feature,
        pair: Option<(i128, i128)>,
        depth: i128,
        defect: Option<Defect>,
    ) {
        let count = number(feature, "count");
        self.steps += 1;
        let by_depth = 1.0 / (2 * depth.max(1) + 1) as f64;
        let Some((flow, change)) = pair else {
            self.base = by_depth;
            return;
        };
        let a = 2.0 / (count as f64 / 2.0 + 1.0);
        let (x, y) = (flow as f64, change as f64);
        let averaged = |mean: f64, x: f64| mean + a * (x - mean);
        self.means = [averaged(self.means[0], x), averaged(self.means[1], y)];
        self.squares = averaged(self.squares, x * x);
        self.product = averaged(self.product, x * y);
        let [x, y] = self.means;
        let variance = self.squares - x * x;
        let late = if variance > 0.01 { (self.product - x * y) / variance } else { by_depth };
        let before = self.base;
        self.base += 2.0 / (5 * count + 1) as f64 * (late - self.base);
        let base = if defect == Some(Defect::BaselineLags) { before } else { self.base };
        let deviation = (late - base) / base;
        let told = self.steps >= count && deviation.is_finite() && deviation.abs() >= 0.3;
        self.value = if told { deviation } else { 0.0 };
    }

    /// Thousandths.
    pub(super) fn value(&self) -> Value {
        Value::Int((self.value.clamp(-1.0, 1.0) * 1_000.0).round_ties_even() as i128)
    }
}
