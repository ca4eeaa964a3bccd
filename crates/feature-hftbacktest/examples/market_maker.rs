//! A market maker that leans with the order book, twice: signals by hand, and signals pulled.
//!
//! `cargo run --example market_maker -p feature-hftbacktest -- [array.npz]`; without a file a synthetic
//! minute is made. Prices are of BTCUSDT: tick 0.1, lot 0.001.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use feature_hftbacktest::{FeatureBot, Features, Mode};
use feature_runtime::parse_set;
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::DataSource;
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, BacktestError, ExchangeKind, L2AssetBuilder};
use hftbacktest::depth::{HashMapMarketDepth, INVALID_MAX, INVALID_MIN, MarketDepth};
use hftbacktest::types::{Bot, ElapseResult, OrdType, Side, TimeInForce};
use market_io::sink::Existing;
use market_io::synthetic::SyntheticConfig;
use market_io::write::{NpzCompression, write_hftbacktest};

const TICK: f64 = 0.1;
const LOT: f64 = 0.001;
const LEVELS: usize = 5;
const WAKE_NS: i64 = 100_000_000;
const HALF_SPREAD_TICKS: f64 = 2.0;
const LEAN_TICKS: f64 = 10.0;
const SKEW_TICKS_PER_UNIT: f64 = 1.0;
const MAX_POSITION: f64 = 0.005;

type Bot100ms = FeatureBot<Backtest<HashMapMarketDepth>>;

/// What the strategy looks at: twice the mid in ticks, and the imbalance of five levels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Signal {
    mid_ticks_x2: f64,
    imbalance: f64,
}

/// One decision: when, side, price in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Decision {
    at_ns: i64,
    side: Side,
    price_ticks: i64,
}

/// What one run did.
#[derive(Debug, PartialEq)]
struct Run {
    decisions: Vec<Decision>,
    trades: i64,
    position: f64,
    balance: f64,
    fee: f64,
}

/// The signal from the depth of hftbacktest, tick by tick.
fn by_hand(bot: &Bot100ms) -> Option<Signal> {
    let depth = bot.depth(0);
    let (bid, ask) = (depth.best_bid_tick(), depth.best_ask_tick());
    if bid == INVALID_MIN || ask == INVALID_MAX || bid > ask {
        return None;
    }
    let sum = |best: i64, step: i64, qty_at: &dyn Fn(i64) -> f64| {
        let (mut lots, mut levels, mut tick) = (0, 0, best);
        while levels < LEVELS && (tick - best).abs() < 10_000 {
            let here = (qty_at(tick) / LOT).round() as i64;
            lots += here;
            levels += usize::from(here > 0);
            tick += step;
        }
        lots
    };
    let bids = sum(bid, -1, &|tick| depth.bid_qty_at_tick(tick));
    let asks = sum(ask, 1, &|tick| depth.ask_qty_at_tick(tick));
    let imbalance = (bids - asks) as f64 / (bids + asks) as f64;
    Some(Signal { mid_ticks_x2: (bid + ask) as f64, imbalance })
}

/// The same signal, pulled.
fn pulled(bot: &Bot100ms) -> Result<Option<Signal>, feature_hftbacktest::Error> {
    let mid = bot.get_feature(0, "mid_price_x2")?;
    let imbalance = bot.get_feature(0, "depth_imbalance_5")?;
    Ok(mid.zip(imbalance).map(|(mid, imbalance)| Signal {
        mid_ticks_x2: mid.as_f64(),
        imbalance: imbalance.as_f64(),
    }))
}

/// Quotes around the leaning mid, every 100 ms.
fn run(
    bot: &mut Bot100ms,
    signal: impl Fn(&Bot100ms) -> Result<Option<Signal>, feature_hftbacktest::Error>,
) -> Result<Run, Box<dyn Error>> {
    let mut decisions = Vec::new();
    while bot.elapse(WAKE_NS)? == ElapseResult::Ok {
        let Some(Signal { mid_ticks_x2, imbalance }) = signal(bot)? else { continue };
        let position = bot.position(0);
        let skew = position / LOT * SKEW_TICKS_PER_UNIT;
        let fair = mid_ticks_x2 / 2.0 + LEAN_TICKS * imbalance - skew;
        let bid = (position < MAX_POSITION).then_some((fair - HALF_SPREAD_TICKS).floor() as i64);
        let ask = (position > -MAX_POSITION).then_some((fair + HALF_SPREAD_TICKS).ceil() as i64);
        requote(bot, bid, ask, &mut decisions)?;
    }
    let state = bot.state_values(0);
    let (balance, fee) = (state.balance, state.fee);
    Ok(Run { decisions, trades: state.num_trades, position: bot.position(0), balance, fee })
}

