//! Order-flow imbalance over the depth that it moves (family `ofi_norm`).
//!
//! Spec: `specs/features/ofi_norm.md`. Reference and cases: `parity/reference`, `parity/cases/ofi_norm.toml`.

use market_model::{BookView, Side, StateError, StateReader, StateWriter};

use super::ema::span_alpha;
use super::l1_column;
use crate::context::{Context, Units};
use crate::levels::{Anchor, net_lots};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{float, ratio, round_to_i64};
use crate::params::levels;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Flow divided by the average quantity of the two sides.
#[derive(Debug, Clone)]
pub struct OfiNorm {
    columns: Vec<Column>,
    anchor: Anchor,
}

#[derive(Debug, Clone)]
enum Column {
    Step {
        slot: usize,
        levels: usize,
        /// Lots of this packet; `None` when unknown.
        flow_lots: Option<i64>,
    },
    Ema {
        slot: usize,
        alpha: f64,
        /// Average of the flow at the touch, scaled.
        state: f64,
    },
}

impl Family for OfiNorm {
    const META: FamilyMeta = FamilyMeta {
        slug: "ofi_norm",
        doc: "Order-flow imbalance over the average depth of the two sides.",
        source: "Cont, Kukanov and Stoikov (2014), impact is inverse to depth",
        columns: &[
            ColumnMeta {
                id: "ofi_norm",
                name: "ofi_norm_{levels}",
                reads: Reads::TopN,
                behaviour: Behaviour::Step,
                warmup_min_events: 2,
                params: &["levels"],
                ..l1_column(
                    "",
                    Dtype::F64,
                    Scale::None,
                    "ratio per packet",
                    "Flow of this packet over the average depth of the two sides.",
                )
            },
            ColumnMeta {
                id: "ofi_depth_norm_ppm",
                name: "ofi_depth_norm_ppm_{span}",
                behaviour: Behaviour::Stateful,
                warmup_min_events: 8,
                params: &["span"],
                ..l1_column(
                    "",
                    Dtype::I64,
                    Scale::Times(1_000_000),
                    "ppm",
                    "Moving average of the flow at the touch over the average best quantity.",
                )
            },
        ],
        params: &[
            levels(1),
            ParamMeta {
                key: "span",
                kind: ParamKind::Int { min: 1, max: 1_000_000_000, default: Some(8) },
                doc: "Weight 2/(span+1) per step.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let column = |(slot, f): &Wanted<'_>| match f.column_index {
            0 => Column::Step { slot: *slot, levels: f.int_param("levels"), flow_lots: None },
            _ => Column::Ema { slot: *slot, alpha: span_alpha(f.wide_param("span")), state: 0.0 },
        };
        let columns: Vec<Column> = wanted.iter().map(column).collect();
        let deepest = columns.iter().map(Column::levels).max().unwrap_or(1);
        Self { columns, anchor: Anchor::new(deepest) }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        let is_set = self.anchor.is_set();
        for column in &mut self.columns {
            let levels = column.levels();
            let flow = match (context.book_step, context.gap_step) {
                (false, _) => Some(0),
                (true, true) => None,
                (true, false) if !is_set => Some(0),
                (true, false) => Some(net_lots(&self.anchor, context.book, levels, 0)),
            };
            match column {
                Column::Step { flow_lots, .. } => *flow_lots = flow,
                Column::Ema { alpha, state, .. } => {
                    if let (true, Some(lots)) = (context.book_step, flow) {
                        let x = float(i128::from(lots) * i128::from(context.units.lot_scaled));
                        *state = (1.0 - *alpha) * *state + *alpha * x;
                    }
                }
            }
        }
        if context.book_step {
            self.anchor.take(context.book);
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        for column in &self.columns {
            match column {
                Column::Step { slot, levels, flow_lots } => {
                    let Some(lots) = flow_lots else { continue };
                    let flow = i128::from(*lots) * i128::from(context.units.lot_scaled);
                    let depth = context.depth_scaled(Side::Bid, *levels)
                        + context.depth_scaled(Side::Ask, *levels);
                    slots.opt_f64(*slot, ratio(2 * flow, depth));
                }
                Column::Ema { slot, state, .. } => {
                    // Quantities are below 2^53, so their sum fits; both are positive.
                    let depth = (context.quotes.bid_qty + context.quotes.ask_qty) / 2;
                    let ppm = (state * 1e6) / (depth as f64);
                    match round_to_i64(ppm) {
                        Some(rounded) => slots.i64(*slot, rounded),
                        None => slots.i128(*slot, ppm.round_ties_even() as i128),
                    }
                }
            }
        }
    }

    fn reset(&mut self) {
        self.anchor.reset();
        for column in &mut self.columns {
            match column {
                Column::Step { flow_lots, .. } => *flow_lots = None,
                Column::Ema { state, .. } => *state = 0.0,
            }
        }
    }

    fn save(&self, out: &mut StateWriter) {
        self.anchor.save(out);
        for column in &self.columns {
            match column {
                Column::Step { flow_lots, .. } => out.opt_i64(*flow_lots),
                Column::Ema { state, .. } => out.f64(*state),
            }
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.anchor.load(from)?;
        for column in &mut self.columns {
            match column {
                Column::Step { flow_lots, .. } => *flow_lots = from.opt_i64()?,
                Column::Ema { state, .. } => *state = from.f64()?,
            }
        }
        Ok(())
    }
}

impl Column {
    fn levels(&self) -> usize {
        match self {
            Self::Step { levels, .. } => *levels,
            Self::Ema { .. } => 1,
        }
    }
}
