//! How quantity lies in the book (family `shape`).
//!
//! Spec: `specs/features/shape.md`. Reference and cases: `parity/reference`, `parity/cases/shape.toml`.

use core::ops::{AddAssign, Mul, Sub};

use market_model::{BookView, Level, Side};

use super::l1_column;
use crate::bands::{Far, band};
use crate::context::{Context, Units};
use crate::meta::{ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{float, pow10, ratio};
use crate::params::{HI_BPS, LO_BPS, levels};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Where quantity is, how concentrated it is, and how fast it grows with distance.
#[derive(Debug, Clone)]
pub struct Shape {
    wanted: Vec<(usize, Column)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    HalfDepth(Side, usize),
    Concentration(Side, usize),
    Vwap(Side, usize),
    VwapSpread(usize),
    Slope(Side, usize),
    SlopeOls(Side, usize),
    SlopeAsymmetry(usize),
    CentreOfGravity(usize),
    CogMinusMid(usize),
    Convexity { near_bps: i64, far_bps: i64 },
    Decay(Side, usize),
    MeanDecay(usize),
    Pressure(usize),
    SpreadPerQuantity { lo_bps: i64, hi_bps: i64 },
}

const LEVELS: &[&str] = &["levels"];
const LEVEL: &[&str] = &["level"];
const BAND: &[&str] = &["lo_bps", "hi_bps"];

const fn column(
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
) -> ColumnMeta {
    let base = l1_column(id, Dtype::F64, Scale::None, unit, doc);
    ColumnMeta { reads: Reads::TopN, params, name, ..base }
}

const fn level_number(column: ColumnMeta) -> ColumnMeta {
    ColumnMeta { dtype: Dtype::U32, ..column }
}

const fn of_band(column: ColumnMeta) -> ColumnMeta {
    ColumnMeta { reads: Reads::Band, ..column }
}

const COLUMNS: &[ColumnMeta] = &[
    level_number(column(
        "bid_half_depth_level",
        "bid_half_depth_level_{levels}",
        "level",
        LEVELS,
        "First bid level at which half of the quantity is reached.",
    )),
    level_number(column(
        "ask_half_depth_level",
        "ask_half_depth_level_{levels}",
        "level",
        LEVELS,
        "First ask level at which half of the quantity is reached.",
    )),
    column(
        "bid_concentration",
        "bid_concentration_{levels}",
        "ratio in 0..1",
        LEVELS,
        "Herfindahl index of the bid quantities.",
    ),
    column(
        "ask_concentration",
        "ask_concentration_{levels}",
        "ratio in 0..1",
        LEVELS,
        "Herfindahl index of the ask quantities.",
    ),
    column("bid_vwap", "bid_vwap_{levels}", "price", LEVELS, "Bid price weighted by quantity."),
    column("ask_vwap", "ask_vwap_{levels}", "price", LEVELS, "Ask price weighted by quantity."),
    column(
        "vwap_spread",
        "vwap_spread_{levels}",
        "price",
        LEVELS,
        "Distance between the two weighted prices.",
    ),
    column(
        "bid_slope",
        "bid_slope_{levels}",
        "price per quantity",
        LEVELS,
        "Distance of the last bid level over the quantity up to it.",
    ),
    column(
        "ask_slope",
        "ask_slope_{levels}",
        "price per quantity",
        LEVELS,
        "Distance of the last ask level over the quantity up to it.",
    ),
    column(
        "bid_slope_ols",
        "bid_slope_ols_{levels}",
        "quantity per bps",
        LEVELS,
        "Least squares of cumulative bid quantity over distance; needs 3 levels.",
    ),
    column(
        "ask_slope_ols",
        "ask_slope_ols_{levels}",
        "quantity per bps",
        LEVELS,
        "Least squares of cumulative ask quantity over distance; needs 3 levels.",
    ),
    column(
        "slope_asymmetry",
        "slope_asymmetry_{levels}",
        "ratio",
        LEVELS,
        "Least-squares slope of the bids over that of the asks.",
    ),
    column(
        "centre_of_gravity",
        "centre_of_gravity_{levels}",
        "price",
        LEVELS,
        "Price of both sides weighted by quantity.",
    ),
    column(
        "cog_minus_mid_bps",
        "cog_minus_mid_bps_{levels}",
        "bps",
        LEVELS,
        "Centre of gravity minus mid, over mid.",
    ),
    of_band(column(
        "book_convexity",
        "book_convexity_{near_bps}_{far_bps}bps",
        "ratio in 0..1",
        &["near_bps", "far_bps"],
        "Share of the quantity of a far band that lies in a near one.",
    )),
    column(
        "bid_depth_decay",
        "bid_depth_decay_{level}",
        "ratio",
        LEVEL,
        "Quantity of a bid level over the best.",
    ),
    column(
        "ask_depth_decay",
        "ask_depth_decay_{level}",
        "ratio",
        LEVEL,
        "Quantity of an ask level over the best.",
    ),
    column("depth_decay", "depth_decay_{level}", "ratio", LEVEL, "Mean decay of the two sides."),
    column(
        "book_pressure",
        "book_pressure_{levels}",
        "ratio in -1..1",
        LEVELS,
        "Imbalance of the best levels.",
    ),
    of_band(column(
        "lambda_like",
        "lambda_like_{lo_bps}_{hi_bps}bps",
        "price per quantity",
        BAND,
        "Spread over the quantity of a near band.",
    )),
    of_band(column(
        "amihud_like",
        "amihud_like_{lo_bps}_{hi_bps}bps",
        "price per quantity",
        BAND,
        "Spread over the quantity of a wider band.",
    )),
];

const PARAMS: &[ParamMeta] = &[
    levels(10),
    ParamMeta {
        key: "level",
        kind: ParamKind::Int { min: 0, max: 63, default: Some(4) },
        doc: "Level that is compared with the best, which is 0.",
    },
    ParamMeta {
        key: "near_bps",
        kind: ParamKind::Int { min: 1, max: 9_999, default: Some(5) },
        doc: "Near end of the comparison, exclusive.",
    },
    ParamMeta {
        key: "far_bps",
        kind: ParamKind::Int { min: 2, max: 10_000, default: Some(50) },
        doc: "Far end of the comparison, exclusive; above near_bps.",
    },
    LO_BPS,
    HI_BPS,
];

impl Family for Shape {
    const META: FamilyMeta = FamilyMeta {
        slug: "shape",
        doc: "How quantity lies in the book.",
        source: "Herfindahl (1950); least squares; shape columns of the CCXT job",
        columns: COLUMNS,
        params: PARAMS,
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let column = |f: &crate::Feature| {
            let levels = || f.int_param("levels");
            let level = || f.int_param("level");
            match f.column_index {
                0 => Column::HalfDepth(Side::Bid, levels()),
                1 => Column::HalfDepth(Side::Ask, levels()),
                2 => Column::Concentration(Side::Bid, levels()),
                3 => Column::Concentration(Side::Ask, levels()),
                4 => Column::Vwap(Side::Bid, levels()),
                5 => Column::Vwap(Side::Ask, levels()),
                6 => Column::VwapSpread(levels()),
                7 => Column::Slope(Side::Bid, levels()),
                8 => Column::Slope(Side::Ask, levels()),
                9 => Column::SlopeOls(Side::Bid, levels()),
                10 => Column::SlopeOls(Side::Ask, levels()),
                11 => Column::SlopeAsymmetry(levels()),
                12 => Column::CentreOfGravity(levels()),
                13 => Column::CogMinusMid(levels()),
                14 => Column::Convexity {
                    near_bps: f.wide_param("near_bps"),
                    far_bps: f.wide_param("far_bps"),
                },
                15 => Column::Decay(Side::Bid, level()),
                16 => Column::Decay(Side::Ask, level()),
                17 => Column::MeanDecay(level()),
                18 => Column::Pressure(levels()),
                _ => Column::SpreadPerQuantity {
                    lo_bps: f.wide_param("lo_bps"),
                    hi_bps: f.wide_param("hi_bps"),
                },
            }
        };
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, column(f))).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        for &(slot, column) in &self.wanted {
            if let Column::HalfDepth(side, levels) = column {
                slots.u32(slot, first(context, side, levels).half_depth_level());
            } else {
                slots.opt_f64(slot, value(context, column));
            }
        }
    }
}

