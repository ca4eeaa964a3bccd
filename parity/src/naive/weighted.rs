//! `specs/features/weighted_depth.md`.

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Scene, Value, number, word};

/// What decides about weights and terms.
#[derive(Debug, Clone, Copy)]
struct Fade {
    rate: f64,
    is_notional: bool,
    /// Farthest distance in bps; `None` when the number of levels decides.
    reach_bps: Option<i128>,
    levels: usize,
}

fn fade(feature: &Feature, defect: Option<Defect>) -> Fade {
    let (k, halflife_bps) = (number(feature, "k"), number(feature, "halflife_bps"));
    if k != 0 {
        let levels = usize::try_from(number(feature, "levels")).unwrap_or(0);
        return Fade { rate: k as f64, is_notional: false, reach_bps: None, levels };
    }
    let cutoff = if defect == Some(Defect::WeightedUncut) {
        10_000
    } else {
        number(feature, "cutoff_halflives")
    };
    Fade {
        rate: (std::f64::consts::LN_2 * 10_000.0) / halflife_bps as f64,
        is_notional: word(feature, "measure") == "notional",
        reach_bps: Some(i128::from(halflife_bps) * i128::from(cutoff)),
        levels: usize::MAX,
    }
}

impl Scene<'_> {
    fn faded(&self, side: &[(i64, i64)], fade: Fade) -> f64 {
        let s = self.quote.bid + self.quote.ask;
        let mut terms = Vec::new();
        for (ticks, lots) in side.iter().take(fade.levels) {
            let (price, qty) = (self.scaled_price(*ticks), self.scaled_qty(*lots));
            let distance = (2 * price - s).abs();
            let is_near = fade.reach_bps.is_none_or(|bps| distance * 10_000 <= bps * s);
            if is_near {
                let weight = libm::exp(-(fade.rate * (distance as f64 / s as f64)));
                terms.push((if fade.is_notional { price * qty } else { qty }) as f64 * weight);
            }
        }
        if self.defect == Some(Defect::WeightedWorstFirst) {
            terms.reverse();
        }
        terms.into_iter().fold(0.0, |sum, term| sum + term)
    }

    pub(super) fn weighted_depth(&self, feature: &Feature) -> Option<Value> {
        let fade = fade(feature, self.defect);
        let bids = self.faded(&self.book.bids, fade);
        let asks = self.faded(&self.book.asks, fade);
        let qty_unit = self.qty_unit() as i128;
        let by_price = fade.is_notional && self.defect != Some(Defect::WeightedUnit);
        let unit = if by_price { self.price_unit() * qty_unit } else { qty_unit };
        let column = feature.column.id;
        let value = match column.split_once('_')?.1 {
            "bid" => bids / unit as f64,
            "ask" => asks / unit as f64,
            _ => (bids - asks) / (bids + asks),
        };
        Some(Value::Float(value))
    }
}
