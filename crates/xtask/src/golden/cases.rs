//! Which parameters each column is played with.

use anyhow::Result;
use feature_kernel::meta::{ColumnMeta, FamilyMeta, ParamKind, ParamMeta};
use feature_kernel::{Feature, FeatureSet, FeatureSpec, ParamValue};

use crate::meta::{columns, params};

const MS: i64 = 1_000_000;

/// Values worth playing, by parameter; others take their default or smallest value.
const VALUES: &[(&str, &[i64])] = &[
    ("levels", &[1, 3, 10]),
    ("level", &[0, 2, 9]),
    ("bps", &[2, 10, 200]),
    ("lo_bps", &[0, 2]),
    ("hi_bps", &[5, 40]),
    ("window_ns", &[50 * MS, 1_000 * MS]),
    ("near_bps", &[2]),
    ("far_bps", &[10, 100]),
    ("halflife_bps", &[1, 5]),
    ("cutoff_halflives", &[1, 40]),
    ("k", &[100, 5_000]),
    ("tight_ppm", &[40, 80]),
    ("depth_bps", &[4, 100]),
    ("silent_steps", &[1, 128]),
    ("halflife_ns", &[200 * MS]),
    ("count", &[3, 40]),
    ("bucket_scaled", &[7, 3_000]),
    ("buckets", &[1, 20]),
    ("trades", &[2, 50]),
    ("threshold_ppm", &[0, 300_000]),
];

/// Values of parameters of which a column over columns takes one: by steps, or by time.
const LENGTHS: [(&str, i64); 7] = [
    ("span", 1),
    ("span", 8),
    ("tau_ns", 700 * MS),
    ("count", 1),
    ("count", 9),
    ("window_ns", 150 * MS),
    ("window_ns", 1_000 * MS),
];

/// What columns over columns are played on: each kind of number and each way to step.
const INPUTS: &[&str] = &["mid_price_x2", "spread_bps", "ofi_l1_raw", "hour_utc", "signed_flow"];

/// A set with every column and several parameters.
pub(super) fn set() -> Result<FeatureSet> {
    let mut specs = Vec::new();
    for (family, column) in columns().filter(|(_, column)| !takes_column(column)) {
        for given in combinations(family, column) {
            push(&mut specs, family.slug, column.id, given);
        }
    }
    let inputs: Vec<(String, bool)> = specs
        .iter()
        .filter(|spec| INPUTS.contains(&spec.column.as_str()))
        .filter_map(|spec| Some((spec.alias.clone()?, is_float(spec))))
        .collect();
    for (family, column) in columns().filter(|(_, column)| takes_column(column)) {
        let integer = column.dtype.name() == "i64" && column.has_unit_of_input();
        for (name, _) in inputs.iter().filter(|(_, float)| !(integer && *float)) {
            for given in over(family, column, name) {
                push(&mut specs, family.slug, column.id, given);
            }
        }
    }
    Ok(FeatureSet::new("golden", &specs)?)
}

type Params = Vec<(String, ParamValue)>;

fn push(specs: &mut Vec<FeatureSpec>, family: &str, column: &str, params: Params) {
    let alias = Some(format!("c{}", specs.len()));
    let spec = FeatureSpec { family: family.into(), column: column.into(), params, alias };
    let stands_alone = !spec.params.iter().any(|(key, _)| key == "of");
    // A level beyond the levels, say, is no case.
    let is_legal = |spec: &FeatureSpec| FeatureSet::new("one", core::slice::from_ref(spec)).is_ok();
    if !stands_alone || is_legal(&spec) {
        specs.push(spec);
    }
}

fn takes_column(column: &ColumnMeta) -> bool {
    column.params.contains(&"of")
}

fn is_float(spec: &FeatureSpec) -> bool {
    columns().any(|(_, column)| column.id == spec.column && column.dtype.name() == "f64")
}

/// Every combination of the values of the parameters of a column.
fn combinations(family: &FamilyMeta, column: &ColumnMeta) -> Vec<Params> {
    let mut found: Vec<Params> = vec![Vec::new()];
    for param in params(family, column) {
        found = with_each(&found, param.key, &values(param));
    }
    found
}

fn values(param: &ParamMeta) -> Vec<ParamValue> {
    match param.kind {
        ParamKind::Int { min, default, .. } => {
            match VALUES.iter().find(|(key, _)| *key == param.key) {
                Some((_, values)) => values.iter().copied().map(ParamValue::Int).collect(),
                None => vec![ParamValue::Int(default.unwrap_or(min))],
            }
        }
        ParamKind::Choice(words) => {
            words.iter().map(|word| ParamValue::Text((*word).into())).collect()
        }
        ParamKind::Column => Vec::new(),
    }
}

/// A column over one input, with every length and every value of its other parameters.
fn over(family: &FamilyMeta, column: &ColumnMeta, of: &str) -> Vec<Params> {
    let input = ("of".to_owned(), ParamValue::Text(of.to_owned()));
    let lengths = LENGTHS.iter().filter(|(key, _)| column.params.contains(key));
    let mut found: Vec<Params> = lengths
        .map(|(key, value)| vec![input.clone(), ((*key).to_owned(), ParamValue::Int(*value))])
        .collect();
    let is_length = |param: &&ParamMeta| LENGTHS.iter().any(|(key, _)| *key == param.key);
    for param in params(family, column).filter(|param| !is_length(param)) {
        let values = values(param);
        if !values.is_empty() {
            found = with_each(&found, param.key, &values);
        }
    }
    found
}

/// Every list of parameters with every value of one more.
fn with_each(found: &[Params], key: &str, values: &[ParamValue]) -> Vec<Params> {
    let with = |before: &Params, value: &ParamValue| {
        let mut with = before.clone();
        with.push((key.to_owned(), value.clone()));
        with
    };
    found.iter().flat_map(|before| values.iter().map(move |value| with(before, value))).collect()
}

/// What the bits of a feature depend on besides the tapes and its own revision.
pub(super) fn inputs(set: &FeatureSet, feature: &Feature) -> String {
    let mut text =
        format!("{:?}", feature.params.iter().filter(|(k, _)| *k != "of").collect::<Vec<_>>());
    let of = feature.params.iter().find(|(key, _)| *key == "of");
    if let Some((_, ParamValue::Text(name))) = of
        && let Some(input) = set.index_of(name).map(|index| &set.features()[index])
    {
        text += &format!(" of {}.{} rev {}", input.family.slug, input.column.id, input.column.rev);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_played() {
        let set = set().unwrap();
        for (family, column) in columns() {
            let count = set.features().iter().filter(|f| f.column.id == column.id).count();
            assert!(count > 0, "{}.{}", family.slug, column.id);
        }
    }
}
