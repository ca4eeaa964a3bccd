//! Statistics of another column over a window (family `rolling`).
//!
//! Spec: `specs/features/rolling.md`. Reference and cases: `parity/reference`, `parity/cases/rolling.toml`.

use std::collections::VecDeque;

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::input::Input;
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, Reads, Scale, UNIT_OF_INPUT};
use crate::moments::Moments;
use crate::numeric::{QUANTUM, float, quantised};
use crate::params::{OF, SPAN_COUNT, SPAN_WINDOW_NS, span};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;
use crate::window::{Totals, Windows};

/// Windows over columns that stand earlier in the set.
#[derive(Debug, Clone)]
pub struct Rolling {
    series: Vec<Series>,
}

/// One input under all its windows.
#[derive(Debug, Clone)]
struct Series {
    input: Input,
    /// Value of one unit of an entry is one over this.
    unit: f64,
    windows: Windows<Stats>,
    /// The newest entry.
    newest: i128,
    wanted: Vec<Statistic>,
}

#[derive(Debug, Clone, Copy)]
struct Statistic {
    slot: usize,
    column: Column,
    window: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Mean,
    Sum,
    Deviation,
    Score,
    Min,
    Max,
}

/// What a window knows.
#[derive(Debug, Clone, Default)]
struct Stats {
    moments: Moments,
    /// Whether a column asks for the squares, whose products cost more than all else.
    has_squares: bool,
    min: Option<Extreme>,
    max: Option<Extreme>,
}

/// Entries that are, or may become, the extreme of a window: the front is.
#[derive(Debug, Clone, Default)]
struct Extreme {
    /// Numbers and entries; entries are strictly ordered towards the front.
    queue: VecDeque<(u64, i128)>,
}

const ROLLING: ColumnMeta = ColumnMeta {
    reads: Reads::Input,
    behaviour: Behaviour::Window,
    warmup_min_events: 0,
    params: &["of", "count", "window_ns"],
    ..l1_column("", Dtype::F64, Scale::None, UNIT_OF_INPUT, "")
};

impl Family for Rolling {
    const META: FamilyMeta = FamilyMeta {
        slug: "rolling",
        doc: "Statistics of another column over a window of time or of steps.",
        source: "exact moments; extremes by Lemire (2006), Streaming maximum-minimum filter",
        columns: &[
            ColumnMeta {
                id: "rolling_mean",
                name: "rolling_mean_{of}_{count}{window_ns}",
                doc: "Mean.",
                ..ROLLING
            },
            ColumnMeta {
                id: "rolling_sum",
                name: "rolling_sum_{of}_{count}{window_ns}",
                doc: "Sum.",
                ..ROLLING
            },
            ColumnMeta {
                id: "rolling_std",
                name: "rolling_std_{of}_{count}{window_ns}",
                doc: "Standard deviation of a sample (n-1).",
                ..ROLLING
            },
            ColumnMeta {
                id: "rolling_zscore",
                name: "rolling_zscore_{of}_{count}{window_ns}",
                unit: "standard deviations",
                doc: "Newest value minus mean, over the standard deviation.",
                ..ROLLING
            },
            ColumnMeta {
                id: "rolling_min",
                name: "rolling_min_{of}_{count}{window_ns}",
                doc: "Smallest value.",
                ..ROLLING
            },
            ColumnMeta {
                id: "rolling_max",
                name: "rolling_max_{of}_{count}{window_ns}",
                doc: "Largest value.",
                ..ROLLING
            },
        ],
        params: &[OF, SPAN_COUNT, SPAN_WINDOW_NS],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        const COLUMNS: [Column; 6] =
            [Column::Mean, Column::Sum, Column::Deviation, Column::Score, Column::Min, Column::Max];
        let mut series: Vec<Series> = Vec::new();
        for (slot, f) in wanted {
            let input = Input::of(f);
            // Series stay in the order of their inputs, so that each finds its input computed.
            let at = series.iter().position(|series| series.input == input);
            let at = at.unwrap_or_else(|| {
                series.push(Series::new(input));
                series.len() - 1
            });
            let column = COLUMNS[f.column_index];
            let window = series[at].windows.open(span(f), Stats::default());
            series[at].windows.totals_mut(window).learn(column);
            series[at].wanted.push(Statistic { slot: *slot, column, window });
        }
        Self { series }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.series.iter_mut().for_each(|series| series.fill(context, slots));
    }

