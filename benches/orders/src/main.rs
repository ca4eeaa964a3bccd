//! P6 (Q13, Q14): `order-bench [--csv PATH]`, books of single orders beside those of others.
//!
//! `--work` is what runs under callgrind.

mod arms;
mod cpp;
mod market;
mod nautilus;
mod peers;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use instruction_gate::callgrind;
use instruction_gate::report::{Row, Target, print, write_csv};
use lob_engine::Book;
use market_model::{BookNeeds, BookView, Packet, Side};

use crate::cpp::PlainBook;
use crate::market::Event;
use crate::nautilus::Delta;

const EVENTS: usize = 1_000_000;
/// Events under callgrind.
const WORK_EVENTS: usize = 200_000;
const ROUNDS: usize = 30;
/// Events of a packet.
const PACKET: usize = 16;

fn book(orders: bool) -> Book {
    Book::new(BookNeeds { orders, ..BookNeeds::top(1) })
}

/// The same market as every arm takes it.
struct Market {
    events: Vec<Event>,
    packets: Vec<Packet>,
    deltas: Vec<Delta>,
}

impl Market {
    fn new(count: usize) -> Self {
        let events = market::events(count);
        let packets = market::packets(&events, PACKET);
        let deltas = events.iter().map(nautilus::delta).collect();
        Self { events, packets, deltas }
    }

    /// Runs an arm on a fresh book; nanoseconds per event.
    fn run(&self, arm: Arm) -> f64 {
        let (packets, events) = (&self.packets[..], &self.events[..]);
        let spent = match arm {
            Arm::Levels => timed(book(false), |book| arms::levels(book, packets)),
            Arm::Queues => timed(book(true), |book| arms::queues(book, packets)),
            Arm::EveryEvent => timed(book(false), |book| arms::every_event(book, packets)),
            Arm::Roi => timed(peers::roi(), |depth| arms::roi(depth, events)),
            Arm::Std => timed(peers::StdBook::default(), |book| arms::std_book(book, events)),
            Arm::Nautilus => timed(nautilus::book(), |book| arms::nautilus(book, &self.deltas)),
        };
        spent / events.len() as f64
    }
}

