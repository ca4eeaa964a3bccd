//! Extraction jobs on a worker thread, watched from the thread that called.
//!
//! The caller's thread waits without the interpreter, wakes every 20 ms to look for signals and to
//! report progress, and so honours Ctrl-C even while the worker reads a large file head. A worker that
//! does not stop in time is left behind: it ends at its next packet and drops its partial file.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use feature_extract::{
    BarOptions, CheckpointOptions, Destination, EmptyBars, Job, Observer, Output,
    parse_duration_ns, parse_durations_ns, parse_time_ns, run_all,
};
use feature_infer::AnyModel;
use market_io::OpenOptions;
use market_io::sink::{Compression, Existing, SinkOptions};
use pyo3::prelude::*;

use crate::convert::load_set;
use crate::errors::{config, failure, guarded, panicked, raise};
use crate::table::RawTable;

const WAKE_EVERY: Duration = Duration::from_millis(20);
const STOP_WITHIN: Duration = Duration::from_millis(60);

/// What `featureplane.extract` hands over, as the items of a dict.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    inputs: Vec<PathBuf>,
    format: String,
    symbols: Vec<String>,
    features: String,
    model: Option<PathBuf>,
    emit: String,
    bars: Vec<String>,
    empty_bars: bool,
    bars_out: Option<PathBuf>,
    start: Option<String>,
    end: Option<String>,
    tick_size: Option<String>,
    lot_size: Option<String>,
    initial_snapshot: Option<PathBuf>,
    snapshot_every: Option<String>,
    snapshots: Option<PathBuf>,
    warm_start: Option<PathBuf>,
    jobs: Option<usize>,
    out: Option<PathBuf>,
    compression: String,
    overwrite: bool,
}

impl Request {
    /// One job per symbol.
    fn into_jobs(self) -> PyResult<Vec<Job>> {
        let set = Arc::new(load_set(&self.features)?);
        let model = self.model.as_deref().map(AnyModel::load).transpose();
        let model = model.map_err(raise)?.map(Arc::new);
        let time = |text: &Option<String>| text.as_deref().map(parse_time_ns).transpose();
        let destination = self.destination()?;
        let bars = self.bars().map_err(raise)?;
        let checkpoints = self.checkpoints()?;
        let job = Job {
            open: OpenOptions {
                format: self.format.parse().map_err(|e: market_io::Error| raise(e))?,
                symbol: None,
                inputs: self.inputs,
                tick_size: self.tick_size,
                lot_size: self.lot_size,
                initial_snapshot: self.initial_snapshot,
                ..OpenOptions::default()
            },
            set,
            model,
            emission: self.emit.parse().map_err(|e: feature_extract::Error| raise(e))?,
            bars,
            checkpoints,
            warm_start: self.warm_start,
            from_ns: time(&self.start).map_err(raise)?,
            to_ns: time(&self.end).map_err(raise)?,
            destination,
            command: "featureplane.extract (Python)".into(),
        };
        if self.symbols.is_empty() {
            return Ok(vec![job]);
        }
        let of_symbol = |symbol: String| {
            let mut job = job.clone();
            job.open.symbol = Some(symbol);
            job
        };
        Ok(self.symbols.into_iter().map(of_symbol).collect())
    }

    fn bars(&self) -> Result<Option<BarOptions>, feature_extract::Error> {
        if self.bars.is_empty() {
            return Ok(None);
        }
        Ok(Some(BarOptions {
            durations_ns: parse_durations_ns(&self.bars.join(","))?,
            empty: if self.empty_bars { EmptyBars::Write } else { EmptyBars::Skip },
            path: self.bars_out.clone(),
        }))
    }

    fn checkpoints(&self) -> PyResult<Option<CheckpointOptions>> {
        match (&self.snapshot_every, &self.snapshots) {
            (None, None) => Ok(None),
            (Some(every), Some(folder)) => {
                let every_ns = parse_duration_ns(every).map_err(raise)?;
                Ok(Some(CheckpointOptions { every_ns, folder: folder.clone() }))
            }
            _ => Err(config("snapshot_every and snapshots: give both or neither")),
        }
    }

