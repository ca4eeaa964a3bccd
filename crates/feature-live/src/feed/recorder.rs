//! Raw lines to a file, which is whole up to its last flush whatever ends the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::Error;

/// Bytes that are kept back at most.
const FLUSH_BYTES: usize = 1 << 20;

/// How long a line is kept back at most, while others come.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What happens to a recording that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfExists {
    /// It is an error.
    #[default]
    Refuse,
    /// It is replaced.
    Replace,
}

/// A recording. Every flush ends at the end of a line; in a gzip file it is a member of its own.
#[derive(Debug)]
pub(super) struct Recorder {
    path: PathBuf,
    file: File,
    is_gzip: bool,
    waiting: Vec<u8>,
    flushed: Instant,
}

impl Recorder {
    pub(super) fn create(path: PathBuf, if_exists: IfExists) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        match if_exists {
            IfExists::Refuse => options.write(true).create_new(true),
            IfExists::Replace => options.write(true).create(true).truncate(true),
        };
        let file = options.open(&path).map_err(|source| failed(&path, source))?;
        let is_gzip = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        Ok(Self { path, file, is_gzip, waiting: Vec::new(), flushed: Instant::now() })
    }

    /// Appends a line, which has no end of its own.
    pub(super) fn write(&mut self, line: &[u8]) -> Result<(), Error> {
        self.waiting.extend_from_slice(line);
        self.waiting.push(b'\n');
        if self.waiting.len() >= FLUSH_BYTES || self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands what waits to the system.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.flushed = Instant::now();
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = if self.is_gzip {
            member(&self.waiting).and_then(|member| self.file.write_all(&member))
        } else {
            self.file.write_all(&self.waiting)
        };
        self.waiting.clear();
        written.map_err(|source| failed(&self.path, source))
    }
}

fn member(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(3));
    encoder.write_all(text)?;
    encoder.finish()
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Record { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use market_io::venue::RecordedLines;

    use super::*;

    #[test]
    fn what_was_flushed_is_a_whole_file_though_nothing_was_finished() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.txt", "x.gz"] {
            let path = folder.path().join(name);
            let mut recorder = Recorder::create(path.clone(), IfExists::Refuse).unwrap();
            for line in ["1 {}", "2 {}"] {
                recorder.write(line.as_bytes()).unwrap();
                recorder.flush().unwrap();
            }
            recorder.write(b"3 {}").unwrap();
            let mut lines = RecordedLines::open(std::slice::from_ref(&path)).unwrap();
            let mut seen = Vec::new();
            while let Some(line) = lines.next_line().unwrap() {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
            }
            assert_eq!(seen, ["1 {}", "2 {}"], "{name}");
            let again = Recorder::create(path.clone(), IfExists::Refuse).unwrap_err();
            assert!(again.to_string().contains(name), "{again}");
            assert!(Recorder::create(path, IfExists::Replace).is_ok());
        }
    }
}
