//! Rows by local time, kept in a file until all of them are known.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bytemuck::Zeroable;

use crate::format::npy::Row;
use crate::sink::{AtomicFile, Existing, SealedFile, SinkError};

const CHUNK_ROWS: usize = 4_096;

/// What two passes over the rows must know of all of them.
#[derive(Debug)]
struct Extent {
    rows: u64,
    min_latency_ns: i64,
    newest_ns: i64,
    /// How far a row lies behind the latest one before it by event time, at most.
    horizon_ns: i64,
}

/// Rows on their way into the file.
pub(super) struct Spool {
    path: PathBuf,
    file: AtomicFile,
    extent: Extent,
}

impl Spool {
    /// A file beside the destination; it goes when it is dropped.
    pub(super) fn create(path: &Path) -> Result<Self, SinkError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".rows");
        let file = AtomicFile::create(&path.with_file_name(name), Existing::Replace)?;
        let extent =
            Extent { rows: 0, min_latency_ns: i64::MAX, newest_ns: i64::MIN, horizon_ns: 0 };
        Ok(Self { path: path.into(), file, extent })
    }

    /// The destination.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn put(&mut self, rows: &[Row]) -> Result<(), SinkError> {
        let extent = &mut self.extent;
        for row in rows {
            extent.min_latency_ns = extent.min_latency_ns.min(row.local_ts_ns - row.exch_ts_ns);
            extent.newest_ns = extent.newest_ns.max(row.exch_ts_ns);
            extent.horizon_ns = extent.horizon_ns.max(extent.newest_ns - row.exch_ts_ns);
        }
        extent.rows += rows.len() as u64;
        self.file.put(bytemuck::cast_slice(rows))
    }

    pub(super) fn seal(self) -> Result<Spooled, SinkError> {
        Ok(Spooled { path: self.path, file: self.file.seal()?, extent: self.extent })
    }
}

/// All rows, to be read as often as needed.
pub(super) struct Spooled {
    path: PathBuf,
    file: SealedFile,
    extent: Extent,
}

impl Spooled {
    pub(super) const fn len(&self) -> u64 {
        self.extent.rows
    }

    pub(super) const fn min_latency_ns(&self) -> i64 {
        self.extent.min_latency_ns
    }

    pub(super) const fn horizon_ns(&self) -> i64 {
        self.extent.horizon_ns
    }

    /// Rows whose event time is still ahead of the local time, and the largest lead.
    pub(super) fn ahead(&self, offset_ns: i64) -> Result<Option<(u64, i64)>, SinkError> {
        let ahead_ns = self.extent.min_latency_ns.saturating_add(offset_ns).saturating_neg();
        if ahead_ns <= 0 {
            return Ok(None);
        }
        let mut count = 0;
        for row in self.rows(offset_ns)? {
            let row = row?;
            count += u64::from(row.local_ts_ns < row.exch_ts_ns);
        }
        Ok(Some((count, ahead_ns)))
    }

    /// The rows in order, with an offset added to their local times.
    pub(super) fn rows(&self, offset_ns: i64) -> Result<SpooledRows<'_>, SinkError> {
        let file = self.file.open().map_err(|source| self.failed(source))?;
        let reader = BufReader::with_capacity(CHUNK_ROWS * size_of::<Row>(), file);
        Ok(SpooledRows { spooled: self, reader, left: self.extent.rows, offset_ns })
    }

    fn failed(&self, source: io::Error) -> SinkError {
        SinkError::Io { path: self.path.clone(), operation: "reading rows back", source }
    }
}

/// One pass over the rows.
pub(super) struct SpooledRows<'a> {
    spooled: &'a Spooled,
    reader: BufReader<std::fs::File>,
    left: u64,
    offset_ns: i64,
}

impl Iterator for SpooledRows<'_> {
    type Item = Result<Row, SinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut row = Row::zeroed();
        let read = self.reader.read_exact(bytemuck::bytes_of_mut(&mut row));
        row.local_ts_ns = row.local_ts_ns.saturating_add(self.offset_ns);
        Some(read.map(|()| row).map_err(|source| self.spooled.failed(source)))
    }
}
