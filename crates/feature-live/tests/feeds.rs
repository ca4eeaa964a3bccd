//! Feeds over real sockets of this machine: the frames of extraction, and what every fault does.
#![cfg(feature = "feeds")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/market.rs"]
mod market;
#[path = "support/recordings.rs"]
mod recordings;
#[path = "support/venue.rs"]
mod venue;

use std::path::{Path, PathBuf};
use std::time::Duration;

use feature_live::feed::{VENUES, sizes};
use feature_live::replay_server::{ReplayServer, ReplayServerOptions};
use feature_live::{Full, Loss, RingOptions};
use market_model::{Instrument, QualityFlags};
use recordings::{symbol, write};
use venue::{
    Plan, Run, assert_last_book, assert_no_wrong_book, assert_recording_reads_back,
    assert_same_frames, extracted,
};

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
    }
    path.exists().then_some(path)
}

/// Three messages in a row, so that one of them is of the book.
fn thrice(kind: &str) -> Vec<String> {
    (150..153).map(|message| format!("{kind}@{message}")).collect()
}

/// A run with faults, whose books were checked.
fn with_faults(venue: &str, faults: &[String], change: impl FnOnce(&mut Plan)) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = write(venue, folder.path(), &recordings::market());
    let truth = extracted(&path, None);
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    let mut plan = Plan::new(venue, &path, symbol(venue)).faults(&faults);
    change(&mut plan);
    let run = plan.run(folder.path());
    assert_recording_reads_back(&run);
    assert_no_wrong_book(&run, &truth);
    let happened: u64 = run.server.faults.named().map(|(_, count)| count).sum();
    assert!(happened > 0, "{venue}: {faults:?} never happened");
    run
}

/// A run that lost its book and found it again.
fn assert_lost_and_found(venue: &str, run: &Run, flags: &[QualityFlags]) {
    for flag in flags {
        assert!(run.kept.flagged(*flag) > 0, "{venue}: no {flag:?}");
    }
    assert!(run.kept.flagged(QualityFlags::STATE_RESET) > 0, "{venue}: no new session");
    assert!(run.feed.snapshots_asked.get() > 1, "{venue}: no snapshot was asked for");
}

#[test]
fn without_faults_the_frames_are_those_of_the_recording() {
    for venue in VENUES {
        let folder = tempfile::tempdir().unwrap();
        let path = write(venue.name, folder.path(), &recordings::market());
        let truth = extracted(&path, None);
        let run = Plan::new(venue.name, &path, symbol(venue.name)).run(folder.path());
        assert_same_frames(&run, &truth);
        assert_recording_reads_back(&run);
        assert!(truth.frames.len() > 300, "{}: {}", venue.name, truth.frames.len());
        assert_eq!(run.feed.connections.get(), 1);
        assert_eq!(run.feed.snapshots_asked.get(), 1, "{}", venue.name);
        assert_eq!((run.stats.rejected, run.stats.gaps), (0, 0));
    }
}

#[test]
fn venues_state_their_sizes() {
    for venue in VENUES {
        let folder = tempfile::tempdir().unwrap();
        let path = write(venue.name, folder.path(), &recordings::market());
        let server = ReplayServer::start(ReplayServerOptions::new(venue, vec![path])).unwrap();
        let endpoint = server.endpoint();
        let of = |symbol: &str| sizes(venue, Some(&endpoint), symbol);
        let [tick, lot] = of(symbol(venue.name)).unwrap();
        let found = Instrument::new(0, "X", &tick, &lot).unwrap();
        let tick = (found.price_scale, found.tick_scaled);
        assert_eq!(tick, (1, 1), "{}: {found:?}", venue.name);
        assert_eq!((found.qty_scale, found.lot_scaled), (3, 1), "{}", venue.name);
        let error = of("NO-SUCH").unwrap_err().to_string();
        assert!(error.contains("NO-SUCH") && error.contains(&server.address().to_string()));
    }
}

