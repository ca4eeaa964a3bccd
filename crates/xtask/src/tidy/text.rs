//! What no file of the repository contains.

use super::Violation;
use crate::source::code;
use crate::tree::Tree;

/// Roots of absolute paths that only exist on somebody's machine; split, so that this file passes.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];

const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

/// A timing is no test: it may be ignored, and says so.
const MEASUREMENT: &str = "#[ignore = \"a measurement";

pub(super) fn no_absolute_paths(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.iter() {
        for (number, line) in text.lines().enumerate() {
            let starts = |root: &&&str| {
                // A path of a URL or inside a relative path is none.
                line.match_indices(**root).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-$}~".contains(c))
                })
            };
            if let Some(root) = MACHINE_PATHS.iter().find(starts) {
                let message = format!("absolute path `{root}...` of one machine");
                found.push(Violation::at(path, number, "paths", message));
            }
        }
    }
    found
}

pub(super) fn no_mod_rs(tree: &Tree) -> Vec<Violation> {
    let is_mod = |path: &&str| path.ends_with("/mod.rs");
    tree.rust()
        .map(|(path, _)| path)
        .filter(is_mod)
        .map(|path| Violation::new(path, "mod.rs", "use `foo.rs` beside `foo/`"))
        .collect()
}

pub(super) fn nothing_is_left_to_do(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        for (number, (line, raw)) in code(text).lines().zip(text.lines()).enumerate() {
            if raw.trim().starts_with(MEASUREMENT) {
                continue;
            }
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                found.push(Violation::at(path, number, "unfinished", format!("`{word}`")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_path_is_found() {
        let bad = format!("data = \"{}me/quant/x\"\n", "/ho");
        let good = format!("see https://example.org{}me/x and ./a{}me/b\n", "/ho", "/ho");
        let tree = Tree::of(&[("a.py", &bad), ("b.md", &good)]);
        let found = no_absolute_paths(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "a.py:1");
    }

    #[test]
    fn a_planted_mod_rs_is_found() {
        let tree = Tree::of(&[("crates/x/src/a/mod.rs", ""), ("crates/x/src/model.rs", "")]);
        assert_eq!(no_mod_rs(&tree).len(), 1);
    }

    #[test]
    fn planted_leftovers_are_found() {
        let text = "fn f() {\n    todo!()\n}\n#[ignore]\nfn g() {}\n// todo! in a comment\n";
        let found = nothing_is_left_to_do(&Tree::of(&[("crates/x/src/lib.rs", text)]));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
