//! The synthetic market: what it looks like, and the files that are made of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;

use market_io::sink::{Existing, SinkError};
use market_io::synthetic::{
    SyntheticConfig, SyntheticKind, SyntheticMessage, SyntheticSource, SyntheticStream,
};
use market_io::write::{
    BinanceWriter, NpzCompression, WriteError, write_binance, write_hftbacktest,
};
use market_io::{Format, OpenOptions, Source};
use market_model::{BookOp, Level, Packet, PacketKind};

fn config(seconds: i64) -> SyntheticConfig {
    SyntheticConfig { duration_ns: seconds * 1_000_000_000, ..SyntheticConfig::default() }
}

fn faulty(seed: u64) -> SyntheticConfig {
    SyntheticConfig { seed, gaps: 3, crossed: 2, duplicates: 4, reorders: 2, ..config(60) }
}

fn messages(config: &SyntheticConfig) -> Vec<SyntheticMessage> {
    let mut stream = SyntheticStream::new(config).unwrap();
    let mut out = Vec::new();
    let mut message = SyntheticMessage::default();
    while stream.next_message(&mut message) {
        out.push(message.clone());
    }
    out
}

fn packets(source: &mut dyn Source) -> Vec<Packet> {
    let mut out = Vec::new();
    let mut packet = Packet::default();
    while source.next_packet(&mut packet).unwrap() {
        out.push(packet.clone());
    }
    out
}

fn open(path: &Path, config: &SyntheticConfig) -> Box<dyn Source> {
    let options = OpenOptions {
        inputs: vec![path.into()],
        symbol: Some(config.symbol.clone()),
        tick_size: Some(config.tick_size.clone()),
        lot_size: Some(config.lot_size.clone()),
        ..OpenOptions::default()
    };
    market_io::open(&options).unwrap()
}

#[test]
fn a_seed_means_the_same_bytes_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let hash = |config: &SyntheticConfig, name: &str| {
        let path = folder.path().join(name);
        write_binance(&path, config, Existing::Replace).unwrap();
        blake3::hash(&std::fs::read(path).unwrap()).to_hex().to_string()
    };
    let found = hash(&faulty(42), "a.txt");
    assert_eq!(found, "f234e7ced4369504e2bb1e6418fea8181a67790074ba7138e95bd94c61ae9c93");
    assert_eq!(found, hash(&faulty(42), "b.txt"));
    assert_ne!(found, hash(&faulty(43), "c.txt"));
}

#[test]
fn faults_are_as_many_as_asked_for_and_the_market_does_not_notice() {
    let mut stream = SyntheticStream::new(&faulty(5)).unwrap();
    let mut message = SyntheticMessage::default();
    while stream.next_message(&mut message) {}
    let counts = stream.counts();
    let found = [counts.gaps, counts.crossed, counts.duplicates, counts.reorders];
    assert_eq!(found, [3, 2, 4, 2]);
    assert_eq!(counts.snapshots, 1 + 3 + 2);
    let trades = |config: &SyntheticConfig| {
        let all = messages(config);
        let trades = all.iter().filter(|m| m.kind == SyntheticKind::Trade);
        trades.map(|m| m.trade).collect::<Vec<_>>()
    };
    let calm = SyntheticConfig { gaps: 0, crossed: 0, duplicates: 0, reorders: 0, ..faulty(5) };
    assert_eq!(trades(&faulty(5)), trades(&calm));
}

/// The book that a reader of the messages builds, level by level.
#[derive(Default)]
struct Replica {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Replica {
    fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in levels {
                if level.qty_lots == 0 {
                    side.remove(&level.price_ticks);
                } else {
                    side.insert(level.price_ticks, level.qty_lots);
                }
            }
        }
    }

    fn best(&self) -> [Level; 2] {
        let bid = self.bids.last_key_value().map(|(&p, &q)| Level::new(p, q)).unwrap();
        let ask = self.asks.first_key_value().map(|(&p, &q)| Level::new(p, q)).unwrap();
        [bid, ask]
    }
}

