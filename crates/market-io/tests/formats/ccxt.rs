//! CCXT order books and trades.

use market_io::{Format, OpenOptions};
use market_model::{FeedKind, PacketKind, Sequencing};

use crate::book::{drain, options, read, write_file};
use crate::{check_sample, sample};

#[test]
fn the_sample_gives_its_packets() {
    let options = options(sample("ccxt", &["sample.ndjson"]));
    check_sample(&options, Format::Ccxt, "expected.ndjson");
    let mut source = market_io::open(&options).unwrap();
    assert_eq!(source.instrument().sequencing, Sequencing::SourceTime);
    drain(source.as_mut());
    let stats = source.stats();
    assert_eq!((stats.records, stats.packets, stats.rejected), (6, 4, 1));
    assert_eq!((stats.snapshots, stats.rounded, stats.ignored["ticker"]), (2, 2, 1));
    let fault = stats.faults[0].to_string();
    assert!(fault.contains("line 6") && fault.contains("field `bids`"), "{fault}");
}

fn book(exchange: &str, nonce: &str, time: u64) -> String {
    format!(
        "{{\"type\":\"orderbook\",\"exchange\":\"{exchange}\",\"symbol\":\"A/B\",\"data\":{{\"bids\":\
         [[1.5,1]],\"asks\":[[1.6,2]],\"timestamp\":{time},\"nonce\":{nonce}}},\"collected_at\":{time}}}\n"
    )
}

const MS: u64 = 1_678_886_400_100;

/// Nonces that count one by one make a hole a gap; others only put the books in order.
#[test]
fn dense_nonces_find_gaps_and_sparse_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    for (nonces, prev) in [([5, 6, 7, 9], [0, 0, 0, 0]), ([5, 60, 70, 71], [0, 5, 60, 70])] {
        let text: String = nonces.iter().map(|nonce| book("x", &nonce.to_string(), MS)).collect();
        let path = write_file(&dir, "books", text.as_bytes());
        let source = market_io::open(&options(vec![path.clone()])).unwrap();
        let instrument = source.instrument();
        assert_eq!(
            (instrument.feed, instrument.sequencing),
            (FeedKind::Snapshot, Sequencing::Venue)
        );
        let (packets, error) = read(&options(vec![path]));
        assert!(error.is_none());
        let found: Vec<_> = packets.iter().map(|packet| (packet.seq, packet.prev_seq)).collect();
        let wanted: Vec<_> = nonces.into_iter().zip(prev).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn exchanges_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let text = book("x", "1", MS) + &book("y", "2", MS) + &book("x", "2", MS);
    let path = write_file(&dir, "books", text.as_bytes());
    let error = market_io::open(&options(vec![path.clone()])).err().unwrap().to_string();
    assert!(error.contains("x:A/B and y:A/B"), "{error}");
    let chosen = OpenOptions { symbol: Some("x:A/B".into()), ..options(vec![path]) };
    let (packets, error) = read(&chosen);
    assert!(error.is_none());
    assert_eq!(packets.len(), 2);
}

#[test]
fn bad_lines_are_refused_one_by_one() {
    let good = book("x", "7", MS);
    let dir = tempfile::tempdir().unwrap();
    for (line, field, found) in [
        (good[..60].to_owned(), "line", "EOF"),
        (good.replace("[1.5,1]", "[NaN,1]"), "line", "NaN"),
        (good.replace("[1.5,1]", "[null,1]"), "bids", "null"),
        (good.replace("[1.5,1]", "[1.5]"), "bids", "[[1.5]]"),
        (good.replace("[1.5,1]", "[1e999,1]"), "bids", "1e999"),
        (good.replace("[1.5,1]", "[1.55,1]"), "bids", "--tick-size"),
        (good.replace("[1.5,1]", "[0,1]"), "bids", "a positive price"),
        (good.replace("\"nonce\":7", "\"nonce\":7.0"), "nonce", "7.0"),
        (good.replace("\"nonce\":7", "\"nonce\":-7"), "nonce", "-7"),
        (good.replace("\"nonce\":7", "\"nonce\":7,\"bids\":[]"), "data", "duplicate"),
        (good.replace("\"symbol\":\"A/B\",", ""), "symbol", "nothing"),
        (
            good.replace(&format!("\"timestamp\":{MS}"), "\"timestamp\":1678886400"),
            "timestamp",
            "in ms",
        ),
    ] {
        let text = format!("{}{}\n{}", book("x", "1", MS), line.trim_end(), book("x", "9", MS));
        let path = write_file(&dir, "books", text.as_bytes());
        let sized = OpenOptions {
            tick_size: Some("0.1".into()),
            lot_size: Some("1".into()),
            ..options(vec![path])
        };
        let mut source = market_io::open(&sized).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{line}: {error:?}");
        let kinds: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
        assert_eq!(
            kinds,
            [PacketKind::Snapshot, PacketKind::Rejected, PacketKind::Snapshot],
            "{line}"
        );
        let fault = source.stats().faults[0].to_string();
        for part in ["books: line 2", &format!("field `{field}`"), found] {
            assert!(fault.contains(part), "`{part}` is not in {fault}");
        }
    }
}
