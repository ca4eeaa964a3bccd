//! Snapshots on the way, and jobs that continue from them: the bytes of the full run, or a refusal.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;

use std::path::{Path, PathBuf};

use feature_extract::{
    BarOptions, CheckpointOptions, EmptyBars, Error, Job, WarmStart, parse_durations_ns, run,
};
use jobs::{SECOND, job, market, output, recording, set, to_file};
use market_io::OpenOptions;
use market_io::synthetic::SyntheticConfig;

fn checkpoints(folder: &Path, every_ns: i64) -> Option<CheckpointOptions> {
    Some(CheckpointOptions { every_ns, folder: folder.join("states") })
}

fn bars(durations: &str) -> Option<BarOptions> {
    let durations_ns = parse_durations_ns(durations).unwrap();
    Some(BarOptions { durations_ns, empty: EmptyBars::Write, path: None })
}

/// Snapshot files, oldest first.
fn states(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("states")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn clock_of(state: &Path) -> i64 {
    let name = state.file_name().unwrap().to_string_lossy().into_owned();
    name.split(['.', '-']).nth(1).unwrap().parse().unwrap()
}

/// The bytes of the rows and bars of a job, in files.
fn bytes(job: &Job) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let output = run(&to_file(job, &path), &()).unwrap();
    let bars = output.summary.bars.iter().map(|bars| bars.output.clone().unwrap().into());
    [path].into_iter().chain(bars).map(|path: PathBuf| std::fs::read(path).unwrap()).collect()
}

fn warm(job: &Job, folder: &Path, from_ns: i64) -> Job {
    let warm_start = Some(folder.join("states"));
    Job { from_ns: Some(from_ns), warm_start, checkpoints: None, ..job.clone() }
}

fn used(job: &Job) -> WarmStart {
    output(job).summary.warm_start.unwrap()
}

#[test]
fn every_start_gives_the_bytes_of_the_full_run() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    for emission in ["packet", "step:500ms", "trade-or-step:700ms"] {
        let base = Job { bars: bars("1s,3s"), ..job(&[&input], "core_v1", emission) };
        let snapshots = checkpoints(folder.path(), SECOND);
        let full = output(&Job { checkpoints: snapshots, ..base.clone() });
        assert_eq!(full.summary.snapshots, 19, "{emission}");
        let states = states(folder.path());
        assert_eq!(states.len(), 19);
        for state in &states[..states.len() - 1] {
            let from_ns = clock_of(state) + 1;
            let want = bytes(&Job { from_ns: Some(from_ns), ..base.clone() });
            let job = warm(&base, folder.path(), from_ns);
            assert_eq!(used(&job).snapshot, state.display().to_string());
            assert!(bytes(&job) == want, "{emission} from {from_ns}");
            // A snapshot at the start itself holds rows that are still due.
            let earlier = warm(&base, folder.path(), from_ns - 1);
            if state != &states[0] {
                assert_ne!(used(&earlier).snapshot, state.display().to_string());
            }
        }
        std::fs::remove_dir_all(folder.path().join("states")).unwrap();
    }
}

#[test]
fn a_warm_run_writes_the_snapshots_of_the_full_run() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    let base = Job { bars: bars("1s"), ..job(&[&input], "core_v1", "packet") };
    let snapshots = checkpoints(folder.path(), 2 * SECOND);
    run(&Job { checkpoints: snapshots.clone(), ..base.clone() }, &()).unwrap();
    let files = states(folder.path());
    let wanted: Vec<_> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    files[5..].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let again = warm(&base, folder.path(), clock_of(&files[4]) + 1);
    run(&Job { checkpoints: snapshots, ..again }, &()).unwrap();
    assert_eq!(states(folder.path()), files);
    let found: Vec<_> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(found == wanted);
}

