//! Mid price and spread (family `mid_spread`).
//!
//! Spec: `specs/features/mid_spread.md`. Reference and cases: `parity/reference`, `parity/cases/mid_spread.toml`.

use market_model::BookView;

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Dtype, FamilyMeta, Scale};
use crate::numeric::{pow10, ratio};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Mid price and spread as exact integers and as floats.
#[derive(Debug, Clone)]
pub struct MidSpread {
    wanted: Vec<(usize, Column)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    MidX2,
    SpreadScaled,
    Mid,
    Spread,
    SpreadBps,
    RelSpread,
}

impl Family for MidSpread {
    const META: FamilyMeta = FamilyMeta {
        slug: "mid_spread",
        doc: "Mid price and spread.",
        source: "textbook definitions; bps of the mid, never of the bid",
        columns: &[
            l1_column(
                "mid_price_x2",
                Dtype::I64,
                Scale::PriceX2,
                "price x 2",
                "Best bid plus best ask.",
            ),
            l1_column(
                "spread_scaled",
                Dtype::I64,
                Scale::Price,
                "price",
                "Best ask minus best bid.",
            ),
            l1_column("mid", Dtype::F64, Scale::None, "price", "Mid price."),
            l1_column("spread", Dtype::F64, Scale::None, "price", "Best ask minus best bid."),
            l1_column(
                "spread_bps",
                Dtype::F64,
                Scale::None,
                "bps",
                "Spread over mid, in basis points.",
            ),
            l1_column("rel_spread", Dtype::F64, Scale::None, "ratio", "Spread over mid."),
        ],
        params: &[],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        const COLUMNS: [Column; 6] = [
            Column::MidX2,
            Column::SpreadScaled,
            Column::Mid,
            Column::Spread,
            Column::SpreadBps,
            Column::RelSpread,
        ];
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, COLUMNS[f.column_index])).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let sum = i128::from(context.quotes.bid) + i128::from(context.quotes.ask);
        let spread = i128::from(context.quotes.ask) - i128::from(context.quotes.bid);
        let unit = pow10(context.units.price_scale);
        for &(slot, column) in &self.wanted {
            match column {
                Column::MidX2 => slots.i128(slot, sum),
                Column::SpreadScaled => slots.i128(slot, spread),
                Column::Mid => slots.opt_f64(slot, ratio(sum, 2 * unit)),
                Column::Spread => slots.opt_f64(slot, ratio(spread, unit)),
                Column::SpreadBps => slots.opt_f64(slot, ratio(20_000 * spread, sum)),
                Column::RelSpread => slots.opt_f64(slot, ratio(2 * spread, sum)),
            }
        }
    }
}
