//! `make bench`: one table of every figure, ours beside the peers, in one process.
//!
//! `table [--quick] [--csv PATH]`; `--work` is what runs under callgrind.

use std::alloc::System;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use feature_runtime::{SymbolEngine, built_in_set};
use featureplane_benches::report::{Row, Target, print, write_csv};
use featureplane_benches::tape::{Tape, recorded_gz, recorded_npz};
use featureplane_benches::timing::{Arms, Times};
use featureplane_benches::{arms, ccxt, check, files, peers};
use hftbacktest::depth::{L2MarketDepth, ROIVectorMarketDepth};
use hftbacktest::types::Side;
use instruction_gate::callgrind;
use lob_engine::Book;
use market_model::{BookNeeds, Packet, PacketKind};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FUNCTIONS: [&str; 9] = [
    "arms::book_packets",
    "arms::book_rows",
    "arms::roi_vector",
    "arms::hash_map",
    "arms::b_tree",
    "arms::std_trees",
    "arms::lob_shared",
    "arms::core",
    "arms::lob_shared_every_event",
];

fn main() -> Result<()> {
    let (mut rounds, mut csv) = (11, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--work" => return work(),
            "--quick" => rounds = 3,
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --quick or --csv PATH"),
        }
    }
    let tape = Tape::load()?;
    let title = format!(
        "{}: {} level changes in {} packets, prices {} to {} ticks",
        tape.name,
        tape.changes,
        tape.packets.len(),
        tape.range_ticks.0,
        tape.range_ticks.1
    );
    println!("{title}");
    check::books_agree(&tape)?;
    println!("best bid and ask of all books are equal after every packet\n");
    let mut rows = in_memory(&tape, rounds)?;
    rows.extend(allocations(&tape)?);
    rows.extend(from_files(&tape, rounds.min(7))?);
    rows.extend(from_ccxt(rounds.min(7))?);
    print(&rows);
    if let Some(path) = csv {
        write_csv(&path, &rows, &title)?;
    }
    Ok(())
}

fn engine(tape: &Tape, set: &str) -> Result<SymbolEngine> {
    Ok(SymbolEngine::new(built_in_set(set)?.into(), tape.instrument.clone()))
}

fn reset(engine: &mut SymbolEngine) {
    let packet = Packet { kind: PacketKind::Reset, ..Packet::default() };
    assert!(engine.process(&packet).is_none(), "a reset gives no frame");
}

/// Every counted arm once, for callgrind, as it is timed: what it works on has been through the tape
/// before and was emptied, so that no memory is new to it.
fn work() -> Result<()> {
    let tape = Tape::load()?;
    let warm_book = || -> Result<Book> {
        let mut book = Book::new(BookNeeds::top(5));
        tape.packets.iter().try_for_each(|packet| arms::apply(&mut book, packet))?;
        book.clear();
        Ok(book)
    };
    let warm_engine = |set| -> Result<SymbolEngine> {
        let mut engine = engine(&tape, set)?;
        tape.packets.iter().for_each(|packet| _ = engine.process(packet));
        reset(&mut engine);
        Ok(engine)
    };
    black_box(arms::book_packets(&mut warm_book()?, &tape));
    black_box(arms::book_rows(&mut warm_book()?, &mut Packet::default(), &tape));
    black_box(arms::roi_vector(&mut peers::warm(peers::roi_vector(&tape), &tape), &tape));
    black_box(arms::hash_map(&mut peers::warm(peers::hash_map(&tape), &tape), &tape));
    black_box(arms::b_tree(&mut peers::warm(peers::b_tree(&tape), &tape), &tape));
    let mut trees = peers::StdTrees::default();
    tape.packets.iter().for_each(|packet| trees.apply(packet));
    trees.clear();
    black_box(arms::std_trees(&mut trees, &tape));
    black_box(arms::lob_shared(&mut warm_engine("lob_shared_v1")?, &tape.packets));
    black_box(arms::core(&mut warm_engine("core_v1")?, &tape.packets));
    let mut shared = warm_engine("lob_shared_v1")?;
    black_box(arms::lob_shared_every_event(&mut shared, &tape.packets));
    Ok(())
}

