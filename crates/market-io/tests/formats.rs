//! Each input format on a committed sample: its packets, and what a cut at any byte gives.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/book.rs"]
mod book;
#[path = "formats/bybit.rs"]
mod bybit;
#[path = "formats/ccxt.rs"]
mod ccxt;
#[path = "formats/chronicle.rs"]
mod chronicle;
#[path = "formats/chronicle_orders.rs"]
mod chronicle_orders;
#[path = "formats/chronicle_places.rs"]
mod chronicle_places;
#[path = "formats/cryptofeed.rs"]
mod cryptofeed;
#[path = "formats/dbn.rs"]
mod dbn;
#[path = "formats/lobster.rs"]
mod lobster;
#[path = "formats/orders.rs"]
mod orders;
#[path = "formats/parquet.rs"]
mod table;
#[path = "formats/tardis.rs"]
mod tardis;

use std::path::{Path, PathBuf};

use book::{drain, read};
use market_io::sink::Existing;
use market_io::{EventsWriter, Format, OpenOptions};
use market_model::{Instrument, Packet, PacketKind};

/// The committed files of a format.
fn sample(slug: &str, names: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(slug);
    names.iter().map(|name| root.join(name)).collect()
}

/// Holds a sample, recognised by content, against its packet log, and cuts it at every byte.
fn check_sample(options: &OpenOptions, format: Format, expected: &str) {
    let (instrument, packets) = check_packets(options, format, expected);
    cut_everywhere(&OpenOptions { format, ..options.clone() }, &instrument, &packets);
}

/// Holds the packets of a sample against its packet log.
///
/// With `ACCEPT_SAMPLES` set the log is written instead: read the change before it is committed.
fn check_packets(
    options: &OpenOptions,
    format: Format,
    expected: &str,
) -> (Instrument, Vec<Packet>) {
    let mut source = market_io::open(options).unwrap();
    let instrument = source.instrument().clone();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    let log = options.inputs[0].with_file_name(expected);
    if std::env::var_os("ACCEPT_SAMPLES").is_some() {
        let extra = serde_json::Map::new();
        let mut writer = EventsWriter::create(&log, &instrument, extra, Existing::Replace).unwrap();
        packets.iter().for_each(|packet| writer.write(packet).unwrap());
        writer.finish().unwrap();
    }
    let forced = OpenOptions { format, ..options.clone() };
    assert_eq!(read(&forced).0, packets, "recognised as another format");
    let mut wanted = market_io::open(&book::forced(Format::Events, vec![log])).unwrap();
    assert_eq!(instrument, *wanted.instrument());
    let (wanted, error) = drain(wanted.as_mut());
    assert!(error.is_none(), "{error:?}");
    for (index, (packet, wanted)) in packets.iter().zip(&wanted).enumerate() {
        assert_eq!(packet, wanted, "packet {index}");
    }
    assert_eq!(packets.len(), wanted.len());
    (instrument, packets)
}

/// Compression is told by content, whatever the names say.
#[test]
fn compressed_files_give_the_same_packets() {
    let lobster = [
        "TEST_2020-03-02_34200000_57600000_message_2.csv",
        "TEST_2020-03-02_34200000_57600000_orderbook_2.csv",
    ];
    for (slug, names) in [
        ("lobster", &lobster[..]),
        ("ccxt", &["sample.ndjson"]),
        ("tardis", &["book.csv", "trades.csv"]),
        ("chronicle", &["000000004.q"]),
        ("dbn", &["mbp-1.dbn"]),
        ("cryptofeed", &["kraken.jsonl"]),
        ("bybit", &["sample.txt"]),
        ("bitfinex-l3", &["sample.ndjson"]),
    ] {
        let paths = sample(slug, names);
        let (wanted, error) = read(&book::options(paths.clone()));
        assert!(error.is_none() && !wanted.is_empty(), "{slug}: {error:?}");
        for pack in [book::gzip, |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap()] {
            let dir = tempfile::tempdir().unwrap();
            let packed = paths.iter().map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                book::write_file(&dir, name, &pack(&std::fs::read(path).unwrap()))
            });
            let (found, error) = read(&book::options(packed.collect()));
            assert!(error.is_none(), "{slug}: {error:?}");
            assert_eq!(found, wanted, "{slug}");
        }
    }
}