fn requote(
    bot: &mut Bot100ms,
    bid: Option<i64>,
    ask: Option<i64>,
    decisions: &mut Vec<Decision>,
) -> Result<(), BacktestError> {
    bot.clear_inactive_orders(Some(0));
    let wanted = [(Side::Buy, bid), (Side::Sell, ask)];
    // An order id says side and price, so that one price never rests twice.
    let id = |side, ticks: i64| ticks.unsigned_abs() * 2 + u64::from(side == Side::Sell);
    let keep: Vec<u64> =
        wanted.iter().filter_map(|&(side, price)| Some(id(side, price?))).collect();
    let mut gone: Vec<u64> = bot
        .orders(0)
        .values()
        .filter(|order| order.cancellable() && !keep.contains(&order.order_id))
        .map(|order| order.order_id)
        .collect();
    gone.sort_unstable();
    for order in gone {
        bot.cancel(0, order, false)?;
    }
    let at_ns = bot.current_timestamp();
    for (side, price) in wanted {
        let Some(price_ticks) = price else { continue };
        let id = id(side, price_ticks);
        if bot.orders(0).contains_key(&id) {
            continue;
        }
        decisions.push(Decision { at_ns, side, price_ticks });
        let (price, gtx, limit) = (price_ticks as f64 * TICK, TimeInForce::GTX, OrdType::Limit);
        if side == Side::Buy {
            bot.submit_buy_order(0, id, price, LOT, gtx, limit, false)?;
        } else {
            bot.submit_sell_order(0, id, price, LOT, gtx, limit, false)?;
        }
    }
    Ok(())
}

fn new_bot(array: &Path, mode: Mode) -> Result<Bot100ms, Box<dyn Error>> {
    let asset = L2AssetBuilder::new()
        .data(vec![DataSource::File(array.to_string_lossy().into_owned())])
        .latency_model(ConstantLatency::new(10_000_000, 10_000_000))
        .asset_type(LinearAsset::new(1.0))
        .fee_model(TradingValueFeeModel::new(CommonFees::new(-0.00005, 0.0007)))
        .exchange(ExchangeKind::NoPartialFillExchange)
        .queue_model(RiskAdverseQueueModel::new())
        .depth(|| HashMapMarketDepth::new(TICK, LOT))
        .build()?;
    let features = Features::new(mode);
    let asset = features.attach("BTCUSDT", asset)?;
    let backtest = Backtest::builder().add_asset(asset).build()?;
    Ok(FeatureBot::new(backtest, features)?)
}

/// What the strategy pulls, and no more.
const SET: &str = r#"{"id": "market_maker", "features": [
    {"family": "mid_spread", "column": "mid_price_x2"},
    {"family": "imbalance", "column": "depth_imbalance", "params": {"levels": 5}}
]}"#;

/// Runs both, and says what they did.
fn compare(array: &Path) -> Result<(Run, Run), Box<dyn Error>> {
    let started = Instant::now();
    let hand = run(&mut new_bot(array, Mode::StatsOnly)?, |bot| Ok(by_hand(bot)))?;
    let hand_time = started.elapsed();
    let started = Instant::now();
    let set = parse_set(SET, "market_maker")?;
    let pull = run(&mut new_bot(array, Mode::LobFeature(set))?, pulled)?;
    let pull_time = started.elapsed();
    for (name, run, time) in [("by hand", &hand, hand_time), ("pulled", &pull, pull_time)] {
        println!(
            "{name:>8}: {} orders, {} trades, position {:.3}, balance {:.4}, fee {:.6}, {time:?}",
            run.decisions.len(),
            run.trades,
            run.position,
            run.balance,
            run.fee
        );
    }
    let pairs = hand.decisions.iter().zip(&pull.decisions);
    match pairs.clone().find(|(a, b)| a != b) {
        Some((a, b)) => println!("first difference: {a:?} by hand, {b:?} pulled"),
        None => println!("every decision is the same"),
    }
    Ok((hand, pull))
}

fn synthetic_minute(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let path = folder.join("synthetic.npz");
    let market = SyntheticConfig { seed: 11, ..SyntheticConfig::default() };
    write_hftbacktest(&path, &market, NpzCompression::Deflate, Existing::Refuse)?;
    Ok(path)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let array = match std::env::args_os().nth(1) {
        Some(path) => path.into(),
        None => synthetic_minute(folder.path())?,
    };
    compare(&array)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_by_hand_and_pulled_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (hand, pull) = compare(&synthetic_minute(folder.path()).unwrap()).unwrap();
        assert_eq!(hand, pull);
        assert!(hand.decisions.len() > 200 && hand.trades > 0, "{hand:?}");
    }

    #[test]
    fn decisions_are_the_same_on_the_recording() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/hftbacktest");
        let path = root.join("usdm_btcusdt_20240808.npz");
        if !path.is_file() {
            println!("skipped: ../shared/data is absent");
            return;
        }
        let (hand, pull) = compare(&path).unwrap();
        assert_eq!(hand, pull);
        assert!(hand.decisions.len() > 1_000 && hand.trades > 0);
    }
}
