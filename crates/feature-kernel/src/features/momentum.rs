//! Momentum of the depth behind the best prices (family `momentum`).
//!
//! Spec: `specs/features/momentum.md`. Reference and cases: `parity/reference`, `parity/cases/momentum.toml`.

use market_model::{BookView, Level, Side, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::levels::{Anchor, net_lots};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{det_exp, float, pow10, round_to_i64};
use crate::registry::{Family, Wanted};
use crate::set::Feature;
use crate::slots::Slots;

/// Fast minus slow average of what joins the levels behind the best, smoothed.
#[derive(Debug, Clone)]
pub struct Momentum {
    columns: Vec<Column>,
    anchor: Anchor,
}

#[derive(Debug, Clone)]
struct Column {
    slot: usize,
    levels: usize,
    deployed: Option<Deployed>,
    averages: Averages,
}

/// What the column of the deployed system has besides.
#[derive(Debug, Clone, Copy)]
struct Deployed {
    silent_steps: u64,
    steps: u64,
    /// Lots behind the best bid minus those behind the best ask, in the last packet.
    deep_lots: i64,
}

#[derive(Debug, Clone, Copy)]
struct Averages {
    /// Weights of a new value: fast, slow, smooth.
    weights: [f64; 3],
    fast: f64,
    slow: f64,
    smooth: f64,
}

const fn steps_param(key: &'static str, default: i64, doc: &'static str) -> ParamMeta {
    let kind = ParamKind::Int { min: 1, max: 1_000_000, default: Some(default) };
    ParamMeta { key, kind, doc }
}

impl Family for Momentum {
    const META: FamilyMeta = FamilyMeta {
        slug: "momentum",
        doc: "Momentum of the depth behind the best prices.",
        source: "difference of two averages; deep_depth_momentum of lob_shared_v2",
        columns: &[
            ColumnMeta {
                name: "deep_momentum_{levels}_{fast}_{slow}_{smooth}",
                reads: Reads::TopN,
                behaviour: Behaviour::Stateful,
                warmup_min_events: 128,
                params: &["levels", "fast", "slow", "smooth"],
                ..l1_column(
                    "deep_momentum",
                    Dtype::F64,
                    Scale::None,
                    "quantity per packet",
                    "Fast minus slow average of the flow behind the best, by price.",
                )
            },
            ColumnMeta {
                name: "deep_depth_momentum_x1000_{levels}_{silent_steps}",
                reads: Reads::TopN,
                behaviour: Behaviour::Stateful,
                warmup_min_events: 128,
                params: &["levels", "silent_steps"],
                ..l1_column(
                    "deep_depth_momentum_x1000",
                    Dtype::I64,
                    Scale::Times(1_000),
                    "quantity per packet, within -2..2",
                    "The same by level number, clipped, as in lob_shared_v2.",
                )
            },
        ],
        params: &[
            ParamMeta {
                key: "levels",
                kind: ParamKind::Int { min: 2, max: 64, default: Some(5) },
                doc: "Number of levels of a side, from the best, which itself does not count.",
            },
            steps_param("fast", 8, "Time constant of the fast average in steps."),
            steps_param("slow", 64, "Time constant of the slow average in steps."),
            steps_param("smooth", 16, "Time constant of the average of their difference."),
            steps_param("silent_steps", 128, "The value is 0 before so many steps."),
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let columns: Vec<Column> = wanted.iter().map(|(slot, f)| Column::new(*slot, f)).collect();
        let deepest = columns.iter().map(|column| column.levels).max().unwrap_or(1);
        Self { columns, anchor: Anchor::new(deepest) }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if !context.book_step {
            return;
        }
        let stands = |side| {
            let price = |level: &Level| level.price_ticks;
            self.anchor.top(side).first().map(price) == context.book.top(side).first().map(price)
        };
        let best_stands = stands(Side::Bid) && stands(Side::Ask);
        for column in &mut self.columns {
            column.step(context, &self.anchor, best_stands);
        }
        self.anchor.take(context.book);
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        for Column { slot, deployed, averages, .. } in &self.columns {
            match deployed {
                None => {
                    slots.f64(*slot, averages.smooth / float(pow10(context.units.qty_scale)));
                }
                Some(deployed) if deployed.steps < deployed.silent_steps => slots.i64(*slot, 0),
                Some(_) => {
                    let clipped = averages.smooth.clamp(-2.0, 2.0);
                    slots.i64(*slot, round_to_i64(clipped * 1_000.0).unwrap_or_default());
                }
            }
        }
    }

    fn reset(&mut self) {
        self.anchor.reset();
        for column in &mut self.columns {
            column.averages = Averages { weights: column.averages.weights, ..Averages::ZERO };
            if let Some(deployed) = &mut column.deployed {
                (deployed.steps, deployed.deep_lots) = (0, 0);
            }
        }
    }

    fn save(&self, out: &mut StateWriter) {
        self.anchor.save(out);
        for Column { deployed, averages, .. } in &self.columns {
            [averages.fast, averages.slow, averages.smooth].into_iter().for_each(|x| out.f64(x));
            if let Some(deployed) = deployed {
                out.u64(deployed.steps);
                out.i64(deployed.deep_lots);
            }
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.anchor.load(from)?;
        for Column { deployed, averages, .. } in &mut self.columns {
            (averages.fast, averages.slow) = (from.f64()?, from.f64()?);
            averages.smooth = from.f64()?;
            if let Some(deployed) = deployed {
                (deployed.steps, deployed.deep_lots) = (from.u64()?, from.i64()?);
            }
        }
        Ok(())
    }
}

impl Column {
    fn new(slot: usize, f: &Feature) -> Self {
        let is_deployed = f.column_index == 1;
        let steps = |key: &str, fixed: i64| if is_deployed { fixed } else { f.wide_param(key) };
        let weight = |steps: i64| 1.0 - det_exp(-(1.0 / float(steps.into())));
        let weights = [steps("fast", 8), steps("slow", 64), steps("smooth", 16)].map(weight);
        let deployed = is_deployed.then(|| Deployed {
            silent_steps: f.wide_param("silent_steps").unsigned_abs(),
            steps: 0,
            deep_lots: 0,
        });
        let averages = Averages { weights, ..Averages::ZERO };
        Self { slot, levels: f.int_param("levels"), deployed, averages }
    }

    fn step<B: BookView>(&mut self, context: &Context<'_, B>, anchor: &Anchor, best_stands: bool) {
        let scaled = |lots: i64| float(i128::from(lots) * i128::from(context.units.lot_scaled));
        if let Some(deployed) = &mut self.deployed {
            let before = deployed.deep_lots;
            let [bids, asks] = [Side::Bid, Side::Ask].map(|side| context.book.top(side));
            let deep = |side: &[Level]| -> i64 {
                side.iter().take(self.levels).skip(1).map(|level| level.qty_lots).sum()
            };
            deployed.deep_lots = deep(bids) - deep(asks);
            deployed.steps += 1;
            let moved = anchor.is_set() && !best_stands;
            let blind = context.gap_step || moved || bids.len().min(asks.len()) < 2;
            self.averages.step(if blind { 0.0 } else { scaled(deployed.deep_lots - before) });
        } else if best_stands && !context.gap_step {
            self.averages.step(scaled(net_lots(anchor, context.book, self.levels, 1)));
        }
    }
}

impl Averages {
    const ZERO: Self = Self { weights: [0.0; 3], fast: 0.0, slow: 0.0, smooth: 0.0 };

    fn step(&mut self, x: f64) {
        let [fast, slow, smooth] = self.weights;
        self.fast += fast * (x - self.fast);
        self.slow += slow * (x - self.slow);
        self.smooth += smooth * ((self.fast - self.slow) - self.smooth);
    }
}
