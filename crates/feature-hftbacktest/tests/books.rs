//! Our book beside each depth of hftbacktest, at every wake.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "support/setup.rs"]
mod setup;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_hftbacktest::{FeatureBot, Features, Mode};
use feature_runtime::{FrameRef, SymbolEngine, load_set};
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::{Data, DataSource};
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, L3FIFOQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::{Backtest, ExchangeKind, L3AssetBuilder};
use hftbacktest::depth::{
    BTreeMarketDepth, HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth,
};
use hftbacktest::types::{
    ADD_ORDER_EVENT, BUY_EVENT, Bot, CANCEL_ORDER_EVENT, DEPTH_CLEAR_EVENT, DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT, EXCH_EVENT, Event, FILL_EVENT, LOCAL_EVENT, MODIFY_ORDER_EVENT,
    SELL_EVENT, TRADE_EVENT,
};
use market_io::OpenOptions;
use market_io::write::{ArrayOptions, ArrayWriter, LocalClock};
use market_model::{BookView, Level, Packet, Side};
use setup::{
    FOREVER_NS, StockAsset, bot, compare_feed_by_feed, hash_map, recorded, set, stock, stock_of,
};

const LEVELS: usize = 5;

const EVERY_COLUMN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/tests/every_column.json");

/// Wakes, and wakes with a difference, by cause.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    wakes: usize,
    touch: usize,
    depth: usize,
}

fn lots(qty: f64) -> i64 {
    (qty / 0.001).round() as i64
}

fn compare<MD: MarketDepth + L2MarketDepth + 'static>(
    files: &[PathBuf],
    depth: impl Fn() -> MD + 'static,
) -> Outcome {
    let mut bot = bot(stock(files, depth));
    let mut outcome = Outcome::default();
    compare_feed_by_feed(&mut bot, &mut |bot, _| {
        outcome.wakes += 1;
        let Some(view) = bot.feature_view(0).unwrap() else { return };
        let (book, theirs) = (view.book(), bot.depth(0));
        let best = |side| book.best(side).map(|level: Level| level.price_ticks);
        let touch = (best(Side::Bid), best(Side::Ask));
        if touch != (Some(theirs.best_bid_tick()), Some(theirs.best_ask_tick())) {
            outcome.touch += 1;
            return;
        }
        let same = |side, qty_at: &dyn Fn(i64) -> f64| {
            let top = &book.top(side)[..LEVELS.min(book.top(side).len())];
            top.iter().all(|level| lots(qty_at(level.price_ticks)) == level.qty_lots)
        };
        let bids = same(Side::Bid, &|ticks| theirs.bid_qty_at_tick(ticks));
        let asks = same(Side::Ask, &|ticks| theirs.ask_qty_at_tick(ticks));
        outcome.depth += usize::from(!(bids && asks));
    });
    outcome
}

#[test]
fn books_agree_at_every_wake_of_the_recording() {
    let Some(path) = recorded("usdm_btcusdt_20240808.npz") else { return };
    let files = [path];
    let same = Outcome { wakes: 27_865, touch: 0, depth: 0 };
    assert_eq!(compare(&files, hash_map), same);
    assert_eq!(compare(&files, || ROIVectorMarketDepth::new(0.1, 0.001, 50_000.0, 75_000.0)), same);
    assert_eq!(compare(&files, || BTreeMarketDepth::new(0.1, 0.001)), same);
}

const START_NS: i64 = 1_723_161_255_000_000_000;

/// A row seen by both sides; `at` is the number of its packet.
fn row(kind: u64, at: i64, px: f64, qty: f64, order_id: u64) -> Event {
    let ts = START_NS + at * 1_000_000;
    let (ev, local_ts) = (kind | EXCH_EVENT | LOCAL_EVENT, ts + 1_000);
    Event { ev, exch_ts: ts, local_ts, px, qty, order_id, ival: 0, fval: 0.0 }
}

fn bid(at: i64, px: f64, qty: f64) -> Event {
    row(DEPTH_EVENT | BUY_EVENT, at, px, qty, 0)
}

fn ask(at: i64, px: f64, qty: f64) -> Event {
    row(DEPTH_EVENT | SELL_EVENT, at, px, qty, 0)
}

