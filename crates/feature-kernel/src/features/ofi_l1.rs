//! Order-flow imbalance at the touch (family `ofi_l1`).
//!
//! Spec: `specs/features/ofi_l1.md`. Reference and cases: `parity/reference`, `parity/cases/ofi_l1.toml`.

use core::cmp::Ordering;

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Quotes, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Scale};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

/// Flow at the best quotes from packet to packet: this packet's, since the reset, and over windows.
#[derive(Debug, Clone)]
pub struct OfiL1 {
    raw_slots: Vec<usize>,
    cum_slots: Vec<usize>,
    windows: Vec<Window>,
    previous: Option<Quotes>,
    /// This packet's flow; `None` when it is unknown.
    raw: Option<i128>,
    cum: i128,
    /// Flows that some window still holds: event time and value, oldest first. Zero flows are left out.
    flows: Flows,
}

#[derive(Debug, Clone)]
struct Window {
    slot: usize,
    length_ns: i64,
    /// Number of the oldest flow inside.
    first: u64,
    sum: i128,
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
        params: &[ParamMeta {
            key: "window_ns",
            kind: ParamKind::Int { min: 1, max: 86_400_000_000_000, default: None },
            doc: "Length of the window in ns.",
        }],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let slots = |index| {
            let mine = wanted.iter().filter(move |(_, f)| f.column_index == index);
            mine.map(|(slot, _)| *slot).collect()
        };
        let windows = wanted.iter().filter(|(_, f)| f.column_index == 2).map(|(slot, f)| Window {
            slot: *slot,
            length_ns: f.wide_param("window_ns"),
            first: 0,
            sum: 0,
        });
        Self {
            raw_slots: slots(0),
            cum_slots: slots(1),
            windows: windows.collect(),
            previous: None,
            raw: None,
            cum: 0,
            flows: Flows::default(),
        }
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
        if flow != 0 && !self.windows.is_empty() {
            self.flows.push(context.now_ns, flow);
            self.windows.iter_mut().for_each(|window| window.sum += flow);
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
        let mut oldest = self.flows.end();
        for window in &mut self.windows {
            while let Some((t_ns, flow)) = self.flows.get(window.first) {
                if t_ns > context.now_ns - window.length_ns {
                    break;
                }
                window.sum -= flow;
                window.first += 1;
            }
            oldest = oldest.min(window.first);
            slots.i128(window.slot, window.sum);
        }
        self.flows.forget_before(oldest);
    }

    fn reset(&mut self) {
        (self.previous, self.raw, self.cum) = (None, None, 0);
        self.flows.clear();
        self.windows.iter_mut().for_each(|window| (window.first, window.sum) = (0, 0));
    }

    fn save(&self, out: &mut StateWriter) {
        out.u64(self.previous.is_some().into());
        let q = self.previous.unwrap_or_default();
        [q.bid, q.ask, q.bid_qty, q.ask_qty].into_iter().for_each(|x| out.i64(x));
        out.u64(self.raw.is_some().into());
        out.i128(self.raw.unwrap_or_default());
        out.i128(self.cum);
        // Numbers of flows are relative, so that the bytes do not tell how long the run was.
        let start = self.flows.start;
        out.u64(self.flows.end() - start);
        for number in start..self.flows.end() {
            let (t_ns, flow) = self.flows.get(number).unwrap_or_default();
            out.i64(t_ns);
            out.i128(flow);
        }
        self.windows.iter().for_each(|window| out.u64(window.first - start));
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
        let count = from.count("ofi_l1.flows", 24)?;
        for _ in 0..count {
            let (t_ns, flow) = (from.i64()?, from.i128()?);
            self.flows.push(t_ns, flow);
        }
        for window in &mut self.windows {
            window.first = from.u64()?;
            if window.first > count as u64 {
                return Err(from.invalid("ofi_l1.window", &window.first));
            }
            let inside = window.first..count as u64;
            window.sum = inside.filter_map(|n| self.flows.get(n)).map(|(_, flow)| flow).sum();
        }
        Ok(())
    }
}

/// The bid contributes its new quantity when its price rose, loses its old one when it fell, and
/// contributes the difference when it stood still; the ask mirrors it.
fn flow(previous: &Quotes, now: &Quotes) -> i128 {
    let side = |improved: Ordering, qty: i64, previous_qty: i64| match improved {
        Ordering::Greater => i128::from(qty),
        Ordering::Less => -i128::from(previous_qty),
        Ordering::Equal => i128::from(qty) - i128::from(previous_qty),
    };
    // A higher bid improves the bid side, a lower ask improves the ask side.
    side(now.bid.cmp(&previous.bid), now.bid_qty, previous.bid_qty)
        - side(previous.ask.cmp(&now.ask), now.ask_qty, previous.ask_qty)
}

/// A queue of flows with running numbers; grows to the busiest window and stays there.
#[derive(Debug, Clone, Default)]
struct Flows {
    ring: std::collections::VecDeque<(i64, i128)>,
    /// Number of the first flow in the ring.
    start: u64,
}

impl Flows {
    /// Empties the queue and keeps its buffer.
    fn clear(&mut self) {
        self.ring.clear();
        self.start = 0;
    }

    fn push(&mut self, t_ns: i64, flow: i128) {
        self.ring.push_back((t_ns, flow));
    }

    fn end(&self) -> u64 {
        self.start + self.ring.len() as u64
    }

    fn get(&self, number: u64) -> Option<(i64, i128)> {
        self.ring.get(usize::try_from(number.checked_sub(self.start)?).ok()?).copied()
    }

    fn forget_before(&mut self, number: u64) {
        while self.start < number {
            self.ring.pop_front();
            self.start += 1;
        }
    }
}
