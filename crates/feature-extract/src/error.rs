//! Why a job could not be done.

use thiserror::Error;

/// Why a job could not be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The job is described wrongly.
    #[error("{field}: {message}")]
    Config {
        /// Option or key.
        field: &'static str,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The feature set is wrong.
    #[error(transparent)]
    Engine(#[from] feature_runtime::Error),
    /// The model cannot be used, or not with this feature set.
    #[error(transparent)]
    Model(#[from] feature_infer::Error),
    /// The input cannot be used.
    #[error(transparent)]
    Input(#[from] market_io::Error),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] market_io::sink::SinkError),
    /// The input lacks what an array of hftbacktest needs.
    #[error("{0}")]
    Array(#[from] market_io::write::ArrayError),
    /// A file could not be read to say in the output what made it.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The input gave no row.
    #[error(
        "{symbol}: no rows {range}; the input has {packets} packets from {first} to {last} (event time, UTC ns) and {frames} frames"
    )]
    NoRows {
        /// Symbol.
        symbol: String,
        /// The range that was asked for.
        range: String,
        /// Packets read.
        packets: u64,
        /// Frames made.
        frames: u64,
        /// First event time.
        first: i64,
        /// Last event time.
        last: i64,
    },
    /// The observer asked to stop; nothing was written.
    #[error("interrupted; no output was written")]
    Interrupted,
}

impl From<market_io::write::WriteError> for Error {
    fn from(error: market_io::write::WriteError) -> Self {
        use market_io::write::WriteError;
        match error {
            WriteError::Source(error) => error.into(),
            WriteError::Sink(error) => error.into(),
            WriteError::Array(error) => error.into(),
            other => Self::Config { field: "output", message: other.to_string() },
        }
    }
}
