//! The packet log of this project (`specs/inputs/events.md`): one header line, one line per packet.

mod line;
mod reader;
mod writer;

pub use reader::read_events_header;
pub(super) use reader::{looks_like, open};
pub use writer::EventsWriter;

/// Version of the format, the value of the header's first key.
const VERSION: u64 = 1;

/// First key of the header, by which the format is recognised.
const MAGIC: &str = "featureplane_packets";
