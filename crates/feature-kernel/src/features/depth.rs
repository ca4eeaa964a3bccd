//! Quantities by level and by distance from the mid (family `depth`).
//!
//! Spec: `specs/features/depth.md`. Reference and cases: `parity/reference`, `parity/cases/depth.toml`.

use market_model::{BookView, Side};

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{ceil_div, floor_div, ratio};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Sums over the best levels, single levels, and bands in basis points over the whole book.
#[derive(Debug, Clone)]
pub struct Depth {
    wanted: Vec<(usize, Column)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Sum { side: Side, levels: usize },
    Price { side: Side, level: usize },
    Qty { side: Side, level: usize },
    Within { side: Side, bps: i64 },
    Band { side: Side, lo_bps: i64, hi_bps: i64 },
    BandImbalance { lo_bps: i64, hi_bps: i64 },
}

const fn column(
    id: &'static str,
    name: &'static str,
    reads: Reads,
    params: &'static [&'static str],
    doc: &'static str,
) -> ColumnMeta {
    let base = l1_column(id, Dtype::I64, Scale::Qty, "quantity", doc);
    ColumnMeta { reads, params, name, ..base }
}

const LEVELS: &[&str] = &["levels"];
const LEVEL: &[&str] = &["level"];
const BPS: &[&str] = &["bps"];
const BAND: &[&str] = &["lo_bps", "hi_bps"];

const fn price(column: ColumnMeta) -> ColumnMeta {
    ColumnMeta { scale: Scale::Price, unit: "price", ..column }
}

impl Family for Depth {
    const META: FamilyMeta = FamilyMeta {
        slug: "depth",
        doc: "Quantities by level and by distance from the mid.",
        source: "textbook definitions; bands over the full book",
        columns: &[
            column(
                "bid_depth",
                "bid_depth_{levels}",
                Reads::TopN,
                LEVELS,
                "Sum of the best bid quantities.",
            ),
            column(
                "ask_depth",
                "ask_depth_{levels}",
                Reads::TopN,
                LEVELS,
                "Sum of the best ask quantities.",
            ),
            price(column(
                "bid_price",
                "bid_price_{level}",
                Reads::TopN,
                LEVEL,
                "Price of one bid level.",
            )),
            price(column(
                "ask_price",
                "ask_price_{level}",
                Reads::TopN,
                LEVEL,
                "Price of one ask level.",
            )),
            column("bid_qty", "bid_qty_{level}", Reads::TopN, LEVEL, "Quantity of one bid level."),
            column("ask_qty", "ask_qty_{level}", Reads::TopN, LEVEL, "Quantity of one ask level."),
            column(
                "bid_depth_within",
                "bid_depth_within_{bps}bps",
                Reads::Band,
                BPS,
                "Bid quantity up to a distance from the mid, inclusive.",
            ),
            column(
                "ask_depth_within",
                "ask_depth_within_{bps}bps",
                Reads::Band,
                BPS,
                "Ask quantity up to a distance from the mid, inclusive.",
            ),
            column(
                "bid_depth_band",
                "bid_depth_band_{lo_bps}_{hi_bps}bps",
                Reads::Band,
                BAND,
                "Bid quantity with lo_bps <= distance < hi_bps.",
            ),
            column(
                "ask_depth_band",
                "ask_depth_band_{lo_bps}_{hi_bps}bps",
                Reads::Band,
                BAND,
                "Ask quantity with lo_bps <= distance < hi_bps.",
            ),
            ColumnMeta {
                dtype: Dtype::F64,
                scale: Scale::None,
                unit: "ratio in -1..1",
                ..column(
                    "band_imbalance",
                    "band_imbalance_{lo_bps}_{hi_bps}bps",
                    Reads::Band,
                    BAND,
                    "Imbalance of a band; null when the band is empty on both sides.",
                )
            },
        ],
        params: &[
            ParamMeta {
                key: "levels",
                kind: ParamKind::Int { min: 1, max: 64, default: Some(5) },
                doc: "Number of levels of a side, from the best.",
            },
            ParamMeta {
                key: "level",
                kind: ParamKind::Int { min: 0, max: 63, default: Some(0) },
                doc: "Level, 0 is the best.",
            },
            ParamMeta {
                key: "bps",
                kind: ParamKind::Int { min: 1, max: 10_000, default: None },
                doc: "Largest distance from the mid in basis points.",
            },
            ParamMeta {
                key: "lo_bps",
                kind: ParamKind::Int { min: 0, max: 9_999, default: Some(0) },
                doc: "Smallest distance from the mid, inclusive.",
            },
            ParamMeta {
                key: "hi_bps",
                kind: ParamKind::Int { min: 1, max: 10_000, default: None },
                doc: "Largest distance from the mid, exclusive; above lo_bps.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let column = |f: &crate::Feature| {
            let side = if f.column_index.is_multiple_of(2) { Side::Bid } else { Side::Ask };
            let band = || (f.wide_param("lo_bps"), f.wide_param("hi_bps"));
            match f.column_index {
                0 | 1 => Column::Sum { side, levels: f.int_param("levels") },
                2 | 3 => Column::Price { side, level: f.int_param("level") },
                4 | 5 => Column::Qty { side, level: f.int_param("level") },
                6 | 7 => Column::Within { side, bps: f.wide_param("bps") },
                8 | 9 => Column::Band { side, lo_bps: band().0, hi_bps: band().1 },
                _ => Column::BandImbalance { lo_bps: band().0, hi_bps: band().1 },
            }
        };
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, column(f))).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let tick = i128::from(context.units.tick_scaled);
        let lot = i128::from(context.units.lot_scaled);
        for &(slot, column) in &self.wanted {
            match column {
                Column::Sum { side, levels } => {
                    slots.i128(slot, context.depth_scaled(side, levels));
                }
                Column::Price { side, level } => {
                    if let Some(found) = context.top(side).get(level) {
                        slots.i128(slot, i128::from(found.price_ticks) * tick);
                    }
                }
                Column::Qty { side, level } => {
                    if let Some(found) = context.top(side).get(level) {
                        slots.i128(slot, i128::from(found.qty_lots) * lot);
                    }
                }
                Column::Within { side, bps } => {
                    slots.i128(slot, band(context, side, 0, Far::Inclusive(bps)));
                }
                Column::Band { side, lo_bps, hi_bps } => {
                    slots.i128(slot, band(context, side, lo_bps, Far::Exclusive(hi_bps)));
                }
                Column::BandImbalance { lo_bps, hi_bps } => {
                    let bids = band(context, Side::Bid, lo_bps, Far::Exclusive(hi_bps));
                    let asks = band(context, Side::Ask, lo_bps, Far::Exclusive(hi_bps));
                    slots.opt_f64(slot, ratio(bids - asks, bids + asks));
                }
            }
        }
    }
}

