//! Item names say what the item is; some words never do.

use super::Violation;
use crate::source::code;
use crate::tree::Tree;

const EMPTY_WORDS: &[&str] = &["data", "info", "manager", "utils", "util"];

/// Names that another library gives to the thing.
const GIVEN_NAMES: &[&str] = &["data_type"];

const ITEMS: &[&str] =
    &["struct", "enum", "union", "trait", "fn", "mod", "type", "const", "static"];

pub(super) fn no_empty_words(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        for (number, line) in code(text).lines().enumerate() {
            let Some(name) = item_name(line) else { continue };
            if GIVEN_NAMES.contains(&name) {
                continue;
            }
            if let Some(word) = EMPTY_WORDS.iter().find(|word| has_part(name, word)) {
                let message = format!("`{name}`: the word `{word}` says nothing");
                found.push(Violation::at(path, number, "names", message));
            }
        }
    }
    found
}

/// Name of the item that a line of code declares.
fn item_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.by_ref().find(|word| ITEMS.contains(word))?;
    let name = words.find(|word| *word != "fn")?.trim_start_matches("r#");
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    Some(&name[..end])
}

/// Whether a word is a part of a name in any of the three cases.
fn has_part(name: &str, word: &str) -> bool {
    let mut parts = Vec::new();
    let mut before_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && before_lower) || parts.is_empty() {
            parts.push(String::new());
        }
        if let (Some(part), true) = (parts.last_mut(), c != '_') {
            part.extend(c.to_lowercase());
        }
        before_lower = c.is_lowercase() || c.is_numeric();
    }
    parts.iter().any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_names_are_found() {
        let text = "pub struct MarketData;\nconst fn file_info() {}\nstatic POOL_MANAGER: u8 = 0;\n\
                    mod utils;\npub(crate) fn database() {}\nlet data = 1;\n";
        let found = no_empty_words(&Tree::of(&[("crates/x/src/lib.rs", text)]));
        let lines: Vec<_> = found.iter().map(|v| v.place.rsplit(':').next().unwrap()).collect();
        assert_eq!(lines, ["1", "2", "3", "4"], "{found:?}");
    }
}
