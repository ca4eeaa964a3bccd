//! How often another column is extreme, and how long it keeps its sign (family `shock`).
//!
//! Spec: `specs/features/shock.md`. Reference and cases: `parity/reference`, `parity/cases/shock.toml`.

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::input::Input;
use crate::meta::{Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale};
use crate::numeric::ratio;
use crate::params::{OF, SPAN_COUNT, SPAN_WINDOW_NS, span};
use crate::registry::{Family, Wanted};
use crate::set::Feature;
use crate::slots::Slots;
use crate::window::{Sum, Windows};

/// Samples of columns that stand earlier in the set.
#[derive(Debug, Clone)]
pub struct Shock {
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    slot: usize,
    input: Input,
    question: Question,
    /// 1 for each sample that answers yes.
    samples: Windows<Sum>,
    /// Sign of the sample before; `None` where there is none to compare with.
    last_sign: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Above { threshold: f64 },
    Below { threshold: f64 },
    Either { threshold: f64 },
    SameSign,
}

const SHOCK: ColumnMeta = ColumnMeta {
    reads: Reads::Input,
    behaviour: Behaviour::Window,
    warmup_min_events: 0,
    ..l1_column("", Dtype::I64, Scale::None, "steps", "")
};

impl Family for Shock {
    const META: FamilyMeta = FamilyMeta {
        slug: "shock",
        doc: "How often another column is extreme, and how long it keeps its sign.",
        source: "counts over windows, the scar tissue of order-book studies",
        columns: &[
            ColumnMeta {
                id: "shock_count",
                name: "shock_count_{of}_{side}_{threshold_ppm}_{count}{window_ns}",
                params: &["of", "side", "threshold_ppm", "count", "window_ns"],
                doc: "Steps of the window at which the input was beyond the threshold.",
                ..SHOCK
            },
            ColumnMeta {
                id: "sign_persistence",
                name: "sign_persistence_{of}_{count}{window_ns}",
                params: &["of", "count", "window_ns"],
                dtype: Dtype::F64,
                unit: "ratio in 0..1",
                warmup_min_events: 1,
                doc: "Share of the steps of the window at which the input kept its sign.",
                ..SHOCK
            },
        ],
        params: &[
            OF,
            ParamMeta {
                key: "side",
                kind: ParamKind::Choice(&["above", "below", "either"]),
                doc: "x > t, x < -t, or abs(x) > t.",
            },
            ParamMeta {
                key: "threshold_ppm",
                kind: ParamKind::Int { min: 0, max: 1_000_000_000_000_000, default: None },
                doc: "The threshold t in millionths of the unit of the input.",
            },
            SPAN_COUNT,
            SPAN_WINDOW_NS,
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let series = |(slot, f): &Wanted<'_>| {
            let mut samples = Windows::new();
            samples.open(span(f), Sum::default());
            let (input, question) = (Input::of(f), Question::of(f));
            Series { slot: *slot, input, question, samples, last_sign: None }
        };
        Self { series: wanted.iter().map(series).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        self.series.iter_mut().for_each(|series| series.fill(context, slots));
    }

    fn reset(&mut self) {
        for series in &mut self.series {
            series.samples.clear();
            series.last_sign = None;
        }
    }

    fn save(&self, out: &mut StateWriter) {
        for series in &self.series {
            out.opt_i64(series.last_sign);
            series.samples.save(out);
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        for series in &mut self.series {
            series.last_sign = from.opt_i64()?;
            series.samples.load(from)?;
        }
        Ok(())
    }
}

impl Series {
    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        if context.gap_step {
            self.samples.clear_counts();
            self.last_sign = None;
        }
        if let Some(word) = self.input.stepped(context, slots) {
            if let Some(yes) = self.answer(self.input.float(word)) {
                self.samples.push(context.now_ns, yes.into());
            }
            slots.step(self.slot);
        }
        self.samples.evict(context.now_ns);
        if self.input.stands(context) {
            return;
        }
        let (yes, n) = (self.samples.totals(0).0, self.samples.count(0));
        match self.question {
            Question::SameSign => slots.opt_f64(self.slot, ratio(yes, n.into())),
            _ => slots.i128(self.slot, yes),
        }
    }

    /// Whether a sample counts; `None` when it is no sample.
    fn answer(&mut self, x: f64) -> Option<bool> {
        match self.question {
            Question::Above { threshold } => Some(x > threshold),
            Question::Below { threshold } => Some(x < -threshold),
            Question::Either { threshold } => Some(x.abs() > threshold),
            Question::SameSign => {
                let sign = i64::from(x > 0.0) - i64::from(x < 0.0);
                self.last_sign.replace(sign).map(|last| last == sign)
            }
        }
    }
}

impl Question {
    fn of(f: &Feature) -> Self {
        let Some(ppm) = f.opt_param("threshold_ppm") else { return Self::SameSign };
        let threshold = (ppm as f64) / 1e6;
        match f.choice_param("side") {
            "below" => Self::Below { threshold },
            "either" => Self::Either { threshold },
            _ => Self::Above { threshold },
        }
    }
}
