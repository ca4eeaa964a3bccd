//! Co-replay for strategies that numba compiles: plain C functions over one handle.
//!
//! Numba calls functions by symbol and reads memory by address; it knows nothing of Python objects. So a
//! handle has a fixed address, its values are atomics in fixed memory, and the functions take no panic
//! across the border: they answer with a negative status, and `RawReplay.error` says why.
#![allow(unsafe_code, reason = "C functions and shared arrays, see tidy/unsafe_code.rs")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use feature_hftbacktest::CoReplay;
use feature_infer::{AnyModel, Model, Scorer};
use feature_runtime::{Feature, FeatureSet, FeatureValue, FrameRef};
use market_io::hftbacktest::{Row, open_arrays};
use market_io::{Format, OpenOptions, Source};
use market_model::Instrument;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::load_set;
use crate::errors::{config, failure, guarded, raise};

/// Statuses of [`featureplane_advance`]; frames made are 0 and above.
const FAILED: i64 = -1;
const PANICKED: i64 = -2;
const NO_HANDLE: i64 = -3;

/// Words of the header view: frames, seq, source seq, source time, local time, epoch, quality.
const HEADER_WORDS: usize = 7;

/// An array of rows that Python holds, by address.
struct SharedRows {
    address: usize,
    rows: usize,
}

impl AsRef<[Row]> for SharedRows {
    fn as_ref(&self) -> &[Row] {
        // SAFETY: `RawReplay` is made of the address and length of a contiguous array of 64-byte rows that
        // the Python object keeps alive, and that nothing writes to while a backtest runs. numpy aligns
        // such arrays to 8 bytes at least, which `RawReplay::new` checks.
        unsafe { std::slice::from_raw_parts(self.address as *const Row, self.rows) }
    }
}

struct State {
    replay: CoReplay,
    scorer: Option<Scorer>,
    frames: i64,
    error: Option<PyErr>,
}

/// What the address that numba holds points to.
pub(crate) struct Handle {
    state: Mutex<State>,
    /// Values as bits of `f64`, NaN where they are not defined.
    values: Box<[AtomicU64]>,
    /// Scores as bits of `f64`, NaN where there is none; set once, with the scorer.
    scores: OnceLock<Box<[AtomicU64]>>,
    valid: Box<[AtomicU64]>,
    ready: Box<[AtomicU64]>,
    header: [AtomicI64; HEADER_WORDS],
}

fn undefined(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(f64::NAN.to_bits())).collect()
}

