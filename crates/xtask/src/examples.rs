//! Examples of the pages are examples that run somewhere.

use crate::tree::{Tree, root};

/// Blocks of one language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_rust_example_of_the_readme_is_a_doc_test() {
    let tree = Tree::load(&root().unwrap()).unwrap();
    let code = tree.get("crates/feature-runtime/src/symbol.rs").unwrap();
    let docs: Vec<&str> = code
        .lines()
        .filter_map(|line| line.strip_prefix("///"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    let examples = blocks(tree.get("README.md").unwrap(), "rust");
    assert_eq!(examples.len(), 1);
    let lines: Vec<&str> = examples[0].lines().filter(|line| !line.is_empty()).collect();
    assert!(docs.windows(lines.len()).any(|window| window == lines), "{}", examples[0]);
}

#[test]
fn feature_sets_of_the_pages_load() {
    let tree = Tree::load(&root().unwrap()).unwrap();
    let json = blocks(tree.get("docs/howto/feature-set.md").unwrap(), "json");
    assert!(!json.is_empty());
    for set in json {
        feature_runtime::parse_set(set, "docs/howto/feature-set.md").unwrap();
    }
}

#[test]
fn the_decision_about_core_v1_justifies_each_column_in_order() {
    let tree = Tree::load(&root().unwrap()).unwrap();
    let page = tree.get("docs/decisions/0009-core-v1-over-all-families.md").unwrap();
    let set = feature_runtime::built_in_set("core_v1").unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let justified: Vec<_> = rows.map(|(name, _)| name).collect();
    let columns: Vec<_> = set.features().iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(justified, columns);
    assert!(page.contains(&format!("{} columns", columns.len())), "the page says how many");
}
