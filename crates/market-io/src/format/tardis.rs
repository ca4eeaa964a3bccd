//! Tardis CSV files (`specs/inputs/tardis.md`).
//!
//! Files of a book and files of trades may be given together; packets come in the order of the local
//! times. A packet is the rows of one local time, which is how Tardis writes one message.

mod row;

use std::ops::Range;
use std::path::PathBuf;

use market_model::{FeedKind, Instrument, Packet, PacketKind, Sequencing};

use self::row::{Kind, Rows, Times, kind_of, names};
use super::SideCounts;
use super::grid::Grid;
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, excerpt, quoted};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

/// Whether the first bytes of a file are the beginning of a header of Tardis.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(b"exchange,symbol,timestamp,local_timestamp,")
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let inputs = sort(options)?;
    let instrument = survey(options, &inputs)?;
    let mut stats = SourceStats::default();
    let mut streams = Vec::new();
    for (kind, paths) in &inputs {
        let mut stream = Stream {
            kind: *kind,
            lines: Lines::open(paths)?,
            path: PathBuf::new(),
            symbol: instrument.symbol.clone(),
            is_filtered: options.symbol.is_some(),
            next: None,
        };
        stream.step(&mut stats)?;
        streams.push(stream);
    }
    let rows = Rows::new(Grid::new(&instrument, options.strict_scale));
    Ok(Box::new(UntilEnd::new(TardisFeed { streams, rows, instrument, stats })))
}

type Inputs = Vec<(Kind, Vec<PathBuf>)>;

/// The inputs by kind, in the order in which the kinds come up; at most one kind has a book.
fn sort(options: &OpenOptions) -> Result<Inputs, Error> {
    let mut kinds = Inputs::new();
    for path in &options.inputs {
        let mut lines = Lines::open(std::slice::from_ref(path))?;
        let Some(range) = lines.next_whole_line()? else {
            return Err(Error::Empty { path: path.clone() });
        };
        let kind = header(&lines, range)?;
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, paths)) => paths.push(path.clone()),
            None => kinds.push((kind, vec![path.clone()])),
        }
    }
    if kinds.iter().filter(|(kind, _)| *kind != Kind::Trades).count() > 1 {
        return Err(Error::Option {
            option: "input",
            expected: "Tardis files of one kind of book, with or without trades",
            found: "several kinds".into(),
        });
    }
    Ok(kinds)
}

fn header(lines: &Lines, range: Range<usize>) -> Result<Kind, Error> {
    let text = lines.text(range);
    kind_of(text).ok_or_else(|| Error::UnknownFormat {
        path: lines.path().into(),
        expected: "a header of incremental_book_L2, book_snapshot, quotes or trades",
        found: quoted(text),
    })
}

fn survey(options: &OpenOptions, inputs: &Inputs) -> Result<Instrument, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut survey = Survey::new(options);
    let mut venue = String::new();
    for (kind, paths) in inputs {
        survey.restart();
        let mut lines = Lines::open(paths)?;
        while !survey.is_done() {
            let line = match lines.next_whole_line() {
                Ok(Some(range)) => lines.text(range),
                Ok(None) => break,
                Err(_) if survey.has_symbol() => break,
                Err(error) => return Err(error),
            };
            // Headers of later files are no rows.
            if looks_like(line) {
                continue;
            }
            let Some((exchange, symbol)) = names(line) else {
                let fault = FieldFault::new("symbol", "an exchange and a symbol", line);
                survey.fault(|| fault.at(lines.location(), ""));
                continue;
            };
            if survey.admits(symbol, || lines.location())? {
                exchange.clone_into(&mut venue);
                kind.learn(line, &mut survey);
            }
        }
    }
    let mut instrument = survey.finish(path, "rows of Tardis")?;
    instrument.venue = venue;
    instrument.sequencing = Sequencing::Arrival;
    if inputs.iter().any(|(kind, _)| kind.has_full_books()) {
        instrument.feed = FeedKind::Snapshot;
    }
    Ok(instrument)
}

