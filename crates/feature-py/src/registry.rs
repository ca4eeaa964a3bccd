//! What there is: feature sets, families, columns.

use feature_kernel::FAMILIES;
use feature_kernel::meta::{ColumnMeta, FamilyMeta, ParamKind};
use feature_runtime::{BUILT_IN_SETS, FeatureSet};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::convert::{json_to_py, load_set};
use crate::errors::guarded;

/// Return id, schema hash and features of a set, as resolved.
#[pyfunction]
#[pyo3(signature = (features: "str", /) -> "dict[str, typing.Any]")]
pub(crate) fn describe_set<'py>(py: Python<'py>, features: &str) -> PyResult<Bound<'py, PyAny>> {
    guarded(|| json_to_py(py, &set_json(&load_set(features)?)))
}

/// Return every built-in set, as `describe_set` does.
#[pyfunction]
#[pyo3(signature = () -> "list[dict[str, typing.Any]]")]
pub(crate) fn built_in_sets(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    guarded(|| {
        let sets: PyResult<Vec<Value>> =
            BUILT_IN_SETS.iter().map(|(id, _)| load_set(id).map(|set| set_json(&set))).collect();
        json_to_py(py, &sets?.into())
    })
}

/// Return every column of every family.
#[pyfunction]
#[pyo3(signature = () -> "list[dict[str, typing.Any]]")]
pub(crate) fn families(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let columns = |family: &'static FamilyMeta| {
        family.columns.iter().map(move |column| column_json(family, column))
    };
    guarded(|| json_to_py(py, &FAMILIES.iter().flat_map(columns).collect()))
}

fn set_json(set: &FeatureSet) -> Value {
    let canonical: Value = serde_json::from_str(&set.canonical_json()).unwrap_or_default();
    json!({
        "id": set.id(),
        "schema_hash": format!("{:016x}", set.schema_hash()),
        "canonical_json": set.canonical_json(),
        "features": canonical["features"],
    })
}

fn column_json(family: &FamilyMeta, column: &ColumnMeta) -> Value {
    let params = family.params.iter().filter(|param| column.params.contains(&param.key));
    let params = params.map(|param| {
        let mut entry = json!({"key": param.key, "doc": param.doc});
        match param.kind {
            ParamKind::Int { min, max, default } => {
                entry["kind"] = "int".into();
                (entry["min"], entry["max"]) = (min.into(), max.into());
                entry["default"] = default.into();
            }
            ParamKind::Choice(words) => {
                entry["kind"] = "choice".into();
                (entry["choices"], entry["default"]) = (words.into(), words[0].into());
            }
            ParamKind::Column => entry["kind"] = "column".into(),
        }
        let is_one_of_two = column.alternative(param.key).is_some();
        entry["required"] =
            (entry.get("default").is_none_or(Value::is_null) && !is_one_of_two).into();
        entry
    });
    json!({
        "family": family.slug,
        "column": column.id,
        "rev": column.rev,
        "dtype": column.dtype.name(),
        "scale": column.scale.name(),
        "unit": column.unit,
        "reads": column.reads.name(),
        "warmup_min_events": column.warmup_min_events,
        "name": column.name,
        "params": params.collect::<Vec<Value>>(),
        "doc": column.doc,
        "source": family.source,
    })
}