/// The value of a float column; `None` when the book does not have what it needs.
fn value<B: BookView>(context: &Context<'_, B>, column: Column) -> Option<f64> {
    let units = context.units;
    let lot = i128::from(units.lot_scaled);
    let notional = i128::from(units.tick_scaled) * lot;
    let price_unit = pow10(units.price_scale);
    let quotes = &context.quotes;
    let both = |levels| [Side::Bid, Side::Ask].map(|side| first(context, side, levels));
    match column {
        Column::Concentration(side, levels) => {
            let side = first(context, side, levels);
            let total = side.total();
            ratio(side.squares() * (lot * lot), total * total * (lot * lot))
        }
        Column::Vwap(side, levels) => {
            let side = first(context, side, levels);
            ratio(side.value() * notional, side.total() * lot * price_unit)
        }
        Column::VwapSpread(levels) => {
            let [bids, asks] = both(levels);
            let beyond = |side: &Levels<'_>| {
                let moment = side.sum_times(side.reach(), |level| side.distance(level));
                ratio(moment * notional, side.total() * lot * price_unit)
            };
            let spread = float(i128::from(quotes.ask - quotes.bid)) / float(price_unit);
            Some((spread + beyond(&asks)?) + beyond(&bids)?)
        }
        Column::Slope(side, levels) => {
            let side = first(context, side, levels);
            let last = side.levels.get(levels.checked_sub(1)?)?;
            let distance = i128::from(side.distance(last)) * i128::from(units.tick_scaled);
            ratio(distance * pow10(units.qty_scale), side.total() * lot * price_unit)
        }
        Column::SlopeOls(side, levels) => {
            let in_prices = first(context, side, levels).slope_ols(units)?;
            let s = i128::from(quotes.bid) + i128::from(quotes.ask);
            Some(in_prices * (float(s) / float(20_000 * pow10(units.qty_scale))))
        }
        Column::SlopeAsymmetry(levels) => {
            let [bids, asks] = both(levels);
            Some(bids.slope_ols(units)? / asks.slope_ols(units)?)
        }
        Column::CentreOfGravity(levels) => {
            let [bids, asks] = both(levels);
            let total = (bids.total() + asks.total()) * lot;
            ratio((bids.value() + asks.value()) * notional, total * price_unit)
        }
        Column::CogMinusMid(levels) => {
            let [bids, asks] = both(levels);
            let s = bids.best_ticks() + asks.best_ticks();
            // Twice the distance from the mid is largest at the last level, or half a spread.
            let lean = |side: &Levels<'_>| {
                let bound =
                    (2 * side.last_ticks() - s).abs().max((2 * side.best_ticks() - s).abs());
                side.sum_times(bound, |level| 2 * level.price_ticks - s)
            };
            let total = (bids.total() + asks.total()) * lot;
            let s = i128::from(quotes.bid) + i128::from(quotes.ask);
            Some((float((lean(&bids) + lean(&asks)) * notional) * 1e4) / float(s * total))
        }
        Column::Pressure(levels) => {
            let [bids, asks] = both(levels);
            let (bids, asks) = (bids.total() * lot, asks.total() * lot);
            ratio(bids - asks, bids + asks)
        }
        _ => band_or_decay(context, column),
    }
}

