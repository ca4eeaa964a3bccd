//! Bytes of possibly compressed files, and lines of a sequence of such files.

mod zip_member;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use memchr::memchr;

pub(crate) use self::zip_member::ZipMember;
use crate::error::{Error, FieldFault, Location, Position};

/// Longest line that is read, in bytes; a longer one is refused and skipped.
pub const MAX_LINE_BYTES: usize = 4 << 20;

const FILE_BUFFER_BYTES: usize = 256 << 10;
const CHUNK_BYTES: usize = 64 << 10;
const LINE_BUFFER_BYTES: usize = 256 << 10;
/// Largest zstd window, as a power of two: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Counts the bytes taken from a file.
pub(crate) struct Counted<R> {
    inner: R,
    taken: u64,
}

impl<R> Counted<R> {
    pub(crate) const fn new(inner: R) -> Self {
        Self { inner, taken: 0 }
    }

    pub(crate) const fn taken(&self) -> u64 {
        self.taken
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken += n as u64;
        Ok(n)
    }
}

type Raw = BufReader<Counted<File>>;

enum Codec {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
    Zstd(zstd::Decoder<'static, Raw>),
    Zip(Box<ZipMember>),
}

/// How a file is stored, where one can begin in the middle of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Plain,
    Zstd,
}

fn unzstd(raw: Raw) -> io::Result<Codec> {
    let mut decoder = zstd::Decoder::with_buffer(raw)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(Codec::Zstd(decoder))
}

/// The uncompressed bytes of one file; gzip, zstd and zip are recognised by their magic numbers.
pub(crate) struct Decoder {
    path: PathBuf,
    codec: Codec,
}

impl Decoder {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let wrap = |action| move |source| Error::Io { path: path.into(), action, source };
        let file = File::open(path).map_err(wrap("open"))?;
        let mut raw = BufReader::with_capacity(FILE_BUFFER_BYTES, Counted::new(file));
        let magic = raw.fill_buf().map_err(wrap("read"))?;
        let codec = if magic.starts_with(b"\x1f\x8b") {
            Codec::Gzip(Box::new(MultiGzDecoder::new(raw)))
        } else if magic.starts_with(b"\x28\xb5\x2f\xfd") {
            unzstd(raw).map_err(wrap("read"))?
        } else if magic.starts_with(zip_member::MAGIC) {
            Codec::Zip(Box::new(ZipMember::open(path, FILE_BUFFER_BYTES)?))
        } else {
            Codec::Plain(raw)
        };
        Ok(Self { path: path.into(), codec })
    }

    /// Begins at a byte of a file whose container is known; of a zstd file, at the start of a frame.
    pub(crate) fn open_at(path: &Path, container: Container, start: u64) -> Result<Self, Error> {
        let wrap = |action| move |source| Error::Io { path: path.into(), action, source };
        let mut file = File::open(path).map_err(wrap("open"))?;
        file.seek(SeekFrom::Start(start)).map_err(wrap("read"))?;
        let raw = BufReader::with_capacity(FILE_BUFFER_BYTES, Counted::new(file));
        let codec = match container {
            Container::Plain => Codec::Plain(raw),
            Container::Zstd => unzstd(raw).map_err(wrap("read"))?,
        };
        Ok(Self { path: path.into(), codec })
    }

    /// How the file is stored; `None` when it can only be read front to back.
    pub(crate) const fn container(&self) -> Option<Container> {
        match self.codec {
            Codec::Plain(_) => Some(Container::Plain),
            Codec::Zstd(_) => Some(Container::Zstd),
            Codec::Gzip(_) | Codec::Zip(_) => None,
        }
    }

    /// Like [`Read::read`], with the place in the file when it fails.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        loop {
            let (result, what) = match &mut self.codec {
                Codec::Plain(raw) => (raw.read(buf), None),
                Codec::Gzip(decoder) => (decoder.read(buf), Some("gzip stream")),
                Codec::Zstd(decoder) => (decoder.read(buf), Some("zstd stream")),
                Codec::Zip(member) => (member.read(buf), Some("zip member")),
            };
            match (result, what) {
                (Ok(n), _) => return Ok(n),
                (Err(e), _) if e.kind() == io::ErrorKind::Interrupted => {}
                (Err(source), None) => {
                    return Err(Error::Io { path: self.path.clone(), action: "read", source });
                }
                (Err(source), Some(what)) => return Err(self.decode_error(what, source)),
            }
        }
    }

    /// Replaces the bytes of a buffer by the next `len`, fewer at the end of the file. The buffer
    /// grows with what is there, so that a wrong length allocates no more than the file holds.
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>, len: usize) -> Result<(), Error> {
        buffer.clear();
        while buffer.len() < len {
            let start = buffer.len();
            buffer.resize(start + (len - start).min(CHUNK_BYTES), 0);
            let count = self.read(&mut buffer[start..])?;
            buffer.truncate(start + count);
            if count == 0 {
                break;
            }
        }
        Ok(())
    }

    fn decode_error(&self, what: &'static str, source: io::Error) -> Error {
        let location = Location::byte(&self.path, self.position());
        if source.kind() == io::ErrorKind::UnexpectedEof {
            Error::Truncated { location, what }
        } else {
            Error::Corrupt { location, what, source }
        }
    }

    /// Bytes of the file, as stored, that have been decoded since the decoder began.
    pub(crate) fn position(&self) -> u64 {
        let raw = match &self.codec {
            Codec::Plain(raw) => raw,
            Codec::Gzip(decoder) => decoder.get_ref(),
            Codec::Zstd(decoder) => decoder.get_ref(),
            Codec::Zip(member) => return member.position(),
        };
        raw.get_ref().taken() - raw.buffer().len() as u64
    }
}