#[test]
fn diffs_rebuild_the_book_that_the_best_quotes_tell_of() {
    for seed in 0..4 {
        let config = SyntheticConfig { seed, ..config(120) };
        let (mut book, mut held, mut live) = (Replica::default(), Vec::new(), None);
        let (mut last_diff, mut last_recv, mut quote, mut checks) = (0, 0, None, 0);
        for message in messages(&config) {
            assert!(message.ts_recv_ns > last_recv && message.ts_recv_ns > message.ts_event_ns);
            last_recv = message.ts_recv_ns;
            match message.kind {
                SyntheticKind::Trade => assert!(message.trade.qty_lots > 0),
                SyntheticKind::BookTicker => {
                    assert!(message.bids[0].price_ticks < message.asks[0].price_ticks);
                    quote = Some([message.bids[0], message.asks[0]]);
                }
                SyntheticKind::Snapshot => {
                    assert_eq!((message.bids.len(), message.asks.len()), (1_000, 1_000));
                    assert!(!held.is_empty(), "the snapshot comes after the first diffs");
                    book.apply(&message.bids, &message.asks);
                    live = Some(message.seq);
                    let straddling =
                        |m: &&SyntheticMessage| m.first_seq <= message.seq && m.seq > message.seq;
                    assert_eq!(held.iter().filter(straddling).count(), 1, "{:?}", message.seq);
                    for diff in held.iter().filter(|m: &&SyntheticMessage| m.seq > message.seq) {
                        book.apply(&diff.bids, &diff.asks);
                    }
                }
                SyntheticKind::Diff => {
                    assert!(
                        message.first_seq <= message.seq && message.prev_seq < message.first_seq
                    );
                    assert!(last_diff == 0 || message.prev_seq == last_diff);
                    last_diff = message.seq;
                    if live.is_some() {
                        book.apply(&message.bids, &message.asks);
                        assert_eq!(Some(book.best()), quote);
                        checks += 1;
                    } else {
                        held.push(message);
                    }
                }
            }
        }
        assert!(checks > 2_000, "{checks}");
    }
}

#[test]
fn crossed_diffs_cross_the_book_until_the_next_one() {
    let config = SyntheticConfig { crossed: 5, ..config(60) };
    let (mut book, mut crossed) = (Replica::default(), Vec::new());
    let all = packets(&mut SyntheticSource::new(&config).unwrap());
    for (index, packet) in all.iter().filter(|p| p.touches_book()).enumerate() {
        for (op, levels) in packet.runs() {
            let [bids, asks] = if op == BookOp::SetBid { [levels, &[]] } else { [&[], levels] };
            book.apply(bids, asks);
        }
        let [bid, ask] = book.best();
        if bid.price_ticks >= ask.price_ticks {
            crossed.push(index);
        }
    }
    assert_eq!(crossed.len(), 5, "{crossed:?}");
}

#[test]
fn the_market_looks_like_a_market() {
    let (mut ticks, mut quotes, mut trades, mut diffs, mut levels) = (0, 0, 0, 0, 0);
    let (mut spreads, mut sizes, mut mids) = ([0; 4], Vec::new(), Vec::new());
    let mut last_mid = 0;
    let mut profile = vec![0_i64; 1_000];
    for message in messages(&SyntheticConfig { gaps: 40, ..config(600) }) {
        match message.kind {
            SyntheticKind::BookTicker => {
                quotes += 1;
                let (bid, ask) = (message.bids[0].price_ticks, message.asks[0].price_ticks);
                spreads[usize::try_from(ask - bid).unwrap().min(4) - 1] += 1;
                ticks += i64::from(bid + ask != last_mid);
                last_mid = bid + ask;
            }
            SyntheticKind::Trade => {
                trades += 1;
                sizes.push(message.trade.qty_lots);
            }
            SyntheticKind::Diff => {
                diffs += 1;
                levels += message.bids.len() + message.asks.len();
                mids.push(last_mid);
            }
            SyntheticKind::Snapshot => {
                let best = message.bids[0].price_ticks;
                for level in &message.bids {
                    if let Some(sum) = profile.get_mut((best - level.price_ticks) as usize) {
                        *sum += level.qty_lots;
                    }
                }
            }
        }
    }
    sizes.sort_unstable();
    let percent = |n: i64| 100 * n / quotes;
    let one_tick = percent(spreads[0]);
    let [median, p99, max] = [50, 99, 100].map(|p| sizes[(sizes.len() - 1) * p / 100]);
    let (low, high) = (mids.iter().min().unwrap(), mids.iter().max().unwrap());
    let mean = |range: std::ops::Range<usize>| {
        let len = range.len() as i64;
        profile[range].iter().sum::<i64>() / len
    };
    let [near, hump, far] = [mean(1..4), mean(8..40), mean(400..900)];
    println!(
        "quotes {quotes} spreads {spreads:?} mid changes {ticks} trades {trades} diffs {diffs} \
         levels {levels} sizes {median} {p99} {max} range {} profile {near} {hump} {far}",
        (high - low) / 2
    );
    assert!(one_tick >= 70, "{one_tick} % of the quotes have a spread of one tick");
    assert!((600..60_000).contains(&ticks), "{ticks} changes of the mid in 600 s");
    assert!((high - low) / 2 > 30, "the mid wanders: {low} to {high}");
    assert!(p99 > 20 * median && max > 100 * median, "{median} {p99} {max}");
    assert!(near < hump && far < hump, "{near} {hump} {far}");
    assert!((11_000..13_000).contains(&diffs) && levels / diffs > 15, "{diffs} {levels}");
    assert!((5_000..200_000).contains(&trades), "{trades}");
}

