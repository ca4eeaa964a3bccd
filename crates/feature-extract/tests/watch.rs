//! Watching growing segments: however the lines arrive, the parts are those of one run over all of them.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;
#[path = "support/segments.rs"]
mod segments;

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use feature_extract::{
    BarOptions, Error, Job, Until, Watcher, find_watch_config, load_watch_config,
};
use jobs::{SECOND, job, output, parquet_file, rows_of};
use market_io::OpenOptions;
use segments::{CONFIG, SYMBOLS, append, at_once, config, difference, lines, parts};

struct Desk {
    folder: tempfile::TempDir,
    input: PathBuf,
    out: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (input, out) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir(&input).unwrap();
        Self { folder, input, out }
    }

    fn segment(&self, name: &str) -> PathBuf {
        self.input.join(name)
    }

    fn open(&self) -> Result<Watcher, Error> {
        Watcher::open(&self.input, &self.out, &config(self.folder.path()))
    }

    /// A watcher that is opened, catches up and is dropped.
    fn restart(&self, until: Until) -> Result<(), Error> {
        self.open()?.catch_up(until, &|| false)
    }

    fn refusal(&self) -> String {
        self.restart(Until::Caught).unwrap_err().to_string()
    }
}

#[test]
fn the_parts_hold_the_rows_and_bars_of_a_job() {
    let lines = lines(1_500);
    let desk = Desk::new();
    let segment = desk.segment("segment_1.ndjson");
    append(&segment, &lines.concat());
    let mut watcher = desk.open().unwrap();
    watcher.catch_up(Until::Finished, &|| false).unwrap();
    let summary = watcher.summary();
    assert_eq!(summary.lines, lines.len() as u64);
    assert_eq!((summary.unreadable, summary.other_symbols), (30, 37));
    assert_eq!(summary.rejected.values().copied().collect::<Vec<_>>(), [30, 30]);
    let written = parts(&desk.out);
    assert_eq!(summary.parts, written.len() as u64);
    for name in SYMBOLS {
        let durations_ns = vec![SECOND, 5 * SECOND];
        let bars = Some(BarOptions { durations_ns, ..BarOptions::default() });
        let open = OpenOptions {
            inputs: vec![segment.clone()],
            symbol: Some(name.into()),
            tick_size: Some("0.1".into()),
            lot_size: Some("0.001".into()),
            ..OpenOptions::default()
        };
        let job = Job { open, bars, ..job(&[], "ccxt_hf_v1", "step:1s") };
        let job = output(&job);
        let table = |table: &str, prefix: &str| -> Vec<RecordBatch> {
            let (exchange, symbol) = name.split_once(':').unwrap();
            let symbol = symbol.replace('/', "%2F");
            let below = Path::new(table).join(format!("exchange={exchange}/symbol={symbol}"));
            let of_table = written.keys().filter(|path| {
                path.starts_with(&below)
                    && path.file_name().unwrap().to_string_lossy().starts_with(prefix)
            });
            of_table.flat_map(|path| parquet_file(&desk.out.join(path)).1).collect()
        };
        assert!(rows_of(&table("hf", "")) == rows_of(&job.batches), "{name}");
        assert!(job.summary.rows > 100);
        for bars in &job.bars {
            let ours = table("bars", &format!("{}-", bars.summary.duration));
            assert!(cells(&ours) == cells(&bars.batches), "{name} {}", bars.summary.duration);
        }
    }
}

/// The cells of all rows but for the symbol, whatever batches they are in.
fn cells(batches: &[RecordBatch]) -> Vec<Vec<Option<u64>>> {
    let row = |batch: &RecordBatch, row| {
        batch.columns()[1..].iter().map(|column| jobs::word(column.as_ref(), row)).collect()
    };
    let rows =
        |batch: &RecordBatch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<_>>();
    batches.iter().flat_map(rows).collect()
}

#[test]
fn partitions_are_exchange_symbol_and_date() {
    let written = at_once(&lines(1_500));
    let names: Vec<_> = written.keys().map(|path| path.display().to_string()).collect();
    let hf = names.iter().filter(|name| name.starts_with("hf/"));
    let mut dates: Vec<_> = hf.map(|name| name.split('/').nth(3).unwrap()).collect();
    dates.dedup();
    assert_eq!(dates[..2], ["date=2024-03-09", "date=2024-03-10"], "{names:?}");
    let symbols = names.iter().filter(|name| name.contains("/symbol=BTC%2FUSDT/")).count();
    assert!(symbols > 10 && symbols < names.len(), "{names:?}");
    assert!(names.iter().any(|name| name.contains("/5s-")), "{names:?}");
}

