//! What the repository says about its own families, sets and formats.

use anyhow::{Context, Result, ensure};
use feature_kernel::meta::{Behaviour, ColumnMeta, FamilyMeta, ParamKind, ParamMeta};
use feature_kernel::{FAMILIES, FeatureSet};
use feature_runtime::{BUILT_IN_SETS, built_in_set};

use crate::tree::Tree;

/// Where the list of input formats is written.
pub(crate) const FORMAT_RS: &str = "crates/market-io/src/format.rs";

/// Parameters of one column, in the order of the family.
pub(crate) fn params<'a>(
    family: &'a FamilyMeta,
    column: &'a ColumnMeta,
) -> impl Iterator<Item = &'a ParamMeta> {
    family.params.iter().filter(|param| column.params.contains(&param.key))
}

/// Every column with its family, in registry order.
pub(crate) fn columns() -> impl Iterator<Item = (&'static FamilyMeta, &'static ColumnMeta)> {
    FAMILIES.iter().flat_map(|family| family.columns.iter().map(move |column| (family, column)))
}

pub(crate) const fn behaviour_name(behaviour: Behaviour) -> &'static str {
    match behaviour {
        Behaviour::Instant => "instant",
        Behaviour::Step => "step",
        Behaviour::Stateful => "stateful",
        Behaviour::Window => "window",
    }
}

/// Values that a parameter takes, in words.
pub(crate) fn values_in_words(kind: ParamKind) -> String {
    match kind {
        ParamKind::Int { min, max, default: Some(default) } => {
            format!("{min} to {max}, default {default}")
        }
        ParamKind::Int { min, max, default: None } => format!("{min} to {max}"),
        ParamKind::Choice(words) => format!("`{}`, default `{}`", words.join("`, `"), words[0]),
        ParamKind::Column => "name of an earlier feature of the set".into(),
    }
}

/// Built-in sets, resolved.
pub(crate) fn sets() -> Result<Vec<FeatureSet>> {
    BUILT_IN_SETS.iter().map(|(id, _)| built_in_set(id).context(*id)).collect()
}

/// Names that `--format` takes besides `auto`, from the `Display` of the format enum.
pub(crate) fn formats(tree: &Tree) -> Result<Vec<String>> {
    let text = tree.get(FORMAT_RS).with_context(|| format!("{FORMAT_RS} is missing"))?;
    let body = text
        .split_once("impl fmt::Display for Format")
        .and_then(|(_, rest)| rest.split_once("\n}\n"))
        .map(|(body, _)| body)
        .with_context(|| format!("{FORMAT_RS} has no `impl fmt::Display for Format`"))?;
    let names: Vec<String> = body
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "auto")
        .collect();
    ensure!(!names.is_empty(), "{FORMAT_RS} names no format");
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_from_the_display() {
        let tree = Tree::load(&crate::tree::root().unwrap()).unwrap();
        let formats = formats(&tree).unwrap();
        assert!(formats.contains(&"binance".to_owned()), "{formats:?}");
        assert!(!formats.contains(&"auto".to_owned()));
    }
}
