//! The kernel and the book see neither a clock nor a random order.

use super::Violation;
use crate::source::{code, has_word, without_tests};
use crate::tree::Tree;

const PURE: &[&str] =
    &["crates/feature-kernel/src/", "crates/lob-engine/src/", "crates/market-model/src/"];

const BANNED: &[(&str, &str)] = &[
    ("std::time", "is a clock"),
    ("core::time", "belongs to a clock"),
    ("SystemTime", "is a clock"),
    ("HashMap", "iterates in random order"),
    ("HashSet", "iterates in random order"),
];

pub(super) fn no_clock_and_no_hash_map(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        if !PURE.iter().any(|crate_src| path.starts_with(crate_src)) {
            continue;
        }
        let code = without_tests(&code(text));
        for (number, line) in code.lines().enumerate() {
            for (word, reason) in BANNED.iter().filter(|(word, _)| has_word(line, word)) {
                let message = format!("`{word}` {reason}");
                found.push(Violation::at(path, number, "kernel", message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_clock_and_a_planted_map_are_found() {
        let text = "use std::time::Instant;\nfn f(m: HashMap<u8, u8>) {}\n// HashMap\n";
        let path = "crates/feature-kernel/src/kernel.rs";
        let found = no_clock_and_no_hash_map(&Tree::of(&[(path, text)]));
        let places: Vec<_> = found.iter().map(|v| v.place.as_str()).collect();
        assert!(places.contains(&"crates/feature-kernel/src/kernel.rs:1"), "{found:?}");
        assert!(places.contains(&"crates/feature-kernel/src/kernel.rs:2"), "{found:?}");
        assert!(!places.contains(&"crates/feature-kernel/src/kernel.rs:3"), "{found:?}");
        let elsewhere = Tree::of(&[("crates/market-io/src/source.rs", text)]);
        assert_eq!(no_clock_and_no_hash_map(&elsewhere), []);
    }
}