/// The value of a column that looks at bands or at single levels.
fn band_or_decay<B: BookView>(context: &Context<'_, B>, column: Column) -> Option<f64> {
    match column {
        Column::Convexity { near_bps, far_bps } => {
            ratio(both_bands(context, 0, near_bps), both_bands(context, 0, far_bps))
        }
        Column::Decay(side, level) => {
            let (qty, best) = decay(context, side, level)?;
            ratio(qty, best)
        }
        Column::MeanDecay(level) => {
            let (bid, best_bid) = decay(context, Side::Bid, level)?;
            let (ask, best_ask) = decay(context, Side::Ask, level)?;
            ratio(bid * best_ask + ask * best_bid, 2 * best_bid * best_ask)
        }
        Column::SpreadPerQuantity { lo_bps, hi_bps } => {
            let qty = both_bands(context, lo_bps, hi_bps);
            let spread = i128::from(context.quotes.ask) - i128::from(context.quotes.bid);
            let spread = ratio(spread, pow10(context.units.price_scale))?;
            let qty = ratio(qty, pow10(context.units.qty_scale)).filter(|_| qty != 0)?;
            Some(spread / qty)
        }
        _ => None,
    }
}

/// Quantity of one level and of the best one, scaled.
fn decay<B: BookView>(context: &Context<'_, B>, side: Side, level: usize) -> Option<(i128, i128)> {
    let lot = i128::from(context.units.lot_scaled);
    let scaled = |level: &Level| i128::from(level.qty_lots) * lot;
    let top = context.top(side);
    Some((scaled(top.get(level)?), scaled(top.first()?)))
}

