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
    /// The state of a job cannot be restored.
    #[error("{field} is {found}, expected {expected}")]
    State {
        /// What differs.
        field: &'static str,
        /// What this job has.
        expected: String,
        /// What the snapshot has.
        found: String,
    },
    /// A watch cannot begin or go on.
    #[error("{path}: {message}")]
    Watch {
        /// Segment, state, configuration or folder.
        path: std::path::PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A warm start found no snapshot that can be used.
    #[error(
        "no usable snapshot of {symbol} before {before_ns} (UTC ns) in {folder}{}; without a warm start the job begins at the start of the input",
        listed(refused)
    )]
    NoSnapshot {
        /// Symbol.
        symbol: String,
        /// Start of the range.
        before_ns: i64,
        /// Where snapshots were looked for.
        folder: std::path::PathBuf,
        /// Each that was there, and why it was refused.
        refused: Vec<String>,
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

impl From<market_model::StateError> for Error {
    fn from(source: market_model::StateError) -> Self {
        Self::Engine(source.into())
    }
}

fn listed(refused: &[String]) -> String {
    let reasons = refused.iter().map(|reason| format!("; {reason}"));
    reasons.collect()
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
