//! What can go wrong when rows become a file.

use std::path::PathBuf;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;
use thiserror::Error;

/// A file could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The ending of the path names no format.
    #[error("{path}: unknown ending; expected .parquet, .arrow, .feather, .ipc or .csv", path = .path.display())]
    UnknownEnding {
        /// The destination.
        path: PathBuf,
    },
    /// The destination exists and may not be replaced.
    #[error("{path}: exists already; choose another name or allow overwriting", path = .path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// The destination is a directory, a device or a pipe.
    #[error("{path}: is {found}, expected a regular file or a free name", path = .path.display())]
    NotAFile {
        /// The destination.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The directory of the destination does not exist or is no directory.
    #[error("{path}: `{parent}` is not an existing directory", path = .path.display(), parent = .parent.display())]
    NoParent {
        /// The destination.
        path: PathBuf,
        /// The directory that is missing.
        parent: PathBuf,
    },
    /// The file system refused an operation.
    #[error("{path}: {operation} failed", path = .path.display())]
    Io {
        /// The file, or its directory.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The columns of a batch are not those of the sink.
    #[error("{path}: columns differ: expected {expected}, found {found}", path = .path.display())]
    Columns {
        /// The destination; empty for a sink in memory.
        path: PathBuf,
        /// Columns of the sink.
        expected: String,
        /// Columns of the batch.
        found: String,
    },
    /// The Arrow IPC encoder refused.
    #[error("{path}: Arrow IPC encoder", path = .path.display())]
    Arrow {
        /// The destination.
        path: PathBuf,
        /// What the encoder said.
        #[source]
        source: ArrowError,
    },
    /// The Parquet encoder refused.
    #[error("{path}: Parquet encoder", path = .path.display())]
    Parquet {
        /// The destination.
        path: PathBuf,
        /// What the encoder said.
        #[source]
        source: ParquetError,
    },
    /// The finished file does not hold what was written; it was removed.
    #[error("{path}: read back {found} rows, {expected} were written", path = .path.display())]
    ReadBack {
        /// The destination.
        path: PathBuf,
        /// Rows written.
        expected: u64,
        /// Rows that the footer of the file names.
        found: u64,
    },
}

impl SinkError {
    /// The path that the error is about.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::UnknownEnding { path }
            | Self::Exists { path }
            | Self::NotAFile { path, .. }
            | Self::NoParent { path, .. }
            | Self::Io { path, .. }
            | Self::Columns { path, .. }
            | Self::Arrow { path, .. }
            | Self::Parquet { path, .. }
            | Self::ReadBack { path, .. } => path,
        }
    }
}
