//! One job: open, read, compute, write.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use feature_infer::AnyModel;
use feature_runtime::FeatureSet;
use market_io::sink::{SinkOptions, TableSpec};
use market_io::{OpenOptions, Source};
use rayon::prelude::*;

use crate::bar_tables::{BarOutput, BarTables};
use crate::bars::BarOptions;
use crate::checkpoint::{CheckpointOptions, CheckpointWriter, Start};
use crate::emission::Emission;
use crate::error::Error;
use crate::pass::{Pass, Tables};
use crate::place::{Fingerprint, Prover};
use crate::scores::{ScoredRow, add_columns};
use crate::summary::Summary;
use crate::table::table_spec;
use crate::warm_start::WarmStarter;
use crate::writer::TableWriter;

/// Bytes hashed between two calls of the observer.
const HASH_BLOCK_BYTES: usize = 1 << 20;

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file; its ending says the format.
    File {
        /// Path of the file.
        path: PathBuf,
        /// How it is written.
        options: SinkOptions,
    },
    /// Kept as Arrow batches.
    Memory,
}

impl Destination {
    fn file(&self) -> Option<(&Path, &SinkOptions)> {
        match self {
            Self::File { path, options } => Some((path, options)),
            Self::Memory => None,
        }
    }
}

/// What to extract.
#[derive(Debug, Clone)]
pub struct Job {
    /// Inputs, format and symbol.
    pub open: OpenOptions,
    /// Feature set.
    pub set: Arc<FeatureSet>,
    /// Model whose scores are columns after the features.
    pub model: Option<Arc<AnyModel>>,
    /// When rows are written.
    pub emission: Emission,
    /// Bars beside the rows.
    pub bars: Option<BarOptions>,
    /// State snapshots on the way.
    pub checkpoints: Option<CheckpointOptions>,
    /// Folder of the snapshots of another run, from the newest usable of which this one continues.
    pub warm_start: Option<PathBuf>,
    /// Window clock from which rows are written, UTC ns.
    pub from_ns: Option<i64>,
    /// Window clock at which rows end, UTC ns, exclusive.
    pub to_ns: Option<i64>,
    /// Where rows go.
    pub destination: Destination,
    /// The command or call, for the metadata of the file.
    pub command: String,
}

/// What a job gave.
#[derive(Debug)]
pub struct Output {
    /// What was done.
    pub summary: Summary,
    /// Schema of the rows.
    pub schema: SchemaRef,
    /// Rows, when they were kept in memory.
    pub batches: Vec<RecordBatch>,
    /// Bars, one entry for each duration.
    pub bars: Vec<BarOutput>,
}

/// Is told how far a job is, and can stop it.
pub trait Observer: Sync {
    /// Called every thousand packets with input bytes read, their total, and rows so far.
    fn progress(&self, symbol: &str, read: u64, total: u64, rows: u64) -> ControlFlow<()>;
}