#[test]
fn lines_that_come_in_pieces_give_the_same_parts() {
    let lines = lines(400);
    let want = at_once(&lines);
    let text = lines.concat();
    for (step, restart) in [(997, false), (4_001, true)] {
        let desk = Desk::new();
        let mut watcher = Some(desk.open().unwrap());
        for piece in text.as_bytes().chunks(step) {
            append(&desk.segment("segment_1.ndjson"), std::str::from_utf8(piece).unwrap());
            if restart {
                drop(watcher.take());
                watcher = Some(desk.open().unwrap());
            }
            watcher.as_mut().unwrap().catch_up(Until::Caught, &|| false).unwrap();
        }
        drop(watcher);
        desk.restart(Until::Finished).unwrap();
        assert_eq!(difference(&parts(&desk.out), &want), [""; 0], "pieces of {step} bytes");
    }
}

/// Every cut inside of a line: nothing is made of half a line, and the whole line counts once.
#[test]
fn half_a_line_waits_for_its_other_half() {
    let lines = lines(3);
    let want = at_once(&lines);
    let desk = Desk::new();
    let text = lines.concat();
    let segment = desk.segment("segment_1.ndjson");
    let mut watcher = desk.open().unwrap();
    for (at, _) in text.char_indices() {
        append(&segment, &text[at..=at]);
        watcher.catch_up(Until::Caught, &|| false).unwrap();
        let whole = text[..=at].matches('\n').count();
        assert_eq!(watcher.summary().lines, whole as u64);
    }
    watcher.catch_up(Until::Finished, &|| false).unwrap();
    assert_eq!(difference(&parts(&desk.out), &want), [""; 0]);
}

#[test]
fn segments_follow_each_other_by_number() {
    let lines = lines(600);
    let want = at_once(&lines);
    for order in [[0, 1, 2], [2, 1, 0]] {
        let desk = Desk::new();
        let thirds: Vec<_> = lines.chunks(lines.len().div_ceil(3)).collect();
        let names = ["segment_9.ndjson", "segment_10.ndjson", "segment_11.ndjson"];
        // Written in any order while nobody looks.
        for index in order {
            append(&desk.segment(names[index]), &thirds[index].concat());
        }
        desk.restart(Until::Caught).unwrap();
        desk.restart(Until::Finished).unwrap();
        assert_eq!(difference(&parts(&desk.out), &want), [""; 0], "{order:?}");
    }
}

#[test]
fn the_last_line_of_a_segment_may_have_no_end() {
    let lines = lines(60);
    let want = at_once(&lines);
    let desk = Desk::new();
    let (first, second) = lines.split_at(31);
    append(&desk.segment("segment_1.ndjson"), first.concat().trim_end());
    desk.restart(Until::Caught).unwrap();
    append(&desk.segment("segment_2.ndjson"), second.concat().trim_end());
    desk.restart(Until::Finished).unwrap();
    assert_eq!(difference(&parts(&desk.out), &want), [""; 0]);
}

/// Rotation by renaming, with lines that were written before it and not seen, while watched and not.
#[test]
fn a_renamed_segment_is_read_to_its_end() {
    let lines = lines(400);
    let want = at_once(&lines);
    for watched in [true, false] {
        let desk = Desk::new();
        let active = desk.segment("segment.ndjson");
        let mut watcher = None;
        for (number, piece) in lines.chunks(37).enumerate() {
            let (seen, unseen) = piece.split_at(piece.len() / 2);
            append(&active, &seen.concat());
            if !watched {
                drop(watcher.take());
            }
            let watcher = watcher.get_or_insert_with(|| desk.open().unwrap());
            watcher.catch_up(Until::Caught, &|| false).unwrap();
            append(&active, &unseen.concat());
            std::fs::rename(&active, desk.segment(&format!("segment_{number}.ndjson"))).unwrap();
        }
        drop(watcher);
        desk.restart(Until::Finished).unwrap();
        assert_eq!(difference(&parts(&desk.out), &want), [""; 0], "watched: {watched}");
    }
}

