//! Conversions: what a recording is in another format.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use feature_extract::{Conversion, Converted, Error, Target, convert};
use feature_runtime::{SymbolEngine, built_in_set, parse_set};
use market_io::sink::Existing;
use market_io::synthetic::SyntheticConfig;
use market_io::write::{ArrayOptions, LocalClock, write_binance};
use market_io::{Format, OpenOptions};
use market_model::{Instrument, Packet, QualityFlags};

fn opened(inputs: &[PathBuf]) -> OpenOptions {
    OpenOptions { inputs: inputs.to_vec(), ..OpenOptions::default() }
}

fn array(options: ArrayOptions) -> Target {
    Target::Array { options, book: None, latencies: None }
}

fn made(open: &OpenOptions, path: &Path, target: Target) -> Result<Converted, Error> {
    convert(&Conversion { open: open.clone(), target, path: path.into() }, &())
}

/// Everything of each frame but the local time and the id of the symbol.
fn frames(open: &OpenOptions) -> (Instrument, Vec<Vec<u8>>) {
    let mut source = market_io::open(open).unwrap();
    let set = Arc::new(built_in_set("core_v1").unwrap());
    let mut engine = SymbolEngine::new(set, source.instrument().clone());
    let (mut packet, mut out) = (Packet::default(), Vec::new());
    while source.next_packet(&mut packet).unwrap() {
        if let Some(frame) = engine.process(&packet) {
            out.push(frame.as_bytes().to_vec());
        }
    }
    (source.instrument().clone(), out)
}

/// Event times, ids, flags and values of each frame; the local clock has no part in them.
fn values(open: &OpenOptions) -> Vec<(i64, u64, u32, Vec<Option<u64>>)> {
    let mut source = market_io::open(open).unwrap();
    let set = Arc::new(built_in_set("lob_shared_v1").unwrap());
    let columns = set.len();
    let mut engine = SymbolEngine::new(set, source.instrument().clone());
    let (mut packet, mut out) = (Packet::default(), Vec::new());
    while source.next_packet(&mut packet).unwrap() {
        let Some(frame) = engine.process(&packet) else { continue };
        let header = frame.header();
        let words = (0..columns).map(|index| frame.value(index)).collect();
        out.push((header.source_ts_ns, header.source_seq, header.quality.bits(), words));
    }
    out
}

/// Options that give an array the names and sizes of the recording.
fn like(instrument: &Instrument, path: &Path) -> OpenOptions {
    let size = |scaled, scale| Some(market_model::decimal_text(scaled, scale));
    OpenOptions {
        format: Format::Hftbacktest,
        symbol: Some(instrument.symbol.clone()),
        tick_size: size(instrument.tick_scaled, instrument.price_scale),
        lot_size: size(instrument.lot_scaled, instrument.qty_scale),
        ..opened(&[path.to_owned()])
    }
}

fn faulty() -> SyntheticConfig {
    SyntheticConfig {
        seed: 9,
        duration_ns: 60_000_000_000,
        gaps: 3,
        crossed: 2,
        duplicates: 4,
        reorders: 2,
        ..SyntheticConfig::default()
    }
}

#[test]
fn an_array_has_the_frames_of_its_recording_with_every_fault_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("day.gz");
    write_binance(&raw, &faulty(), Existing::Refuse).unwrap();
    let open = opened(&[raw]);
    let path = folder.path().join("day.npz");
    let done = made(&open, &path, array(ArrayOptions::default())).unwrap();
    let (instrument, want) = frames(&open);
    let (_, found) = frames(&like(&instrument, &path));
    assert!(want == found, "{} and {} frames", want.len(), found.len());
    assert!(done.rows > done.local_rows && done.packets >= done.packets_with_rows);
    assert!(done.gaps >= 3 && done.min_latency_ns > 0, "{done:?}");
    let gaps = frames_with(&like(&instrument, &path), QualityFlags::GAP_DETECTED);
    assert_eq!(gaps, frames_with(&open, QualityFlags::GAP_DETECTED));
    assert!(gaps >= 3, "{gaps}");
}

fn frames_with(open: &OpenOptions, flag: QualityFlags) -> usize {
    let mut source = market_io::open(open).unwrap();
    let set = Arc::new(built_in_set("lob_shared_v1").unwrap());
    let mut engine = SymbolEngine::new(set, source.instrument().clone());
    let (mut packet, mut count) = (Packet::default(), 0);
    while source.next_packet(&mut packet).unwrap() {
        let frame = engine.process(&packet);
        count += usize::from(frame.is_some_and(|frame| frame.header().quality.contains(flag)));
    }
    count
}