/// Instructions of each arm over the whole tape; empty without valgrind.
fn counts() -> Result<BTreeMap<String, u64>> {
    if !callgrind::is_installed() {
        println!("SKIPPED instruction counts: valgrind is not installed\n");
        return Ok(BTreeMap::new());
    }
    let folder = tempfile::tempdir()?;
    callgrind::count(&std::env::current_exe()?, &["--work"], &FUNCTIONS, folder.path())
}

fn time(tape: &Tape, rounds: usize) -> Result<Times> {
    let clear_book = |book: &mut Book| book.clear();
    let mut set = Arms::default();
    set.add("book", Book::new(BookNeeds::top(5)), clear_book, |book| {
        arms::book_packets(book, tape)
    });
    set.add(
        "rows",
        (Book::new(BookNeeds::top(5)), Packet::default()),
        |(book, _)| book.clear(),
        |(book, packet)| arms::book_rows(book, packet, tape),
    );
    set.add("pass", (), |()| (), |()| arms::pass_rows(tape));
    set.add(
        "roi",
        peers::roi_vector(tape),
        |depth| depth.clear_depth(Side::None, 0.0),
        |depth| arms::roi_vector(depth, tape),
    );
    set.add(
        "hash",
        peers::hash_map(tape),
        |depth| depth.clear_depth(Side::None, 0.0),
        |depth| arms::hash_map(depth, tape),
    );
    set.add(
        "btree",
        peers::b_tree(tape),
        |depth| depth.clear_depth(Side::None, 0.0),
        |depth| arms::b_tree(depth, tape),
    );
    set.add("std", peers::StdTrees::default(), peers::StdTrees::clear, |trees| {
        arms::std_trees(trees, tape)
    });
    set.add("shared", engine(tape, "lob_shared_v1")?, reset, |e| {
        arms::lob_shared(e, &tape.packets)
    });
    set.add("core", engine(tape, "core_v1")?, reset, |e| arms::core(e, &tape.packets));
    set.add("every", engine(tape, "lob_shared_v1")?, reset, |e| {
        arms::lob_shared_every_event(e, &tape.packets)
    });
    Ok(set.time(rounds))
}

/// Arms with the function whose instructions are theirs.
const ARM_FUNCTIONS: [(&str, &str); 9] = [
    ("book", "book_packets"),
    ("rows", "book_rows"),
    ("roi", "roi_vector"),
    ("hash", "hash_map"),
    ("btree", "b_tree"),
    ("std", "std_trees"),
    ("shared", "lob_shared"),
    ("core", "core"),
    ("every", "lob_shared_every_event"),
];

/// Figure, what it is, our arm, the arm beside it, target. A peer is to be slower than we are
/// (`AtLeast`), the bare book is to be not much faster (`AtMost`).
const COMPARED: [(&str, &str, &str, &str, Target); 8] = [
    ("Q1", "book vs ROIVector, full range", "book", "roi", Target::AtLeast(2.0, 3.0)),
    ("Q1", "book vs HashMapMarketDepth", "book", "hash", Target::AtLeast(8.0, 12.0)),
    ("Q1", "book vs BTreeMarketDepth", "book", "btree", Target::None),
    ("Q2", "book vs std BTreeMap", "book", "std", Target::AtLeast(12.0, 20.0)),
    ("Q3", "book from 64 B rows vs ROIVector", "rows", "roi", Target::AtLeast(1.25, 1.7)),
    ("Q4", "book + lob_shared_v1 per packet / book", "shared", "book", Target::AtMost(1.2, 1.08)),
    ("Q5", "book + lob_shared_v1 every event / book", "every", "book", Target::AtMost(3.8, 2.2)),
    ("P3", "book + core_v1 per packet / book", "core", "book", Target::AtMost(1.6, 1.6)),
];