fn both_bands<B: BookView>(context: &Context<'_, B>, lo_bps: i64, hi_bps: i64) -> i128 {
    band(context, Side::Bid, lo_bps, Far::Exclusive(hi_bps))
        + band(context, Side::Ask, lo_bps, Far::Exclusive(hi_bps))
}

#[inline]
fn first<'a, B: BookView>(context: &Context<'a, B>, side: Side, levels: usize) -> Levels<'a> {
    let top = context.book.top(side);
    let levels = &top[..top.len().min(levels)];
    Levels { levels, total_lots: context.sums.lots(side, levels.len()) }
}

/// What sums of 64 bits can hold with room for the sign.
const NARROW: i128 = 1 << 62;

/// The first levels of one side, in ticks and lots. Prices and quantities are below 2^53 and levels at
/// most 64, so that everything here is below 2^125, and on most markets far below 2^62: then sums
/// are of 64 bits.
#[derive(Debug, Clone, Copy)]
struct Levels<'a> {
    levels: &'a [Level],
    total_lots: i64,
}

impl Levels<'_> {
    #[inline]
    fn best_ticks(&self) -> i64 {
        self.levels.first().map_or(0, |best| best.price_ticks)
    }

    #[inline]
    fn last_ticks(&self) -> i64 {
        self.levels.last().map_or(0, |last| last.price_ticks)
    }

    /// Distance from the best price.
    #[inline]
    fn distance(&self, level: &Level) -> i64 {
        (level.price_ticks - self.best_ticks()).abs()
    }

    /// The largest distance.
    #[inline]
    fn reach(&self) -> i64 {
        (self.last_ticks() - self.best_ticks()).abs()
    }

    #[inline]
    fn total(&self) -> i128 {
        i128::from(self.total_lots)
    }

    /// Sum of quantities times a weight that `bound` bounds.
    #[inline]
    fn sum_times(&self, bound: i64, weight: impl Fn(&Level) -> i64) -> i128 {
        if self.total() * i128::from(bound) < NARROW {
            return self.levels.iter().map(|l| weight(l) * l.qty_lots).sum::<i64>().into();
        }
        self.levels.iter().map(|l| i128::from(weight(l)) * i128::from(l.qty_lots)).sum()
    }

    /// Sum of price times quantity.
    #[inline]
    fn value(&self) -> i128 {
        let bound = self.best_ticks().max(self.last_ticks());
        self.sum_times(bound, |level| level.price_ticks)
    }

    /// Sum of the squared quantities.
    #[inline]
    fn squares(&self) -> i128 {
        self.sum_times(self.total_lots, |level| level.qty_lots)
    }

    fn half_depth_level(&self) -> u32 {
        let mut so_far = 0;
        let short_of_half = self.levels.iter().take_while(|level| {
            so_far += level.qty_lots;
            2 * so_far < self.total_lots
        });
        short_of_half.count() as u32
    }

    /// Least-squares slope of cumulative quantity over distance, both scaled; `None` below 3 levels.
    #[inline]
    fn slope_ols(&self, units: Units) -> Option<f64> {
        let n = self.levels.len() as i128;
        if n < 3 {
            return None;
        }
        let largest = i128::from(self.total_lots.max(self.reach()));
        let (num, den) = if n * n * i128::from(self.reach()) * largest < NARROW {
            self.slope_terms(|x| x)
        } else {
            self.slope_terms(i128::from)
        };
        let tick = i128::from(units.tick_scaled);
        ratio(num * (tick * i128::from(units.lot_scaled)), den * (tick * tick))
    }

    /// Numerator and denominator of the slope in lots per tick, summed in a type that is wide enough.
    #[inline]
    fn slope_terms<T>(&self, wide: impl Fn(i64) -> T) -> (i128, i128)
    where
        T: Copy + AddAssign + Mul<Output = T> + Sub<Output = T> + Into<i128>,
    {
        let zero = || wide(0);
        let (mut y, mut sum_v, mut sum_y, mut sum_vv, mut sum_vy) =
            (zero(), zero(), zero(), zero(), zero());
        for level in self.levels {
            let v = wide(self.distance(level));
            y += wide(level.qty_lots);
            sum_v += v;
            sum_y += y;
            sum_vv += v * v;
            sum_vy += v * y;
        }
        let n = wide(self.levels.len() as i64);
        ((n * sum_vy - sum_v * sum_y).into(), (n * sum_vv - sum_v * sum_v).into())
    }
}
