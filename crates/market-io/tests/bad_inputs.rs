//! Bad input: each kind of damage is named with its file, place and field, and never panics.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/book.rs"]
mod book;

use std::path::PathBuf;

use book::{DTYPE, TestRow, drain, forced, gzip, npy, npy_header, npz, options, read, write_file};
use market_io::{Error, Format, OpenOptions};
use market_model::{BookOp, PacketKind};

const NS: i64 = 1_723_161_255_000_000_000;
const BID: u64 = (0b111 << 29) | 1;
const ASK: u64 = (0b11 << 30) | (1 << 28) | 1;

const TRADE: u64 = (0b111 << 29) | 2;

const SNAPSHOT: &str = "1723161255000000000 {\"lastUpdateId\":10,\"E\":1723161255000,\"T\":1723161255000,\
     \"bids\":[[\"99.9\",\"1.5\"]],\"asks\":[[\"100.1\",\"2\"]]}\n";

fn diff(first: u64, last: u64, prev: u64, bids: &str) -> String {
    format!(
        "1723161255{last:09} {{\"stream\":\"btcusdt@depth@0ms\",\"data\":{{\"e\":\"depthUpdate\",\
         \"E\":1723161255001,\"T\":1723161255001,\"s\":\"BTCUSDT\",\"U\":{first},\"u\":{last},\
         \"pu\":{prev},\"b\":{bids},\"a\":[[\"100.1\",\"2.5\"]]}}}}\n"
    )
}

