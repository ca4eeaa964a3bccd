//! Writers of input formats: what the sources read, made from synthetic markets or from packets.

mod binance;
mod hftbacktest;
mod text;

pub use binance::{BinanceWriter, write_binance};
pub use hftbacktest::{HftbacktestWriter, NpzCompression, row_count, write_hftbacktest};
pub(crate) use text::{TextFile, push_integer};

use thiserror::Error;

use crate::sink::SinkError;

/// An input file could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// What is to be written cannot be had.
    #[error(transparent)]
    Source(#[from] crate::error::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
}
