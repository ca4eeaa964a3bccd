//! Input formats: which there are, and how one is recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use market_model::BookOp;

use crate::bytes::Decoder;
use crate::error::{Error, excerpt, quoted};
use crate::source::{OpenOptions, Source};

pub use events::{EventsWriter, read_events_header};

pub(crate) mod binance;
mod bitfinex_l3;
mod bitstamp_l3;
mod bybit;
mod calendar;
pub(crate) mod ccxt;
mod chronicle;
mod cryptofeed;
mod dbn;
mod events;
mod grid;
pub(crate) mod hftbacktest;
mod json;
mod line_feed;
mod lobster;
mod note;
pub(crate) mod npy;
mod parquet;
mod survey;
mod tardis;
pub(crate) mod venue;

const SNIFF_BYTES: usize = 16 << 10;

/// Levels of one side that one event may carry (rule D23).
const MAX_LEVELS_PER_SIDE: usize = 10_000;

/// Counts the levels of one event, side by side.
#[derive(Debug)]
struct SideCounts {
    limit: usize,
    bids: usize,
    asks: usize,
}

impl SideCounts {
    const fn new(limit: usize) -> Self {
        Self { limit, bids: 0, asks: 0 }
    }

    #[inline]
    const fn of(&mut self, op: BookOp) -> &mut usize {
        match op {
            BookOp::SetBid | BookOp::ClearBid => &mut self.bids,
            BookOp::SetAsk | BookOp::ClearAsk => &mut self.asks,
        }
    }

    /// Counts one level; `false` when it is one too many.
    #[inline]
    const fn admit(&mut self, op: BookOp) -> bool {
        self.add(op, 1);
        *self.of(op) <= self.limit
    }

    /// Levels that may still come.
    #[inline]
    const fn room(&mut self, op: BookOp) -> usize {
        self.limit.saturating_sub(*self.of(op))
    }

    #[inline]
    const fn add(&mut self, op: BookOp, levels: usize) {
        *self.of(op) += levels;
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
    /// Recorded Binance streams: local receive time and JSON per line; plain, gzip, zstd or zip.
    Binance,
    /// LOBSTER message files, alone or each with its orderbook file; plain, gzip, zstd or zip.
    Lobster,
    /// CCXT order books and trades, one JSON object per line; plain, gzip, zstd or zip.
    Ccxt,
    /// Tardis CSV files of books, quotes and trades; plain, gzip, zstd or zip.
    Tardis,
    /// Tables of level updates in Parquet.
    Parquet,
    /// Segments of a Chronicle queue: `.q`, or `.q.zst`.
    Chronicle,
    /// Databento files of `mbo`, `mbp-1`, `mbp-10` or `trades`; plain or zstd.
    Dbn,
    /// Raw captures of cryptofeed with messages of Kraken, OKX, OKCoin, Bitget or FTX.
    Cryptofeed,
    /// Bybit streams, with or without a local receive time per line; plain, gzip, zstd or zip.
    Bybit,
    /// Logs of Bitstamp's live orders; plain, gzip, zstd or zip.
    BitstampL3,
    /// Raw books (`R0`) of Bitfinex, one message per line; plain, gzip, zstd or zip.
    BitfinexL3,
    /// The packet log of this project.
    Events,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Hftbacktest => "hftbacktest",
            Self::Binance => "binance",
            Self::Lobster => "lobster",
            Self::Ccxt => "ccxt",
            Self::Tardis => "tardis",
            Self::Parquet => "parquet",
            Self::Chronicle => "chronicle",
            Self::Dbn => "dbn",
            Self::Cryptofeed => "cryptofeed",
            Self::Bybit => "bybit",
            Self::BitstampL3 => "bitstamp-l3",
            Self::BitfinexL3 => "bitfinex-l3",
            Self::Events => "events",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = FORMATS.iter().map(|(format, ..)| *format).chain([Self::Auto]);
        named.into_iter().find(|format| format.to_string() == text).ok_or_else(|| Error::Option {
            option: "format",
            expected: NAMES,
            found: format!("`{}`", excerpt(text.as_bytes())),
        })
    }
}

const NAMES: &str = "one of auto, hftbacktest, binance, lobster, ccxt, tardis, parquet, chronicle, dbn, cryptofeed, bybit, bitstamp-l3, bitfinex-l3, events";

type LooksLike = fn(&[u8]) -> bool;
type Open = fn(&OpenOptions) -> Result<Box<dyn Source>, Error>;

