//! Sinks: batches of rows to a file that appears whole or not at all.
//!
//! A sink knows columns and rows, never features. Every file is written beside its destination,
//! synced, checked and renamed; until [`TableSink::finish`] returns, the destination does not exist
//! (or still holds the old file).
//!
//! | ending | format | notes |
//! |---|---|---|
//! | `.parquet` | Parquet | chunk statistics, byte-stream-split floats, delta-packed integers |
//! | `.arrow`, `.feather`, `.ipc` | Arrow IPC file | uncompressed, can be mapped |
//! | `.csv` | CSV | timestamps as integer ns, empty for null; metadata is not kept |

mod atomic;
mod background;
mod batch;
mod csv;
mod error;
mod ipc;
mod memory;
mod name;
mod parquet;
mod table;

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

pub use atomic::{AtomicFile, SealedFile};
pub use background::in_background;
pub use batch::{DEFAULT_BATCH_ROWS, RowBatchBuilder};
pub use error::SinkError;
pub use memory::{MemoryBatches, MemorySink};
pub use name::file_stem;
pub use table::{ColumnKind, ColumnSpec, TableSpec};

/// Codec of Parquet pages; the other formats are not compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Compression {
    /// Zstandard, level 1.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// None.
    None,
}

/// What to do when the destination exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Existing {
    /// Refuse with [`SinkError::Exists`].
    #[default]
    Refuse,
    /// Replace it when the new file is complete; a symbolic link is replaced, not followed.
    Replace,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SinkOptions {
    /// Codec of Parquet pages.
    pub compression: Compression,
    /// What to do when the destination exists.
    pub existing: Existing,
}

/// A file that was written completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Where it is; empty for a [`MemorySink`].
    pub path: PathBuf,
    /// Rows written.
    pub rows: u64,
    /// Size of the file in bytes; 0 for a [`MemorySink`].
    pub bytes: u64,
}

/// Somewhere that batches of rows go.
pub trait TableSink: Send {
    /// Appends the rows of a batch, whose columns must be those of the sink's [`TableSpec`].
    ///
    /// # Errors
    ///
    /// [`SinkError::Columns`] when the columns differ, else what the format or the file system
    /// reports. After an error the sink is of no further use; dropping it removes the partial file.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Completes the file and moves it to its destination.
    ///
    /// # Errors
    ///
    /// What the format or the file system reports; then the destination is as it was before.
    fn finish(self: Box<Self>) -> Result<Finished, SinkError>;
}

/// Creates a sink whose format follows from the ending of the path.
///
/// # Errors
///
/// [`SinkError::UnknownEnding`], [`SinkError::Exists`], [`SinkError::NotAFile`],
/// [`SinkError::NoParent`] or [`SinkError::Io`], all before anything is written.
///
/// ```
/// use market_io::sink::{self, ColumnKind, ColumnSpec, RowBatchBuilder, SinkOptions, TableSpec};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("rows.csv");
/// let spec = TableSpec::new([
///     ColumnSpec::new("ts_event", ColumnKind::TimestampNs),
///     ColumnSpec::new("mid", ColumnKind::F64).nullable(),
/// ]);
/// let mut rows = RowBatchBuilder::new(&spec, 4096, &[]);
/// rows.push_row(&[17, 0.5_f64.to_bits()], &[0b11]);
/// rows.push_row(&[18, 0], &[0b01]);
/// let mut sink = sink::create(&path, &spec, &SinkOptions::default())?;
/// sink.write(&rows.finish())?;
/// assert_eq!(sink.finish()?.rows, 2);
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "ts_event,mid\n17,0.5\n18,\n");
/// # Ok::<(), market_io::sink::SinkError>(())
/// ```
pub fn create(
    path: &Path,
    spec: &TableSpec,
    options: &SinkOptions,
) -> Result<Box<dyn TableSink>, SinkError> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    Ok(match ending.as_deref() {
        Some("parquet") => Box::new(parquet::ParquetSink::create(path, spec, options)?),
        Some("arrow" | "feather" | "ipc") => Box::new(ipc::IpcSink::create(path, spec, options)?),
        Some("csv") => Box::new(csv::CsvSink::create(path, spec, options)?),
        _ => return Err(SinkError::UnknownEnding { path: path.into() }),
    })
}
