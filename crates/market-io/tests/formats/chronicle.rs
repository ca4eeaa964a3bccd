//! Chronicle segments, written by the test kit.

use std::path::PathBuf;

use market_io::{Format, OpenOptions};
use market_model::{PacketKind, Sequencing};
use tempfile::TempDir;
use testkit::chronicle::{BOOK_EVENT, EventHead, EventLevels, SegmentWriter, TRADE, trade};

use crate::book::{drain, options, read, write_file};
use crate::{check_packets, check_sample, sample};

const NS: u64 = 1_700_000_000_000_000_000;
const HASH: u64 = 99;

fn head(seq: u64) -> EventHead {
    EventHead {
        market: (7, 11),
        ingest_ns: NS + seq * 1_000 + 5,
        exchange_ns: NS + seq * 1_000,
        seq,
        native_seq: 0,
    }
}

fn snapshot() -> Vec<u8> {
    let levels = EventLevels {
        scales: [2, 3],
        bids: &[(10_000, 1_500), (9_999, 2_000)],
        asks: &[(10_001, 1_200), (10_002, 900)],
    };
    EventHead { native_seq: 100, ..head(0) }.snapshot(&levels)
}

fn diff(seq: u64, ids: [u64; 3], bids: &[(u64, u64)]) -> Vec<u8> {
    head(seq).diff(ids, &EventLevels { scales: [1, 0], bids, asks: &[] })
}

/// Two segments: a snapshot, a change that it holds, a change in other scales, a trade, a ticker; then
/// a heartbeat, an empty change, a reset, and a record of another market.
fn segments() -> [Vec<u8>; 2] {
    let mut first = SegmentWriter::new(4, 1_280);
    first.record(20, NS, BOOK_EVENT, &snapshot());
    first.record(21, NS + 1, BOOK_EVENT, &diff(1, [99, 100, 98], &[(1_000, 9)]));
    first.record(22, NS + 2, BOOK_EVENT, &diff(2, [101, 105, 100], &[(1_000, 0), (999, 4)]));
    first.record(23, NS + 3, TRADE, &trade(NS + 2_500, 100.01, 0.25, 0, HASH));
    first.record(24, NS + 4, 0x1001, &[0; 48]);
    first.pad_and_seal();
    let mut second = SegmentWriter::new(5, 1_280);
    second.record(25, NS + 5, BOOK_EVENT, &head(5).event(4, 0, &[]));
    second.record(26, NS + 6, BOOK_EVENT, &diff(6, [106, 106, 105], &[]));
    second.record(27, NS + 7, BOOK_EVENT, &head(7).event(3, 0, &[]));
    second.record(28, NS + 8, BOOK_EVENT, &diff(8, [107, 107, 106], &[(0, 1)]));
    [first.into_bytes(), second.into_bytes()]
}

const NAMES: [&str; 2] = ["000000004.q", "000000005.q.zst"];

#[test]
fn the_sample_gives_its_packets() {
    let paths = sample("chronicle", &NAMES);
    let [first, second] = segments();
    if std::env::var_os("ACCEPT_SAMPLES").is_some() {
        std::fs::write(&paths[0], &first).unwrap();
        std::fs::write(&paths[1], zstd::encode_all(second.as_slice(), 3).unwrap()).unwrap();
    }
    assert_eq!(std::fs::read(&paths[0]).unwrap(), first);
    let unpacked = zstd::decode_all(std::fs::File::open(&paths[1]).unwrap()).unwrap();
    assert_eq!(unpacked, second);
    check_packets(&options(paths.clone()), Format::Chronicle, "expected.ndjson");
    let mut source = market_io::open(&options(paths.clone())).unwrap();
    assert_eq!(source.instrument().sequencing, Sequencing::Venue);
    drain(source.as_mut());
    let stats = source.stats();
    assert_eq!((stats.records, stats.dropped_updates, stats.gaps), (9, 1, 0));
    assert_eq!((stats.rejected, stats.ignored["book ticker"]), (1, 1));
    check_sample(&options(paths[..1].to_vec()), Format::Chronicle, "expected_first.ndjson");
    check_sample(&options(paths[1..].to_vec()), Format::Chronicle, "expected_second.ndjson");
}

