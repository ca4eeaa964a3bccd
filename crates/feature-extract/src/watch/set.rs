//! The feature set that the options of the CCXT job describe: `ccxt_hf_v1` for its defaults.

use feature_runtime::{FeatureSet, built_in_set, parse_set};
use serde_json::{Value, json};

use super::config::ProcessorOptions;
use crate::error::Error;

/// The set of some options.
pub(super) fn feature_set(options: &ProcessorOptions) -> Result<FeatureSet, Error> {
    if *options == ProcessorOptions::default() {
        return Ok(built_in_set("ccxt_hf_v1")?);
    }
    let file = json!({"id": "ccxt_hf", "features": features(options)});
    Ok(parse_set(&file.to_string(), "etl.channels.orderbook.processor_options")?)
}

fn feature(family: &str, column: &str, params: Value, alias: &str) -> Value {
    json!({"family": family, "column": column, "params": params, "alias": alias})
}

/// Every column in the order of the job.
fn features(options: &ProcessorOptions) -> Vec<Value> {
    let none = || json!({});
    let mut all = vec![
        feature("top", "best_bid", none(), "best_bid"),
        feature("top", "best_ask", none(), "best_ask"),
        feature("mid_spread", "mid", none(), "mid_price"),
        feature("mid_spread", "spread", none(), "spread"),
        feature("mid_spread", "rel_spread", none(), "relative_spread"),
        feature("imbalance", "l1_imbalance", none(), "imbalance_l1"),
        feature("microprice", "microprice", none(), "microprice"),
    ];
    for level in 0..options.max_levels {
        for side in ["bid", "ask"] {
            let at = json!({"level": level});
            let [price, qty] = ["price", "qty"].map(|what| format!("{side}_{what}"));
            let size = format!("{side}_size_l{level}");
            all.push(feature("depth", &price, at.clone(), &format!("{price}_l{level}")));
            all.push(feature("depth", &qty, at, &size));
        }
    }
    let edges = [&[0], options.bands_bps.as_slice()].concat();
    for edge in edges.windows(2) {
        let band = json!({"lo_bps": edge[0], "hi_bps": edge[1]});
        let name = format!("{}_{}bps", edge[0], edge[1]);
        for side in ["bid", "ask"] {
            let alias = format!("{side}_vol_band_{name}");
            all.push(feature("depth", &format!("{side}_depth_band"), band.clone(), &alias));
        }
        all.push(feature("depth", "band_imbalance", band, &format!("imb_band_{name}")));
    }
    shape(options, &mut all);
    windows(options, &mut all);
    all
}

fn shape(options: &ProcessorOptions, all: &mut Vec<Value>) {
    let levels = |count: u32| json!({"levels": count});
    let both = |all: &mut Vec<Value>, column: &str, count: u32, alias: &str| {
        for side in ["bid", "ask"] {
            let alias = alias.replace("{side}", side);
            all.push(feature("shape", &format!("{side}_{column}"), levels(count), &alias));
        }
    };
    both(all, "half_depth_level", options.max_levels, "{side}_50pct_depth_levels");
    both(all, "concentration", options.max_levels, "{side}_concentration");
    both(all, "vwap", 5, "vwap_{side}_5");
    all.push(feature("shape", "vwap_spread", levels(5), "vwap_spread"));
    let smart = [
        ("smart_bid", "smart_bid_depth"),
        ("smart_ask", "smart_ask_depth"),
        ("smart_oib", "smart_depth_imbalance"),
    ];
    for (column, alias) in smart {
        all.push(feature("weighted_depth", column, json!({"k": 100, "levels": 50}), alias));
    }
    let within = |bps: u32| json!({"lo_bps": 0, "hi_bps": bps});
    all.push(feature("shape", "lambda_like", within(5), "lambda_like"));
    all.push(feature("shape", "amihud_like", within(10), "amihud_like"));
    both(all, "slope", 5, "{side}_slope");
}

fn windows(options: &ProcessorOptions, all: &mut Vec<Value>) {
    let none = || json!({});
    let window = |seconds: u32| json!({"window_ns": i64::from(seconds) * 1_000_000_000});
    let multi = json!({"levels": options.ofi_levels, "align": "price"});
    all.extend([
        feature("returns", "mid_velocity", none(), "mid_velocity"),
        feature("returns", "mid_acceleration", none(), "mid_accel"),
        feature("ofi_ml", "ofi_ml", multi, "ofi_multi"),
    ]);
    for (family, column, alias) in
        [("returns", "realized_vol", "rv"), ("ofi_l1", "ofi_l1_sum", "ofi_sum")]
    {
        for &seconds in &options.horizons {
            all.push(feature(family, column, window(seconds), &format!("{alias}_{seconds}s")));
        }
    }
    for &seconds in &options.horizons {
        for (column, alias) in [("tfi", "tfi"), ("trade_qty_sum", "trade_vol")] {
            all.push(feature("trades", column, window(seconds), &format!("{alias}_{seconds}s")));
        }
    }
    let near = json!({"lo_bps": 0, "hi_bps": 5});
    let sigma = json!({"of": "depth_0_5bps", "window_ns": 30_000_000_000_i64});
    let tight = json!({"tight_ppm": options.tight_ppm(), "window_ns": 30_000_000_000_i64});
    all.extend([
        feature("time", "hour_utc", none(), "hour_of_day"),
        feature("time", "minute_utc", none(), "minute_of_hour"),
        feature("time", "day_of_week", none(), "day_of_week"),
        feature("time", "is_weekend", none(), "is_weekend"),
        feature("depth", "depth_band", near, "depth_0_5bps"),
        feature("rolling", "rolling_std", sigma, "depth_0_5bps_sigma"),
        feature("regime", "tight_fraction", tight, "spread_regime_tight_frac"),
        feature("microprice", "micro_minus_mid", none(), "micro_minus_mid"),
        feature("returns", "log_return_step", none(), "log_return_step"),
        feature("ofi_l1", "ofi_l1_raw", none(), "ofi_step"),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_describe_the_built_in_set() {
        let options = ProcessorOptions::default();
        let file = json!({"id": "ccxt_hf", "features": features(&options)});
        let made = parse_set(&file.to_string(), "test").unwrap();
        let built_in = built_in_set("ccxt_hf_v1").unwrap();
        assert_eq!(made.canonical_json(), built_in.canonical_json());
        assert_eq!(feature_set(&options).unwrap().id(), "ccxt_hf_v1");
    }

    #[test]
    fn other_options_give_their_columns() {
        let mut options = ProcessorOptions::default();
        (options.horizons, options.max_levels, options.bands_bps) = (vec![2], 3, vec![7]);
        let set = feature_set(&options).unwrap();
        for name in ["rv_2s", "trade_vol_2s", "ask_size_l2", "imb_band_0_7bps"] {
            assert!(set.index_of(name).is_some(), "{name}");
        }
        for name in ["rv_1s", "ask_size_l3", "imb_band_0_5bps"] {
            assert!(set.index_of(name).is_none(), "{name}");
        }
    }
}
