//! hftbacktest event arrays: an npz with the member `data`, 64 bytes per row.
//!
//! The backtester tells messages apart by `local_ts` alone and wants both stamps sorted, so stamps
//! that repeat or step back are moved forward: `local_ts` by at least 1 ns per packet, `exch_ts` to
//! the latest so far. Every row is seen by both sides.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};
use market_model::{Aggressor, BookOp, Instrument, POW10, Packet, PacketKind};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::WriteError;
use crate::sink::{AtomicFile, Existing, Finished, SinkError};
use crate::source::Source;
use crate::synthetic::{SyntheticConfig, SyntheticSource};

const BOTH: u64 = 1 << 31 | 1 << 30;
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;
const DEPTH: u64 = 1;
const TRADE: u64 = 2;
const CLEAR: u64 = 3;
const SNAPSHOT: u64 = 4;

const HEADER_BYTES: usize = 256;
const FLUSH_ROWS: usize = 4_096;

/// How the member of an npz is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NpzCompression {
    /// As it is: the file can be mapped.
    #[default]
    Stored,
    /// Deflate, like `numpy.savez_compressed`.
    Deflate,
}

/// One event, in the layout of hftbacktest.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Row {
    ev: u64,
    exch_ts: i64,
    local_ts: i64,
    px: f64,
    qty: f64,
    order_id: u64,
    ival: i64,
    fval: f64,
}

const _: () = assert!(size_of::<Row>() == 64);

/// Writes packets as rows of an npz.
pub struct HftbacktestWriter {
    zip: ZipWriter<AtomicFile>,
    path: PathBuf,
    instrument: Instrument,
    expected: u64,
    written: u64,
    rows: Vec<Row>,
    exch_ts: i64,
    local_ts: i64,
}

/// Writes a whole synthetic market, as the packets of [`SyntheticSource`].
///
/// The market is run twice, since the number of rows stands before the rows.
///
/// # Errors
///
/// [`WriteError::Source`] for a wrong configuration, [`WriteError::Sink`] for a wrong destination.
pub fn write_hftbacktest(
    path: &Path,
    config: &SyntheticConfig,
    compression: NpzCompression,
    existing: Existing,
) -> Result<Finished, WriteError> {
    let mut packet = Packet::default();
    let mut source = SyntheticSource::new(config)?;
    let mut rows = 0;
    // A wrong destination should not wait for the first run.
    let probe = AtomicFile::create(path, existing)?;
    while source.next_packet(&mut packet)? {
        rows += row_count(&packet);
    }
    drop(probe);
    let instrument = config.instrument()?;
    let mut writer = HftbacktestWriter::create(path, &instrument, rows, compression, existing)?;
    let mut source = SyntheticSource::new(config)?;
    while source.next_packet(&mut packet)? {
        writer.write(&packet)?;
    }
    Ok(writer.finish()?)
}

/// Rows that [`HftbacktestWriter::write`] makes of a packet; 0 for packets without content.
#[must_use]
pub fn row_count(packet: &Packet) -> u64 {
    let clears = packet.runs().filter(|(op, levels)| is_clear(*op) && levels.is_empty()).count();
    let snapshot = if packet.kind == PacketKind::Snapshot {
        [BookOp::SetBid, BookOp::SetAsk].into_iter().filter(|&op| has(packet, op)).count()
    } else {
        0
    };
    packet.event_count() + (clears + snapshot) as u64
}

const fn is_clear(op: BookOp) -> bool {
    matches!(op, BookOp::ClearBid | BookOp::ClearAsk)
}

fn has(packet: &Packet, wanted: BookOp) -> bool {
    packet.runs().any(|(op, levels)| op == wanted && !levels.is_empty())
}

