//! Tables of level updates in Parquet (`specs/inputs/parquet.md`).
//!
//! A packet is the rows of one local time. Prices and sizes are integers of the table's own grid.

mod table;

use std::path::PathBuf;

use market_model::{BookOp, Instrument, Level, MAX_SCALED, Packet, PacketKind, Sequencing};

use self::table::{Row, Table};
use super::{MAX_LEVELS_PER_SIDE, SideCounts};
use crate::bytes::total_bytes;
use crate::error::{Error, FieldFault, Location};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

/// Whether the first bytes of a file are those of Parquet.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(table::MAGIC)
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let total_bytes = total_bytes(&options.inputs)?;
    // Every schema is checked before the first packet is handed out.
    for path in &options.inputs {
        Table::open(path)?;
    }
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut rows = Rows {
        inputs: options.inputs.clone(),
        opened: 0,
        table: None,
        closed_bytes: 0,
        total_bytes,
        last: None,
    };
    let first_id = rows.peek()?.and_then(|row| row.symbol_id);
    let name = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let symbol = match (&options.symbol, first_id) {
        (Some(symbol), _) => symbol.clone(),
        (None, Some(id)) => id.to_string(),
        (None, None) => name(),
    };
    let size = |given: &Option<String>| given.clone().unwrap_or_else(|| "1".into());
    let (tick, lot) = (size(&options.tick_size), size(&options.lot_size));
    let mut instrument = Instrument::new(options.symbol_id, &symbol, &tick, &lot)?;
    instrument.sequencing = Sequencing::Arrival;
    Ok(Box::new(UntilEnd::new(ParquetFeed {
        limits: [instrument.tick_scaled, instrument.lot_scaled].map(|step| MAX_SCALED / step),
        wanted_id: symbol.parse().ok(),
        is_filtered: options.symbol.is_some(),
        instrument,
        rows,
        stats: SourceStats::default(),
        snapshot: None,
    })))
}

/// The rows of all inputs in order.
struct Rows {
    inputs: Vec<PathBuf>,
    opened: usize,
    table: Option<Table>,
    closed_bytes: u64,
    total_bytes: u64,
    /// Order key of the row that was last taken.
    last: Option<(i64, i64, i64)>,
}

impl Rows {
    /// The next row, which [`Rows::take`] takes.
    fn peek(&mut self) -> Result<Option<Row>, Error> {
        loop {
            if let Some(table) = &mut self.table {
                if let Some(row) = table.peek()? {
                    return Ok(Some(row));
                }
                self.closed_bytes += table.bytes();
                self.table = None;
            }
            let Some(path) = self.inputs.get(self.opened) else { return Ok(None) };
            self.opened += 1;
            self.table = Some(Table::open(path)?);
        }
    }

    fn take(&mut self, row: Row) -> Result<(), Error> {
        let key = (row.ts_local_us, row.file_id, row.file_line_number);
        if let Some(last) = self.last.filter(|last| key < *last) {
            let fault = FieldFault {
                field: "ts_local_us",
                expected: "rows by ts_local_us, file_id and file_line_number",
                found: format!("{key:?} after {last:?}"),
            };
            return Err(fault.at(self.location(), "").into());
        }
        self.last = Some(key);
        if let Some(table) = &mut self.table {
            table.take();
        }
        Ok(())
    }

    fn location(&self) -> Location {
        match &self.table {
            Some(table) => table.location(),
            None => Location::file(&self.inputs[self.opened.saturating_sub(1)]),
        }
    }
}

struct ParquetFeed {
    instrument: Instrument,
    /// Largest price and size that stay exact after scaling.
    limits: [i64; 2],
    /// Value of `symbol_id` that counts.
    wanted_id: Option<i64>,
    is_filtered: bool,
    rows: Rows,
    stats: SourceStats,
    /// Local time and file of the snapshot that the last row belonged to.
    snapshot: Option<(i64, i64)>,
}

