//! The list of metrics, as pages and rules need it.

use anyhow::{Context, Result};

use crate::tree::Tree;

/// Where the list is.
pub(crate) const METRICS_TOML: &str = "specs/metrics.toml";

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
    pub(crate) help: String,
}

impl Metric {
    /// Names under which a scrape has its samples.
    pub(crate) fn exported(&self) -> Vec<String> {
        let endings: &[&str] = match self.kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["", "_bucket", "_count", "_sum"],
            _ => &[""],
        };
        endings.iter().map(|ending| format!("{}{ending}", self.name)).collect()
    }
}

/// Reads the list.
pub(crate) fn read(tree: &Tree) -> Result<Vec<Metric>> {
    let text = tree.get(METRICS_TOML).with_context(|| format!("{METRICS_TOML} is missing"))?;
    let list: toml::Table = text.parse().context(METRICS_TOML)?;
    let entries = list.get("metric").and_then(toml::Value::as_array);
    let entry = |entry: &toml::Value| -> Option<Metric> {
        let text = |key: &str| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let labels = entry.get("labels")?.as_array()?.iter();
        let labels = labels.map(|label| label.as_str().map(str::to_owned));
        let (name, kind, help) = (text("name")?, text("type")?, text("help")?);
        Some(Metric { name, kind, labels: labels.collect::<Option<_>>()?, help })
    };
    let metrics = entries.and_then(|entries| entries.iter().map(entry).collect::<Option<Vec<_>>>());
    metrics.with_context(|| format!("{METRICS_TOML}: every metric has name, type, labels, help"))
}