/// Every format: how the first bytes of a file are told to be of it, and what opens it. No two
/// recognise one file.
const FORMATS: &[(Format, LooksLike, Open)] = &[
    (Format::Hftbacktest, hftbacktest::looks_like, hftbacktest::open),
    (Format::Binance, binance::looks_like, binance::open),
    (Format::Lobster, lobster::looks_like, lobster::open),
    (Format::Ccxt, ccxt::looks_like, ccxt::open),
    (Format::Tardis, tardis::looks_like, tardis::open),
    (Format::Parquet, parquet::looks_like, parquet::open),
    (Format::Chronicle, chronicle::looks_like, chronicle::open),
    (Format::Dbn, dbn::looks_like, dbn::open),
    (Format::Cryptofeed, cryptofeed::looks_like, cryptofeed::open),
    (Format::Bybit, bybit::looks_like, bybit::open),
    (Format::BitstampL3, bitstamp_l3::looks_like, bitstamp_l3::open),
    (Format::BitfinexL3, bitfinex_l3::looks_like, bitfinex_l3::open),
    (Format::Events, events::looks_like, events::open),
];

pub(crate) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let first = options.inputs.first().ok_or(Error::NoInput)?;
    let format = match options.format {
        Format::Auto => detect(first)?,
        named => named,
    };
    if let Some(path) = options.initial_snapshot.as_ref().filter(|_| format != Format::Hftbacktest)
    {
        return Err(Error::Option {
            option: "initial_snapshot",
            expected: "nothing: only hftbacktest arrays have a book beside them",
            found: quoted(path.as_os_str().as_encoded_bytes()),
        });
    }
    let found = FORMATS.iter().find(|(listed, ..)| *listed == format);
    let (_, _, open) = found.expect("Invariant: every format but `Auto` is listed");
    open(options)
}

/// Recognises a format by the first bytes of a file.
fn detect(path: &Path) -> Result<Format, Error> {
    let head = head(path)?;
    if let Some((format, ..)) = FORMATS.iter().find(|(_, looks_like, _)| looks_like(&head)) {
        return Ok(*format);
    }
    Err(Error::UnknownFormat {
        path: path.into(),
        expected: "content of a known format (--format lists them)",
        found: format!("`{}`", excerpt(&head[..head.len().min(40)])),
    })
}

/// The first bytes of a file, uncompressed.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
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
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn files(root: &Path) -> Vec<PathBuf> {
        let entries = root.read_dir().unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_file()).collect()
    }

    /// Every committed sample, and every recording that is at hand, is of one format.
    #[test]
    fn no_two_formats_recognise_one_file() {
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shared = crate_root.join("../../../shared/data");
        if !shared.is_dir() {
            println!("skipped in part: ../shared/data is absent");
        }
        let samples = crate_root.join("tests");
        let mut seen = Vec::new();
        for (root, folder, format) in [
            (&samples, "lobster", Format::Lobster),
            (&samples, "ccxt", Format::Ccxt),
            (&samples, "tardis", Format::Tardis),
            (&samples, "parquet", Format::Parquet),
            (&samples, "chronicle", Format::Chronicle),
            (&samples, "dbn", Format::Dbn),
            (&samples, "cryptofeed", Format::Cryptofeed),
            (&samples, "bybit", Format::Bybit),
            (&shared, "binance", Format::Binance),
            (&shared, "hftbacktest", Format::Hftbacktest),
            (&shared, "lobster", Format::Lobster),
            (&shared, "tardis", Format::Tardis),
            (&shared, "dbn", Format::Dbn),
            (&shared, "cryptofeed", Format::Cryptofeed),
            (&shared, "cryptofeed_v1", Format::Cryptofeed),
            (&samples, "bitstamp-l3", Format::BitstampL3),
            (&samples, "bitfinex-l3", Format::BitfinexL3),
            (&shared, "bitfinex_l3", Format::BitfinexL3),
        ] {
            let folder = root.join(folder);
            for path in if folder.is_dir() { files(&folder) } else { Vec::new() } {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if name.to_lowercase().contains("readme") {
                    continue;
                }
                let wanted = if name.starts_with("expected") { Format::Events } else { format };
                let head = head(&path).unwrap();
                let found: Vec<_> =
                    FORMATS.iter().filter(|entry| entry.1(&head)).map(|entry| entry.0).collect();
                assert_eq!(found, [wanted], "{}", path.display());
                seen.push(wanted);
            }
        }
        assert!(seen.len() > 20, "{}", seen.len());
    }

    #[test]
    fn every_format_is_listed_by_its_name() {
        let names: Vec<_> = FORMATS.iter().map(|(format, ..)| format.to_string()).collect();
        assert_eq!(NAMES, format!("one of auto, {}", names.join(", ")));
        for (format, ..) in FORMATS {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), *format);
        }
        assert_eq!("auto".parse::<Format>().unwrap(), Format::Auto);
        assert!("Binance".parse::<Format>().unwrap_err().to_string().contains(NAMES));
    }
}
