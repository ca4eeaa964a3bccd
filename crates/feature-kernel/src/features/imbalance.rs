//! Bid against ask quantity (family `imbalance`).
//!
//! Spec: `specs/features/imbalance.md`. Reference and cases: `parity/reference`, `parity/cases/imbalance.toml`.

use market_model::{BookView, Side};

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{ColumnMeta, Dtype, FamilyMeta, Reads, Scale};
use crate::numeric::{ppm, ratio};
use crate::params::{LEVEL, levels};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// `(B - A) / (B + A)` at the touch, at one level, or over the best levels.
#[derive(Debug, Clone)]
pub struct Imbalance {
    wanted: Vec<(usize, Column)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    L1Ppm,
    L1,
    DepthPpm { levels: usize },
    Depth { levels: usize },
    Queue { level: usize },
}

const TOP: ColumnMeta = ColumnMeta {
    reads: Reads::TopN,
    params: &["levels"],
    ..l1_column("", Dtype::F64, Scale::None, "ratio in -1..1", "")
};

impl Family for Imbalance {
    const META: FamilyMeta = FamilyMeta {
        slug: "imbalance",
        doc: "Bid against ask quantity.",
        source: "Cartea, Jaimungal and Penalva (2015), section 3",
        columns: &[
            l1_column(
                "l1_imbalance_ppm",
                Dtype::I64,
                Scale::Times(1_000_000),
                "ppm",
                "Imbalance of the best quantities, in millionths.",
            ),
            l1_column(
                "l1_imbalance",
                Dtype::F64,
                Scale::None,
                "ratio in -1..1",
                "Imbalance of the best quantities.",
            ),
            ColumnMeta {
                id: "depth_imbalance_ppm",
                dtype: Dtype::I64,
                scale: Scale::Times(1_000_000),
                unit: "ppm",
                name: "depth_imbalance_ppm_{levels}",
                doc: "Imbalance of the best levels, in millionths.",
                ..TOP
            },
            ColumnMeta {
                id: "depth_imbalance",
                name: "depth_imbalance_{levels}",
                doc: "Imbalance of the best levels.",
                ..TOP
            },
            ColumnMeta {
                id: "queue_imbalance",
                params: &["level"],
                name: "queue_imbalance_{level}",
                doc: "Imbalance of one level.",
                ..TOP
            },
        ],
        params: &[levels(5), LEVEL],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let column = |f: &crate::Feature| match f.column_index {
            0 => Column::L1Ppm,
            1 => Column::L1,
            2 => Column::DepthPpm { levels: f.int_param("levels") },
            3 => Column::Depth { levels: f.int_param("levels") },
            _ => Column::Queue { level: f.int_param("level") },
        };
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, column(f))).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let q = &context.quotes;
        let (bid_qty, ask_qty) = (i128::from(q.bid_qty), i128::from(q.ask_qty));
        let depth = |levels| {
            (context.depth_scaled(Side::Bid, levels), context.depth_scaled(Side::Ask, levels))
        };
        for &(slot, column) in &self.wanted {
            match column {
                Column::L1Ppm => slots.i64(slot, ppm(bid_qty - ask_qty, bid_qty + ask_qty)),
                Column::L1 => slots.opt_f64(slot, ratio(bid_qty - ask_qty, bid_qty + ask_qty)),
                Column::DepthPpm { levels } => {
                    let (bids, asks) = depth(levels);
                    slots.i64(slot, ppm(bids - asks, bids + asks));
                }
                Column::Depth { levels } => {
                    let (bids, asks) = depth(levels);
                    slots.opt_f64(slot, ratio(bids - asks, bids + asks));
                }
                Column::Queue { level } => {
                    let (Some(bid), Some(ask)) =
                        (context.top(Side::Bid).get(level), context.top(Side::Ask).get(level))
                    else {
                        continue;
                    };
                    let lot = i128::from(context.units.lot_scaled);
                    let (bid, ask) =
                        (i128::from(bid.qty_lots) * lot, i128::from(ask.qty_lots) * lot);
                    slots.opt_f64(slot, ratio(bid - ask, bid + ask));
                }
            }
        }
    }
}
