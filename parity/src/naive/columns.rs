//! The formulas of `specs/features/`, each computed from the whole book when it is asked for.

use feature_kernel::{Feature, ParamValue};
use market_model::{Instrument, Packet};

use super::Defect;
use super::book::Book;

const NS_PER_S: i128 = 1_000_000_000;
const FUNDING_NS: i128 = 8 * 3_600 * NS_PER_S;

/// A value that is not a word yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// An exact integer.
    Int(i128),
    /// A float.
    Float(f64),
}

/// Best prices and quantities, scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) bid: i128,
    pub(super) bid_qty: i128,
    pub(super) ask: i128,
    pub(super) ask_qty: i128,
}

/// What the formulas may look at.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) instrument: &'a Instrument,
    pub(super) book: &'a Book,
    pub(super) packet: &'a Packet,
    pub(super) quote: Quote,
    pub(super) now_ns: i64,
    pub(super) book_ns: i64,
    pub(super) defect: Option<Defect>,
}

/// An integer parameter of a feature; 0 when it has none of that name.
pub(super) fn number(feature: &Feature, key: &str) -> i64 {
    match feature.params.iter().find(|(k, _)| *k == key) {
        Some((_, ParamValue::Int(value))) => *value,
        _ => 0,
    }
}

/// A word among the parameters of a feature; empty when it has none of that name.
pub(super) fn word<'a>(feature: &'a Feature, key: &str) -> &'a str {
    match feature.params.iter().find(|(k, _)| *k == key) {
        Some((_, ParamValue::Text(word))) => word,
        _ => "",
    }
}

/// `f(num) / f(den)`.
pub(super) fn ratio(num: i128, den: i128) -> Option<Value> {
    (den != 0).then(|| Value::Float(num as f64 / den as f64))
}

/// `round_half_even(x)` of a float.
pub(super) fn round_float(x: f64, defect: Option<Defect>) -> f64 {
    if defect == Some(Defect::RoundHalfUp) { (x + 0.5).floor() } else { x.round_ties_even() }
}

/// `round_half_even(num / den)`, exact; `den > 0`.
pub(super) fn round_rational(num: i128, den: i128, defect: Option<Defect>) -> i128 {
    let floor = num.div_euclid(den);
    let twice_rest = 2 * num.rem_euclid(den);
    let odd = floor.rem_euclid(2) == 1;
    let up = odd || defect == Some(Defect::RoundHalfUp);
    if twice_rest > den || (twice_rest == den && up) { floor + 1 } else { floor }
}

/// `round_half_even((f(num)*1e6) / f(den))`.
fn ppm(num: i128, den: i128, defect: Option<Defect>) -> Option<Value> {
    let rounded = round_float((num as f64 * 1e6) / den as f64, defect);
    (den != 0).then_some(Value::Int(rounded as i128))
}