impl HftbacktestWriter {
    /// Starts an npz of exactly `rows` rows (the sum of [`row_count`]).
    ///
    /// # Errors
    ///
    /// [`SinkError`].
    pub fn create(
        path: &Path,
        instrument: &Instrument,
        rows: u64,
        compression: NpzCompression,
        existing: Existing,
    ) -> Result<Self, SinkError> {
        let file = AtomicFile::create(path, existing)?;
        let method = match compression {
            NpzCompression::Stored => CompressionMethod::Stored,
            NpzCompression::Deflate => CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .large_file(rows > (1 << 25))
            .last_modified_time(DateTime::default());
        let mut writer = Self {
            zip: ZipWriter::new(file),
            path: path.into(),
            instrument: instrument.clone(),
            expected: rows,
            written: 0,
            rows: Vec::with_capacity(FLUSH_ROWS),
            exch_ts: i64::MIN,
            local_ts: i64::MIN,
        };
        let started = writer.zip.start_file("data.npy", options).map_err(io::Error::other);
        started.and_then(|()| writer.zip.write_all(&header(rows))).map_err(|e| writer.failed(e))?;
        Ok(writer)
    }

    /// Appends the rows of a packet; packets without level changes and trades make none.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`].
    pub fn write(&mut self, packet: &Packet) -> Result<(), SinkError> {
        if row_count(packet) == 0 {
            return Ok(());
        }
        self.exch_ts = self.exch_ts.max(packet.ts_event_ns);
        self.local_ts = packet.ts_recv_ns.max(self.local_ts.saturating_add(1));
        let is_snapshot = packet.kind == PacketKind::Snapshot;
        if is_snapshot {
            self.snapshot_clears(packet);
        }
        for (op, levels) in packet.runs() {
            let kind = match (is_clear(op), is_snapshot) {
                (true, _) => CLEAR,
                (false, true) => SNAPSHOT,
                (false, false) => DEPTH,
            };
            let side = side_of(op);
            for level in levels {
                self.push(kind | side, level.price_ticks, level.qty_lots);
            }
            if is_clear(op) && levels.is_empty() {
                // The whole side: the bound is beyond any price.
                let bound = if side == BUY { 0 } else { i64::MAX };
                self.push(kind | side, bound, 0);
            }
        }
        for trade in &packet.trades {
            let side = match trade.aggressor {
                Aggressor::Buy => BUY,
                Aggressor::Sell => SELL,
                Aggressor::Unknown => 0,
            };
            self.push(TRADE | side, trade.price_ticks, trade.qty_lots);
        }
        if self.rows.len() >= FLUSH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// [`SinkError::ReadBack`] when the number of rows is not the announced one, [`SinkError::Io`].
    pub fn finish(mut self) -> Result<Finished, SinkError> {
        self.flush()?;
        let (path, rows) = (self.path, self.written);
        if rows != self.expected {
            return Err(SinkError::ReadBack { path, expected: self.expected, found: rows });
        }
        let failed = |operation, source| SinkError::Io { path: path.clone(), operation, source };
        let file = self.zip.finish().map_err(|e| failed("writing", io::Error::other(e)))?;
        let sealed = file.seal()?;
        let check = || -> io::Result<u64> {
            let mut archive = ZipArchive::new(io::BufReader::new(sealed.open()?))?;
            Ok(archive.by_name("data.npy")?.size())
        };
        let size = check().map_err(|e| failed("reading back", e))?;
        let found = size.saturating_sub(HEADER_BYTES as u64) / 64;
        if found != rows {
            return Err(SinkError::ReadBack { path, expected: rows, found });
        }
        sealed.publish(rows)
    }

    /// A snapshot replaces each side up to its worst level, as the official converter writes it.
    fn snapshot_clears(&mut self, packet: &Packet) {
        for op in [BookOp::SetBid, BookOp::SetAsk] {
            let prices = packet
                .runs()
                .filter(|(found, _)| *found == op)
                .flat_map(|(_, levels)| levels)
                .map(|level| level.price_ticks);
            let worst = if op == BookOp::SetBid { prices.min() } else { prices.max() };
            if let Some(worst) = worst {
                self.push(CLEAR | side_of(op), worst, 0);
            }
        }
    }

    fn push(&mut self, event: u64, ticks: i64, lots: i64) {
        let instrument = &self.instrument;
        let exact = |units: i64, size: i64, scale: u8| {
            // Both are exact below 2^53, so the quotient is the double next to the decimal.
            units.saturating_mul(size) as f64 / POW10[usize::from(scale)] as f64
        };
        self.rows.push(Row {
            ev: event | BOTH,
            exch_ts: self.exch_ts,
            local_ts: self.local_ts,
            px: exact(ticks, instrument.tick_scaled, instrument.price_scale),
            qty: exact(lots, instrument.lot_scaled, instrument.qty_scale),
            order_id: 0,
            ival: 0,
            fval: 0.0,
        });
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.written += self.rows.len() as u64;
        let result = self.zip.write_all(bytemuck::cast_slice(&self.rows));
        self.rows.clear();
        result.map_err(|e| self.failed(e))
    }

    fn failed(&self, source: io::Error) -> SinkError {
        SinkError::Io { path: self.path.clone(), operation: "writing", source }
    }
}

const fn side_of(op: BookOp) -> u64 {
    match op {
        BookOp::SetBid | BookOp::ClearBid => BUY,
        BookOp::SetAsk | BookOp::ClearAsk => SELL,
    }
}

/// npy 1.0 header; a multiple of 64 bytes, so that the rows are aligned in a mapped file.
fn header(rows: u64) -> [u8; HEADER_BYTES] {
    let text = format!(
        "{{'descr': [('ev', '<u8'), ('exch_ts', '<i8'), ('local_ts', '<i8'), ('px', '<f8'), \
         ('qty', '<f8'), ('order_id', '<u8'), ('ival', '<i8'), ('fval', '<f8')], \
         'fortran_order': False, 'shape': ({rows},), }}"
    );
    let mut header = [b' '; HEADER_BYTES];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&(HEADER_BYTES as u16 - 10).to_le_bytes());
    header[10..10 + text.len()].copy_from_slice(text.as_bytes());
    header[HEADER_BYTES - 1] = b'\n';
    header
}
