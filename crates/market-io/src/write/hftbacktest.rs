//! hftbacktest event arrays: an npz with the member `data`, 64 bytes per row
//! (`specs/inputs/hftbacktest.md`, section "Made from recordings").

mod event_order;
mod orders;
mod rows;
mod spool;

use std::path::Path;

use bytemuck::{Pod, Zeroable};
use market_model::{BookOp, Instrument, Level, Packet};
use thiserror::Error;

use self::event_order::EventOrder;
pub use self::event_order::ExchangeOrder;
use self::rows::{RowMaker, book_row};
use self::spool::Spool;
use super::WriteError;
use super::npz::{NpzCompression, NpzFile};
use crate::format::hftbacktest::ev::{EXCH, LOCAL};
use crate::format::npy::{COLUMNS, Row};
use crate::sink::{AtomicFile, Existing, Finished, SinkError};
use crate::source::Source;
use crate::synthetic::{SyntheticConfig, SyntheticSource};

const FLUSH_ROWS: usize = 4_096;

/// Local time between two rows of a latency file, ns.
const LATENCY_STEP_NS: i64 = 1_000_000_000;

const LATENCY_COLUMNS: [(&str, &str); 4] =
    [("req_ts", "<i8"), ("exch_ts", "<i8"), ("resp_ts", "<i8"), ("_padding", "<i8")];

/// Why a recording cannot become an array.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// A packet without a stamp that hftbacktest needs.
    #[error(
        "packet {packet} has no {missing}: hftbacktest needs event time and local time; a feed \
         latency (--feed-latency NS) makes one of the other"
    )]
    NoTime {
        /// Number of the packet among those that make rows, from 0.
        packet: u64,
        /// `event time`, `local time`, or `time` when both are missing.
        missing: &'static str,
    },
    /// A packet of single orders, where the last book is asked for.
    #[error(
        "packet {packet} holds orders: hftbacktest begins with a book of levels, so that the last book \
         (--book-out) of a feed of orders would lose them"
    )]
    Orders {
        /// Number of the packet, from 0.
        packet: u64,
    },
    /// Rows that were received before they were sent: a backtest over them would know the future.
    #[error(
        "{rows} rows were received before they were sent, by up to {ahead_ns} ns: the clocks differ; \
         --local-offset {offset_ns} moves every local time just enough"
    )]
    NegativeLatency {
        /// Number of such rows.
        rows: u64,
        /// The largest lead of the event time, ns.
        ahead_ns: i64,
        /// The least offset after which there is none, ns.
        offset_ns: i64,
    },
}

/// What is done about local clocks that differ from that of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LocalClock {
    /// This many ns are added to every local time; rows that then were received before they were sent are an error.
    Shifted(i64),
    /// The least that leaves no such row is added, as the official converter does. It depends on the
    /// whole file: one outlier moves every row.
    Aligned,
}

impl Default for LocalClock {
    fn default() -> Self {
        Self::Shifted(0)
    }
}

/// How a recording becomes an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrayOptions {
    /// What is added to local times.
    pub local_clock: LocalClock,
    /// Time between event and arrival, ns, for packets that lack one of the two; none refuses them.
    pub feed_latency_ns: Option<i64>,
    /// Order of rows with one event time at the exchange.
    pub exchange_order: ExchangeOrder,
    /// How the member is stored.
    pub compression: NpzCompression,
    /// What to do when the destination exists.
    pub existing: Existing,
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrayStats {
    /// Rows of the array.
    pub rows: u64,
    /// Rows that the local side sees; the others stand there for the exchange only.
    pub local_rows: u64,
    /// Packets that made rows.
    pub packets: u64,
    /// Added to every local time, ns.
    pub local_offset_ns: i64,
    /// Smallest latency before that, ns; 0 without rows.
    pub min_latency_ns: i64,
    /// Packets whose local time repeated or stepped back and was moved forward.
    pub moved_packets: u64,
    /// By how much at most, ns.
    pub max_moved_ns: i64,
    /// Whole books older than the one before, which were left out.
    pub late_books: u64,
}

/// One row of an order-latency file of hftbacktest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(C)]
pub struct LatencyRow {
    /// Local time at which an order is sent, UTC ns.
    pub req_ts_ns: i64,
    /// Time at which the exchange has it, UTC ns.
    pub exch_ts_ns: i64,
    /// Local time at which the answer is there, UTC ns.
    pub resp_ts_ns: i64,
    /// Always 0.
    pub reserved: i64,
}

/// Writes packets as rows of an npz.
///
/// Rows are kept in a file beside the destination until the last packet is known: which of them stand
/// twice, and how many there are, follows from all of them. Memory holds those that overtake each other.
pub struct ArrayWriter {
    maker: RowMaker,
    spool: Spool,
    options: ArrayOptions,
    latencies: Option<Vec<LatencyRow>>,
}

impl ArrayWriter {
    /// Starts an array.
    ///
    /// # Errors
    ///
    /// [`SinkError`] when the destination cannot be written.
    pub fn create(
        path: &Path,
        instrument: &Instrument,
        options: &ArrayOptions,
    ) -> Result<Self, SinkError> {
        // A wrong destination should not wait for the last packet.
        drop(AtomicFile::create(path, options.existing)?);
        let trades_first = options.exchange_order == ExchangeOrder::TradesFirst;
        Ok(Self {
            maker: RowMaker::new(instrument, options.feed_latency_ns, trades_first),
            spool: Spool::create(path)?,
            options: *options,
            latencies: None,
        })
    }

