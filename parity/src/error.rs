//! Why the gate could not be run; a difference between paths is a result, not an error.

use std::path::PathBuf;

use thiserror::Error;

/// Why the gate could not be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be used.
    #[error(transparent)]
    Input(#[from] market_io::Error),
    /// The packet log for a path in another process cannot be written.
    #[error(transparent)]
    Output(#[from] market_io::sink::SinkError),
    /// The batch job failed.
    #[error(transparent)]
    Job(#[from] feature_extract::Error),
    /// The feature set is wrong.
    #[error(transparent)]
    Engine(#[from] feature_runtime::Error),
    /// A file of the gate cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A path in another process failed.
    #[error("path `{path}`: `{command}` failed: {message}")]
    Process {
        /// Name of the path.
        path: &'static str,
        /// The command.
        command: String,
        /// Exit status and the end of what it printed.
        message: String,
    },
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
