//! Every recording that is at hand, as an array: tap, co-replay and a plain pass give the same frames.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "support/setup.rs"]
mod setup;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_hftbacktest::CoReplay;
use hftbacktest::backtest::data::DataSource;
use hftbacktest::depth::{HashMapMarketDepth, INVALID_MAX, INVALID_MIN, MarketDepth};
use hftbacktest::types::{Bot, ElapseResult, OrdType, TimeInForce};
use market_io::OpenOptions;
use market_io::write::{ArrayOptions, ArrayWriter, LocalClock};
use market_model::Packet;
use setup::{
    Frame, NS_PER_S, bot, compare_feed_by_feed, frame_at, frame_of, frames_of, options, set,
    stock_of,
};

/// Recordings of one stream, with tick and lot size.
const RECORDINGS: [(&[&str], [&str; 2]); 5] = [
    (&["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"], ["0.1", "0.001"]),
    (&["usdm_btcusdt_20240808.gz"], ["0.1", "0.001"]),
    (&["cm_btcusd_perp_20240808.gz"], ["0.1", "1"]),
    (&["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"], ["0.01", "0.000001"]),
    (&["spot_btcusdt_20240809.gz"], ["0.01", "0.000001"]),
];

/// An array of a recording; none when it has no snapshot of its own.
fn array(names: &[&str], [tick, lot]: [&str; 2], dir: &Path) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
    let inputs: Vec<_> = names.iter().map(|name| root.join(name)).collect();
    if inputs.iter().any(|path| !path.is_file()) {
        println!("skipped: {names:?} is absent from ../shared/data/binance");
        return None;
    }
    let sizes = (Some(tick.into()), Some(lot.into()));
    let open =
        OpenOptions { inputs, tick_size: sizes.0, lot_size: sizes.1, ..OpenOptions::default() };
    let mut source = market_io::open(&open).unwrap();
    let path = dir.join(names[0]).with_extension("npz");
    let aligned = ArrayOptions { local_clock: LocalClock::Aligned, ..ArrayOptions::default() };
    let mut writer = ArrayWriter::create(&path, source.instrument(), &aligned).unwrap();
    let mut packet = Packet::default();
    loop {
        match source.next_packet(&mut packet) {
            Ok(true) => writer.write(&packet).unwrap(),
            Ok(false) => break,
            // The second day goes on with the book of the first.
            Err(market_io::Error::NoSnapshot { .. }) => return None,
            Err(error) => panic!("{error}"),
        }
    }
    writer.finish().unwrap();
    Some(path)
}

fn depth([tick, lot]: [&str; 2]) -> HashMapMarketDepth {
    HashMapMarketDepth::new(tick.parse().unwrap(), lot.parse().unwrap())
}

fn stock(path: &Path, sizes: [&'static str; 2]) -> setup::StockAsset<HashMapMarketDepth> {
    stock_of(vec![DataSource::File(path.to_str().unwrap().into())], move || depth(sizes))
}

/// The tap at every feed, the last packet at the end of the data included.
fn at_every_feed(path: &Path, sizes: [&'static str; 2], frames: &[Frame]) -> usize {
    let mut bot = bot(stock(path, sizes));
    compare_feed_by_feed(&mut bot, &mut |bot, now| {
        let want = frame_at(frames, now.unwrap_or(i64::MAX));
        assert!(frame_of(bot, 0).as_deref() == want, "{} at {now:?}", path.display());
    })
}

/// The tap at every tenth of a second, with a strategy that trades.
fn while_trading(path: &Path, sizes: [&'static str; 2], frames: &[Frame]) -> i64 {
    let mut bot = bot(stock(path, sizes));
    let (tick, lot) = (depth(sizes).tick_size(), depth(sizes).lot_size());
    let mut id = 0;
    while bot.elapse(NS_PER_S / 10).unwrap() == ElapseResult::Ok {
        let want = frame_at(frames, bot.current_timestamp());
        assert!(frame_of(&bot, 0).as_deref() == want, "{}", path.display());
        let (bid, ask) = (bot.depth(0).best_bid_tick(), bot.depth(0).best_ask_tick());
        if bid == INVALID_MIN || ask == INVALID_MAX {
            continue;
        }
        id += 2;
        let (gtc, limit) = (TimeInForce::GTC, OrdType::Limit);
        bot.submit_buy_order(0, id, ask as f64 * tick, lot, gtc, limit, false).unwrap();
        bot.submit_sell_order(0, id + 1, bid as f64 * tick, lot, gtc, limit, false).unwrap();
        bot.clear_inactive_orders(None);
    }
    assert_eq!(frame_of(&bot, 0).as_deref(), frames.last().map(|frame| &*frame.bytes));
    bot.state_values(0).num_trades
}

/// The co-replay, packet by packet.
fn replayed(options: &OpenOptions) -> Vec<Frame> {
    let mut replay = CoReplay::new(Arc::new(set()), market_io::open(options).unwrap(), 0);
    let mut frames = Vec::new();
    while let Some(made) = replay.step().unwrap() {
        if let Some(frame) = replay.engine().frame().filter(|_| made) {
            let local_ts_ns = frame.header().local_ts_ns;
            frames.push(Frame { local_ts_ns, bytes: frame.as_bytes().to_vec() });
        }
    }
    frames
}

#[test]
fn tap_co_replay_and_plain_pass_agree_on_every_recording() {
    let mut compared = 0;
    for (names, sizes) in RECORDINGS {
        let dir = tempfile::tempdir().unwrap();
        let Some(path) = array(names, sizes, dir.path()) else { continue };
        let open = options(std::slice::from_ref(&path), sizes);
        let frames = frames_of(&open);
        let wakes = at_every_feed(&path, sizes, &frames);
        assert!(frames.len() > 5_000 && wakes >= frames.len(), "{names:?}: {wakes} wakes");
        assert!(replayed(&open) == frames, "{names:?}");
        let trades = while_trading(&path, sizes, &frames);
        assert!(trades > 1_000, "{names:?}: {trades} trades");
        println!("{names:?}: {} frames, {wakes} wakes, {trades} trades", frames.len());
        compared += 1;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
    assert!(compared >= 4 || !root.is_dir(), "{compared} recordings");
}
