//! Quantities by level and by distance from the mid (family `depth`).
//!
//! Spec: `specs/features/depth.md`. Reference and cases: `parity/reference`, `parity/cases/depth.toml`.

use market_model::{BookView, Side};

use super::l1_column;
use crate::bands::Bands;
use crate::context::{Context, Units};
use crate::meta::{ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::ratio;
use crate::params::{HI_BPS, LEVEL, LO_BPS, levels};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Sums over the best levels, single levels, and bands in basis points over the whole book.
#[derive(Debug, Clone)]
pub struct Depth {
    wanted: Vec<(usize, Column)>,
    bands: Bands,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Sum { side: Side, levels: usize },
    Price { side: Side, level: usize },
    Qty { side: Side, level: usize },
    Within { side: Side, position: Option<usize> },
    Band { side: Side, band: Band },
    BandImbalance { band: Band },
    BandTotal { band: Band },
}

/// Positions of the two distances in `Bands`.
#[derive(Debug, Clone, Copy)]
struct Band {
    near: Option<usize>,
    far: Option<usize>,
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

/// Keys of the parameters that a column takes.
const LEVELS_KEY: &[&str] = &["levels"];
const LEVEL_KEY: &[&str] = &["level"];
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
                LEVELS_KEY,
                "Sum of the best bid quantities.",
            ),
            column(
                "ask_depth",
                "ask_depth_{levels}",
                Reads::TopN,
                LEVELS_KEY,
                "Sum of the best ask quantities.",
            ),
            price(column(
                "bid_price",
                "bid_price_{level}",
                Reads::TopN,
                LEVEL_KEY,
                "Price of one bid level.",
            )),
            price(column(
                "ask_price",
                "ask_price_{level}",
                Reads::TopN,
                LEVEL_KEY,
                "Price of one ask level.",
            )),
            column(
                "bid_qty",
                "bid_qty_{level}",
                Reads::TopN,
                LEVEL_KEY,
                "Quantity of one bid level.",
            ),
            column(
                "ask_qty",
                "ask_qty_{level}",
                Reads::TopN,
                LEVEL_KEY,
                "Quantity of one ask level.",
            ),
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
            column(
                "depth_band",
                "depth_band_{lo_bps}_{hi_bps}bps",
                Reads::Band,
                BAND,
                "Quantity of both sides with lo_bps <= distance < hi_bps.",
            ),
        ],
        params: &[
            levels(5),
            LEVEL,
            ParamMeta {
                key: "bps",
                kind: ParamKind::Int { min: 1, max: 10_000, default: None },
                doc: "Largest distance from the mid in basis points.",
            },
            LO_BPS,
            HI_BPS,
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let keys = ["bps", "lo_bps", "hi_bps"];
        let distances = |f: &'_ crate::Feature| keys.map(|key| f.opt_param(key).unwrap_or(0));
        let bands = Bands::new(wanted.iter().flat_map(|(_, f)| distances(f)));
        let column = |f: &crate::Feature| {
            let side = if f.column_index.is_multiple_of(2) { Side::Bid } else { Side::Ask };
            let position = |key| bands.position(f.wide_param(key));
            let band = || Band { near: position("lo_bps"), far: position("hi_bps") };
            match f.column_index {
                0 | 1 => Column::Sum { side, levels: f.int_param("levels") },
                2 | 3 => Column::Price { side, level: f.int_param("level") },
                4 | 5 => Column::Qty { side, level: f.int_param("level") },
                6 | 7 => Column::Within { side, position: position("bps") },
                8 | 9 => Column::Band { side, band: band() },
                10 => Column::BandImbalance { band: band() },
                _ => Column::BandTotal { band: band() },
            }
        };
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, column(f))).collect(), bands }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let tick = i128::from(context.units.tick_scaled);
        let lot = i128::from(context.units.lot_scaled);
        self.bands.fill(context);
        let bands = &self.bands;
        let between = |side, band: Band| {
            bands.up_to(side, band.far).exclusive - bands.up_to(side, band.near).exclusive
        };
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
                Column::Within { side, position } => {
                    slots.i128(slot, bands.up_to(side, position).inclusive * lot);
                }
                Column::Band { side, band } => slots.i128(slot, between(side, band) * lot),
                Column::BandImbalance { band } => {
                    let (bids, asks) = (between(Side::Bid, band), between(Side::Ask, band));
                    slots.opt_f64(slot, ratio((bids - asks) * lot, (bids + asks) * lot));
                }
                Column::BandTotal { band } => {
                    let total = between(Side::Bid, band) + between(Side::Ask, band);
                    slots.i128(slot, total * lot);
                }
            }
        }
    }
}