#[test]
fn every_flipped_or_cut_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = SyntheticConfig { levels: 4, duration_ns: 4 * SECOND, ..market() };
    let input = recording(folder.path(), "market.gz", &config);
    let base = Job { bars: bars("1s"), ..job(&[&input], "lob_shared_v1", "packet") };
    run(&Job { checkpoints: checkpoints(folder.path(), 3 * SECOND), ..base.clone() }, &()).unwrap();
    let state = states(folder.path()).remove(0);
    let good = std::fs::read(&state).unwrap();
    let job = warm(&base, folder.path(), clock_of(&state) + 1);
    assert_eq!(used(&job).refused, [""; 0]);
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&state, bytes).unwrap();
        match run(&job, &()) {
            Err(Error::NoSnapshot { refused, .. }) => {
                assert!(refused.len() == 1 && refused[0].contains("checksum"), "{what}");
            }
            other => panic!("{what}: {:?}", other.map(|output| output.summary)),
        }
    };
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1 << (index % 8);
        refused(&bad, &format!("flip in byte {index}"));
    }
    for length in (0..good.len()).step_by(7).chain([good.len() - 1]) {
        refused(&good[..length], &format!("cut to {length}"));
    }
    refused(&[&good[..], b"x"].concat(), "a byte more");
}

/// Of three snapshots the newest two are spoilt; the oldest is taken and the reasons are told.
#[test]
fn the_next_older_snapshot_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    let base = job(&[&input], "core_v1", "packet");
    run(&Job { checkpoints: checkpoints(folder.path(), 5 * SECOND), ..base.clone() }, &()).unwrap();
    let states = states(folder.path());
    assert!(states.len() >= 3, "{states:?}");
    let from_ns = clock_of(&states[2]) + 1;
    std::fs::write(&states[2], b"torn").unwrap();
    // The second newest is of another input: that of another seed, under the name of ours.
    let other = tempfile::tempdir().unwrap();
    let foreign = recording(other.path(), "market.gz", &SyntheticConfig { seed: 12, ..market() });
    let foreign = job(&[&foreign], "core_v1", "packet");
    run(&Job { checkpoints: checkpoints(other.path(), 5 * SECOND), ..foreign }, &()).unwrap();
    std::fs::copy(&self::states(other.path())[1], &states[1]).unwrap();
    let job = warm(&base, folder.path(), from_ns);
    let used = used(&job);
    assert_eq!(used.snapshot, states[0].display().to_string());
    assert_eq!(used.refused.len(), 2, "{used:?}");
    assert!(used.refused[0].contains("checksum"), "{used:?}");
    assert!(used.refused[1].contains("are not those it was made from"), "{used:?}");
    assert!(bytes(&job) == bytes(&Job { from_ns: Some(from_ns), ..base }));
}

#[test]
fn a_snapshot_of_another_job_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let base = Job { bars: bars("1s"), ..job(&[&input], "core_v1", "packet") };
    run(&Job { checkpoints: checkpoints(folder.path(), 5 * SECOND), ..base.clone() }, &()).unwrap();
    let states = states(folder.path());
    let job = warm(&base, folder.path(), clock_of(&states[0]) + 1);
    let reason = |job: &Job| match run(job, &()).map(|output| output.summary).unwrap_err() {
        Error::NoSnapshot { refused, .. } => refused.concat(),
        other => panic!("{other}"),
    };
    let renamed = states[0].display().to_string();
    assert!(reason(&Job { set: set("lob_shared_v1"), ..job.clone() }).contains("schema hash is"));
    assert!(reason(&Job { bars: bars("2s"), ..job.clone() }).contains("bars is 1s"));
    assert!(reason(&Job { bars: None, ..job.clone() }).contains("bars is 1s"));
    let emission = "step:1s".parse().unwrap();
    assert!(reason(&Job { emission, ..job.clone() }).contains("emission is packet"));
    let open = OpenOptions { tick_size: Some("0.01".into()), ..job.open.clone() };
    assert!(reason(&Job { open, ..job.clone() }).contains("instrument is"));
    // Another version: the text is in the file, and the checksum is made right again.
    let mut bytes = std::fs::read(&states[0]).unwrap();
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let at = bytes.windows(version.len()).position(|window| window == version).unwrap();
    bytes[at] = b'9';
    let body = bytes.len() - 32;
    let digest = blake3::hash(&bytes[..body]);
    bytes[body..].copy_from_slice(digest.as_bytes());
    std::fs::write(&states[0], bytes).unwrap();
    assert!(reason(&job).contains("version is 9"), "{renamed}");
}

