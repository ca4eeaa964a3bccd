//! Whole lines of growing segments, in the order of their names, with a position that can be kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use market_io::ccxt::MAX_LINE_BYTES;
use market_io::{Location, Position};
use market_model::{StateReader, StateWriter};
use memchr::memchr;

use crate::error::Error;

/// Ending of segments.
const ENDING: &str = "ndjson";

const BUFFER_BYTES: usize = 256 << 10;

/// First bytes of a segment by which it is known again.
const HEAD_BYTES: usize = 4_096;

/// A line: a range of the buffer, `None` when it was too long to keep.
pub(super) struct Line(Option<Range<usize>>);

/// The segments of a folder.
pub(super) struct Tail {
    folder: PathBuf,
    open: Option<Open>,
    /// Segments that were read to their end and are still there, with their sizes.
    finished: BTreeMap<String, u64>,
    /// The last one of them, which may be gone.
    last: Option<String>,
    listing: Vec<Entry>,
}

/// A segment in the folder.
struct Entry {
    key: (bool, String),
    name: String,
    bytes: u64,
    inode: (u64, u64),
}

/// The segment that is being read.
struct Open {
    name: String,
    path: PathBuf,
    file: File,
    inode: (u64, u64),
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes after `start` without a line end.
    searched: usize,
    /// Bytes of a line that is too long, already thrown away.
    skipped: u64,
    /// Bytes handed out as lines, with their ends.
    offset: u64,
    line: u64,
    line_offset: u64,
    head: Vec<u8>,
    /// Another segment has begun: what this one holds now is all of it.
    is_over: bool,
}

/// Digits compare as numbers; a name without digits is that of the segment being written, and last.
fn order(name: &str) -> (bool, String) {
    let (mut key, mut digits) = (String::new(), String::new());
    for c in name.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let number = digits.trim_start_matches('0');
            key.push_str(&format!("{:03}{number}", number.len()));
            digits.clear();
        }
        key.push(c);
    }
    (!name.contains(|c: char| c.is_ascii_digit()), key)
}

impl Tail {
    pub(super) fn new(folder: &Path) -> Self {
        let (finished, listing) = (BTreeMap::new(), Vec::new());
        Self { folder: folder.into(), open: None, finished, last: None, listing }
    }