#[test]
fn without_faults_the_frames_are_those_of_real_recordings() {
    for (venue, name, symbol) in [
        ("binance-usdm", "binance/usdm_btcusdt_20240718.gz", "BTCUSDT"),
        ("binance-spot", "binance/spot_btcusdt_20240808.gz", "BTCUSDT"),
        ("bybit-linear", "bybit/2024-12-01_XRPUSDT_ob500.data.zip", "XRPUSDT"),
        ("okx", "cryptofeed/OKX.jsonl.zst", "BTC-USDT"),
        ("kraken", "cryptofeed/KRAKEN.jsonl.zst", "XMR/USD"),
    ] {
        let Some(path) = shared(name) else { return };
        let folder = tempfile::tempdir().unwrap();
        let truth = extracted(&path, Some(symbol));
        let run = Plan::new(venue, &path, symbol).run(folder.path());
        assert_same_frames(&run, &truth);
        assert_recording_reads_back(&run);
        println!("{name}: {} frames", truth.frames.len());
    }
}

/// Venues whose messages are numbered, and venues whose books have checksums.
const NUMBERED: [&str; 3] = ["binance-spot", "binance-usdm", "bybit-linear"];
const CHECKED: [&str; 2] = ["okx", "kraken"];

#[test]
fn a_lost_message_is_noticed_and_a_new_snapshot_follows() {
    for venue in NUMBERED {
        let run = with_faults(venue, &thrice("drop"), |_| {});
        assert_lost_and_found(venue, &run, &[QualityFlags::GAP_DETECTED]);
        assert_eq!(run.feed.connections.get(), 1, "{venue}: the connection stood");
    }
    for venue in CHECKED {
        let run = with_faults(venue, &thrice("drop"), |_| {});
        assert_lost_and_found(venue, &run, &[QualityFlags::CHECKSUM_MISMATCH]);
        assert!(run.stats.checksum_mismatches > 0);
    }
}

#[test]
fn messages_in_the_wrong_order_are_noticed() {
    for venue in NUMBERED {
        let run = with_faults(venue, &["reorder:0.05".into()], |_| {});
        assert_lost_and_found(venue, &run, &[QualityFlags::GAP_DETECTED]);
    }
    for venue in CHECKED {
        let run = with_faults(venue, &["reorder:0.05".into()], |_| {});
        assert_lost_and_found(venue, &run, &[QualityFlags::CHECKSUM_MISMATCH]);
    }
}

#[test]
fn a_message_that_comes_twice_changes_nothing_but_a_flag() {
    for venue in NUMBERED {
        let run = with_faults(venue, &thrice("duplicate"), |_| {});
        assert!(run.kept.flagged(QualityFlags::DUPLICATE_INPUT) > 0, "{venue}");
        assert_eq!(run.kept.flagged(QualityFlags::GAP_DETECTED), 0, "{venue}");
        assert_eq!(run.feed.snapshots_asked.get(), 1, "{venue}");
    }
    for venue in CHECKED {
        // Levels are absolute: the second time they change nothing, and the checksum is right.
        let run = with_faults(venue, &thrice("duplicate"), |_| {});
        assert_eq!(run.stats.checksum_mismatches, 0, "{venue}");
    }
}

#[test]
fn a_wrong_checksum_ends_the_book() {
    for venue in CHECKED {
        let run = with_faults(venue, &thrice("checksum"), |_| {});
        assert_lost_and_found(venue, &run, &[QualityFlags::CHECKSUM_MISMATCH]);
        assert_eq!(run.feed.connections.get(), 1, "{venue}: it subscribed again");
    }
}

#[test]
fn a_broken_connection_ends_the_book_and_is_made_again() {
    for venue in VENUES {
        let venue = venue.name;
        let run = with_faults(venue, &["disconnect@150".into()], |_| {});
        let flags = [QualityFlags::REJECTED_INPUT, QualityFlags::GAP_DETECTED];
        assert_lost_and_found(venue, &run, &flags);
        assert_eq!(run.feed.connections.get(), 2, "{venue}");
        let lost: u64 = run.feed.lost.iter().map(feature_live::Count::get).sum();
        assert_eq!((lost, run.feed.rejected.get()), (1, 1), "{venue}");
        assert!(
            run.stats.faults[0].found.contains("lost") || run.stats.faults[0].field == "connection"
        );
    }
}

