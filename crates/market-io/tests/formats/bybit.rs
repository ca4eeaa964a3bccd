//! Bybit streams and archives.

use market_io::{Format, OpenOptions, Source};
use market_model::{PacketKind, Sequencing};

use crate::book::{Book, drain, options, read, write_file};
use crate::{check_sample, sample};

#[test]
fn the_sample_gives_its_packets() {
    let options = options(sample("bybit", &["sample.txt"]));
    check_sample(&options, Format::Bybit, "expected.ndjson");
    let mut source = market_io::open(&options).unwrap();
    let instrument = source.instrument();
    assert_eq!((instrument.symbol.as_str(), instrument.venue.as_str()), ("BTCUSDT", "bybit"));
    assert_eq!((instrument.price_scale, instrument.qty_scale), (1, 3));
    assert_eq!(instrument.sequencing, Sequencing::Venue);
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    let ids: Vec<_> = packets.iter().map(|p| (p.seq, p.prev_seq)).collect();
    assert_eq!(ids, [(100, 0), (0, 0), (101, 100), (102, 101), (0, 0), (1, 0)]);
    let stats = source.stats();
    assert_eq!((stats.records, stats.packets, stats.rejected), (10, 6, 1));
    assert_eq!((stats.snapshots, stats.dropped_updates), (2, 1));
    for kind in ["answer", "tickers", "book of fewer levels", "block trade"] {
        assert_eq!(stats.ignored[kind], 1, "{kind}");
    }
    let fault = stats.faults[0].to_string();
    assert!(fault.contains("line 9") && fault.contains("field `b`"), "{fault}");
}

fn message(kind: &str, id: &str, bids: &str) -> String {
    format!(
        "1758841137170000000 {{\"topic\":\"orderbook.50.X\",\"type\":\"{kind}\",\"ts\":1758841137166,\
         \"data\":{{\"s\":\"X\",\"b\":{bids},\"a\":[[\"1.6\",\"2\"]],\"u\":{id},\"seq\":1}}}}\n"
    )
}

#[test]
fn bad_lines_are_refused_one_by_one() {
    let good = message("delta", "8", "[[\"1.5\",\"1\"]]");
    let dir = tempfile::tempdir().unwrap();
    for (line, field, found) in [
        (good[..90].to_owned(), "line", "EOF"),
        (good.replace("\"1.5\"", "\"NaN\""), "b", "NaN"),
        (good.replace("\"1.5\"", "\"1.55\""), "b", "--tick-size"),
        (good.replace("\"1.5\"", "\"0\""), "b", "a positive price"),
        (good.replace("[\"1.5\",\"1\"]", "[\"1.5\"]"), "b", "[[\\\"1.5\\\"]]"),
        (good.replace("\"u\":8", "\"u\":0"), "u", "an id above 0"),
        (good.replace("\"u\":8", "\"u\":-8"), "u", "-8"),
        (good.replace("\"u\":8,", ""), "u", "nothing"),
        (good.replace("delta", "update"), "type", "snapshot or delta"),
        (good.replace("\"ts\":1758841137166", "\"ts\":1758841137"), "ts", "in ms"),
        (good.replace("book.50.X", "book.deep.X"), "topic", "orderbook.LEVELS.SYMBOL"),
        (good.replace("1758841137170000000", "1758841137"), "local time", "a time in ns"),
        (good.replace("1758841137170000000", "now"), "local time", "nanoseconds"),
        (good.replace("\"seq\":1", "\"b\":[]"), "data", "duplicate"),
    ] {
        let book = message("snapshot", "7", "[[\"1.5\",\"1\"]]");
        let text = format!("{book}{}\n{book}", line.trim_end());
        let path = write_file(&dir, "stream", text.as_bytes());
        let sized = OpenOptions {
            tick_size: Some("0.1".into()),
            lot_size: Some("1".into()),
            ..options(vec![path])
        };
        let mut source = market_io::open(&sized).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{line}: {error:?}");
        let kinds: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
        let (whole, none) = (PacketKind::Snapshot, PacketKind::Rejected);
        assert_eq!(kinds, [whole, none, whole], "{line}");
        let fault = source.stats().faults[0].to_string();
        let found = found.replace("\\\"", "\"");
        for part in ["stream: line 2", &format!("field `{field}`"), &found] {
            assert!(fault.contains(part), "`{part}` is not in {fault}");
        }
    }
}

#[test]
fn changes_without_a_snapshot_are_an_error_and_a_second_symbol_needs_a_choice() {
    let dir = tempfile::tempdir().unwrap();
    let delta = message("delta", "8", "[[\"1.5\",\"1\"]]");
    let path = write_file(&dir, "stream", delta.as_bytes());
    let (packets, error) = read(&options(vec![path]));
    assert!(packets.is_empty());
    let error = error.unwrap().to_string();
    assert!(error.contains("no depth snapshot") && error.contains("after 1"), "{error}");
    let book = message("snapshot", "7", "[[\"1.5\",\"1\"]]");
    let text = book.clone() + &book.replace("50.X", "50.Y") + &delta;
    let path = write_file(&dir, "stream", text.as_bytes());
    let error = market_io::open(&options(vec![path.clone()])).err().unwrap().to_string();
    assert!(error.contains("found X and Y"), "{error}");
    let chosen = OpenOptions { symbol: Some("X".into()), ..options(vec![path]) };
    let (packets, error) = read(&chosen);
    assert!(error.is_none());
    assert_eq!(packets.len(), 2);
}

#[test]
fn the_archived_book_is_gap_free_and_never_crosses() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bybit");
    let archive = root.join("2024-12-01_XRPUSDT_ob500.data.zip");
    if !archive.is_file() {
        println!("skipped: ../shared/data/bybit is absent");
        return;
    }
    let mut source: Box<dyn Source> = market_io::open(&options(vec![archive.clone()])).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(packets.len(), 50);
    assert!(packets.windows(2).all(|pair| pair[1].prev_seq == pair[0].seq));
    assert!(packets.iter().all(|packet| packet.ts_recv_ns == 0));
    let mut book = Book::default();
    for packet in &packets {
        book.apply(packet);
        let [bid, ask] = book.best().map(|level| level.unwrap().0);
        assert!(bid < ask, "{bid} and {ask} at {}", packet.seq);
    }

    let dir = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(&archive).unwrap();
    let (middle, len) = (bytes.len() / 2, bytes.len());
    let cut = write_file(&dir, "cut", &bytes[..len - 30]);
    let error = market_io::open(&options(vec![cut])).err().unwrap().to_string();
    assert!(error.contains("zip archive"), "{error}");
    bytes[middle] ^= 1;
    let damaged = write_file(&dir, "damaged", &bytes);
    let fault = match market_io::open(&options(vec![damaged])) {
        Ok(mut source) => drain(source.as_mut()).1.expect("a damaged member ends in an error"),
        Err(error) => error,
    };
    assert!(fault.to_string().contains("zip member"), "{fault}");
}