    /// The next whole line; `None` when nothing more is there. When the input is over, what follows the
    /// last line end is a line, too.
    pub(super) fn next_line(&mut self, input_is_over: bool) -> Result<Option<Line>, Error> {
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            if let Some(line) = open.take_line() {
                return Ok(Some(line));
            }
            if open.fill()? > 0 {
                continue;
            }
            if open.is_over {
                if let Some(rest) = open.take_rest() {
                    return Ok(Some(rest));
                }
                self.finish()?;
                continue;
            }
            if self.has_successor()? {
                // What was written before the successor began may have come after the last read.
                self.open.iter_mut().for_each(|open| open.is_over = true);
            } else {
                let rest = self.open.as_mut().filter(|_| input_is_over);
                return Ok(rest.and_then(Open::take_rest));
            }
        }
    }

    /// The bytes of the last line, without its end.
    pub(super) fn text(&self, line: &Line) -> Option<&[u8]> {
        let range = line.0.clone()?;
        self.open.as_ref().map(|open| &open.buffer[range])
    }

    /// Where the last line was.
    pub(super) fn place(&self) -> Location {
        match &self.open {
            None => Location::file(&self.folder),
            Some(open) => {
                let position = Position::Line { line: open.line, offset: open.line_offset };
                Location { path: open.path.clone(), position }
            }
        }
    }

    /// Refuses a segment that shrank or changed before the position.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.open.as_ref().map_or(Ok(()), Open::check)
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        let finished = |tail: &Self, entry: &Entry| tail.finished.contains_key(&entry.name);
        if !self.listing.iter().any(|entry| !finished(self, entry)) {
            self.list()?;
        }
        let Some(next) = self.listing.iter().find(|entry| !finished(self, entry)) else {
            return Ok(false);
        };
        if let Some(last) = self.last.as_ref().filter(|last| next.key < order(last)) {
            let message = format!("it comes late: `{last}`, which follows it, was read");
            return Err(Error::Watch { path: self.folder.join(&next.name), message });
        }
        self.open = Some(Open::new(&self.folder, &next.name, 0)?);
        Ok(true)
    }

    /// Whether a segment is there that is neither finished nor the one being read.
    fn has_successor(&mut self) -> Result<bool, Error> {
        let inode = self.open.as_ref().map(|open| open.inode);
        let is_other = |tail: &Self| {
            let mut entries = tail.listing.iter();
            entries.any(|e| Some(e.inode) != inode && !tail.finished.contains_key(&e.name))
        };
        if is_other(self) {
            return Ok(true);
        }
        self.list()?;
        Ok(is_other(self))
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.list()?;
        // It may have another name by now.
        let entry = self.listing.iter().find(|entry| entry.inode == open.inode);
        let name = entry.map_or(open.name, |entry| {
            self.finished.insert(entry.name.clone(), open.offset);
            entry.name.clone()
        });
        self.last = Some(name);
        Ok(())
    }

    /// Looks at the folder; finished segments that grew are refused, those that are gone are forgotten.
    fn list(&mut self) -> Result<(), Error> {
        let failed = |source| Error::File { path: self.folder.clone(), source };
        let mut listing = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let is_segment = path.extension().is_some_and(|ending| ending == ENDING);
            let Some(name) = entry.file_name().to_str().filter(|_| is_segment).map(str::to_owned)
            else {
                continue;
            };
            match entry.metadata() {
                Ok(facts) if facts.is_file() => {
                    let (bytes, inode) = (facts.len(), (facts.dev(), facts.ino()));
                    listing.push(Entry { key: order(&name), name, bytes, inode });
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {} // Renamed meanwhile.
                Err(source) => return Err(Error::File { path, source }),
            }
        }
        listing.sort_by(|a, b| (&a.key, &a.name).cmp(&(&b.key, &b.name)));
        self.finished.retain(|name, _| listing.iter().any(|entry| entry.name == *name));
        for entry in &listing {
            let read = self.finished.get(&entry.name).copied();
            if let Some(read) = read.filter(|read| *read != entry.bytes) {
                let bytes = entry.bytes;
                let message = format!(
                    "it has {bytes} bytes, {read} were read before the next segment began; nothing may change after that"
                );
                return Err(Error::Watch { path: self.folder.join(&entry.name), message });
            }
        }
        self.listing = listing;
        Ok(())
    }

    pub(super) fn save(&self, out: &mut StateWriter) {
        out.blob(self.last.as_deref().unwrap_or_default().as_bytes());
        out.u64(self.finished.len() as u64);
        for (name, bytes) in &self.finished {
            out.blob(name.as_bytes());
            out.u64(*bytes);
        }
        out.u64(self.open.is_some().into());
        if let Some(open) = &self.open {
            out.blob(open.name.as_bytes());
            out.u64(open.offset);
            out.u64(open.line);
            out.blob(open.known_head());
        }
    }

    /// Finds the segments again; the one that was being read by its first bytes, under any name.
    pub(super) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), Error> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.last = Some(text(from.blob("last segment")?)).filter(|name| !name.is_empty());
        for _ in 0..from.count("finished segments", 16)? {
            let name = text(from.blob("name of a segment")?);
            self.finished.insert(name, from.u64()?);
        }
        if !from.bool("open segment")? {
            return Ok(());
        }
        let name = text(from.blob("name of the open segment")?);
        let (offset, line) = (from.u64()?, from.u64()?);
        let head = from.blob("head of the open segment")?;
        self.list()?;
        let same = self.listing.iter().filter(|entry| entry.name == name);
        let others = self.listing.iter().filter(|entry| entry.name != name && offset > 0);
        for entry in same.chain(others).filter(|entry| entry.bytes >= offset) {
            let mut open = Open::new(&self.folder, &entry.name, offset)?;
            if open.begins_with(head)? {
                (open.line, open.head) = (line, head.to_vec());
                self.open = Some(open);
                return Ok(());
            }
        }
        let message = format!(
            "{offset} bytes of it were read, and no segment here begins with them: it was cut, changed or removed, and lines may be lost"
        );
        Err(Error::Watch { path: self.folder.join(name), message })
    }
}