/// A good recording around a bad line, which is line 3.
fn around(bad: &str) -> String {
    let good = diff(9, 11, 8, r#"[["99.8","1"]]"#);
    format!("{SNAPSHOT}{good}{bad}\n{}", diff(30, 31, 29, r#"[["99.7","1"]]"#))
}

#[test]
fn bad_lines_are_refused_one_by_one() {
    let bad = |bids: &str| diff(12, 13, 11, bids).trim_end().to_owned();
    let good = bad(r#"[["99.8","2"]]"#);
    let twice = good.replace("\"pu\":11,", "\"pu\":11,\"b\":[],");
    let cases: Vec<(&str, String, &str, &str)> = vec![
        ("half a line", good[..120].into(), "line", "EOF"),
        ("number instead of text", bad(r#"[[99.8,"2"]]"#), "b", "pairs of strings"),
        ("object instead of array", bad(r#"{"99.8":"2"}"#), "b", "an array"),
        ("text instead of id", good.replace("\"u\":13", "\"u\":\"13\""), "u", "`\"13\"`"),
        ("float id", good.replace("\"u\":13", "\"u\":13.0"), "u", "13.0"),
        ("negative id", good.replace("\"u\":13", "\"u\":-13"), "u", "-13"),
        (
            "id above 64 bits",
            good.replace("\"u\":13", "\"u\":18446744073709551616"),
            "u",
            "18446744073709551616",
        ),
        ("missing field", good.replace("\"pu\":11,", ""), "pu", "nothing"),
        ("ids reversed", good.replace("\"U\":12", "\"U\":14"), "U", "1 to `u`"),
        ("duplicate key", twice, "data", "duplicate field `b`"),
        ("NaN literal", bad(r#"[[NaN,"2"]]"#), "b", "pairs of strings"),
        ("NaN text", bad(r#"[["NaN","2"]]"#), "b", "a decimal number"),
        ("1e999", bad(r#"[["1e999","2"]]"#), "b", "2^53-1"),
        ("negative size", bad(r#"[["99.8","-2"]]"#), "b", "not negative"),
        ("zero price", bad(r#"[["0.0","2"]]"#), "b", "a positive price"),
        ("finer price", bad(r#"[["99.85","2"]]"#), "b", "--tick-size"),
        ("local time in ms", format!("1723161255000{}", &good[19..]), "local time", "milliseconds"),
        ("no local time", good[20..].into(), "local time", "nanoseconds"),
        ("time in us", good.replace("\"T\":1723161255001", "\"T\":1723161255001000"), "T", "in ms"),
        ("byte order mark", format!("\u{feff}{good}"), "local time", "\\xef\\xbb\\xbf"),
        ("NUL", good.replace("BTCUSDT\"", "BTC\0SDT\""), "line", "control character"),
        ("unknown event", good.replace("depthUpdate", "depthupdate"), "e", "depthUpdate"),
        (
            "empty object in stream",
            "1723161255000000013 {\"stream\":\"x@depth\"}".into(),
            "data",
            "nothing",
        ),
        ("oversized", format!("{good}{}", " ".repeat(5 << 20)), "line", "4194304"),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, line, field, found) in cases {
        let path = write_file(&dir, "rec.txt", around(&line).as_bytes());
        let options = OpenOptions {
            symbol: Some("BTCUSDT".into()),
            tick_size: Some("0.1".into()),
            lot_size: Some("0.1".into()),
            ..options(vec![path])
        };
        let mut source = market_io::open(&options).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{name}: {error:?}");
        let kinds: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
        assert_eq!(
            kinds,
            [PacketKind::Snapshot, PacketKind::Delta, PacketKind::Rejected],
            "{name}"
        );
        assert_eq!(packets[2].event_count(), 0, "{name}");
        let stats = source.stats();
        assert_eq!((stats.rejected, stats.faults.len()), (1, 1), "{name}");
        let fault = stats.faults[0].to_string();
        let offset = SNAPSHOT.len() + diff(9, 11, 8, r#"[["99.8","1"]]"#).len();
        for part in [
            "rec.txt",
            &format!("line 3 (byte {offset})"),
            "BTCUSDT",
            &format!("field `{field}`"),
            found,
        ] {
            assert!(fault.contains(part), "{name}: `{part}` is not in {fault}");
        }
        assert!(fault.len() < 800 && !fault.contains(char::is_control), "{name}: {fault}");
    }
}

#[test]
fn harmless_oddities_are_read() {
    let good = diff(12, 13, 11, r#"[["99.8","2"]]"#);
    let dir = tempfile::tempdir().unwrap();
    let odd = [
        good.replace('\n', "\r\n"),
        format!("\n  \r\n{good}"),
        good.replace('\n', "   \n"),
        good.trim_end().into(),
        good.replace(",\"pu\"", " ,\t\"pu\""),
        good.replace("\"e\":\"depthUpdate\",", "")
            .replace("\"a\":", "\"e\":\"depthUpdate\",\"a\":"),
        format!("1723161255000000013 {{\"result\":null,\"id\":1}}\n{good}"),
    ];
    for text in odd {
        let path = write_file(
            &dir,
            "rec.txt",
            format!("{SNAPSHOT}{}{text}", diff(9, 11, 8, "[]")).as_bytes(),
        );
        let (packets, error) = read(&options(vec![path]));
        assert!(error.is_none(), "{text}: {error:?}");
        assert_eq!((packets.len(), packets[2].levels.len()), (3, 2), "{text}");
    }
}

/// The first 20 reasons are kept, the rest is counted.
#[test]
fn reasons_are_bounded() {
    let text = format!("{SNAPSHOT}{}{}", diff(9, 11, 8, "[]"), "x\n".repeat(1_000));
    let dir = tempfile::tempdir().unwrap();
    let mut source =
        market_io::open(&options(vec![write_file(&dir, "rec", text.as_bytes())])).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none());
    assert_eq!(
        (packets.len(), source.stats().rejected, source.stats().faults.len()),
        (1_002, 1_000, 20)
    );
}

struct Fatal {
    name: &'static str,
    bytes: Vec<u8>,
    format: Format,
    symbol: Option<&'static str>,
    /// Parts of the message, with those of its source.
    parts: &'static [&'static str],
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    text
}

#[test]
fn unusable_files_are_named() {
    let rows: Vec<TestRow> =
        vec![(BID, NS, NS, 99.9, 1.5), (ASK, NS, NS, 100.1, 2.0), (BID, NS + 1, NS + 5, 99.8, 1.0)];
    let with = |row: usize, value: TestRow| {
        let mut rows = rows.clone();
        rows[row] = value;
        npy(&rows)
    };
    let recording = format!("{SNAPSHOT}{}", diff(9, 11, 8, "[]"));
    let other = diff(12, 13, 11, "[]").replace("BTCUSDT", "ETHUSDT");
    let zipped = npz("data.npy", &npy(&rows));
    let mut damaged = zipped.clone();
    damaged[60] ^= 0x55;
    let mut wrong_crc = zipped.clone();
    let central = wrong_crc.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    wrong_crc[central + 16] ^= 1;
    let header_only = |dtype: &str, order: &str, shape: &str| npy_header(dtype, order, shape);
    let auto = Format::Auto;
    let fatal = |name, bytes, parts| Fatal { name, bytes, format: auto, symbol: None, parts };
    let cases = vec![
        fatal(
            "truncated gzip",
            gzip(recording.as_bytes())[..100].into(),
            &["truncated gzip stream", "byte 100"],
        ),
        fatal("damaged npz", damaged, &["corrupt zip member", "byte "]),
        fatal("wrong checksum", wrong_crc, &["corrupt zip member", "CRC-32"]),
        fatal("cut npz", zipped[..zipped.len() - 30].into(), &["corrupt zip archive"]),
        fatal(
            "no member `data`",
            {
                let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
                for name in ["a.npy", "b.npy"] {
                    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
                }
                zip.finish().unwrap().into_inner()
            },
            &["field `member`", "`data.npy`", "a.npy, b.npy"],
        ),
        fatal(
            "wrong dtype",
            header_only(&DTYPE.replace("('px', '<f8')", "('px', '<f4')"), "False", "(0,)"),
            &["field `descr`", "column `px` of type `<f8`", "'<f4'"],
        ),
        fatal("plain floats", header_only("'<f8'", "False", "(3, 6)"), &["field `descr`", "'<f8'"]),
        fatal(
            "big endian",
            header_only(&DTYPE.replace("('qty', '<f8')", "('qty', '>f8')"), "False", "(0,)"),
            &["field `descr`", "'>f8'"],
        ),
        fatal(
            "fortran order",
            header_only(DTYPE, "True", "(0,)"),
            &["field `fortran_order`", "expected False, found `True`"],
        ),
        fatal(
            "huge shape",
            header_only(DTYPE, "False", "(288230376151711744,)"),
            &["field `shape`", "288230376151711744"],
        ),
        fatal(
            "shape above 64 bits",
            header_only(DTYPE, "False", "(99999999999999999999999,)"),
            &["field `shape`", "one dimension"],
        ),
        fatal(
            "rows missing",
            npy(&rows)[..npy(&rows).len() - 1].into(),
            &["field `shape`", "3 rows"],
        ),
        fatal(
            "two dimensions",
            header_only(DTYPE, "False", "(1, 0)"),
            &["field `shape`", "one dimension"],
        ),
        fatal(
            "header length",
            b"\x93NUMPY\x02\x00\xff\xff\xff\x7f".to_vec(),
            &["field `header length`", "2147483647"],
        ),
        fatal(
            "npy version",
            b"\x93NUMPY\x09\x00\x00\x00".to_vec(),
            &["field `version`", "found 9"],
        ),
        fatal(
            "header is no dictionary",
            {
                let mut bytes = npy_header(DTYPE, "False", "(0,)");
                bytes[10] = b'x';
                bytes
            },
            &["field `header`", "a Python dictionary"],
        ),
        fatal(
            "unsorted",
            with(2, (BID, NS, NS - 5, 99.8, 1.0)),
            &["row 2 (byte 384)", "field `local_ts`", "do not decrease"],
        ),
        fatal(
            "milliseconds",
            with(0, (BID, 0, 1_723_161_255_000, 99.8, 1.0)),
            &["row 0", "field `local_ts`", "milliseconds"],
        ),
        fatal("empty", Vec::new(), &["the file is empty"]),
        fatal("empty gzip", gzip(b""), &["the file is empty"]),
        fatal("unknown", b"hello\x1b[31m".to_vec(), &["unknown format", "`hello\\x1b[31m`"]),
        fatal(
            "no snapshot",
            diff(9, 11, 8, "[]").into_bytes(),
            &["no depth snapshot", "BTCUSDT", "1 depth updates"],
        ),
        fatal(
            "two symbols",
            format!("{recording}{other}").into_bytes(),
            &["line 3", "field `s`", "BTCUSDT and ETHUSDT"],
        ),
        fatal(
            "only a bad line",
            b"1723161255000000000 {\"a\":".to_vec(),
            &["line 1 (byte 0)", "field `line`", "EOF"],
        ),
        fatal(
            "first local time in us",
            recording
                .replace(" {\"stream", "x {\"stream")
                .replace("000000011x", "000")
                .into_bytes(),
            &["field `local time`"],
        ),
        Fatal {
            symbol: Some("DOGEUSDT"),
            ..fatal(
                "unknown symbol",
                format!("{recording}{other}").into_bytes(),
                &["expected symbol DOGEUSDT", "found BTCUSDT, ETHUSDT"],
            )
        },
        Fatal {
            format: Format::Hftbacktest,
            ..fatal("forced hftbacktest", recording.clone().into_bytes(), &["field `magic`"])
        },
        Fatal {
            format: Format::Binance,
            ..fatal("forced binance", npy(&rows), &["line 1", "field `local time`"])
        },
    ];
    let dir = tempfile::tempdir().unwrap();
    for case in cases {
        let path = write_file(&dir, "input.bin", &case.bytes);
        let symbol = case.symbol.map(String::from);
        let (_, error) = read(&OpenOptions { symbol, ..forced(case.format, vec![path]) });
        let text = chain(&error.unwrap_or_else(|| panic!("{}: no error", case.name)));
        for part in ["input.bin"].iter().chain(case.parts) {
            assert!(text.contains(part), "{}: `{part}` is not in {text}", case.name);
        }
        assert!(!text.contains(char::is_control), "{}: {text}", case.name);
    }
    let missing = read(&options(vec![dir.path().join("absent.gz")])).1.unwrap();
    assert!(chain(&missing).contains("absent.gz: cannot open"), "{}", chain(&missing));
    assert!(matches!(read(&options(Vec::new())).1, Some(Error::NoInput)));
}

#[test]
fn bad_rows_refuse_their_packet() {
    let cases: Vec<(&str, TestRow, &str, &str)> = vec![
        ("NaN", (BID, NS, NS + 5, f64::NAN, 1.0), "px", "NaN"),
        ("infinite", (BID, NS, NS + 5, 99.8, f64::INFINITY), "qty", "inf"),
        ("negative size", (BID, NS, NS + 5, 99.8, -1.0), "qty", "-1"),
        ("negative price", (ASK, NS, NS + 5, -99.8, 1.0), "px", "-99.8"),
        ("zero price", (BID, NS, NS + 5, 0.0, 1.0), "px", "a positive price"),
        ("off the grid", (BID, NS, NS + 5, 99.85, 1.0), "px", "--tick-size"),
        ("sub-lot", (BID, NS, NS + 5, 99.8, 0.03), "qty", "--lot-size"),
        ("too large", (BID, NS, NS + 5, 1e300, 1.0), "px", "2^53-1"),
        ("no side", (BID & !(1 << 29), NS, NS + 5, 99.8, 1.0), "ev", "one side flag"),
        ("both sides", (BID | 1 << 28, NS, NS + 5, 99.8, 1.0), "ev", "one side flag"),
        ("unknown kind", ((BID & !0xff) | 7, NS, NS + 5, 99.8, 1.0), "ev", "kind 7"),
        (
            "event time in ms",
            (BID, 1_723_161_255_000, NS + 5, 99.8, 1.0),
            "exch_ts",
            "milliseconds",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, row, field, found) in cases {
        // The bad row has a good one before and after it in its packet.
        let rows = [
            (BID, NS, NS, 99.9, 1.5),
            (BID, NS, NS + 5, 99.7, 1.0),
            row,
            (ASK, NS, NS + 5, 100.1, 1.0),
            (ASK, NS, NS + 9, 100.2, 1.0),
        ];
        for (file, bytes) in [("rows.npy", npy(&rows)), ("rows.npz", npz("data.npy", &npy(&rows)))]
        {
            let options = OpenOptions {
                tick_size: Some("0.1".into()),
                lot_size: Some("0.1".into()),
                ..options(vec![write_file(&dir, file, &bytes)])
            };
            let mut source = market_io::open(&options).unwrap();
            let (packets, error) = drain(source.as_mut());
            assert!(error.is_none(), "{name}: {error:?}");
            let got: Vec<_> =
                packets.iter().map(|p| (p.kind, p.event_count(), p.ts_recv_ns - NS)).collect();
            assert_eq!(
                got,
                [
                    (PacketKind::Delta, 1, 0),
                    (PacketKind::Rejected, 0, 5),
                    (PacketKind::Delta, 1, 9)
                ],
                "{name}"
            );
            let fault = source.stats().faults[0].to_string();
            for part in [file, "row 2 (byte ", "rows", &format!("field `{field}`"), found] {
                assert!(fault.contains(part), "{name}: `{part}` is not in {fault}");
            }
        }
    }
}

#[test]
fn rows_become_packets() {
    let flags = |kind: u64, side: u64| (0b11 << 30) | (side << 28) | kind;
    let rows: Vec<TestRow> = vec![
        (flags(3, 0b10), NS, NS, 99.0, 0.0),
        (flags(4, 0b10), NS, NS, 99.9, 1.0),
        (flags(3, 0b01), NS, NS, 101.0, 0.0),
        (flags(4, 0b01), NS, NS, 100.1, 1.0),
        (flags(1, 0b10) & !(1 << 30), NS, NS + 1, 99.9, 7.0), // exchange side only
        (flags(5, 0b10), NS, NS + 1, 99.9, 7.0),
        (flags(103, 0), NS, NS + 2, 99.9, 7.0),
        (flags(2, 0b10), NS + 1, NS + 3, 100.1, 0.5),
        (flags(2, 0b01), NS + 2, NS + 3, 99.9, 0.25),
        (flags(2, 0), NS + 2, NS + 3, 99.9, 0.0),
        (flags(3, 0b01), NS, NS + 4, f64::NAN, 0.0),
        (flags(3, 0), NS, NS + 5, 0.0, 0.0),
        (flags(1, 0b10), NS, NS + 6, 61659.700000000004, 0.0),
    ];
    let dir = tempfile::tempdir().unwrap();
    let initial =
        write_file(&dir, "eod.npy", &npy(&[(flags(4, 0b10), 0, 0, 61659.700000000004, 1.5)]));
    let options = OpenOptions {
        initial_snapshot: Some(initial),
        symbol: Some("X".into()),
        ..options(vec![write_file(&dir, "rows.npz", &npz("data.npy", &npy(&rows)))])
    };
    let mut source = market_io::open(&options).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    assert_eq!((source.instrument().price_scale, source.instrument().qty_scale), (1, 2));
    let kinds: Vec<_> =
        packets.iter().map(|p| (p.kind, p.ts_recv_ns - NS, p.ts_event_ns - NS)).collect();
    let (delta, snapshot) = (PacketKind::Delta, PacketKind::Snapshot);
    assert_eq!(
        kinds,
        [
            (snapshot, 0, 0),
            (snapshot, 0, 0),
            (delta, 3, 2),
            (delta, 4, 0),
            (delta, 5, 0),
            (delta, 6, 0)
        ]
    );
    assert_eq!(packets[0].levels[0].price_ticks, 616_597);
    let ops: Vec<Vec<_>> =
        packets.iter().map(|p| p.runs().map(|(op, l)| (op, l.len())).collect()).collect();
    assert_eq!(
        ops[1],
        [(BookOp::ClearBid, 1), (BookOp::SetBid, 1), (BookOp::ClearAsk, 1), (BookOp::SetAsk, 1)]
    );
    assert_eq!(ops[3], [(BookOp::ClearAsk, 0)]);
    assert_eq!(ops[4], [(BookOp::ClearBid, 0), (BookOp::ClearAsk, 0)]);
    assert_eq!((packets[2].trades.len(), packets[5].levels[0].price_ticks), (2, 616_597));
    let ignored: Vec<_> =
        source.stats().ignored.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(ignored, [("kind 103", 1), ("kind 5", 1), ("trade of quantity 0", 1)]);
}

/// A file cut anywhere gives a beginning of its packets, or an error, and never a panic.
#[test]
fn every_cut_gives_a_prefix_or_an_error() {
    let recording = format!(
        "{SNAPSHOT}{}{}",
        diff(9, 11, 8, r#"[["99.8","1"]]"#),
        diff(12, 13, 11, r#"[["99.7","1"]]"#)
    );
    let rows: Vec<TestRow> = (0..40).map(|i| (BID, NS, NS + i / 3, 99.9, 1.5)).collect();
    let zstd = zstd::encode_all(recording.as_bytes(), 3).unwrap();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("plain", recording.clone().into_bytes()),
        ("gzip", gzip(recording.as_bytes())),
        ("zstd", zstd),
        ("npy", npy(&rows)),
        ("npz", npz("data.npy", &npy(&rows))),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let sized = |path: PathBuf| OpenOptions {
            tick_size: Some("0.1".into()),
            lot_size: Some("0.1".into()),
            symbol: Some("BTCUSDT".into()),
            ..options(vec![path])
        };
        let (whole, error) = read(&sized(write_file(&dir, name, &bytes)));
        assert!(error.is_none(), "{name}: {error:?}");
        for cut in 0..bytes.len() {
            let (packets, error) = read(&sized(write_file(&dir, name, &bytes[..cut])));
            let good = packets.iter().take_while(|p| p.kind != PacketKind::Rejected).count();
            assert_eq!(packets[..good], whole[..good], "{name} cut at {cut}");
            // Only plain text can be cut so that it looks whole or like a bad last line.
            let silent = error.is_none();
            assert!(!silent || name == "plain", "{name} cut at {cut}: no error");
            assert!(packets.len() <= good + 1, "{name} cut at {cut}");
            assert!(good == packets.len() || name == "plain", "{name} cut at {cut}");
        }
    }
}

#[test]
fn refused_trades_leave_the_book() {
    let trade = |price: &str, rest: &str| {
        format!(
            "1723161255000000012 {{\"stream\":\"btcusdt@trade\",\"data\":{{\"e\":\"trade\",\
             \"E\":1723161255001,\"T\":1723161255001,\"s\":\"BTCUSDT\",\"t\":5,\"p\":{price},{rest}}}}}\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let options = |file: &str, bytes: &[u8]| OpenOptions {
        tick_size: Some("0.1".into()),
        lot_size: Some("0.1".into()),
        ..options(vec![write_file(&dir, file, bytes)])
    };
    let kinds_and_fault = |options: OpenOptions| {
        let mut source = market_io::open(&options).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(source.stats().rejected, 1);
        let kinds: Vec<_> = packets.iter().map(|packet| packet.kind).collect();
        (kinds, source.stats().faults[0].to_string())
    };
    for (price, rest, found) in [
        ("\"NaN\"", r#""q":"1","X":"MARKET","m":true"#, "field `p`"),
        ("\"99.9\"", r#""q":"-1","X":"MARKET","m":true"#, "field `q`"),
        ("99.9", r#""q":"1","X":"MARKET","m":true"#, "field `p`"),
        ("\"99.9\"", r#""q":"1","X":"MARKET""#, "field `m`"),
        ("\"99.9\"", r#""q":"1","q":"1","m":true"#, "duplicate field `q`"),
    ] {
        let [before, after] = [(9, 11, 8), (12, 13, 11)]
            .map(|(first, last, prev)| diff(first, last, prev, r#"[["99.8","1"]]"#));
        let lines = format!("{SNAPSHOT}{before}{}{after}", trade(price, rest));
        let (kinds, fault) = kinds_and_fault(options("rec.txt", lines.as_bytes()));
        let delta = PacketKind::Delta;
        assert_eq!(kinds, [PacketKind::Snapshot, delta, PacketKind::RejectedTrade, delta]);
        assert!(fault.contains(found) && fault.contains("line 3"), "{fault}");
    }
    // In an array, when nothing but trades has the same local time.
    for (beside, kind) in [(TRADE, PacketKind::RejectedTrade), (BID, PacketKind::Rejected)] {
        let rows = [
            (BID, NS, NS, 99.9, 1.5),
            (TRADE, NS, NS + 5, f64::NAN, 1.0),
            (beside, NS, NS + 5, 99.9, 1.0),
            (BID, NS, NS + 9, 99.8, 1.0),
        ];
        let (kinds, fault) = kinds_and_fault(options("rows.npy", &npy(&rows)));
        assert_eq!(kinds, [PacketKind::Delta, kind, PacketKind::Delta]);
        assert!(fault.contains("field `px`") && fault.contains("row 1"), "{fault}");
    }
}
