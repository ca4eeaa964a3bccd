//! A job needs the same memory for a long input as for a short one.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![cfg(target_os = "linux")]

#[path = "support/jobs.rs"]
mod jobs;

use std::path::Path;
use std::process::Command;

use feature_extract::run;
use jobs::{SECOND, job, recording, to_file};
use market_io::synthetic::SyntheticConfig;

/// Set in the process that runs the job: the input and the output.
const INPUT: &str = "FEATUREPLANE_TEST_INPUT";
const OUTPUT: &str = "FEATUREPLANE_TEST_OUTPUT";

/// KiB by which a long input may raise the peak: buffers that grow late, and for Parquet the pages of
/// one row group, which is flushed at 48 MiB.
const MOST_KIB: [(&str, u64); 2] = [("csv", 16 << 10), ("parquet", 64 << 10)];

/// Peak memory of this process so far, KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs a job in a process of its own; its peak memory in KiB, and its rows.
fn measure(input: &Path, output: &Path) -> (u64, u64) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_long_input_needs_no_more_memory", "--nocapture"])
        .env(INPUT, input)
        .env(OUTPUT, output)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    let line = said.lines().find_map(|line| line.split_once("peak ")).unwrap().1.to_owned();
    let (peak, rows) = line.split_once(" rows ").unwrap();
    (peak.parse().unwrap(), rows.parse().unwrap())
}

#[test]
fn a_long_input_needs_no_more_memory() {
    if let (Some(input), Some(output)) = (std::env::var_os(INPUT), std::env::var_os(OUTPUT)) {
        let job = job(&[Path::new(&input)], "core_v1", "packet");
        let summary = run(&to_file(&job, Path::new(&output)), &()).unwrap().summary;
        println!("peak {} rows {}", peak_kib(), summary.rows);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for (name, times) in [("short.txt", 1), ("long.txt", 20)] {
        // Long enough that the short run fills every buffer and the longest window, of 300 s, once.
        let config = SyntheticConfig {
            duration_ns: times * 300 * SECOND,
            packets_per_second: 10,
            events_per_packet: 6,
            levels: 20,
            ..SyntheticConfig::default()
        };
        let input = recording(folder.path(), name, &config);
        found.push(MOST_KIB.map(|(ending, _)| measure(&input, &input.with_extension(ending))));
    }
    for (index, (ending, most_kib)) in MOST_KIB.into_iter().enumerate() {
        let [(short_kib, short_rows), (long_kib, long_rows)] = [found[0][index], found[1][index]];
        println!("{ending}: {short_kib} KiB for {short_rows} rows, {long_kib} KiB for {long_rows}");
        assert!(long_rows > 15 * short_rows, "{long_rows}");
        assert!(long_kib < short_kib + most_kib, "{ending}: {short_kib} KiB, then {long_kib} KiB");
    }
}