#[test]
fn trades_come_in_bursts() {
    let all = messages(&config(300));
    let mut per_second = vec![0_i64; 301];
    for message in all.iter().filter(|m| m.kind == SyntheticKind::Trade) {
        let second = (message.ts_event_ns - all[0].ts_event_ns) / 1_000_000_000;
        per_second[second as usize] += 1;
    }
    let (n, sum) = (300, per_second.iter().sum::<i64>());
    let squares = per_second.iter().map(|c| c * c).sum::<i64>();
    // Variance over mean is 1 without excitation.
    let dispersion = (n * squares - sum * sum) / (n * sum).max(1);
    assert!(dispersion >= 3, "{dispersion}");
}

#[test]
fn a_recorder_file_gives_the_packets_of_the_source() {
    let folder = tempfile::tempdir().unwrap();
    for (name, config) in [
        ("calm.gz", config(60)),
        ("faulty.gz", faulty(9)),
        (
            "plain.txt",
            SyntheticConfig {
                tick_size: "0.25".into(),
                lot_size: "1".into(),
                start_price: "5000".into(),
                symbol: "ES-Z".into(),
                levels: 50,
                ..faulty(11)
            },
        ),
    ] {
        let path = folder.path().join(name);
        let done = write_binance(&path, &config, Existing::Refuse).unwrap();
        assert_eq!(done.rows, messages(&config).len() as u64);
        let mut read = open(&path, &config);
        let mut made = SyntheticSource::new(&config).unwrap();
        let (found, want) = (packets(&mut *read), packets(&mut made));
        for (found, want) in found.iter().zip(&want) {
            assert_eq!(found, want, "{name}");
        }
        assert_eq!(found.len(), want.len(), "{name}");
        let (read, made) = (read.stats(), made.stats());
        assert_eq!(read.depth_updates, made.depth_updates);
        assert_eq!((read.snapshots, read.gaps), (made.snapshots, made.gaps));
        assert!(read.rejected == 0 && read.rounded == 0, "{read:?}");
    }
}

/// What an npz can hold of a packet.
fn content(packet: &Packet) -> (bool, Vec<(bool, i64, i64)>, usize) {
    let sets = packet.runs().flat_map(|(op, levels)| {
        let is_set = matches!(op, BookOp::SetBid | BookOp::SetAsk);
        let is_bid = op == BookOp::SetBid;
        levels.iter().filter(move |_| is_set).map(move |l| (is_bid, l.price_ticks, l.qty_lots))
    });
    let mut sets: Vec<_> = sets.collect();
    if packet.kind == PacketKind::Snapshot {
        // An array has a snapshot side by side.
        sets.sort_by_key(|(is_bid, ..)| !is_bid);
    }
    (packet.kind == PacketKind::Snapshot, sets, packet.trades.len())
}

#[test]
fn an_npz_gives_the_same_events() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(30);
    for compression in [NpzCompression::Stored, NpzCompression::Deflate] {
        let path = folder.path().join(format!("{compression:?}.npz"));
        let done = write_hftbacktest(&path, &config, compression, Existing::Refuse).unwrap();
        let want = packets(&mut SyntheticSource::new(&config).unwrap());
        let found = packets(&mut *open(&path, &config));
        assert_eq!(found.len(), want.len());
        let events: u64 = want.iter().map(Packet::event_count).sum();
        assert!(done.rows > events + 2, "two clears, and rows that overtake each other");
        for (found, want) in found.iter().zip(&want) {
            let (_, found_sets, found_trades) = content(found);
            let (_, want_sets, want_trades) = content(want);
            assert!((found_sets, found_trades) == (want_sets, want_trades), "at {}", want.seq);
            assert_eq!(found.trades, want.trades);
            let stamps = |packet: &Packet| (packet.ts_event_ns, packet.ts_recv_ns);
            assert_eq!(stamps(found), stamps(want));
            assert_eq!(found.seq, want.seq);
        }
    }
}

