//! Order flow of every level near the mid (family `ofi_flow`).
//!
//! Spec: `specs/features/ofi_flow.md`. Reference and cases: `parity/reference`, `parity/cases/ofi_flow.toml`.

use core::f64::consts::LN_2;

use market_model::{BookView, Side, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{det_exp, float, pow10, ratio, round_to_i64};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// One, as a weight: weights are integers, so that a flow does not depend on how it is split.
const ONE: i64 = 1 << 31;

/// Signed changes of quantity within a distance of the mid.
#[derive(Debug, Clone)]
pub struct OfiFlow {
    columns: Vec<Column>,
    /// A book packet was seen: there is something to compare with.
    is_anchored: bool,
}

#[derive(Debug, Clone)]
struct Column {
    slot: usize,
    depth_bps: i64,
    /// Flow of this packet, in scaled quantity times `ONE` when weighted; `None` when unknown.
    flow: Option<i128>,
    shows: Shows,
}

#[derive(Debug, Clone, Copy)]
enum Shows {
    Sum,
    /// Decay of the weight per unit of distance, which is a fraction of the mid.
    Weighted {
        rate: f64,
    },
    Decayed {
        halflife_ns: i64,
        /// The running sum, scaled, as of `sum_ns`.
        sum: f64,
        sum_ns: i64,
    },
}

const FLOW: ColumnMeta = ColumnMeta {
    reads: Reads::Band,
    behaviour: Behaviour::Step,
    warmup_min_events: 2,
    ..l1_column("", Dtype::I64, Scale::Qty, "quantity per packet", "")
};

impl Family for OfiFlow {
    const META: FamilyMeta = FamilyMeta {
        slug: "ofi_flow",
        doc: "Signed changes of quantity of every level within a distance of the mid.",
        source: "per-level flow of the replay plan; Cont, Kukanov and Stoikov (2014) at the touch",
        columns: &[
            ColumnMeta {
                id: "ofi_flow",
                name: "ofi_flow_{depth_bps}bps",
                params: &["depth_bps"],
                doc: "What joined the bids and left the asks in this packet.",
                ..FLOW
            },
            ColumnMeta {
                id: "ofi_flow_weighted",
                name: "ofi_flow_weighted_{depth_bps}bps_{halflife_bps}bps",
                dtype: Dtype::F64,
                scale: Scale::None,
                params: &["depth_bps", "halflife_bps"],
                doc: "The same, halved every halflife_bps from the mid.",
                ..FLOW
            },
            ColumnMeta {
                id: "ofi_flow_decayed",
                name: "ofi_flow_decayed_{depth_bps}bps_{halflife_ns}ns",
                dtype: Dtype::F64,
                scale: Scale::None,
                unit: "quantity",
                behaviour: Behaviour::Stateful,
                params: &["depth_bps", "halflife_ns"],
                doc: "Running sum of the flow, halved every halflife_ns.",
                ..FLOW
            },
        ],
        params: &[
            ParamMeta {
                key: "depth_bps",
                kind: ParamKind::Int { min: 1, max: 10_000, default: None },
                doc: "Largest distance from the mid, inclusive.",
            },
            ParamMeta {
                key: "halflife_bps",
                kind: ParamKind::Int { min: 1, max: 10_000, default: None },
                doc: "Distance at which a change counts half.",
            },
            ParamMeta {
                key: "halflife_ns",
                kind: ParamKind::Int { min: 1, max: 86_400_000_000_000, default: None },
                doc: "Time after which a change counts half.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let column = |(slot, f): &Wanted<'_>| {
            let shows = match f.column_index {
                0 => Shows::Sum,
                1 => Shows::Weighted {
                    rate: (LN_2 * 10_000.0) / float(f.wide_param("halflife_bps").into()),
                },
                _ => {
                    let halflife_ns = f.wide_param("halflife_ns");
                    Shows::Decayed { halflife_ns, sum: 0.0, sum_ns: 0 }
                }
            };
            Column { slot: *slot, depth_bps: f.wide_param("depth_bps"), flow: None, shows }
        };
        Self { columns: wanted.iter().map(column).collect(), is_anchored: false }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        for column in &mut self.columns {
            column.flow = match (context.book_step, context.gap_step) {
                (false, _) => Some(0),
                (true, true) => None,
                (true, false) if !self.is_anchored => Some(0),
                (true, false) => Some(column.flow_of(context)),
            };
            if let (true, Some(flow)) = (context.book_step, column.flow)
                && let Shows::Decayed { halflife_ns, sum, sum_ns } = &mut column.shows
            {
                *sum = *sum * fading(context.now_ns - *sum_ns, *halflife_ns) + float(flow);
                *sum_ns = context.now_ns;
            }
        }
        self.is_anchored |= context.book_step;
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let unit = pow10(context.units.qty_scale);
        for Column { slot, flow, shows, .. } in &self.columns {
            match (shows, flow) {
                (Shows::Decayed { halflife_ns, sum, sum_ns }, _) => {
                    let now = sum * fading(context.now_ns - sum_ns, *halflife_ns);
                    slots.f64(*slot, now / float(unit));
                }
                (Shows::Sum, Some(flow)) => slots.i128(*slot, *flow),
                (Shows::Weighted { .. }, Some(flow)) => {
                    slots.opt_f64(*slot, ratio(*flow, i128::from(ONE) * unit));
                }
                (_, None) => {}
            }
        }
    }

    fn reset(&mut self) {
        self.is_anchored = false;
        for column in &mut self.columns {
            column.flow = None;
            if let Shows::Decayed { sum, sum_ns, .. } = &mut column.shows {
                (*sum, *sum_ns) = (0.0, 0);
            }
        }
    }

    fn save(&self, out: &mut StateWriter) {
        out.u64(self.is_anchored.into());
        for column in &self.columns {
            out.u64(column.flow.is_some().into());
            out.i128(column.flow.unwrap_or_default());
            if let Shows::Decayed { sum, sum_ns, .. } = &column.shows {
                out.f64(*sum);
                out.i64(*sum_ns);
            }
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.is_anchored = from.bool("ofi_flow.is_anchored")?;
        for column in &mut self.columns {
            let some = from.bool("ofi_flow.flow")?;
            let flow = from.i128()?;
            column.flow = some.then_some(flow);
            if let Shows::Decayed { sum, sum_ns, .. } = &mut column.shows {
                (*sum, *sum_ns) = (from.f64()?, from.i64()?);
            }
        }
        Ok(())
    }
}

/// What is left of a running sum after a time.
fn fading(elapsed_ns: i64, halflife_ns: i64) -> f64 {
    det_exp(-((LN_2 * float(elapsed_ns.into())) / float(halflife_ns.into())))
}

impl Column {
    /// Flow of this packet from the changes that the book recorded.
    fn flow_of<B: BookView>(&self, context: &Context<'_, B>) -> i128 {
        let tick = i128::from(context.units.tick_scaled);
        let s = i128::from(context.quotes.bid) + i128::from(context.quotes.ask);
        let bound = i128::from(self.depth_bps) * s;
        let mut sum = 0;
        for (side, sign) in [(Side::Bid, 1), (Side::Ask, -1)] {
            for change in context.book.changes(side) {
                // A level that was better than the new mid is as near as one behind it.
                let distance = (2 * i128::from(change.price_ticks) * tick - s).abs();
                if distance * 10_000 > bound {
                    continue;
                }
                let weight = match self.shows {
                    Shows::Weighted { rate } => weight(rate, float(distance) / float(s)),
                    Shows::Sum | Shows::Decayed { .. } => 1,
                };
                let lots = i128::from(change.after_lots) - i128::from(change.before_lots);
                sum += sign * lots * i128::from(weight);
            }
        }
        sum * i128::from(context.units.lot_scaled)
    }
}

/// `exp(-rate * distance)` in units of `1 / ONE`.
fn weight(rate: f64, distance: f64) -> i64 {
    round_to_i64(det_exp(-(rate * distance)) * (ONE as f64)).unwrap_or_default()
}
