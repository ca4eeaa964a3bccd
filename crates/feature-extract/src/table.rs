//! The columns of an extracted table and the metadata that says what made it.

use feature_kernel::meta::{Dtype, Scale};
use feature_runtime::{Feature, FeatureSet};
use market_io::sink::{ColumnKind, ColumnSpec, TableSpec};
use market_model::Instrument;

/// Columns before the features.
pub const FIXED_COLUMNS: usize = 7;

/// The columns of a table of one feature set.
///
/// # Panics
///
/// Never: the number of fixed columns is that of the list.
#[must_use]
pub fn table_spec(set: &FeatureSet, instrument: &Instrument) -> TableSpec {
    let about =
        |name, kind, text: &str| ColumnSpec::new(name, kind).with_metadata("description", text);
    let mut columns = vec![
        about("symbol", ColumnKind::Utf8Dict, "Symbol as the venue writes it."),
        about("ts_event", ColumnKind::TimestampNs, "Event time; the grid point in sampled rows."),
        about("ts_recv", ColumnKind::TimestampNs, "Arrival time; null when unknown or sampled.")
            .nullable(),
        about("seq", ColumnKind::U64, "Frame number in the epoch."),
        about("epoch", ColumnKind::U32, "Session number, +1 at each reset."),
        about("quality_flags", ColumnKind::U32, "Quality bits since the previous row; 0 is clean."),
        about(
            "warmup_ready",
            ColumnKind::U32,
            "1 when every feature has seen enough packets and time.",
        ),
    ];
    assert_eq!(columns.len(), FIXED_COLUMNS, "Invariant: the fixed columns");
    columns.extend(set.features().iter().map(|feature| feature_column(feature, instrument)));
    let mut spec = TableSpec::new(columns);
    describe(&mut spec, set, instrument);
    spec
}

/// Says in the metadata of a table what its numbers mean: the feature set and the scales.
pub(crate) fn describe(spec: &mut TableSpec, set: &FeatureSet, instrument: &Instrument) {
    let mut put =
        |key: &str, value: String| spec.metadata.insert(format!("featureplane.{key}"), value);
    put("feature_set_id", set.id().into());
    put("schema_hash", format!("{:016x}", set.schema_hash()));
    put("feature_set", set.canonical_json());
    put("version", env!("CARGO_PKG_VERSION").into());
    put("symbol", instrument.symbol.clone());
    put("venue", instrument.venue.clone());
    put("price_scale", instrument.price_scale.to_string());
    put("qty_scale", instrument.qty_scale.to_string());
    put("tick_scaled", instrument.tick_scaled.to_string());
    put("lot_scaled", instrument.lot_scaled.to_string());
}

/// The column of one feature, with its definition as metadata.
#[must_use]
pub fn feature_column(feature: &Feature, instrument: &Instrument) -> ColumnSpec {
    let kind = match feature.column.dtype {
        Dtype::I64 => ColumnKind::I64,
        Dtype::F64 => ColumnKind::F64,
        Dtype::U32 => ColumnKind::U32,
    };
    // What one unit of an integer is worth, so that a reader needs no other file.
    let divisor = match feature.scale {
        Scale::None => None,
        Scale::Price => Some(format!("1e{}", instrument.price_scale)),
        Scale::PriceX2 => Some(format!("2e{}", instrument.price_scale)),
        Scale::Qty => Some(format!("1e{}", instrument.qty_scale)),
        Scale::Times(factor) => Some(factor.to_string()),
    };
    let column = ColumnSpec::new(&feature.name, kind)
        .nullable()
        .with_metadata("family", feature.family.slug)
        .with_metadata("column", feature.column.id)
        .with_metadata("rev", feature.column.rev.to_string())
        .with_metadata("unit", feature.unit)
        .with_metadata("scale", feature.scale.name())
        .with_metadata("description", feature.column.doc)
        .with_metadata("warmup_min_events", feature.warmup_min_events.to_string())
        .with_metadata("warmup_min_ns", feature.warmup_min_ns.to_string());
    match divisor {
        Some(divisor) => column.with_metadata("divide_by", divisor),
        None => column,
    }
}
