//! Captures of cryptofeed. The checksums of the samples were computed with zlib.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use market_io::{Format, OpenOptions};
use market_model::PacketKind;
use serde_json::Value;

use crate::book::{drain, options, read, shared, write_file};
use crate::{check_sample, sample};

#[test]
fn the_samples_give_their_packets() {
    for (name, venue, checksums, mismatches) in [
        ("kraken.jsonl", "kraken", 2, 1),
        ("bitget.jsonl", "bitget", 2, 0),
        ("okcoin.txt", "okcoin", 2, 0),
        ("ftx.txt", "ftx", 2, 0),
    ] {
        let options = options(sample("cryptofeed", &[name]));
        check_sample(&options, Format::Cryptofeed, &format!("expected_{venue}.ndjson"));
        let mut source = market_io::open(&options).unwrap();
        assert_eq!(source.instrument().venue, venue);
        drain(source.as_mut());
        let stats = source.stats();
        let found = (stats.checksums, stats.checksum_mismatches);
        assert_eq!(found, (checksums, mismatches), "{name}");
    }
}

#[test]
fn a_refused_change_loses_the_book_until_a_snapshot() {
    let mut source = market_io::open(&options(sample("cryptofeed", &["bitget.jsonl"]))).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none());
    assert_eq!(packets.last().unwrap().kind, PacketKind::Rejected);
    assert_eq!((source.stats().rejected, source.stats().dropped_updates), (1, 1));
    let fault = source.stats().faults[0].to_string();
    assert!(fault.contains("line 6") && fault.contains("field `bids`"), "{fault}");
}

/// A size that differs from the venue's in one digit is found by its checksum.
#[test]
fn one_changed_digit_is_a_mismatch() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["kraken.jsonl", "bitget.jsonl", "okcoin.txt", "ftx.txt"] {
        let path = &sample("cryptofeed", &[name])[0];
        let text = std::fs::read_to_string(path).unwrap();
        let changed = match name {
            "kraken.jsonl" => text.replacen("3.25000000", "3.24000000", 1),
            "bitget.jsonl" => text.replacen("\\\"225\\\"", "\\\"226\\\"", 1),
            "okcoin.txt" => text.replacen("\"0.5\"", "\"0.6\"", 1),
            _ => text.replacen("18.0", "18.5", 1),
        };
        assert_ne!(text, changed, "{name}");
        let mut mismatches = Vec::new();
        for text in [text, changed] {
            let path = write_file(&dir, name, text.as_bytes());
            let mut source = market_io::open(&options(vec![path])).unwrap();
            let (packets, error) = drain(source.as_mut());
            assert!(error.is_none());
            let flagged = packets.iter().filter(|packet| packet.checksum_mismatch).count();
            assert_eq!(flagged as u64, source.stats().checksum_mismatches);
            mismatches.push(flagged);
        }
        assert!(mismatches[1] > mismatches[0], "{name}: {mismatches:?}");
    }
}

#[test]
fn symbols_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&sample("cryptofeed", &["bitget.jsonl"])[0]).unwrap();
    let both = text.clone() + &text.replace("\\\"mc\\\"", "\\\"sp\\\"");
    let path = write_file(&dir, "both", both.as_bytes());
    let error = read(&options(vec![path.clone()])).1.unwrap().to_string();
    assert!(error.contains("found mc:TUSDT and sp:TUSDT"), "{error}");
    let chosen = OpenOptions { symbol: Some("sp:TUSDT".into()), ..options(vec![path]) };
    let (packets, error) = read(&chosen);
    assert!(error.is_none());
    assert_eq!(packets, read(&options(sample("cryptofeed", &["bitget.jsonl"]))).0);
}

/// Symbols of the books of a capture, found without the decoder.
fn symbols(path: &Path) -> BTreeSet<String> {
    let file = std::fs::File::open(path).unwrap();
    let lines = BufReader::new(zstd::Decoder::new(file).unwrap()).lines();
    let mut symbols = BTreeSet::new();
    for line in lines.map(Result::unwrap) {
        let message = match serde_json::from_str::<Value>(&line) {
            Ok(Value::Object(line)) if line["t"] == "recv" => {
                line["data"].as_str().unwrap_or_default().to_owned()
            }
            Ok(_) => continue,
            Err(_) => line.split_once(": ").map_or(String::new(), |(_, rest)| rest.to_owned()),
        };
        let Ok(message) = serde_json::from_str::<Value>(&message) else { continue };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(parts) = message.as_array() {
            let channel = text(&parts[parts.len() - 2]);
            symbols.extend(channel.starts_with("book").then(|| text(&parts[parts.len() - 1])));
        } else if message["channel"] == "orderbook" && !message["data"].is_null() {
            symbols.insert(text(&message["market"]));
        } else if text(&message["table"]).contains("depth") {
            let entries = message["data"].as_array().unwrap();
            symbols.extend(entries.iter().map(|entry| text(&entry["instrument_id"])));
        } else if text(&message["arg"]["channel"]).starts_with("books")
            && !message["data"].is_null()
        {
            let name = text(&message["arg"]["instId"]);
            let market = text(&message["arg"]["instType"]);
            symbols.insert(if market.is_empty() { name } else { format!("{market}:{name}") });
        }
    }
    symbols
}

/// Every checksum that the venues sent equals the one of the rebuilt book.
#[test]
fn every_checksum_of_the_venues_agrees() {
    for (name, venue, checksums) in [
        ("cryptofeed/KRAKEN.jsonl.zst", "kraken", 4_269),
        ("cryptofeed/OKX.jsonl.zst", "okx", 290),
        ("cryptofeed/BITGET.jsonl.zst", "bitget", 637),
        ("cryptofeed_v1/OKEX_2021-07-22.ws1.txt.zst", "okx", 1_504),
        ("cryptofeed_v1/OKCOIN_2021-07-22.ws1.inflated.txt.zst", "okcoin", 1_031),
        ("cryptofeed_v1/FTX_2021-04-17.ws32.txt.zst", "ftx", 1_276),
    ] {
        let Some(paths) = shared(&[name]) else { return };
        let (mut compared, mut mismatches, mut trades) = (0, 0, 0);
        for symbol in symbols(&paths[0]) {
            let chosen = OpenOptions { symbol: Some(symbol.clone()), ..options(paths.clone()) };
            let mut source = market_io::open(&chosen).unwrap();
            let instrument = source.instrument();
            assert_eq!((instrument.symbol.as_str(), instrument.venue.as_str()), (&*symbol, venue));
            let (packets, error) = drain(source.as_mut());
            let stats = source.stats();
            assert!(error.is_none() && stats.rejected == 0, "{symbol}: {:?}", stats.faults);
            assert_eq!((stats.rounded, stats.dropped_updates), (0, 0), "{symbol}");
            compared += stats.checksums;
            mismatches += stats.checksum_mismatches;
            trades += packets.iter().map(|packet| packet.trades.len()).sum::<usize>();
        }
        println!("{name}: {compared} checksums, {mismatches} mismatches, {trades} trades");
        assert_eq!((compared, mismatches), (checksums, 0), "{name}");
    }
}
