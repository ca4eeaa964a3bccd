//! Order flow by order (family `order_flow_l3`): declared, and invalid without orders.
//!
//! Spec: `specs/features/order_flow_l3.md`. Reference and cases: `parity/reference`,
//! `parity/cases/order_flow_l3.toml`.

use market_model::BookView;

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, Reads, Scale};
use crate::params::WINDOW_NS;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Columns that need orders; a book of levels leaves each of them invalid.
#[derive(Debug, Clone)]
pub struct OrderFlowL3;

/// A property of the queue at a best price.
const fn queue(id: &'static str, unit: &'static str, doc: &'static str) -> ColumnMeta {
    l1_column(id, Dtype::I64, Scale::None, unit, doc)
}

/// A sum over a time window.
const fn window(
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    scale: Scale,
    doc: &'static str,
) -> ColumnMeta {
    ColumnMeta {
        name,
        reads: Reads::Band,
        behaviour: Behaviour::Window,
        params: &["window_ns"],
        ..l1_column(id, Dtype::I64, scale, unit, doc)
    }
}

const COLUMNS: &[ColumnMeta] = &[
    queue("best_bid_orders", "orders", "Orders in the queue at the best bid."),
    queue("best_ask_orders", "orders", "Orders in the queue at the best ask."),
    queue("best_bid_queue_age_ns", "ns", "Mean age of the orders at the best bid."),
    queue("best_ask_queue_age_ns", "ns", "Mean age of the orders at the best ask."),
    window(
        "bid_add_count",
        "bid_add_count_{window_ns}ns",
        "orders",
        Scale::None,
        "Bid orders that entered in the window.",
    ),
    window(
        "bid_add_qty",
        "bid_add_qty_{window_ns}ns",
        "quantity",
        Scale::Qty,
        "Quantity of bid orders that entered in the window.",
    ),
    window(
        "bid_cancel_count",
        "bid_cancel_count_{window_ns}ns",
        "orders",
        Scale::None,
        "Bid orders that were cancelled or reduced in the window.",
    ),
    window(
        "bid_cancel_qty",
        "bid_cancel_qty_{window_ns}ns",
        "quantity",
        Scale::Qty,
        "Quantity of bid orders that were cancelled or reduced in the window.",
    ),
    window(
        "bid_fill_count",
        "bid_fill_count_{window_ns}ns",
        "orders",
        Scale::None,
        "Bid orders that were filled in the window.",
    ),
    window(
        "bid_fill_qty",
        "bid_fill_qty_{window_ns}ns",
        "quantity",
        Scale::Qty,
        "Quantity of bid orders that were filled in the window.",
    ),
    window(
        "ask_add_count",
        "ask_add_count_{window_ns}ns",
        "orders",
        Scale::None,
        "Ask orders that entered in the window.",
    ),
    window(
        "ask_add_qty",
        "ask_add_qty_{window_ns}ns",
        "quantity",
        Scale::Qty,
        "Quantity of ask orders that entered in the window.",
    ),
    window(
        "ask_cancel_count",
        "ask_cancel_count_{window_ns}ns",
        "orders",
        Scale::None,
        "Ask orders that were cancelled or reduced in the window.",
    ),
    window(
        "ask_cancel_qty",
        "ask_cancel_qty_{window_ns}ns",
        "quantity",
        Scale::Qty,
        "Quantity of ask orders that were cancelled or reduced in the window.",
    ),
    window(
        "ask_fill_count",
        "ask_fill_count_{window_ns}ns",
        "orders",
        Scale::None,
        "Ask orders that were filled in the window.",
    ),
    window(
        "ask_fill_qty",
        "ask_fill_qty_{window_ns}ns",
        "quantity",
        Scale::Qty,
        "Quantity of ask orders that were filled in the window.",
    ),
    ColumnMeta {
        dtype: Dtype::F64,
        ..window(
            "cancel_to_add",
            "cancel_to_add_{window_ns}ns",
            "ratio",
            Scale::None,
            "Cancelled over added quantity of both sides in the window.",
        )
    },
];

impl Family for OrderFlowL3 {
    const META: FamilyMeta = FamilyMeta {
        slug: "order_flow_l3",
        doc: "Order flow by order; invalid on sources of levels.",
        source: "counts and queue ages of market-by-order feeds",
        columns: COLUMNS,
        params: &[WINDOW_NS],
    };

    fn new(_wanted: &[Wanted<'_>], _units: Units) -> Self {
        Self
    }

    /// Writes nothing: a slot that is not written is invalid.
    #[inline]
    fn fill<B: BookView>(&mut self, _context: &Context<'_, B>, _slots: &mut Slots<'_>) {}
}
