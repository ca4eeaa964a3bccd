//! The fuzz targets over their corpus, whole and damaged in ways that a seed repeats.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a failure here is a failed test")]

#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use targets::{TARGETS, Target};

/// Damaged copies of each good input. What was found among the first 6,000 is mended; copy 1,054 of the
/// Parquet sample once brought its reader down, so that no fewer than that are run.
const DAMAGED: u64 = 1_100;
/// Longest that one input may take; the builds of tests are slow, and so are busy machines.
const LIMIT: Duration = Duration::from_secs(5);

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One to four wounds: bits, bytes, cuts, repeats, moved pieces, and numbers at their limits.
fn damaged(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            5 => {
                let limits = [u64::MAX, i64::MAX as u64, 1 << 63, 1 << 31, u64::from(u32::MAX), 0];
                let limit = limits[random.below(limits.len())].to_le_bytes();
                let room = 8.min(bytes.len() - at);
                bytes[at..at + room].copy_from_slice(&limit[..room]);
            }
            6 => {
                let digit = bytes[at..].iter().position(u8::is_ascii_digit);
                let texts = ["-1", "9223372036854775808", "1e309", "NaN", "null", "\"\"", "[]"];
                if let Some(offset) = digit {
                    let text = texts[random.below(texts.len())].bytes();
                    bytes.splice(at + offset..=at + offset, text);
                }
            }
            _ => {
                let line = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |i| i + 1);
                let piece = bytes[line..end].to_vec();
                bytes.extend(piece);
            }
        }
    }
    bytes
}

/// The first input that a target does not survive, kept in a file, and what became of it.
fn search(target: &Target) -> Result<u64, String> {
    let mut runs = 0;
    for (number, good) in (target.seeds)().iter().enumerate() {
        let mut random = Random(number as u64);
        for round in 0..=DAMAGED {
            let bytes = if round == 0 { good.clone() } else { damaged(good, &mut random) };
            let (started, run) = (Instant::now(), target.run);
            let survived = catch_unwind(|| run(&bytes)).is_ok();
            if !survived || started.elapsed() > LIMIT {
                let name = format!("fuzz-{}-{number}-{round}", target.name);
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
                std::fs::write(&path, &bytes).unwrap();
                let what = if survived { "took too long" } else { "panicked" };
                return Err(format!("{}: {what} on {}", target.name, path.display()));
            }
            runs += 1;
        }
    }
    Ok(runs)
}

#[test]
fn no_target_falls_over_its_corpus() {
    let found: Vec<Result<u64, String>> = TARGETS.iter().map(search).collect();
    let faults: Vec<&String> = found.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let runs: Vec<u64> = found.iter().filter_map(|result| result.as_ref().ok().copied()).collect();
    eprintln!("{} targets, {} inputs", runs.len(), runs.iter().sum::<u64>());
    assert!(runs.len() >= 20 && runs.iter().all(|runs| *runs > DAMAGED), "{runs:?}");
}

/// A target that survives all good inputs and falls over damaged ones.
#[test]
fn a_planted_defect_is_found() {
    let planted = Target {
        name: "planted",
        run: |bytes| assert!(bytes.len() >= 8, "a length that was trusted"),
        seeds: || vec![b"a good input".to_vec()],
    };
    let fault = search(&planted).unwrap_err();
    assert!(fault.starts_with("planted: panicked on "), "{fault}");
}
