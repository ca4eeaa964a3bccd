//! Whole backtests of hftbacktest, with and without features. One function per arm, so that callgrind
//! can tell them apart.

use feature_hftbacktest::{FeatureBot, Features, Mode};
use feature_runtime::built_in_set;
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::{Data, DataSource};
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, ExchangeKind, L2AssetBuilder};
use hftbacktest::depth::{HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth};
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

/// Every wake to the end, reading the depth's touch; the number of wakes.
#[inline(always)]
fn touch<MD: MarketDepth>(run: &mut Run<MD>) -> u64 {
    let mut sum = 0;
    while run.wait_next_feed(false, 1_000_000_000_000).is_ok_and(|r| r == ElapseResult::MarketFeed)
    {
        sum += 1 + (run.depth(0).best_bid_tick() & 1).unsigned_abs();
    }
    sum
}

/// Every wake to the end, reading best bid and mid; a sum that depends on them. `ARM` keeps the
/// compiler from folding two arms into one.
#[inline(always)]
fn pull<MD: MarketDepth, const MID: usize, const ARM: u64>(run: &mut Run<MD>) -> u64 {
    let mut sum = ARM;
    while run.wait_next_feed(false, 1_000_000_000_000).is_ok_and(|r| r == ElapseResult::MarketFeed)
    {
        for feature in [0, MID] {
            let value = run.get_feature_by_id(0, feature).ok().flatten();
            sum += value.map_or(0, |value| value.as_f64().to_bits() & 1);
        }
        sum += 1;
    }
    sum
}

macro_rules! arms {
    ($($name:ident: $depth:ty, $wakes:expr;)*) => {
        $(
            /// One run to the end of the rows.
            #[inline(never)]
            pub fn $name(run: &mut Run<$depth>) -> u64 {
                $wakes(run)
            }
        )*
    };
}

arms! {
    roi_stats_only: ROIVectorMarketDepth, touch;
    roi_lob_shared: ROIVectorMarketDepth, pull::<_, 2, 1>;
    roi_core: ROIVectorMarketDepth, pull::<_, 4, 2>;
    hash_stats_only: HashMapMarketDepth, touch;
    hash_lob_shared: HashMapMarketDepth, pull::<_, 2, 3>;
    hash_core: HashMapMarketDepth, pull::<_, 4, 4>;
}
