//! Warm starts inside queues: what stands before the snapshot is not decoded, and the bytes are those of
//! the full run, or the reason for reading it all is told.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;

use std::path::{Path, PathBuf};

use feature_extract::{
    BarOptions, CheckpointOptions, EmptyBars, Error, Job, WarmStart, parse_durations_ns, run,
};
use jobs::{SECOND, job, market, output, packets, to_file};
use market_io::OpenOptions;
use market_model::{Aggressor, BookOp, Packet, PacketKind};
use testkit::chronicle::{
    BOOK_EVENT, EventHead, EventLevels, SegmentWriter, TRADE, archive, trade,
};

const SEGMENT_BYTES: usize = 14 << 10;
const HASH: u64 = 99;

/// Records of a packet.
fn records(seq: u64, packet: &Packet) -> Vec<(u16, Vec<u8>)> {
    let head = EventHead {
        market: (7, 11),
        ingest_ns: packet.ts_recv_ns.cast_unsigned(),
        exchange_ns: packet.ts_event_ns.cast_unsigned(),
        seq,
        native_seq: packet.seq,
    };
    let side = |wanted: BookOp| -> Vec<_> {
        let runs = packet.runs().filter(|(op, _)| *op == wanted);
        let levels = runs.flat_map(|(_, levels)| levels);
        let number = i64::cast_unsigned;
        levels.map(|level| (number(level.price_ticks), number(level.qty_lots))).collect()
    };
    let (bids, asks) = (side(BookOp::SetBid), side(BookOp::SetAsk));
    let levels = EventLevels { scales: [1, 3], bids: &bids, asks: &asks };
    let mut records = Vec::new();
    match packet.kind {
        PacketKind::Snapshot => records.push((BOOK_EVENT, head.snapshot(&levels))),
        _ if !packet.levels.is_empty() => {
            let ids = [packet.first_seq, packet.seq, packet.prev_seq];
            records.push((BOOK_EVENT, head.diff(ids, &levels)));
        }
        _ => {}
    }
    records.extend(packet.trades.iter().map(|made| {
        let (price, qty) = (made.price_ticks as f64 / 10.0, made.qty_lots as f64 / 1_000.0);
        let is_sale = u8::from(made.aggressor == Aggressor::Sell);
        (TRADE, trade(head.exchange_ns, price, qty, is_sale, HASH))
    }));
    records
}

/// A market as a queue: every second segment is an archive with a seek index. The record numbers jump
/// once, and one segment is missing.
fn queue(folder: &Path) -> Vec<PathBuf> {
    let (mut seq, mut paths) = (1, Vec::new());
    let mut segment = SegmentWriter::new(0, SEGMENT_BYTES);
    let mut room = SEGMENT_BYTES - 64;
    for packet in packets(&market()).1 {
        for (type_id, payload) in records(seq, &packet) {
            let len = (64 + payload.len()).next_multiple_of(64);
            if len > room {
                let next = paths.len() + 1 + usize::from(paths.len() >= 2);
                let full = SegmentWriter::new(u32::try_from(next).unwrap(), SEGMENT_BYTES);
                let full = std::mem::replace(&mut segment, full).into_bytes();
                paths.push(write(folder, paths.len(), &full));
                room = SEGMENT_BYTES - 64;
            }
            segment.record(seq, packet.ts_recv_ns.cast_unsigned(), type_id, &payload);
            room -= len;
            seq += if seq == 150 { 3 } else { 1 };
        }
    }
    paths.push(write(folder, paths.len(), &segment.into_bytes()));
    assert!(paths.len() >= 5, "{}", paths.len());
    paths
}

fn write(folder: &Path, number: usize, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{number:09}.q"));
    if number.is_multiple_of(2) {
        std::fs::write(&path, bytes).unwrap();
        return path;
    }
    let [frames, index] = archive(bytes, 4_096, |block| zstd::encode_all(block, 3).unwrap());
    std::fs::write(path.with_extension("q.zst.idx"), index).unwrap();
    let path = path.with_extension("q.zst");
    std::fs::write(&path, frames).unwrap();
    path
}

