//! How features step (`specs/semantics.md`, section 3): words and masks of one epoch.

use feature_kernel::meta::{Behaviour, Dtype, Reads};
use feature_kernel::{Feature, FeatureSet};

use super::Defect;
use super::columns::{Quote, Scene, Value, number, round_float, word};
use super::flow::Flow;
use super::impact::{Pairs, Surprise};
use super::memory::Memory;
use super::returns::Mids;
use super::rolling::{self, Window};
use super::shock::{self, Before};
use super::toxicity::Toxic;
use super::trades::Prints;

/// What kind of step a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// The packet has book content.
    pub(super) is_book: bool,
    /// The book after it is crossed or one-sided.
    pub(super) is_frozen: bool,
    /// Packets before it are missing.
    pub(super) is_gap: bool,
}

/// State of one moving average.
#[derive(Debug, Clone, Copy)]
struct Average {
    value: f64,
    stepped_ns: i64,
}

/// Everything that features remember in an epoch, and the words and masks of its last frame.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    pub(super) words: Vec<u64>,
    pub(super) changed: Vec<bool>,
    pub(super) ready: Vec<bool>,
    pub(super) valid: Vec<bool>,
    pub(super) is_saturated: bool,
    /// Quotes of the last two-sided book.
    pub(super) quote: Option<Quote>,
    stepped: Vec<bool>,
    counts: Vec<u64>,
    averages: Vec<Option<Average>>,
    memories: Vec<Memory>,
    windows: Vec<Window>,
    toxics: Vec<Toxic>,
    befores: Vec<Before>,
    flow: Flow,
    pairs: Pairs,
    surprises: Vec<Surprise>,
    mids: Mids,
    prints: Prints,
    first_ns: Option<i64>,
    gap_ns: Option<i64>,
    gap_waits: bool,
}

/// Whether it is computed from another column of the set.
fn is_derived(feature: &Feature) -> bool {
    feature.column.reads == Reads::Input
}

/// A word as the input of an average.
fn as_float(word: u64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::I64 => word as i64 as f64,
        Dtype::F64 => f64::from_bits(word),
        Dtype::U32 => word as f64,
    }
}

fn float_word(x: f64, is_one_off: bool) -> Option<u64> {
    let x = if x == 0.0 { 0.0 } else { x };
    x.is_finite().then(|| x.to_bits() + u64::from(is_one_off))
}

impl Steps {
    /// The state at the start of an epoch.
    pub(super) fn new(set: &FeatureSet) -> Self {
        let count = set.len();
        Self {
            words: vec![0; count],
            changed: vec![false; count],
            ready: vec![false; count],
            valid: vec![false; count],
            stepped: vec![false; count],
            counts: vec![0; count],
            averages: vec![None; count],
            memories: set.features().iter().map(Memory::new).collect(),
            windows: vec![Window::default(); count],
            toxics: vec![Toxic::default(); count],
            befores: vec![Before::default(); count],
            surprises: vec![Surprise::default(); count],
            ..Self::default()
        }
    }

    /// Ends the epoch.
    pub(super) fn clear(&mut self, set: &FeatureSet, defect: Option<Defect>) {
        let fresh = Self::new(set);
        let old = std::mem::replace(self, fresh);
        match defect {
            Some(Defect::SkippedReset) => self.averages = old.averages,
            Some(Defect::CumNotReset) => self.flow.cum = old.flow.cum,
            _ => {}
        }
    }

    /// Steps every feature: words and masks of one frame.
    pub(super) fn step(&mut self, set: &FeatureSet, scene: &Scene<'_>, moment: Moment) {
        let mut moment = moment;
        let flows = moment.is_book && !moment.is_frozen;
        if flows && std::mem::take(&mut self.gap_waits) {
            moment.is_gap = true;
        }
        self.gap_waits |= moment.is_gap && moment.is_frozen;
        let is_first = self.first_ns.is_none();
        self.first_ns.get_or_insert(scene.now_ns);
        if moment.is_gap {
            self.gap_ns = Some(scene.now_ns);
        }
        self.step_sources(set, scene, moment);
        for (memory, feature) in self.memories.iter_mut().zip(set.features()) {
            memory.step(feature, scene, moment);
        }
        let before = (self.words.clone(), self.changed.clone());
        self.is_saturated = false;
        for (index, feature) in set.features().iter().enumerate() {
            let value = self.step_one(index, set, scene, moment);
            self.put(index, feature, value, scene.defect);
        }
        for index in 0..self.words.len() {
            let sticks = scene.defect == Some(Defect::ChangedMaskSticky) && before.1[index];
            self.changed[index] = is_first || self.words[index] != before.0[index] || sticks;
        }
        self.judge_ready(set, scene.now_ns, scene.defect);
    }

