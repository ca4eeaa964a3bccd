//! hftbacktest event arrays (`specs/inputs/hftbacktest.md`).
//!
//! Only rows with the LOCAL flag count, since the converter may write an event twice; a packet is
//! a run of such rows with one `local_ts`.

pub(crate) mod ev;
mod grid;
mod orders;
mod rows;

use std::path::{Path, PathBuf};

use market_model::{FeedKind, Instrument, Packet, PacketKind, Sequencing};

pub use self::rows::{RowDecoder, RowFault, Stop};

use self::grid::sizes;
use self::rows::{MAX_INITIAL_LEVELS, tells_of_ids};
use super::npy::{self, Row, Rows};
use crate::bytes::total_bytes;
use crate::error::{Error, Fault, FieldFault, Location, Position};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

/// Whether the first bytes of a file are those of an array, or of an archive without anything in it.
pub(super) fn looks_like(head: &[u8]) -> bool {
    npy::is_npy(head) || head.starts_with(b"PK\x05\x06")
}

/// Rows in order, a stretch at a time.
trait Stretches: Send {
    /// Makes sure that a row is at hand; `false` after the last one.
    fn ready(&mut self) -> Result<bool, Error>;

    /// The rows at hand.
    fn rest(&self) -> &[Row];

    /// Steps over rows at hand.
    fn step(&mut self, rows: usize);

    /// Where the next row is.
    fn location(&self) -> Location;

    /// Bytes consumed, and their total.
    fn progress(&self) -> (u64, u64);
}

/// Arrays that another part of the program holds.
struct Arrays<A> {
    arrays: Vec<A>,
    current: usize,
    index: usize,
}

impl<A: AsRef<[Row]> + Send> Stretches for Arrays<A> {
    fn ready(&mut self) -> Result<bool, Error> {
        while let Some(array) = self.arrays.get(self.current) {
            if self.index < array.as_ref().len() {
                return Ok(true);
            }
            self.index = 0;
            self.current += 1;
        }
        Ok(false)
    }

    fn rest(&self) -> &[Row] {
        self.arrays.get(self.current).map_or(&[], |array| &array.as_ref()[self.index..])
    }

    fn step(&mut self, rows: usize) {
        self.index += rows;
    }

    fn location(&self) -> Location {
        let position = Position::Row { row: self.index as u64, offset: self.index as u64 * 64 };
        Location { path: format!("array {}", self.current).into(), position }
    }

    fn progress(&self) -> (u64, u64) {
        let rows = |arrays: &[A]| arrays.iter().map(|array| array.as_ref().len()).sum::<usize>();
        let read = rows(&self.arrays[..self.current]) + self.index;
        (read as u64 * 64, rows(&self.arrays) as u64 * 64)
    }
}

/// Packets of arrays in memory; `initial` is the book before the first row.
///
/// # Errors
///
/// [`Error`] when a row of the initial book is not a level.
pub fn open_arrays<A>(
    mut instrument: Instrument,
    arrays: Vec<A>,
    initial: Option<&[Row]>,
) -> Result<Box<dyn Source>, Error>
where
    A: AsRef<[Row]> + Send + 'static,
{
    let mut rows = arrays.iter().flat_map(|array| array.as_ref());
    settle(&mut instrument, rows.find_map(tells_of_ids));
    let reader = Arrays { arrays, current: 0, index: 0 };
    let mut source = RowSource::new(instrument, reader);
    if let Some(rows) = initial {
        let book = source.decoder.initial_book(rows.iter().copied()).map_err(|(row, fault)| {
            let position = Position::Row { row: row as u64, offset: row as u64 * 64 };
            source.located(fault, Location { path: "initial book".into(), position })
        })?;
        source.state = State::Initial(Box::new(book));
    }
    Ok(Box::new(UntilEnd::new(source)))
}

/// The rows of all files in order.
struct Reader {
    inputs: Vec<PathBuf>,
    opened: usize,
    rows: Option<Rows>,
    index: usize,
    closed_bytes: u64,
    total_bytes: u64,
}