#[test]
fn a_segment_that_is_made_anew_is_read_from_its_start() {
    let lines = lines(200);
    let want = at_once(&lines);
    let desk = Desk::new();
    let segment = desk.segment("segment.ndjson");
    let mut watcher = desk.open().unwrap();
    for piece in lines.chunks(50) {
        let (seen, unseen) = piece.split_at(piece.len() / 2);
        append(&segment, &seen.concat());
        watcher.catch_up(Until::Caught, &|| false).unwrap();
        // The watcher holds the file open: what comes before the removal is not lost.
        append(&segment, &unseen.concat());
        std::fs::remove_file(&segment).unwrap();
    }
    append(&segment, "");
    watcher.catch_up(Until::Finished, &|| false).unwrap();
    assert_eq!(difference(&parts(&desk.out), &want), [""; 0]);
}

#[test]
fn a_segment_that_shrinks_or_changes_is_refused_with_both_sizes() {
    let lines = lines(100);
    let text = lines.concat();
    for (what, after, says) in [
        ("cut", text[..500].to_owned(), "500 bytes"),
        ("written anew", format!("x{text}{text}"), "its first bytes are others"),
    ] {
        let desk = Desk::new();
        let segment = desk.segment("segment_1.ndjson");
        append(&segment, &text);
        let mut watcher = desk.open().unwrap();
        watcher.catch_up(Until::Caught, &|| false).unwrap();
        std::fs::write(&segment, &after).unwrap();
        let error = watcher.catch_up(Until::Caught, &|| false).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("may be lost"), "{what}: {error}");
        assert!(what != "cut" || error.contains(&format!("{} were read", text.len())), "{error}");
        drop(watcher);
        // A new process finds no segment that begins with what was read.
        let error = desk.refusal();
        assert!(
            error.contains(&format!("{} bytes of it were read", text.len())),
            "{what}: {error}"
        );
    }
}

#[test]
fn late_and_grown_segments_are_refused() {
    let lines = lines(90);
    let pieces: Vec<_> = lines.chunks(31).map(<[String]>::concat).collect();
    let desk = Desk::new();
    append(&desk.segment("segment_2.ndjson"), &pieces[0]);
    append(&desk.segment("segment_4.ndjson"), &pieces[1]);
    desk.restart(Until::Caught).unwrap();
    append(&desk.segment("segment_2.ndjson"), &pieces[2]);
    let error = desk.refusal();
    assert!(error.contains("segment_2") && error.contains("nothing may change"), "{error}");
    std::fs::remove_file(desk.segment("segment_2.ndjson")).unwrap();
    desk.restart(Until::Caught).unwrap(); // Removing what was read is fine.
    append(&desk.segment("segment_1.ndjson"), &pieces[2]);
    let error = desk.refusal();
    assert!(error.contains("segment_1") && error.contains("comes late"), "{error}");
}

#[test]
fn a_damaged_slot_gives_way_to_the_other_and_two_to_an_error() {
    let lines = lines(300);
    let want = at_once(&lines);
    let desk = Desk::new();
    let slots = ["state-0", "state-1"].map(|name| desk.out.join(".watch").join(name));
    for (index, piece) in lines.chunks(30).enumerate() {
        append(&desk.segment("segment_1.ndjson"), &piece.concat());
        desk.restart(Until::Caught).unwrap();
        let slot = &slots[usize::from(index % 5 < 2)];
        let Ok(bytes) = std::fs::read(slot) else { continue };
        if slots.iter().all(|slot| slot.exists()) {
            let middle = bytes.len() / 2;
            let mut flipped = bytes.clone();
            flipped[middle] ^= 1;
            std::fs::write(slot, [&[], &bytes[..middle], &flipped][index % 3]).unwrap();
            desk.restart(Until::Caught).unwrap();
        }
    }
    for slot in &slots {
        std::fs::write(slot, b"x").unwrap();
    }
    assert!(desk.refusal().contains("checksum of the state"));
    slots.iter().for_each(|slot| std::fs::remove_file(slot).unwrap());
    assert!(desk.refusal().contains("no state that says how far they go"));
    std::fs::remove_dir_all(&desk.out).unwrap();
    desk.restart(Until::Finished).unwrap();
    assert_eq!(difference(&parts(&desk.out), &want), [""; 0]);
}

