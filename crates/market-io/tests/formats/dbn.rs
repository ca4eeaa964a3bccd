//! Databento files.

use std::path::PathBuf;

use market_io::{Format, OpenOptions};
use market_model::{FeedKind, PacketKind, Trade};

#[path = "dbn_orders.rs"]
mod orders;

use crate::book::{Book, drain, options, read, shared, write_file};
use crate::{check_sample, sample};

/// Metadata of a version, for one instrument, with its schema number.
fn metadata(version: u8, schema: u16) -> Vec<u8> {
    let symbol_len = if version == 1 { 22 } else { 71 };
    let symbol = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(symbol_len, 0);
        bytes
    };
    let mut out = b"TEST.SET".to_vec();
    out.resize(16, 0);
    out.extend(schema.to_le_bytes());
    out.resize(100, 0);
    if version > 1 {
        out[45] = 71;
    }
    let number = |out: &mut Vec<u8>, value: u32| out.extend(value.to_le_bytes());
    // No definition; one symbol that was asked for, none found in part, none not found.
    for value in [0, 1] {
        number(&mut out, value);
    }
    out.extend(symbol("XYZ"));
    for value in [0, 0, 1] {
        number(&mut out, value);
    }
    out.extend(symbol("XYZ"));
    for value in [1, 20_240_701, 20_240_702] {
        number(&mut out, value);
    }
    out.extend(symbol("77"));
    let len = u32::try_from(out.len()).unwrap();
    [b"DBN".as_slice(), &[version], &len.to_le_bytes(), &out].concat()
}

const NS: u64 = 1_719_878_281_000_000_000;
const NONE: i64 = i64::MAX;
const LAST: u8 = 128;