    /// Also collects the rows of an order-latency file, one per second of local time: an order takes as
    /// long as the market data did, there and back.
    pub fn collect_latencies(&mut self) {
        self.latencies = Some(Vec::new());
    }

    /// Appends the rows of a packet; packets without level changes and trades make none.
    ///
    /// # Errors
    ///
    /// [`WriteError::Array`] for a packet without a needed stamp, [`WriteError::Sink`].
    pub fn write(&mut self, packet: &Packet) -> Result<(), WriteError> {
        Ok(self.spool.put(self.maker.rows_of(packet)?)?)
    }

    /// Completes the file; the collected latencies.
    ///
    /// # Errors
    ///
    /// [`WriteError::Array`] for rows that were received before they were sent, [`WriteError::Sink`].
    pub fn finish(self) -> Result<(Finished, ArrayStats, Vec<LatencyRow>), WriteError> {
        let Self { maker, spool, options, latencies } = self;
        let path = spool.path().to_owned();
        let spooled = spool.seal()?;
        let offset_ns = match options.local_clock {
            LocalClock::Shifted(offset_ns) => offset_ns,
            LocalClock::Aligned => spooled.min_latency_ns().saturating_neg().max(0),
        };
        if let Some((rows, ahead_ns)) = spooled.ahead(offset_ns)? {
            let offset_ns = offset_ns.saturating_add(ahead_ns);
            return Err(ArrayError::NegativeLatency { rows, ahead_ns, offset_ns }.into());
        }
        let order = || {
            let rows = spooled.rows(offset_ns)?;
            let horizon_ns = spooled.horizon_ns();
            Ok::<_, SinkError>(EventOrder::new(rows, horizon_ns, options.exchange_order))
        };
        let (mut counted, mut rows) = (order()?, 0);
        while counted.next_row()?.is_some() {
            rows += 1;
        }
        let mut file =
            NpzFile::create(&path, &COLUMNS, rows, options.compression, options.existing)?;
        let (mut ordered, mut block) = (order()?, Vec::with_capacity(FLUSH_ROWS));
        let mut latencies = latencies.map(Latencies::new);
        while let Some(row) = ordered.next_row()? {
            if let Some(latencies) = &mut latencies {
                latencies.see(&row);
            }
            block.push(row);
            if block.len() == FLUSH_ROWS {
                file.put(&block)?;
                block.clear();
            }
        }
        file.put(&block)?;
        let (moved_packets, max_moved_ns) = maker.stats.moved;
        let stats = ArrayStats {
            rows,
            local_rows: spooled.len(),
            packets: maker.stats.packets,
            local_offset_ns: offset_ns,
            min_latency_ns: if rows == 0 { 0 } else { spooled.min_latency_ns() },
            moved_packets,
            max_moved_ns,
            late_books: maker.stats.late_books,
        };
        Ok((file.finish()?, stats, latencies.map_or_else(Vec::new, |latencies| latencies.rows)))
    }
}

/// The last row of every second of local time that both sides see at once.
struct Latencies {
    rows: Vec<LatencyRow>,
}

impl Latencies {
    const fn new(rows: Vec<LatencyRow>) -> Self {
        Self { rows }
    }

    fn see(&mut self, row: &Row) {
        if row.ev & (EXCH | LOCAL) != EXCH | LOCAL {
            return;
        }
        let local_ts_ns = row.local_ts_ns;
        let latency_ns = local_ts_ns - row.exch_ts_ns;
        let latency = LatencyRow {
            req_ts_ns: local_ts_ns,
            exch_ts_ns: local_ts_ns + latency_ns,
            resp_ts_ns: local_ts_ns + 2 * latency_ns,
            reserved: 0,
        };
        let step = |ns: i64| ns.div_euclid(LATENCY_STEP_NS);
        match self.rows.last_mut() {
            Some(last) if step(last.req_ts_ns) == step(local_ts_ns) => *last = latency,
            _ => self.rows.push(latency),
        }
    }
}

/// Writes the rows of an order-latency file.
///
/// # Errors
///
/// [`SinkError`].
pub fn write_latencies(
    path: &Path,
    rows: &[LatencyRow],
    compression: NpzCompression,
    existing: Existing,
) -> Result<Finished, SinkError> {
    let mut file =
        NpzFile::create(path, &LATENCY_COLUMNS, rows.len() as u64, compression, existing)?;
    file.put(rows)?;
    file.finish()
}

/// Writes a book as `initial_snapshot` of hftbacktest takes it: bids, then asks, each from the best.
///
/// # Errors
///
/// [`SinkError`].
pub fn write_book(
    path: &Path,
    instrument: &Instrument,
    [bids, asks]: [&[Level]; 2],
    compression: NpzCompression,
    existing: Existing,
) -> Result<Finished, SinkError> {
    let sides = [(BookOp::SetBid, bids), (BookOp::SetAsk, asks)];
    let rows: Vec<Row> = sides
        .into_iter()
        .flat_map(|(op, levels)| levels.iter().map(move |level| book_row(instrument, op, *level)))
        .collect();
    let mut file = NpzFile::create(path, &COLUMNS, rows.len() as u64, compression, existing)?;
    file.put(&rows)?;
    file.finish()
}

/// Writes a whole synthetic market, as the packets of [`SyntheticSource`].
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
    let mut source = SyntheticSource::new(config)?;
    let options = ArrayOptions { compression, existing, ..ArrayOptions::default() };
    let mut writer = ArrayWriter::create(path, source.instrument(), &options)?;
    let mut packet = Packet::default();
    while source.next_packet(&mut packet)? {
        writer.write(&packet)?;
    }
    Ok(writer.finish()?.0)
}