#[inline]
fn word_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&bytes[at..at + N]);
    word
}

/// A little-endian number at an offset, as are the next two.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(word_at(bytes, at))
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(word_at(bytes, at))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(word_at(bytes, at))
}

/// Total size of some files.
pub(crate) fn total_bytes(paths: &[PathBuf]) -> Result<u64, Error> {
    let mut total = 0;
    for path in paths {
        let size = std::fs::metadata(path)
            .map_err(|source| Error::Io { path: path.clone(), action: "open", source })?
            .len();
        if size == 0 {
            return Err(Error::Empty { path: path.clone() });
        }
        total += size;
    }
    Ok(total)
}

/// One line of a [`Lines`]: a range of its buffer, or a line that was too long to keep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without the line end.
    Text(Range<usize>),
    /// Longer than [`MAX_LINE_BYTES`]; skipped.
    TooLong,
}

/// The lines of several files, one after the other, in bounded memory.
pub(crate) struct Lines {
    paths: Vec<PathBuf>,
    opened: usize,
    decoder: Option<Decoder>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the current file handed out as lines, with their line ends.
    file_offset: u64,
    line: u64,
    line_offset: u64,
    /// Whether the last line had a line end.
    is_whole: bool,
    closed_bytes: u64,
    total_bytes: u64,
}

impl Lines {
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        Ok(Self {
            paths: paths.to_vec(),
            opened: 0,
            decoder: None,
            buffer: vec![0; LINE_BUFFER_BYTES],
            start: 0,
            end: 0,
            file_offset: 0,
            line: 0,
            line_offset: 0,
            is_whole: false,
            closed_bytes: 0,
            total_bytes: total_bytes(paths)?,
        })
    }

    /// The next line; `None` after the last one of the last file.
    pub(crate) fn next_line(&mut self) -> Result<Option<Line>, Error> {
        loop {
            if self.decoder.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let mut searched = 0;
            loop {
                if let Some(at) = memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                    let len = searched + at;
                    return Ok(Some(self.take_line(len, len + 1)));
                }
                searched = self.end - self.start;
                if searched > MAX_LINE_BYTES {
                    self.skip_line()?;
                    return Ok(Some(Line::TooLong));
                }
                if self.fill()? == 0 {
                    break;
                }
            }
            // The file is at its end; what is left is a line without an end, or nothing.
            let unfinished = (searched > 0).then(|| self.take_line(searched, searched));
            self.close();
            if unfinished.is_some() {
                return Ok(unfinished);
            }
            if self.file_offset == 0 {
                return Err(Error::Empty { path: self.path().into() });
            }
        }
    }

    /// Like [`Lines::next_line`], for formats in which half a line may look like a whole one: a last
    /// line without a line end, and a line that is too long, end the reading.
    pub(crate) fn next_whole_line(&mut self) -> Result<Option<Range<usize>>, Error> {
        match self.next_line()? {
            None => Ok(None),
            Some(Line::Text(range)) if self.is_whole => Ok(Some(range)),
            Some(Line::Text(_)) => {
                Err(Error::Truncated { location: self.location(), what: "last line" })
            }
            Some(Line::TooLong) => {
                let (expected, found) = ("at most 4194304 bytes", "more".into());
                let fault = FieldFault { field: "line", expected, found };
                Err(fault.at(self.location(), "").into())
            }
        }
    }

    /// The bytes of a line from the last call of [`Lines::next_line`].
    pub(crate) fn text(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Where the last line begins.
    pub(crate) fn location(&self) -> Location {
        let position = Position::Line { line: self.line, offset: self.line_offset };
        Location { path: self.path().into(), position }
    }

    /// The file of the last line.
    pub(crate) fn path(&self) -> &Path {
        &self.paths[self.opened.saturating_sub(1)]
    }

    /// Number of the file of the last line, from 1.
    pub(crate) const fn number(&self) -> usize {
        self.opened
    }

    pub(crate) fn progress(&self) -> (u64, u64) {
        let current = self.decoder.as_ref().map_or(0, Decoder::position);
        (self.closed_bytes + current, self.total_bytes)
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        let Some(path) = self.paths.get(self.opened) else { return Ok(false) };
        self.opened += 1;
        self.decoder = Some(Decoder::open(path)?);
        (self.start, self.end, self.file_offset, self.line) = (0, 0, 0, 0);
        Ok(true)
    }

    fn close(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            self.closed_bytes += decoder.position();
        }
    }

    fn take_line(&mut self, len: usize, with_end: usize) -> Line {
        let mut range = self.start..self.start + len;
        if self.buffer[range.clone()].ends_with(b"\r") {
            range.end -= 1;
        }
        self.start += with_end;
        self.is_whole = with_end > len;
        self.advance(with_end);
        if range.len() > MAX_LINE_BYTES { Line::TooLong } else { Line::Text(range) }
    }

    const fn advance(&mut self, bytes: usize) {
        self.line += 1;
        self.line_offset = self.file_offset;
        self.file_offset += bytes as u64;
    }

    /// Drops bytes up to and with the next line end.
    fn skip_line(&mut self) -> Result<(), Error> {
        self.advance(0);
        loop {
            let rest = &self.buffer[self.start..self.end];
            let (dropped, found) =
                memchr(b'\n', rest).map_or((rest.len(), false), |at| (at + 1, true));
            self.start += dropped;
            self.file_offset += dropped as u64;
            if found || self.fill()? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads more bytes behind the unread ones; grows the buffer up to the longest line.
    fn fill(&mut self) -> Result<usize, Error> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let grown = (self.buffer.len() * 2).min(MAX_LINE_BYTES + LINE_BUFFER_BYTES);
            self.buffer.resize(grown, 0);
        }
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        let n = decoder.read(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n)
    }
}
