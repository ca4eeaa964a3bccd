//! Every file with `unsafe` is known by name.

use super::Violation;
use crate::source::{code, has_word};
use crate::tree::Tree;

/// Files that may contain `unsafe`, each with the reason.
const INVENTORY: &[(&str, &str)] = &[
    (
        "crates/feature-py/src/hftbacktest.rs",
        "functions that compiled strategies call by address, over arrays that the backtest shares",
    ),
    ("crates/feature-runtime/src/latest/region.rs", "words of a file that processes share"),
];

pub(super) fn inventory_is_complete(tree: &Tree) -> Vec<Violation> {
    compare(tree, INVENTORY)
}

fn compare(tree: &Tree, inventory: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        let listed = inventory.iter().any(|(known, _)| *known == path);
        let line = code(text).lines().position(|line| has_word(line, "unsafe"));
        match (line, listed) {
            (Some(line), false) => {
                let message = "`unsafe` in a file that tidy/unsafe_code.rs does not list";
                found.push(Violation::at(path, line, "unsafe", message));
            }
            (None, true) => {
                let message = "listed in tidy/unsafe_code.rs, but has no `unsafe`";
                found.push(Violation::new(path, "unsafe", message));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_unsafe_code_is_found() {
        let path = "crates/x/src/lib.rs";
        let with = Tree::of(&[(path, "fn f() {\n    unsafe { g() }\n}\n")]);
        let without = Tree::of(&[(path, "// unsafe\n#![deny(unsafe_code)]\n")]);
        assert_eq!(compare(&with, &[])[0].place, "crates/x/src/lib.rs:2");
        assert_eq!(compare(&with, &[(path, "why")]), []);
        assert_eq!(compare(&without, &[]), []);
        assert_eq!(compare(&without, &[(path, "why")]).len(), 1);
    }
}