impl ParquetFeed {
    /// Reads the rows of the next local time; `None` at the end, else whether they have content.
    fn read_group(&mut self, packet: &mut Packet) -> Result<Option<bool>, Error> {
        let Some(first) = self.rows.peek()? else { return Ok(None) };
        let mut counts = SideCounts::new(MAX_LEVELS_PER_SIDE);
        let mut fault = None;
        while let Some(row) = self.rows.peek()?
            && row.ts_local_us == first.ts_local_us
        {
            let location = || self.rows.location();
            if !self.is_of_the_symbol(row)? {
                self.stats.ignore(b"another symbol");
            } else if fault.is_none() {
                let location = location();
                if let Err(wrong) = self.add(row, &mut counts, packet) {
                    fault = Some(wrong.at(location, &self.instrument.symbol));
                }
            }
            self.stats.records += 1;
            self.rows.take(row)?;
        }
        if let Some(fault) = fault {
            self.stats.refuse(packet, fault);
        }
        Ok(Some(packet.kind == PacketKind::Rejected || packet.touches_book()))
    }

    fn is_of_the_symbol(&self, row: Row) -> Result<bool, Error> {
        match row.symbol_id {
            Some(id) if Some(id) != self.wanted_id && self.is_filtered => Ok(false),
            Some(id) if Some(id) != self.wanted_id => Err(Error::SeveralSymbols {
                location: self.rows.location(),
                first: self.instrument.symbol.clone(),
                second: id.to_string(),
            }),
            _ => Ok(true),
        }
    }

    fn add(
        &mut self,
        row: Row,
        counts: &mut SideCounts,
        packet: &mut Packet,
    ) -> Result<(), FieldFault> {
        let fault = |field, expected, found: i64| {
            Err(FieldFault { field, expected, found: found.to_string() })
        };
        packet.ts_recv_ns = row.local_ns()?;
        packet.ts_event_ns = packet.ts_event_ns.max(row.event_ns()?);
        let op = match row.side {
            0 => BookOp::SetBid,
            1 => BookOp::SetAsk,
            other => return fault("side", "0 (bid) or 1 (ask)", other),
        };
        if !(1..=self.limits[0]).contains(&row.price_int) {
            return fault("price_int", "at least 1 and 2^53-1 after scaling", row.price_int);
        }
        if !(0..=self.limits[1]).contains(&row.size_int) {
            return fault("size_int", "at least 0 and 2^53-1 after scaling", row.size_int);
        }
        let key = (row.ts_local_us, row.file_id);
        if row.is_snapshot && self.snapshot != Some(key) {
            // What stood before it in the message is replaced, too.
            packet.levels.clear();
            packet.run_ends.clear();
            packet.kind = PacketKind::Snapshot;
        }
        let has_begun = self.stats.snapshots > 0 || packet.kind == PacketKind::Snapshot;
        self.snapshot = row.is_snapshot.then_some(key);
        if !has_begun {
            self.stats.dropped_updates += 1;
            return Ok(());
        }
        if !counts.admit(op) {
            return fault("side", "at most 10000 levels of one side in a packet", row.side);
        }
        packet.push_level(op, Level { price_ticks: row.price_int, qty_lots: row.size_int });
        Ok(())
    }
}

impl Feed for ParquetFeed {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        loop {
            packet.clear();
            match self.read_group(packet)? {
                None => break,
                Some(false) => {}
                Some(true) => {
                    packet.symbol_id = self.instrument.symbol_id;
                    self.stats.depth_updates += u64::from(packet.touches_book());
                    self.stats.count(packet);
                    return Ok(true);
                }
            }
        }
        if self.stats.snapshots == 0 {
            return Err(Error::NoSnapshot {
                path: self.rows.inputs.last().cloned().unwrap_or_default(),
                symbol: self.instrument.symbol.clone(),
                diffs: self.stats.dropped_updates,
            });
        }
        Ok(false)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        let current = self.rows.table.as_ref().map_or(0, Table::position);
        (self.rows.closed_bytes + current, self.rows.total_bytes)
    }
}
