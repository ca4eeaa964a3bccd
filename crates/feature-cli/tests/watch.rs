//! `featureplane watch` as a process that is killed: nothing is lost and nothing is there twice.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/command.rs"]
mod command;
#[path = "../../feature-extract/tests/support/segments.rs"]
mod segments;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::featureplane;
use feature_extract::{Until, Watcher, load_watch_config};
use segments::{CONFIG, append, difference, lines, parts};

/// Segments and their bytes, cut anywhere, in the order in which a recorder writes them.
fn writes(lines: &[String]) -> Vec<(String, Vec<u8>)> {
    let mut writes = Vec::new();
    for (number, segment) in lines.chunks(lines.len().div_ceil(7)).enumerate() {
        let text = segment.concat();
        let pieces = text.as_bytes().chunks(60_001);
        let name = format!("segment_{number}.ndjson");
        writes.extend(pieces.map(|piece| (name.clone(), piece.to_vec())));
    }
    writes
}

fn desk() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::create_dir(&input).unwrap();
    let config = CONFIG.replace("part_seconds = 20", "part_seconds = 120");
    std::fs::write(input.join("watch.toml"), config).unwrap();
    (folder, input)
}

fn put(input: &Path, (name, bytes): &(String, Vec<u8>)) {
    append(&input.join(name), std::str::from_utf8(bytes).unwrap());
}

/// What the library makes of all lines in one run.
fn batch(lines: &[String]) -> BTreeMap<PathBuf, Vec<u8>> {
    let (folder, input) = desk();
    writes(lines).iter().for_each(|write| put(&input, write));
    let config = load_watch_config(&input.join("watch.toml")).unwrap();
    let mut watcher = Watcher::open(&input, &folder.path().join("out"), &config).unwrap();
    watcher.catch_up(Until::Finished, &|| false).unwrap();
    parts(&folder.path().join("out"))
}

fn watch(folder: &Path) -> Child {
    let args = ["watch", "--input", "in", "--out", "out", "--poll-interval", "3ms"];
    let mut command = command::command(folder, &args);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(folder: &Path) {
    let said =
        featureplane(folder, &["watch", "--input", "in", "--out", "out", "--finish", "--json"]);
    assert_eq!(said.code, 4, "some lines are broken: {said:?}");
    assert!(said.json()["rejected"]["binance:BTC/USDT"].as_u64().unwrap() > 0);
}

/// Both slots of the state.
fn slots(folder: &Path) -> [Option<Vec<u8>>; 2] {
    ["state-0", "state-1"].map(|name| std::fs::read(folder.join("out/.watch").join(name)).ok())
}

/// Killed at ever other moments while a recorder writes: starting, reading, writing parts, committing.
#[test]
fn kills_at_any_point_change_no_byte() {
    const KILLS: usize = 60;
    let lines = lines(6_000);
    let want = batch(&lines);
    assert!(want.len() > 40, "{}", want.len());
    let (folder, input) = desk();
    let writes = writes(&lines);
    let (mut written, mut commits, mut numbers) = (0, 0, 1_u64);
    for kill in 0..KILLS {
        let before = slots(folder.path());
        let mut child = watch(folder.path());
        let share = writes.len() * (kill + 1) / KILLS;
        for write in &writes[written..share] {
            put(&input, write);
        }
        numbers =
            numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Three of four runs get as far as a commit however slow the machine is; then it may be any moment.
        let (began, news) = (Instant::now(), share > written && numbers >> 62 != 0);
        while news && slots(folder.path()) == before && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "no commit");
            std::thread::sleep(Duration::from_micros(200));
        }
        written = share;
        std::thread::sleep(Duration::from_micros((numbers >> 33) % 40_000));
        if let Some(status) = child.try_wait().unwrap() {
            let said = child.wait_with_output().unwrap();
            panic!("{status}: {}", String::from_utf8_lossy(&said.stderr));
        }
        child.kill().unwrap(); // SIGKILL.
        child.wait().unwrap();
        commits += usize::from(slots(folder.path()) != before);
    }
    assert!((KILLS / 4..KILLS).contains(&commits), "{commits} of {KILLS} runs committed");
    finish(folder.path());
    assert_eq!(difference(&parts(&folder.path().join("out")), &want), [""; 0]);
}

#[test]
fn ctrl_c_commits_and_a_later_watch_goes_on() {
    let lines = lines(500);
    let want = batch(&lines);
    let (folder, input) = desk();
    let writes = writes(&lines);
    let (before, after) = writes.split_at(writes.len() / 2);
    before.iter().for_each(|write| put(&input, write));
    let child = watch(folder.path());
    let started = Instant::now();
    while !folder.path().join("out/.watch/state-0").exists() {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(4), "{}", String::from_utf8_lossy(&said.stderr));
    after.iter().for_each(|write| put(&input, write));
    finish(folder.path());
    assert_eq!(difference(&parts(&folder.path().join("out")), &want), [""; 0]);
}

/// What the comparison of these tests would see if a kill lost a line or repeated one.
#[test]
fn a_lost_line_and_a_repeated_line_show() {
    let lines = lines(500);
    let want = batch(&lines);
    let mut lost = lines.clone();
    lost.remove(300);
    assert_ne!(difference(&batch(&lost), &want), [""; 0]);
    let trade =
        lines.iter().position(|line| line.contains("\"trades\"") && line.contains("BTC")).unwrap();
    let mut repeated = lines.clone();
    repeated.insert(trade, lines[trade].clone());
    assert_ne!(difference(&batch(&repeated), &want), [""; 0]);
    let mut cut = want.clone();
    cut.pop_last();
    assert_ne!(difference(&cut, &want), [""; 0]);
}

#[test]
fn once_reads_what_is_there_and_says_so() {
    let (folder, input) = desk();
    let lines = lines(300);
    append(&input.join("segment_1.ndjson"), &lines.concat());
    let args = ["watch", "--input", "in", "--out", "out", "--once"];
    let said = featureplane(folder.path(), &args);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.stdout.starts_with(&format!("{} lines", lines.len())), "{said:?}");
    assert!(said.stdout.contains("kraken:ETH/USD: "), "{said:?}");
    let wrong = ["watch", "--input", "in", "--out", "out", "--config", "none.toml"];
    let said = featureplane(folder.path(), &wrong);
    assert!(said.code == 3 && said.stderr.contains("none.toml"), "{said:?}");
    std::fs::write(input.join("watch.toml"), "instruments = {}\n").unwrap();
    let said = featureplane(folder.path(), &args);
    assert!(said.code == 2 && said.stderr.contains("none is named"), "{said:?}");
}

/// The first commit comes before the first part: a run that is killed between them can go on.
#[test]
fn a_run_that_was_killed_before_it_had_read_anything_goes_on() {
    let lines = lines(500);
    let want = batch(&lines);
    let (folder, input) = desk();
    writes(&lines).iter().for_each(|write| put(&input, write));
    let config = load_watch_config(&input.join("watch.toml")).unwrap();
    let out = folder.path().join("out");
    drop(Watcher::open(&input, &out, &config).unwrap());
    // What a run that got as far as its first part leaves behind.
    let (path, bytes) = want.iter().next().unwrap();
    std::fs::create_dir_all(out.join(path).parent().unwrap()).unwrap();
    std::fs::write(out.join(path), bytes).unwrap();
    finish(folder.path());
    assert_eq!(difference(&parts(&out), &want), [""; 0]);
}
