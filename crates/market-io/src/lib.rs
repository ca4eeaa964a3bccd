//! Sources (bytes to packets) and sinks (rows to files).

mod bytes;
mod error;
mod format;
mod source;

pub use error::{Error, Fault, Location, Position};
pub use format::{EventsWriter, Format, read_events_header};
pub use source::{MAX_KEPT_FAULTS, OpenOptions, Source, SourceStats, open};

pub mod sink;
pub mod synthetic;
pub mod write;
