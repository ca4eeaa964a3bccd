//! Formats of which a line is a message: at most one packet each.

use market_model::{Instrument, Packet, PacketKind};

use crate::bytes::{Line, Lines};
use crate::error::{Error, FieldFault, Location, excerpt};
use crate::source::{Feed, SourceStats};

/// Why a line gives no packet.
pub(super) enum Refusal {
    /// The line is refused.
    Line(FieldFault),
    /// The line is refused, and the book does not depend on it.
    Trades(FieldFault),
    /// A second symbol came up and none was chosen.
    SecondSymbol(String),
}

impl From<FieldFault> for Refusal {
    fn from(fault: FieldFault) -> Self {
        Self::Line(fault)
    }
}

/// The fault of a line that is too long to be kept.
fn too_long() -> FieldFault {
    FieldFault { field: "line", expected: "at most 4194304 bytes", found: "more".into() }
}

/// Turns lines into packets.
pub(super) trait LineDecoder: Send {
    fn instrument(&self) -> &Instrument;

    /// Reads one line into a cleared packet; `true` when the packet is to be handed out. The line is
    /// not empty and has no white space at its end.
    fn line(
        &mut self,
        line: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, Refusal>;

    /// Called after a refused line, of which the engine loses its book (rule D11).
    fn lose_book(&mut self) {}

    /// Whether nothing but a snapshot will give a book.
    fn awaits_snapshot(&self) -> bool {
        false
    }

    /// Judges the whole input at its end.
    fn end(&self, _lines: &Lines, _stats: &SourceStats) -> Result<(), Error> {
        Ok(())
    }
}

/// A decoder with its statistics: one line in, at most one packet out.
pub(super) struct LineReader<D> {
    pub(super) decoder: D,
    pub(super) stats: SourceStats,
}

impl<D: LineDecoder> LineReader<D> {
    pub(super) fn new(decoder: D) -> Self {
        Self { decoder, stats: SourceStats::default() }
    }

    /// Reads one line, `None` for one that was too long to keep; `true` when the packet is to be
    /// handed out. A refused line gives a packet of kind `Rejected` or `RejectedTrade`.
    ///
    /// # Errors
    ///
    /// The name of a second symbol.
    #[inline]
    pub(super) fn read(
        &mut self,
        line: Option<&[u8]>,
        location: impl FnOnce() -> Location,
        packet: &mut Packet,
    ) -> Result<bool, String> {
        let Self { decoder, stats } = self;
        stats.records += 1;
        packet.clear();
        let result = match line.map(<[u8]>::trim_ascii_end) {
            Some(b"") => Ok(false),
            Some(line) => decoder.line(line, packet, stats),
            None => Err(Refusal::Line(too_long())),
        };
        match result {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(Refusal::SecondSymbol(second)) => return Err(second),
            Err(Refusal::Line(fault)) => {
                stats.refuse(packet, fault.at(location(), &decoder.instrument().symbol));
                decoder.lose_book();
            }
            Err(Refusal::Trades(fault)) => {
                stats.refuse(packet, fault.at(location(), &decoder.instrument().symbol));
                packet.kind = PacketKind::RejectedTrade;
            }
        }
        packet.symbol_id = decoder.instrument().symbol_id;
        stats.count(packet);
        Ok(true)
    }
}

/// The error of an input that changes a book which it never gives.
pub(super) fn no_snapshot(instrument: &Instrument, lines: &Lines, stats: &SourceStats) -> Error {
    Error::NoSnapshot {
        path: lines.path().into(),
        symbol: excerpt(instrument.symbol.as_bytes()),
        diffs: stats.depth_updates,
    }
}

/// Packets of lines.
pub(super) struct LineFeed<D> {
    lines: Lines,
    reader: LineReader<D>,
}

impl<D: LineDecoder> LineFeed<D> {
    pub(super) fn new(lines: Lines, decoder: D) -> Self {
        Self { lines, reader: LineReader::new(decoder) }
    }
}

impl<D: LineDecoder> Feed for LineFeed<D> {
    fn instrument(&self) -> &Instrument {
        self.reader.decoder.instrument()
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let Self { lines, reader } = self;
        while let Some(line) = lines.next_line()? {
            let text = match line {
                Line::Text(range) => Some(lines.text(range)),
                Line::TooLong => None,
            };
            match reader.read(text, || lines.location(), packet) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(second) => {
                    let first = excerpt(reader.decoder.instrument().symbol.as_bytes());
                    let location = lines.location();
                    return Err(Error::SeveralSymbols { location, first, second });
                }
            }
        }
        reader.decoder.end(lines, &reader.stats)?;
        Ok(false)
    }

    fn stats(&self) -> &SourceStats {
        &self.reader.stats
    }

    fn progress(&self) -> (u64, u64) {
        self.lines.progress()
    }
}