/// Bytes that were changed at random give packets, refusals or an error, never a panic, and no more
/// packets than there are records.
#[test]
fn damaged_samples_are_survived() {
    let lobster = [
        "TEST_2020-03-02_34200000_57600000_message_2.csv",
        "TEST_2020-03-02_34200000_57600000_orderbook_2.csv",
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let (mut changed, mut failed) = (0, 0);
    for (format, slug, names) in [
        (Format::Lobster, "lobster", &lobster[..]),
        (Format::Lobster, "lobster", &lobster[..1]),
        (Format::Ccxt, "ccxt", &["sample.ndjson"]),
        (Format::Tardis, "tardis", &["book.csv", "trades.csv"]),
        (Format::Tardis, "tardis", &["snapshots.csv"]),
        (Format::Chronicle, "chronicle", &["000000004.q"]),
        (Format::Dbn, "dbn", &["mbp-1.dbn"]),
        (Format::Dbn, "dbn", &["mbp-10.dbn"]),
        (Format::Dbn, "dbn", &["mbo.dbn"]),
        (Format::Cryptofeed, "cryptofeed", &["kraken.jsonl"]),
        (Format::Cryptofeed, "cryptofeed", &["okcoin.txt"]),
        (Format::Bybit, "bybit", &["sample.txt"]),
        (Format::BitstampL3, "bitstamp-l3", &["sample.log"]),
        (Format::BitfinexL3, "bitfinex-l3", &["sample.ndjson"]),
    ] {
        let paths = sample(slug, names);
        let contents: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        let whole = read(&book::forced(format, paths)).0;
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..100 {
            let copies = contents.iter().zip(names).map(|(bytes, name)| {
                let mut bytes = bytes.clone();
                for _ in 0..=next(3) {
                    let at = next(bytes.len());
                    bytes[at] = *b"\"{}[],:.-0 9eE\n\x00\xff\x7f"
                        .get(next(24))
                        .unwrap_or(&(bytes[at] ^ 1 << next(8)));
                }
                book::write_file(&dir, name, &bytes)
            });
            let options = book::forced(format, copies.collect());
            let (packets, error) = read(&options);
            changed += u32::from(packets != whole);
            failed += u32::from(error.is_some());
            assert!(packets.len() <= 3 * whole.len() + 8, "{slug}: {} packets", packets.len());
        }
    }
    assert!(changed > 300 && failed > 50, "{changed} changed, {failed} failed");
}

/// Every cut of every file gives a prefix of the packets, and an error that names the file when the
/// format can tell that something is missing.
fn cut_everywhere(options: &OpenOptions, instrument: &Instrument, whole: &[Packet]) {
    let dir = tempfile::tempdir().unwrap();
    let size = |scaled: i64, scale: u8| Some(format!("{scaled}e-{scale}"));
    let copies: Vec<PathBuf> = options
        .inputs
        .iter()
        .map(|path| {
            let copy = dir.path().join(path.file_name().unwrap());
            std::fs::copy(path, &copy).unwrap();
            copy
        })
        .collect();
    let cut_options = OpenOptions {
        inputs: copies.clone(),
        tick_size: size(instrument.tick_scaled, instrument.price_scale),
        lot_size: size(instrument.lot_scaled, instrument.qty_scale),
        ..options.clone()
    };
    for copy in &copies {
        let bytes = std::fs::read(copy).unwrap();
        for len in 0..bytes.len() {
            std::fs::write(copy, &bytes[..len]).unwrap();
            let (packets, error) = read(&cut_options);
            let name = copy.file_name().unwrap().to_str().unwrap();
            assert!(packets.len() <= whole.len() + 1, "{name} cut at {len}");
            for (index, packet) in packets.iter().enumerate() {
                let is_last = index + 1 == packets.len();
                let is_same = whole.get(index) == Some(packet);
                assert!(
                    is_same || is_last && is_part(packet, whole.get(index)),
                    "{name} cut at {len}: packet {index} is {packet:?}"
                );
            }
            if let Some(error) = error {
                let text = error.to_string();
                assert!(!text.contains(char::is_control) && !text.is_empty(), "{text}");
                let known = copies
                    .iter()
                    .any(|copy| text.contains(copy.file_name().unwrap().to_str().unwrap()));
                assert!(known || text.starts_with("option `"), "{name} cut at {len}: {text}");
            }
        }
        std::fs::write(copy, &bytes).unwrap();
    }
}

/// The last packet of a cut file may be refused, or hold the first records of its group.
fn is_part(packet: &Packet, whole: Option<&Packet>) -> bool {
    packet.kind == PacketKind::Rejected
        || whole.is_some_and(|whole| {
            whole.ts_recv_ns == packet.ts_recv_ns
                && whole.levels.starts_with(&packet.levels)
                && whole.trades.starts_with(&packet.trades)
        })
}