/// The far end of a band.
#[derive(Clone, Copy)]
pub(super) enum Far {
    Inclusive(i64),
    Exclusive(i64),
}

/// Scaled quantity with distance from the mid in `near_bps..far`.
pub(super) fn band<B: BookView>(
    context: &Context<'_, B>,
    side: Side,
    near_bps: i64,
    far: Far,
) -> i128 {
    let (low, high) = bounds(context, side, near_bps, far);
    let lots = context.book.qty_between_lots(side, low, high);
    lots * i128::from(context.units.lot_scaled)
}

/// Prices in ticks, both inclusive, with distance from the mid in `near_bps..far`, exactly.
///
/// With `s = bid + ask`, a bid at price `p` has distance `(s - 2p) * 10^4 / s`; solved for `p` the
/// bounds are rationals over `2 * 10^4 * tick`, rounded inward.
pub(super) fn bounds<B: BookView>(
    context: &Context<'_, B>,
    side: Side,
    near_bps: i64,
    far: Far,
) -> (i64, i64) {
    let s = i128::from(context.quotes.bid) + i128::from(context.quotes.ask);
    let den = 20_000 * i128::from(context.units.tick_scaled);
    let sign = if side == Side::Bid { -1 } else { 1 };
    let at = |bps: i64| s * (10_000 + sign * i128::from(bps));
    let (low, high) = match (side, far) {
        (Side::Bid, Far::Inclusive(bps)) => (ceil_div(at(bps), den), floor_div(at(near_bps), den)),
        (Side::Bid, Far::Exclusive(bps)) => {
            (floor_div(at(bps), den) + 1, floor_div(at(near_bps), den))
        }
        (Side::Ask, Far::Inclusive(bps)) => (ceil_div(at(near_bps), den), floor_div(at(bps), den)),
        (Side::Ask, Far::Exclusive(bps)) => {
            (ceil_div(at(near_bps), den), ceil_div(at(bps), den) - 1)
        }
    };
    // At most 64 times the mid on either side, far inside 64 bits.
    (low as i64, high as i64)
}
