//! What can go wrong between a file and a packet, and where it was.
//!
//! Text from an input appears in messages escaped and cut, so that a hostile file cannot write to a
//! terminal or fill a log.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use market_model::InstrumentError;
use thiserror::Error;

const EXCERPT_CHARS: usize = 200;

/// A place inside an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The file as a whole.
    File,
    /// A byte offset from 0, in the file as stored (compressed, if it is).
    Byte {
        /// Offset in bytes.
        offset: u64,
    },
    /// A line of text.
    Line {
        /// Line number from 1.
        line: u64,
        /// Offset of its first byte in the uncompressed text.
        offset: u64,
    },
    /// A row of a binary table.
    Row {
        /// Row number from 0.
        row: u64,
        /// Offset of its first byte in the uncompressed member.
        offset: u64,
    },
}

/// A file and a place inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Path as it was given.
    pub path: PathBuf,
    /// Where in the file.
    pub position: Position,
}

impl Location {
    /// The file as a whole.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { path: path.into(), position: Position::File }
    }

    /// A byte of the file as stored.
    #[must_use]
    pub fn byte(path: &Path, offset: u64) -> Self {
        Self { path: path.into(), position: Position::Byte { offset } }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = excerpt(self.path.as_os_str().as_encoded_bytes());
        match self.position {
            Position::File => write!(f, "{path}"),
            Position::Byte { offset } => write!(f, "{path}: byte {offset}"),
            Position::Line { line, offset } => write!(f, "{path}: line {line} (byte {offset})"),
            Position::Row { row, offset } => write!(f, "{path}: row {row} (byte {offset})"),
        }
    }
}

/// A value that is not what the format says: why one event was refused, or why a file was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was found.
    pub location: Location,
    /// Symbol of the stream; empty when it is not known yet.
    pub symbol: String,
    /// Field as the input names it.
    pub field: String,
    /// What the format asks for.
    pub expected: String,
    /// What was there, escaped and cut.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if !self.symbol.is_empty() {
            write!(f, "{}: ", self.symbol)?;
        }
        write!(f, "field `{}`: expected {}, found {}", self.field, self.expected, self.found)
    }
}

/// A [`Fault`] before its place is known: field, expectation, finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldFault {
    pub(crate) field: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
}

impl FieldFault {
    /// A finding that is quoted from the input.
    #[cold]
    pub(crate) fn new(field: &'static str, expected: &'static str, found: &[u8]) -> Self {
        Self { field, expected, found: quoted(found) }
    }

    pub(crate) fn at(self, location: Location, symbol: &str) -> Fault {
        Fault {
            location,
            symbol: excerpt(symbol.as_bytes()),
            field: self.field.into(),
            expected: self.expected.into(),
            found: self.found,
        }
    }
}

/// An input that cannot be read, or a request that cannot be met.
///
/// One bad event inside a readable input is not an error: it becomes a packet of kind
/// [`market_model::PacketKind::Rejected`] and its [`Fault`] is kept in the statistics.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}", Location::file(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `open`, `read`.
        action: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A compressed or packed file ends early.
    #[error("{location}: truncated {what}: the file ends before its content does")]
    Truncated {
        /// The end of the file, as a byte offset.
        location: Location,
        /// Kind of container.
        what: &'static str,
    },
    /// A compressed or packed file is damaged.
    #[error("{location}: corrupt {what}")]
    Corrupt {
        /// Byte offset of the compressed data that was being read.
        location: Location,
        /// Kind of container.
        what: &'static str,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// A file without content.
    #[error("{}: the file is empty", Location::file(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No input was named.
    #[error("no input file was given")]
    NoInput,
    /// The content is of no known format.
    #[error("{}: unknown format: expected {expected}, found {found}", Location::file(path))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Formats that were tried.
        expected: &'static str,
        /// First bytes, escaped.
        found: String,
    },
    /// A value that makes the whole input unusable.
    #[error("{fault}")]
    Malformed {
        /// Place, field, expectation and finding.
        fault: Box<Fault>,
    },
    /// Content that this version does not read.
    #[error("{location}: {what}")]
    Unsupported {
        /// Where it was found.
        location: Location,
        /// What it is and what to do.
        what: String,
    },
    /// A delta feed without any snapshot: no book can be built.
    #[error(
        "{}: {symbol}: no depth snapshot in the stream after {diffs} depth updates; \
         a book cannot be built from changes alone",
        Location::file(path)
    )]
    NoSnapshot {
        /// The last file of the stream.
        path: PathBuf,
        /// The symbol.
        symbol: String,
        /// Depth updates of the symbol that were read.
        diffs: u64,
    },
    /// The symbol asked for does not occur.
    #[error("{}: field `s`: expected symbol {symbol}, found {}", Location::file(path), listed(.seen))]
    UnknownSymbol {
        /// The first file of the stream.
        path: PathBuf,
        /// The symbol asked for.
        symbol: String,
        /// Symbols that occur.
        seen: Vec<String>,
    },
    /// Several symbols and none was chosen.
    #[error("{location}: field `s`: expected one symbol, found {first} and {second}; choose one")]
    SeveralSymbols {
        /// Where the second one was found.
        location: Location,
        /// The first symbol.
        first: String,
        /// The second symbol.
        second: String,
    },
    /// A place to go on from that is not one of the input.
    #[error("the place in the input does not fit: {reason}")]
    Place {
        /// What differs.
        reason: String,
    },
    /// A tick or lot size that cannot be used.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    /// An option that does not fit.
    #[error("option `{option}`: expected {expected}, found {found}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

impl Error {
    /// The place inside the input, for errors that have one.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Truncated { location, .. }
            | Self::Corrupt { location, .. }
            | Self::Unsupported { location, .. }
            | Self::SeveralSymbols { location, .. } => Some(location),
            Self::Malformed { fault } => Some(&fault.location),
            _ => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Malformed { fault: Box::new(fault) }
    }
}

fn listed(seen: &[String]) -> String {
    if seen.is_empty() { "none".into() } else { seen.join(", ") }
}

/// Input text for a message: control and non-ASCII bytes escaped, cut after 200 characters.
pub(crate) fn excerpt(text: &[u8]) -> String {
    let mut out = String::new();
    for &byte in text {
        if out.len() >= EXCERPT_CHARS {
            out.push_str("...");
            break;
        }
        match byte {
            b'"' | b'\'' => out.push(char::from(byte)),
            _ => out.extend(byte.escape_ascii().map(char::from)),
        }
    }
    out
}

/// Like [`excerpt`], in backquotes.
pub(crate) fn quoted(text: &[u8]) -> String {
    format!("`{}`", excerpt(text))
}
