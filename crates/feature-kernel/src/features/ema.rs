//! Exponential moving average of another column (family `ema`).
//!
//! Spec: `specs/features/ema.md`. Reference and cases: `parity/reference`, `parity/cases/ema.toml`.

use market_model::{BookView, StateError, StateReader, StateWriter};

use super::l1_column;
use crate::context::{Context, Units};
use crate::input::Input;
use crate::meta::{
    Behaviour, ColumnMeta, Dtype, FamilyMeta, ParamKind, ParamMeta, Reads, Scale, UNIT_OF_INPUT,
};
use crate::numeric::det_exp;
use crate::params::OF;
use crate::registry::{Family, Wanted};
use crate::set::Feature;
use crate::slots::Slots;

/// Averages of columns that stand earlier in the set.
#[derive(Debug, Clone)]
pub struct Ema {
    averages: Vec<Average>,
}

#[derive(Debug, Clone)]
struct Average {
    slot: usize,
    rounded: bool,
    input: Input,
    alpha: Alpha,
    weighted: bool,
    seed_zero: bool,
    /// `None` before the first input.
    state: Option<f64>,
    last_ns: i64,
}

#[derive(Debug, Clone, Copy)]
enum Alpha {
    Fixed(f64),
    Tau { tau_ns: i64 },
}

/// `2 / (span + 1)`, the weight of a new value.
#[must_use]
pub fn span_alpha(span: i64) -> f64 {
    2.0 / ((span + 1) as f64)
}

const EMA: ColumnMeta = ColumnMeta {
    reads: Reads::Input,
    behaviour: Behaviour::Stateful,
    warmup_min_events: 0,
    params: &["of", "span", "tau_ns", "form", "seed", "warmup_steps"],
    ..l1_column("", Dtype::F64, Scale::None, UNIT_OF_INPUT, "")
};

impl Family for Ema {
    const META: FamilyMeta = FamilyMeta {
        slug: "ema",
        doc: "Exponential moving average of another column.",
        source: "Hunter (1986); time constant form of Mueller, UTEDO (1991)",
        columns: &[
            ColumnMeta { id: "ema", name: "ema_{of}_{span}{tau_ns}", doc: "The average.", ..EMA },
            ColumnMeta {
                id: "ema_rounded",
                name: "ema_rounded_{of}_{span}{tau_ns}",
                dtype: Dtype::I64,
                scale: Scale::None,
                doc: "The average, rounded half to even; scaled as the input.",
                ..EMA
            },
        ],
        params: &[
            OF,
            ParamMeta {
                key: "span",
                kind: ParamKind::Int { min: 1, max: 1_000_000_000, default: None },
                doc: "Weight 2/(span+1) per step; give span or tau_ns.",
            },
            ParamMeta {
                key: "tau_ns",
                kind: ParamKind::Int { min: 1, max: 86_400_000_000_000, default: None },
                doc: "Time constant: weight 1-exp(-dt/tau).",
            },
            ParamMeta {
                key: "form",
                kind: ParamKind::Choice(&["delta", "weighted"]),
                doc: "e+a*(x-e), or (1-a)*e+a*x.",
            },
            ParamMeta {
                key: "seed",
                kind: ParamKind::Choice(&["first", "zero"]),
                doc: "Start from the first input, or from 0.",
            },
            ParamMeta {
                key: "warmup_steps",
                kind: ParamKind::Int { min: 1, max: 1_000_000_000, default: Some(2) },
                doc: "Steps before the average is ready.",
            },
        ],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        let average = |slot: usize, f: &Feature| Average {
            slot,
            rounded: f.column_index == 1,
            input: Input::of(f),
            alpha: match f.opt_param("tau_ns") {
                Some(tau_ns) => Alpha::Tau { tau_ns },
                None => Alpha::Fixed(span_alpha(f.wide_param("span"))),
            },
            weighted: f.choice_param("form") == "weighted",
            seed_zero: f.choice_param("seed") == "zero",
            state: None,
            last_ns: 0,
        };
        Self { averages: wanted.iter().map(|(slot, f)| average(*slot, f)).collect() }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let mut decay = Decay::default();
        for average in &mut self.averages {
            if let Some(word) = average.input.stepped(context, slots) {
                slots.step(average.slot);
                let x = average.input.float(word);
                average.step(x, context.now_ns, &mut decay);
            }
            if let (false, Some(value)) = (average.input.stands(context), average.state) {
                if average.rounded {
                    slots.rounded(average.slot, value);
                } else {
                    slots.f64(average.slot, value);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.averages.iter_mut().for_each(|a| (a.state, a.last_ns) = (None, 0));
    }

    fn save(&self, out: &mut StateWriter) {
        for average in &self.averages {
            out.u64(average.state.is_some().into());
            out.f64(average.state.unwrap_or_default());
            out.i64(average.last_ns);
        }
    }

    fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        for average in &mut self.averages {
            let some = from.bool("ema.state")?;
            let value = from.f64()?;
            average.state = some.then_some(value);
            average.last_ns = from.i64()?;
        }
        Ok(())
    }
}

impl Average {
    #[inline]
    fn step(&mut self, x: f64, now_ns: i64, decay: &mut Decay) {
        let first = self.state.is_none();
        let e = match self.state {
            Some(e) => e,
            None if self.seed_zero => 0.0,
            None => x,
        };
        let a = match self.alpha {
            Alpha::Fixed(a) => a,
            Alpha::Tau { .. } if first => 1.0,
            Alpha::Tau { tau_ns } => decay.alpha(now_ns - self.last_ns, tau_ns),
        };
        self.last_ns = now_ns;
        self.state = Some(if first && !self.seed_zero {
            x
        } else if self.weighted {
            (1.0 - a) * e + a * x
        } else {
            e + a * (x - e)
        });
    }
}

/// The last weight: averages with the same time constant stand together and step together.
#[derive(Default)]
struct Decay {
    dt_ns: i64,
    tau_ns: i64,
    alpha: f64,
}

impl Decay {
    #[inline]
    fn alpha(&mut self, dt_ns: i64, tau_ns: i64) -> f64 {
        if (dt_ns, tau_ns) != (self.dt_ns, self.tau_ns) {
            let alpha = 1.0 - det_exp(-((dt_ns as f64) / (tau_ns as f64)));
            *self = Self { dt_ns, tau_ns, alpha };
        }
        self.alpha
    }
}
