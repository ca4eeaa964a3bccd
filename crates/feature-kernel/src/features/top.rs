//! Best quotes (family `top`).
//!
//! Spec: `specs/features/top.md`. Reference and cases: `parity/reference`, `parity/cases/top.toml`.

use market_model::BookView;

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Dtype, FamilyMeta, Scale};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Best price and quantity of each side.
#[derive(Debug, Clone)]
pub struct Top {
    wanted: Vec<(usize, Column)>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    BestBid,
    BestAsk,
    BidQty,
    AskQty,
}

impl Family for Top {
    const META: FamilyMeta = FamilyMeta {
        slug: "top",
        doc: "Best price and quantity of each side.",
        source: "exchange feed",
        columns: &[
            l1_column("best_bid", Dtype::I64, Scale::Price, "price", "Best bid price."),
            l1_column("best_ask", Dtype::I64, Scale::Price, "price", "Best ask price."),
            l1_column(
                "l1_bid_qty",
                Dtype::I64,
                Scale::Qty,
                "quantity",
                "Quantity at the best bid.",
            ),
            l1_column(
                "l1_ask_qty",
                Dtype::I64,
                Scale::Qty,
                "quantity",
                "Quantity at the best ask.",
            ),
        ],
        params: &[],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        const COLUMNS: [Column; 4] =
            [Column::BestBid, Column::BestAsk, Column::BidQty, Column::AskQty];
        Self { wanted: wanted.iter().map(|(slot, f)| (*slot, COLUMNS[f.column_index])).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let q = &context.quotes;
        for (slot, column) in &self.wanted {
            slots.i64(
                *slot,
                match column {
                    Column::BestBid => q.bid,
                    Column::BestAsk => q.ask,
                    Column::BidQty => q.bid_qty,
                    Column::AskQty => q.ask_qty,
                },
            );
        }
    }
}
