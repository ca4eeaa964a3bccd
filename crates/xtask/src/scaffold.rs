//! Lays out the files of something new, with tests that fail until they are written.

pub(crate) mod feature;
pub(crate) mod format;

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Refuses names that cannot be a module, a file stem and an id at once.
fn check_slug(slug: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = slug.starts_with(|c: char| c.is_ascii_lowercase());
    ensure!(starts_well && slug.chars().all(legal), "`{slug}` is not a-z, 0-9, _, from a letter");
    Ok(())
}

/// `ofi_multi` as `OfiMulti`.
fn camel(slug: &str) -> String {
    let upper = |part: &str| part[..1].to_uppercase() + &part[1..];
    slug.split('_').filter(|part| !part.is_empty()).map(upper).collect()
}

/// Texts of the files before and after; written only when everything fits.
#[derive(Default)]
struct Changes {
    new: Vec<(String, String)>,
    edited: Vec<(String, String)>,
}

impl Changes {
    fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.new.push((path.into(), text.into()));
    }

    /// Inserts `line` before the first place where `anchor` stands.
    fn insert_before(&mut self, root: &Path, path: &str, anchor: &str, line: &str) -> Result<()> {
        self.edit(root, path, |text| {
            let at = text.find(anchor)?;
            Some(format!("{}{line}{}", &text[..at], &text[at..]))
        })
        .with_context(|| format!("{path} has no `{}`", anchor.escape_debug()))
    }

    /// Inserts a line among the lines with a prefix, which are sorted.
    fn insert_sorted(&mut self, root: &Path, path: &str, prefix: &str, line: &str) -> Result<()> {
        self.edit(root, path, |text| {
            let mut lines: Vec<&str> = text.lines().collect();
            let mine = |at: &usize| lines[*at].starts_with(prefix);
            let last = (0..lines.len()).rfind(mine)?;
            let at = (0..lines.len()).filter(mine).find(|at| lines[*at] > line);
            lines.insert(at.unwrap_or(last + 1), line);
            Some(lines.join("\n") + "\n")
        })
        .with_context(|| format!("{path} has no line with `{prefix}`"))
    }

    fn edit(
        &mut self,
        root: &Path,
        path: &str,
        change: impl FnOnce(&str) -> Option<String>,
    ) -> Result<()> {
        let known = self.edited.iter().position(|(edited, _)| edited == path);
        let index = match known {
            Some(index) => index,
            None => {
                let text = std::fs::read_to_string(root.join(path)).context(path.to_owned())?;
                self.edited.push((path.to_owned(), text));
                self.edited.len() - 1
            }
        };
        self.edited[index].1 = change(&self.edited[index].1).context("anchor not found")?;
        Ok(())
    }

    fn write(self, root: &Path) -> Result<()> {
        for (path, _) in &self.new {
            ensure!(!root.join(path).exists(), "{path} exists");
        }
        for (path, text) in self.new.iter().chain(&self.edited) {
            let full = root.join(path);
            if let Some(parent) = full.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&full, text).with_context(|| path.clone())?;
            println!("wrote {path}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A copy of some files of the repository in a directory of its own.
    pub(super) struct Copy(PathBuf);

    impl Copy {
        pub(super) fn of(name: &str, files: &[String]) -> Self {
            let dir = format!("xtask-{name}-{}", std::process::id());
            let copy = Self(std::env::temp_dir().join(dir));
            let root = crate::tree::root().unwrap();
            for file in files {
                let to = copy.0.join(file);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(root.join(file), to).unwrap();
            }
            copy
        }

        pub(super) fn root(&self) -> &Path {
            &self.0
        }

        pub(super) fn read(&self, path: &str) -> String {
            std::fs::read_to_string(self.0.join(path)).unwrap()
        }
    }

    impl Drop for Copy {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Files that list the families.
    pub(super) fn lists(kernel: &str, reference: &str) -> [String; 4] {
        let init = format!("{reference}/__init__.py");
        let bundle = "parity/src/external.rs".to_owned();
        [format!("{kernel}/features.rs"), format!("{kernel}/registry.rs"), init, bundle]
    }

    #[test]
    fn slugs_are_checked_and_camel_cased() {
        assert!(check_slug("ofi_multi2").is_ok());
        assert!(check_slug("2x").is_err() && check_slug("Ofi").is_err() && check_slug("").is_err());
        assert_eq!(camel("ofi_multi"), "OfiMulti");
    }
}
