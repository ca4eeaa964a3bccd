//! Values as people read them: integers of a frame with their decimal point.

use feature_kernel::Feature;
use feature_kernel::meta::Scale;
use feature_runtime::FeatureValue;
use market_model::{Instrument, decimal_text};

/// A value as text. Integers are exact; floats are the shortest text that reads back the same.
pub(super) fn shown(value: FeatureValue, feature: &Feature, instrument: &Instrument) -> String {
    let integer = match value {
        FeatureValue::F64(value) => return value.to_string(),
        FeatureValue::I64(value) => i128::from(value),
        FeatureValue::U32(value) => i128::from(value),
    };
    match feature.scale {
        // The sum of two prices has the decimals of one.
        Scale::Price | Scale::PriceX2 => decimal_text(integer, instrument.price_scale),
        Scale::Qty => decimal_text(integer, instrument.qty_scale),
        // The unit says the factor: ppm, for one.
        Scale::None | Scale::Times(_) => integer.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