fn in_memory(tape: &Tape, rounds: usize) -> Result<Vec<Row>> {
    let counts = counts()?;
    let times = time(tape, rounds)?;
    let changes = tape.changes as f64;
    let per_change = |arm: &str| {
        let (_, function) = ARM_FUNCTIONS.iter().find(|(name, _)| *name == arm)?;
        counts.get(&format!("arms::{function}")).map(|count| *count as f64 / changes)
    };
    let ns = |arm: &str| times.seconds(arm) * 1e9 / changes;
    let cost = |arm: &str| {
        let instructions = per_change(arm).map_or("?".into(), |count| format!("{count:.1}"));
        format!("{:.2} ns {instructions} ins", ns(arm))
    };
    let mut rows: Vec<Row> = COMPARED
        .into_iter()
        .map(|(figure, what, ours, peer, target)| {
            let over_ours = matches!(target, Target::AtLeast(..) | Target::None);
            let value = if over_ours { times.ratio(peer, ours) } else { times.ratio(ours, peer) };
            Row { figure, what: what.into(), ours: cost(ours), peer: cost(peer), value, target }
        })
        .collect();
    let added = Some("shared").and_then(|arm| Some(per_change(arm)? - per_change("book")?));
    for (what, ours, gate, moonshot) in [
        ("instructions per change: book", per_change("book"), 40.0, 20.0),
        ("added by lob_shared_v1 per packet", added, 4.0, 2.0),
        ("lob_shared_v1 every event", per_change("every"), 115.0, 65.0),
    ] {
        rows.extend(ours.map(|ours| Row {
            figure: "Q9",
            what: what.into(),
            ours: format!("{ours:.1} ins"),
            peer: String::new(),
            value: ours,
            target: Target::AtMost(gate, moonshot),
        }));
    }
    rows.push(Row {
        figure: "Q10",
        what: "book from 64 B rows / pass over them".into(),
        ours: cost("rows"),
        peer: format!("{:.2} ns", ns("pass")),
        value: times.ratio("rows", "pass"),
        target: Target::AtMost(2.3, 1.4),
    });
    Ok(rows)
}

/// Allocations of the loop when the same day comes a second time, later.
fn allocations(tape: &Tape) -> Result<Vec<Row>> {
    let later = tape.continued();
    let mut rows = Vec::new();
    for set in ["lob_shared_v1", "core_v1"] {
        let mut engine = engine(tape, set)?;
        black_box(arms::lob_shared(&mut engine, &tape.packets));
        let region = Region::new(ALLOCATOR);
        black_box(arms::lob_shared(&mut engine, &later));
        let change = region.change();
        let count = change.allocations + change.reallocations;
        rows.push(Row {
            figure: "Q11",
            what: format!("allocations after warm-up, {set}"),
            ours: count.to_string(),
            peer: String::new(),
            value: count as f64,
            target: Target::AtMost(0.0, 0.0),
        });
    }
    Ok(rows)
}

fn from_files(tape: &Tape, rounds: usize) -> Result<Vec<Row>> {
    let (Some(npz), Some(gz)) = (recorded_npz(), recorded_gz()) else {
        println!("SKIPPED Q17, Q19, P4: no recorded files\n");
        return Ok(Vec::new());
    };
    let folder = tempfile::tempdir()?;
    let mut stored = npz.clone();
    stored.inputs = vec![files::stored_copy(&npz.inputs[0], folder.path())?];
    let run = |open: &_, set| files::extract(open, set, folder.path());
    let (first, second) = (run(&npz, "lob_shared_v1")?, run(&stored, "lob_shared_v1")?);
    ensure!(first.summary.rows == second.summary.rows, "both archives hold the same rows");
    let binance_changes = run(&gz, "lob_shared_v1")?.summary.events as f64;
    let changes = tape.changes as f64;
    let clear = |depth: &mut ROIVectorMarketDepth| depth.clear_depth(Side::None, 0.0);
    let mut set = Arms::default();
    set.add("npz", (), |()| (), |()| run(&npz, "lob_shared_v1").map(|o| o.summary.rows));
    set.add("npz core", (), |()| (), |()| run(&npz, "core_v1").map(|o| o.summary.rows));
    set.add("npz peer", peers::roi_vector(tape), clear, |depth| {
        files::peer_from_npz(&npz.inputs[0], depth)
    });
    set.add("stored", (), |()| (), |()| run(&stored, "lob_shared_v1").map(|o| o.summary.rows));
    set.add("stored core", (), |()| (), |()| run(&stored, "core_v1").map(|o| o.summary.rows));
    set.add("stored peer", peers::roi_vector(tape), clear, |depth| {
        files::peer_from_npz(&stored.inputs[0], depth)
    });
    set.add("gz", (), |()| (), |()| run(&gz, "lob_shared_v1").map(|o| o.summary.rows));
    Ok(file_rows(&set.time(rounds), changes, binance_changes))
}

