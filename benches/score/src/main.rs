//! P11: `score-bench [--csv PATH]`, features and score per packet beside a plain C++ program of the same formulas.
//!
//! `--work` is what runs under callgrind. Skips, visibly, without a C++ compiler.

use std::hint::black_box;
mod scored;

use std::path::PathBuf;
use std::time::Instant;

use crate::scored::Scored;
use anyhow::{Context, Result, bail, ensure};
use feature_runtime::SymbolEngine;
use instruction_gate::callgrind;
use instruction_gate::report::{Row, Target, print, write_csv};

const CHANGES: usize = 400_000;
const ROUNDS: usize = 15;

/// Nanoseconds per packet of book, features and score.
fn timed(tape: &Scored) -> Result<f64> {
    let (mut engine, mut scorer) = tape.fresh()?;
    engine.process(&tape.packets[0]);
    let start = Instant::now();
    black_box(scored::score_packets(&mut engine, &mut scorer, &tape.packets[1..]));
    Ok(start.elapsed().as_secs_f64() * 1e9 / CHANGES as f64)
}

/// The same without the score.
fn features_only(tape: &Scored) -> f64 {
    let mut engine = SymbolEngine::new(tape.set.clone(), tape.instrument.clone());
    engine.process(&tape.packets[0]);
    let start = Instant::now();
    let mut sum = 0_u64;
    for packet in &tape.packets[1..] {
        sum = sum.wrapping_add(engine.process(packet).map_or(0, |frame| frame.values()[0]));
    }
    black_box(sum);
    start.elapsed().as_secs_f64() * 1e9 / CHANGES as f64
}

fn instructions() -> Result<Option<f64>> {
    if !callgrind::is_installed() {
        println!("SKIPPED instructions: valgrind is not installed");
        return Ok(None);
    }
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program is in a folder")?;
    let counts = callgrind::count(&program, &["--work"], &["scored::score_packets"], folder)?;
    Ok(Some(counts["scored::score_packets"] as f64 / CHANGES as f64))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(tape: &Scored) -> Result<Option<Vec<Row>>> {
    let folder = tempfile::tempdir()?;
    let Some(program) = scored::build(folder.path())? else { return Ok(None) };
    tape.write(folder.path())?;
    scored::run(&program, folder.path(), 1)?;
    let compared = tape.compare(&scored::rows(folder.path())?)?;
    ensure!(compared > CHANGES * 9 / 10, "{compared} rows have a score");
    println!("{compared} rows compared: the same, means and scores within 1e-9\n");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let theirs = scored::run(&program, folder.path(), 1)?[0];
        rounds.push((timed(tape)?, features_only(tape), theirs));
    }
    let ours = median(rounds.iter().map(|round| round.0).collect());
    let features = median(rounds.iter().map(|round| round.1).collect());
    let theirs = median(rounds.iter().map(|round| round.2).collect());
    let ratio = median(rounds.iter().map(|round| round.0 / round.2).collect());
    let counted = instructions()?.map_or(String::new(), |count| format!(", {count:.0} ins"));
    let row = |what: &str, ours: String, value, target| Row {
        figure: "P11",
        what: what.into(),
        ours,
        peer: format!("{theirs:.1} ns, no book"),
        value,
        target,
    };
    Ok(Some(vec![
        row(
            "book + 18 features + score / C++ features + score",
            format!("{ours:.1} ns{counted}"),
            ratio,
            Target::AtMost(1.0, 1.0),
        ),
        row(
            "book + 18 features + score, ns per packet",
            format!("{ours:.1} ns"),
            ours,
            Target::AtMost(45.0, 45.0),
        ),
        row(
            "book + 18 features without the score, ns",
            format!("{features:.1} ns"),
            features,
            Target::None,
        ),
    ]))
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut csv = None;
    let tape = Scored::new(CHANGES)?;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--work" => return timed(&tape).map(drop),
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --csv PATH"),
        }
    }
    let Some(rows) = table(&tape)? else {
        println!("SKIPPED: no C++ compiler");
        return Ok(());
    };
    print(&rows);
    if let Some(path) = csv {
        write_csv(&path, &rows, &format!("{CHANGES} packets of one level change"))?;
    }
    Ok(())
}
