//! `specs/features/shape.md`.

use feature_kernel::Feature;

use super::Defect;
use super::columns::{Scene, Value, number};

/// The first levels of one side, scaled.
#[derive(Debug, Clone)]
struct Side {
    prices: Vec<i128>,
    qtys: Vec<i128>,
}

impl Side {
    fn total(&self) -> i128 {
        self.qtys.iter().sum()
    }

    /// `sum p*q`.
    fn value(&self) -> i128 {
        self.prices.iter().zip(&self.qtys).map(|(p, q)| p * q).sum()
    }

    /// Distances from the best price.
    fn distances(&self) -> Vec<i128> {
        self.prices.iter().map(|p| (p - self.prices[0]).abs()).collect()
    }

    /// `sum v*q`.
    fn moment(&self) -> i128 {
        self.distances().iter().zip(&self.qtys).map(|(v, q)| v * q).sum()
    }

    fn half(&self, defect: Option<Defect>) -> Option<i128> {
        let above = i128::from(defect == Some(Defect::ShapeHalfExceeded));
        let reached = |i: &usize| 2 * self.qtys[..=*i].iter().sum::<i128>() >= self.total() + above;
        (0..self.qtys.len()).find(reached).map(|i| i as i128)
    }

    /// `f(N) / f(D)`.
    fn ols(&self, defect: Option<Defect>) -> Option<f64> {
        let n = self.prices.len();
        let enough = if defect == Some(Defect::ShapeTwoLevels) { 2 } else { 3 };
        if n < enough {
            return None;
        }
        let v = self.distances();
        let y: Vec<i128> = (0..n).map(|i| self.qtys[..=i].iter().sum()).collect();
        let dot = |a: &[i128], b: &[i128]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i128>();
        let (sum_v, sum_y) = (v.iter().sum::<i128>(), y.iter().sum::<i128>());
        let num = n as i128 * dot(&v, &y) - sum_v * sum_y;
        let den = n as i128 * dot(&v, &v) - sum_v * sum_v;
        Some(num as f64 / den as f64)
    }
}

fn ratio(num: i128, den: i128) -> Option<f64> {
    (den != 0).then(|| num as f64 / den as f64)
}

impl Scene<'_> {
    fn side(&self, is_bid: bool, count: i64) -> Side {
        let side = if is_bid { &self.book.bids } else { &self.book.asks };
        let levels = side.iter().take(usize::try_from(count).unwrap_or(0));
        let (prices, qtys) =
            levels.map(|(ticks, lots)| (self.scaled_price(*ticks), self.scaled_qty(*lots))).unzip();
        Side { prices, qtys }
    }

    /// Quantity of both sides with `lo <= d < hi`.
    fn both_bands(&self, lo_bps: i64, hi_bps: i64) -> i128 {
        let sum = self.quote.bid + self.quote.ask;
        let (low, high) = (i128::from(lo_bps) * sum, i128::from(hi_bps) * sum);
        self.by_distance(true, low, high, true) + self.by_distance(false, low, high, true)
    }

    pub(super) fn shape(&self, feature: &Feature) -> Option<Value> {
        let column = feature.column.id;
        if column.ends_with("half_depth_level") {
            let side = self.side(column.starts_with("bid"), number(feature, "levels"));
            return side.half(self.defect).map(Value::Int);
        }
        match column {
            "book_convexity" | "lambda_like" | "amihud_like" => self.shape_of_bands(feature),
            _ if column.ends_with("depth_decay") => self.shape_of_level(feature),
            _ if column.starts_with("bid_") || column.starts_with("ask_") => {
                self.shape_of_side(feature)
            }
            _ => self.shape_of_both(feature),
        }
        .map(Value::Float)
    }

    fn shape_of_side(&self, feature: &Feature) -> Option<f64> {
        let column = feature.column.id;
        let levels = number(feature, "levels");
        let side = self.side(column.starts_with("bid"), levels);
        let (total, p) = (side.total(), self.price_unit());
        match &column[4..] {
            "concentration" => ratio(side.qtys.iter().map(|q| q * q).sum(), total * total),
            "vwap" => ratio(side.value(), total * p),
            "slope" => {
                let needed = if self.defect == Some(Defect::ShapeShortSlope) { 1 } else { levels };
                let last = *side.distances().last()?;
                let is_long = side.prices.len() as i64 >= needed;
                ratio(last * self.qty_unit() as i128, total * p).filter(|_| is_long)
            }
            "slope_ols" => {
                let s = self.quote.bid + self.quote.ask;
                let per_bps = s as f64 / (20_000 * self.qty_unit() as i128) as f64;
                side.ols(self.defect).map(|in_prices| in_prices * per_bps)
            }
            _ => None,
        }
    }

    fn shape_of_both(&self, feature: &Feature) -> Option<f64> {
        let levels = number(feature, "levels");
        let (bids, asks) = (self.side(true, levels), self.side(false, levels));
        let (p, s) = (self.price_unit(), self.quote.bid + self.quote.ask);
        let total = bids.total() + asks.total();
        match feature.column.id {
            "vwap_spread" => {
                let spread = (self.quote.ask - self.quote.bid) as f64 / p as f64;
                let beyond_ask = ratio(asks.moment(), asks.total() * p)?;
                Some((spread + beyond_ask) + ratio(bids.moment(), bids.total() * p)?)
            }
            "slope_asymmetry" => Some(bids.ols(self.defect)? / asks.ols(self.defect)?),
            "centre_of_gravity" => ratio(bids.value() + asks.value(), total * p),
            "cog_minus_mid_bps" => {
                let lean = 2 * (bids.value() + asks.value()) - s * total;
                Some((lean as f64 * 1e4) / (s * total) as f64)
            }
            "book_pressure" => ratio(bids.total() - asks.total(), total),
            _ => None,
        }
    }

    fn shape_of_level(&self, feature: &Feature) -> Option<f64> {
        let level = usize::try_from(number(feature, "level")).ok()?;
        let count = level as i64 + 1;
        let pair = |is_bid: bool| {
            let side = self.side(is_bid, count);
            Some((*side.qtys.get(level)?, side.qtys[0]))
        };
        match feature.column.id {
            "bid_depth_decay" => pair(true).and_then(|(qty, best)| ratio(qty, best)),
            "ask_depth_decay" => pair(false).and_then(|(qty, best)| ratio(qty, best)),
            _ => {
                let ((bid, best_bid), (ask, best_ask)) = (pair(true)?, pair(false)?);
                ratio(bid * best_ask + ask * best_bid, 2 * best_bid * best_ask)
            }
        }
    }

    fn shape_of_bands(&self, feature: &Feature) -> Option<f64> {
        if feature.column.id == "book_convexity" {
            let near = self.both_bands(0, number(feature, "near_bps"));
            return ratio(near, self.both_bands(0, number(feature, "far_bps")));
        }
        let qty = self.both_bands(number(feature, "lo_bps"), number(feature, "hi_bps"));
        let spread = (self.quote.ask - self.quote.bid) as f64 / self.price_unit() as f64;
        let per_qty = spread / (qty as f64 / self.qty_unit());
        (qty != 0).then_some(per_qty)
    }
}
