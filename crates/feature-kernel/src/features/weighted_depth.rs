//! Depth weighted by distance from the mid (family `weighted_depth`).
//!
//! Spec: `specs/features/weighted_depth.md`. Reference and cases: `parity/reference`,
//! `parity/cases/weighted_depth.toml`.

use core::f64::consts::LN_2;

use market_model::{BookView, Level, Side, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::bands::{Far, bounds};
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{det_exp, float, pow10};
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
#[derive(Debug, Clone, Copy)]
struct Sums {
    /// Decay of the weight per unit of distance, which is a fraction of the mid.
    rate: f64,
    what: What,
    reach: Reach,
    /// Bids and asks of the last book packet, before the division by the unit.
    sides: [f64; 2],
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
    let behaviour = Behaviour::Stateful;
    ColumnMeta { reads: Reads::Band, behaviour, params: HALFLIFE, name, ..base }
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
            ParamMeta {
                key: "levels",
                kind: ParamKind::Int { min: 1, max: 64, default: Some(50) },
                doc: "Number of levels of a side, from the best.",
            },
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
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if context.book_step {
            self.sums.iter_mut().for_each(|sums| sums.sum(context));
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
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

    fn reset(&mut self) {
        self.sums.iter_mut().for_each(|sums| sums.sides = [0.0; 2]);
    }

    fn save(&self, out: &mut StateWriter) {
        self.sums.iter().flat_map(|sums| sums.sides).for_each(|side| out.f64(side));
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        for sums in &mut self.sums {
            sums.sides = [from.f64()?, from.f64()?];
        }
        Ok(())
    }
}

impl Sums {
    fn of(f: &Feature) -> Self {
        let sides = [0.0; 2];
        if f.column_index >= 3 {
            let rate = float(i128::from(f.wide_param("k")));
            let reach = Reach::Levels(f.int_param("levels"));
            return Self { rate, what: What::Qty, reach, sides };
        }
        let halflife_bps = f.wide_param("halflife_bps");
        let rate = (LN_2 * 10_000.0) / float(i128::from(halflife_bps));
        let what = if f.choice_param("measure") == "qty" { What::Qty } else { What::Notional };
        let reach = Reach::Bps(halflife_bps * f.wide_param("cutoff_halflives"));
        Self { rate, what, reach, sides }
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
        for (sum, side) in self.sides.iter_mut().zip([Side::Bid, Side::Ask]) {
            *sum = 0.0;
            let add = |level: Level| {
                let price = i128::from(level.price_ticks) * i128::from(units.tick_scaled);
                let qty = i128::from(level.qty_lots) * i128::from(units.lot_scaled);
                let distance = float((2 * price - s).abs()) / twice_mid;
                let amount = if what == What::Qty { qty } else { price * qty };
                *sum += float(amount) * det_exp(-(rate * distance));
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
        }
    }
}
