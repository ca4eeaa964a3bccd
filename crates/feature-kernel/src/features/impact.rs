//! What order flow does to the price (family `impact`).
//!
//! Spec: `specs/features/impact.md`. Reference and cases: `parity/reference`, `parity/cases/impact.toml`.

use market_model::{BookView, Side, StateError, StateReader, StateWriter};

use super::l1_column;
use super::ofi_l1::flow;
use crate::context::{Context, Quotes, Units};
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::{float, pow10};
use crate::params::WINDOW_NS;
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::wide::Wide;
use crate::window::{Span, Totals, Windows};

/// Regressions of the change of the mid on the flow at the touch.
#[derive(Debug, Clone)]
pub struct Impact {
    units: Units,
    /// Slot, column and window of each regression.
    fits: Vec<(usize, Column, usize)>,
    surprises: Vec<Surprise>,
    previous: Option<Quotes>,
    windows: Windows<Fit>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Lambda,
    R2,
}

/// Flow and change of the mid (times two) of one packet.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    flow: i128,
    change: i128,
}

/// Sums over pairs.
#[derive(Debug, Clone, Copy, Default)]
struct Fit {
    flow: i128,
    change: i128,
    flow_flow: Wide,
    flow_change: Wide,
    change_change: Wide,
}

/// How far the impact of late is from its usual size.
#[derive(Debug, Clone, Copy)]
struct Surprise {
    slot: usize,
    levels: usize,
    least: u64,
    weight: f64,
    base_weight: f64,
    steps: u64,
    flow: f64,
    change: f64,
    flow_flow: f64,
    flow_change: f64,
    base: f64,
    value: f64,
}

const IMPACT: ColumnMeta = ColumnMeta {
    behaviour: Behaviour::Window,
    warmup_min_events: 2,
    params: &["window_ns"],
    ..l1_column("", Dtype::F64, Scale::None, "", "")
};

