//! Relative links of the pages lead to files.

use super::Violation;
use crate::tree::Tree;

pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".md")) {
        for (number, line) in text.lines().enumerate() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = target.split('#').next().unwrap_or("");
                if target.is_empty() || target.contains("://") || exists(tree, path, target) {
                    continue;
                }
                found.push(Violation::at(
                    path,
                    number,
                    "links",
                    format!("`{target}` is not there"),
                ));
            }
        }
    }
    found
}

/// Whether a link from a page leads to a file or to a folder with files.
fn exists(tree: &Tree, page: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            name => parts.push(name),
        }
    }
    let full = parts.join("/");
    let folder = full.clone() + "/";
    tree.get(&full).is_some()
        || tree.others.contains(&full)
        || tree.files.keys().any(|path| path.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_is_found() {
        let page = "[a](../x.md) [b](sub/) [c](https://example.org/a) [d](#top)\n[e](gone.md#x)\n";
        let tree = Tree::of(&[("docs/page.md", page), ("x.md", ""), ("docs/sub/y.md", "")]);
        let found = links_lead_somewhere(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "docs/page.md:2");
    }
}
