//! A family is one stem in five places, and its revisions agree in two of them.

use std::collections::BTreeMap;

use feature_kernel::FAMILIES;

use super::Violation;
use crate::tree::Tree;

const REFERENCE: &str = "parity/reference/featureplane_reference/families";

pub(super) fn every_family_has_its_files(tree: &Tree) -> Vec<Violation> {
    FAMILIES.iter().flat_map(|family| missing_files(tree, family.slug)).collect()
}

fn missing_files(tree: &Tree, slug: &str) -> Vec<Violation> {
    let files = [
        Some(format!("crates/feature-kernel/src/features/{slug}.rs")),
        Some(format!("specs/features/{slug}.md")),
        Some(format!("parity/cases/{slug}.toml")),
        module(tree, slug),
    ];
    let mut found = Vec::new();
    for file in files {
        match file {
            Some(path) if tree.get(&path).is_none() => {
                let message = format!("family `{slug}` lacks this file");
                found.push(Violation::new(&path, "family files", message));
            }
            Some(_) => {}
            None => {
                let message = format!("family `{slug}` is not in FAMILIES");
                let path = format!("{REFERENCE}/__init__.py");
                found.push(Violation::new(&path, "family files", message));
            }
        }
    }
    found
}

/// Path of the reference of a family: `"time": time_of_day,` gives `time_of_day.py`.
fn module(tree: &Tree, slug: &str) -> Option<String> {
    let list = tree.get(&format!("{REFERENCE}/__init__.py"))?;
    let key = format!("\"{slug}\":");
    let entry = list.lines().find_map(|line| line.trim().strip_prefix(&key))?;
    Some(format!("{REFERENCE}/{}.py", entry.trim().trim_end_matches(',')))
}

pub(super) fn revisions_agree_with_the_reference(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let Some(path) = module(tree, family.slug) else { continue };
        let Some(text) = tree.get(&path) else { continue };
        let ours = family.columns.iter().map(|column| (column.id.to_owned(), column.rev));
        found.extend(compare_revisions(&path, &ours.collect(), &revisions(text)));
    }
    found
}

fn compare_revisions(
    path: &str,
    registry: &BTreeMap<String, u32>,
    reference: &BTreeMap<String, u32>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for id in registry.keys().chain(reference.keys().filter(|id| !registry.contains_key(*id))) {
        let (ours, theirs) = (registry.get(id), reference.get(id));
        if ours != theirs {
            let show = |rev: Option<&u32>| rev.map_or("absent".into(), |rev| format!("rev {rev}"));
            let message = format!("`{id}`: registry {}, reference {}", show(ours), show(theirs));
            found.push(Violation::new(path, "revisions", message));
        }
    }
    found
}

/// The `REV` dictionary of a reference module.
fn revisions(text: &str) -> BTreeMap<String, u32> {
    let body = text.split_once("REV = {").and_then(|(_, rest)| rest.split_once('}'));
    let entries = body.map_or("", |(body, _)| body).split(',');
    entries
        .filter_map(|entry| {
            let (id, rev) = entry.split_once(':')?;
            Some((id.trim().trim_matches('"').to_owned(), rev.trim().parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_its_page_is_found() {
        let init = format!("{REFERENCE}/__init__.py");
        let tree = Tree::of(&[
            ("crates/feature-kernel/src/features/time.rs", ""),
            (&init, "FAMILIES = {\n    \"time\": time_of_day,\n}\n"),
            (&format!("{REFERENCE}/time_of_day.py"), ""),
            ("parity/cases/time.toml", ""),
        ]);
        let found = missing_files(&tree, "time");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "specs/features/time.md");
        assert_eq!(missing_files(&tree, "vpin").len(), 4);
    }

    #[test]
    fn a_revision_bumped_on_one_side_is_found() {
        let reference = revisions("REV = {\"mid\": 1, \"spread\": 2}\n");
        let registry = BTreeMap::from([("mid".to_owned(), 1), ("spread".to_owned(), 1)]);
        let found = compare_revisions("x.py", &registry, &reference);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].message, "`spread`: registry rev 1, reference rev 2");
        let more = BTreeMap::from([("mid".to_owned(), 1)]);
        assert_eq!(compare_revisions("x.py", &more, &reference).len(), 1);
    }
}