impl Family for Impact {
    const META: FamilyMeta = FamilyMeta {
        slug: "impact",
        doc: "What order flow does to the price.",
        source: "Kyle (1985), Continuous auctions and insider trading, on flow at the best quotes",
        columns: &[
            ColumnMeta {
                id: "kyle_lambda",
                name: "kyle_lambda_{window_ns}ns",
                unit: "price per quantity",
                doc: "Slope of the change of the mid on the flow over a time window (t-h, t].",
                ..IMPACT
            },
            ColumnMeta {
                id: "kyle_r2",
                name: "kyle_r2_{window_ns}ns",
                unit: "ratio in 0..1",
                doc: "Share of the variance of changes that the flow explains, over the same window.",
                ..IMPACT
            },
            ColumnMeta {
                id: "impact_surprise_x1000",
                name: "impact_surprise_x1000_{count}_{levels}",
                params: &["count", "levels"],
                dtype: Dtype::I64,
                scale: Scale::Times(1_000),
                reads: Reads::TopN,
                behaviour: Behaviour::Stateful,
                warmup_min_events: 0,
                unit: "thousandths, -1000..1000",
                doc: "Deviation of the average impact from its baseline; 0 below 300.",
                ..IMPACT
            },
        ],
        params: &[
            WINDOW_NS,
            ParamMeta {
                key: "count",
                kind: ParamKind::Int { min: 2, max: 1_000_000, default: Some(400) },
                doc: "Steps before the first value; averages span half of it, the baseline five times.",
            },
            ParamMeta {
                key: "levels",
                kind: ParamKind::Int { min: 1, max: 64, default: Some(5) },
                doc: "Number of levels of a side in the depth, from the best.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], units: Units) -> Self {
        let mut windows = Windows::new();
        let (mut fits, mut surprises) = (Vec::new(), Vec::new());
        for &(slot, f) in wanted {
            let Some(length_ns) = f.opt_param("window_ns") else {
                let (count, levels) = (f.wide_param("count"), f.int_param("levels"));
                surprises.push(Surprise::new(slot, count, levels));
                continue;
            };
            let window = windows.open(Span::Time { length_ns }, Fit::default());
            let column = if f.column_index == 0 { Column::Lambda } else { Column::R2 };
            fits.push((slot, column, window));
        }
        Self { units, fits, surprises, previous: None, windows }
    }

    #[inline]
    fn step<B: BookView>(&mut self, context: &Context<'_, B>, _slots: &Slots<'_>) {
        if !context.book_step {
            return;
        }
        if context.gap_step {
            self.previous = None;
            self.surprises.iter_mut().for_each(Surprise::clear);
        }
        let now = context.quotes;
        let pair = self.previous.replace(now).map(|before| Pair {
            flow: flow(&before, &now),
            change: (i128::from(now.bid) + i128::from(now.ask))
                - (i128::from(before.bid) + i128::from(before.ask)),
        });
        if let Some(pair) = pair {
            self.windows.push(context.now_ns, pair);
        }
        for surprise in &mut self.surprises {
            let levels = surprise.levels;
            let depth =
                context.depth_scaled(Side::Bid, levels) + context.depth_scaled(Side::Ask, levels);
            surprise.step(pair, 1.0 / float(2 * depth.max(1) + 1));
        }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.windows.evict(context.now_ns);
        for &(slot, column, window) in &self.fits {
            let (n, fit) = (self.windows.count(window), self.windows.totals(window));
            let value = match column {
                Column::Lambda => fit.slope(n).map(|slope| {
                    let quantity = float(pow10(self.units.qty_scale));
                    (slope * quantity) / float(2 * pow10(self.units.price_scale))
                }),
                Column::R2 => fit.r2(n),
            };
            slots.opt_f64(slot, value);
        }
        for surprise in &self.surprises {
            if context.book_step {
                slots.step(surprise.slot);
            }
            slots.rounded(surprise.slot, surprise.value);
        }
    }

    fn reset(&mut self) {
        self.previous = None;
        self.windows.clear();
        self.surprises.iter_mut().for_each(Surprise::clear);
    }

    fn save(&self, out: &mut StateWriter) {
        out.u64(self.previous.is_some().into());
        let q = self.previous.unwrap_or_default();
        [q.bid, q.ask, q.bid_qty, q.ask_qty].into_iter().for_each(|x| out.i64(x));
        self.windows.save(out);
        for s in &self.surprises {
            out.u64(s.steps);
            for x in [s.flow, s.change, s.flow_flow, s.flow_change, s.base, s.value] {
                out.f64(x);
            }
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        let some = from.bool("quotes of impact")?;
        let (bid, ask, bid_qty, ask_qty) = (from.i64()?, from.i64()?, from.i64()?, from.i64()?);
        self.previous = some.then_some(Quotes { bid, ask, bid_qty, ask_qty });
        self.windows.load(from)?;
        for s in &mut self.surprises {
            s.steps = from.u64()?;
            (s.flow, s.change) = (from.f64()?, from.f64()?);
            (s.flow_flow, s.flow_change) = (from.f64()?, from.f64()?);
            (s.base, s.value) = (from.f64()?, from.f64()?);
        }
        Ok(())
    }
}

impl Fit {
    /// `n*Sxy - Sx*Sy`, and the same of the flow and of the change with themselves; `None` where a
    /// line fits whatever the pairs are, or where nothing flowed differently.
    fn moments(&self, n: u64) -> Option<[Wide; 3]> {
        let both = self.flow_change.times(n).minus(Wide::product(self.flow, self.change));
        let flow = self.flow_flow.times(n).minus(Wide::product(self.flow, self.flow));
        let change = self.change_change.times(n).minus(Wide::product(self.change, self.change));
        (n >= 3 && !flow.is_zero()).then_some([both, flow, change])
    }

    fn slope(&self, n: u64) -> Option<f64> {
        self.moments(n).map(|[both, flow, _]| both.float() / flow.float())
    }

    fn r2(&self, n: u64) -> Option<f64> {
        let [both, flow, change] = self.moments(n).filter(|[_, _, change]| !change.is_zero())?;
        let r2 = (both.float() / flow.float()) * (both.float() / change.float());
        Some(r2.min(1.0))
    }
}

impl Totals for Fit {
    type Entry = Pair;

    const ENTRY_BYTES: usize = 32;

    #[inline]
    fn add(&mut self, _number: u64, &Pair { flow, change }: &Pair) {
        self.flow += flow;
        self.change += change;
        self.flow_flow = self.flow_flow.plus(Wide::product(flow, flow));
        self.flow_change = self.flow_change.plus(Wide::product(flow, change));
        self.change_change = self.change_change.plus(Wide::product(change, change));
    }

    #[inline]
    fn remove(&mut self, _number: u64, &Pair { flow, change }: &Pair) {
        self.flow -= flow;
        self.change -= change;
        self.flow_flow = self.flow_flow.minus(Wide::product(flow, flow));
        self.flow_change = self.flow_change.minus(Wide::product(flow, change));
        self.change_change = self.change_change.minus(Wide::product(change, change));
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn save(entry: &Pair, out: &mut StateWriter) {
        out.i128(entry.flow);
        out.i128(entry.change);
    }

    fn load(from: &mut StateReader<'_>) -> Result<Pair, StateError> {
        Ok(Pair { flow: from.i128()?, change: from.i128()? })
    }
}

impl Surprise {
    fn new(slot: usize, count: i64, levels: usize) -> Self {
        let mut surprise = Self {
            slot,
            levels,
            least: count.unsigned_abs(),
            weight: 4.0 / ((count + 2) as f64),
            base_weight: 2.0 / ((5 * count + 1) as f64),
            steps: 0,
            flow: 0.0,
            change: 0.0,
            flow_flow: 0.0,
            flow_change: 0.0,
            base: 0.0,
            value: 0.0,
        };
        surprise.clear();
        surprise
    }

    fn clear(&mut self) {
        (self.steps, self.value, self.base) = (0, 0.0, 0.0);
        (self.flow, self.change, self.flow_flow, self.flow_change) = (0.0, 0.0, 1.0, 0.0);
    }

    /// `by_depth` is the impact that the depth of the book suggests.
    fn step(&mut self, pair: Option<Pair>, by_depth: f64) {
        self.steps += 1;
        let Some(Pair { flow, change }) = pair else {
            self.base = by_depth;
            return;
        };
        let (x, y, a) = (float(flow), float(change), self.weight);
        self.flow = self.flow + a * (x - self.flow);
        self.change = self.change + a * (y - self.change);
        self.flow_flow = self.flow_flow + a * (x * x - self.flow_flow);
        self.flow_change = self.flow_change + a * (x * y - self.flow_change);
        let variance = self.flow_flow - self.flow * self.flow;
        let both = self.flow_change - self.flow * self.change;
        let late = if variance > 0.01 { both / variance } else { by_depth };
        self.base = self.base + self.base_weight * (late - self.base);
        let deviation = (late - self.base) / self.base;
        let counts = self.steps >= self.least && deviation.is_finite() && deviation.abs() >= 0.3;
        self.value = if counts { deviation.clamp(-1.0, 1.0) * 1_000.0 } else { 0.0 };
    }
}
