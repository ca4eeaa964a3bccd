//! P10 and the strategy's hot path: `live-bench [--csv PATH]`.
//!
//! `--work` is what runs under callgrind. Needs the recorded stream; skips, visibly, without it.

mod lean;
mod visible;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use feature_runtime::{LatestWriter, SymbolEngine, built_in_set};
use instruction_gate::callgrind;
use instruction_gate::report::{Row, Target, print, write_csv};
use market_io::OpenOptions;
use market_model::{Instrument, Packet};

use crate::lean::{ByHand, OwnEngine, Shared};

const ROUNDS: usize = 7;
const PACKETS: usize = 20_000;
const SETS: [&str; 2] = ["lob_shared_v1", "core_v1"];
const PATHS: [&str; 3] = ["decide_by_hand", "decide_by_engine", "decide_from_table"];

struct Tape {
    instrument: Instrument,
    packets: Vec<Packet>,
    /// Frames of `core_v1`, as the worker would publish them; `None` where a packet makes none.
    frames: Vec<Option<Vec<u64>>>,
}

impl Tape {
    /// `None` without the recording.
    fn read() -> Result<Option<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/binance");
        let path = folder.join("usdm_btcusdt_20240808.gz");
        if !path.exists() {
            return Ok(None);
        }
        let options = OpenOptions {
            inputs: vec![path],
            symbol: Some("BTCUSDT".into()),
            tick_size: Some("0.1".into()),
            lot_size: Some("0.001".into()),
            ..OpenOptions::default()
        };
        let mut source = market_io::open(&options)?;
        let (mut packet, mut packets) = (Packet::default(), Vec::new());
        while packets.len() < PACKETS && source.next_packet(&mut packet)? {
            packets.push(packet.clone());
        }
        let instrument = source.instrument().clone();
        let mut engine = SymbolEngine::new(built_in_set("core_v1")?.into(), instrument.clone());
        let frames =
            packets.iter().map(|packet| engine.process(packet).map(|frame| frame.words().to_vec()));
        let frames = frames.collect();
        Ok(Some(Self { instrument, packets, frames }))
    }

    /// The three strategies decide the same wherever a frame has no flag; how many decisions, and how
    /// many of them lean.
    fn compare(&self) -> Result<(usize, usize)> {
        let (mut hand, mut own) = (ByHand::default(), OwnEngine::new(&self.instrument)?);
        let (mut writer, mut shared) = self.table()?;
        let (mut decided, mut leaning) = (0, 0);
        for (index, (packet, frame)) in self.packets.iter().zip(&self.frames).enumerate() {
            let by_hand = hand.decide_by_hand(packet);
            let by_engine = own.decide_by_engine(packet);
            let Some(words) = frame else { continue };
            writer.publish(feature_kernel::FrameRef::from_words(words), None, 0);
            let from_table = shared.decide_from_table();
            ensure!(by_engine == from_table, "packet {index}: {by_engine:?}, table {from_table:?}");
            if let Some(lean) = from_table {
                ensure!(by_hand == lean, "packet {index}: by hand {by_hand}, table {lean}");
                decided += 1;
                leaning += usize::from(lean != 0);
            }
        }
        Ok((decided, leaning))
    }

    fn table(&self) -> Result<(LatestWriter, Shared)> {
        let set = built_in_set("core_v1")?;
        let writer = LatestWriter::in_memory(&set, &[&self.instrument.symbol], &[]);
        let shared = Shared::new(writer.reader(), &set);
        Ok((writer, shared))
    }

    /// Nanoseconds per packet of the three paths. What publishing costs is the worker's, and taken off.
    fn time(&self) -> Result<[f64; 3]> {
        let per_packet = |start: Instant| start.elapsed().as_secs_f64() * 1e9 / PACKETS as f64;
        let mut hand = ByHand::default();
        let start = Instant::now();
        let sum: i64 = self.packets.iter().map(|packet| hand.decide_by_hand(packet)).sum();
        let by_hand = per_packet(start);
        black_box(sum);
        let mut own = OwnEngine::new(&self.instrument)?;
        let start = Instant::now();
        let sum: i64 = self.packets.iter().filter_map(|packet| own.decide_by_engine(packet)).sum();
        let by_engine = per_packet(start);
        black_box(sum);
        let mut with_reading = [0.0; 2];
        for (reads, ns) in with_reading.iter_mut().enumerate() {
            let (mut writer, mut shared) = self.table()?;
            let start = Instant::now();
            let mut sum = 0;
            for words in self.frames.iter().flatten() {
                writer.publish(feature_kernel::FrameRef::from_words(words), None, 0);
                if reads == 1 {
                    sum += shared.decide_from_table().unwrap_or(0);
                }
            }
            *ns = per_packet(start);
            black_box(sum);
        }
        Ok([by_hand, by_engine, with_reading[1] - with_reading[0]])
    }
}

