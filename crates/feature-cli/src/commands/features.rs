//! `featureplane features`: the registry.

use feature_kernel::FAMILIES;
use serde_json::json;

use crate::args::Json;
use crate::exit::DONE;
use crate::print;

/// Lists families and columns.
pub(crate) fn run(args: &Json) -> anyhow::Result<u8> {
    let columns = FAMILIES.iter().flat_map(|f| f.columns.iter().map(move |c| (f, c)));
    if args.json {
        let list: Vec<_> = columns
            .map(|(family, column)| {
                json!({
                    "family": family.slug,
                    "column": column.id,
                    "rev": column.rev,
                    "dtype": column.dtype.name(),
                    "scale": column.scale.name(),
                    "unit": column.unit,
                    "reads": column.reads.name(),
                    "warmup_min_events": column.warmup_min_events,
                    "params": column.params,
                    "description": column.doc,
                    "source": family.source,
                })
            })
            .collect();
        print::json(&list)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = columns
        .map(|(family, column)| {
            vec![
                family.slug.into(),
                column.id.into(),
                column.dtype.name().into(),
                column.unit.into(),
                column.params.join(", "),
                column.doc.into(),
            ]
        })
        .collect();
    print::table(&["family", "column", "dtype", "unit", "parameters", "definition"], &rows);
    Ok(DONE)
}