fn write(dir: &TempDir, segments: &[Vec<u8>]) -> Vec<PathBuf> {
    let name = |at: usize| format!("{at:09}.q");
    segments.iter().enumerate().map(|(at, bytes)| write_file(dir, &name(at), bytes)).collect()
}

#[test]
fn a_missing_segment_and_a_jump_of_the_numbers_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let segment = |id: u32, seqs: &[u64]| {
        let mut writer = SegmentWriter::new(id, 4_096);
        for seq in seqs {
            writer.record(*seq, NS, BOOK_EVENT, &snapshot());
        }
        writer.into_bytes()
    };
    use PacketKind::{Rejected, Reset, Snapshot};
    for (segments, kinds, gaps, part) in [
        (
            [segment(1, &[7]), segment(3, &[9])],
            vec![Snapshot, Rejected, Snapshot],
            1,
            "field `segment_id`: expected the segment after the one before, found 3 in place of 2",
        ),
        (
            [segment(1, &[7, 9]), segment(2, &[10])],
            vec![Snapshot, Rejected, Snapshot, Snapshot],
            1,
            "found 9 in place of 8",
        ),
        (
            [segment(1, &[7, 7]), segment(2, &[8])],
            vec![Snapshot, Rejected, Snapshot, Snapshot],
            1,
            "found 7 in place of 8",
        ),
        ([segment(1, &[7]), segment(2, &[0])], vec![Snapshot, Reset, Snapshot], 0, ""),
    ] {
        let mut source = market_io::open(&options(write(&dir, &segments))).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        let found: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
        assert_eq!((found, source.stats().gaps), (kinds, gaps));
        let faults: Vec<_> = source.stats().faults.iter().map(ToString::to_string).collect();
        assert!(faults.iter().all(|fault| fault.contains(part)), "{faults:?}");
        assert_eq!(faults.len() as u64, gaps);
    }
}

/// Three records; returns their bytes and where the second and third begin.
fn three() -> (Vec<u8>, [usize; 2]) {
    let mut writer = SegmentWriter::new(0, 2_048);
    for seq in 0..3 {
        writer.record(seq, NS, BOOK_EVENT, &snapshot());
    }
    (writer.into_bytes(), [64 + 256, 64 + 512])
}

#[test]
fn a_hole_is_never_taken_for_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, [second, third]) = three();
    let mut hole = whole.clone();
    hole[second..third].fill(0);
    let mut commit = whole.clone();
    commit[second..second + 4].fill(0);
    for (bytes, at) in [(hole, third), (commit, second + 4)] {
        let (packets, error) = read(&options(write(&dir, &[bytes])));
        let error = error.unwrap().to_string();
        assert_eq!(packets.len(), 1);
        assert!(error.contains(&format!("row 1 (byte {second})")), "{error}");
        assert!(error.contains("field `commit word`") && error.contains("a hole"), "{error}");
        let found = error.rsplit("byte ").next().unwrap().split(' ').next().unwrap();
        assert!((at..at + 5).contains(&found.parse().unwrap()), "{error}");
    }
}

#[test]
fn a_torn_record_is_the_end_only_when_it_is_the_last_of_an_open_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, [second, third]) = three();
    let torn = |at: usize, is_sealed: u8| {
        let mut bytes = whole.clone();
        bytes[at + 100..at + 204].fill(0);
        bytes[12] = is_sealed;
        bytes
    };
    for (bytes, packets, part) in [
        (torn(third, 0), 2, None),
        (torn(third, 1), 2, Some("field `checksum`")),
        (torn(second, 0), 1, Some("field `checksum`")),
    ] {
        let (found, error) = read(&options(write(&dir, &[bytes])));
        assert_eq!(found.len(), packets);
        let error = error.map(|error| error.to_string());
        assert_eq!(error.is_some(), part.is_some(), "{error:?}");
        assert!(part.is_none_or(|part| error.unwrap().contains(part)));
    }
}

#[test]
fn every_bit_of_a_record_header_is_noticed_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, [second, _]) = three();
    let clean = read(&options(write(&dir, std::slice::from_ref(&whole)))).0;
    for bit in 0..512 {
        let mut bytes = whole.clone();
        bytes[second + bit / 8] ^= 1 << (bit % 8);
        let paths = write(&dir, &[bytes]);
        let mut source = market_io::open(&options(paths)).unwrap();
        let (packets, error) = drain(source.as_mut());
        let stats = source.stats();
        let counted = stats.gaps + stats.rejected + stats.ignored.len() as u64;
        let is_noticed = error.is_some() || counted > 0;
        // Version, reserved bytes, the record's own time and its flags say nothing of the book.
        let is_harmless = packets == clean;
        assert!(is_noticed || is_harmless, "bit {bit}: {packets:?}");
        let is_part_of_meaning = bit / 8 < 4 || (8..16).contains(&(bit / 8));
        assert!(is_noticed || !is_part_of_meaning, "bit {bit} was not noticed");
    }
}

