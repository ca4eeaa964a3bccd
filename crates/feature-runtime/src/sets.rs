//! Feature sets as JSON: the built-in ones and the user's own.

use std::path::Path;

use feature_kernel::{FeatureSet, FeatureSpec, ParamValue, SpecFault};
use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;

/// Largest feature-set file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Id and JSON of every built-in set, in the order in which `featureplane sets` lists them.
pub const BUILT_IN_SETS: &[(&str, &str)] = &[
    ("core_v1", include_str!("../../../specs/sets/core_v1.json")),
    ("lob_shared_v1", include_str!("../../../specs/sets/lob_shared_v1.json")),
    ("lob_shared_v2", include_str!("../../../specs/sets/lob_shared_v2.json")),
    ("lob_shared_v3", include_str!("../../../specs/sets/lob_shared_v3.json")),
    ("ccxt_hf_v1", include_str!("../../../specs/sets/ccxt_hf_v1.json")),
    ("replay_snapshot_v1", include_str!("../../../specs/sets/replay_snapshot_v1.json")),
    ("l2_linear_v1", include_str!("../../../specs/sets/l2_linear_v1.json")),
    ("chronicle_v1", include_str!("../../../specs/sets/chronicle_v1.json")),
    ("bars_v1", include_str!("../../../specs/sets/bars_v1.json")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFile {
    id: String,
    #[serde(default, rename = "description")]
    _description: String,
    features: Vec<EntryFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    family: String,
    column: String,
    #[serde(default)]
    params: serde_json::Map<String, Value>,
    #[serde(default)]
    alias: Option<String>,
}

/// A built-in set by id.
///
/// # Errors
///
/// [`Error::UnknownSet`] listing the ids there are.
///
/// ```
/// let set = feature_runtime::built_in_set("lob_shared_v1")?;
/// assert_eq!(set.len(), 16);
/// # Ok::<(), feature_runtime::Error>(())
/// ```
pub fn built_in_set(id: &str) -> Result<FeatureSet, Error> {
    match BUILT_IN_SETS.iter().find(|(known, _)| *known == id) {
        Some((_, json)) => parse_set(json, id),
        None => {
            let known: Vec<_> = BUILT_IN_SETS.iter().map(|(known, _)| *known).collect();
            Err(Error::UnknownSet { id: id.into(), known: known.join(", ") })
        }
    }
}

/// A set by id of a built-in one, or from a file when the name ends in `.json`.
///
/// # Errors
///
/// [`Error::UnknownSet`], [`Error::File`], [`Error::BadSetFile`] for a wrong shape, and
/// [`Error::Kernel`] listing every fault of the features with its path.
pub fn load_set(id_or_path: &str) -> Result<FeatureSet, Error> {
    let path = Path::new(id_or_path);
    if path.extension().is_none_or(|ending| ending != "json") {
        return built_in_set(id_or_path);
    }
    let file_error = |source| Error::File { path: path.into(), source };
    let size = std::fs::metadata(path).map_err(file_error)?.len();
    if size > MAX_FILE_BYTES {
        let message = format!("{size} bytes; a feature set has at most {MAX_FILE_BYTES}");
        return Err(Error::BadSetFile { origin: id_or_path.into(), message });
    }
    parse_set(&std::fs::read_to_string(path).map_err(file_error)?, id_or_path)
}

/// A set from JSON text; `origin` names it in errors.
///
/// # Errors
///
/// [`Error::BadSetFile`] for a wrong shape, [`Error::Kernel`] listing every fault of the features.
pub fn parse_set(json: &str, origin: &str) -> Result<FeatureSet, Error> {
    let file: SetFile = serde_json::from_str(json)
        .map_err(|e| Error::BadSetFile { origin: origin.into(), message: e.to_string() })?;
    let mut faults = Vec::new();
    let mut specs = Vec::with_capacity(file.features.len());
    for (index, entry) in file.features.into_iter().enumerate() {
        let mut params = Vec::new();
        for (key, value) in entry.params {
            match value {
                Value::Number(n) if n.is_i64() => {
                    params.push((key, ParamValue::Int(n.as_i64().unwrap_or_default())));
                }
                Value::String(text) => params.push((key, ParamValue::Text(text))),
                other => faults.push(SpecFault {
                    path: format!("features[{index}].params.{key}"),
                    message: format!("{other} is neither an integer nor a string"),
                }),
            }
        }
        let (family, column, alias) = (entry.family, entry.column, entry.alias);
        specs.push(FeatureSpec { family, column, params, alias });
    }
    match FeatureSet::new(&file.id, &specs) {
        Ok(set) if faults.is_empty() => Ok(set),
        Ok(_) => Err(feature_kernel::Error::BadSet { set: file.id, faults }.into()),
        Err(feature_kernel::Error::BadSet { set, faults: more }) => {
            faults.extend(more);
            Err(feature_kernel::Error::BadSet { set, faults }.into())
        }
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shared_set_begins_with_the_one_before() {
        let names = |id: &str| -> Vec<String> {
            let set = built_in_set(id).unwrap();
            set.features().iter().map(|feature| feature.name.clone()).collect()
        };
        let [v1, v2, v3] = ["lob_shared_v1", "lob_shared_v2", "lob_shared_v3"].map(names);
        assert_eq!((v1.len(), v2.len(), v3.len()), (16, 22, 27));
        assert_eq!(v2[..16], v1);
        assert_eq!(v3[..22], v2);
    }
}