#[test]
fn silence_is_a_lost_connection() {
    for venue in ["binance-usdm", "kraken"] {
        let faults = ["delay@150:3000".into()];
        let silence = Some(Duration::from_millis(400));
        let run = with_faults(venue, &faults, |plan| plan.feed.silence = silence);
        assert_lost_and_found(venue, &run, &[QualityFlags::REJECTED_INPUT]);
        assert!(run.feed.lost[Loss::Silent as usize].get() >= 1, "{venue}");
        assert!(run.feed.connections.get() >= 2, "{venue}");
    }
}

#[test]
fn a_delay_that_is_no_silence_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = write("okx", folder.path(), &recordings::market());
    let truth = extracted(&path, None);
    let plan = Plan::new("okx", &path, symbol("okx"));
    let mut plan = plan.faults(&["delay@150:300", "delay@151:300"]);
    plan.server.slow = Duration::ZERO;
    let run = plan.run(folder.path());
    assert_same_frames(&run, &truth);
    assert_eq!(run.feed.connections.get(), 1);
}

#[test]
fn everything_at_once_never_makes_a_wrong_book() {
    let faults =
        ["drop:0.01", "duplicate:0.01", "reorder:0.01", "disconnect:0.004", "checksum:0.01"];
    let faults = faults.map(String::from);
    for venue in VENUES {
        let run = with_faults(venue.name, &faults, |plan| plan.server.seed = 5);
        assert!(run.feed.connections.get() > 1, "{}", venue.name);
    }
}

#[test]
fn a_book_that_the_ring_lost_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = write("binance-usdm", folder.path(), &recordings::market());
    let truth = extracted(&path, None);
    let mut plan = Plan::new("binance-usdm", &path, "BTCUSDT").faults(&[]);
    // An engine that is held up for longer than the ring lasts.
    plan.stall = 200;
    plan.worker.ring = RingOptions { packets: 2, full: Full::Drop, ..RingOptions::default() };
    let run = plan.run(folder.path());
    assert!(run.engine.symbols[0].dropped.get() > 0, "the ring was never full");
    assert_lost_and_found("binance-usdm", &run, &[QualityFlags::GAP_DETECTED]);
    assert_eq!(run.feed.connections.get(), 1);
    assert_last_book(&run, &truth);
}

#[test]
fn several_symbols_have_connections_of_their_own_and_recordings_of_their_own() {
    let Some(path) = shared("cryptofeed/KRAKEN.jsonl.zst") else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = ["XMR/USD", "SC/EUR"];
    let frames = venue::several("kraken", &path, &names, folder.path());
    for (name, count) in names.into_iter().zip(frames) {
        let truth = extracted(&path, Some(name));
        let own = extracted(&folder.path().join(name.replace('/', "-")), None);
        assert_eq!((count, own.frames.len()), (truth.frames.len() as u64, truth.frames.len()));
        assert!(own.last == truth.last && count > 500, "{name}: {count}");
    }
}

#[test]
fn the_comparisons_find_a_wrong_book_and_a_wrong_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = write("bybit-linear", folder.path(), &recordings::market());
    let truth = extracted(&path, None);
    let mut run = Plan::new("bybit-linear", &path, symbol("bybit-linear")).run(folder.path());
    assert_no_wrong_book(&run, &truth);
    let fails =
        |check: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err();
    run.kept.tops[100].1[0][0].qty_lots += 1;
    assert!(fails(&|| assert_no_wrong_book(&run, &truth)));
    run.kept.frames[100][20] ^= 1;
    assert!(fails(&|| assert_same_frames(&run, &truth)));
    assert!(fails(&|| assert_recording_reads_back(&run)));
}