    fn destination(&self) -> PyResult<Destination> {
        let Some(path) = self.out.clone() else { return Ok(Destination::Memory) };
        if self.symbols.len() > 1 {
            return Err(config("out: one file holds one symbol; call once per symbol"));
        }
        let compression = match self.compression.as_str() {
            "zstd" => Compression::Zstd,
            "snappy" => Compression::Snappy,
            "none" => Compression::None,
            other => {
                let shown = other.escape_default();
                return Err(config(&format!(
                    "compression `{shown}` is none of zstd, snappy, none"
                )));
            }
        };
        let existing = if self.overwrite { Existing::Replace } else { Existing::Refuse };
        Ok(Destination::File { path, options: SinkOptions { compression, existing } })
    }
}

type Progress = BTreeMap<String, (u64, u64, u64)>;

/// What the worker tells and is told.
#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    progress: Mutex<Progress>,
}

impl Watch {
    fn take(&self) -> Progress {
        std::mem::take(&mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Watch {
    fn progress(&self, symbol: &str, read: u64, total: u64, rows: u64) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match progress.get_mut(symbol) {
            Some(entry) => *entry = (read, total, rows),
            None => drop(progress.insert(symbol.into(), (read, total, rows))),
        }
        ControlFlow::Continue(())
    }
}

type Answer = thread::Result<Result<Vec<Output>, feature_extract::Error>>;

/// Run one job per symbol and return the rows; with `out` in the request the rows are in that file.
#[pyfunction]
#[pyo3(signature = (
    request: "dict[str, typing.Any]",
    progress: "collections.abc.Callable[[str, int, int, int], object] | None" = None,
    /
) -> "RawTable")]
pub(crate) fn extract(
    py: Python<'_>,
    request: Request,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<RawTable> {
    guarded(|| {
        let threads = request.jobs.unwrap_or(0);
        let jobs = py.detach(|| request.into_jobs())?;
        let watch = Arc::new(Watch::default());
        let answers = start(jobs, threads, Arc::clone(&watch))?;
        let outputs = wait(py, answers, &watch, progress.as_ref())?;
        Ok(RawTable::new(outputs))
    })
}

fn start(jobs: Vec<Job>, threads: usize, watch: Arc<Watch>) -> PyResult<Receiver<Answer>> {
    let (sender, receiver) = channel();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores.min(jobs.len()) } else { threads };
    let work = move || {
        let answer = catch_unwind(AssertUnwindSafe(|| run_all(&jobs, threads, watch.as_ref())));
        let _ = sender.send(answer); // Nobody listens after an interrupt.
    };
    let spawned = thread::Builder::new().name("featureplane-extract".into()).spawn(work);
    spawned.map_err(|error| failure(&format!("cannot start a thread: {error}")))?;
    Ok(receiver)
}

fn wait(
    py: Python<'_>,
    mut answers: Receiver<Answer>,
    watch: &Watch,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<Output>> {
    let report = || -> PyResult<()> {
        let news = watch.take();
        let Some(progress) = progress else { return Ok(()) };
        for (symbol, (read, total, rows)) in news {
            progress.call1((symbol, read, total, rows))?;
        }
        Ok(())
    };
    loop {
        // The receiver moves in and out: it may not be shared with the detached closure.
        let (back, answer) = py.detach(move || {
            let answer = answers.recv_timeout(WAKE_EVERY);
            (answers, answer)
        });
        answers = back;
        match answer {
            Ok(Ok(Ok(outputs))) => return report().map(|()| outputs),
            Ok(Ok(Err(error))) => return Err(raise(error)),
            Ok(Err(panic)) => return Err(panicked(panic.as_ref())),
            Err(RecvTimeoutError::Disconnected) => return Err(failure("the worker vanished")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(stopped) = py.check_signals().and_then(|()| report()) {
            watch.stop.store(true, Ordering::Relaxed);
            py.detach(move || drop(answers.recv_timeout(STOP_WITHIN)));
            return Err(stopped);
        }
    }
}
