//! Values as people read them: integers of a frame with their decimal point.

use feature_kernel::Feature;
use feature_kernel::meta::Scale;
use feature_runtime::FeatureValue;
use market_model::Instrument;

/// A value as text. Integers are exact; floats are the shortest text that reads back the same.
pub(super) fn shown(value: FeatureValue, feature: &Feature, instrument: &Instrument) -> String {
    let integer = match value {
        FeatureValue::F64(value) => return value.to_string(),
        FeatureValue::I64(value) => i128::from(value),
        FeatureValue::U32(value) => i128::from(value),
    };
    match feature.scale {
        // The sum of two prices has the decimals of one.
        Scale::Price | Scale::PriceX2 => decimal(integer, instrument.price_scale),
        Scale::Qty => decimal(integer, instrument.qty_scale),
        // The unit says the factor: ppm, for one.
        Scale::None | Scale::Times(_) => integer.to_string(),
    }
}

/// `value * 10^-scale`, exactly.
fn decimal(value: i128, scale: u8) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if value < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decimal_point_is_where_the_scale_says() {
        let shown = [(0, 0), (7, 0), (0, 2), (-5, 2), (634_021, 1), (-12_345, 3), (10, 1)];
        let shown = shown.map(|(value, scale)| decimal(value, scale));
        assert_eq!(shown, ["0", "7", "0.00", "-0.05", "63402.1", "-12.345", "1.0"]);
        assert_eq!(decimal(i64::MIN.into(), 18), "-9.223372036854775808");
    }

    #[test]
    fn columns_are_shown_in_their_units() {
        let set = feature_runtime::built_in_set("lob_shared_v1").unwrap();
        let instrument = Instrument::new(0, "BTCUSDT", "0.10", "0.001").unwrap();
        let of = |name: &str, value: i64| {
            let feature = &set.features()[set.index_of(name).unwrap()];
            (shown(FeatureValue::I64(value), feature, &instrument), feature.unit)
        };
        assert_eq!(of("best_bid", 634_021), ("63402.1".into(), "price"));
        assert_eq!(of("mid_price_x2", 1_268_043), ("126804.3".into(), "price x 2"));
        assert_eq!(of("l1_bid_qty", -1), ("-0.001".into(), "quantity"));
        assert_eq!(of("l1_imbalance_ppm", -500_000), ("-500000".into(), "ppm"));
    }
}