#[test]
fn a_watch_has_one_watcher_one_configuration_and_one_end() {
    let desk = Desk::new();
    append(&desk.segment("segment_1.ndjson"), &lines(50).concat());
    let mut watcher = desk.open().unwrap();
    watcher.catch_up(Until::Caught, &|| false).unwrap();
    assert!(desk.refusal().contains("another watcher"));
    drop(watcher);
    let path = desk.folder.path().join("other.toml");
    std::fs::write(&path, CONFIG.replace("part_seconds = 20", "part_seconds = 30")).unwrap();
    let other = Watcher::open(&desk.input, &desk.out, &load_watch_config(&path).unwrap());
    let error = other.err().unwrap().to_string();
    assert!(error.contains("configuration of the state"), "{error}");
    desk.restart(Until::Finished).unwrap();
    assert!(desk.refusal().contains("is finished"));
}

#[test]
fn a_configuration_in_yaml_is_that_in_toml() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let refusal = |name: &str, text: &str| {
        let path = write(name, text);
        let said = load_watch_config(&path).unwrap_err().to_string();
        std::fs::remove_file(path).unwrap();
        said
    };
    let missing = find_watch_config(folder.path()).unwrap_err().to_string();
    assert!(missing.contains("watch.toml, watch.yaml, watch.yml"), "{missing}");
    let toml = load_watch_config(&write("watch.toml", CONFIG)).unwrap();
    let text = r#"
# The decimals of sizes stay text, with and without quotes.
etl:
  compression: zstd
  part_seconds: 20
  channels:
    orderbook:
      partition_cols: [exchange, symbol, date]
      processor_options:
        hf_sample_interval: 1
        bar_durations:
          - 1
          - 5
instruments:
  "binance:BTC/USDT": {tick_size: 0.1, lot_size: "0.001", nonces: none}
  kraken:ETH/USD: {tick_size: 0.1, lot_size: 0.001, nonces: none}
"#;
    let yaml = write("watch.yaml", text);
    let both = find_watch_config(folder.path()).unwrap_err().to_string();
    assert!(both.contains("watch.yaml") && both.contains("second"), "{both}");
    std::fs::remove_file(folder.path().join("watch.toml")).unwrap();
    assert_eq!(find_watch_config(folder.path()).unwrap(), yaml);
    assert_eq!(load_watch_config(&yaml).unwrap(), toml);
    let unknown = refusal("a.yaml", "etl:\n  compute_features: true\ninstruments: {}\n");
    assert!(unknown.contains("compute_features"), "{unknown}");
    let twice = refusal("a.yml", "instruments: {}\ninstruments: {}\n");
    assert!(twice.contains("instruments"), "{twice}");
    let broken = refusal("a.yaml", "etl: [1,\n");
    assert!(broken.contains("a.yaml"), "{broken}");
    let other = refusal("a.ini", CONFIG);
    assert!(other.contains(".toml, .yaml or .yml"), "{other}");
}

#[test]
fn every_fault_of_a_configuration_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watch.toml");
    let parse = |text: &str| {
        std::fs::write(&path, text).unwrap();
        load_watch_config(&path)
    };
    let unknown = parse("[etl]\ncompute_features = true\n[instruments]\n").unwrap_err().to_string();
    assert!(unknown.contains("compute_features") && unknown.contains("line 2"), "{unknown}");
    let wrong = r#"
[etl]
compression = "lz4"
part_seconds = 7
delete_after_processing = true
[etl.channels.orderbook]
partition_cols = ["symbol"]
[etl.channels.orderbook.processor_options]
horizons = [5, 1]
bands_bps = []
hf_emit_interval = 0.0
max_levels = 0
keep_raw_arrays = true
tight_spread_threshold = 1e-7
[instruments.BTC]
tick_size = "0.1"
lot_size = "0.001"
"#;
    let config = parse(wrong).unwrap();
    let opened = Watcher::open(folder.path(), &folder.path().join("out"), &config);
    let error = opened.err().unwrap().to_string();
    for fault in [
        "compression",
        "part_seconds",
        "delete_after_processing",
        "partition_cols",
        "horizons",
        "bands_bps",
        "hf_emit_interval",
        "max_levels",
        "keep_raw_arrays",
        "tight_spread_threshold",
        "instruments.`BTC`",
    ] {
        assert!(error.contains(fault), "{fault}: {error}");
    }
    let alias = CONFIG.replace("bar_durations = [1, 5]", "hf_sample_interval = 0.5");
    assert!(parse(&alias).is_ok());
}