#[test]
fn wrong_destinations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let config = config(1);
    let stored = NpzCompression::Stored;
    std::fs::write(&path, "old").unwrap();
    let error = write_hftbacktest(&path, &config, stored, Existing::Refuse).unwrap_err();
    assert!(matches!(error, WriteError::Sink(SinkError::Exists { .. })));
    let error = write_binance(&path, &config, Existing::Refuse).unwrap_err();
    assert!(matches!(error, WriteError::Sink(SinkError::Exists { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(BinanceWriter::create(&folder.path().join("b.gz"), &config, Existing::Refuse).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn configurations_that_make_no_market_are_refused_by_name() {
    let base = SyntheticConfig::default;
    for (option, config) in [
        ("tick size", SyntheticConfig { tick_size: "0".into(), ..base() }),
        ("lot size", SyntheticConfig { lot_size: "x".into(), ..base() }),
        ("start_price", SyntheticConfig { start_price: "61800.25".into(), ..base() }),
        ("start_price", SyntheticConfig { start_price: "1".into(), ..base() }),
        ("start_price", SyntheticConfig { start_price: "1e15".into(), ..base() }),
        ("symbol", SyntheticConfig { symbol: "A\"B".into(), ..base() }),
        ("levels", SyntheticConfig { levels: 0, ..base() }),
        ("packets_per_second", SyntheticConfig { packets_per_second: 0, ..base() }),
        ("events_per_packet", SyntheticConfig { events_per_packet: 0, ..base() }),
        ("start_ns", SyntheticConfig { start_ns: 5, ..base() }),
        ("start_ns", SyntheticConfig { duration_ns: i64::MAX, ..base() }),
        ("start_ns", SyntheticConfig { duration_ns: 0, ..base() }),
    ] {
        let error = SyntheticStream::new(&config).err().unwrap().to_string();
        assert!(error.contains(option), "{option}: {error}");
    }
}

#[test]
fn a_market_at_its_floor_goes_on() {
    let config = SyntheticConfig {
        start_price: "2560".into(),
        tick_size: "1".into(),
        levels: 100,
        ..config(300)
    };
    for message in messages(&config) {
        assert!(message.bids.iter().chain(&message.asks).all(|level| level.price_ticks > 0));
    }
}

#[test]
fn formats_are_recognised_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(5);
    let path = folder.path().join("nameless");
    write_binance(&path, &config, Existing::Refuse).unwrap();
    let auto = OpenOptions { inputs: vec![path], ..OpenOptions::default() };
    assert_eq!(auto.format, Format::Auto);
    let found = market_io::open(&auto).unwrap();
    assert_eq!(found.instrument().tick_scaled, 1);
}

#[test]
#[ignore = "a measurement: run in release"]
fn speed() {
    let config = config(600);
    let start = std::time::Instant::now();
    let mut stream = SyntheticStream::new(&config).unwrap();
    let mut message = SyntheticMessage::default();
    let mut levels = 0;
    while stream.next_message(&mut message) {
        levels += message.bids.len() + message.asks.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    let counts = stream.counts();
    println!(
        "stream: {:.0} messages/s, {counts:?}, {levels} levels",
        counts.messages as f64 / seconds
    );
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.txt", "a.gz"] {
        let start = std::time::Instant::now();
        let done = write_binance(&folder.path().join(name), &config, Existing::Refuse).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!("{name}: {:.0} messages/s, {} bytes", done.rows as f64 / seconds, done.bytes);
    }
    for compression in [NpzCompression::Stored, NpzCompression::Deflate] {
        let path = folder.path().join(format!("{compression:?}.npz"));
        let start = std::time::Instant::now();
        let done = write_hftbacktest(&path, &config, compression, Existing::Refuse).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!("{compression:?}: {:.0} rows/s, {} bytes", done.rows as f64 / seconds, done.bytes);
    }
}