/// An event: instrument, time after the start, price in 1e-9, size, action and side, flags.
struct TestEvent(u32, u64, i64, u32, &'static str, u8);

/// A record with as many levels as given: bid price, ask price, bid size, ask size.
fn record(rtype: u8, event: &TestEvent, levels: &[(i64, i64, u32, u32)]) -> Vec<u8> {
    let TestEvent(id, at, price, size, action, flags) = event;
    let mut out = vec![0, rtype, 1, 0];
    out.extend(id.to_le_bytes());
    out.extend((NS + at).to_le_bytes());
    out.extend(price.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(action.as_bytes());
    out.extend([*flags, 0]);
    out.extend((NS + at + 7).to_le_bytes());
    out.extend([0; 8]);
    for (bid, ask, bid_size, ask_size) in levels {
        out.extend(bid.to_le_bytes());
        out.extend(ask.to_le_bytes());
        out.extend(bid_size.to_le_bytes());
        out.extend(ask_size.to_le_bytes());
        out.extend([0; 8]);
    }
    out[0] = u8::try_from(out.len() / 4).unwrap();
    out
}

const CENT: i64 = 10_000_000;

/// An add; an event of a trade and the cancel that follows from it; a clear; a bad price; an event
/// that is not finished.
fn mbp_1() -> Vec<u8> {
    let event = |at, size, action, flags| TestEvent(77, at, 10_001 * CENT, size, action, flags);
    let mut file = metadata(1, 1);
    file.extend(record(1, &event(0, 5, "AA", LAST), &[(10_000 * CENT, 10_001 * CENT, 3, 5)]));
    file.extend(record(1, &event(10, 2, "TB", 0), &[(10_000 * CENT, 10_001 * CENT, 3, 5)]));
    file.extend(record(1, &event(10, 2, "CA", LAST), &[(10_000 * CENT, 10_001 * CENT, 3, 3)]));
    file.extend(record(1, &event(20, 0, "RN", LAST), &[(NONE, NONE, 0, 0)]));
    file.extend(record(1, &event(30, 1, "AA", LAST), &[(10_000 * CENT, 0, 3, 3)]));
    file.extend(record(1, &event(40, 1, "AA", 0), &[(10_000 * CENT, 10_002 * CENT, 3, 3)]));
    file
}

fn mbp_10() -> Vec<u8> {
    let mut levels = [(NONE, NONE, 0, 0); 10];
    levels[0] = (10_000 * CENT, 10_001 * CENT, 3, 5);
    levels[1] = (9_999 * CENT, 10_003 * CENT, 4, 6);
    levels[2] = (9_998 * CENT, NONE, 1, 0);
    let mut file = metadata(3, 2);
    let event = TestEvent(77, 0, 10_001 * CENT, 5, "AA", LAST);
    file.extend(record(10, &event, &levels));
    file
}

fn trades() -> Vec<u8> {
    let mut file = metadata(2, 4);
    file.extend(record(0, &TestEvent(77, 0, 10_001 * CENT, 5, "TA", 0), &[]));
    file.extend(record(0, &TestEvent(77, 1, 10_002 * CENT, 6, "TN", 0), &[]));
    file
}

#[test]
fn the_samples_give_their_packets() {
    for (name, bytes) in [("mbp-1", mbp_1()), ("mbp-10", mbp_10()), ("trades", trades())] {
        let inputs = sample("dbn", &[&format!("{name}.dbn")]);
        if std::env::var_os("ACCEPT_SAMPLES").is_some() {
            std::fs::write(&inputs[0], &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&inputs[0]).unwrap(), bytes);
        check_sample(&options(inputs), Format::Dbn, &format!("expected_{name}.ndjson"));
    }
    let mut source = market_io::open(&options(sample("dbn", &["mbp-1.dbn"]))).unwrap();
    drain(source.as_mut());
    let stats = source.stats();
    assert_eq!((stats.records, stats.packets, stats.rejected), (6, 4, 1));
    assert_eq!(stats.ignored["event without its last record"], 1);
    assert!(stats.faults[0].to_string().contains("row 5"), "{}", stats.faults[0]);
}

#[test]
fn other_schemas_and_instruments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let other = record(0, &TestEvent(78, 1, CENT, 6, "TN", 0), &[]);
    for (bytes, part) in [
        (metadata(3, 9), "expected 0 (mbo), 1 (mbp-1), 2 (mbp-10) or 4 (trades), found 9"),
        (metadata(4, 1), "DBN of version 1, 2 or 3"),
        ([trades(), other.clone()].concat(), "found XYZ and 78"),
        (trades()[..60].to_vec(), "truncated DBN stream"),
        (metadata(3, 4), "expected records of mbo, mbp-1"),
    ] {
        let (_, error) = read(&options(vec![write_file(&dir, "t.dbn", &bytes)]));
        let error = error.unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
    let path = write_file(&dir, "t.dbn", &[trades(), other].concat());
    for (symbol, packets) in [("XYZ", 2), ("77", 2), ("78", 1)] {
        let chosen = OpenOptions { symbol: Some(symbol.into()), ..options(vec![path.clone()]) };
        let (found, error) = read(&chosen);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(found.len(), packets, "{symbol}");
    }
}

fn es(name: &str) -> Option<Vec<PathBuf>> {
    shared(&[&format!("dbn/glbx_ESU4_{name}_20240701T2358_4min.dbn.zst")])
}

/// The trades file of the same four minutes has the trades of the book file, one by one.
#[test]
fn trades_of_two_schemas_agree() {
    let (Some(books), Some(trades)) = (es("mbp-1"), es("trades")) else { return };
    let sized = |inputs| OpenOptions {
        tick_size: Some("0.25".into()),
        lot_size: Some("1".into()),
        ..options(inputs)
    };
    let mut source = market_io::open(&sized(books)).unwrap();
    let instrument = source.instrument().clone();
    assert_eq!((instrument.symbol.as_str(), instrument.feed), ("ESU4", FeedKind::Snapshot));
    assert_eq!(instrument.venue, "glbx.mdp3");
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    // 2,288 records, of which 2,168 have F_LAST.
    let stats = source.stats();
    assert_eq!((stats.records, packets.len(), stats.rejected), (2_288, 2_168, 0));
    let of = |packets: &[market_model::Packet]| -> Vec<(i64, Trade)> {
        let times = packets
            .iter()
            .flat_map(|packet| packet.trades.iter().map(|trade| (packet.ts_event_ns, *trade)));
        times.collect()
    };
    let (wanted, error) = read(&sized(trades));
    assert!(error.is_none(), "{error:?}");
    let (found, wanted) = (of(&packets), of(&wanted));
    assert_eq!((found.len(), wanted.len()), (120, 120));
    assert_eq!(found, wanted);
}

fn fixture(name: &str, tick: &str) -> Option<OpenOptions> {
    Some(OpenOptions {
        tick_size: Some(tick.into()),
        lot_size: Some("1".into()),
        ..options(shared(&[&format!("dbn/{name}.dbn.zst")])?)
    })
}

/// Fixtures of the vendor in every version of the format.
#[test]
fn versions_agree() {
    for schema in ["mbo", "mbp-1", "mbp-10", "trades"] {
        let mut by_version = Vec::new();
        for version in ["v1", "v2", "v3"] {
            let name = format!("fixtures/test_data.{schema}.{version}");
            let Some(sized) = fixture(&name, "0.25") else { return };
            let (packets, error) = read(&sized);
            assert!(error.is_none() && packets.len() == 2, "{name}: {error:?}");
            assert!(packets.iter().all(|packet| packet.kind != PacketKind::Rejected));
            by_version.push(packets);
        }
        assert!(by_version.windows(2).all(|pair| pair[0] == pair[1]), "{schema}");
    }
}

/// Two schemas show the same best quotes at the same instants.
#[test]
fn depths_agree() {
    for (dataset, tick, instants) in [("GLBX.MDP3", "0.25", 4), ("XNAS.ITCH", "0.01", 3)] {
        let name = |schema: &str| format!("fixtures_py/{dataset}_test_data.{schema}");
        let (Some(one), Some(ten)) =
            (fixture(&name("mbp-1"), tick), fixture(&name("mbp-10"), tick))
        else {
            return;
        };
        let [(one, one_error), (ten, ten_error)] = [read(&one), read(&ten)];
        assert!(one_error.is_none() && ten_error.is_none());
        let mut equal = 0;
        for one in &one {
            for ten in ten.iter().filter(|ten| ten.ts_recv_ns == one.ts_recv_ns) {
                let [mut one_book, mut ten_book] = [Book::default(), Book::default()];
                one_book.apply(one);
                ten_book.apply(ten);
                assert_eq!(one_book.best(), ten_book.best());
                equal += 1;
            }
        }
        assert_eq!(equal, instants, "{dataset}");
    }
}
