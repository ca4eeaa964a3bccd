//! A recording in one format becomes one in another, without features in between.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lob_engine::LobEngine;
use market_io::sink::{Existing, Finished};
use market_io::write::{
    ArrayError, ArrayOptions, ArrayStats, ArrayWriter, write_book, write_latencies,
};
use market_io::{EventsWriter, OpenOptions, Source};
use market_model::{BookNeeds, Packet, Side};
use serde::Serialize;

use crate::error::Error;
use crate::job::Observer;
use crate::pass::OBSERVE_EVERY;

/// What a recording becomes.
#[derive(Debug, Clone)]
pub enum Target {
    /// An event array of hftbacktest.
    Array {
        /// How stamps and orders are made.
        options: ArrayOptions,
        /// Where the book at the end goes, as `initial_snapshot` of the next day takes it.
        book: Option<PathBuf>,
        /// Where order latencies go, one per second of local time.
        latencies: Option<PathBuf>,
    },
    /// The packet log of this project.
    Events {
        /// What to do when the destination exists.
        existing: Existing,
    },
}

/// What to convert.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// Inputs, format and symbol.
    pub open: OpenOptions,
    /// What they become.
    pub target: Target,
    /// The new file.
    pub path: PathBuf,
}

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Converted {
    /// Symbol.
    pub symbol: String,
    /// Input files in order.
    pub inputs: Vec<String>,
    /// Files that were written, the array or log first, with their sizes in bytes.
    pub outputs: Vec<(String, u64)>,
    /// Rows of the array, or packets of the log.
    pub rows: u64,
    /// Rows of the array that the local side sees; 0 for a log.
    pub local_rows: u64,
    /// Packets read.
    pub packets: u64,
    /// Packets that made rows.
    pub packets_with_rows: u64,
    /// Added to every local time, ns.
    pub local_offset_ns: i64,
    /// Smallest latency as recorded, ns.
    pub min_latency_ns: i64,
    /// Packets whose local time repeated or stepped back and was moved forward.
    pub moved_packets: u64,
    /// By how much at most, ns.
    pub max_moved_ns: i64,
    /// Whole books older than the one before, which were left out.
    pub late_books: u64,
    /// Breaks in the update ids, as the source counts them.
    pub gaps: u64,
    /// Depth updates that a snapshot already contained or that did not connect to one.
    pub dropped_updates: u64,
    /// Quantities rounded to the lot scale.
    pub rounded: u64,
    /// Number of refused events.
    pub rejected_count: u64,
    /// The first refused events, with place and reason.
    pub rejected: Vec<String>,
    /// Wall time of the run in seconds.
    pub elapsed_s: f64,
}

/// Reads a whole input and writes it in another format.
///
/// # Errors
///
/// [`Error`]; the new files exist afterwards only if everything was done, the array before those
/// beside it.
pub fn convert(job: &Conversion, observer: &dyn Observer) -> Result<Converted, Error> {
    let started = Instant::now();
    let mut source = market_io::open(&job.open)?;
    let source = source.as_mut();
    let (finished, stats, packets) = match &job.target {
        Target::Events { existing } => write_log(job, *existing, source, observer)?,
        Target::Array { options, book, latencies } => {
            let beside = Beside { book: book.as_deref(), latencies: latencies.as_deref() };
            write_array(job, options, &beside, source, observer)?
        }
    };
    let found = source.stats();
    Ok(Converted {
        symbol: source.instrument().symbol.clone(),
        inputs: job.open.inputs.iter().map(|path| path.display().to_string()).collect(),
        rows: finished[0].rows,
        outputs: finished.iter().map(|f| (f.path.display().to_string(), f.bytes)).collect(),
        local_rows: stats.local_rows,
        packets,
        packets_with_rows: stats.packets,
        local_offset_ns: stats.local_offset_ns,
        min_latency_ns: stats.min_latency_ns,
        moved_packets: stats.moved_packets,
        max_moved_ns: stats.max_moved_ns,
        late_books: stats.late_books,
        gaps: found.gaps,
        dropped_updates: found.dropped_updates,
        rounded: found.rounded,
        rejected_count: found.rejected,
        rejected: found.faults.iter().map(ToString::to_string).collect(),
        elapsed_s: started.elapsed().as_secs_f64(),
    })
}

type Done = (Vec<Finished>, ArrayStats, u64);

/// Hands over every packet; how many there were.
fn each_packet(
    source: &mut dyn Source,
    observer: &dyn Observer,
    mut take: impl FnMut(&Packet) -> Result<(), Error>,
) -> Result<u64, Error> {
    let symbol = source.instrument().symbol.clone();
    let (mut packet, mut packets) = (Packet::default(), 0_u64);
    while source.next_packet(&mut packet)? {
        take(&packet)?;
        packets += 1;
        let (read, total) = source.progress();
        if packets.is_multiple_of(OBSERVE_EVERY)
            && observer.progress(&symbol, read, total, packets).is_break()
        {
            return Err(Error::Interrupted);
        }
    }
    Ok(packets)
}

fn write_log(
    job: &Conversion,
    existing: Existing,
    source: &mut dyn Source,
    observer: &dyn Observer,
) -> Result<Done, Error> {
    let extra = serde_json::Map::new();
    let mut writer = EventsWriter::create(&job.path, source.instrument(), extra, existing)?;
    let packets = each_packet(source, observer, |packet| Ok(writer.write(packet)?))?;
    let stats = ArrayStats { packets, ..ArrayStats::default() };
    Ok((vec![writer.finish()?], stats, packets))
}

/// Files beside an array.
struct Beside<'a> {
    book: Option<&'a Path>,
    latencies: Option<&'a Path>,
}

fn write_array(
    job: &Conversion,
    options: &ArrayOptions,
    beside: &Beside<'_>,
    source: &mut dyn Source,
    observer: &dyn Observer,
) -> Result<Done, Error> {
    let instrument = source.instrument().clone();
    let mut writer = ArrayWriter::create(&job.path, &instrument, options)?;
    for path in beside.book.iter().chain(&beside.latencies) {
        // A wrong destination should not wait for the last packet.
        drop(market_io::sink::AtomicFile::create(path, options.existing)?);
    }
    if beside.latencies.is_some() {
        writer.collect_latencies();
    }
    let mut lob = beside.book.map(|_| LobEngine::new(&instrument, BookNeeds::default()));
    let mut seen = 0;
    let packets = each_packet(source, observer, |packet| {
        if let Some(lob) = &mut lob {
            if !packet.orders.is_empty() {
                return Err(ArrayError::Orders { packet: seen }.into());
            }
            if lob.apply(packet).is_err() {
                lob.reject();
            }
        }
        seen += 1;
        Ok(writer.write(packet)?)
    })?;
    let (array, stats, latencies) = writer.finish()?;
    let mut finished = vec![array];
    let (compression, existing) = (options.compression, options.existing);
    if let (Some(path), Some(lob)) = (beside.book, &lob) {
        let [bids, asks] = [Side::Bid, Side::Ask].map(|side| lob.book().levels(side));
        finished.push(write_book(path, &instrument, [&bids, &asks], compression, existing)?);
    }
    if let Some(path) = beside.latencies {
        finished.push(write_latencies(path, &latencies, compression, existing)?);
    }
    Ok((finished, stats, packets))
}
