//! Sources (bytes to packets) and sinks (rows to files).

mod bytes;
mod error;
mod format;
mod source;

pub use error::{Error, Fault, Location, Position};
pub use format::{EventsWriter, Format, read_events_header};
pub use source::{MAX_KEPT_FAULTS, OpenOptions, Source, SourceStats, open};

/// Rows of hftbacktest, for programs that hold them in memory.
pub mod hftbacktest {
    pub use crate::format::hftbacktest::{RowDecoder, RowFault, Stop, open_arrays};
    pub use crate::format::npy::Row;
}

pub mod sink;
pub mod synthetic;
pub mod write;
