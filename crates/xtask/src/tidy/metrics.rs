//! Policies, alerts and pages name only metrics that are exported.

use std::collections::BTreeSet;

use super::Violation;
use crate::metrics::{METRICS_TOML, read};
use crate::tree::Tree;

/// How every metric begins.
const PREFIX: &str = "featureplane_";

/// The Python package of the reference begins in the same way.
const NO_METRICS: &[&str] = &["featureplane_reference", "featureplane_packets"];

pub(super) fn named_metrics_are_exported(tree: &Tree) -> Vec<Violation> {
    let metrics = match read(tree) {
        Ok(metrics) => metrics,
        Err(error) => return vec![Violation::new(METRICS_TOML, "metrics", format!("{error:#}"))],
    };
    let exported: BTreeSet<String> = metrics.iter().flat_map(|m| m.exported()).collect();
    let mut found = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.starts_with("docs/")) {
        for (number, line) in text.lines().enumerate() {
            for (at, _) in line.match_indices(PREFIX) {
                let rest = &line[at..];
                let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                let name = &rest[..end.unwrap_or(rest.len())];
                if !exported.contains(name) && !NO_METRICS.contains(&name) {
                    let message = format!("`{name}` is not exported");
                    found.push(Violation::at(path, number, "metrics", message));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_nobody_exports_is_found() {
        let list = "[[metric]]\nname = \"featureplane_x\"\ntype = \"counter\"\nlabels = []\nhelp = \"X.\"\n\
                    [[metric]]\nname = \"featureplane_y\"\ntype = \"histogram\"\nlabels = [\"a\"]\nhelp = \"Y.\"\n";
        let page =
            "`featureplane_x_total` featureplane_y_bucket{}\nfeatureplane_x\nfeatureplane_z 1\n";
        let tree = Tree::of(&[(METRICS_TOML, list), ("docs/ops/a.yml", page), ("b.md", page)]);
        let places: Vec<_> =
            named_metrics_are_exported(&tree).into_iter().map(|v| v.place).collect();
        assert_eq!(places, ["docs/ops/a.yml:2", "docs/ops/a.yml:3"]);
        let broken = Tree::of(&[(METRICS_TOML, "[[metric]]\nname = \"featureplane_x\"\n")]);
        assert_eq!(named_metrics_are_exported(&broken).len(), 1);
    }
}