#[test]
fn unusable_segments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, _) = three();
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    let mut long = whole.clone();
    long[64..68].copy_from_slice(&u32::MAX.to_le_bytes());
    for (bytes, parts) in [
        (with(4, 9), ["field `version`", "expected 1 or 2, found 9"]),
        (with(0, b'1'), ["field `magic`", "31 47 45 53"]),
        (long, ["truncated segment", "byte 64"]),
        (whole[..40].to_vec(), ["truncated segment", ""]),
    ] {
        let paths = write(&dir, &[bytes]);
        let error = read(&crate::book::forced(Format::Chronicle, paths)).1.unwrap().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn markets_are_told_apart_and_their_trades_are_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::new(0, 4_096);
    let other = EventHead { market: (7, 12), ..head(1) };
    writer.record(0, NS, BOOK_EVENT, &snapshot());
    let levels = EventLevels { scales: [0, 0], bids: &[(5, 1)], asks: &[] };
    writer.record(1, NS, BOOK_EVENT, &other.snapshot(&levels));
    writer.record(2, NS, TRADE, &trade(NS, 100.0, 1.0, 1, HASH));
    let paths = write(&dir, &[writer.into_bytes()]);
    let error = read(&options(paths.clone())).1.unwrap().to_string();
    assert!(error.contains("found 7:11 and 7:12"), "{error}");
    for symbol in ["11", "7:11"] {
        let chosen = OpenOptions { symbol: Some(symbol.into()), ..options(paths.clone()) };
        let mut source = market_io::open(&chosen).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none());
        assert_eq!(packets.len(), 1);
        assert_eq!(source.stats().ignored["trade of a market that cannot be told"], 1);
    }
}

#[test]
fn bad_events_are_refused_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let good = snapshot();
    let with = |at: usize, value: u8| {
        let mut payload = good.clone();
        payload[at] = value;
        payload
    };
    for (payload, field) in [
        (with(0, 2), "schema_version"),
        (with(4, 1), "record_len"),
        (with(8, 1), "endianness"),
        (with(31, 0x7f), "ingest_ts_ns"),
        (with(56, 9), "event_type"),
        (with(64, 19), "price_scale"),
        (with(68, 3), "bid_count"),
        (with(83, 0xff), "price"),
        (with(99, 0xff), "price"),
        (good[..70].to_vec(), "record_len"),
        (Vec::new(), "payload"),
    ] {
        let mut writer = SegmentWriter::new(0, 4_096);
        writer.record(0, NS, BOOK_EVENT, &good);
        writer.record(1, NS, BOOK_EVENT, &payload);
        let sized = OpenOptions {
            tick_size: Some("0.01".into()),
            lot_size: Some("0.001".into()),
            ..options(write(&dir, &[writer.into_bytes()]))
        };
        let mut source = market_io::open(&sized).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(packets[1].kind, PacketKind::Rejected, "{field}");
        let fault = source.stats().faults[0].to_string();
        assert!(fault.contains(&format!("field `{field}`")) && fault.contains("row 2"), "{fault}");
    }
}

#[test]
fn a_trade_that_is_refused_leaves_the_book_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::new(0, 4_096);
    writer.record(0, NS, BOOK_EVENT, &snapshot());
    writer.record(1, NS, TRADE, &trade(NS, 100.01, 0.25, 0, HASH));
    writer.record(2, NS, TRADE, &trade(NS, 100.01, 0.25, 2, HASH));
    let mut source = market_io::open(&options(write(&dir, &[writer.into_bytes()]))).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    let kinds: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
    use PacketKind::{Delta, RejectedTrade, Snapshot};
    assert_eq!(kinds, [Snapshot, Delta, RejectedTrade]);
    assert_eq!(source.stats().rejected, 1);
    assert!(source.stats().faults[0].to_string().contains("is_buyer_maker"));
}
