//! Sources (bytes to packets) and sinks (rows to files).

mod bytes;
mod error;
mod format;
mod source;

pub use error::{Error, Fault, Location, Position};
pub use format::{EventsWriter, Format, read_events_header};
pub use source::{MAX_KEPT_FAULTS, OpenOptions, Place, Source, SourceStats, open};

/// CCXT lines, for programs that follow growing files.
pub mod ccxt {
    pub use crate::bytes::MAX_LINE_BYTES;
    pub use crate::format::ccxt::{LineReader, Nonces, exchange_and_symbol};
}

/// Rows of hftbacktest, for programs that hold them in memory.
pub mod hftbacktest {
    pub use crate::format::hftbacktest::{RowDecoder, RowFault, Stop, open_arrays};
    pub use crate::format::npy::Row;
}

/// Lines of venues, for programs that are connected to one, record one, or play one.
pub mod venue {
    pub use crate::bytes::MAX_LINE_BYTES;
    pub use crate::format::venue::{RecordedLines, VenueLines, VenueReader};
}

pub mod sink;
pub mod synthetic;
pub mod write;
