//! Whole backtests of hftbacktest, with and without features.

use feature_hftbacktest::{FeatureBot, Features, Mode};
use feature_runtime::built_in_set;
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::{Data, DataSource};
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, ExchangeKind, L2AssetBuilder};
use hftbacktest::depth::{L2MarketDepth, MarketDepth};
use hftbacktest::types::{Bot, ElapseResult, Event};

use anyhow::{Context, Result};

/// A backtest over one asset.
pub type Run<MD> = FeatureBot<Backtest<MD>>;

/// A new backtest over rows in memory; `set` is none in mode `stats_only`.
///
/// # Errors
///
/// When an asset cannot be built.
pub fn new<MD>(
    rows: &Data<Event>,
    depth: impl Fn() -> MD + 'static,
    set: Option<&str>,
) -> Result<Run<MD>>
where
    MD: MarketDepth + L2MarketDepth + 'static,
{
    let asset = L2AssetBuilder::new()
        .data(vec![DataSource::Data(rows.clone())])
        .latency_model(ConstantLatency::new(10_000_000, 10_000_000))
        .asset_type(LinearAsset::new(1.0))
        .fee_model(TradingValueFeeModel::new(CommonFees::new(-0.00005, 0.0007)))
        .exchange(ExchangeKind::NoPartialFillExchange)
        .queue_model(RiskAdverseQueueModel::new())
        .depth(depth)
        .build()?;
    let features = Features::new(match set {
        None => Mode::StatsOnly,
        Some(id) => Mode::LobFeature(built_in_set(id)?),
    });
    let asset = features.attach("BTCUSDT", asset)?;
    let backtest = Backtest::builder().add_asset(asset).build()?;
    FeatureBot::new(backtest, features).context("one asset")
}

/// Every wake to the end, reading the touch of the depth; a sum that depends on it.
pub fn touch<MD: MarketDepth>(run: &mut Run<MD>) -> u64 {
    let mut sum = 0;
    while run.wait_next_feed(false, 1_000_000_000_000).is_ok_and(|r| r == ElapseResult::MarketFeed)
    {
        sum += 1 + (run.depth(0).best_bid_tick() & 1).unsigned_abs();
    }
    sum
}

/// Every wake to the end, reading the best bid and one more feature; a sum that depends on them.
pub fn pull<MD: MarketDepth>(run: &mut Run<MD>, feature: usize) -> u64 {
    let mut sum = 0;
    while run.wait_next_feed(false, 1_000_000_000_000).is_ok_and(|r| r == ElapseResult::MarketFeed)
    {
        for feature in [0, feature] {
            let value = run.get_feature_by_id(0, feature).ok().flatten();
            sum += value.map_or(0, |value| value.as_f64().to_bits() & 1);
        }
        sum += 1;
    }
    sum
}
