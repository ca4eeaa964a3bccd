//! P7: a backtest with features beside the same backtest without, in instructions and in time.
//!
//! `backtest [--csv PATH]`; `--work ARM` is what runs under callgrind. Needs the recorded array.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use featureplane_benches::backtests::{self, pull, touch};
use featureplane_benches::report::{Row, Target, print, write_csv};
use featureplane_benches::tape::recorded_npz;
use hftbacktest::backtest::data::{Data, read_npz_file};
use hftbacktest::depth::{HashMapMarketDepth, L2MarketDepth, MarketDepth, ROIVectorMarketDepth};
use hftbacktest::types::Event;
use instruction_gate::callgrind;

const ROUNDS: usize = 9;
/// Feature sets with the place of the mid in each; none is `stats_only`.
const SETS: [Option<(&str, usize)>; 3] = [None, Some(("lob_shared_v1", 2)), Some(("core_v1", 4))];
const DEPTHS: [&str; 2] = ["ROI", "HashMap"];

/// What is counted and timed. One function for all arms: those that differ in a type only may share
/// their code, so that their own names say nothing.
#[inline(never)]
fn counted(arm: &mut dyn FnMut() -> u64) -> u64 {
    arm()
}

fn timed<MD: MarketDepth + L2MarketDepth + 'static>(
    rows: &Data<Event>,
    depth: impl Fn() -> MD + 'static,
    set: Option<(&str, usize)>,
) -> Result<f64> {
    let mut run = backtests::new(rows, depth, set.map(|(id, _)| id))?;
    let start = Instant::now();
    black_box(counted(&mut || match set {
        None => touch(&mut run),
        Some((_, mid)) => pull(&mut run, mid),
    }));
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of one arm: depth by depth, set by set.
fn run(rows: &Data<Event>, arm: usize) -> Result<f64> {
    let set = SETS[arm % SETS.len()];
    if arm < SETS.len() {
        timed(rows, || ROIVectorMarketDepth::new(0.1, 0.001, 50_000.0, 75_000.0), set)
    } else {
        timed(rows, || HashMapMarketDepth::new(0.1, 0.001), set)
    }
}

/// The lines of one measure: each arm with features beside the one without.
fn lines(
    measure: &str,
    target: Target,
    value: impl Fn(usize, usize) -> (String, String, f64),
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, depth) in DEPTHS.iter().enumerate() {
        let plain = index * SETS.len();
        for (offset, (set, _)) in SETS.iter().flatten().enumerate() {
            let what = format!("backtest with {set} / without, {depth}, {measure}");
            let (ours, peer, value) = value(plain + 1 + offset, plain);
            rows.push(Row { figure: "P7", what, ours, peer, value, target });
        }
    }
    rows
}

fn times(rows: &Data<Event>) -> Result<Vec<Row>> {
    let arms = 0..DEPTHS.len() * SETS.len();
    let round = |_| arms.clone().map(|arm| run(rows, arm)).collect::<Result<Vec<f64>>>();
    let rounds = (0..ROUNDS).map(round).collect::<Result<Vec<_>>>()?;
    Ok(lines("time", Target::None, |ours, plain| {
        let mut sorted = rounds.clone();
        sorted.sort_by(|x, y| (x[ours] / x[plain]).total_cmp(&(y[ours] / y[plain])));
        let middle = &sorted[ROUNDS / 2];
        let ms = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        (ms(middle[ours]), ms(middle[plain]), middle[ours] / middle[plain])
    }))
}

fn instructions() -> Result<Vec<Row>> {
    if !callgrind::is_installed() {
        println!("SKIPPED instructions: valgrind is not installed");
        return Ok(Vec::new());
    }
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program is in a folder")?;
    let count = |arm: usize| -> Result<u64> {
        let args = ["--work", &arm.to_string()];
        let counts = callgrind::count(&program, &args, &["counted"], folder)?;
        Ok(counts["counted"])
    };
    let counts = (0..DEPTHS.len() * SETS.len()).map(count).collect::<Result<Vec<_>>>()?;
    Ok(lines("instructions", Target::AtMost(1.1, 1.1), |ours, plain| {
        let millions = |arm: usize| format!("{:.1} M", counts[arm] as f64 / 1e6);
        (millions(ours), millions(plain), counts[ours] as f64 / counts[plain] as f64)
    }))
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (mut csv, mut work) = (None, None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--work" => work = Some(args.next().context("--work needs an arm")?.parse()?),
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --csv PATH"),
        }
    }
    let Some(options) = recorded_npz() else {
        println!("SKIPPED: the recorded array is absent");
        return Ok(());
    };
    let path = options.inputs[0].to_str().context("a path in UTF-8")?;
    let rows = read_npz_file::<Event>(path, "data")?;
    if let Some(arm) = work {
        return run(&rows, arm).map(drop);
    }
    let mut table = times(&rows)?;
    table.extend(instructions()?);
    print(&table);
    if let Some(path) = csv {
        write_csv(&path, &table, "usdm_btcusdt_20240808: 466,836 local rows, 27,865 packets")?;
    }
    Ok(())
}
