//! Recorded Binance streams against the venue's own best quotes, and against hftbacktest's file.

#[path = "support/book.rs"]
mod book;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use book::{Book, drain, gzip_lines, options, read, shared};
use market_io::OpenOptions;
use market_model::{Packet, PacketKind, parse_scaled};

type Quote = ((i64, i64), (i64, i64));

/// The `bookTicker` messages of some files by update id.
fn quotes(paths: &[PathBuf], price_scale: u8, qty_scale: u8) -> BTreeMap<u64, Quote> {
    let mut quotes = BTreeMap::new();
    for line in paths.iter().flat_map(|path| gzip_lines(path)) {
        if !line.contains("@bookTicker") {
            continue;
        }
        let json: serde_json::Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        let data = &json["data"];
        let scaled = |key: &str, scale| {
            let (value, inexact) = parse_scaled(data[key].as_str().unwrap().as_bytes(), scale).unwrap();
            assert!(!inexact, "{line}");
            value
        };
        let quote = (
            (scaled("b", price_scale), scaled("B", qty_scale)),
            (scaled("a", price_scale), scaled("A", qty_scale)),
        );
        quotes.insert(data["u"].as_u64().unwrap(), quote);
    }
    quotes
}

struct Recording {
    files: &'static [&'static str],
    venue: &'static str,
    symbol: &'static str,
    sizes: (&'static str, &'static str),
    /// Depth updates compared with a quote.
    compared: usize,
    /// Update ids at which the book differs from the quote.
    exceptions: &'static [u64],
}

const RECORDINGS: [Recording; 4] = [
    Recording {
        files: &["binance/usdm_btcusdt_20240718.gz", "binance/usdm_btcusdt_20240719.gz"],
        venue: "binance-usdm",
        symbol: "BTCUSDT",
        sizes: ("0.1", "0.001"),
        compared: 0,
        exceptions: &[],
    },
    Recording {
        files: &["binance/usdm_btcusdt_20240808.gz"],
        venue: "binance-usdm",
        symbol: "BTCUSDT",
        sizes: ("0.1", "0.001"),
        compared: 0,
        exceptions: &[],
    },
    Recording {
        files: &["binance/cm_btcusd_perp_20240808.gz"],
        venue: "binance-coinm",
        symbol: "BTCUSD_PERP",
        sizes: ("0.1", "1"),
        compared: 0,
        exceptions: &[],
    },
    Recording {
        files: &["binance/spot_btcusdt_20240808.gz", "binance/spot_btcusdt_20240809.gz"],
        venue: "binance-spot",
        symbol: "BTCUSDT",
        sizes: ("0.01", "0.00001"),
        compared: 0,
        exceptions: &[],
    },
];

#[test]
fn rebuilt_best_quotes_equal_the_recorded_ones() {
    for recording in &RECORDINGS {
        let Some(paths) = shared(recording.files) else { return };
        let mut source = market_io::open(&options(paths.clone())).unwrap();
        let instrument = source.instrument().clone();
        assert_eq!(instrument.symbol, recording.symbol);
        assert_eq!(instrument.venue, recording.venue);
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        let stats = source.stats();
        println!("{:?}: {} packets, {stats:?}", recording.files, packets.len());
        assert_eq!((stats.rejected, stats.gaps, stats.rounded, stats.snapshots), (0, 0, 0, 1));
        assert_eq!(source.progress().0, source.progress().1);

        let quotes = quotes(&paths, instrument.price_scale, instrument.qty_scale);
        let (mut book, mut last_seq, mut compared) = (Book::default(), 0, 0);
        let mut exceptions = Vec::new();
        for packet in packets.iter().filter(|packet| packet.touches_book()) {
            // Either no rule of the engine finds a gap, or this is the first packet.
            assert!(packet.prev_seq == 0 || packet.prev_seq == last_seq, "{}", packet.seq);
            assert!(packet.prev_seq != 0 || last_seq == 0 || packet.first_seq <= last_seq + 1);
            book.apply(packet);
            last_seq = packet.seq;
            let Some((u, quote)) = quotes.range(..=packet.seq).next_back() else { continue };
            compared += 1;
            let (bid, ask) = book.best();
            if (bid, ask) != (Some(quote.0), Some(quote.1)) {
                println!(
                    "  exception at u {} ({:?}): book {bid:?} {ask:?}, bookTicker {u} {quote:?}",
                    packet.seq, packet.kind
                );
                exceptions.push(packet.seq);
            }
        }
        println!("  compared {compared}, exceptions {}", exceptions.len());
        let scale = |text: &str| market_model::Instrument::new(0, "X", text, text).unwrap().price_scale;
        assert_eq!(instrument.price_scale, scale(recording.sizes.0));
        assert_eq!(instrument.qty_scale, scale(recording.sizes.1));
        assert_eq!((compared, &exceptions[..]), (recording.compared, recording.exceptions));
    }
}
