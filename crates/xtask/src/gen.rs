//! Derived files: rendered into memory, then written or compared.

mod columns;
mod ids;
mod metrics;
mod reference;
mod registry;
mod schema;

use std::path::Path;

use anyhow::{Context, Result};

use crate::diff;
use crate::tree::Tree;

/// The command that a failed check asks for.
const FIX: &str = "cargo xtask gen";

/// One derived file.
struct Derived {
    path: &'static str,
    text: String,
}

fn render(root: &Path) -> Result<Vec<Derived>> {
    let tree = Tree::load(root)?;
    let formats = crate::meta::formats(&tree)?;
    let metrics = crate::metrics::read(&tree)?;
    let sets = crate::meta::sets()?;
    Ok(vec![
        Derived { path: "specs/registry_v1.json", text: registry::render()? },
        Derived { path: "specs/schemas/feature-set.schema.json", text: schema::render()? },
        Derived { path: "docs/reference/features.md", text: reference::features(root) },
        Derived { path: "docs/reference/sets.md", text: reference::sets(&sets) },
        Derived { path: "docs/reference/metrics.md", text: metrics::render(&metrics) },
        Derived { path: "python/src/featureplane/_ids.py", text: ids::render(&sets, &formats) },
        Derived { path: "python/src/featureplane/_columns.pyi", text: columns::render() },
    ])
}

/// Writes every file that differs.
pub(crate) fn write(root: &Path) -> Result<()> {
    for file in render(root)? {
        let path = root.join(file.path);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == file.text) {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        std::fs::write(&path, &file.text).with_context(|| file.path)?;
        println!("wrote {}", file.path);
    }
    Ok(())
}

/// Compares; `false` after showing what differs.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let mut same = true;
    for file in render(root)? {
        let old = std::fs::read_to_string(root.join(file.path)).unwrap_or_default();
        if let Some(diff) = diff::unified(file.path, &old, &file.text) {
            same = false;
            print!("{diff}");
        }
    }
    if same {
        println!("gen: every derived file is up to date");
    } else {
        println!("\nderived files differ from their sources; run: {FIX}");
    }
    Ok(same)
}

/// Pretty JSON with a newline at the end.
fn json_text(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_files_are_up_to_date() {
        let root = crate::tree::root().unwrap();
        assert!(check(&root).unwrap(), "run: {FIX}");
    }

    #[test]
    fn a_planted_edit_of_a_derived_file_shows_as_a_diff() {
        let file = &render(&crate::tree::root().unwrap()).unwrap()[0];
        let edited = file.text.replacen("\"rev\": 1", "\"rev\": 2", 1);
        let diff = diff::unified(file.path, &edited, &file.text).expect("an edit is a difference");
        assert!(diff.contains("\n+") && diff.contains("\"rev\": 2"), "{diff}");
    }
}
