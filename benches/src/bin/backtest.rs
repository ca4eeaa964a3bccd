//! P7: a backtest with features beside the same backtest without, in instructions and in time.
//!
//! `backtest [--csv PATH]`; `--work` is what runs under callgrind. Needs the recorded array.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use featureplane_benches::backtests::{
    self, Run, hash_core, hash_lob_shared, hash_stats_only, roi_core, roi_lob_shared,
    roi_stats_only,
};
use featureplane_benches::report::{Row, Target, print, write_csv};
use featureplane_benches::tape::recorded_npz;
use hftbacktest::backtest::data::{Data, read_npz_file};
use hftbacktest::depth::{HashMapMarketDepth, ROIVectorMarketDepth};
use hftbacktest::types::Event;
use instruction_gate::callgrind;

const ROUNDS: usize = 9;
const LOB: Option<&str> = Some("lob_shared_v1");
const CORE: Option<&str> = Some("core_v1");
const FUNCTIONS: [&str; 6] = [
    "backtests::roi_stats_only",
    "backtests::roi_lob_shared",
    "backtests::roi_core",
    "backtests::hash_stats_only",
    "backtests::hash_lob_shared",
    "backtests::hash_core",
];

fn roi(rows: &Data<Event>, set: Option<&str>) -> Result<Run<ROIVectorMarketDepth>> {
    backtests::new(rows, || ROIVectorMarketDepth::new(0.1, 0.001, 50_000.0, 75_000.0), set)
}

fn hash(rows: &Data<Event>, set: Option<&str>) -> Result<Run<HashMapMarketDepth>> {
    backtests::new(rows, || HashMapMarketDepth::new(0.1, 0.001), set)
}

/// Runs every arm once; seconds of each.
fn once(rows: &Data<Event>) -> Result<[f64; 6]> {
    fn timed<S>(mut state: S, arm: fn(&mut S) -> u64) -> f64 {
        let start = Instant::now();
        black_box(arm(black_box(&mut state)));
        start.elapsed().as_secs_f64()
    }
    Ok([
        timed(roi(rows, None)?, roi_stats_only),
        timed(roi(rows, LOB)?, roi_lob_shared),
        timed(roi(rows, CORE)?, roi_core),
        timed(hash(rows, None)?, hash_stats_only),
        timed(hash(rows, LOB)?, hash_lob_shared),
        timed(hash(rows, CORE)?, hash_core),
    ])
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (mut csv, mut only_work) = (None, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--work" => only_work = true,
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
    if only_work {
        return once(&rows).map(drop);
    }
    let mut rounds = (0..ROUNDS).map(|_| once(&rows)).collect::<Result<Vec<_>>>()?;
    let ratio = |rounds: &mut [[f64; 6]], a: usize, b: usize| {
        rounds.sort_by(|x, y| (x[a] / x[b]).total_cmp(&(y[a] / y[b])));
        let middle = rounds[rounds.len() / 2];
        (middle[a] * 1e3, middle[b] * 1e3, middle[a] / middle[b])
    };
    let mut table = Vec::new();
    let names =
        ["ROI, lob_shared_v1", "ROI, core_v1", "HashMap, lob_shared_v1", "HashMap, core_v1"];
    for (name, (ours, plain)) in names.iter().zip([(1, 0), (2, 0), (4, 3), (5, 3)]) {
        let (a, b, value) = ratio(&mut rounds, ours, plain);
        let what = format!("backtest with features / without: {name}, time");
        let (ours, peer) = (format!("{a:.1} ms"), format!("{b:.1} ms"));
        table.push(Row { figure: "P7", what, ours, peer, value, target: Target::None });
    }
    if callgrind::is_installed() {
        let program = std::env::current_exe()?;
        let folder = program.parent().context("the program is in a folder")?;
        let counts = callgrind::count(&program, &["--work"], &FUNCTIONS, folder)?;
        for (name, (ours, plain)) in names.iter().zip([(1, 0), (2, 0), (4, 3), (5, 3)]) {
            let (a, b) = (counts[FUNCTIONS[ours]], counts[FUNCTIONS[plain]]);
            let what = format!("backtest with features / without: {name}, instructions");
            let millions = |count: u64| format!("{:.1} M", count as f64 / 1e6);
            let (ours, peer, value) = (millions(a), millions(b), a as f64 / b as f64);
            let target = Target::AtMost(1.1, 1.1);
            table.push(Row { figure: "P7", what, ours, peer, value, target });
        }
    } else {
        println!("SKIPPED instructions: valgrind is not installed");
    }
    print(&table);
    if let Some(path) = csv {
        write_csv(&path, &table, "usdm_btcusdt_20240808, 466,836 local rows in 27,865 packets")?;
    }
    Ok(())
}