    /// Masks of a frame that only repeats the last words.
    pub(super) fn repeat(&mut self, set: &FeatureSet, now_ns: i64, defect: Option<Defect>) {
        self.changed.fill(false);
        self.valid.fill(false);
        self.judge_ready(set, now_ns, defect);
    }

    /// What families remember of the market, however many columns look at it.
    fn step_sources(&mut self, set: &FeatureSet, scene: &Scene<'_>, moment: Moment) {
        let reach = set.features().iter().map(|f| number(f, "window_ns")).max().unwrap_or(0);
        let quote = (!moment.is_frozen).then_some(scene.quote);
        self.prints.step(scene, quote, moment.is_gap, reach);
        if !moment.is_book {
            self.flow.idle();
            self.mids.idle();
        } else if !moment.is_frozen {
            let counts = set.features().iter().map(|f| number(f, "count"));
            let longest = usize::try_from(counts.max().unwrap_or(0)).unwrap_or(0);
            self.pairs.step(scene, moment.is_gap, reach);
            self.mids.step(scene, moment.is_gap, (reach, longest));
            let is_gap = moment.is_gap && scene.defect != Some(Defect::GapFlows);
            self.flow.step(scene.quote, scene.now_ns, is_gap, reach);
        } else if scene.defect == Some(Defect::FrozenAnchors) {
            self.flow.break_chain();
        }
    }

    /// The value of a feature in this frame; `None` when it is invalid.
    fn step_one(
        &mut self,
        index: usize,
        set: &FeatureSet,
        scene: &Scene<'_>,
        moment: Moment,
    ) -> Option<Value> {
        let feature = &set.features()[index];
        let (steps, is_book) = match feature.reads {
            Reads::Clock => (true, false),
            Reads::Trades => (!scene.packet.trades.is_empty(), false),
            _ => (moment.is_book && !moment.is_frozen, true),
        };
        self.stepped[index] = if is_derived(feature) {
            let input = set.index_of(word(feature, "of"))?;
            self.stepped[input] && self.valid[input]
        } else {
            steps
        };
        let crosses = scene.defect == Some(Defect::CountCrossesGap);
        if moment.is_gap && scene.defect != Some(Defect::SignAcrossGap) {
            self.befores[index] = Before::default();
        }
        let is_count = ["count", "buckets", "trades"].iter().any(|key| number(feature, key) > 0);
        if moment.is_gap && !crosses && is_count {
            self.windows[index] = Window::default();
            self.toxics[index] = Toxic::default();
            self.surprises[index] = Surprise::default();
            self.counts[index] = 0;
        }
        if is_derived(feature) && self.stepped[index] {
            self.take_input(index, set, scene);
        }
        let taken = if feature.family.slug == "toxicity" {
            self.toxics[index].step(feature, &self.prints.packet, scene.defect)
        } else {
            self.stepped[index].into()
        };
        self.stepped[index] = taken > 0;
        self.counts[index] = self.counts[index].saturating_add(taken);
        if is_book && moment.is_frozen && scene.defect != Some(Defect::FrozenValid) {
            return None;
        }
        match feature.family.slug {
            "ema" => self.averages[index].map(|average| rounded(feature, average.value, scene)),
            "ofi_l1" => self.flow_value(feature, scene),
            "returns" => {
                self.is_saturated |= self.mids.is_clamped(feature);
                self.mids.value(feature, scene)
            }
            "impact" => self.impact_value(index, feature, scene),
            "rolling" | "shock" => self.rolling_value(index, set, scene),
            "toxicity" => self.toxics[index].value(feature, scene.defect),
            "trades" => self.prints.value(feature, scene),
            _ => self.memories[index].value(feature, scene),
        }
    }

    /// The step of a column over a column.
    fn take_input(&mut self, index: usize, set: &FeatureSet, scene: &Scene<'_>) -> Option<()> {
        let feature = &set.features()[index];
        let input = set.index_of(word(feature, "of"))?;
        let (word, dtype) = (self.words[input], set.features()[input].column.dtype);
        match feature.family.slug {
            "ema" => self.average(index, feature, as_float(word, dtype), scene),
            "shock" => {
                let x = as_float(word, dtype);
                let entry = self.befores[index].entry(feature, x, scene.defect)?;
                self.windows[index].push(scene.now_ns, entry);
            }
            _ => {
                let (entry, is_clamped) = rolling::entry(word, dtype, scene.defect);
                self.is_saturated |= is_clamped;
                self.windows[index].push(scene.now_ns, entry);
            }
        }
        Some(())
    }