/// A queue, a job over it that has sizes of its own, and the snapshots of that job.
fn prepared(folder: &Path) -> (Job, Vec<PathBuf>) {
    let inputs = queue(folder);
    let paths: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
    let durations_ns = parse_durations_ns("1s,3s").unwrap();
    let mut job = job(&paths, "core_v1", "trade-or-step:700ms");
    job.bars = Some(BarOptions { durations_ns, empty: EmptyBars::Write, path: None });
    (job.open.tick_size, job.open.lot_size) = (Some("0.1".into()), Some("0.001".into()));
    let checkpoints = CheckpointOptions { every_ns: SECOND, folder: folder.join("states") };
    run(&Job { checkpoints: Some(checkpoints), ..job.clone() }, &()).unwrap();
    let mut states: Vec<_> = std::fs::read_dir(folder.join("states")).unwrap().collect();
    states.sort_by_key(|entry| entry.as_ref().unwrap().path());
    (job, states.into_iter().map(|entry| entry.unwrap().path()).collect())
}

/// The job from just behind a snapshot, and the same with a warm start.
fn late(job: &Job, state: &Path) -> [Job; 2] {
    let name = state.file_name().unwrap().to_string_lossy().into_owned();
    let clock: i64 = name.split(['.', '-']).nth(1).unwrap().parse().unwrap();
    let cold = Job { from_ns: Some(clock + 1), ..job.clone() };
    let warm = Job { warm_start: Some(state.parent().unwrap().into()), ..cold.clone() };
    [cold, warm]
}

/// The bytes of the rows and bars of a job, in files.
fn bytes(job: &Job) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let output = run(&to_file(job, &path), &()).unwrap();
    let bars = output.summary.bars.iter().map(|bars| bars.output.clone().unwrap().into());
    [path].into_iter().chain(bars).map(|path: PathBuf| std::fs::read(path).unwrap()).collect()
}

fn used(job: &Job) -> WarmStart {
    output(job).summary.warm_start.unwrap()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn every_late_start_leaves_out_what_stands_before_and_gives_the_bytes_of_the_full_run() {
    let folder = tempfile::tempdir().unwrap();
    let (job, states) = prepared(folder.path());
    assert!(states.len() >= 15, "{}", states.len());
    let mut left_out = Vec::new();
    for state in &states[..states.len() - 1] {
        let [cold, warm] = late(&job, state);
        let used = used(&warm);
        assert_eq!(used.snapshot, state.display().to_string());
        assert_eq!((used.read_whole, used.refused), (None, Vec::new()));
        left_out.push(used.skipped_bytes);
        assert!(bytes(&warm) == bytes(&cold), "from {}", state.display());
    }
    assert!(left_out.is_sorted(), "{left_out:?}");
    let total: u64 = job.open.inputs.iter().map(|path| size(path)).sum();
    assert!(*left_out.last().unwrap() > total * 3 / 4, "{left_out:?} of {total}");
}

#[test]
fn a_late_start_writes_the_snapshots_of_the_full_run() {
    let folder = tempfile::tempdir().unwrap();
    let (job, states) = prepared(folder.path());
    let wanted: Vec<_> = states.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let (kept, dropped) = states.split_at(6);
    dropped.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let [_, warm] = late(&job, &kept[5]);
    let checkpoints = CheckpointOptions { every_ns: SECOND, folder: folder.path().join("states") };
    let summary = run(&Job { checkpoints: Some(checkpoints), ..warm }, &()).unwrap().summary;
    assert!(summary.warm_start.unwrap().skipped_bytes > 0);
    let found: Vec<_> = states.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(found == wanted);
}

/// The last snapshot that stands inside an archive, with the index of that archive.
fn inside_archive(job: &Job, states: &[PathBuf]) -> (PathBuf, PathBuf) {
    let index = |archive: &Path| archive.with_extension("zst.idx");
    let spoil = |archive: &PathBuf| {
        let good = std::fs::read(index(archive)).unwrap();
        std::fs::remove_file(index(archive)).unwrap();
        let found = states[..states.len() - 1]
            .iter()
            .rfind(|state| used(&late(job, state)[1]).read_whole.is_some());
        std::fs::write(index(archive), good).unwrap();
        found.map(|state| (state.clone(), index(archive)))
    };
    let archives =
        job.open.inputs.iter().filter(|path| path.extension().is_some_and(|e| e == "zst"));
    archives.rev().find_map(spoil).unwrap()
}

#[test]
fn a_missing_or_wrong_index_is_told_and_the_whole_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (job, states) = prepared(folder.path());
    let (state, index) = inside_archive(&job, &states);
    let [cold, warm] = late(&job, &state);
    let wanted = bytes(&cold);
    let good = std::fs::read(&index).unwrap();
    let name = index.file_name().unwrap().to_string_lossy().into_owned();
    // Frames 1 and 2 change places: sizes and ends still agree with nobody.
    let swapped = [&good[..48], &good[72..96], &good[48..72], &good[96..]].concat();
    // Content that begins 64 bytes early in every frame agrees with itself, and with no record.
    let mut shifted = good.clone();
    for at in (48..good.len()).step_by(24) {
        let offset = u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) - 64;
        shifted[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    shifted[44..48].copy_from_slice(&(4_096_u32 - 64).to_le_bytes());
    for (bad, part) in [
        (None, "cannot read the seek index"),
        (Some(good[..good.len() - 1].to_vec()), "byte 16: field `frame_count`"),
        (Some(swapped), "byte 48: field `uncompressed_offset`"),
        (Some(shifted), "the frame in which the record begins"),
    ] {
        match bad {
            None => std::fs::remove_file(&index).unwrap(),
            Some(bad) => std::fs::write(&index, bad).unwrap(),
        }
        let used = used(&warm);
        let reason = used.read_whole.unwrap();
        assert!(reason.contains(&name) && reason.contains(part), "{reason}");
        assert_eq!((used.skipped_bytes, used.snapshot), (0, state.display().to_string()));
        assert!(bytes(&warm) == wanted, "{part}");
    }
    std::fs::write(&index, good).unwrap();
    assert_eq!(used(&warm).read_whole, None);
    assert!(bytes(&warm) == wanted);
}

/// One bit of a record before the snapshot changes, with its checksum made right again: the place is
/// not used, and the whole reading refuses the snapshot.
#[test]
fn an_input_that_changed_before_the_place_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (job, states) = prepared(folder.path());
    let [_, warm] = late(&job, states.iter().rev().nth(1).unwrap());
    assert_eq!(used(&warm).read_whole, None);
    let first = &job.open.inputs[0];
    let mut bytes = std::fs::read(first).unwrap();
    // The exchange time of the first event, or the time of the first trade.
    let is_trade = bytes[64 + 24..64 + 26] == TRADE.to_le_bytes();
    bytes[if is_trade { 128 } else { 128 + 32 }] ^= 1;
    let len = u32::from_le_bytes(bytes[64..68].try_into().unwrap()) as usize - 1;
    let crc = testkit::chronicle::crc32(&bytes[128..128 + len]);
    bytes[64 + 28..64 + 32].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(first, bytes).unwrap();
    match run(&warm, &()).map(|output| output.summary) {
        Err(Error::NoSnapshot { refused, .. }) => {
            assert!(refused.iter().all(|reason| reason.contains("are not those it was made from")));
        }
        other => panic!("{other:?}"),
    }
}

