//! An npz of one structured array: a file that appears whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::sink::{AtomicFile, Existing, Finished, SinkError};

const HEADER_BYTES: usize = 256;
/// Sizes from which a zip member needs the wider fields.
const LARGE_BYTES: u64 = 1 << 31;

/// How the member of an npz is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NpzCompression {
    /// As it is: the file can be mapped.
    #[default]
    Stored,
    /// Deflate, like `numpy.savez_compressed`.
    Deflate,
}

/// The member `data` of an npz, row by row.
pub(crate) struct NpzFile {
    zip: ZipWriter<AtomicFile>,
    path: PathBuf,
    row_bytes: u64,
    expected: u64,
    written: u64,
}

impl NpzFile {
    /// Starts an npz of exactly `rows` rows of 8-byte columns.
    pub(crate) fn create(
        path: &Path,
        columns: &[(&str, &str)],
        rows: u64,
        compression: NpzCompression,
        existing: Existing,
    ) -> Result<Self, SinkError> {
        let file = AtomicFile::create(path, existing)?;
        let method = match compression {
            NpzCompression::Stored => CompressionMethod::Stored,
            NpzCompression::Deflate => CompressionMethod::Deflated,
        };
        let row_bytes = columns.len() as u64 * 8;
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .large_file(rows.saturating_mul(row_bytes) > LARGE_BYTES)
            .last_modified_time(DateTime::default());
        let zip = ZipWriter::new(file);
        let mut npz = Self { zip, path: path.into(), row_bytes, expected: rows, written: 0 };
        let started = npz.zip.start_file("data.npy", options).map_err(io::Error::other);
        let header = header(columns, rows);
        started.and_then(|()| npz.zip.write_all(&header)).map_err(|e| npz.failed(e))?;
        Ok(npz)
    }

    /// Appends rows.
    pub(crate) fn put(&mut self, rows: &[impl Pod]) -> Result<(), SinkError> {
        let bytes: &[u8] = bytemuck::cast_slice(rows);
        debug_assert_eq!(bytes.len() as u64, rows.len() as u64 * self.row_bytes);
        self.written += rows.len() as u64;
        self.zip.write_all(bytes).map_err(|e| self.failed(e))
    }

    /// Completes the file; [`SinkError::ReadBack`] when the number of rows is not the announced one.
    pub(crate) fn finish(self) -> Result<Finished, SinkError> {
        let Self { zip, path, row_bytes, expected, written: rows } = self;
        if rows != expected {
            return Err(SinkError::ReadBack { path, expected, found: rows });
        }
        let failed = |operation, source| SinkError::Io { path: path.clone(), operation, source };
        let file = zip.finish().map_err(|e| failed("writing", io::Error::other(e)))?;
        let sealed = file.seal()?;
        let check = || -> io::Result<u64> {
            let mut archive = ZipArchive::new(io::BufReader::new(sealed.open()?))?;
            Ok(archive.by_name("data.npy")?.size())
        };
        let size = check().map_err(|e| failed("reading back", e))?;
        let found = size.saturating_sub(HEADER_BYTES as u64) / row_bytes;
        if found != rows {
            return Err(SinkError::ReadBack { path, expected: rows, found });
        }
        sealed.publish(rows)
    }

    fn failed(&self, source: io::Error) -> SinkError {
        SinkError::Io { path: self.path.clone(), operation: "writing", source }
    }
}

/// npy 1.0 header; a multiple of 64 bytes, so that the rows are aligned in a mapped file.
fn header(columns: &[(&str, &str)], rows: u64) -> [u8; HEADER_BYTES] {
    let columns: Vec<_> =
        columns.iter().map(|(name, kind)| format!("('{name}', '{kind}')")).collect();
    let text = format!(
        "{{'descr': [{}], 'fortran_order': False, 'shape': ({rows},), }}",
        columns.join(", ")
    );
    let mut header = [b' '; HEADER_BYTES];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&(HEADER_BYTES as u16 - 10).to_le_bytes());
    header[10..10 + text.len()].copy_from_slice(text.as_bytes());
    header[HEADER_BYTES - 1] = b'\n';
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_of_rows_than_announced_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let columns = [("a", "<i8"), ("b", "<f8")];
        let new = || NpzFile::create(&path, &columns, 2, NpzCompression::Stored, Existing::Refuse);
        let mut npz = new().unwrap();
        npz.put(&[[1_i64, 2]]).unwrap();
        assert!(matches!(npz.finish(), Err(SinkError::ReadBack { expected: 2, found: 1, .. })));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let mut npz = new().unwrap();
        npz.put(&[[1_i64, 2], [3, 4]]).unwrap();
        let bytes = npz.finish().unwrap().bytes;
        assert!(bytes > 256 + 32, "{bytes}");
    }
}
