//! A file that appears at its destination whole or not at all.
//!
//! Bytes go to `.<name>.tmp-<pid>-<n>` in the same directory; [`AtomicFile::seal`] flushes and syncs
//! it, [`SealedFile::publish`] moves it and syncs the directory. A failed sync is final: the kernel
//! may have dropped the dirty pages, so a second sync that succeeds would prove nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::SinkError;
use super::{Existing, Finished};

const BUFFER_BYTES: usize = 256 * 1024;

/// Longest part of the destination's name that the temporary name repeats, in bytes.
const NAME_BYTES: usize = 200;

/// A file under construction; dropping it removes it.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<Probe>,
    target: Target,
}

/// A file that is complete and synced, but not yet at its destination; dropping it removes it.
#[derive(Debug)]
pub struct SealedFile {
    target: Target,
    bytes: u64,
}

/// Where the file is and where it goes. Owns the temporary file: dropping it removes that.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    folder: PathBuf,
    temporary: Option<PathBuf>,
    existing: Existing,
}

/// The file behind the buffer, where tests make operations fail.
#[derive(Debug)]
struct Probe(File);

impl Write for Probe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fault::point("write")?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Probe {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl AtomicFile {
    /// Opens a temporary file for a destination.
    ///
    /// # Errors
    ///
    /// [`SinkError::Exists`], [`SinkError::NotAFile`], [`SinkError::NoParent`], [`SinkError::Io`].
    pub fn create(path: &Path, existing: Existing) -> Result<Self, SinkError> {
        let folder = check_destination(path, existing)?;
        let (file, temporary) = open_temporary(path, &folder)?;
        let target = Target { path: path.into(), folder, temporary: Some(temporary), existing };
        Ok(Self { writer: BufWriter::with_capacity(BUFFER_BYTES, Probe(file)), target })
    }

    /// The destination.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.target.path
    }

    /// Appends bytes; like `write_all`, with the path in the error.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`].
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.writer.write_all(bytes).map_err(|e| self.target.failed("writing", e))
    }

    /// Flushes and syncs the file.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`]; the temporary file is removed.
    pub fn seal(self) -> Result<SealedFile, SinkError> {
        let Self { writer, target } = self;
        let file = writer.into_inner().map_err(|e| target.failed("writing", e.into_error()))?.0;
        fault::point("sync")
            .and_then(|()| file.sync_all())
            .map_err(|e| target.failed("sync", e))?;
        let bytes = file.metadata().map_err(|e| target.failed("sync", e))?.len();
        Ok(SealedFile { target, bytes })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Encoders flush after every row group; the buffer is large enough to ignore that.
        Ok(())
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.writer.seek(to)
    }
}

impl SealedFile {
    /// The destination.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.target.path
    }

    /// Opens the complete file for reading, to check it before it is published.
    ///
    /// # Errors
    ///
    /// What the file system reports.
    pub fn open(&self) -> io::Result<File> {
        let temporary = self.target.temporary.as_deref();
        File::open(temporary.unwrap_or(&self.target.path))
    }

    /// Moves the file to its destination and syncs the directory.
    ///
    /// # Errors
    ///
    /// [`SinkError::Exists`] when the destination appeared in the meantime, [`SinkError::Io`].
    pub fn publish(mut self, rows: u64) -> Result<Finished, SinkError> {
        let bytes = self.bytes;
        self.target.publish()?;
        Ok(Finished { path: self.target.path.clone(), rows, bytes })
    }
}

impl Target {
    fn failed(&self, operation: &'static str, source: io::Error) -> SinkError {
        SinkError::Io { path: self.path.clone(), operation, source }
    }

