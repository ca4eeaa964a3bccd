//! JSON schema of a feature-set file: editors complete families, columns and parameters from it.

use anyhow::Result;
use feature_kernel::meta::{ColumnMeta, FamilyMeta, ParamKind, ParamMeta};
use serde_json::{Map, Value, json};

use crate::meta::{columns, params};

pub(super) fn render() -> Result<String> {
    let entries: Vec<Value> = columns().map(|(family, column)| entry(family, column)).collect();
    super::json_text(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "featureplane feature set",
        "description": "An ordered list of columns; the order is the order of the frame.",
        "type": "object",
        "required": ["id", "features"],
        "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "minLength": 1 },
            "description": { "type": "string" },
            "features": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1024,
                "items": { "oneOf": entries },
            },
        },
    }))
}

fn entry(family: &FamilyMeta, column: &ColumnMeta) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut alternatives = Vec::new();
    for param in params(family, column) {
        properties.insert(param.key.into(), param_schema(param));
        let has_default =
            matches!(param.kind, ParamKind::Int { default: Some(_), .. } | ParamKind::Choice(_));
        if column.alternative(param.key).is_some() {
            alternatives.push(json!({ "required": [param.key] }));
        } else if !has_default {
            required.push(param.key);
        }
    }
    let needs_params = !required.is_empty() || !alternatives.is_empty();
    let mut given = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    });
    if let (Some(given), false) = (given.as_object_mut(), alternatives.is_empty()) {
        given.insert("oneOf".into(), alternatives.into());
    }
    let mut needed = vec!["family", "column"];
    if needs_params {
        needed.push("params");
    }
    json!({
        "title": format!("{}.{}", family.slug, column.id),
        "description": column.doc,
        "type": "object",
        "required": needed,
        "additionalProperties": false,
        "properties": {
            "family": { "const": family.slug },
            "column": { "const": column.id },
            "params": given,
            "alias": { "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$" },
        },
    })
}

fn param_schema(param: &ParamMeta) -> Value {
    let doc = param.doc;
    match param.kind {
        ParamKind::Int { min, max, default: Some(default) } => json!({
            "type": "integer", "minimum": min, "maximum": max, "default": default, "description": doc,
        }),
        ParamKind::Int { min, max, default: None } => json!({
            "type": "integer", "minimum": min, "maximum": max, "description": doc,
        }),
        ParamKind::Choice(words) => {
            json!({ "enum": words, "default": words[0], "description": doc })
        }
        ParamKind::Column => json!({ "type": "string", "description": doc }),
    }
}

#[cfg(test)]
mod tests {
    use feature_runtime::BUILT_IN_SETS;

    use super::*;

    /// The schema entry that allows a feature of a set.
    fn entry_for<'a>(schema: &'a Value, feature: &Value) -> Option<&'a Value> {
        let entries = schema["properties"]["features"]["items"]["oneOf"].as_array()?;
        entries.iter().find(|entry| {
            ["family", "column"].iter().all(|k| entry["properties"][k]["const"] == feature[k])
        })
    }

    #[test]
    fn built_in_sets_fit_the_schema() {
        let schema: Value = serde_json::from_str(&render().unwrap()).unwrap();
        for (id, json) in BUILT_IN_SETS {
            let set: Value = serde_json::from_str(json).unwrap();
            for feature in set["features"].as_array().unwrap() {
                let entry = entry_for(&schema, feature).unwrap_or_else(|| panic!("{id} {feature}"));
                let allowed = &entry["properties"]["params"];
                let given = feature.get("params").and_then(Value::as_object);
                for key in given.into_iter().flat_map(Map::keys) {
                    assert!(allowed["properties"].get(key).is_some(), "{id} {feature}: {key}");
                }
                for key in allowed["required"].as_array().unwrap() {
                    let key = key.as_str().unwrap();
                    assert!(given.is_some_and(|given| given.contains_key(key)), "{id}: {key}");
                }
            }
        }
    }
}
