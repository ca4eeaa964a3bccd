//! Jobs: source, engine, emission, sink.
//!
//! A job reads one stream of one symbol and writes its rows, and its bars if they are asked for, in
//! one pass and constant memory; a conversion writes the packets in another format instead.
//! Several symbols are several jobs and run in parallel; inside a symbol nothing is parallel.

mod bar_tables;
mod bars;
mod checkpoint;
mod convert;
mod emission;
mod error;
mod inspect;
mod job;
mod pass;
mod place;
mod rows;
mod scores;
mod summary;
mod table;
mod warm_start;
mod watch;
mod writer;

pub use bar_tables::{BarOutput, BarSummary};
pub use bars::{
    BarMaker, BarOptions, EmptyBars, Framed, bar_set, bar_spec, duration_label, parse_durations_ns,
};
pub use checkpoint::CheckpointOptions;
pub use convert::{Conversion, Converted, Target, convert};
pub use emission::{Emission, parse_duration_ns, parse_time_ns};
pub use error::Error;
pub use inspect::{Inspection, inspect};
pub use job::{Destination, Job, Observer, Output, run, run_all};
pub use rows::RowMaker;
pub use summary::{Summary, quality_names};
pub use table::{FIXED_COLUMNS, feature_column, table_spec};
pub use warm_start::WarmStart;
pub use watch::{
    InstrumentConfig, Until, WatchConfig, WatchSummary, Watcher, find_watch_config,
    load_watch_config,
};
