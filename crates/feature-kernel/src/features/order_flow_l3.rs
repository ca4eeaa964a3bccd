//! Order flow by order (family `order_flow_l3`): invalid on a book of levels.
//!
//! Spec: `specs/features/order_flow_l3.md`. Reference and cases: `parity/reference`,
//! `parity/cases/order_flow_l3.toml`.

use market_model::{BookView, OrderFlow, Side, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, Reads, Scale};
use crate::numeric::{ratio, round_half_even};
use crate::params::WINDOW_NS;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::window::{Span, Totals, Windows};

/// Queues at the best prices, and what happened to orders in time windows.
#[derive(Debug, Clone)]
pub struct OrderFlowL3 {
    wanted: Vec<(usize, Column)>,
    windows: Windows<Flows>,
    /// A book packet was seen: what led to its book did not flow.
    is_anchored: bool,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Orders(Side),
    AgeNs(Side),
    Count { side: Side, event: Event, window: usize },
    Qty { side: Side, event: Event, window: usize },
    CancelToAdd { window: usize },
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Add,
    Cancel,
    Fill,
}

/// What happened to the orders of both sides.
#[derive(Debug, Clone, Copy, Default)]
struct Flows {
    bid: OrderFlow,
    ask: OrderFlow,
}

/// A property of the queue at a best price.
const fn queue(id: &'static str, unit: &'static str, doc: &'static str) -> ColumnMeta {
    ColumnMeta { rev: 2, ..l1_column(id, Dtype::I64, Scale::None, unit, doc) }
}

/// The age of a queue, which grows without a packet of the book.
const fn age(id: &'static str, doc: &'static str) -> ColumnMeta {
    ColumnMeta { behaviour: Behaviour::Stateful, ..queue(id, "ns", doc) }
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
        rev: 2,
        reads: Reads::Band,
        behaviour: Behaviour::Window,
        params: &["window_ns"],
        ..l1_column(id, Dtype::I64, scale, unit, doc)
    }
}

const COLUMNS: &[ColumnMeta] = &[
    queue("best_bid_orders", "orders", "Orders in the queue at the best bid."),
    queue("best_ask_orders", "orders", "Orders in the queue at the best ask."),
    age("best_bid_queue_age_ns", "Mean age of the orders at the best bid."),
    age("best_ask_queue_age_ns", "Mean age of the orders at the best ask."),
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

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let mut windows = Windows::new();
        let wanted = wanted.iter().map(|(slot, f)| {
            let mut open = || {
                let length_ns = f.wide_param("window_ns");
                windows.open(Span::Time { length_ns }, Flows::default())
            };
            let sides = [Side::Bid, Side::Ask];
            let column = match f.column_index {
                index @ 0..2 => Column::Orders(sides[index]),
                index @ 2..4 => Column::AgeNs(sides[index - 2]),
                16 => Column::CancelToAdd { window: open() },
                index => {
                    // Bids then asks; of each the three events, count before quantity.
                    let (side, place) = (sides[(index - 4) / 6], (index - 4) % 6);
                    let event = [Event::Add, Event::Cancel, Event::Fill][place / 2];
                    let window = open();
                    if place % 2 == 0 {
                        Column::Count { side, event, window }
                    } else {
                        Column::Qty { side, event, window }
                    }
                }
            };
            (*slot, column)
        });
        Self { wanted: wanted.collect(), windows, is_anchored: false }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if !context.book_step {
            return;
        }
        let flows = context.book.order_flow(Side::Bid).zip(context.book.order_flow(Side::Ask));
        if let Some((bid, ask)) = flows
            && self.is_anchored
            && !context.gap_step
            && (bid, ask) != <(OrderFlow, OrderFlow)>::default()
        {
            self.windows.push(context.now_ns, Flows { bid, ask });
        }
        self.is_anchored = true;
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.windows.evict(context.now_ns);
        if context.book.order_flow(Side::Bid).is_none() {
            return;
        }
        let lot_scaled = i128::from(context.units.lot_scaled);
        for &(slot, column) in &self.wanted {
            let best = |side| {
                let level = context.book.best(side)?;
                context.book.queue(side, level.price_ticks).filter(|queue| queue.orders > 0)
            };
            let totals = |window| self.windows.totals(window);
            match column {
                Column::Orders(side) => {
                    if let Some(queue) = best(side) {
                        slots.i128(slot, queue.orders.into());
                    }
                }
                Column::AgeNs(side) => {
                    if let Some(queue) = best(side) {
                        let orders = i128::from(queue.orders);
                        let ages_ns = orders * i128::from(context.now_ns) - queue.placed_sum_ns;
                        slots.i128(slot, round_half_even(ages_ns, orders));
                    }
                }
                Column::Count { side, event, window } => {
                    slots.i128(slot, totals(window).of(side, event).0.into());
                }
                Column::Qty { side, event, window } => {
                    slots.i128(slot, totals(window).of(side, event).1 * lot_scaled);
                }
                Column::CancelToAdd { window } => {
                    let Flows { bid, ask } = totals(window);
                    let cancelled = (bid.cancel_lots + ask.cancel_lots) * lot_scaled;
                    let added = (bid.add_lots + ask.add_lots) * lot_scaled;
                    slots.opt_f64(slot, ratio(cancelled, added));
                }
            }
        }
    }

    fn reset(&mut self) {
        self.windows.clear();
        self.is_anchored = false;
    }

    fn save(&self, out: &mut StateWriter) {
        out.u64(self.is_anchored.into());
        self.windows.save(out);
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.is_anchored = from.bool("order_flow_l3.is_anchored")?;
        self.windows.load(from)
    }
}

impl Flows {
    /// Events and lots of one kind.
    #[inline]
    const fn of(&self, side: Side, event: Event) -> (u64, i128) {
        let flow = match side {
            Side::Bid => &self.bid,
            Side::Ask => &self.ask,
        };
        match event {
            Event::Add => (flow.add_count, flow.add_lots),
            Event::Cancel => (flow.cancel_count, flow.cancel_lots),
            Event::Fill => (flow.fill_count, flow.fill_lots),
        }
    }

    fn words(&mut self) -> [(&mut u64, &mut i128); 6] {
        let Self { bid, ask } = self;
        [
            (&mut bid.add_count, &mut bid.add_lots),
            (&mut bid.cancel_count, &mut bid.cancel_lots),
            (&mut bid.fill_count, &mut bid.fill_lots),
            (&mut ask.add_count, &mut ask.add_lots),
            (&mut ask.cancel_count, &mut ask.cancel_lots),
            (&mut ask.fill_count, &mut ask.fill_lots),
        ]
    }
}

impl Totals for Flows {
    type Entry = Self;

    const ENTRY_BYTES: usize = 6 * (8 + 16);

    fn add(&mut self, _number: u64, entry: &Self) {
        let mut entry = *entry;
        for (total, part) in self.words().into_iter().zip(entry.words()) {
            *total.0 += *part.0;
            *total.1 += *part.1;
        }
    }

    fn remove(&mut self, _number: u64, entry: &Self) {
        let mut entry = *entry;
        for (total, part) in self.words().into_iter().zip(entry.words()) {
            *total.0 -= *part.0;
            *total.1 -= *part.1;
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn save(entry: &Self, out: &mut StateWriter) {
        let mut entry = *entry;
        for (count, lots) in entry.words() {
            out.u64(*count);
            out.i128(*lots);
        }
    }

    fn load(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let mut entry = Self::default();
        for (count, lots) in entry.words() {
            (*count, *lots) = (from.u64()?, from.i128()?);
        }
        Ok(entry)
    }
}
