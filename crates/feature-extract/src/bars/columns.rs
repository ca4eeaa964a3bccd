//! The columns of a table of bars.

use market_io::sink::{ColumnKind, ColumnSpec, TableSpec};
use market_model::Instrument;

use super::bar_set;
use super::options::duration_label;
use crate::error::Error;
use crate::table::describe;

/// Places of the columns that a bar fills in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Epoch = 4,
    QualityFlags,
    Frames,
    Quotes,
    Open,
    High,
    Low,
    Close,
    MeanSpread,
    MinSpread,
    MaxSpread,
    MeanRelSpread,
    MeanImbalance,
    Ofi,
    RealizedVariance,
    TradeCount,
    Volume,
    BuyVolume,
    SellVolume,
    Vwap,
}

/// Columns of a bar.
pub(super) const COUNT: usize = Column::Vwap as usize + 1;

/// Validity of the columns that always have a value and are no floats.
pub(super) const INTEGERS: u64 = 0xFF | 1 << Column::TradeCount as usize;

/// Name, type, unit and meaning of every column, in order.
const COLUMNS: [(&str, ColumnKind, &str, &str); COUNT] = [
    ("symbol", ColumnKind::Utf8Dict, "", "Symbol as the venue writes it."),
    ("bar_start", ColumnKind::TimestampNs, "UTC", "First instant of the bar; the end is outside."),
    ("duration_ns", ColumnKind::I64, "ns", "Length of the bar."),
    ("complete", ColumnKind::U32, "", "1 when the whole bar was seen: both ends and no break."),
    ("epoch", ColumnKind::U32, "", "Session number of the last frame."),
    ("quality_flags", ColumnKind::U32, "", "Quality bits of its frames joined; 0 is clean."),
    ("frames", ColumnKind::U64, "frames", "Frames in the bar."),
    ("quotes", ColumnKind::U64, "frames", "Frames with a two-sided or locked book."),
    ("open", ColumnKind::F64, "price", "First mid."),
    ("high", ColumnKind::F64, "price", "Highest mid."),
    ("low", ColumnKind::F64, "price", "Lowest mid."),
    ("close", ColumnKind::F64, "price", "Last mid."),
    ("mean_spread", ColumnKind::F64, "price", "Mean spread over the quotes."),
    ("min_spread", ColumnKind::F64, "price", "Smallest spread."),
    ("max_spread", ColumnKind::F64, "price", "Largest spread."),
    ("mean_rel_spread", ColumnKind::F64, "ratio", "Mean of spread over mid."),
    ("mean_imbalance_l1", ColumnKind::F64, "ratio in -1..1", "Mean imbalance at the touch."),
    ("ofi", ColumnKind::F64, "quantity", "Sum of the order-flow imbalance at the touch."),
    (
        "realized_variance",
        ColumnKind::F64,
        "squared log return",
        "Sum of the squared step returns of the mid.",
    ),
    ("trade_count", ColumnKind::U64, "trades", "Trades in the bar."),
    ("volume", ColumnKind::F64, "quantity", "Quantity of all trades."),
    ("buy_volume", ColumnKind::F64, "quantity", "Quantity that buyers took."),
    ("sell_volume", ColumnKind::F64, "quantity", "Quantity that sellers took."),
    ("vwap", ColumnKind::F64, "price", "Mean trade price, weighted by quantity."),
];

/// The table of the bars of one duration.
///
/// # Errors
///
/// As [`bar_set`].
pub fn bar_spec(duration_ns: i64, instrument: &Instrument) -> Result<TableSpec, Error> {
    let set = bar_set()?;
    let columns = COLUMNS.iter().map(|(name, kind, unit, text)| {
        let column = ColumnSpec::new(*name, *kind).with_metadata("description", *text);
        let column = if unit.is_empty() { column } else { column.with_metadata("unit", *unit) };
        if *kind == ColumnKind::F64 { column.nullable() } else { column }
    });
    let mut spec = TableSpec::new(columns);
    spec.metadata.insert("featureplane.bars".into(), duration_label(duration_ns));
    describe(&mut spec, &set, instrument);
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_names_agree() {
        for (column, name) in [
            (Column::Epoch, "epoch"),
            (Column::QualityFlags, "quality_flags"),
            (Column::Quotes, "quotes"),
            (Column::Open, "open"),
            (Column::MeanImbalance, "mean_imbalance_l1"),
            (Column::RealizedVariance, "realized_variance"),
            (Column::TradeCount, "trade_count"),
            (Column::Vwap, "vwap"),
        ] {
            assert_eq!(COLUMNS[column as usize].0, name);
        }
        let integers =
            COLUMNS.iter().enumerate().filter(|(_, (_, kind, ..))| *kind != ColumnKind::F64);
        assert_eq!(integers.map(|(place, _)| 1 << place).sum::<u64>(), INTEGERS);
    }
}