    fn publish(&mut self) -> Result<(), SinkError> {
        let Some(temporary) = self.temporary.clone() else { return Ok(()) };
        fault::point("rename").map_err(|e| self.failed("rename", e))?;
        match self.existing {
            Existing::Replace => {
                fs::rename(&temporary, &self.path).map_err(|e| self.failed("rename", e))?;
                self.temporary = None;
            }
            Existing::Refuse => self.publish_new(&temporary)?,
        }
        // Without this the name may be lost with the power, although the bytes are safe.
        fault::point("directory sync")
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|e| self.failed("directory sync", e))
    }

    /// A hard link refuses an existing name in one step, where a rename would replace it.
    fn publish_new(&mut self, temporary: &Path) -> Result<(), SinkError> {
        match fs::hard_link(temporary, &self.path) {
            // The temporary name goes when `self` is dropped.
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(SinkError::Exists { path: self.path.clone() })
            }
            // Some file systems have no hard links.
            Err(_) => {
                check_destination(&self.path, Existing::Refuse)?;
                fs::rename(temporary, &self.path).map_err(|e| self.failed("rename", e))?;
                self.temporary = None;
                Ok(())
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // Nothing can be done about a failure here, and the name says that the file is waste.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Checks that the destination may be written; returns its directory.
fn check_destination(path: &Path, existing: Existing) -> Result<PathBuf, SinkError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if path.file_name().is_none() {
        return Err(SinkError::NotAFile { path: path.into(), found: "a directory" });
    }
    if !folder.is_dir() {
        return Err(SinkError::NoParent { path: path.into(), parent: folder });
    }
    // The link itself counts, not what it points to: a rename replaces the link.
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(folder),
        Err(source) => {
            return Err(SinkError::Io { path: path.into(), operation: "looking it up", source });
        }
    };
    if kind.is_dir() {
        return Err(SinkError::NotAFile { path: path.into(), found: "a directory" });
    }
    if !kind.is_file() && !kind.is_symlink() {
        return Err(SinkError::NotAFile { path: path.into(), found: "a device, pipe or socket" });
    }
    if existing == Existing::Refuse {
        return Err(SinkError::Exists { path: path.into() });
    }
    Ok(folder)
}

fn open_temporary(path: &Path, folder: &Path) -> Result<(File, PathBuf), SinkError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let pid = std::process::id();
    let failed = |source| SinkError::Io {
        path: path.into(),
        operation: "creating a temporary file",
        source,
    };
    fault::point("open").map_err(failed)?;
    let mut attempt = 0_u32;
    loop {
        let temporary = folder.join(format!(".{}.tmp-{pid}-{attempt}", &name[..end]));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            // Another writer of this process, or the waste of a killed one with the same id.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 1_000 => attempt += 1,
            Err(e) => return Err(failed(e)),
        }
    }
}

#[cfg(not(test))]
mod fault {
    #[inline]
    pub(super) fn point(_operation: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod fault {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        /// How many points still succeed, and the error of the one after them.
        pub(super) static FAIL: Cell<Option<(u32, io::ErrorKind)>> = const { Cell::new(None) };
    }

    pub(super) fn point(operation: &'static str) -> io::Result<()> {
        match FAIL.get() {
            Some((0, kind)) => {
                FAIL.set(None);
                Err(io::Error::new(kind, operation))
            }
            Some((left, kind)) => {
                FAIL.set(Some((left - 1, kind)));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_all(path: &Path, existing: Existing) -> Result<Finished, SinkError> {
        let mut file = AtomicFile::create(path, existing)?;
        let block = vec![b'x'; BUFFER_BYTES];
        for _ in 0..3 {
            file.put(&block)?;
        }
        file.put(b"end")?;
        file.seal()?.publish(1)
    }

    #[test]
    fn every_operation_that_fails_once_leaves_the_destination_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        for existing in [Existing::Refuse, Existing::Replace] {
            let before = existing == Existing::Replace;
            let mut failures = Vec::new();
            for point in 0..50 {
                let _ = fs::remove_file(&path);
                if before {
                    fs::write(&path, "old").unwrap();
                }
                fault::FAIL.set(Some((point, io::ErrorKind::StorageFull)));
                let result = write_all(&path, existing);
                let untouched = fault::FAIL.take().is_some();
                if untouched {
                    result.unwrap();
                    break;
                }
                let error = result.unwrap_err();
                failures.push(error.to_string());
                let SinkError::Io { operation, source, .. } = error else { panic!() };
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
                // After the rename the file is there, but its name may not survive a power cut.
                if operation != "directory sync" {
                    let left = fs::read(&path).ok();
                    assert_eq!(left, before.then(|| b"old".to_vec()), "{operation}");
                }
                let files = fs::read_dir(folder.path()).unwrap().count();
                assert_eq!(files, usize::from(path.exists()), "temporary file left: {operation}");
            }
            assert_eq!(failures.len(), 8, "open, 4 writes, sync, rename, directory sync");
        }
    }

    #[test]
    fn interrupted_writes_are_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        fault::FAIL.set(Some((1, io::ErrorKind::Interrupted)));
        let done = write_all(&path, Existing::Refuse).unwrap();
        assert_eq!(done.bytes, 3 * BUFFER_BYTES as u64 + 3);
    }

    #[test]
    fn a_destination_that_appears_in_the_meantime_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        let file = AtomicFile::create(&path, Existing::Refuse).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(matches!(file.seal().unwrap().publish(0), Err(SinkError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
    }
}
