//! The tap gives the bits of a plain pass, whatever the strategy does.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/setup.rs"]
mod setup;

use std::path::PathBuf;

use feature_hftbacktest::{Error, FeatureBot, Features, Mode};
use hftbacktest::backtest::Backtest;
use hftbacktest::backtest::data::read_npz_file;
use hftbacktest::depth::{HashMapMarketDepth, INVALID_MAX, INVALID_MIN, MarketDepth};
use hftbacktest::types::{Bot, ElapseResult, OrdType, TimeInForce};
use market_io::synthetic::SyntheticConfig;
use setup::{
    FOREVER_NS, NS_PER_S, bot, compare_feed_by_feed, frame_at, frame_of, hash_map,
    hash_map_with_book, plain, recorded, set, stock, synthetic,
};

/// A market with everything that goes wrong in one.
fn troubled() -> SyntheticConfig {
    SyntheticConfig {
        seed: 3,
        duration_ns: 20 * NS_PER_S,
        gaps: 2,
        crossed: 3,
        duplicates: 2,
        reorders: 1,
        ..SyntheticConfig::default()
    }
}

fn every_wake_shows_the_plain_frame(files: &[PathBuf]) -> usize {
    let frames = plain(files, None);
    let mut bot = bot(stock(files, hash_map));
    let mut next = 0;
    let wakes = compare_feed_by_feed(&mut bot, &mut |bot, now| {
        let want = frame_at(&frames, now.unwrap_or(i64::MAX));
        assert_eq!(frame_of(bot, 0).as_deref(), want, "wake {next} at {now:?}");
        next += 1;
    });
    assert!(frames.len() > 100 && wakes >= frames.len());
    wakes
}

#[test]
fn tap_equals_plain_extraction_on_a_synthetic_market() {
    let dir = tempfile::tempdir().unwrap();
    every_wake_shows_the_plain_frame(&[synthetic(dir.path(), "a.npz", &troubled())]);
}

#[test]
fn tap_equals_plain_extraction_on_the_recording() {
    let Some(path) = recorded("usdm_btcusdt_20240808.npz") else { return };
    assert_eq!(every_wake_shows_the_plain_frame(&[path]), 27_865);
}

#[test]
fn long_sleeps_miss_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = [synthetic(dir.path(), "a.npz", &troubled())];
    let frames = plain(&files, None);
    let mut bot = bot(stock(&files, hash_map));
    let mut wakes = 0;
    while bot.elapse(NS_PER_S / 10).unwrap() == ElapseResult::Ok {
        let want = frame_at(&frames, bot.current_timestamp());
        assert_eq!(frame_of(&bot, 0).as_deref(), want, "wake {wakes}");
        wakes += 1;
    }
    assert!(wakes > 150 && wakes < frames.len(), "{wakes} of {}", frames.len());
    assert_eq!(frame_of(&bot, 0), frames.last().map(|frame| frame.bytes.clone()));
}

#[test]
fn last_packet_is_seen_at_the_end_without_asking() {
    let dir = tempfile::tempdir().unwrap();
    let files = [synthetic(dir.path(), "a.npz", &troubled())];
    let frames = plain(&files, None);
    let bot = &mut bot(stock(&files, hash_map));
    let last = std::sync::Arc::new(std::sync::Mutex::new((0_usize, Vec::new())));
    let sink = std::sync::Arc::clone(&last);
    bot.on_features(&[], move |frame: &feature_runtime::FrameRef<'_>| {
        let mut last = sink.lock().unwrap();
        last.0 += 1;
        last.1 = frame.as_bytes().to_vec();
    })
    .unwrap();
    while bot.elapse(FOREVER_NS).unwrap() != ElapseResult::EndOfData {}
    let last = last.lock().unwrap();
    assert_eq!(Some(&last.1), frames.last().map(|frame| &frame.bytes));
    assert_eq!(last.0, frames.len(), "every frame of this set changes something");
}

/// Quotes on both sides at every tenth of a second, and takes what it gets.
fn with_orders(bot: &mut FeatureBot<Backtest<HashMapMarketDepth>>) -> (Vec<Option<Vec<u8>>>, i64) {
    let mut seen = Vec::new();
    let mut id = 0;
    while bot.elapse(NS_PER_S / 10).unwrap() == ElapseResult::Ok {
        seen.push(frame_of(bot, 0));
        let (bid, ask) = (bot.depth(0).best_bid_tick(), bot.depth(0).best_ask_tick());
        if bid == INVALID_MIN || ask == INVALID_MAX {
            continue;
        }
        id += 2;
        let (gtc, limit) = (TimeInForce::GTC, OrdType::Limit);
        bot.submit_buy_order(0, id, ask as f64 * 0.1, 0.001, gtc, limit, id % 4 == 0).unwrap();
        bot.submit_sell_order(0, id + 1, (ask + 3) as f64 * 0.1, 0.001, gtc, limit, false).unwrap();
        bot.clear_inactive_orders(None);
    }
    (seen, bot.state_values(0).num_trades)
}

