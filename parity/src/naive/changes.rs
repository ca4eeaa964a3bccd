//! `specs/features/ofi_flow.md`: two whole books compared.

use std::collections::BTreeMap;

use feature_kernel::Feature;

use super::Defect;
use super::book::Book;
use super::columns::{Scene, Value, number};
use super::steps::Moment;

const ONE: f64 = 2_147_483_648.0;

/// Flow of every level, of one feature.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    anchor: Option<Book>,
    /// Weighted flow of this packet; `None` when unknown.
    flow: Option<i128>,
    sum: f64,
    sum_ns: i64,
}

/// Price and change in lots of every level of a side.
fn changes(before: &[(i64, i64)], now: &[(i64, i64)]) -> BTreeMap<i64, i64> {
    let mut found: BTreeMap<i64, i64> = now.iter().copied().collect();
    for (price, lots) in before {
        *found.entry(*price).or_default() -= lots;
    }
    found
}

fn weight(feature: &Feature, distance: f64) -> i128 {
    let halflife_bps = number(feature, "halflife_bps");
    if halflife_bps == 0 {
        return 1;
    }
    let rate = (std::f64::consts::LN_2 * 10_000.0) / halflife_bps as f64;
    (libm::exp(-(rate * distance)) * ONE).round_ties_even() as i128
}

fn compare(before: &Book, feature: &Feature, scene: &Scene<'_>) -> i128 {
    let s = scene.quote.bid + scene.quote.ask;
    let reach = i128::from(number(feature, "depth_bps")) * s;
    let is_one_way = scene.defect == Some(Defect::FlowBehindMidOnly);
    let sides = [(&before.bids, &scene.book.bids, 1), (&before.asks, &scene.book.asks, -1)];
    let mut sum = 0;
    for (before, now, sign) in sides {
        for (price, lots) in changes(before, now) {
            let signed = i128::from(-sign) * (2 * scene.scaled_price(price) - s);
            let distance = signed.abs();
            let counts = distance * 10_000 <= reach && !(is_one_way && signed < 0);
            if counts {
                let weight = weight(feature, distance as f64 / s as f64);
                sum += i128::from(sign) * scene.scaled_qty(lots) * weight;
            }
        }
    }
    sum
}

impl Changes {
    fn left(&self, feature: &Feature, now_ns: i64) -> f64 {
        let elapsed_ns = now_ns - self.sum_ns;
        let halflife_ns = number(feature, "halflife_ns");
        libm::exp(-((std::f64::consts::LN_2 * elapsed_ns as f64) / halflife_ns as f64))
    }

    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        if !moment.is_book {
            self.flow = Some(0);
            return;
        }
        if moment.is_frozen {
            if scene.defect == Some(Defect::FlowForgetsFrozen) {
                self.anchor = Some(scene.book.clone());
            }
            return;
        }
        self.flow = match &self.anchor {
            _ if moment.is_gap => None,
            None => Some(0),
            Some(before) => Some(compare(before, feature, scene)),
        };
        self.anchor = Some(scene.book.clone());
        if let Some(flow) = self.flow {
            self.sum = self.sum * self.left(feature, scene.now_ns) + flow as f64;
            self.sum_ns = scene.now_ns;
        }
    }

    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        match feature.column.id {
            "ofi_flow" => self.flow.map(Value::Int),
            "ofi_flow_weighted" => {
                let unit = ONE as i128 * scene.qty_unit() as i128;
                self.flow.map(|flow| Value::Float(flow as f64 / unit as f64))
            }
            _ => {
                let stands = scene.defect == Some(Defect::FlowFadesOnBook);
                let now_ns = if stands { self.sum_ns } else { scene.now_ns };
                Some(Value::Float((self.sum * self.left(feature, now_ns)) / scene.qty_unit()))
            }
        }
    }
}