    fn reset(&mut self) {
        for series in &mut self.series {
            series.windows.clear();
            series.newest = 0;
        }
    }

    fn save(&self, out: &mut StateWriter) {
        for series in &self.series {
            out.i128(series.newest);
            series.windows.save(out);
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        for series in &mut self.series {
            series.newest = from.i128()?;
            series.windows.load(from)?;
        }
        Ok(())
    }
}

impl Series {
    fn new(input: Input) -> Self {
        let unit = if input.dtype == Dtype::F64 { QUANTUM } else { 1.0 };
        Self { input, unit, windows: Windows::new(), newest: 0, wanted: Vec::new() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        if context.gap_step {
            self.windows.clear_counts();
        }
        if let Some(word) = self.input.stepped(context, slots) {
            self.newest = match self.input.dtype {
                Dtype::F64 => {
                    let (entry, clamped) = quantised(f64::from_bits(word));
                    slots.saturated |= clamped;
                    entry
                }
                Dtype::I64 | Dtype::U32 => word.cast_signed().into(),
            };
            self.windows.push(context.now_ns, self.newest);
            self.wanted.iter().for_each(|statistic| slots.step(statistic.slot));
        }
        self.windows.evict(context.now_ns);
        if self.input.stands(context) {
            return;
        }
        for &Statistic { slot, column, window } in &self.wanted {
            let n = self.windows.count(window);
            let value = self.windows.totals(window).value(column, n, self.newest);
            // Units of a score cancel; dividing by a power of two is exact.
            let unit = if column == Column::Score { 1.0 } else { self.unit };
            slots.opt_f64(slot, value.map(|value| value / unit));
        }
    }
}

impl Stats {
    /// Keeps what a column asks for from now on.
    fn learn(&mut self, column: Column) {
        match column {
            Column::Min => self.min = Some(Extreme::default()),
            Column::Max => self.max = Some(Extreme::default()),
            Column::Deviation | Column::Score => self.has_squares = true,
            Column::Mean | Column::Sum => {}
        }
    }

    #[inline]
    fn value(&self, column: Column, n: u64, newest: i128) -> Option<f64> {
        let sum = self.moments.sum;
        let count = i128::from(n);
        match column {
            Column::Mean => (n > 0).then(|| float(sum) / float(count)),
            Column::Sum => Some(float(sum)),
            Column::Deviation => self.moments.deviation(n),
            Column::Score => {
                let deviation = self.moments.deviation(n).filter(|deviation| *deviation > 0.0)?;
                Some((float(count * newest - sum) / float(count)) / deviation)
            }
            Column::Min => self.min.as_ref()?.front().map(float),
            Column::Max => self.max.as_ref()?.front().map(float),
        }
    }
}

impl Extreme {
    fn front(&self) -> Option<i128> {
        self.queue.front().map(|(_, entry)| *entry)
    }

    #[inline]
    fn add(&mut self, number: u64, entry: i128, beats: impl Fn(i128, i128) -> bool) {
        while self.queue.back().is_some_and(|(_, last)| !beats(*last, entry)) {
            self.queue.pop_back();
        }
        self.queue.push_back((number, entry));
    }

    #[inline]
    fn remove(&mut self, number: u64) {
        if self.queue.front().is_some_and(|(first, _)| *first == number) {
            self.queue.pop_front();
        }
    }
}

impl Totals for Stats {
    type Entry = i128;

    const ENTRY_BYTES: usize = 16;

    #[inline]
    fn add(&mut self, number: u64, entry: &i128) {
        if self.has_squares {
            self.moments.add(number, entry);
        } else {
            self.moments.sum += entry;
        }
        if let Some(min) = &mut self.min {
            min.add(number, *entry, |a, b| a < b);
        }
        if let Some(max) = &mut self.max {
            max.add(number, *entry, |a, b| a > b);
        }
    }

    #[inline]
    fn remove(&mut self, number: u64, entry: &i128) {
        if self.has_squares {
            self.moments.remove(number, entry);
        } else {
            self.moments.sum -= entry;
        }
        self.min.iter_mut().chain(&mut self.max).for_each(|extreme| extreme.remove(number));
    }

    fn clear(&mut self) {
        self.moments.clear();
        self.min.iter_mut().chain(&mut self.max).for_each(|extreme| extreme.queue.clear());
    }

    fn save(entry: &i128, out: &mut StateWriter) {
        out.i128(*entry);
    }

    fn load(from: &mut StateReader<'_>) -> Result<i128, StateError> {
        from.i128()
    }
}
