//! `specs/registry_v1.json`: families, columns and parameters for programs in any language.

use anyhow::Result;
use feature_kernel::FAMILIES;
use feature_kernel::meta::{FamilyMeta, ParamKind, ParamMeta};
use serde_json::{Value, json};

use crate::meta::behaviour_name;

pub(super) fn render() -> Result<String> {
    let families: Vec<Value> = FAMILIES.iter().map(family).collect();
    super::json_text(&json!({
        "registry": 1,
        "abi": "feature_update_v1",
        "families": families,
    }))
}

fn family(family: &FamilyMeta) -> Value {
    let columns: Vec<Value> = family
        .columns
        .iter()
        .map(|column| {
            json!({
                "id": column.id,
                "rev": column.rev,
                "dtype": column.dtype.name(),
                "scale": column.scale.name(),
                "unit": column.unit,
                "reads": column.reads.name(),
                "source_kind": column.reads.source_kind(),
                "behaviour": behaviour_name(column.behaviour),
                "warmup_min_events": column.warmup_min_events,
                "params": column.params,
                "default_name": column.name,
                "doc": column.doc,
            })
        })
        .collect();
    json!({
        "slug": family.slug,
        "doc": family.doc,
        "source": family.source,
        "spec": format!("specs/features/{}.md", family.slug),
        "columns": columns,
        "params": family.params.iter().map(param).collect::<Vec<_>>(),
    })
}

fn param(param: &ParamMeta) -> Value {
    let mut value = json!({ "key": param.key });
    let more = match param.kind {
        ParamKind::Int { min, max, default } => {
            json!({ "type": "integer", "min": min, "max": max, "default": default })
        }
        ParamKind::Choice(words) => {
            json!({ "type": "choice", "choices": words, "default": words[0] })
        }
        ParamKind::Column => json!({ "type": "column" }),
    };
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
        value.insert("doc".into(), param.doc.into());
    }
    value
}
