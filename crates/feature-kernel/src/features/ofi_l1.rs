//! Order-flow imbalance at the touch (family `ofi_l1`).
//!
//! Spec: `specs/features/ofi_l1.md`. Reference and cases: `parity/reference`, `parity/cases/ofi_l1.toml`.

use core::cmp::Ordering;

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Quotes, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, Scale};
use crate::params::WINDOW_NS;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::window::{Span, Sum, Windows};

/// Flow at the best quotes from packet to packet: this packet's, since the reset, and over windows.
#[derive(Debug, Clone)]
pub struct OfiL1 {
    raw_slots: Vec<usize>,
    cum_slots: Vec<usize>,
    /// Slot and window of each sum.
    sums: Vec<(usize, usize)>,
    previous: Option<Quotes>,
    /// This packet's flow; `None` when it is unknown.
    raw: Option<i128>,
    cum: i128,
    /// Zero flows are left out.
    flows: Windows<Sum>,
}

const OFI: ColumnMeta = ColumnMeta {
    warmup_min_events: 2,
    behaviour: Behaviour::Stateful,
    ..l1_column("", Dtype::I64, Scale::Qty, "quantity", "")
};

impl Family for OfiL1 {
    const META: FamilyMeta = FamilyMeta {
        slug: "ofi_l1",
        doc: "Order-flow imbalance at the best quotes, once per packet.",
        source: "Cont, Kukanov and Stoikov (2014), The price impact of order book events",
        columns: &[
            ColumnMeta {
                id: "ofi_l1_raw",
                name: "ofi_l1_raw",
                unit: "quantity per packet",
                behaviour: Behaviour::Step,
                doc: "Flow of this packet.",
                ..OFI
            },
            ColumnMeta {
                id: "ofi_l1_cum",
                name: "ofi_l1_cum",
                doc: "Sum of the flow since the reset.",
                ..OFI
            },
            ColumnMeta {
                id: "ofi_l1_sum",
                name: "ofi_l1_sum_{window_ns}ns",
                params: &["window_ns"],
                behaviour: Behaviour::Window,
                doc: "Sum of the flow over a time window (t-h, t].",
                ..OFI
            },
        ],
        params: &[WINDOW_NS],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let slots = |index| {
            let mine = wanted.iter().filter(move |(_, f)| f.column_index == index);
            mine.map(|(slot, _)| *slot).collect()
        };
        let mut flows = Windows::new();
        let sums = wanted.iter().filter(|(_, f)| f.column_index == 2).map(|(slot, f)| {
            let span = Span::Time { length_ns: f.wide_param("window_ns") };
            (*slot, flows.open(span, Sum::default()))
        });
        let sums = sums.collect();
        let (raw_slots, cum_slots) = (slots(0), slots(1));
        Self { raw_slots, cum_slots, sums, previous: None, raw: None, cum: 0, flows }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if !context.book_step {
            self.raw = Some(0);
            return;
        }
        let quotes = context.quotes;
        let flow = self.previous.replace(quotes).map_or(0, |previous| flow(&previous, &quotes));
        if context.gap_step {
            self.raw = None;
            return;
        }
        self.raw = Some(flow);
        self.cum += flow;
        if flow != 0 {
            self.flows.push(context.now_ns, flow);
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        for &slot in &self.raw_slots {
            if let Some(raw) = self.raw {
                slots.i128(slot, raw);
            }
        }
        for &slot in &self.cum_slots {
            slots.i128(slot, self.cum);
        }
        self.flows.evict(context.now_ns);
        for &(slot, window) in &self.sums {
            slots.i128(slot, self.flows.totals(window).0);
        }
    }

    fn reset(&mut self) {
        (self.previous, self.raw, self.cum) = (None, None, 0);
        self.flows.clear();
    }

    fn save(&self, out: &mut StateWriter) {
        out.u64(self.previous.is_some().into());
        let q = self.previous.unwrap_or_default();
        [q.bid, q.ask, q.bid_qty, q.ask_qty].into_iter().for_each(|x| out.i64(x));
        out.u64(self.raw.is_some().into());
        out.i128(self.raw.unwrap_or_default());
        out.i128(self.cum);
        self.flows.save(out);
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.reset();
        let some = from.bool("ofi_l1.previous")?;
        let q = Quotes {
            bid: from.i64()?,
            ask: from.i64()?,
            bid_qty: from.i64()?,
            ask_qty: from.i64()?,
        };
        self.previous = some.then_some(q);
        let some = from.bool("ofi_l1.raw")?;
        let raw = from.i128()?;
        self.raw = some.then_some(raw);
        self.cum = from.i128()?;
        self.flows.load(from)
    }
}

/// The bid contributes its new quantity when its price rose, loses its old one when it fell, and
/// contributes the difference when it stood still; the ask mirrors it.
pub(super) fn flow(previous: &Quotes, now: &Quotes) -> i128 {
    let side = |improved: Ordering, qty: i64, previous_qty: i64| match improved {
        Ordering::Greater => i128::from(qty),
        Ordering::Less => -i128::from(previous_qty),
        Ordering::Equal => i128::from(qty) - i128::from(previous_qty),
    };
    // A higher bid improves the bid side, a lower ask improves the ask side.
    side(now.bid.cmp(&previous.bid), now.bid_qty, previous.bid_qty)
        - side(previous.ask.cmp(&now.ask), now.ask_qty, previous.ask_qty)
}