/// Nanoseconds; what the arm gives is not thrown away, and the book is dropped later.
fn timed<B, R>(mut book: B, arm: impl FnOnce(&mut B) -> R) -> f64 {
    let start = Instant::now();
    black_box(arm(black_box(&mut book)));
    start.elapsed().as_secs_f64() * 1e9
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Arm {
    Levels,
    Queues,
    EveryEvent,
    Roi,
    Std,
    Nautilus,
}

/// Arms as callgrind sees them.
const ARMS: [(Arm, &str); 6] = [
    (Arm::Levels, "arms::levels"),
    (Arm::Queues, "arms::queues"),
    (Arm::EveryEvent, "arms::every_event"),
    (Arm::Roi, "arms::roi"),
    (Arm::Std, "arms::std_book"),
    (Arm::Nautilus, "arms::nautilus"),
];

/// After every event: the same best prices and lots in all, and the same orders at them where they are known.
fn compare(market: &Market, plain: Option<&PlainBook>) -> Result<usize> {
    let (mut book, mut roi) = (book(true), peers::roi());
    let (mut std_book, mut nautilus) = (peers::StdBook::default(), nautilus::book());
    let bests = plain.map(PlainBook::bests).transpose()?;
    let mut compared = 0;
    let packets = market::packets(&market.events, 1);
    for (number, (event, packet)) in market.events.iter().zip(packets).enumerate() {
        book.apply(&packet)?;
        peers::apply(&mut roi, event);
        std_book.apply(event);
        nautilus::apply(&mut nautilus, &market.deltas[number]);
        let ours = [Side::Bid, Side::Ask].map(|side| {
            let best = book.best(side)?;
            let queue = book.queue(side, best.price_ticks)?;
            Some((best.price_ticks, best.qty_lots, queue.orders))
        });
        let theirs = [Side::Bid, Side::Ask].map(|side| std_book.best(side));
        ensure!(ours == theirs, "event {number}: {ours:?}, std {theirs:?}");
        let theirs = [Side::Bid, Side::Ask].map(|side| nautilus::best(&nautilus, side));
        ensure!(ours == theirs, "event {number}: {ours:?}, Nautilus {theirs:?}");
        let levels = ours.map(|best| best.map_or((0, 0), |(price, lots, _)| (price, lots)));
        if let Some(bests) = &bests {
            let theirs = bests.get(number);
            ensure!(theirs == Some(&levels), "event {number}: {levels:?}, C++ {theirs:?}");
        }
        if ours.iter().all(Option::is_some) {
            let theirs = peers::best(&roi);
            ensure!(levels == theirs, "event {number}: {levels:?}, ROI {theirs:?}");
            compared += 1;
        }
    }
    Ok(compared)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Instructions per event of each arm; none without valgrind.
fn instructions() -> Result<BTreeMap<Arm, f64>> {
    if !callgrind::is_installed() {
        println!("SKIPPED instructions: valgrind is not installed");
        return Ok(BTreeMap::new());
    }
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the program is in a folder")?;
    let functions = ARMS.map(|(_, function)| function);
    let counts = callgrind::count(&program, &["--work"], &functions, folder)?;
    let each = |(arm, function)| (arm, counts[function] as f64 / WORK_EVENTS as f64);
    Ok(ARMS.into_iter().map(each).collect())
}

/// Nanoseconds per event of every arm, round after round, and of the C++ program.
type Rounds = Vec<(BTreeMap<Arm, f64>, Option<f64>)>;

fn rounds(market: &Market, plain: Option<&PlainBook>) -> Result<Rounds> {
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        // Another arm first in each round: the first one pays for what the C++ process left behind.
        let arms = ARMS.iter().cycle().skip(round % ARMS.len()).take(ARMS.len());
        let times = arms.map(|(arm, _)| (*arm, market.run(*arm))).collect();
        let theirs = plain.map(PlainBook::run).transpose()?;
        if round > 0 {
            rounds.push((times, theirs));
        }
    }
    Ok(rounds)
}

fn table(market: &Market, plain: Option<&PlainBook>) -> Result<Vec<Row>> {
    let counts = instructions()?;
    let rounds = rounds(market, plain)?;
    let with_count = |arm: Arm| {
        let counted = counts.get(&arm).map_or(String::new(), |count| format!(", {count:.0} ins"));
        format!("{:.1} ns{counted}", median(rounds.iter().map(|(times, _)| times[&arm])))
    };
    let row = |figure, what: &str, arm: Arm, peer: Arm, target| Row {
        figure,
        what: what.into(),
        ours: with_count(arm),
        peer: with_count(peer),
        value: median(rounds.iter().map(|(times, _)| times[&peer] / times[&arm])),
        target,
    };
    let (levels, queues) = (Arm::Levels, Arm::Queues);
    let at_least = Target::AtLeast;
    let mut rows = vec![
        row("Q13", "hftbacktest ROI L3 / levels of orders", levels, Arm::Roi, at_least(2.5, 5.0)),
        row("Q13", "Nautilus L3 / levels of orders", levels, Arm::Nautilus, at_least(8.0, 15.0)),
        row("Q14", "Nautilus L3 / with queues", queues, Arm::Nautilus, at_least(6.0, 12.0)),
        row("Q14", "std tree of deques / with queues", queues, Arm::Std, at_least(4.0, 8.0)),
        row(
            "Q13",
            "hftbacktest ROI L3 / levels, a packet filled and applied for each event",
            Arm::EveryEvent,
            Arm::Roi,
            Target::None,
        ),
    ];
    if plain.is_some() {
        let ours_and_theirs: Vec<(f64, f64)> = rounds
            .iter()
            .filter_map(|(times, theirs)| Some((times[&levels], (*theirs)?)))
            .collect();
        rows.insert(
            0,
            Row {
                figure: "Q13",
                what: "plain C++ book / levels of orders".into(),
                ours: with_count(levels),
                peer: format!("{:.1} ns", median(ours_and_theirs.iter().map(|pair| pair.1))),
                value: median(ours_and_theirs.iter().map(|(ours, theirs)| theirs / ours)),
                target: at_least(3.5, 7.0),
            },
        );
    }
    Ok(rows)
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut csv = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--work" => {
                let market = Market::new(WORK_EVENTS);
                for (arm, _) in ARMS {
                    market.run(arm);
                }
                return Ok(());
            }
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --csv PATH"),
        }
    }
    let market = Market::new(EVENTS);
    let folder = tempfile::tempdir()?;
    let plain = PlainBook::build(folder.path(), &market.events)?;
    match &plain {
        Some(plain) => drop(plain.run()?),
        None => println!("SKIPPED plain C++ book: no C++ compiler"),
    }
    let compared = compare(&market, plain.as_ref())?;
    ensure!(compared > EVENTS * 9 / 10, "{compared} books have two sides");
    println!("{compared} books compared: best prices, their lots and orders are equal\n");
    let rows = table(&market, plain.as_ref())?;
    print(&rows);
    if let Some(path) = csv {
        let tape = format!("{EVENTS} events of single orders, packets of {PACKET}");
        write_csv(&path, &rows, &tape)?;
    }
    Ok(())
}
