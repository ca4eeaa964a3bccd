//! One job: open, read, compute, write.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use feature_infer::LinearModel;
use feature_runtime::{FeatureSet, SymbolEngine};
use market_io::sink::{
    DEFAULT_BATCH_ROWS, MemorySink, RowBatchBuilder, SinkOptions, TableSink, TableSpec,
};
use market_io::{OpenOptions, Source};
use market_model::Packet;
use rayon::prelude::*;

use crate::emission::Emission;
use crate::error::Error;
use crate::rows::RowMaker;
use crate::scores::{ScoredRow, add_columns};
use crate::summary::{Summary, quality_names};
use crate::table::table_spec;

/// Packets between two calls of the observer.
pub(crate) const OBSERVE_EVERY: u64 = 1_024;

/// Bytes hashed between two calls of the observer.
const HASH_BLOCK_BYTES: usize = 1 << 20;

/// Refused events that are reported in full.
const MAX_REPORTED: usize = 20;

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

/// What to extract.
#[derive(Debug, Clone)]
pub struct Job {
    /// Inputs, format and symbol.
    pub open: OpenOptions,
    /// Feature set.
    pub set: Arc<FeatureSet>,
    /// Model whose scores are columns after the features.
    pub model: Option<Arc<LinearModel>>,
    /// When rows are written.
    pub emission: Emission,
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
/// [`Error`]; an output file exists afterwards only if the job was done.
pub fn run(job: &Job, observer: &dyn Observer) -> Result<Output, Error> {
    let started = Instant::now();
    let (from_ns, to_ns) = (job.from_ns.unwrap_or(i64::MIN), job.to_ns.unwrap_or(i64::MAX));
    if from_ns >= to_ns {
        let message = format!("the range {from_ns}..{to_ns} (UTC ns) is empty");
        return Err(Error::Config { field: "from", message });
    }
    if let Destination::File { path, options } = &job.destination {
        // A wrong destination should not wait until the input has been opened and hashed.
        drop(market_io::sink::create(path, &TableSpec::new([]), options)?);
    }
    let mut source = market_io::open(&job.open)?;
    let instrument = source.instrument();
    let scored = job.model.clone().map(|model| ScoredRow::new(model, &job.set, instrument));
    let mut scored = scored.transpose()?;
    let spec = described(job, source.as_ref(), observer)?;
    let (mut sink, memory): (Box<dyn TableSink>, _) = match &job.destination {
        Destination::File { path, options } => {
            (market_io::sink::create(path, &spec, options)?, None)
        }
        Destination::Memory => {
            let sink = MemorySink::new(&spec);
            let batches = sink.batches();
            (Box::new(sink), Some(batches))
        }
    };
    let engine = SymbolEngine::new(Arc::clone(&job.set), source.instrument().clone());
    let mut rows = RowMaker::new(engine, job.emission, from_ns, to_ns);
    let mut pass = Pass::default();
    let mut batch = RowBatchBuilder::new(&spec, DEFAULT_BATCH_ROWS, &[&source.instrument().symbol]);
    let mut table = Table { batch: &mut batch, sink: sink.as_mut(), scored: scored.as_mut() };
    pass.read(source.as_mut(), &mut rows, &mut table, to_ns, observer)?;
    if !batch.is_empty() {
        sink.write(&batch.finish())?;
    }
    if rows.rows == 0 {
        return Err(Error::NoRows {
            symbol: source.instrument().symbol.clone(),
            range: describe_range(job),
            packets: pass.packets,
            frames: rows.frames,
            first: pass.span_ns[0],
            last: pass.span_ns[1],
        });
    }
    let finished = sink.finish()?;
    let mut summary = pass.summary(job, source.as_ref(), &rows);
    summary.output_bytes = finished.bytes;
    summary.elapsed_s = started.elapsed().as_secs_f64();
    summary.events_per_s = summary.events as f64 / summary.elapsed_s.max(1e-9);
    let batches = memory.map(|batches| batches.take()).unwrap_or_default();
    Ok(Output { summary, schema: batch.schema().clone(), batches })
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

/// The table's columns and metadata that says what made it.
fn described(job: &Job, source: &dyn Source, observer: &dyn Observer) -> Result<TableSpec, Error> {
    let mut spec = table_spec(&job.set, source.instrument());
    if let Some(model) = &job.model {
        add_columns(&mut spec, model);
    }
    let mut inputs = Vec::new();
    for path in job.open.inputs.iter().chain(&job.open.initial_snapshot) {
        let total = source.progress().1;
        let is_stopped = || observer.progress(&source.instrument().symbol, 0, total, 0).is_break();
        let Some((bytes, digest)) = fingerprint(path, is_stopped)? else {
            return Err(Error::Interrupted);
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        inputs.push(serde_json::json!({"name": name, "bytes": bytes, "blake3": digest}));
    }
    let mut put =
        |key: &str, value: String| spec.metadata.insert(format!("featureplane.{key}"), value);
    put("inputs", serde_json::Value::from(inputs).to_string());
    put("emission", job.emission.to_string());
    put("command", job.command.clone());
    Ok(spec)
}

/// Size and BLAKE3 of a file; `None` when stopped.
fn fingerprint(path: &Path, is_stopped: impl Fn() -> bool) -> Result<Option<(u64, String)>, Error> {
    let hash = || -> std::io::Result<_> {
        let mut hasher = blake3::Hasher::new();
        let mut file = std::fs::File::open(path)?;
        let mut block = vec![0; HASH_BLOCK_BYTES];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(Some((hasher.count(), hasher.finalize().to_hex().to_string()))),
                count => _ = hasher.update(&block[..count]),
            }
            if is_stopped() {
                return Ok(None);
            }
        }
    };
    hash().map_err(|source| Error::File { path: path.into(), source })
}

/// Where the rows of one pass go.
struct Table<'a> {
    batch: &'a mut RowBatchBuilder,
    sink: &'a mut dyn TableSink,
    scored: Option<&'a mut ScoredRow>,
}

