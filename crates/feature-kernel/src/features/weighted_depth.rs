//! Depth weighted by distance from the mid (family `weighted_depth`).
//!
//! Spec: `specs/features/weighted_depth.md`. Reference and cases: `parity/reference`,
//! `parity/cases/weighted_depth.toml`.

use core::f64::consts::LN_2;

use market_model::{BookView, Level, Side};

use super::l1_column;
use crate::bands::{Far, bounds};
use crate::context::{Context, Units};
use crate::meta::{ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{det_exp, float, pow10};
use crate::params::levels;
use crate::registry::{Family, Wanted};
use crate::set::Feature;
use crate::slots::Slots;

/// Quantity or notional that fades with the distance from the mid, and its imbalance.
#[derive(Debug, Clone)]
pub struct WeightedDepth {
    columns: Vec<Column>,
    sums: Vec<Sums>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    slot: usize,
    /// Index of the sums it shows.
    sums: usize,
    shows: Shows,
}

#[derive(Debug, Clone, Copy)]
enum Shows {
    Side(usize),
    Imbalance,
}

/// Weighted bids and asks for one choice of parameters; columns that agree on them share the pass
/// over the book.
#[derive(Debug, Clone)]
struct Sums {
    /// Decay of the weight per unit of distance, which is a fraction of the mid.
    rate: f64,
    what: What,
    reach: Reach,
    /// Bids and asks, before the division by the unit.
    sides: [f64; 2],
    weights: [Weights; 2],
    /// Twice the mid to which the weights belong, scaled.
    weighed_at: i128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Qty,
    Notional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Bps(i64),
    Levels(usize),
}

const HALFLIFE: &[&str] = &["halflife_bps", "measure", "cutoff_halflives"];
const SMART: &[&str] = &["k", "levels"];

const fn halflife(
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
) -> ColumnMeta {
    let base = l1_column(id, Dtype::F64, Scale::None, unit, doc);
    ColumnMeta { reads: Reads::Band, params: HALFLIFE, name, ..base }
}

const fn smart(
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
) -> ColumnMeta {
    ColumnMeta { reads: Reads::TopN, params: SMART, ..halflife(id, name, unit, doc) }
}

const COLUMNS: &[ColumnMeta] = &[
    halflife(
        "weighted_bid",
        "weighted_bid_{halflife_bps}bps_{measure}_{cutoff_halflives}",
        "quantity or notional",
        "Bid depth, halved every halflife_bps from the mid.",
    ),
    halflife(
        "weighted_ask",
        "weighted_ask_{halflife_bps}bps_{measure}_{cutoff_halflives}",
        "quantity or notional",
        "Ask depth, halved every halflife_bps from the mid.",
    ),
    halflife(
        "weighted_oib",
        "weighted_oib_{halflife_bps}bps_{measure}_{cutoff_halflives}",
        "ratio in -1..1",
        "Imbalance of the two weighted depths.",
    ),
    smart(
        "smart_bid",
        "smart_bid_{k}_{levels}",
        "quantity",
        "Bid quantity of the best levels weighted by exp(-k * fractional distance).",
    ),
    smart(
        "smart_ask",
        "smart_ask_{k}_{levels}",
        "quantity",
        "Ask quantity of the best levels weighted by exp(-k * fractional distance).",
    ),
    smart(
        "smart_oib",
        "smart_oib_{k}_{levels}",
        "ratio in -1..1",
        "Imbalance of the two smart depths.",
    ),
];

impl Family for WeightedDepth {
    const META: FamilyMeta = FamilyMeta {
        slug: "weighted_depth",
        doc: "Depth of the whole book that fades with the distance from the mid.",
        source: "exponential kernel in basis points; smart depth of the CCXT job",
        columns: COLUMNS,
        params: &[
            ParamMeta {
                key: "halflife_bps",
                kind: ParamKind::Int { min: 1, max: 10_000, default: None },
                doc: "Distance at which a level counts half.",
            },
            ParamMeta {
                key: "measure",
                kind: ParamKind::Choice(&["qty", "notional"]),
                doc: "What is summed: quantity, or price times quantity.",
            },
            ParamMeta {
                key: "cutoff_halflives",
                kind: ParamKind::Int { min: 1, max: 64, default: Some(40) },
                doc: "Levels farther than so many half-lives do not count.",
            },
            ParamMeta {
                key: "k",
                kind: ParamKind::Int { min: 1, max: 100_000, default: Some(100) },
                doc: "Decay per unit of distance as a fraction of the mid.",
            },
            levels(50),
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let mut sums: Vec<Sums> = Vec::new();
        let mut columns = Vec::new();
        for (slot, f) in wanted {
            let fresh = Sums::of(f);
            let index = sums.iter().position(|known| known.agrees(&fresh)).unwrap_or(sums.len());
            if index == sums.len() {
                sums.push(fresh);
            }
            let shows = match f.column_index % 3 {
                2 => Shows::Imbalance,
                side => Shows::Side(side),
            };
            columns.push(Column { slot: *slot, sums: index, shows });
        }
        Self { columns, sums }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.sums.iter_mut().for_each(|sums| sums.sum(context));
        for &Column { slot, sums, shows } in &self.columns {
            let sums = &self.sums[sums];
            let [bids, asks] = sums.sides;
            let value = match shows {
                Shows::Side(side) => sums.sides[side] / float(sums.unit(context.units)),
                // 0 / 0 is not finite and stays invalid.
                Shows::Imbalance => (bids - asks) / (bids + asks),
            };
            slots.f64(slot, value);
        }
    }
}

impl Sums {
    fn of(f: &Feature) -> Self {
        let new = |rate, what, reach| Self {
            rate,
            what,
            reach,
            sides: [0.0; 2],
            weights: Default::default(),
            weighed_at: 0,
        };
        if f.column_index >= 3 {
            let rate = float(i128::from(f.wide_param("k")));
            return new(rate, What::Qty, Reach::Levels(f.int_param("levels")));
        }
        let halflife_bps = f.wide_param("halflife_bps");
        let rate = (LN_2 * 10_000.0) / float(i128::from(halflife_bps));
        let what = if f.choice_param("measure") == "qty" { What::Qty } else { What::Notional };
        new(rate, what, Reach::Bps(halflife_bps * f.wide_param("cutoff_halflives")))
    }

    fn agrees(&self, other: &Self) -> bool {
        self.rate.to_bits() == other.rate.to_bits()
            && self.what == other.what
            && self.reach == other.reach
    }

    /// What the sums are divided by.
    fn unit(&self, units: Units) -> i128 {
        match self.what {
            What::Qty => pow10(units.qty_scale),
            What::Notional => pow10(units.price_scale) * pow10(units.qty_scale),
        }
    }

    /// One pass over each side, best first: the order of the additions is part of the definition.
    fn sum<B: BookView>(&mut self, context: &Context<'_, B>) {
        let units = context.units;
        let (rate, what, reach) = (self.rate, self.what, self.reach);
        let s = i128::from(context.quotes.bid) + i128::from(context.quotes.ask);
        let twice_mid = float(s);
        if self.weighed_at != s {
            self.weighed_at = s;
            self.weights.iter_mut().for_each(Weights::forget);
        }
        let sides = self.sides.iter_mut().zip(&mut self.weights);
        for ((sum, weights), side) in sides.zip([Side::Bid, Side::Ask]) {
            *sum = 0.0;
            let add = |level: Level| {
                let price = i128::from(level.price_ticks) * i128::from(units.tick_scaled);
                let qty = i128::from(level.qty_lots) * i128::from(units.lot_scaled);
                let amount = if what == What::Qty { qty } else { price * qty };
                let outwards =
                    if side == Side::Bid { -level.price_ticks } else { level.price_ticks };
                let weight = weights.of(outwards, || {
                    let distance = float((2 * price - s).abs()) / twice_mid;
                    det_exp(-(rate * distance))
                });
                *sum += float(amount) * weight;
            };
            match reach {
                Reach::Levels(levels) => {
                    context.book.top(side).iter().take(levels).copied().for_each(add);
                }
                Reach::Bps(bps) => {
                    let (low, high) = bounds(context, side, 0, Far::Inclusive(bps));
                    context.book.for_each_level(side, low, high, add);
                }
            }
            weights.end();
        }
    }
}

/// Weights of the levels of one side, kept while the mid stands: an exponential costs more than the
/// rest of a level, and most packets leave the mid where it is.
#[derive(Debug, Clone, Default)]
struct Weights {
    /// Price, negated for bids, and weight of the last pass; rising.
    known: Vec<(i64, f64)>,
    /// Those before it are passed.
    next: usize,
    /// The same of this pass.
    fresh: Vec<(i64, f64)>,
}

impl Weights {
    /// Another mid: nothing is known.
    fn forget(&mut self) {
        self.known.clear();
    }

    /// The weight of a level, computed when the last pass did not see it. Levels come outwards.
    #[inline]
    fn of(&mut self, outwards: i64, compute: impl FnOnce() -> f64) -> f64 {
        while self.known.get(self.next).is_some_and(|(known, _)| *known < outwards) {
            self.next += 1;
        }
        let weight = match self.known.get(self.next) {
            Some((known, weight)) if *known == outwards => *weight,
            _ => compute(),
        };
        self.fresh.push((outwards, weight));
        weight
    }

    /// The pass is over.
    fn end(&mut self) {
        core::mem::swap(&mut self.known, &mut self.fresh);
        self.fresh.clear();
        self.next = 0;
    }
}
