//! The parity gate: one input through every path, compared bit for bit.
//!
//! A path is a [`Sut`] (system under test). The runtime is the baseline; the batch job, the naive
//! Rust twin, the Python binding and the independent Python reference must give the same frames.

pub mod compare;
pub mod naive;
pub mod report;
pub mod sut;
pub mod tape;

mod error;
mod external;
mod gate;

pub use compare::{Comparison, Difference};
pub use error::Error;
pub use external::{External, reference_files};
pub use gate::{Case, Gate, PathName, run_gate};
pub use sut::{Batch, Coverage, NaiveTwin, Runtime, Sut};
pub use tape::Tape;