#[test]
fn an_input_that_ends_before_the_snapshot_is_refused_with_both_positions() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let base = job(&[&input], "core_v1", "packet");
    run(&Job { checkpoints: checkpoints(folder.path(), 15 * SECOND), ..base.clone() }, &())
        .unwrap();
    let state = states(folder.path()).pop().unwrap();
    let text = std::fs::read_to_string(&input).unwrap();
    let lines: Vec<_> = text.lines().collect();
    std::fs::write(&input, lines[..lines.len() / 4].join("\n") + "\n").unwrap();
    let error =
        run(&warm(&base, folder.path(), clock_of(&state) + 1), &()).unwrap_err().to_string();
    assert!(error.contains("the input ends after"), "{error}");
    assert!(error.contains("the snapshot stands after"), "{error}");
}

#[test]
fn a_log_that_has_grown_keeps_its_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let text = std::fs::read_to_string(&input).unwrap();
    let half = text.len() / 2 + text[text.len() / 2..].find('\n').unwrap() + 1;
    std::fs::write(&input, &text[..half]).unwrap();
    let mut base = job(&[&input], "core_v1", "packet");
    // What is inferred from the first half could be another grid.
    (base.open.tick_size, base.open.lot_size) = (Some("0.1".into()), Some("0.001".into()));
    run(&Job { checkpoints: checkpoints(folder.path(), SECOND), ..base.clone() }, &()).unwrap();
    std::fs::write(&input, &text).unwrap();
    let state = states(folder.path()).pop().unwrap();
    let from_ns = clock_of(&state) + 1;
    let job = warm(&base, folder.path(), from_ns);
    assert_eq!(used(&job).snapshot, state.display().to_string());
    assert!(bytes(&job) == bytes(&Job { from_ns: Some(from_ns), ..base }));
}

#[test]
fn a_warm_start_needs_a_time_and_a_snapshot_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.txt", &market());
    let base = job(&[&input], "core_v1", "packet");
    run(&Job { checkpoints: checkpoints(folder.path(), 5 * SECOND), ..base.clone() }, &()).unwrap();
    let first = clock_of(&states(folder.path())[0]);
    let without = Job { from_ns: None, ..warm(&base, folder.path(), 0) };
    assert!(run(&without, &()).unwrap_err().to_string().contains("needs the time"));
    let error = run(&warm(&base, folder.path(), first), &()).unwrap_err().to_string();
    assert!(error.contains("no usable snapshot of BTCUSDT before"), "{error}");
    let every = Job { checkpoints: checkpoints(folder.path(), 0), ..base };
    assert!(run(&every, &()).unwrap_err().to_string().contains("positive distance"));
}

#[test]
fn a_recording_continues_with_the_bytes_of_the_full_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
    let input = root.join("usdm_btcusdt_20240808.gz");
    if !input.exists() {
        eprintln!("skipped: no recorded data at {}", input.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = Job { bars: bars("1s,60s"), ..job(&[&input], "core_v1", "trade-or-step:1s") };
    let snapshots = checkpoints(folder.path(), 60 * SECOND);
    let full = output(&Job { checkpoints: snapshots, ..base.clone() });
    assert!(full.summary.snapshots >= 3, "{}", full.summary.snapshots);
    let states = states(folder.path());
    let middle = clock_of(&states[states.len() / 2]);
    let job = warm(&base, folder.path(), middle + 7 * SECOND);
    assert!(used(&job).packets > 1_000);
    assert!(bytes(&job) == bytes(&Job { from_ns: Some(middle + 7 * SECOND), ..base }));
}