/// The last segment was being written when the snapshot was made: it is longer now, and sealed.
#[test]
fn a_segment_that_has_grown_keeps_its_places() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = queue(folder.path());
    let last = inputs.last().filter(|path| path.extension().is_some_and(|e| e == "q")).unwrap();
    let whole = std::fs::read(last).unwrap();
    let mut half = whole.clone();
    let mut at = 64;
    while at < whole.len() / 2 {
        let len = u32::from_le_bytes(half[at..at + 4].try_into().unwrap()) as usize;
        at += 64 + len.saturating_sub(1).next_multiple_of(64);
    }
    half[at..].fill(0);
    std::fs::write(last, &half).unwrap();
    let paths: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
    let mut job = job(&paths, "core_v1", "packet");
    let sized = OpenOptions { tick_size: Some("0.1".into()), ..job.open.clone() };
    job.open = OpenOptions { lot_size: Some("0.001".into()), ..sized };
    let checkpoints = CheckpointOptions { every_ns: SECOND, folder: folder.path().join("states") };
    run(&Job { checkpoints: Some(checkpoints), ..job.clone() }, &()).unwrap();
    let mut whole = whole;
    whole[12] |= 1;
    std::fs::write(last, &whole).unwrap();
    let states = std::fs::read_dir(folder.path().join("states")).unwrap();
    let newest = states.map(|entry| entry.unwrap().path()).max().unwrap();
    let [cold, warm] = late(&job, &newest);
    let used = used(&warm);
    assert_eq!((used.read_whole, used.snapshot), (None, newest.display().to_string()));
    let before: u64 = inputs[..inputs.len() - 1].iter().map(|path| size(path)).sum();
    assert!(used.skipped_bytes > before);
    assert!(bytes(&warm) == bytes(&cold));
}
