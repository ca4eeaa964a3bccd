//! Flow by level (`specs/features/ofi_ml.md`), price by price, and over depth (`specs/features/ofi_norm.md`).

use std::collections::BTreeSet;

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Scene, Value, number, round_float, word};
use super::steps::Moment;

/// Levels of both sides, best first, as ticks and lots.
type Sides = [Vec<(i64, i64)>; 2];

/// Flow by level of one feature.
#[derive(Debug, Clone, Default)]
pub(super) struct LevelFlow {
    anchors: Option<Sides>,
    /// `e_0, e_1, ...` of this packet as far as they can be compared; `None` when unknown.
    flows: Option<Vec<i128>>,
}

/// The first `count` levels of both sides of the book.
fn seen(scene: &Scene<'_>, count: usize) -> Sides {
    [&scene.book.bids, &scene.book.asks].map(|side| side.iter().take(count).copied().collect())
}

/// Whether the price `a` of a side is not worse than `b`.
fn as_good(is_bid: bool, a: i64, b: i64) -> bool {
    if is_bid { a >= b } else { a <= b }
}

/// Lots at a price; 0 when absent.
fn lots_at(side: &[(i64, i64)], price: i64) -> i64 {
    side.iter().find(|(at, _)| *at == price).map_or(0, |(_, lots)| *lots)
}

/// Flow of one side by level when a level is its price.
fn by_price(
    is_bid: bool,
    before: &[(i64, i64)],
    now: &[(i64, i64)],
    count: usize,
    defect: Option<Defect>,
) -> Vec<i64> {
    let knows = |side: &[(i64, i64)], price: i64| {
        let all = side.len() < count || defect == Some(Defect::MlViewIsFlow);
        all || side.last().is_some_and(|(last, _)| as_good(is_bid, price, *last))
    };
    let mut flows = vec![0; count];
    let prices: BTreeSet<i64> = before.iter().chain(now).map(|(price, _)| *price).collect();
    for price in prices.into_iter().filter(|price| knows(before, *price) && knows(now, *price)) {
        let at = |side: &[(i64, i64)]| side.iter().position(|(at, _)| *at == price);
        let level = at(now).or(at(before)).expect("Invariant: the price is of one of the two");
        flows[level] += lots_at(now, price) - lots_at(before, price);
    }
    flows
}

/// Flow of one side by level when a level is its number.
fn by_index(is_bid: bool, before: &[(i64, i64)], now: &[(i64, i64)]) -> Vec<i64> {
    let pairs = before.iter().zip(now);
    let flow = |((old_price, old_lots), (price, lots)): (&(i64, i64), &(i64, i64))| {
        let joined = if as_good(is_bid, *price, *old_price) { *lots } else { 0 };
        let left = if as_good(is_bid, *old_price, *price) { *old_lots } else { 0 };
        joined - left
    };
    pairs.map(flow).collect()
}

/// `e_0, e_1, ...` between two views of the first `count` levels.
fn compare(before: &Sides, now: &Sides, count: usize, align: &str, scene: &Scene<'_>) -> Vec<i128> {
    let by_price =
        |side: usize| by_price(side == 0, &before[side], &now[side], count, scene.defect);
    let by_index = |side: usize| by_index(side == 0, &before[side], &now[side]);
    let by_number = align == "index" || scene.defect == Some(Defect::MlByNumber);
    let [bids, asks] = [0, 1].map(|side| if by_number { by_index(side) } else { by_price(side) });
    let lot = i128::from(scene.instrument.lot_scaled);
    bids.iter().zip(&asks).map(|(bid, ask)| i128::from(bid - ask) * lot).collect()
}

impl LevelFlow {
    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        let count = usize::try_from(number(feature, "levels").max(1)).unwrap_or(1);
        if !moment.is_book {
            self.flows = Some(vec![0; count]);
        } else if !moment.is_frozen {
            let now = seen(scene, count);
            self.flows = match &self.anchors {
                _ if moment.is_gap => None,
                None => Some(vec![0; count]),
                Some(before) => Some(compare(before, &now, count, word(feature, "align"), scene)),
            };
            self.anchors = Some(now);
        } else if scene.defect == Some(Defect::FrozenAnchors) {
            self.anchors = None;
        }
    }

    /// `e_0, e_1, ...` of this packet, `None` when unknown.
    pub(super) fn flows(&self) -> Option<&[i128]> {
        self.flows.as_deref()
    }

    /// The sum over the levels, `None` when unknown.
    fn total(&self) -> Option<i128> {
        self.flows.as_ref().map(|flows| flows.iter().sum())
    }

    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let flows = self.flows.as_ref()?;
        match feature.column.id {
            "ofi_ml" => Some(Value::Int(flows.iter().sum())),
            "ofi_ml_level" => {
                let level = usize::try_from(number(feature, "level")).ok()?;
                flows.get(level).copied().map(Value::Int)
            }
            "ofi_ml_decayed" => {
                let decay = number(feature, "decay_permille");
                let first = i64::from(scene.defect == Some(Defect::MlDecaysAtBest));
                let weights = (first..).map(|i| libm::exp(-((i * decay) as f64 / 1000.0)));
                let terms = weights.zip(flows).map(|(weight, flow)| weight * *flow as f64);
                Some(Value::Float(terms.fold(0.0, |sum, term| sum + term) / scene.qty_unit()))
            }
            _ => None,
        }
    }
}

/// Flow over depth of one feature.
#[derive(Debug, Clone, Default)]
pub(super) struct NormFlow {
    flow: LevelFlow,
    average: f64,
}

impl NormFlow {
    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        self.flow.step(feature, scene, moment);
        let steps = moment.is_book && !moment.is_frozen;
        let gap_flow = (scene.defect == Some(Defect::NormGapIsZero)).then_some(0);
        let raw = self.flow.total().or(gap_flow);
        if let (true, Some(raw)) = (steps, raw) {
            let a = 2.0 / (number(feature, "span") + 1) as f64;
            self.average = (1.0 - a) * self.average + a * raw as f64;
        }
    }

    fn depth(feature: &Feature, scene: &Scene<'_>) -> i128 {
        let levels = number(feature, "levels");
        scene.first_levels(&scene.book.bids, levels) + scene.first_levels(&scene.book.asks, levels)
    }

    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        if feature.column.id == "ofi_norm" {
            let flow = self.flow.total()?;
            let sides = if scene.defect == Some(Defect::NormByWholeDepth) { 1 } else { 2 };
            return Some(Value::Float((sides * flow) as f64 / Self::depth(feature, scene) as f64));
        }
        let sum = scene.quote.bid_qty + scene.quote.ask_qty;
        let up = i128::from(scene.defect == Some(Defect::NormDepthRoundedUp));
        let depth = (sum + up).div_euclid(2);
        let ppm = round_float((self.average * 1e6) / depth as f64, scene.defect);
        Some(Value::Int(ppm as i128))
    }
}
