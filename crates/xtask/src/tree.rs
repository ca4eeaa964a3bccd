//! The repository as paths and texts, so that a rule can be tested on a planted defect.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Files above this size are generated or binary; no rule reads them.
const MAX_TEXT_BYTES: u64 = 2 << 20;

/// Text files of the repository by path from its root, with `/`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
    /// Paths of what is no text, pictures for example.
    pub(crate) others: BTreeSet<String>,
}

impl Tree {
    /// Reads every file that git tracks or would track.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files")?;
        ensure!(output.status.success(), "git ls-files: {}", output.stderr.escape_ascii());
        let (mut files, mut others) = (BTreeMap::new(), BTreeSet::new());
        for path in output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            let path = std::str::from_utf8(path).context("a path that is not UTF-8")?;
            let full = root.join(path);
            let is_text = full.metadata().is_ok_and(|m| m.is_file() && m.len() <= MAX_TEXT_BYTES);
            if let (true, Ok(text)) = (is_text, std::fs::read_to_string(&full)) {
                files.insert(path.to_owned(), text);
            } else if full.is_file() {
                others.insert(path.to_owned());
            }
        }
        Ok(Self { files, others })
    }

    /// A tree of given files.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).into(), (*text).into()));
        Self { files: files.collect(), others: BTreeSet::new() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Rust files, sorted.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// The root of the workspace that cargo runs the task for.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.ancestors().nth(2).context("xtask lives in crates/xtask")?;
    ensure!(root.join("specs").is_dir(), "{} has no specs/", root.display());
    Ok(root.to_path_buf())
}
