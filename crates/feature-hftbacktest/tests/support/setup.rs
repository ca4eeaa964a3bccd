//! Stock assets, recorded and synthetic arrays, and the frames of a plain pass.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_hftbacktest::{FeatureBot, Features, Mode};
use feature_runtime::{FeatureSet, SymbolEngine, built_in_set};
use hftbacktest::backtest::assettype::LinearAsset;
use hftbacktest::backtest::data::{DataSource, read_npz_file};
use hftbacktest::backtest::models::{
    CommonFees, ConstantLatency, RiskAdverseQueueModel, TradingValueFeeModel,
};
use hftbacktest::backtest::proc::{LocalProcessor, Processor};
use hftbacktest::backtest::{Asset, Backtest, ExchangeKind, L2AssetBuilder};
use hftbacktest::depth::{ApplySnapshot, HashMapMarketDepth, L2MarketDepth, MarketDepth};
use hftbacktest::types::{Bot, ElapseResult, Event};
use market_io::sink::Existing;
use market_io::synthetic::SyntheticConfig;
use market_io::write::{NpzCompression, write_hftbacktest};
use market_io::{Format, OpenOptions};
use market_model::Packet;

pub(crate) type StockAsset<MD> = Asset<dyn LocalProcessor<MD>, dyn Processor, Event>;

pub(crate) const NS_PER_S: i64 = 1_000_000_000;
/// Longer than any gap; hftbacktest adds timeouts to its clock without a check.
pub(crate) const FOREVER_NS: i64 = 1_000 * NS_PER_S;

/// One frame, with the local time from which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) local_ts_ns: i64,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn set() -> FeatureSet {
    built_in_set("core_v1").unwrap()
}

pub(crate) fn recorded(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/hftbacktest");
    let path = root.join(name);
    if !path.is_file() {
        println!("skipped: {name} is absent from ../shared/data/hftbacktest");
        return None;
    }
    Some(path)
}

pub(crate) fn synthetic(dir: &Path, name: &str, config: &SyntheticConfig) -> PathBuf {
    let path = dir.join(name);
    write_hftbacktest(&path, config, NpzCompression::Stored, Existing::Refuse).unwrap();
    path
}

pub(crate) fn stock<MD>(files: &[PathBuf], depth: impl Fn() -> MD + 'static) -> StockAsset<MD>
where
    MD: MarketDepth + L2MarketDepth + 'static,
{
    let file = |path: &PathBuf| DataSource::File(path.to_str().unwrap().into());
    stock_of(files.iter().map(file).collect(), depth)
}

pub(crate) fn stock_of<MD>(
    sources: Vec<DataSource<Event>>,
    depth: impl Fn() -> MD + 'static,
) -> StockAsset<MD>
where
    MD: MarketDepth + L2MarketDepth + 'static,
{
    L2AssetBuilder::new()
        .data(sources)
        .latency_model(ConstantLatency::new(10_000_000, 10_000_000))
        .asset_type(LinearAsset::new(1.0))
        .fee_model(TradingValueFeeModel::new(CommonFees::new(-0.00005, 0.0007)))
        .exchange(ExchangeKind::NoPartialFillExchange)
        .queue_model(RiskAdverseQueueModel::new())
        .depth(depth)
        .build()
        .unwrap()
}

pub(crate) fn hash_map() -> HashMapMarketDepth {
    HashMapMarketDepth::new(0.1, 0.001)
}

pub(crate) fn hash_map_with_book(path: &Path) -> HashMapMarketDepth {
    let mut depth = hash_map();
    depth.apply_snapshot(&read_npz_file(path.to_str().unwrap(), "data").unwrap());
    depth
}

/// A bot over one tapped asset.
pub(crate) fn bot<MD: MarketDepth + 'static>(asset: StockAsset<MD>) -> FeatureBot<Backtest<MD>> {
    let features = Features::new(Mode::LobFeature(set()));
    let asset = features.attach("BTCUSDT", asset).unwrap();
    let backtest = Backtest::builder().add_asset(asset).build().unwrap();
    FeatureBot::new(backtest, features).unwrap()
}

/// How the arrays of a plain pass are opened.
pub(crate) fn options(files: &[PathBuf], [tick, lot]: [&str; 2]) -> OpenOptions {
    OpenOptions {
        inputs: files.to_vec(),
        format: Format::Hftbacktest,
        symbol: Some("BTCUSDT".into()),
        tick_size: Some(tick.into()),
        lot_size: Some(lot.into()),
        ..OpenOptions::default()
    }
}

/// The frames of a plain pass over files, as the extractor makes it.
pub(crate) fn plain(files: &[PathBuf], initial_snapshot: Option<PathBuf>) -> Vec<Frame> {
    frames_of(&OpenOptions { initial_snapshot, ..options(files, ["0.1", "0.001"]) })
}

/// The frames of a plain pass.
pub(crate) fn frames_of(options: &OpenOptions) -> Vec<Frame> {
    let mut source = market_io::open(options).unwrap();
    let mut engine = SymbolEngine::new(Arc::new(set()), source.instrument().clone());
    let mut packet = Packet::default();
    let mut frames = Vec::new();
    while source.next_packet(&mut packet).unwrap() {
        if let Some(frame) = engine.process(&packet) {
            let bytes = frame.as_bytes().to_vec();
            frames.push(Frame { local_ts_ns: packet.ts_recv_ns, bytes });
        }
    }
    frames
}

/// The last frame of an asset as a strategy sees it.
pub(crate) fn frame_of<B>(bot: &FeatureBot<B>, asset: usize) -> Option<Vec<u8>> {
    let view = bot.feature_view(asset).unwrap()?;
    Some(view.get().frame().as_bytes().to_vec())
}

/// The last of the frames that hold at a time.
pub(crate) fn frame_at(frames: &[Frame], local_ts_ns: i64) -> Option<&[u8]> {
    let after = frames.partition_point(|frame| frame.local_ts_ns <= local_ts_ns);
    frames[..after].last().map(|frame| frame.bytes.as_slice())
}

/// Runs to the end of the data, feed by feed; compares every wake. The number of wakes.
pub(crate) fn compare_feed_by_feed<MD, B>(
    bot: &mut B,
    check: &mut dyn FnMut(&B, Option<i64>),
) -> usize
where
    MD: MarketDepth,
    B: Bot<MD>,
    B::Error: std::fmt::Debug,
{
    let mut wakes = 0;
    loop {
        match bot.wait_next_feed(false, FOREVER_NS).unwrap() {
            ElapseResult::EndOfData => {
                check(bot, None);
                return wakes + 1;
            }
            ElapseResult::MarketFeed => check(bot, Some(bot.current_timestamp())),
            other => panic!("{other:?}"),
        }
        wakes += 1;
    }
}
