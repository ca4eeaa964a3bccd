//! Quantity-weighted mid (family `microprice`).
//!
//! Spec: `specs/features/microprice.md`. Reference and cases: `parity/reference`, `parity/cases/microprice.toml`.

use market_model::BookView;

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Dtype, FamilyMeta, Scale};
use crate::numeric::{pow10, ratio, round_half_even};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// `(ask * bid_qty + bid * ask_qty) / (bid_qty + ask_qty)`, products in 128 bits.
#[derive(Debug, Clone)]
pub struct Microprice {
    wanted: Vec<(usize, Column)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    X2,
    Float,
    MinusMid,
}

impl Family for Microprice {
    const META: FamilyMeta = FamilyMeta {
        slug: "microprice",
        doc: "Mid price weighted by the opposite quantities.",
        source: "Gatheral and Oomen (2010), weighted mid; Stoikov (2018) for the name",
        columns: &[
            l1_column(
                "microprice_x2",
                Dtype::I64,
                Scale::PriceX2,
                "price x 2",
                "Twice the microprice, rounded half to even.",
            ),
            l1_column("microprice", Dtype::F64, Scale::None, "price", "Microprice."),
            l1_column("micro_minus_mid", Dtype::F64, Scale::None, "price", "Microprice minus mid."),
        ],
        params: &[],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        const COLUMNS: [Column; 3] = [Column::X2, Column::Float, Column::MinusMid];
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, COLUMNS[f.column_index])).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let q = &context.quotes;
        let (bid, ask) = (i128::from(q.bid), i128::from(q.ask));
        let (bid_qty, ask_qty) = (i128::from(q.bid_qty), i128::from(q.ask_qty));
        // Prices and quantities are below 2^53, so this is below 2^107.
        let weighted = ask * bid_qty + bid * ask_qty;
        let total = bid_qty + ask_qty;
        let unit = pow10(context.units.price_scale);
        for &(slot, column) in &self.wanted {
            match column {
                Column::X2 => slots.i128(slot, round_half_even(2 * weighted, total)),
                Column::Float => slots.opt_f64(slot, ratio(weighted, total * unit)),
                Column::MinusMid => {
                    let difference = 2 * weighted - (bid + ask) * total;
                    slots.opt_f64(slot, ratio(difference, 2 * total * unit));
                }
            }
        }
    }
}
