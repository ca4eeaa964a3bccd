//! `featureplane sets`: feature sets and their columns.

use feature_runtime::{BUILT_IN_SETS, FeatureSet, built_in_set, load_set};
use serde_json::{Value, json};

use crate::args::Sets;
use crate::exit::DONE;
use crate::print;

/// Lists sets, or the columns of one.
pub(crate) fn run(args: &Sets) -> anyhow::Result<u8> {
    match &args.set {
        Some(set) => one(&load_set(set)?, args.json)?,
        None => all(args.json)?,
    }
    Ok(DONE)
}

fn all(as_json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for (id, text) in BUILT_IN_SETS {
        let set = built_in_set(id)?;
        let about: Value = serde_json::from_str(text)?;
        let about = about["description"].as_str().unwrap_or_default().to_owned();
        let hash = format!("{:016x}", set.schema_hash());
        list.push(
            json!({"id": id, "features": set.len(), "schema_hash": hash, "description": about}),
        );
        rows.push(vec![(*id).to_owned(), set.len().to_string(), hash, about]);
    }
    if as_json {
        return print::json(&list);
    }
    print::table(&["id", "features", "schema hash", "description"], &rows);
    Ok(())
}

fn one(set: &FeatureSet, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut value: Value = serde_json::from_str(&set.canonical_json())?;
        value["id"] = set.id().into();
        value["schema_hash"] = format!("{:016x}", set.schema_hash()).into();
        return print::json(&value);
    }
    print::line(format_args!("{} schema {:016x}", set.id(), set.schema_hash()));
    let rows: Vec<Vec<String>> = set
        .features()
        .iter()
        .enumerate()
        .map(|(index, f)| {
            vec![
                index.to_string(),
                f.name.clone(),
                format!("{}.{}", f.family.slug, f.column.id),
                f.column.dtype.name().into(),
                f.scale.name(),
                f.unit.into(),
                f.warmup_min_events.to_string(),
                f.warmup_min_ns.to_string(),
                f.column.doc.into(),
            ]
        })
        .collect();
    let head =
        ["#", "name", "column", "dtype", "scale", "unit", "warmup", "warmup ns", "definition"];
    print::table(&head, &rows);
    Ok(())
}
