//! Rules of `ARCHITECTURE.md` and `STYLE.md` that a machine can check; each has a planted defect.

mod arrows;
mod families;
mod formats;
mod kernel;
mod links;
mod metrics;
mod names;
mod sizes;
mod text;
mod unsafe_code;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::tree::Tree;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Path, with a line when there is one.
    place: String,
    rule: &'static str,
    message: String,
}

impl Violation {
    fn new(path: &str, rule: &'static str, message: impl Into<String>) -> Self {
        Self { place: path.into(), rule, message: message.into() }
    }

    /// At a line counted from 0.
    fn at(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { place: format!("{path}:{}", line + 1), rule, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.message, self.rule)
    }
}

/// A rule over the texts of the repository.
type Rule = fn(&Tree) -> Vec<Violation>;

const RULES: &[Rule] = &[
    families::every_family_has_its_files,
    families::revisions_agree_with_the_reference,
    formats::every_format_has_its_files,
    kernel::no_clock_and_no_hash_map,
    links::links_lead_somewhere,
    metrics::named_metrics_are_exported,
    names::no_empty_words,
    sizes::files_are_short,
    sizes::functions_are_short,
    text::no_absolute_paths,
    text::no_mod_rs,
    text::nothing_is_left_to_do,
    unsafe_code::inventory_is_complete,
];

fn violations(root: &Path) -> Result<Vec<Violation>> {
    let tree = Tree::load(root)?;
    let mut found: Vec<_> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    found.extend(arrows::check(&arrows::metadata(root)?)?);
    found.sort();
    Ok(found)
}

/// Checks every rule; `false` after listing what breaks one.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let found = violations(root)?;
    found.iter().for_each(|violation| println!("{violation}"));
    match found.len() {
        0 => println!("tidy: {} rules hold", RULES.len() + arrows::RULES),
        n => println!("\ntidy: {n} violation(s); the rules are in STYLE.md and ARCHITECTURE.md"),
    }
    Ok(found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let found = violations(&crate::tree::root().unwrap()).unwrap();
        let list: String = found.iter().map(|v| format!("\n{v}")).collect();
        assert!(found.is_empty(), "{list}");
    }
}
