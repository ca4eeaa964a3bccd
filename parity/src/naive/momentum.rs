//! `specs/features/momentum.md`.

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Scene, Value, number, round_float};
use super::levels::LevelFlow;
use super::steps::Moment;

/// Averages of the flow behind the best prices.
#[derive(Debug, Clone, Default)]
pub(super) struct Momentum {
    flow: LevelFlow,
    best: Option<(i128, i128)>,
    deep: i128,
    steps: i64,
    fast: f64,
    slow: f64,
    smooth: f64,
}

fn weight(steps: i64) -> f64 {
    1.0 - libm::exp(-(1.0 / steps as f64))
}

impl Momentum {
    fn average(&mut self, x: f64, [fast, slow, smooth]: [i64; 3]) {
        self.fast += weight(fast) * (x - self.fast);
        self.slow += weight(slow) * (x - self.slow);
        self.smooth += weight(smooth) * ((self.fast - self.slow) - self.smooth);
    }

    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        self.flow.step(feature, scene, moment);
        if !moment.is_book || moment.is_frozen {
            return;
        }
        let best = (scene.quote.bid, scene.quote.ask);
        let before = self.best.replace(best);
        let (bids, asks) = (&scene.book.bids, &scene.book.asks);
        if feature.column.id == "deep_momentum" {
            let thaws = scene.defect == Some(Defect::MomentumThaws);
            if let (true, Some(flow)) = (before == Some(best) || thaws, self.flow.flows()) {
                let first = usize::from(scene.defect != Some(Defect::MomentumWithBest));
                let x = flow.iter().skip(first).sum::<i128>() as f64;
                self.average(x, ["fast", "slow", "smooth"].map(|key| number(feature, key)));
            }
            return;
        }
        let levels = number(feature, "levels");
        let behind =
            |side: &[(i64, i64)]| scene.first_levels(side, levels) - scene.first_levels(side, 1);
        let deep = behind(bids) - behind(asks);
        let moved = before.is_some_and(|before| before != best);
        let thin = bids.len() < 2 || asks.len() < 2;
        let x = if moved || thin || moment.is_gap { 0 } else { deep - self.deep };
        self.deep = deep;
        self.steps += 1;
        self.average(x as f64, [8, 64, 16]);
    }

    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        if feature.column.id == "deep_momentum" {
            return Some(Value::Float(self.smooth / scene.qty_unit()));
        }
        if self.steps < number(feature, "silent_steps") {
            return Some(Value::Int(0));
        }
        let bound = if scene.defect == Some(Defect::MomentumUnclipped) { f64::MAX } else { 2.0 };
        let clipped = self.smooth.min(bound).max(-bound);
        Some(Value::Int(round_float(clipped * 1000.0, scene.defect) as i128))
    }
}
