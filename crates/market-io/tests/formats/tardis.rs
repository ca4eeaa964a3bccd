//! Tardis CSV files.

use market_io::{Format, OpenOptions};
use market_model::{FeedKind, Packet, PacketKind, Sequencing};

use crate::book::{Book, drain, options, read, shared, write_file};
use crate::{check_packets, check_sample, sample};

#[test]
fn the_samples_give_their_packets() {
    for name in ["book", "trades", "snapshots", "quotes"] {
        let inputs = sample("tardis", &[&format!("{name}.csv")]);
        check_sample(&options(inputs), Format::Tardis, &format!("expected_{name}.ndjson"));
    }
}

/// In the order of the local times; at equal times the kind that was named first comes first.
#[test]
fn books_and_trades_are_merged() {
    for (names, expected) in [
        (["book.csv", "trades.csv"], "expected_merged.ndjson"),
        (["trades.csv", "book.csv"], "expected_merged_trades_first.ndjson"),
    ] {
        check_packets(&options(sample("tardis", &names)), Format::Tardis, expected);
    }
}

#[test]
fn changes_before_the_first_snapshot_are_dropped() {
    let mut source = market_io::open(&options(sample("tardis", &["book.csv"]))).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none());
    let kinds: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
    use PacketKind::{Delta, Rejected, Snapshot};
    assert_eq!(kinds, [Snapshot, Delta, Delta, Rejected, Snapshot]);
    let stats = source.stats();
    assert_eq!(
        (stats.records, stats.dropped_updates, stats.snapshots, stats.rejected),
        (10, 1, 2, 1)
    );
    assert!(stats.faults[0].to_string().contains("line 8"), "{}", stats.faults[0]);
}

#[test]
fn a_snapshot_replaces_what_stood_before_it_in_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&sample("tardis", &["book.csv"])[0]).unwrap();
    let last = text.lines().last().unwrap();
    let [before, after] = ["false,ask,6500,7", "false,ask,6440,3"]
        .map(|change| last.replace("true,bid,6429.5,8", change));
    let first = text.lines().rev().nth(1).unwrap();
    let mixed = text.replace(first, &format!("{before}\n{first}")) + &after + "\n";
    let (packets, error) = read(&options(vec![write_file(&dir, "b.csv", mixed.as_bytes())]));
    assert!(error.is_none());
    let mut book = Book::default();
    packets.iter().for_each(|packet| book.apply(packet));
    assert_eq!(packets.last().unwrap().kind, PacketKind::Snapshot);
    assert_eq!(book.asks.keys().copied().collect::<Vec<_>>(), [64_300, 64_400]);
}

#[test]
fn two_kinds_of_book_are_refused() {
    let error = read(&options(sample("tardis", &["book.csv", "quotes.csv"]))).1.unwrap();
    assert!(error.to_string().contains("one kind of book"), "{error}");
}

#[test]
fn local_times_that_decrease_end_the_reading() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&sample("tardis", &["quotes.csv"])[0]).unwrap();
    let late = text.replace("1588291201454126", "1588291201234267");
    let (packets, error) = read(&options(vec![write_file(&dir, "q.csv", late.as_bytes())]));
    let error = error.unwrap().to_string();
    assert!(packets.is_empty() && error.contains("line 3"), "{error}");
    assert!(error.contains("do not decrease"), "{error}");
}

/// Half a number looks like a number, so that a last line must have its end.
#[test]
fn lines_that_are_cut_or_too_long_end_the_reading() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&sample("tardis", &["quotes.csv"])[0]).unwrap();
    let long = format!("{text}{}\n", "9".repeat(5 << 20));
    for (text, part) in [
        (text.trim_end(), ["line 3", "truncated last line"]),
        (&long, ["line 4", "expected at most 4194304 bytes"]),
    ] {
        let (_, error) = read(&options(vec![write_file(&dir, "q.csv", text.as_bytes())]));
        let error = error.unwrap().to_string();
        assert!(part.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn symbols_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&sample("tardis", &["quotes.csv"])[0]).unwrap();
    let other = text.lines().last().unwrap().replace("T-USD", "U-USD");
    let path = write_file(&dir, "q.csv", format!("{text}{other}\n").as_bytes());
    let error = read(&options(vec![path.clone()])).1.unwrap().to_string();
    assert!(error.contains("found T-USD and U-USD"), "{error}");
    let chosen = OpenOptions { symbol: Some("U-USD".into()), ..options(vec![path]) };
    let (packets, error) = read(&chosen);
    assert!(error.is_none());
    assert_eq!(packets.len(), 1);
}

