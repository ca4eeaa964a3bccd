//! The seek index beside an archived segment (`.q.zst.idx`): where each zstd frame stands.

use std::path::{Path, PathBuf};

use crate::bytes::{u16_at, u32_at, u64_at};
use crate::error::{Error, Fault, FieldFault, Location};

const MAGIC: [u8; 8] = *b"QZSTIDX1";
const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 24;

/// One zstd frame of an archive, as the index tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    index: PathBuf,
    /// Offset of the entry in the index.
    entry: u64,
    /// Where its content begins in the segment.
    pub(super) offset: u64,
    /// Where it begins in the archive.
    pub(super) stored: u64,
}

impl Frame {
    /// The index is wrong about this frame.
    pub(super) fn lies(&self, found: String) -> Error {
        let expected = "the frame in which the record begins";
        let fault = FieldFault { field: "compressed_offset", expected, found };
        fault.at(Location::byte(&self.index, self.entry), "").into()
    }
}

/// The frame of an archive that holds a byte of the segment; the whole index is checked first.
pub(super) fn find(archive: &Path, offset: u64) -> Result<Frame, Error> {
    let mut name = archive.as_os_str().to_owned();
    name.push(".idx");
    let index = PathBuf::from(name);
    let io = |path: &Path, action| {
        let path = path.to_owned();
        move |source| Error::Io { path, action, source }
    };
    let archive_bytes = std::fs::metadata(archive).map_err(io(archive, "open"))?.len();
    let bytes = std::fs::read(&index).map_err(io(&index, "read the seek index"))?;
    let entries = entries(&bytes).map_err(|(at, fault)| placed(&index, at, fault))?;
    let block = u64::from(u32_at(&bytes, 12));
    let mut frame = None;
    let (mut content_end, mut stored_end, mut at) = (0_u64, 0_u64, HEADER_BYTES);
    for entry in entries {
        let wrong = |field, expected, found: u64| {
            let fault = FieldFault { field, expected, found: found.to_string() };
            Err(placed(&index, at, fault).into())
        };
        let [start, stored] = [0, 8].map(|at| u64_at(entry, at));
        let [stored_bytes, content_bytes] = [16, 20].map(|at| u64::from(u32_at(entry, at)));
        if start != content_end {
            return wrong("uncompressed_offset", "the end of the frame before", start);
        }
        if stored != stored_end {
            return wrong("compressed_offset", "the end of the frame before", stored);
        }
        if content_bytes == 0 || content_bytes > block {
            return wrong("uncompressed_size", "1 up to the block size", content_bytes);
        }
        (content_end, stored_end) = (start + content_bytes, stored + stored_bytes);
        if stored_bytes == 0 || stored_end > archive_bytes {
            return wrong("compressed_size", "a frame within the archive", stored_bytes);
        }
        if (start..content_end).contains(&offset) {
            frame = Some(Frame { index: index.clone(), entry: at as u64, offset: start, stored });
        }
        at += ENTRY_BYTES;
    }
    let found = format!(
        "frames up to byte {content_end} of the segment, {stored_end} of {archive_bytes} of the archive"
    );
    frame.filter(|_| stored_end == archive_bytes).ok_or_else(|| {
        let expected = "frames up to the end of the archive, and one with the record";
        placed(&index, at, FieldFault { field: "frame_count", expected, found }).into()
    })
}

fn placed(index: &Path, at: usize, fault: FieldFault) -> Fault {
    fault.at(Location::byte(index, at as u64), "")
}

/// The entries of an index whose header and length are right; else where it is wrong.
fn entries(bytes: &[u8]) -> Result<std::slice::ChunksExact<'_, u8>, (usize, FieldFault)> {
    let wrong =
        |at, field, expected, found: String| Err((at, FieldFault { field, expected, found }));
    let Some((header, entries)) = bytes.split_at_checked(HEADER_BYTES) else {
        return wrong(bytes.len(), "header", "24 bytes", bytes.len().to_string());
    };
    if header[..8] != MAGIC {
        return wrong(0, "magic", "QZSTIDX1", header[..8].escape_ascii().to_string());
    }
    if u16_at(header, 8) != 1 {
        return wrong(8, "version", "1", u16_at(header, 8).to_string());
    }
    if usize::from(u16_at(header, 10)) != HEADER_BYTES {
        return wrong(10, "header_len", "24", u16_at(header, 10).to_string());
    }
    let count = u64_at(header, 16);
    if count.checked_mul(ENTRY_BYTES as u64) != Some(entries.len() as u64) {
        let found = format!("{count} frames in {} bytes", entries.len());
        return wrong(16, "frame_count", "24 bytes for each frame", found);
    }
    Ok(entries.chunks_exact(ENTRY_BYTES))
}