/// The rows of one kind, with one row of look-ahead.
struct Stream {
    kind: Kind,
    lines: Lines,
    /// File of the last row.
    path: PathBuf,
    symbol: String,
    is_filtered: bool,
    /// The next row and its local time.
    next: Option<(Range<usize>, i64)>,
}

impl Stream {
    /// Goes to the next row of the symbol.
    fn step(&mut self, stats: &mut SourceStats) -> Result<(), Error> {
        let last_ns = self.next.take().map_or(0, |(_, local_ns)| local_ns);
        while let Some(range) = self.lines.next_whole_line()? {
            let line = self.lines.text(range.clone());
            if self.lines.path() != self.path {
                self.path = self.lines.path().into();
                continue;
            }
            stats.records += 1;
            match names(line) {
                Some((_, symbol)) if symbol != self.symbol => {
                    if !self.is_filtered {
                        let [first, second] =
                            [self.symbol.as_str(), symbol].map(|s| excerpt(s.as_bytes()));
                        let location = self.lines.location();
                        return Err(Error::SeveralSymbols { location, first, second });
                    }
                    stats.ignore(b"another symbol");
                }
                // A row without names or times stays with those before it and is refused with them.
                _ => {
                    let local_ns = Times::read(line).map_or(last_ns, |times| times.local_ns);
                    if local_ns < last_ns {
                        let expected = "local times that do not decrease";
                        let fault = FieldFault::new("local_timestamp", expected, line);
                        return Err(fault.at(self.lines.location(), &self.symbol).into());
                    }
                    self.next = Some((range, local_ns));
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

struct TardisFeed {
    streams: Vec<Stream>,
    rows: Rows,
    instrument: Instrument,
    stats: SourceStats,
}

impl TardisFeed {
    /// Reads the rows of the next local time of one stream; `false` when they have no content.
    fn read_group(&mut self, at: usize, packet: &mut Packet) -> Result<bool, Error> {
        let Self { streams, rows, stats, instrument } = self;
        let stream = &mut streams[at];
        let group_ns = stream.next.as_ref().map(|(_, local_ns)| *local_ns);
        let mut counts = SideCounts::new(super::MAX_LEVELS_PER_SIDE);
        let mut fault = None;
        while let Some((range, local_ns)) = &stream.next
            && Some(*local_ns) == group_ns
        {
            let line = stream.lines.text(range.clone());
            if fault.is_none()
                && let Err(wrong) = rows.take(stream.kind, line, &mut counts, packet, stats)
            {
                fault = Some(wrong.at(stream.lines.location(), &instrument.symbol));
            }
            stream.step(stats)?;
            if stream.kind.has_full_books() {
                break;
            }
        }
        if let Some(fault) = fault {
            stats.refuse(packet, fault);
            packet.ts_recv_ns = group_ns.unwrap_or_default();
        }
        let is_refused = packet.kind == PacketKind::Rejected;
        Ok(is_refused || packet.touches_book() || !packet.trades.is_empty())
    }
}

impl Feed for TardisFeed {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        loop {
            let times = self.streams.iter().enumerate();
            let next = times
                .filter_map(|(at, stream)| {
                    stream.next.as_ref().map(|(_, local_ns)| (*local_ns, at))
                })
                .min();
            let Some((_, at)) = next else {
                return if self.stats.dropped_updates == 0 || self.stats.snapshots > 0 {
                    Ok(false)
                } else {
                    Err(Error::NoSnapshot {
                        path: self.streams[0].path.clone(),
                        symbol: excerpt(self.instrument.symbol.as_bytes()),
                        diffs: self.stats.dropped_updates,
                    })
                };
            };
            packet.clear();
            if self.read_group(at, packet)? {
                packet.symbol_id = self.instrument.symbol_id;
                self.stats.depth_updates += u64::from(packet.touches_book());
                self.stats.count(packet);
                return Ok(true);
            }
        }
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        let parts = self.streams.iter().map(|stream| stream.lines.progress());
        parts.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }
}