fn quantile(sorted: &[u64], q: f64) -> u64 {
    sorted[(q * (sorted.len() - 1) as f64) as usize]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// P10 by set: the round with the lowest p99, since the cores are shared with others.
fn visibility(tape: &Tape) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for set in SETS {
        let mut best: [Option<[u64; 2]>; 2] = [None; 2];
        for _ in 0..ROUNDS {
            let threads = visible::across_threads(set, &tape.instrument, &tape.packets)?;
            let single = visible::on_one_thread(set, &tape.instrument, &tape.packets)?;
            for (best, times) in best.iter_mut().zip([threads, single]) {
                let found = [0.5, 0.99].map(|q| quantile(&times, q));
                *best = Some(best.map_or(found, |b| if found[1] < b[1] { found } else { b }));
            }
        }
        let [threads, single] = best.map(Option::unwrap_or_default);
        let targets =
            [("p50", Target::AtMost(500.0, 200.0)), ("p99", Target::AtMost(2_000.0, 600.0))];
        for (at, (name, target)) in targets.into_iter().enumerate() {
            rows.push(Row {
                figure: "P10",
                what: format!("packet in to frame on another thread, {set}, {name}, ns"),
                ours: format!("{} ns", threads[at]),
                peer: format!("{} ns on one thread", single[at]),
                value: threads[at] as f64,
                target,
            });
        }
    }
    Ok(rows)
}

fn instructions() -> Result<Option<[u64; 3]>> {
    if !callgrind::is_installed() {
        println!("SKIPPED instructions: valgrind is not installed");
        return Ok(None);
    }
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program is in a folder")?;
    let counts = callgrind::count(&program, &["--work"], &PATHS, folder)?;
    Ok(Some(PATHS.map(|path| counts[path] / PACKETS as u64)))
}

/// The hot path of a strategy that consumes features, beside the same strategy that computes them.
fn hot_path(tape: &Tape) -> Result<Vec<Row>> {
    let rounds = (0..ROUNDS).map(|_| tape.time()).collect::<Result<Vec<_>>>()?;
    let ns = [0, 1, 2].map(|path| median(rounds.iter().map(|round| round[path]).collect()));
    let counts = instructions()?;
    let mut rows = Vec::new();
    for (peer, name) in [(0, "by hand"), (1, "by an engine of its own")] {
        let time = |path: usize| format!("{:.1} ns", ns[path]);
        rows.push(Row {
            figure: "P10",
            what: format!("strategy's hot path, features shared / computed {name}, time"),
            ours: time(2),
            peer: time(peer),
            value: median(rounds.iter().map(|round| round[2] / round[peer]).collect()),
            target: Target::AtMost(1.0, 0.5),
        });
        let Some(counts) = counts else { continue };
        rows.push(Row {
            figure: "P10",
            what: format!("strategy's hot path, features shared / computed {name}, instructions"),
            ours: format!("{} ins", counts[2]),
            peer: format!("{} ins", counts[peer]),
            value: counts[2] as f64 / counts[peer] as f64,
            target: Target::AtMost(1.0, 0.5),
        });
    }
    Ok(rows)
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut csv = None;
    let Some(tape) = Tape::read()? else {
        println!("SKIPPED: the recorded stream is absent");
        return Ok(());
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--work" => return tape.compare().map(drop),
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --csv PATH"),
        }
    }
    let (decided, leaning) = tape.compare()?;
    ensure!(decided > PACKETS / 2 && leaning > 100, "{decided} decisions, {leaning} lean");
    println!("{decided} decisions of three strategies are the same, {leaning} of them lean\n");
    let mut rows = visibility(&tape)?;
    rows.extend(hot_path(&tape)?);
    print(&rows);
    if let Some(path) = csv {
        let tape = format!("{PACKETS} packets of usdm_btcusdt_20240808.gz");
        write_csv(&path, &rows, &tape)?;
    }
    Ok(())
}