/// The recorded days: frames of the array are those of the raw lines, but for the local clock.
#[test]
fn recorded_days_keep_their_frames() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
    if !root.is_dir() {
        println!("skipped: ../shared/data/binance is absent");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["usdm_btcusdt_20240718.gz", "spot_btcusdt_20240808.gz"] {
        let open = opened(&[root.join(name)]);
        let path = folder.path().join("day.npz");
        let options = ArrayOptions {
            local_clock: LocalClock::Aligned,
            existing: Existing::Replace,
            ..ArrayOptions::default()
        };
        let done = made(&open, &path, array(options)).unwrap();
        let source = market_io::open(&open).unwrap();
        let (want, found) = (values(&open), values(&like(source.instrument(), &path)));
        assert!(want == found, "{name}: {} and {} frames", want.len(), found.len());
        assert!(done.local_offset_ns > 0 && want.len() > 4_000, "{name}: {done:?}");
    }
}

#[test]
fn a_log_holds_every_packet() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("day.gz");
    write_binance(&raw, &faulty(), Existing::Refuse).unwrap();
    let open = opened(&[raw]);
    let path = folder.path().join("day.ndjson.gz");
    let done = made(&open, &path, Target::Events { existing: Existing::Refuse }).unwrap();
    assert_eq!(frames(&opened(&[path])), frames(&open));
    assert_eq!((done.rows, done.local_rows), (done.packets, 0));
}

#[test]
fn nothing_is_left_behind_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("day.txt");
    let config = SyntheticConfig { duration_ns: 2_000_000_000, ..SyntheticConfig::default() };
    write_binance(&raw, &config, Existing::Refuse).unwrap();
    let (open, path) = (opened(&[raw]), folder.path().join("day.npz"));
    let late = ArrayOptions {
        local_clock: LocalClock::Shifted(-1_000_000_000),
        ..ArrayOptions::default()
    };
    let error = made(&open, &path, array(late)).unwrap_err().to_string();
    assert!(error.contains("were received before they were sent, by up to"), "{error}");
    let offset: i64 =
        error.split("--local-offset ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let helped = ArrayOptions { local_clock: LocalClock::Shifted(offset), ..late };
    made(&open, &path, array(helped)).unwrap();
    let barely = ArrayOptions {
        local_clock: LocalClock::Shifted(offset - 1),
        existing: Existing::Replace,
        ..late
    };
    assert!(made(&open, &path, array(barely)).is_err());
    let error = made(&open, &path, array(ArrayOptions::default())).unwrap_err();
    assert!(matches!(error, Error::Output(_)), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 2);
}

/// Flags, times and values of each frame of every column there is, but for what reads the local clock.
fn every_column(open: &OpenOptions) -> Vec<(i64, u32, Vec<Option<u64>>)> {
    let text = include_str!("../../../parity/tests/every_column.json");
    let set = Arc::new(parse_set(text, "every_column").unwrap());
    let mut source = market_io::open(open).unwrap();
    let mut engine = SymbolEngine::new(Arc::clone(&set), source.instrument().clone());
    let (mut packet, mut out) = (Packet::default(), Vec::new());
    while source.next_packet(&mut packet).unwrap() {
        let Some(frame) = engine.process(&packet) else { continue };
        let header = frame.header();
        let read = |(index, feature): (usize, &feature_runtime::Feature)| {
            if feature.name.contains("latency") { None } else { frame.value(index) }
        };
        let words = set.features().iter().enumerate().map(read).collect();
        out.push((header.source_ts_ns, header.quality.bits(), words));
    }
    out
}

#[test]
fn orders_survive_in_packet_logs() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../market-io/tests/dbn/mbo.dbn");
    let (open, log) = (opened(&[sample]), folder.path().join("log.ndjson"));
    made(&open, &log, Target::Events { existing: Existing::Refuse }).unwrap();
    assert_eq!(frames(&open), frames(&opened(&[log])));
}

#[test]
fn recorded_orders_survive_in_arrays() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/dbn");
    let input = root.join("glbx_ESM4_mbo_20240508_2s.dbn.zst");
    if !input.is_file() {
        println!("skipped: ../shared/data/dbn is absent");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (open, path) = (opened(&[input]), folder.path().join("array.npz"));
    let options = ArrayOptions { local_clock: LocalClock::Aligned, ..ArrayOptions::default() };
    made(&open, &path, array(options)).unwrap();
    let source = market_io::open(&open).unwrap();
    let (want, found) = (every_column(&open), every_column(&like(source.instrument(), &path)));
    for (index, (want, found)) in want.iter().zip(&found).enumerate() {
        assert_eq!(want, found, "frame {index}");
    }
    assert_eq!(want.len(), found.len());
    assert!(want.len() > 150, "{} frames", want.len());
}

#[test]
fn the_last_book_of_a_feed_of_orders_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../market-io/tests/dbn/mbo.dbn");
    let path = folder.path().join("array.npz");
    let book = Some(folder.path().join("book.npz"));
    let target = Target::Array { options: ArrayOptions::default(), book, latencies: None };
    let error = made(&opened(&[sample]), &path, target).unwrap_err().to_string();
    assert!(error.contains("holds orders"), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