/// Our best ticks and those of the depth, at the end of the rows.
fn touches<MD>(rows: &[Event], depth: impl Fn() -> MD + 'static) -> [(i64, i64); 2]
where
    MD: MarketDepth + L2MarketDepth + 'static,
{
    let source = DataSource::Data(Data::from_data(rows));
    let mut bot = bot(stock_of(vec![source], depth));
    bot.elapse(FOREVER_NS).unwrap();
    let view = bot.feature_view(0).unwrap().unwrap();
    let best = |side| view.book().best(side).unwrap().price_ticks;
    let theirs = (bot.depth(0).best_bid_tick(), bot.depth(0).best_ask_tick());
    [(best(Side::Bid), best(Side::Ask)), theirs]
}

#[test]
fn a_bare_clear_skips_a_level_in_two_depths() {
    let rows = [
        bid(0, 9.7, 1.0),
        bid(0, 9.6, 1.0),
        bid(0, 9.8, 1.0),
        ask(0, 10.1, 1.0),
        row(DEPTH_CLEAR_EVENT | BUY_EVENT, 1, 9.8, 0.0, 0),
    ];
    assert_eq!(touches(&rows, hash_map), [(97, 101), (96, 101)]);
    assert_eq!(touches(&rows, || ROIVectorMarketDepth::new(0.1, 0.001, 5.0, 15.0))[1], (96, 101));
    assert_eq!(touches(&rows, || BTreeMarketDepth::new(0.1, 0.001))[1], (97, 101));
}

#[test]
fn a_crossing_moves_a_pointer_there_and_freezes_the_features_here() {
    let rows = [bid(0, 9.8, 1.0), ask(0, 10.0, 1.0), ask(0, 10.2, 1.0), bid(1, 10.1, 1.0)];
    assert_eq!(touches(&rows, hash_map), [(101, 100), (101, 102)]);
    assert_eq!(touches(&rows, || BTreeMarketDepth::new(0.1, 0.001))[1], (101, 100));
}

fn l3_stock(
    source: DataSource<Event>,
    depth: impl Fn() -> HashMapMarketDepth + 'static,
) -> StockAsset<HashMapMarketDepth> {
    L3AssetBuilder::new()
        .data(vec![source])
        .latency_model(ConstantLatency::new(0, 0))
        .asset_type(LinearAsset::new(1.0))
        .fee_model(TradingValueFeeModel::new(CommonFees::new(0.0, 0.0)))
        .exchange(ExchangeKind::NoPartialFillExchange)
        .queue_model(L3FIFOQueueModel::new())
        .depth(depth)
        .build()
        .unwrap()
}

/// A recorded feed of orders, converted: the book of the asset at every wake, and every column there
/// is, those of orders among them, as a plain pass over the recording gives it.
#[test]
fn a_recorded_feed_of_orders_keeps_its_book_and_its_columns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/dbn");
    let input = root.join("glbx_ESM4_mbo_20240508_2s.dbn.zst");
    if !input.is_file() {
        println!("skipped: ../shared/data/dbn is absent");
        return;
    }
    let set = Arc::new(load_set(EVERY_COLUMN).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orders.npz");
    let open = OpenOptions { inputs: vec![input], ..OpenOptions::default() };
    let mut source = market_io::open(&open).unwrap();
    let options = ArrayOptions { local_clock: LocalClock::Aligned, ..ArrayOptions::default() };
    let mut writer = ArrayWriter::create(&path, source.instrument(), &options).unwrap();
    let mut engine = SymbolEngine::new(Arc::clone(&set), source.instrument().clone());
    // What reads the local clock is left out: packets of one local time lie 1 ns apart in an array.
    let columns: Vec<usize> =
        (0..set.len()).filter(|index| !set.features()[*index].name.contains("latency")).collect();
    let values = |frame: FrameRef<'_>| columns.iter().map(|index| frame.value(*index)).collect();
    let mut wanted: Vec<Vec<Option<u64>>> = Vec::new();
    let mut packet = Packet::default();
    while source.next_packet(&mut packet).unwrap() {
        writer.write(&packet).unwrap();
        wanted.extend(engine.process(&packet).map(values));
    }
    writer.finish().unwrap();

    let depth = || HashMapMarketDepth::new(0.25, 1.0);
    let asset = l3_stock(DataSource::File(path.to_str().unwrap().into()), depth);
    let features = Features::new(Mode::LobFeature(load_set(EVERY_COLUMN).unwrap()));
    let asset = features.attach("ESM4", asset).unwrap();
    let backtest = Backtest::builder().add_asset(asset).build().unwrap();
    let mut bot = FeatureBot::new(backtest, features).unwrap();
    let mut seen: Vec<Vec<Option<u64>>> = Vec::new();
    compare_feed_by_feed(&mut bot, &mut |bot, _| {
        let Some(view) = bot.feature_view(0).unwrap() else { return };
        let best = |side| view.book().best(side).unwrap();
        let (bid, ask, theirs) = (best(Side::Bid), best(Side::Ask), bot.depth(0));
        let tops = (bid.price_ticks, bid.qty_lots as f64, ask.price_ticks, ask.qty_lots as f64);
        let (their_bid, their_ask) = (theirs.best_bid_tick(), theirs.best_ask_tick());
        assert_eq!(tops, (their_bid, theirs.best_bid_qty(), their_ask, theirs.best_ask_qty()));
        seen.push(values(view.get().frame()));
    });
    assert!(seen.len() > 150, "{} wakes", seen.len());
    assert!(seen == wanted, "{} and {} frames", seen.len(), wanted.len());
}

#[test]
fn orders_add_up_to_levels() {
    let rows = [
        row(ADD_ORDER_EVENT | BUY_EVENT, 0, 9.9, 2.0, 1),
        row(ADD_ORDER_EVENT | SELL_EVENT, 0, 10.1, 1.0, 2),
        row(ADD_ORDER_EVENT | BUY_EVENT, 1, 9.9, 3.0, 3),
        row(TRADE_EVENT | SELL_EVENT, 2, 9.9, 1.0, 0),
        row(FILL_EVENT | BUY_EVENT, 2, 9.9, 1.0, 1),
        row(MODIFY_ORDER_EVENT | BUY_EVENT, 2, 9.9, 1.0, 1),
        row(MODIFY_ORDER_EVENT | SELL_EVENT, 3, 10.0, 1.0, 2),
        row(CANCEL_ORDER_EVENT | BUY_EVENT, 4, 9.9, 3.0, 3),
        row(ADD_ORDER_EVENT | SELL_EVENT, 5, 10.2, 4.0, 4),
    ];
    let wanted = [
        (99, 2_000, 101, 1_000),
        (99, 5_000, 101, 1_000),
        (99, 4_000, 101, 1_000),
        (99, 4_000, 100, 1_000),
        (99, 1_000, 100, 1_000),
        (99, 1_000, 100, 1_000),
    ];
    let source = DataSource::Data(Data::from_data(&rows));
    let asset = l3_stock(source, || HashMapMarketDepth::new(0.1, 0.001));
    let features = Features::new(Mode::LobFeature(set()));
    let asset = features.attach("L3", asset).unwrap();
    let backtest = Backtest::builder().add_asset(asset).build().unwrap();
    let mut bot = FeatureBot::new(backtest, features).unwrap();
    let mut seen = Vec::new();
    compare_feed_by_feed(&mut bot, &mut |bot, _| {
        let view = bot.feature_view(0).unwrap().unwrap();
        let best = |side| view.book().best(side).unwrap();
        let (bid, ask) = (best(Side::Bid), best(Side::Ask));
        let depth = bot.depth(0);
        assert_eq!(bid, Level::new(depth.best_bid_tick(), lots(depth.best_bid_qty())));
        assert_eq!(ask, Level::new(depth.best_ask_tick(), lots(depth.best_ask_qty())));
        seen.push((bid.price_ticks, bid.qty_lots, ask.price_ticks, ask.qty_lots));
    });
    assert_eq!(seen, wanted);
}

#[test]
fn snapshot_rows_replace_the_whole_book() {
    let rows = [
        bid(0, 9.0, 1.0),
        ask(0, 10.0, 1.0),
        ask(0, 12.0, 1.0),
        row(DEPTH_CLEAR_EVENT | BUY_EVENT, 1, 9.8, 0.0, 0),
        row(DEPTH_SNAPSHOT_EVENT | BUY_EVENT, 1, 9.8, 2.0, 0),
        row(DEPTH_CLEAR_EVENT | SELL_EVENT, 1, 9.9, 0.0, 0),
        row(DEPTH_SNAPSHOT_EVENT | SELL_EVENT, 1, 9.9, 2.0, 0),
    ];
    let source = DataSource::Data(Data::from_data(&rows));
    let mut bot = bot(stock_of(vec![source], hash_map));
    bot.elapse(FOREVER_NS).unwrap();
    let view = bot.feature_view(0).unwrap().unwrap();
    assert_eq!(view.book().top(Side::Bid), [Level::new(98, 2_000)]);
    assert_eq!(view.book().top(Side::Ask), [Level::new(99, 2_000)]);
    assert_eq!(lots(bot.depth(0).ask_qty_at_tick(100)), 1_000, "they keep what lies deeper");
}