impl Stretches for Reader {
    fn ready(&mut self) -> Result<bool, Error> {
        loop {
            if let Some(rows) = &mut self.rows {
                if self.index < rows.chunk().len() {
                    return Ok(true);
                }
                self.index = 0;
                if rows.advance()? {
                    return Ok(true);
                }
                self.closed_bytes += rows.position();
                self.rows = None;
            }
            let Some(path) = self.inputs.get(self.opened) else { return Ok(false) };
            self.opened += 1;
            self.rows = Some(Rows::open(path)?);
        }
    }

    fn rest(&self) -> &[Row] {
        self.rows.as_ref().map_or(&[], |rows| &rows.chunk()[self.index..])
    }

    fn step(&mut self, rows: usize) {
        self.index += rows;
    }

    fn location(&self) -> Location {
        match &self.rows {
            Some(rows) => rows.location(self.index),
            None => Location::file(&self.inputs[self.opened.saturating_sub(1)]),
        }
    }

    fn progress(&self) -> (u64, u64) {
        let current = self.rows.as_ref().map_or(0, Rows::position);
        ((self.closed_bytes + current).min(self.total_bytes), self.total_bytes)
    }
}

/// What comes before the rows.
enum State {
    /// A book that was given beside the rows.
    Initial(Box<Packet>),
    /// The first packet, read early because the initial book takes its times.
    First(Box<Packet>),
    Rows,
}

/// Packets of hftbacktest rows.
struct RowSource<R> {
    instrument: Instrument,
    reader: R,
    decoder: RowDecoder,
    state: State,
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let first = options.inputs.first().ok_or(Error::NoInput)?;
    let total_bytes = total_bytes(&options.inputs)?;
    // Every header is checked before the first packet is handed out.
    for path in &options.inputs {
        Rows::open(path)?;
    }
    let symbol = match &options.symbol {
        Some(symbol) => symbol.clone(),
        None => first.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let (tick, lot) = sizes(options, &symbol)?;
    let mut instrument = Instrument::new(options.symbol_id, &symbol, &tick, &lot)?;
    settle(&mut instrument, ids_of_files(&options.inputs));
    let reader = Reader {
        inputs: options.inputs.clone(),
        opened: 0,
        rows: None,
        index: 0,
        closed_bytes: 0,
        total_bytes,
    };
    let mut source = RowSource::new(instrument, reader);
    if let Some(path) = &options.initial_snapshot {
        source.state = State::Initial(Box::new(source.read_initial(path)?));
    }
    Ok(Box::new(UntilEnd::new(source)))
}

/// Whether the rows of files carry update ids. A file that cannot be read fails where its turn comes.
fn ids_of_files(inputs: &[PathBuf]) -> Option<bool> {
    inputs.iter().find_map(|path| {
        let mut rows = Rows::open(path).ok()?;
        while rows.advance().ok()? {
            let found = rows.chunk().iter().find_map(tells_of_ids);
            if found.is_some() {
                return found;
            }
        }
        None
    })
}

/// How packets of rows follow each other: by ids, where the rows carry them.
fn settle(instrument: &mut Instrument, has_ids: Option<bool>) {
    instrument.feed = FeedKind::Delta;
    instrument.sequencing =
        if has_ids == Some(true) { Sequencing::Venue } else { Sequencing::Arrival };
}

impl<R: Stretches> RowSource<R> {
    fn new(instrument: Instrument, reader: R) -> Self {
        let decoder = RowDecoder::new(&instrument);
        Self { instrument, reader, decoder, state: State::Rows }
    }

    /// The book of an end-of-day file: rows of kind 4 without times.
    fn read_initial(&self, path: &Path) -> Result<Packet, Error> {
        let mut rows = Rows::open(path)?;
        let mut levels = Vec::new();
        while levels.len() <= 2 * MAX_INITIAL_LEVELS && rows.advance()? {
            levels.extend_from_slice(rows.chunk());
        }
        let packet = self
            .decoder
            .initial_book(levels)
            .map_err(|(index, fault)| self.located(fault, rows.location_of(index as u64)))?;
        Ok(packet)
    }

