//! Input formats: which there are, and how one is recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use market_model::BookOp;

use crate::bytes::Decoder;
use crate::error::{Error, excerpt};
use crate::source::{OpenOptions, Source};

pub use events::{EventsWriter, read_events_header};

pub(crate) mod binance;
mod events;
mod grid;
mod hftbacktest;
mod line_feed;
mod npy;

const SNIFF_BYTES: usize = 4096;

/// Levels of one side that one event may carry (rule D23).
const MAX_LEVELS_PER_SIDE: usize = 10_000;

/// Counts the levels of one event, side by side.
struct SideCounts {
    limit: usize,
    bids: usize,
    asks: usize,
}

impl SideCounts {
    const fn new(limit: usize) -> Self {
        Self { limit, bids: 0, asks: 0 }
    }

    /// Counts one level; `false` when it is one too many.
    #[inline]
    const fn admit(&mut self, op: BookOp) -> bool {
        let count = match op {
            BookOp::SetBid | BookOp::ClearBid => &mut self.bids,
            BookOp::SetAsk | BookOp::ClearAsk => &mut self.asks,
        };
        *count += 1;
        *count <= self.limit
    }
}

/// Format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Format {
    /// Recognised by content, never by name.
    #[default]
    Auto,
    /// hftbacktest event arrays: `.npz` (member `data`) or `.npy`.
    Hftbacktest,
    /// Recorded Binance streams: local receive time and JSON per line; plain, gzip or zstd.
    Binance,
    /// The packet log of this project.
    Events,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Hftbacktest => "hftbacktest",
            Self::Binance => "binance",
            Self::Events => "events",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Auto, Self::Hftbacktest, Self::Binance, Self::Events]
            .into_iter()
            .find(|format| format.to_string() == text)
            .ok_or_else(|| Error::Option {
                option: "format",
                expected: "one of auto, hftbacktest, binance, events",
                found: format!("`{}`", excerpt(text.as_bytes())),
            })
    }
}

pub(crate) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let first = options.inputs.first().ok_or(Error::NoInput)?;
    let format = match options.format {
        Format::Auto => detect(first)?,
        named => named,
    };
    match format {
        Format::Hftbacktest => hftbacktest::open(options),
        Format::Binance => binance::open(options),
        // Detection never answers `Auto`.
        Format::Auto | Format::Events => events::open(options),
    }
}

/// Recognises a format by the first bytes of a file.
fn detect(path: &Path) -> Result<Format, Error> {
    let mut decoder = Decoder::open(path)?;
    let mut head = vec![0; SNIFF_BYTES];
    let mut len = 0;
    while len < head.len() {
        let n = decoder.read(&mut head[len..])?;
        if n == 0 {
            break;
        }
        len += n;
    }
    head.truncate(len);
    if head.is_empty() {
        return Err(Error::Empty { path: path.into() });
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || npy::is_npy(&head) {
        return Ok(Format::Hftbacktest);
    }
    if binance::looks_like(&head) {
        return Ok(Format::Binance);
    }
    if events::looks_like(&head) {
        return Ok(Format::Events);
    }
    Err(Error::UnknownFormat {
        path: path.into(),
        expected: "an npz or npy array, lines of a local time in ns and a JSON object, or a packet log",
        found: format!("`{}`", excerpt(&head[..head.len().min(40)])),
    })
}
