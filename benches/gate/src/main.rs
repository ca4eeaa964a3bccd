//! Compares instructions on the fixed tape with `benches/instructions.toml`.
//!
//! `cargo run --release -p instruction-gate` compares, with `-- --accept` it records.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use feature_runtime::{SymbolEngine, built_in_set};
use instruction_gate::{arms, callgrind, tape};
use lob_engine::Book;
use market_model::BookNeeds;

/// Arms as callgrind sees them, with what is recorded.
const ARMS: [(&str, &str); 4] = [
    ("book", "arms::book"),
    ("lob_shared_v1", "arms::lob_shared"),
    ("core_v1", "arms::core"),
    ("lob_shared_v1_every_event", "arms::lob_shared_every_event"),
];
/// Counts may move this much, in percent, without being recorded again.
const ALLOWED_PERCENT: f64 = 1.0;
const ACCEPT: &str = "cargo run --release -p instruction-gate -- --accept";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        Some("--work") => work(),
        None | Some("--accept") if !callgrind::is_installed() => {
            println!(
                "SKIPPED instruction gate: valgrind is not installed (apt-get install valgrind)"
            );
            Ok(())
        }
        None => compare(&measure()?),
        Some("--accept") => record(&measure()?),
        Some(other) => bail!("unknown argument `{other}`; expected none or --accept"),
    }
}

/// What runs under valgrind: each arm over the tape, after the same tape has warmed it.
fn work() -> Result<()> {
    let first = tape::packets(0);
    let second = tape::packets(tape::LENGTH_NS);
    let (snapshot, changes) = second.split_first().context("the tape has packets")?;
    let mut book = Book::new(BookNeeds::top(5));
    first.iter().try_for_each(|packet| book.apply(packet))?;
    book.replace(snapshot)?;
    black_box(arms::book(&mut book, black_box(changes)));
    let engine = |id| -> Result<SymbolEngine> {
        let mut engine = SymbolEngine::new(built_in_set(id)?.into(), tape::instrument());
        for packet in first.iter().chain([snapshot]) {
            engine.process(packet).context("every packet gives a frame")?;
        }
        Ok(engine)
    };
    black_box(arms::lob_shared(&mut engine("lob_shared_v1")?, black_box(changes)));
    black_box(arms::core(&mut engine("core_v1")?, black_box(changes)));
    black_box(arms::lob_shared_every_event(&mut engine("lob_shared_v1")?, black_box(changes)));
    Ok(())
}

/// Instructions of each arm over the tape.
fn measure() -> Result<Vec<(&'static str, u64)>> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program is in a folder")?;
    let functions: Vec<&str> = ARMS.iter().map(|(_, function)| *function).collect();
    let counts = callgrind::count(&program, &["--work"], &functions, folder)?;
    Ok(ARMS.iter().map(|(name, function)| (*name, counts[*function])).collect())
}

fn recorded_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../instructions.toml")
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("start rustc")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn record(counts: &[(&str, u64)]) -> Result<()> {
    let packets = tape::packets(0);
    let changes: usize = packets[1..].iter().map(|packet| packet.levels.len()).sum();
    let mut text = format!(
        "# Instructions of each arm over the fixed tape of {} packets with {changes} level changes.\n\
         # Record again with, in benches/: {ACCEPT}\n\
         compiler = \"{}\"\n\n[instructions]\n",
        tape::PACKETS,
        compiler()?
    );
    for (name, count) in counts {
        writeln!(
            text,
            "{name} = {count} # {:.1} per level change",
            *count as f64 / changes as f64
        )?;
    }
    std::fs::write(recorded_path(), &text)?;
    print!("{text}");
    Ok(())
}

fn compare(counts: &[(&str, u64)]) -> Result<()> {
    let text = std::fs::read_to_string(recorded_path()).context("read instructions.toml")?;
    let recorded: toml::Table = text.parse()?;
    let (now, then) = (compiler()?, recorded["compiler"].as_str().unwrap_or_default());
    if now != then {
        println!("SKIPPED instruction gate: recorded with `{then}`, this is `{now}`");
        return Ok(());
    }
    let table = recorded["instructions"].as_table().context("table `instructions`")?;
    let mut moved = Vec::new();
    for (name, count) in counts {
        let want = table.get(*name).and_then(toml::Value::as_integer);
        let want = want.with_context(|| format!("no recorded count of `{name}`"))?;
        let percent = percent(*count, want);
        println!("{name:<26} {count:>12} recorded {want:>12} {percent:+.2} %");
        if has_moved(percent) {
            moved.push(format!("{name} {percent:+.2} %"));
        }
    }
    if !moved.is_empty() {
        bail!(
            "instructions moved by more than {ALLOWED_PERCENT} %: {}; when that is meant, record \
             it in the same change: {ACCEPT}",
            moved.join(", ")
        );
    }
    Ok(())
}

fn percent(count: u64, recorded: i64) -> f64 {
    (count as f64 / recorded as f64 - 1.0) * 100.0
}

/// Up or down: a gain that is not recorded would hide the next loss.
fn has_moved(percent: f64) -> bool {
    percent.abs() > ALLOWED_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_slowdown_and_a_gain_that_is_not_recorded_fail() {
        assert!(has_moved(percent(10_111, 10_000)) && has_moved(percent(9_889, 10_000)));
        assert!(!has_moved(percent(10_090, 10_000)) && !has_moved(percent(9_910, 10_000)));
    }
}