impl Table<'_> {
    #[inline]
    fn push(&mut self, words: &[u64], valid: &[u64]) -> Result<(), Error> {
        match &mut self.scored {
            Some(scored) => {
                let (words, valid) = scored.extended(words, valid);
                self.batch.push_row(words, valid);
            }
            None => self.batch.push_row(words, valid),
        }
        if self.batch.is_full() {
            self.sink.write(&self.batch.finish())?;
        }
        Ok(())
    }
}

/// Counts of one pass over the input.
#[derive(Debug, Default)]
struct Pass {
    packets: u64,
    events: u64,
    span_ns: [i64; 2],
    refused: Vec<String>,
    refused_count: u64,
}

impl Pass {
    fn read(
        &mut self,
        source: &mut dyn Source,
        rows: &mut RowMaker,
        table: &mut Table<'_>,
        to_ns: i64,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let symbol = source.instrument().symbol.clone();
        let mut packet = Packet::default();
        let mut failed = None;
        while source.next_packet(&mut packet)? {
            self.count(&packet);
            rows.push(&packet, &mut |words, valid| {
                let written = table.push(words, valid);
                failed = failed.take().or(written.err());
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if let Some(refusal) = rows.take_refusal() {
                self.refused_count += 1;
                if self.refused.len() < MAX_REPORTED {
                    self.refused.push(format!("packet {}: {refusal}", self.packets));
                }
            }
            if self.packets.is_multiple_of(OBSERVE_EVERY) {
                let (read, total) = source.progress();
                if observer.progress(&symbol, read, total, rows.rows).is_break() {
                    return Err(Error::Interrupted);
                }
            }
            if rows.engine().t_eff_ns() >= to_ns {
                break; // The window clock never goes back: no later row can be in range.
            }
        }
        Ok(())
    }

    #[inline]
    fn count(&mut self, packet: &Packet) {
        self.packets += 1;
        self.events += packet.event_count();
        if packet.ts_event_ns != 0 {
            if self.span_ns[0] == 0 {
                self.span_ns[0] = packet.ts_event_ns;
            }
            self.span_ns[1] = self.span_ns[1].max(packet.ts_event_ns);
        }
    }

    fn summary(self, job: &Job, source: &dyn Source, rows: &RowMaker) -> Summary {
        let stats = source.stats();
        let mut rejected: Vec<String> = stats.faults.iter().map(ToString::to_string).collect();
        rejected.extend(self.refused);
        let name = |path: &PathBuf| path.display().to_string();
        Summary {
            symbol: source.instrument().symbol.clone(),
            feature_set_id: job.set.id().into(),
            schema_hash: format!("{:016x}", job.set.schema_hash()),
            emission: job.emission.to_string(),
            inputs: job.open.inputs.iter().map(name).collect(),
            output: match &job.destination {
                Destination::File { path, .. } => Some(name(path)),
                Destination::Memory => None,
            },
            output_bytes: 0,
            rows: rows.rows,
            frames: rows.frames,
            packets: self.packets,
            events: self.events,
            span_ns: self.span_ns,
            quality: quality_names(&rows.quality_frames),
            packets_by_fate: rows
                .engine()
                .counters()
                .named()
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            rejected,
            rejected_count: stats.rejected + self.refused_count,
            rounded: stats.rounded,
            ignored: stats.ignored.clone(),
            elapsed_s: 0.0,
            events_per_s: 0.0,
        }
    }
}
