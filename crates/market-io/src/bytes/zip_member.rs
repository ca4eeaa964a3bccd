//! One member of a zip archive, read as it is stored, with its checksum verified at the end.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::Counted;
use crate::error::{Error, Fault, Location, quoted};

/// First bytes of an archive with a member.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

type Raw = BufReader<Counted<io::Take<File>>>;

enum Body {
    Stored(Raw),
    Deflated(DeflateDecoder<Raw>),
}

/// The uncompressed bytes of a member.
pub(crate) struct ZipMember {
    body: Body,
    /// Offset of the member in the file.
    start: u64,
    /// Uncompressed bytes that the archive promises, and that were read.
    pub(crate) size: u64,
    read: u64,
    crc: Crc,
    want: u32,
}

impl ZipMember {
    /// Opens the member `data.npy` or `data`, as arrays are stored, or the only one.
    pub(crate) fn open(path: &Path, buffer_bytes: usize) -> Result<Self, Error> {
        let io_error = |source| Error::Io { path: path.into(), action: "read", source };
        let corrupt = |error: zip::result::ZipError| Error::Corrupt {
            location: Location::file(path),
            what: "zip archive",
            source: io::Error::other(error),
        };
        let file = File::open(path).map_err(io_error)?;
        let length = file.metadata().map_err(io_error)?.len();
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(corrupt)?;
        let names: Vec<String> = archive.file_names().map(String::from).collect();
        let chosen = names
            .iter()
            .find(|name| matches!(name.as_str(), "data.npy" | "data"))
            .or_else(|| names.first().filter(|_| names.len() == 1));
        let Some(name) = chosen else {
            let fault = Fault {
                location: Location::byte(path, 0),
                symbol: String::new(),
                field: "member".into(),
                expected: "`data.npy`, or one member".into(),
                found: quoted(names.join(", ").as_bytes()),
            };
            return Err(fault.into());
        };
        let member = archive.by_name(name).map_err(corrupt)?;
        let start = member.data_start();
        let (size, compressed) = (member.size(), member.compressed_size());
        let available = length.saturating_sub(start);
        if compressed > available {
            let location = Location::byte(path, start + available);
            return Err(Error::Truncated { location, what: "zip member" });
        }
        let mut own = File::open(path).map_err(io_error)?;
        own.seek(SeekFrom::Start(start)).map_err(io_error)?;
        let raw = BufReader::with_capacity(buffer_bytes, Counted::new(own.take(compressed)));
        let body = match member.compression() {
            zip::CompressionMethod::Stored => Body::Stored(raw),
            zip::CompressionMethod::Deflated => Body::Deflated(DeflateDecoder::new(raw)),
            other => {
                let location = Location::byte(path, start);
                let what = format!("zip compression {other} is not read; use stored or deflate");
                return Err(Error::Unsupported { location, what });
            }
        };
        Ok(Self { body, start, size, read: 0, crc: Crc::new(), want: member.crc32() })
    }

    /// Offset in the file, as stored.
    pub(crate) fn position(&self) -> u64 {
        let raw = match &self.body {
            Body::Stored(raw) => raw,
            Body::Deflated(decoder) => decoder.get_ref(),
        };
        self.start + raw.get_ref().taken() - raw.buffer().len() as u64
    }
}

impl Read for ZipMember {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.body {
            Body::Stored(raw) => raw.read(buf)?,
            Body::Deflated(decoder) => decoder.read(buf)?,
        };
        if count == 0 && !buf.is_empty() && self.read < self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.crc.update(&buf[..count]);
        self.read += count as u64;
        let (want, found) = (self.want, self.crc.sum());
        if self.read >= self.size && found != want {
            let what = format!("CRC-32: expected {want:08x}, found {found:08x}");
            return Err(io::Error::other(what));
        }
        Ok(count)
    }
}