fn zeroed(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

impl Handle {
    fn new(replay: CoReplay) -> Self {
        let features = replay.engine().feature_set().len();
        Self {
            state: Mutex::new(State { replay, scorer: None, frames: 0, error: None }),
            values: undefined(features),
            scores: OnceLock::new(),
            valid: zeroed(features.div_ceil(64)),
            ready: zeroed(features.div_ceil(64)),
            header: Default::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, now_ns: i64) -> i64 {
        let mut state = self.lock();
        let State { replay, scorer, frames, error } = &mut *state;
        if error.is_some() {
            return FAILED;
        }
        match replay.advance(now_ns) {
            Ok(0) => 0,
            Ok(made) => {
                let made = i64::try_from(made).unwrap_or(i64::MAX);
                *frames += made;
                if let Some(frame) = replay.engine().frame() {
                    self.publish(*frames, replay.engine().feature_set(), &frame);
                    self.publish_scores(scorer.as_mut(), frame);
                }
                made
            }
            Err(stopped) => {
                *error = Some(raise(stopped));
                FAILED
            }
        }
    }

    fn publish_scores(&self, scorer: Option<&mut Scorer>, frame: FrameRef<'_>) {
        let (Some(scorer), Some(slots)) = (scorer, self.scores.get()) else { return };
        let scores = scorer.score_frame(frame).expect("Invariant: bound to the set of this replay");
        for (index, slot) in slots.iter().enumerate() {
            let score = scores.map_or(f64::NAN, |scores| scores[index]);
            slot.store(score.to_bits(), Relaxed);
        }
    }

    fn publish(&self, frames: i64, set: &FeatureSet, frame: &FrameRef<'_>) {
        for (index, (slot, feature)) in self.values.iter().zip(set.features()).enumerate() {
            slot.store(value(frame, index, feature).to_bits(), Relaxed);
        }
        for (slots, mask) in
            [(&self.valid, frame.valid_mask()), (&self.ready, frame.warmup_ready_mask())]
        {
            for (slot, word) in slots.iter().zip(mask) {
                slot.store(*word, Relaxed);
            }
        }
        let header = frame.header();
        let words = [
            frames,
            header.seq.cast_signed(),
            header.source_seq.cast_signed(),
            header.source_ts_ns,
            header.local_ts_ns,
            i64::from(header.epoch),
            i64::from(header.quality.bits()),
        ];
        for (slot, word) in self.header.iter().zip(words) {
            slot.store(word, Relaxed);
        }
    }
}

/// A value as a float, NaN where it is not defined.
fn value(frame: &FrameRef<'_>, index: usize, feature: &Feature) -> f64 {
    let word = frame.value(index);
    word.map_or(f64::NAN, |word| FeatureValue::from_word(word, feature.column.dtype).as_f64())
}

/// Takes every packet received up to `now_ns`; the number of frames made, or a negative status.
///
/// # Safety
///
/// `handle` is 0 or the address of a `RawReplay` that is alive.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn featureplane_advance(handle: *const Handle, now_ns: i64) -> i64 {
    // SAFETY: the caller's promise.
    let Some(handle) = (unsafe { handle.as_ref() }) else { return NO_HANDLE };
    catch_unwind(AssertUnwindSafe(|| handle.advance(now_ns))).unwrap_or(PANICKED)
}

/// Value of a feature after every packet received up to `now_ns`; NaN where it is not defined, for an
/// index that the set does not have, and after an error.
///
/// # Safety
///
/// As [`featureplane_advance`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn featureplane_get_feature(
    handle: *const Handle,
    now_ns: i64,
    feature: i64,
) -> f64 {
    // SAFETY: the caller's promise.
    let Some(handle) = (unsafe { handle.as_ref() }) else { return f64::NAN };
    catch_unwind(AssertUnwindSafe(|| {
        if handle.advance(now_ns) < 0 {
            return f64::NAN;
        }
        let slot = usize::try_from(feature).ok().and_then(|index| handle.values.get(index));
        slot.map_or(f64::NAN, |slot| f64::from_bits(slot.load(Relaxed)))
    }))
    .unwrap_or(f64::NAN)
}

/// Where the rows of an asset are.
#[derive(FromPyObject)]
enum Input {
    File(PathBuf),
    Array(usize, usize),
}

/// The features of one asset, from the rows that its backtest reads.
#[pyclass(frozen, module = "featureplane")]
pub(crate) struct RawReplay {
    handle: Arc<Handle>,
}

