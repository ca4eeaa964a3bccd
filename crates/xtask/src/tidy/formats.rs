//! An input format is one stem in two places.

use super::Violation;
use crate::meta::{FORMAT_RS, formats};
use crate::tree::Tree;

const RULE: &str = "format files";

pub(super) fn every_format_has_its_files(tree: &Tree) -> Vec<Violation> {
    let slugs = match formats(tree) {
        Ok(slugs) => slugs,
        Err(error) => return vec![Violation::new(FORMAT_RS, RULE, error.to_string())],
    };
    let files = slugs.iter().flat_map(|slug| {
        let code = format!("crates/market-io/src/format/{}.rs", slug.replace('-', "_"));
        [(slug, code), (slug, format!("specs/inputs/{slug}.md"))]
    });
    files
        .filter(|(_, path)| tree.get(path).is_none())
        .map(|(slug, path)| Violation::new(&path, RULE, format!("format `{slug}` lacks this file")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_without_its_page_is_found() {
        let list = "impl fmt::Display for Format {\n    Self::A => \"alpha\",\n}\n";
        let code = ("crates/market-io/src/format/alpha.rs", "");
        let found = every_format_has_its_files(&Tree::of(&[(FORMAT_RS, list), code]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "specs/inputs/alpha.md");
    }
}