    fn located(&self, fault: RowFault, location: Location) -> Fault {
        let RowFault { field, expected, found } = fault;
        FieldFault { field, expected, found }.at(location, &self.instrument.symbol)
    }

    /// Reads the rows of the next packet that has content or is refused.
    fn read_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        while self.reader.ready()? {
            let (taken, stop) = self.decoder.take(self.reader.rest(), packet);
            self.reader.step(taken);
            match stop {
                None => {}
                Some(Stop::PacketEnd) => break,
                Some(Stop::Refused(fault)) => {
                    let fault = self.located(fault, self.reader.location());
                    self.decoder.stats.keep(fault);
                }
                Some(Stop::Fatal(fault)) => {
                    return Err(self.located(fault, self.reader.location()).into());
                }
            }
        }
        Ok(self.decoder.finish(packet))
    }
}

impl<R: Stretches> Feed for RowSource<R> {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let more = match std::mem::replace(&mut self.state, State::Rows) {
            State::Initial(initial) => {
                let mut first = Box::<Packet>::default();
                let more = self.read_packet(&mut first)?;
                *packet = *initial;
                (packet.ts_event_ns, packet.ts_recv_ns) = (first.ts_event_ns, first.ts_recv_ns);
                if more {
                    self.state = State::First(first);
                }
                true
            }
            State::First(first) => {
                *packet = *first;
                true
            }
            State::Rows => self.read_packet(packet)?,
        };
        if more {
            // The decoder has counted what it refused.
            self.decoder.stats.packets += 1;
            self.decoder.stats.snapshots += u64::from(packet.kind == PacketKind::Snapshot);
            self.decoder.stats.depth_updates += u64::from(packet.touches_book());
        }
        Ok(more)
    }

    fn stats(&self) -> &SourceStats {
        &self.decoder.stats
    }

    fn progress(&self) -> (u64, u64) {
        self.reader.progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, ival: i64, fval: f64) -> Row {
        let ns = 1_723_161_255_000_000_000 + at * 1_000;
        let ev = 1 << 31 | 1 << 30 | 1 << 29 | 1;
        Row { ev, exch_ts_ns: ns, local_ts_ns: ns, px: 9.0, qty: 1.0, ival, fval, ..Row::default() }
    }

    fn read(rows: Vec<Row>) -> (Sequencing, Vec<(u64, u64)>) {
        let instrument = Instrument::new(0, "X", "1", "1").unwrap();
        let mut source = open_arrays(instrument, vec![rows], None).unwrap();
        let (mut packet, mut ids) = (Packet::default(), Vec::new());
        while source.next_packet(&mut packet).unwrap() {
            ids.push((packet.seq, packet.prev_seq));
        }
        (source.instrument().sequencing, ids)
    }

    #[test]
    fn ids_are_read_where_the_first_book_row_has_them() {
        let trade = Row { ev: 1 << 31 | 1 << 30 | 1 << 29 | 2, ..row(0, 0, 0.0) };
        let rows = vec![trade, row(1, 7, 0.0), row(2, 9, 7.0), row(2, 9, 7.0), row(3, 12, 10.0)];
        assert_eq!(read(rows), (Sequencing::Venue, vec![(0, 0), (7, 0), (9, 7), (12, 10)]));
        // What others keep in the two columns is not taken for ids.
        for (ival, fval) in [(0, 0.0), (-7, 0.0), (7, 0.5), (7, -1.0), (7, f64::NAN), (0, 3.0)] {
            let (sequencing, ids) = read(vec![row(1, ival, fval), row(2, 9, 7.0)]);
            assert_eq!((sequencing, ids), (Sequencing::Arrival, vec![(0, 0); 2]), "{ival} {fval}");
        }
    }
}