    fn rolling_value(
        &mut self,
        index: usize,
        set: &FeatureSet,
        scene: &Scene<'_>,
    ) -> Option<Value> {
        let feature = &set.features()[index];
        let input = set.index_of(word(feature, "of"))?;
        let dtype = set.features()[input].column.dtype;
        let rests = scene.defect == Some(Defect::RollingNeverIdles) && !self.stepped[index];
        let now_ns = if rests { i64::MIN } else { scene.now_ns };
        let entries = self.windows[index].inside(feature, now_ns, scene.defect);
        if feature.family.slug == "shock" {
            return shock::value(feature, &entries);
        }
        rolling::value(feature, &entries, dtype, scene.defect)
    }

    fn impact_value(
        &mut self,
        index: usize,
        feature: &Feature,
        scene: &Scene<'_>,
    ) -> Option<Value> {
        if feature.column.id != "impact_surprise_x1000" {
            return self.pairs.value(feature, scene);
        }
        let surprise = &mut self.surprises[index];
        if self.stepped[index] {
            let levels = number(feature, "levels");
            let depth = scene.first_levels(&scene.book.bids, levels)
                + scene.first_levels(&scene.book.asks, levels);
            surprise.step(feature, self.pairs.newest, depth, scene.defect);
        }
        Some(surprise.value())
    }

    fn flow_value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let value = match feature.column.id {
            "ofi_l1_raw" => self.flow.raw?,
            "ofi_l1_cum" => self.flow.cum,
            "ofi_l1_sum" => {
                let rests = scene.defect == Some(Defect::WindowNeverIdles);
                let now_ns = if rests { scene.book_ns } else { scene.now_ns };
                self.flow.sum(now_ns, number(feature, "window_ns"), scene.defect)
            }
            _ => return None,
        };
        Some(Value::Int(value))
    }

    /// One step of an average (`specs/features/ema.md`).
    fn average(&mut self, index: usize, feature: &Feature, x: f64, scene: &Scene<'_>) {
        let (span, tau_ns) = (number(feature, "span"), number(feature, "tau_ns"));
        let before = self.averages[index];
        let elapsed_ns = before.map(|average| scene.now_ns - average.stepped_ns);
        let a = match (tau_ns, elapsed_ns) {
            (0, _) => 2.0 / (span + 1) as f64,
            (_, None) => 1.0,
            (_, Some(dt_ns)) => 1.0 - libm::exp(-(dt_ns as f64 / tau_ns as f64)),
        };
        let e = match before {
            None if word(feature, "seed") != "zero" => None,
            None => Some(0.0),
            Some(average) => Some(average.value),
        };
        let is_weighted = word(feature, "form") == "weighted";
        let is_weighted = is_weighted != (scene.defect == Some(Defect::EmaForm));
        let value = match e {
            None => x,
            Some(e) if is_weighted => (1.0 - a) * e + a * x,
            Some(e) => e + a * (x - e),
        };
        self.averages[index] = Some(Average { value, stepped_ns: scene.now_ns });
    }

    /// Writes the word and the valid bit of a value.
    fn put(
        &mut self,
        index: usize,
        feature: &Feature,
        value: Option<Value>,
        defect: Option<Defect>,
    ) {
        let word = match value {
            None => None,
            Some(Value::Float(x)) => float_word(x, defect == Some(Defect::OneUlp)),
            Some(Value::Int(x)) if feature.column.dtype == Dtype::U32 => Some(x as u32 as u64),
            Some(Value::Int(x)) => {
                let clamped = x.clamp(i64::MIN.into(), i64::MAX.into());
                self.is_saturated |= clamped != x;
                Some(clamped as i64 as u64)
            }
        };
        self.valid[index] = word.is_some();
        match word {
            Some(word) => self.words[index] = word,
            None if defect == Some(Defect::HeldZeroed) => self.words[index] = 0,
            None => {}
        }
    }

    fn judge_ready(&mut self, set: &FeatureSet, now_ns: i64, defect: Option<Defect>) {
        let has_passed = |since_ns: Option<i64>, bound_ns: i64| {
            since_ns.is_none_or(|t_ns| i128::from(now_ns) - i128::from(t_ns) >= bound_ns.into())
        };
        for (index, feature) in set.features().iter().enumerate() {
            let missing = u64::from(defect == Some(Defect::WarmupOffByOne));
            let is_window = feature.column.behaviour == Behaviour::Window;
            self.ready[index] = self.counts[index]
                >= u64::from(feature.warmup_min_events) + missing
                && has_passed(self.first_ns, feature.warmup_min_ns)
                && (!is_window || has_passed(self.gap_ns, feature.warmup_min_ns));
        }
    }
}

/// The output of an average: rounded for the integer column.
fn rounded(feature: &Feature, value: f64, scene: &Scene<'_>) -> Value {
    if feature.column.dtype == Dtype::F64 {
        return Value::Float(value);
    }
    Value::Int(round_float(value, scene.defect) as i128)
}
