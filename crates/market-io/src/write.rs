//! Writers of input formats: what the sources read, made from synthetic markets or from packets.

mod binance;
mod hftbacktest;
mod npz;
mod text;

pub use binance::{BinanceWriter, write_binance};
pub use hftbacktest::{
    ArrayError, ArrayOptions, ArrayStats, ArrayWriter, ExchangeOrder, LatencyRow, LocalClock,
    write_book, write_hftbacktest, write_latencies,
};
pub use npz::NpzCompression;
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
    /// The packets do not hold what the file needs.
    #[error(transparent)]
    Array(#[from] ArrayError),
}
