//! Latest frames across threads and processes.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use feature_runtime::{
    Error, FeatureSet, Latest, LatestReader, LatestWriter, SymbolEngine, built_in_set,
};
use market_model::{BookOp, Instrument, Level, Packet, PacketKind};

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

fn engine(set: &FeatureSet, symbol_id: u32) -> SymbolEngine {
    let name = SYMBOLS[symbol_id as usize];
    let instrument = Instrument::new(symbol_id, name, "0.1", "0.001").unwrap();
    SymbolEngine::new(Arc::new(set.clone()), instrument)
}

/// A book that is `step` ticks higher than the first one.
fn packet(symbol_id: u32, step: i64) -> Packet {
    let seq = step.unsigned_abs() + 1;
    let kind = if step == 0 { PacketKind::Snapshot } else { PacketKind::Delta };
    let mut packet = Packet { symbol_id, kind, seq, ts_event_ns: step + 1, ..Packet::default() };
    packet.push_level(BookOp::SetBid, Level::new(1_000 + step, 5 + step));
    packet.push_clear_side(BookOp::ClearAsk);
    packet.push_level(BookOp::SetAsk, Level::new(1_001 + step, 7 + step));
    packet
}

#[test]
fn another_process_reads_what_was_published_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latest.fp");
    let set = built_in_set("lob_shared_v1").unwrap();
    let mut writer = LatestWriter::create(&path, &set, &SYMBOLS, &["p_up"]).unwrap();
    let reader = LatestReader::open(&path, set.schema_hash()).unwrap();
    let mut latest = Latest::default();
    assert_eq!(reader.symbols(), SYMBOLS);
    let eth = reader.symbol_id("ETHUSDT").unwrap();
    assert!(!reader.read(eth, &mut latest).unwrap());

    let mut engine = engine(&set, eth);
    let first = engine.process(&packet(eth, 0)).unwrap();
    writer.publish(first, Some(&[0.75]), 42);
    assert!(reader.read(eth, &mut latest).unwrap());
    assert_eq!(latest.frame(), engine.frame().unwrap());
    assert_eq!((latest.published(), latest.published_ns(), latest.score(0)), (1, 42, Some(0.75)));
    assert_eq!(latest.score(1), None);

    let second = engine.process(&packet(eth, 1)).unwrap();
    writer.publish(second, None, 43);
    assert!(reader.read(eth, &mut latest).unwrap());
    assert_eq!((latest.published(), latest.score(0)), (2, None));
    assert_eq!(latest.frame().as_bytes(), engine.frame().unwrap().as_bytes());

    let (version_at, frame_at) = reader.offsets(eth).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[version_at..version_at + 8], 4_u64.to_le_bytes());
    assert_eq!(&bytes[frame_at..][..latest.frame().as_bytes().len()], latest.frame().as_bytes());

    assert!(!reader.read(0, &mut latest).unwrap(), "the other symbol has no frame");
    assert!(!reader.is_closed());
    drop(writer);
    assert!(reader.is_closed());
}

#[test]
fn a_reader_for_another_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latest.fp");
    let set = built_in_set("lob_shared_v1").unwrap();
    let other = built_in_set("lob_shared_v2").unwrap();
    let writer = LatestWriter::create(&path, &set, &SYMBOLS, &[]).unwrap();
    let error = LatestReader::open(&path, other.schema_hash()).unwrap_err();
    assert!(matches!(error, Error::Kernel(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("{:016x}", set.schema_hash())), "{text}");
    assert!(writer.reader().symbol_id("DOGE").is_err());
    assert!(writer.reader().read(2, &mut Latest::default()).is_err());
}

#[test]
fn files_that_are_no_whole_table_are_refused_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latest.fp");
    let set = built_in_set("lob_shared_v1").unwrap();
    drop(LatestWriter::create(&path, &set, &SYMBOLS, &["p_up"]).unwrap());
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        let path = folder.path().join("bad.fp");
        std::fs::write(&path, bytes).unwrap();
        match LatestReader::open(&path, set.schema_hash()) {
            Err(Error::NotLatest { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    let with = |at: usize, word: u64| {
        let mut bytes = good.clone();
        bytes[8 * at..8 * at + 8].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    assert_eq!(refused(b"short"), "length");
    assert_eq!(refused(&good[..good.len() - 3]), "length");
    assert_eq!(refused(&good[..good.len() - 8]), "length");
    assert_eq!(refused(&with(0, 0)), "marker");
    assert_eq!(refused(&with(2, 0xFFFF_FFFF)), "names");
    assert_eq!(refused(&with(2, 0xFFFF_FFFF | 2 << 32)), "counts");
    assert_eq!(refused(&with(3, 8 | 1 << 32)), "slot");
    assert_eq!(refused(&with(5, u64::MAX)), "text");
    assert_eq!(refused(&with(8, 0)), "text");
}

#[test]
fn a_reader_beside_a_writer_never_sees_half_a_frame() {
    let set = built_in_set(if cfg!(miri) { "lob_shared_v1" } else { "core_v1" }).unwrap();
    let mut writer = LatestWriter::in_memory(&set, &SYMBOLS, &[]);
    let (reader, done) = (writer.reader(), Arc::new(AtomicBool::new(false)));
    let steps = if cfg!(miri) { 10 } else { 20_000 };
    let bid = set.index_of("best_bid").unwrap();
    let ask = set.index_of("best_ask").unwrap();
    let watching = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            let (mut latest, mut seen) = (Latest::default(), 0_u64);
            while !done.load(Ordering::Relaxed) {
                if !reader.read(1, &mut latest).unwrap() {
                    continue;
                }
                let frame = latest.frame();
                assert_eq!(frame.header().seq, latest.published());
                assert!(latest.published() >= seen, "frames do not go back");
                seen = latest.published();
                let step = seen - 1;
                assert_eq!(frame.value(bid), Some(1_000 + step));
                assert_eq!(frame.value(ask), Some(1_001 + step));
            }
            seen
        })
    };
    let mut engine = engine(&set, 1);
    for step in 0..steps {
        writer.publish(engine.process(&packet(1, step)).unwrap(), None, 0);
    }
    done.store(true, Ordering::Relaxed);
    assert!(watching.join().unwrap() <= steps.unsigned_abs());
}
