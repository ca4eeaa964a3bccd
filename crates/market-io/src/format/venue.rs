//! Messages of venues as they come: the decoders that read their recordings, a line at a time.

use std::borrow::Cow;

use market_model::{Instrument, Packet, Sequencing};

use super::binance::split_local_ns;
use super::binance::sync::Chain;
use super::cryptofeed::{Received, received};
use super::line_feed::{LineDecoder, LineReader};
use super::{binance, bybit, cryptofeed, note};
use crate::bytes::{Line, Lines};
use crate::error::{Error, Location};
use crate::source::SourceStats;
use crate::write::push_integer;

const NS_PER_S: i64 = 1_000_000_000;

/// Which recordings a venue's lines make, and so which decoder reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VenueLines {
    /// Binance spot, in the format `binance`.
    BinanceSpot,
    /// Binance USD-M and COIN-M, in the format `binance`.
    BinanceFutures,
    /// Bybit, in the format `bybit`.
    Bybit,
    /// Venues of which cryptofeed makes captures (Kraken, OKX), in the format `cryptofeed`.
    Cryptofeed,
}

impl VenueLines {
    /// Appends the line that a recorder keeps of a message: local receive time, then the message.
    /// Line ends inside the message become spaces, which JSON means the same.
    pub fn push_line(self, local_ns: i64, message: &str, line: &mut Vec<u8>) {
        if self == Self::Cryptofeed {
            push_integer(line, local_ns / NS_PER_S);
            line.extend_from_slice(format!(".{:09}: ", local_ns % NS_PER_S).as_bytes());
        } else {
            push_integer(line, local_ns);
            line.push(b' ');
        }
        line.extend(message.bytes().map(|c| if matches!(c, b'\n' | b'\r') { b' ' } else { c }));
    }

    /// Local receive time (UTC ns, 0 without one) and message of a line of such a recording; `None` for
    /// a line of another form, and for the notes of a recorder.
    #[must_use]
    pub fn message(self, line: &[u8]) -> Option<(i64, Cow<'_, str>)> {
        let (local_ns, message) = match self {
            Self::Cryptofeed => match received(line).ok()? {
                Received::Message { text, recv_ns } => (recv_ns, text),
                Received::Other(_) => return None,
            },
            _ if line.starts_with(b"{") => (0, str::from_utf8(line).ok()?.into()),
            _ => {
                let (local_ns, json) = split_local_ns(line).ok()?;
                (local_ns, str::from_utf8(json).ok()?.into())
            }
        };
        matches!(note::read(message.as_bytes()), Ok(None)).then_some((local_ns, message))
    }

    /// The message with which a recording begins. It holds tick and lot size, so that whoever reads the
    /// recording need not infer them.
    #[must_use]
    pub fn recording_note(instrument: &Instrument) -> String {
        note::recording(instrument)
    }

    /// Tick and lot size as decimal text.
    #[must_use]
    pub fn sizes(instrument: &Instrument) -> [String; 2] {
        note::sizes(instrument)
    }

    /// The message that stands where a connection was lost: its line gives a packet of kind
    /// `Rejected`, which ends the book until a snapshot (rule D11).
    #[must_use]
    pub fn lost_note(reason: &str) -> String {
        note::lost(reason)
    }
}

/// Lines of one symbol of a venue, for whoever has them before they are a file.
///
/// ```
/// use market_io::Location;
/// use market_io::venue::{VenueLines, VenueReader};
/// use market_model::{Instrument, Packet};
///
/// let instrument = Instrument::new(0, "BTCUSDT", "0.01", "0.00001")?;
/// let mut reader = VenueReader::new(VenueLines::BinanceSpot, instrument);
/// let mut line = Vec::new();
/// let message = r#"{"lastUpdateId":7,"bids":[["61837.63","3.7"]],"asks":[["61837.64","1.5"]]}"#;
/// VenueLines::BinanceSpot.push_line(1_723_161_254_206_652_067, message, &mut line);
/// let mut packet = Packet::default();
/// assert!(reader.awaits_snapshot());
/// assert!(reader.read(&line, || Location::file("live".as_ref()), &mut packet));
/// assert!(!reader.awaits_snapshot() && packet.levels.len() == 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VenueReader(LineReader<Box<dyn LineDecoder>>);

impl VenueReader {
    /// A reader before its first line.
    #[must_use]
    pub fn new(lines: VenueLines, mut instrument: Instrument) -> Self {
        instrument.sequencing = match lines {
            VenueLines::Cryptofeed => Sequencing::Arrival,
            _ => Sequencing::Venue,
        };
        let decoder: Box<dyn LineDecoder> = match lines {
            VenueLines::BinanceSpot => Box::new(binance::Decoder::live(instrument, Chain::Spot)),
            VenueLines::BinanceFutures => {
                Box::new(binance::Decoder::live(instrument, Chain::Futures))
            }
            VenueLines::Bybit => Box::new(bybit::Decoder::live(instrument)),
            VenueLines::Cryptofeed => Box::new(cryptofeed::Decoder::live(instrument)),
        };
        Self(LineReader::new(decoder))
    }

    /// The instrument, with the sequencing of the venue.
    #[must_use]
    pub fn instrument(&self) -> &Instrument {
        self.0.decoder.instrument()
    }

    /// What has been read, refused and left out so far.
    #[must_use]
    pub fn stats(&self) -> &SourceStats {
        &self.0.stats
    }

    /// Whether nothing but a snapshot will give a book: one must be asked for.
    #[must_use]
    pub fn awaits_snapshot(&self) -> bool {
        self.0.decoder.awaits_snapshot()
    }

    /// Reads a line into a packet; `true` when there is one. A line that cannot be used gives a packet
    /// of kind `Rejected`; lines of other symbols are counted and left out.
    pub fn read(
        &mut self,
        line: &[u8],
        place: impl FnOnce() -> Location,
        packet: &mut Packet,
    ) -> bool {
        self.0.read(Some(line), place, packet).unwrap_or(false)
    }
}

impl core::fmt::Debug for VenueReader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VenueReader").field("instrument", self.instrument()).finish()
    }
}

impl LineDecoder for Box<dyn LineDecoder> {
    fn instrument(&self) -> &Instrument {
        (**self).instrument()
    }

    fn line(
        &mut self,
        line: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, super::line_feed::Refusal> {
        (**self).line(line, packet, stats)
    }

    fn lose_book(&mut self) {
        (**self).lose_book();
    }

    fn awaits_snapshot(&self) -> bool {
        (**self).awaits_snapshot()
    }
}

/// The lines of recordings as they are, for whoever plays a venue.
pub struct RecordedLines(Lines);

impl RecordedLines {
    /// The lines of some files, one file after the other; plain, gzip or zstd.
    ///
    /// # Errors
    ///
    /// [`Error`] when a file is absent or empty.
    pub fn open(paths: &[std::path::PathBuf]) -> Result<Self, Error> {
        Ok(Self(Lines::open(paths)?))
    }

    /// The next line without its end, lines that are too long left out; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error`] when the rest cannot be read.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            match self.0.next_line()? {
                None => return Ok(None),
                Some(Line::TooLong) => {}
                Some(Line::Text(range)) => return Ok(Some(self.0.text(range))),
            }
        }
    }
}

impl core::fmt::Debug for RecordedLines {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RecordedLines").field("path", &self.0.path()).finish()
    }
}