impl Scene<'_> {
    /// The best quotes of a book with two sides.
    pub(super) fn quote_of(book: &Book, instrument: &Instrument) -> Option<Quote> {
        let (bid, ask) = (book.bids.first()?, book.asks.first()?);
        let price = |ticks: i64| i128::from(ticks) * i128::from(instrument.tick_scaled);
        let qty = |lots: i64| i128::from(lots) * i128::from(instrument.lot_scaled);
        Some(Quote {
            bid: price(bid.0),
            bid_qty: qty(bid.1),
            ask: price(ask.0),
            ask_qty: qty(ask.1),
        })
    }

    /// The value of a column that looks at book or time only; `None` when it is invalid.
    pub(super) fn value(&self, feature: &Feature) -> Option<Value> {
        match feature.family.slug {
            "top" => self.top(feature.column.id),
            "mid_spread" => self.mid_spread(feature.column.id),
            "microprice" => self.microprice(feature.column.id),
            "imbalance" => self.imbalance(feature),
            "depth" => self.depth(feature),
            "shape" => self.shape(feature),
            "weighted_depth" => self.weighted_depth(feature),
            "time" => self.time(feature.column.id),
            _ => None,
        }
    }

    fn top(&self, column: &str) -> Option<Value> {
        let quote = self.quote;
        let value = match column {
            "best_bid" => quote.bid,
            "best_ask" => quote.ask,
            "l1_bid_qty" => quote.bid_qty,
            "l1_ask_qty" => quote.ask_qty,
            _ => return None,
        };
        Some(Value::Int(value))
    }

    /// `P`.
    pub(super) fn price_unit(&self) -> i128 {
        10_i128.pow(u32::from(self.instrument.price_scale))
    }

    /// `f(Q)`.
    pub(super) fn qty_unit(&self) -> f64 {
        10_i128.pow(u32::from(self.instrument.qty_scale)) as f64
    }

    fn mid_spread(&self, column: &str) -> Option<Value> {
        let (b, a) = (self.quote.bid, self.quote.ask);
        match column {
            "mid_price_x2" => Some(Value::Int(b + a)),
            "spread_scaled" => Some(Value::Int(a - b)),
            "mid" => ratio(b + a, 2 * self.price_unit()),
            "spread" => ratio(a - b, self.price_unit()),
            "spread_bps" => ratio(2 * (a - b) * 10_000, b + a),
            "rel_spread" => ratio(2 * (a - b), b + a),
            _ => None,
        }
    }

    fn microprice(&self, column: &str) -> Option<Value> {
        let Quote { bid: b, bid_qty: qb, ask: a, ask_qty: qa } = self.quote;
        let swapped = self.defect == Some(Defect::SwappedSide);
        let weighted = if swapped { a * qa + b * qb } else { a * qb + b * qa };
        let total = qb + qa;
        match column {
            "microprice_x2" => Some(Value::Int(round_rational(2 * weighted, total, self.defect))),
            "microprice" => ratio(weighted, total * self.price_unit()),
            "micro_minus_mid" => {
                ratio(2 * weighted - (a + b) * total, 2 * total * self.price_unit())
            }
            _ => None,
        }
    }

    pub(super) fn scaled_qty(&self, lots: i64) -> i128 {
        i128::from(lots) * i128::from(self.instrument.lot_scaled)
    }

    pub(super) fn scaled_price(&self, ticks: i64) -> i128 {
        i128::from(ticks) * i128::from(self.instrument.tick_scaled)
    }

    /// Sum of the first quantities of a side.
    pub(super) fn first_levels(&self, side: &[(i64, i64)], count: i64) -> i128 {
        let count = usize::try_from(count).unwrap_or(0);
        side.iter().take(count).map(|(_, lots)| self.scaled_qty(*lots)).sum()
    }

    /// Price and quantity of one level.
    fn level(&self, side: &[(i64, i64)], index: i64) -> Option<(i128, i128)> {
        let (ticks, lots) = *side.get(usize::try_from(index).ok()?)?;
        Some((self.scaled_price(ticks), self.scaled_qty(lots)))
    }

    fn imbalance(&self, feature: &Feature) -> Option<Value> {
        let levels = number(feature, "levels");
        let near = (self.quote.bid_qty, self.quote.ask_qty);
        let deep = || {
            let bids = self.first_levels(&self.book.bids, levels);
            (bids, self.first_levels(&self.book.asks, levels))
        };
        let parts = |(b, a): (i128, i128)| (b - a, b + a);
        match feature.column.id {
            "l1_imbalance_ppm" => {
                let (num, den) = parts(near);
                ppm(num, den, self.defect)
            }
            "l1_imbalance" => {
                let (num, den) = parts(near);
                ratio(num, den)
            }
            "depth_imbalance_ppm" => {
                let (num, den) = parts(deep());
                ppm(num, den, self.defect)
            }
            "depth_imbalance" => {
                let (num, den) = parts(deep());
                ratio(num, den)
            }
            "queue_imbalance" => {
                let level = number(feature, "level");
                let (_, bid_qty) = self.level(&self.book.bids, level)?;
                let (_, ask_qty) = self.level(&self.book.asks, level)?;
                ratio(bid_qty - ask_qty, bid_qty + ask_qty)
            }
            _ => None,
        }
    }

    /// Sum of the quantities of a side whose distance times `b + a` is in `low..=high`, or in
    /// `low..high` when the band is open. Levels are best first, so the distance only grows.
    pub(super) fn by_distance(&self, is_bid: bool, low: i128, high: i128, is_open: bool) -> i128 {
        let sum = self.quote.bid + self.quote.ask;
        let side = if is_bid { &self.book.bids } else { &self.book.asks };
        let mut total = 0;
        for (ticks, lots) in side {
            let twice = 2 * self.scaled_price(*ticks);
            let distance = 10_000 * if is_bid { sum - twice } else { twice - sum };
            if distance > high || (is_open && distance == high) {
                break;
            }
            if distance >= low {
                total += self.scaled_qty(*lots);
            }
        }
        total
    }

    fn within(&self, is_bid: bool, feature: &Feature) -> i128 {
        let high = i128::from(number(feature, "bps")) * (self.quote.bid + self.quote.ask);
        self.by_distance(is_bid, i128::MIN, high, false)
    }

    fn band(&self, is_bid: bool, feature: &Feature) -> i128 {
        let sum = self.quote.bid + self.quote.ask;
        let low = i128::from(number(feature, "lo_bps")) * sum;
        let high = i128::from(number(feature, "hi_bps")) * sum;
        self.by_distance(is_bid, low, high, self.defect != Some(Defect::BandEdge))
    }

    fn depth(&self, feature: &Feature) -> Option<Value> {
        let (bids, asks) = (&self.book.bids, &self.book.asks);
        let levels = number(feature, "levels");
        let level = number(feature, "level");
        let value = match feature.column.id {
            "bid_depth" => self.first_levels(bids, levels),
            "ask_depth" => self.first_levels(asks, levels),
            "bid_price" => self.level(bids, level)?.0,
            "ask_price" => self.level(asks, level)?.0,
            "bid_qty" => self.level(bids, level)?.1,
            "ask_qty" => self.level(asks, level)?.1,
            "bid_depth_within" => self.within(true, feature),
            "ask_depth_within" => self.within(false, feature),
            "bid_depth_band" => self.band(true, feature),
            "ask_depth_band" => self.band(false, feature),
            "band_imbalance" => {
                let (bid, ask) = (self.band(true, feature), self.band(false, feature));
                return ratio(bid - ask, bid + ask);
            }
            "depth_band" => self.band(true, feature) + self.band(false, feature),
            _ => return None,
        };
        Some(Value::Int(value))
    }

    fn time(&self, column: &str) -> Option<Value> {
        let now = i128::from(self.now_ns);
        let day_of_week = (now.div_euclid(86_400 * NS_PER_S) + 3).rem_euclid(7);
        let value = match column {
            "hour_utc" => now.div_euclid(3_600 * NS_PER_S).rem_euclid(24),
            "minute_utc" => now.div_euclid(60 * NS_PER_S).rem_euclid(60),
            "day_of_week" => day_of_week,
            "is_weekend" => i128::from(day_of_week >= 5),
            "seconds_to_funding" => {
                let rest = FUNDING_NS - now.rem_euclid(FUNDING_NS);
                let at_once = self.defect == Some(Defect::FundingAtBoundary) && rest == FUNDING_NS;
                if at_once { 0 } else { (rest + NS_PER_S - 1) / NS_PER_S }
            }
            "book_age_ns" => now - i128::from(self.book_ns),
            "feed_latency_ns" => {
                let (sent, recv) = (self.packet.ts_event_ns, self.packet.ts_recv_ns);
                if sent == 0 || recv == 0 {
                    return None;
                }
                i128::from(recv) - i128::from(sent)
            }
            _ => return None,
        };
        Some(Value::Int(value))
    }
}
