//! Order-flow imbalance over several levels (family `ofi_ml`).
//!
//! Spec: `specs/features/ofi_ml.md`. Reference and cases: `parity/reference`, `parity/cases/ofi_ml.toml`.

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::levels::{Align, Anchor, LevelFlow};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{det_exp, float, pow10};
use crate::registry::{Family, Wanted};
use crate::set::Feature;
use crate::slots::Slots;

/// Flow at the best levels from packet to packet: by level, summed, and weighted by level.
#[derive(Debug, Clone)]
pub struct OfiMl {
    columns: Vec<Column>,
    flows: Vec<Flow>,
    anchor: Anchor,
}

#[derive(Debug, Clone)]
struct Column {
    slot: usize,
    /// Index of the flow it shows.
    flow: usize,
    shows: Shows,
}

#[derive(Debug, Clone)]
enum Shows {
    Sum,
    Level(usize),
    /// Weights of the levels, best first.
    Decayed(Vec<f64>),
}

/// The flow of this packet for one choice of parameters; columns that agree on them share it.
#[derive(Debug, Clone)]
struct Flow {
    levels: usize,
    align: Align,
    is_known: bool,
    now: LevelFlow,
}

const OFI: ColumnMeta = ColumnMeta {
    reads: Reads::TopN,
    behaviour: Behaviour::Step,
    warmup_min_events: 2,
    ..l1_column("", Dtype::I64, Scale::Qty, "quantity per packet", "")
};

impl Family for OfiMl {
    const META: FamilyMeta = FamilyMeta {
        slug: "ofi_ml",
        doc: "Order-flow imbalance over several levels, once per packet.",
        source: "Xu, Gould and Howison (2018), Multi-level order-flow imbalance in a limit order book",
        columns: &[
            ColumnMeta {
                id: "ofi_ml",
                name: "ofi_ml_{levels}_{align}",
                params: &["levels", "align"],
                doc: "Flow of this packet over the best levels.",
                ..OFI
            },
            ColumnMeta {
                id: "ofi_ml_level",
                name: "ofi_ml_level_{level}_of_{levels}_{align}",
                params: &["level", "levels", "align"],
                doc: "Flow of this packet at one of the best levels.",
                ..OFI
            },
            ColumnMeta {
                id: "ofi_ml_decayed",
                name: "ofi_ml_decayed_{levels}_{decay_permille}_{align}",
                dtype: Dtype::F64,
                scale: Scale::None,
                params: &["levels", "decay_permille", "align"],
                doc: "Flow of this packet, level i weighted by exp(-i * decay).",
                ..OFI
            },
        ],
        params: &[
            ParamMeta {
                key: "levels",
                kind: ParamKind::Int { min: 1, max: 64, default: Some(5) },
                doc: "Number of levels of a side that are compared, from the best.",
            },
            ParamMeta {
                key: "level",
                kind: ParamKind::Int { min: 0, max: 63, default: Some(0) },
                doc: "Level, 0 is the best; below levels.",
            },
            ParamMeta {
                key: "decay_permille",
                kind: ParamKind::Int { min: 0, max: 10_000, default: Some(500) },
                doc: "Decay of the weight from level to level, in thousandths.",
            },
            ParamMeta {
                key: "align",
                kind: ParamKind::Choice(&["price", "index"]),
                doc: "What makes a level of two packets the same: its price or its number.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let mut flows: Vec<Flow> = Vec::new();
        let mut columns = Vec::new();
        for (slot, f) in wanted {
            let (levels, align) = (f.int_param("levels"), Align::of(f.choice_param("align")));
            let known = flows.iter().position(|flow| (flow.levels, flow.align) == (levels, align));
            let flow = known.unwrap_or(flows.len());
            if known.is_none() {
                flows.push(Flow { levels, align, is_known: false, now: LevelFlow::none(levels) });
            }
            let shows = match f.column_index {
                0 => Shows::Sum,
                1 => Shows::Level(f.int_param("level")),
                _ => Shows::Decayed(weights(levels, f)),
            };
            columns.push(Column { slot: *slot, flow, shows });
        }
        let deepest = flows.iter().map(|flow| flow.levels).max().unwrap_or(1);
        Self { columns, flows, anchor: Anchor::new(deepest) }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        let unknown = context.book_step && context.gap_step;
        let compares = context.book_step && self.anchor.is_set();
        for flow in &mut self.flows {
            flow.is_known = !unknown;
            if flow.is_known && compares {
                flow.now.take(&self.anchor, context.book, flow.levels, flow.align);
            } else {
                flow.now.clear(flow.levels);
            }
        }
        if context.book_step {
            self.anchor.take(context.book);
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let lot = i128::from(context.units.lot_scaled);
        for column in &self.columns {
            let Flow { is_known: true, now: flow, .. } = &self.flows[column.flow] else { continue };
            match &column.shows {
                Shows::Sum => slots.i128(column.slot, i128::from(flow.total_lots()) * lot),
                Shows::Level(level) => {
                    if let Some(lots) = flow.lots().get(*level) {
                        slots.i128(column.slot, i128::from(*lots) * lot);
                    }
                }
                Shows::Decayed(weights) => {
                    let mut sum = 0.0;
                    for (weight, lots) in weights.iter().zip(flow.lots()) {
                        sum += weight * float(i128::from(*lots) * lot);
                    }
                    slots.f64(column.slot, sum / float(pow10(context.units.qty_scale)));
                }
            }
        }
    }

    fn reset(&mut self) {
        self.anchor.reset();
        for flow in &mut self.flows {
            flow.is_known = false;
            flow.now.clear(flow.levels);
        }
    }

    fn save(&self, out: &mut StateWriter) {
        self.anchor.save(out);
        for flow in &self.flows {
            out.u64(flow.is_known.into());
            flow.now.save(out);
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.anchor.load(from)?;
        for flow in &mut self.flows {
            flow.is_known = from.bool("ofi_ml.flow")?;
            flow.now = LevelFlow::load(from)?;
        }
        Ok(())
    }
}

/// `exp(-(i * decay))` of each level.
fn weights(levels: usize, feature: &Feature) -> Vec<f64> {
    let decay_permille = feature.wide_param("decay_permille");
    let weight = |level: usize| {
        let exponent = level as i128 * i128::from(decay_permille);
        det_exp(-(float(exponent) / 1_000.0))
    };
    (0..levels).map(weight).collect()
}