impl Observer for () {
    fn progress(&self, _: &str, _: u64, _: u64, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Runs one job.
///
/// # Errors
///
/// [`Error`]; an output file exists afterwards only if the job was done. Files of bars get their names
/// before the file of rows.
pub fn run(job: &Job, observer: &dyn Observer) -> Result<Output, Error> {
    let started = Instant::now();
    let range_ns = check(job)?;
    let mut source = market_io::open(&job.open)?;
    let instrument = source.instrument().clone();
    let scored = job.model.clone().map(|model| ScoredRow::new(model, &job.set, &instrument));
    let inputs = fingerprints(job, source.as_ref(), observer)?;
    let made_by = made_by(job, &inputs);
    let mut spec = table_spec(&job.set, &instrument);
    if let Some(model) = &job.model {
        add_columns(&mut spec, model);
    }
    spec.metadata.extend(made_by.iter().cloned());
    let file = job.destination.file();
    let writer = TableWriter::create(file, &spec, &instrument.symbol)?;
    let bars = job.bars.as_ref();
    let bars = bars.map(|bars| BarTables::create(bars, file, &instrument, &made_by, range_ns));
    let mut tables = Tables { writer, scored: scored.transpose()?, bars: bars.transpose()? };
    let checkpoints = job.checkpoints.as_ref();
    let checkpoints = checkpoints
        .map(|options| CheckpointWriter::new(options, job, Prover::new(&inputs), &instrument));
    let mut start = Start::cold(job, &instrument, range_ns)?;
    let warm_start = match &job.warm_start {
        None => None,
        Some(folder) => {
            let warm =
                WarmStarter { job, folder, range_ns, prover: Prover::new(&inputs), observer };
            Some(warm.begin(&mut source, &mut start)?)
        }
    };
    if let Some((tables, maker)) = tables.bars.as_mut().zip(start.bars) {
        tables.maker = maker;
    }
    let mut rows = start.rows;
    let mut pass = Pass::new(start.counts, checkpoints.transpose()?);
    pass.read(source.as_mut(), &mut rows, &mut tables, range_ns[1], observer)?;
    if rows.rows == 0 {
        return Err(Error::NoRows {
            symbol: source.instrument().symbol.clone(),
            range: describe_range(job),
            packets: pass.counts.packets,
            frames: rows.frames,
            first: pass.counts.span_ns[0],
            last: pass.counts.span_ns[1],
        });
    }
    let bars = tables.bars.map_or_else(|| Ok(Vec::new()), BarTables::finish)?;
    let written = tables.writer.finish()?;
    let mut summary = pass.summary(job, source.as_ref(), &rows);
    summary.warm_start = warm_start;
    summary.output_bytes = written.bytes;
    summary.bars = bars.iter().map(|bars| bars.summary.clone()).collect();
    summary.elapsed_s = started.elapsed().as_secs_f64();
    summary.events_per_s = summary.events as f64 / summary.elapsed_s.max(1e-9);
    Ok(Output { summary, schema: written.schema, batches: written.batches, bars })
}

/// Refuses what is wrong before the input is opened and hashed; the range, UTC ns.
fn check(job: &Job) -> Result<[i64; 2], Error> {
    let (from_ns, to_ns) = (job.from_ns.unwrap_or(i64::MIN), job.to_ns.unwrap_or(i64::MAX));
    if from_ns >= to_ns {
        let message = format!("the range {from_ns}..{to_ns} (UTC ns) is empty");
        return Err(Error::Config { field: "from", message });
    }
    job.bars.iter().try_for_each(BarOptions::check)?;
    job.checkpoints.iter().try_for_each(CheckpointOptions::check)?;
    if job.warm_start.is_some() && job.from_ns.is_none() {
        let message = "needs the time from which rows are written (from)".into();
        return Err(Error::Config { field: "warm_start", message });
    }
    if let Some((path, options)) = job.destination.file() {
        let bars = job.bars.iter();
        let bars = bars.flat_map(|bars| bars.durations_ns.iter().map(|d| bars.path_of(path, *d)));
        for path in bars.chain([path.to_owned()]) {
            drop(market_io::sink::create(&path, &TableSpec::new([]), options)?);
        }
    }
    Ok([from_ns, to_ns])
}

/// Runs jobs of different symbols in parallel; results keep the order of the jobs.
///
/// # Errors
///
/// The first error in the order of the jobs; the other jobs are run to their end.
pub fn run_all(
    jobs: &[Job],
    threads: usize,
    observer: &dyn Observer,
) -> Result<Vec<Output>, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| {
        Error::Config { field: "jobs", message: format!("cannot start {threads} threads: {e}") }
    })?;
    let results: Vec<_> = pool.install(|| jobs.par_iter().map(|job| run(job, observer)).collect());
    results.into_iter().collect()
}

fn describe_range(job: &Job) -> String {
    match (job.from_ns, job.to_ns) {
        (None, None) => format!("by `{}`", job.emission),
        (from, to) => format!(
            "by `{}` with event time from {} to {}",
            job.emission,
            from.map_or_else(|| "the start".into(), |ns| ns.to_string()),
            to.map_or_else(|| "the end".into(), |ns| ns.to_string()),
        ),
    }
}

/// Metadata that says what made the tables of a job.
fn made_by(job: &Job, inputs: &[Fingerprint]) -> Vec<(String, String)> {
    let described = inputs.iter().map(|input| {
        let name = input.path.file_name().unwrap_or_default().to_string_lossy();
        let digest = input.digest.to_hex().to_string();
        serde_json::json!({"name": name, "bytes": input.bytes, "blake3": digest})
    });
    let entries = [
        ("inputs", described.collect::<serde_json::Value>().to_string()),
        ("emission", job.emission.to_string()),
        ("command", job.command.clone()),
    ];
    entries.into_iter().map(|(key, value)| (format!("featureplane.{key}"), value)).collect()
}

/// Sizes and digests of the inputs, in order, and of the book before them.
fn fingerprints(
    job: &Job,
    source: &dyn Source,
    observer: &dyn Observer,
) -> Result<Vec<Fingerprint>, Error> {
    let total = source.progress().1;
    let is_stopped = || observer.progress(&source.instrument().symbol, 0, total, 0).is_break();
    let paths = job.open.inputs.iter().chain(&job.open.initial_snapshot);
    paths.map(|path| fingerprint(path, is_stopped)?.ok_or(Error::Interrupted)).collect()
}

/// Size and BLAKE3 of a file; `None` when stopped.
fn fingerprint(path: &Path, is_stopped: impl Fn() -> bool) -> Result<Option<Fingerprint>, Error> {
    let hash = || -> std::io::Result<_> {
        let mut hasher = blake3::Hasher::new();
        let mut file = std::fs::File::open(path)?;
        let mut block = vec![0; HASH_BLOCK_BYTES];
        loop {
            match file.read(&mut block)? {
                0 => {
                    let (bytes, digest) = (hasher.count(), hasher.finalize());
                    return Ok(Some(Fingerprint { path: path.into(), bytes, digest }));
                }
                count => _ = hasher.update(&block[..count]),
            }
            if is_stopped() {
                return Ok(None);
            }
        }
    };
    hash().map_err(|source| Error::File { path: path.into(), source })
}
