//! Formats of which a line is a message: at most one packet each.

use market_model::{Instrument, Packet};

use crate::bytes::{Line, Lines};
use crate::error::{Error, FieldFault, excerpt};
use crate::source::{Feed, SourceStats};

/// Why a line gives no packet.
pub(super) enum Refusal {
    /// The line is refused.
    Line(FieldFault),
    /// A second symbol came up and none was chosen.
    SecondSymbol(String),
}

impl From<FieldFault> for Refusal {
    fn from(fault: FieldFault) -> Self {
        Self::Line(fault)
    }
}

/// The fault of a line that is too long to be kept.
pub(super) fn too_long() -> FieldFault {
    FieldFault { field: "line", expected: "at most 4194304 bytes", found: "more".into() }
}

/// Turns lines into packets.
pub(super) trait LineDecoder: Send {
    fn instrument(&self) -> &Instrument;

    /// Reads one line into a cleared packet; `true` when the packet is to be handed out.
    fn line(
        &mut self,
        line: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, Refusal>;

    /// Called after a refused line, of which the engine loses its book (rule D11).
    fn lose_book(&mut self) {}

    /// Judges the whole input at its end.
    fn end(&self, _lines: &Lines, _stats: &SourceStats) -> Result<(), Error> {
        Ok(())
    }
}

/// Packets of lines.
pub(super) struct LineFeed<D> {
    lines: Lines,
    stats: SourceStats,
    decoder: D,
}

impl<D: LineDecoder> LineFeed<D> {
    pub(super) fn new(lines: Lines, decoder: D) -> Self {
        Self { lines, stats: SourceStats::default(), decoder }
    }
}

impl<D: LineDecoder> Feed for LineFeed<D> {
    fn instrument(&self) -> &Instrument {
        self.decoder.instrument()
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let Self { lines, stats, decoder } = self;
        while let Some(line) = lines.next_line()? {
            stats.records += 1;
            packet.clear();
            let result = match line {
                Line::Text(range) => decoder.line(lines.text(range), packet, stats),
                Line::TooLong => Err(Refusal::Line(too_long())),
            };
            let symbol = &decoder.instrument().symbol;
            match result {
                Ok(false) => continue,
                Ok(true) => {}
                Err(Refusal::SecondSymbol(second)) => {
                    let first = excerpt(symbol.as_bytes());
                    let location = lines.location();
                    return Err(Error::SeveralSymbols { location, first, second });
                }
                Err(Refusal::Line(fault)) => {
                    stats.refuse(packet, fault.at(lines.location(), symbol));
                    decoder.lose_book();
                }
            }
            packet.symbol_id = decoder.instrument().symbol_id;
            stats.count(packet);
            return Ok(true);
        }
        decoder.end(lines, stats)?;
        Ok(false)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        self.lines.progress()
    }
}