impl Open {
    fn new(folder: &Path, name: &str, offset: u64) -> Result<Self, Error> {
        let path = folder.join(name);
        let failed = |source| Error::File { path: path.clone(), source };
        let mut file = File::open(&path).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        Ok(Self {
            name: name.into(),
            inode: (facts.dev(), facts.ino()),
            path,
            file,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            searched: 0,
            skipped: 0,
            offset,
            line: 0,
            line_offset: offset,
            head: Vec::new(),
            is_over: false,
        })
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }

    /// Reads more; 0 at the end of what is there.
    fn fill(&mut self) -> Result<usize, Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        let count = loop {
            match self.file.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|e| self.failed(e))?,
            }
        };
        let read = &self.buffer[self.end..self.end + count];
        let missing = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&read[..missing.min(count)]);
        self.end += count;
        Ok(count)
    }

    fn take_line(&mut self) -> Option<Line> {
        let unread = &self.buffer[self.start..self.end];
        if let Some(at) = memchr(b'\n', &unread[self.searched..]) {
            let len = self.searched + at;
            return Some(self.consume(len, 1));
        }
        self.searched = unread.len();
        if self.searched > MAX_LINE_BYTES {
            self.skipped += self.searched as u64;
            (self.start, self.end, self.searched) = (0, 0, 0);
        }
        None
    }

    /// What follows the last line end, if anything does.
    fn take_rest(&mut self) -> Option<Line> {
        let len = self.end - self.start;
        (len > 0 || self.skipped > 0).then(|| self.consume(len, 0))
    }

    fn consume(&mut self, len: usize, line_end: usize) -> Line {
        let range = self.start..self.start + len;
        self.line += 1;
        self.line_offset = self.offset;
        self.offset += self.skipped + (len + line_end) as u64;
        self.start += len + line_end;
        self.searched = 0;
        Line((std::mem::take(&mut self.skipped) == 0).then_some(range))
    }

    /// The first bytes among those that were handed out.
    fn known_head(&self) -> &[u8] {
        let handed_out = usize::try_from(self.offset).unwrap_or(usize::MAX);
        &self.head[..self.head.len().min(handed_out)]
    }

    fn begins_with(&self, head: &[u8]) -> Result<bool, Error> {
        let mut found = vec![0; head.len()];
        match self.file.read_exact_at(&mut found, 0) {
            Ok(()) => Ok(found == head),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let bytes = self.file.metadata().map_err(|e| self.failed(e))?.len();
        let read = self.offset + self.skipped + (self.end - self.start) as u64;
        let message = if bytes < read {
            format!("it has {bytes} bytes, {read} were read: it was cut, and lines may be lost")
        } else if !self.begins_with(self.known_head())? {
            format!(
                "its first bytes are others than those read: it was cut and written anew, and lines after byte {read} may be lost"
            )
        } else {
            return Ok(());
        };
        Err(Error::Watch { path: self.path.clone(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers_and_the_active_one_is_last() {
        let sorted = [
            "segment_9.ndjson",
            "segment_010.ndjson",
            "segment_20240808_9.ndjson",
            "segment_20240808_120000.ndjson",
            "segment_20240809_1.ndjson",
            "segment.ndjson",
        ];
        for pair in sorted.windows(2) {
            assert!(order(pair[0]) < order(pair[1]), "{pair:?}");
        }
    }
}