/// Figures of whole files, from inputs to Parquet.
fn file_rows(times: &Times, changes: f64, binance_changes: f64) -> Vec<Row> {
    let speed = |arm: &str, changes: f64| changes / times.seconds(arm) / 1e6;
    let row = |figure, what: &str, arm: &str, peer: &str, target| Row {
        figure,
        what: what.into(),
        ours: format!("{:.1} M changes/s", speed(arm, changes)),
        peer: format!("{:.1} M changes/s, book only", speed(peer, changes)),
        value: speed(arm, changes),
        target,
    };
    let beside = |what: &str, arm: &str, peer: &str| Row {
        figure: "P4",
        what: what.into(),
        ours: String::new(),
        peer: String::new(),
        value: times.ratio(peer, arm),
        target: Target::None,
    };
    vec![
        row(
            "Q17",
            "stored npz -> lob_shared_v1 -> Parquet, M/s",
            "stored",
            "stored peer",
            Target::AtLeast(50.0, 130.0),
        ),
        row(
            "P4",
            "stored npz -> core_v1 -> Parquet, M/s",
            "stored core",
            "stored peer",
            Target::AtLeast(40.0, 80.0),
        ),
        row("P4", "deflated npz -> lob_shared_v1 -> Parquet, M/s", "npz", "npz peer", Target::None),
        row("P4", "deflated npz -> core_v1 -> Parquet, M/s", "npz core", "npz peer", Target::None),
        beside("stored: speed over hftbacktest load + ROIVector", "stored", "stored peer"),
        beside("deflated: speed over hftbacktest load + ROIVector", "npz", "npz peer"),
        Row {
            figure: "Q19",
            what: "Binance gz -> lob_shared_v1 -> Parquet, M/s".into(),
            ours: format!("{:.1} M changes/s", speed("gz", binance_changes)),
            peer: String::new(),
            value: speed("gz", binance_changes),
            target: Target::AtLeast(12.0, 20.0),
        },
    ]
}

/// The whole job over CCXT lines; the peer is the Python job that the feature set is named after.
fn from_ccxt(rounds: usize) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("segment.ndjson");
    let books = ccxt::write(&input)? as f64;
    let run = |emission| ccxt::extract(&input, emission, folder.path()).map(|o| o.summary.rows);
    ensure!(run("packet")? as f64 >= books, "a row for every order book");
    let mut set = Arms::default();
    set.add("step", (), |()| (), |()| run("step:1s"));
    set.add("packet", (), |()| (), |()| run("packet"));
    let times = set.time(rounds);
    let row = |what: &str, arm: &str, target| {
        let us = times.seconds(arm) * 1e6 / books;
        let peer = "182 us recorded".into();
        Row {
            figure: "P5",
            what: what.into(),
            ours: format!("{us:.1} us"),
            peer,
            value: us,
            target,
        }
    };
    let gate = Target::AtMost(10.0, 4.0);
    Ok(vec![
        row("CCXT, 50 levels -> ccxt_hf_v1 every 1 s + bars, us per book", "step", gate),
        row("the same with a row for every book", "packet", Target::None),
    ])
}