#[test]
fn orders_and_their_responses_never_reach_the_features() {
    let dir = tempfile::tempdir().unwrap();
    let files = [synthetic(dir.path(), "a.npz", &troubled())];
    let frames = plain(&files, None);
    let mut traded = bot(stock(&files, hash_map));
    let (seen, trades) = with_orders(&mut traded);
    assert!(trades > 20, "{trades} trades");
    let mut distinct: Vec<_> = seen.into_iter().flatten().collect();
    distinct.dedup();
    let mut rest = frames.iter();
    for frame in distinct {
        assert!(
            rest.any(|plain| plain.bytes == frame),
            "a frame that the plain pass does not have"
        );
    }
    assert_eq!(frame_of(&traded, 0), frames.last().map(|frame| frame.bytes.clone()));
}

#[test]
fn two_files_with_a_book_before_them() {
    let (Some(day), Some(book)) =
        (recorded("usdm_btcusdt_20240808.npz"), recorded("eod_usdm_btcusdt_20240808.npz"))
    else {
        return;
    };
    // The book was taken at the end of the day; as a test any book will do.
    let dir = tempfile::tempdir().unwrap();
    let late = SyntheticConfig { start_ns: 1_723_161_660_000_000_000, ..troubled() };
    let files = [day, synthetic(dir.path(), "b.npz", &late)];
    let frames = plain(&files, Some(book.clone()));
    assert_ne!(frames, plain(&files, None));

    let features = Features::new(Mode::LobFeature(set()));
    let path = book.clone();
    let asset = stock(&files, move || hash_map_with_book(&path));
    assert!(matches!(
        features.attach("BTCUSDT", asset),
        Err(Error::OneSidedInitialBook { depth: "with", .. })
    ));
    let path = book.clone();
    let asset = stock(&files, move || hash_map_with_book(&path));
    let rows = read_npz_file(book.to_str().unwrap(), "data").unwrap();
    let asset = features.attach_with_book("BTCUSDT", asset, &rows).unwrap();
    let backtest = Backtest::builder().add_asset(asset).build().unwrap();
    let mut bot = FeatureBot::new(backtest, features).unwrap();
    compare_feed_by_feed(&mut bot, &mut |bot, now| {
        let want = frame_at(&frames, now.unwrap_or(i64::MAX));
        assert_eq!(frame_of(bot, 0).as_deref(), want, "{now:?}");
    });
}

#[test]
fn two_assets_keep_to_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let other = SyntheticConfig { seed: 8, ..troubled() };
    let files =
        [synthetic(dir.path(), "a.npz", &troubled()), synthetic(dir.path(), "b.npz", &other)];
    let alone = [plain(&files[..1], None), plain(&files[1..], None)];
    let features = Features::new(Mode::LobFeature(set()));
    let mut backtest = Backtest::builder();
    for (file, symbol) in files.iter().zip(["A", "B"]) {
        let asset = stock(std::slice::from_ref(file), hash_map);
        backtest = backtest.add_asset(features.attach(symbol, asset).unwrap());
    }
    let mut bot = FeatureBot::new(backtest.build().unwrap(), features).unwrap();
    // Everything but the symbol id, which the plain pass does not know.
    let content = |bytes: &[u8]| [&bytes[..16], &bytes[20..]].concat();
    compare_feed_by_feed(&mut bot, &mut |bot, now| {
        for (asset, frames) in alone.iter().enumerate() {
            let want = frame_at(frames, now.unwrap_or(i64::MAX)).map(content);
            assert_eq!(
                frame_of(bot, asset).as_deref().map(content),
                want,
                "asset {asset}, {now:?}"
            );
        }
    });
}

#[test]
fn stats_only_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let files = [synthetic(dir.path(), "a.npz", &troubled())];
    let features = Features::new(Mode::StatsOnly);
    let asset = features.attach("BTCUSDT", stock(&files, hash_map)).unwrap();
    let backtest = Backtest::builder().add_asset(asset).build().unwrap();
    let mut quiet = FeatureBot::new(backtest, features).unwrap();
    let mut with_features = bot(stock(&files, hash_map));
    loop {
        let result = quiet.elapse(NS_PER_S / 10).unwrap();
        assert_eq!(result, with_features.elapse(NS_PER_S / 10).unwrap());
        assert_eq!(quiet.current_timestamp(), with_features.current_timestamp());
        assert_eq!(quiet.depth(0).best_bid_tick(), with_features.depth(0).best_bid_tick());
        assert_eq!(quiet.feed_latency(0), with_features.feed_latency(0));
        if result == ElapseResult::EndOfData {
            break;
        }
    }
    assert!(matches!(quiet.get_feature(0, "best_bid"), Err(Error::StatsOnly)));
    assert!(with_features.get_feature(0, "best_bid").unwrap().is_some());
}

#[test]
fn misuse_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = [synthetic(dir.path(), "a.npz", &troubled())];
    let features = Features::new(Mode::LobFeature(set()));
    let asset = features.attach("BTCUSDT", stock(&files, hash_map)).unwrap();
    let again = features.attach("BTCUSDT", stock(&files, hash_map)).err().unwrap();
    assert!(again.to_string().contains("BTCUSDT cannot be added"), "{again}");
    let backtest =
        Backtest::builder().add_asset(asset).add_asset(stock(&files, hash_map)).build().unwrap();
    let error = FeatureBot::new(backtest, features.clone()).err().unwrap();
    assert_eq!(error.to_string(), "the backtest has 2 assets, 1 were attached");
    let unknown = features.get_feature(0, "microprise").unwrap_err();
    assert!(unknown.to_string().contains("microprise"), "{unknown}");
    assert!(features.get_feature(7, "best_bid").is_err());
}