/// Independent of the decoder: the columns of each row, read as floats.
#[test]
fn real_files_are_read() {
    let name = |file: &str| format!("tardis/{file}");
    for (file, symbol, sizes, packets, depth) in [
        ("binance-futures_book_snapshot_5_BTCUSDT.csv", "BTCUSDT", ("0.01", "0.001"), 10, 5),
        ("binance-futures_book_snapshot_25_BTCUSDT.csv", "BTCUSDT", ("0.01", "0.001"), 10, 25),
        ("huobi-dm-swap_quotes_BTC-USD.csv", "BTC-USD", ("0.1", "1"), 10, 1),
        ("deribit_incremental_book_L2_BTC-PERPETUAL.csv", "BTC-PERPETUAL", ("0.5", "10"), 1, 15),
        ("bitmex_trades_XBTUSD.csv", "XBTUSD", ("0.5", "1"), 0, 0),
        ("binance-futures_trades_BTCUSDT_10k.csv.zst", "BTCUSDT", ("0.01", "0.001"), 0, 0),
    ] {
        let Some(paths) = shared(&[&name(file)]) else { return };
        let sized = OpenOptions {
            tick_size: Some(sizes.0.into()),
            lot_size: Some(sizes.1.into()),
            ..options(paths)
        };
        let mut source = market_io::open(&sized).unwrap();
        let instrument = source.instrument().clone();
        assert_eq!(
            (instrument.symbol.as_str(), instrument.sequencing),
            (symbol, Sequencing::Arrival)
        );
        let (found, error) = drain(source.as_mut());
        assert!(error.is_none(), "{file}: {error:?}");
        assert_eq!(source.stats().rejected, 0, "{file}: {:?}", source.stats().faults);
        let trades: usize = found.iter().map(|packet| packet.trades.len()).sum();
        assert_eq!(trades as u64, if packets == 0 { source.stats().records } else { 0 }, "{file}");
        if packets == 0 {
            continue;
        }
        assert_eq!(found.len(), packets, "{file}");
        let mut book = Book::default();
        book.apply(&found[packets - 1]);
        let levels = if file.starts_with("deribit") { (0, depth) } else { (depth, depth) };
        assert_eq!((book.bids.len(), book.asks.len()), levels, "{file}");
        let is_full = instrument.feed == FeedKind::Snapshot;
        assert_eq!(is_full, !file.starts_with("deribit"), "{file}");
    }
}

/// The first five levels of the 25-level file are the rows of the 5-level file of the same time.
#[test]
fn two_depths_of_one_book_agree() {
    let names =
        [5, 25].map(|depth| format!("tardis/binance-futures_book_snapshot_{depth}_BTCUSDT.csv"));
    let Some(paths) = shared(&[&names[0], &names[1]]) else { return };
    let tops = |path: &std::path::PathBuf| -> Vec<_> {
        let sized = OpenOptions {
            tick_size: Some("0.01".into()),
            lot_size: Some("0.001".into()),
            ..options(vec![path.clone()])
        };
        let top = |packet: &Packet| {
            let sides = packet.runs().map(|(_, levels)| levels[..5].to_vec()).collect::<Vec<_>>();
            (packet.ts_event_ns, sides)
        };
        read(&sized).0.iter().map(top).collect()
    };
    let (few, many) = (tops(&paths[0]), tops(&paths[1]));
    let shared = few.iter().filter(|row| many.contains(row)).count();
    let known = few.iter().filter(|(ts, _)| many.iter().any(|(other, _)| other == ts)).count();
    assert!(shared == known && shared >= 2, "{shared} of {known} rows of equal time agree");
}