#[pymethods]
impl RawReplay {
    #[new]
    #[pyo3(signature = (
        features: "str",
        symbol: "str",
        tick_size: "str",
        lot_size: "str",
        inputs: "list[str | tuple[int, int]]",
        initial: "str | tuple[int, int] | None",
        latency_offset_ns: "int",
        /
    ))]
    fn new(
        features: &str,
        symbol: &str,
        tick_size: &str,
        lot_size: &str,
        inputs: Vec<Input>,
        initial: Option<Input>,
        latency_offset_ns: i64,
    ) -> PyResult<Self> {
        let set = Arc::new(load_set(features)?);
        guarded(|| {
            let source = open(symbol, tick_size, lot_size, inputs, initial)?;
            let replay = CoReplay::new(set, source, latency_offset_ns);
            Ok(Self { handle: Arc::new(Handle::new(replay)) })
        })
    }

    /// Addresses of the handle, values, valid mask, ready mask and header.
    fn addresses(&self) -> (usize, usize, usize, usize, usize) {
        let handle = &self.handle;
        let at = |words: &[AtomicU64]| words.as_ptr() as usize;
        (
            Arc::as_ptr(handle) as usize,
            at(&handle.values),
            at(&handle.valid),
            at(&handle.ready),
            handle.header.as_ptr() as usize,
        )
    }

    /// Has a model score the last frame of each advance; address and names of the scores.
    ///
    /// Raises `SchemaMismatchError` for a model of other columns, and `ConfigError` the second time.
    fn score_with(&self, model: PathBuf) -> PyResult<(usize, Vec<String>)> {
        let model = Arc::new(AnyModel::load(&model).map_err(raise)?);
        let mut state = self.handle.lock();
        let names = model.outputs().to_vec();
        let set = Arc::clone(state.replay.engine().feature_set());
        let scorer = Scorer::new(model, &set, state.replay.source().instrument()).map_err(raise)?;
        if self.handle.scores.set(undefined(names.len())).is_err() {
            return Err(config("the features of this asset have a model already"));
        }
        state.scorer = Some(scorer);
        let slots = self.handle.scores.get().expect("Invariant: just set");
        Ok((slots.as_ptr() as usize, names))
    }

    /// Names of the features in order.
    fn names(&self) -> Vec<String> {
        let state = self.handle.lock();
        let set = state.replay.engine().feature_set();
        set.features().iter().map(|feature| feature.name.clone()).collect()
    }

    /// Takes every packet received up to a time; the number of frames made.
    fn advance(&self, py: Python<'_>, now_ns: i64) -> PyResult<i64> {
        let status = guarded(|| Ok(py.detach(|| self.handle.advance(now_ns))))?;
        self.check(py)?;
        Ok(status)
    }

    /// Raises what stopped the replay, if anything did.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.handle.lock();
        state.error.as_ref().map_or(Ok(()), |error| Err(error.clone_ref(py)))
    }

    /// Local times (`int64`) and values (`float64`) of every frame still to come, as bytes.
    fn rest<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let (times, values) = guarded(|| py.detach(|| self.frames_to_come()))?;
        Ok((PyBytes::new(py, &times), PyBytes::new(py, &values)))
    }
}

impl RawReplay {
    fn frames_to_come(&self) -> PyResult<(Vec<u8>, Vec<u8>)> {
        let mut state = self.handle.lock();
        let set = Arc::clone(state.replay.engine().feature_set());
        let (mut times, mut values) = (Vec::new(), Vec::new());
        loop {
            let made = state.replay.step().map_err(raise)?;
            let Some(made) = made else { return Ok((times, values)) };
            let Some(frame) = state.replay.engine().frame().filter(|_| made) else { continue };
            times.extend_from_slice(&frame.header().local_ts_ns.to_le_bytes());
            for (index, feature) in set.features().iter().enumerate() {
                values.extend_from_slice(&value(&frame, index, feature).to_le_bytes());
            }
        }
    }
}

fn open(
    symbol: &str,
    tick_size: &str,
    lot_size: &str,
    inputs: Vec<Input>,
    initial: Option<Input>,
) -> PyResult<Box<dyn Source>> {
    let mixed = || config("the inputs are files or arrays, not both");
    let (mut files, mut arrays) = (Vec::new(), Vec::new());
    for input in inputs {
        match input {
            Input::File(path) => files.push(path),
            Input::Array(address, rows) => arrays.push(shared(address, rows)?),
        }
    }
    if arrays.is_empty() {
        let initial_snapshot = match initial {
            None => None,
            Some(Input::File(path)) => Some(path),
            Some(Input::Array(..)) => return Err(mixed()),
        };
        let options = OpenOptions {
            inputs: files,
            format: Format::Hftbacktest,
            symbol: Some(symbol.into()),
            tick_size: Some(tick_size.into()),
            lot_size: Some(lot_size.into()),
            initial_snapshot,
            ..OpenOptions::default()
        };
        return market_io::open(&options).map_err(raise);
    }
    let initial = match initial {
        None => None,
        Some(Input::Array(address, rows)) => Some(shared(address, rows)?),
        Some(Input::File(_)) => return Err(mixed()),
    };
    if !files.is_empty() {
        return Err(mixed());
    }
    let instrument = Instrument::new(0, symbol, tick_size, lot_size)
        .map_err(|error| config(&error.to_string()))?;
    open_arrays(instrument, arrays, initial.as_ref().map(AsRef::as_ref)).map_err(raise)
}

fn shared(address: usize, rows: usize) -> PyResult<SharedRows> {
    if rows == 0 {
        return Err(failure("an array has no rows"));
    }
    if address == 0 || !address.is_multiple_of(align_of::<Row>()) {
        return Err(failure("an array is not aligned to 8 bytes"));
    }
    Ok(SharedRows { address, rows })
}
