//! Jobs: source, engine, emission, sink.
//!
//! A job reads one stream of one symbol and writes one table in one pass and constant memory; a
//! conversion writes the packets in another format instead.
//! Several symbols are several jobs and run in parallel; inside a symbol nothing is parallel.

mod convert;
mod emission;
mod error;
mod inspect;
mod job;
mod rows;
mod scores;
mod summary;
mod table;

pub use convert::{Conversion, Converted, Target, convert};
pub use emission::{Emission, parse_duration_ns, parse_time_ns};
pub use error::Error;
pub use inspect::{Inspection, decimal, inspect};
pub use job::{Destination, Job, Observer, Output, run, run_all};
pub use rows::RowMaker;
pub use summary::{Summary, quality_names};
pub use table::{FIXED_COLUMNS, feature_column, table_spec};
