//! What was decided, when and why: lines that are only ever appended, each sealed with the one before.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CanaryError;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When, UTC ns.
    pub at_ns: i64,
    /// What was done: `evaluate`, `set`, `rollback`.
    pub action: String,
    /// Everything that belongs to it.
    pub details: Value,
    /// BLAKE3 of the line before, 64 hex digits; of nothing for the first one.
    pub previous: String,
}

/// An audit log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log in a file, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Appends an entry and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// [`CanaryError::Audit`] when the lines before do not fit each other; [`CanaryError::File`].
    pub fn append(&self, at_ns: i64, action: &str, details: Value) -> Result<(), CanaryError> {
        let failed = |source| CanaryError::File { path: self.path.clone(), source };
        let mut file =
            OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let (_, previous) = self.read()?;
        let entry = Entry { at_ns, action: action.into(), details, previous };
        let mut line = serde_json::to_vec(&entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// All entries, after checking that every line is sealed with the one before.
    ///
    /// # Errors
    ///
    /// [`CanaryError::Audit`], [`CanaryError::File`].
    pub fn entries(&self) -> Result<Vec<Entry>, CanaryError> {
        if self.path.exists() { Ok(self.read()?.0) } else { Ok(Vec::new()) }
    }

    /// Entries, and the seal for the next one.
    fn read(&self) -> Result<(Vec<Entry>, String), CanaryError> {
        let failed = |source| CanaryError::File { path: self.path.clone(), source };
        let file = std::fs::File::open(&self.path).map_err(failed)?;
        let (mut entries, mut previous) = (Vec::new(), seal(b""));
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(failed)?;
            let changed = |message: String| CanaryError::Audit {
                path: self.path.clone(),
                line: number + 1,
                message,
            };
            let entry: Entry =
                serde_json::from_str(&line).map_err(|error| changed(error.to_string()))?;
            if entry.previous != previous {
                let message = format!("sealed with {}, expected {previous}", entry.previous);
                return Err(changed(message));
            }
            previous = seal(line.as_bytes());
            entries.push(entry);
        }
        Ok((entries, previous))
    }
}

fn seal(line: &[u8]) -> String {
    blake3::hash(line).to_hex().to_string()
}
