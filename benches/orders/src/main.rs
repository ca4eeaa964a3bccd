//! P6 (Q13, Q14): `order-bench [--csv PATH]`, books of single orders beside those of hftbacktest and of the standard library.

mod market;
mod peers;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use instruction_gate::report::{Row, Target, print, write_csv};
use lob_engine::Book;
use market_model::{BookNeeds, BookView, Packet, Side};

use crate::market::Event;

const EVENTS: usize = 1_000_000;
const ROUNDS: usize = 9;
/// Events of a packet in the arms of packets.
const PACKET: usize = 16;

fn needs(orders: bool) -> BookNeeds {
    BookNeeds { orders, ..BookNeeds::top(1) }
}

/// Nanoseconds per event of our book over packets.
fn ours(packets: &[Packet], orders: bool) -> Result<f64> {
    let mut book = Book::new(needs(orders));
    let start = Instant::now();
    for packet in packets {
        book.apply(packet)?;
    }
    let elapsed = start.elapsed();
    black_box(book.best(Side::Bid));
    Ok(elapsed.as_secs_f64() * 1e9 / EVENTS as f64)
}

fn roi(events: &[Event]) -> f64 {
    let mut depth = peers::roi();
    let start = Instant::now();
    for event in events {
        peers::apply(&mut depth, event);
    }
    let elapsed = start.elapsed();
    black_box(peers::best(&depth));
    elapsed.as_secs_f64() * 1e9 / EVENTS as f64
}

fn std_book(events: &[Event]) -> f64 {
    let mut book = peers::StdBook::default();
    let start = Instant::now();
    for event in events {
        book.apply(event);
    }
    let elapsed = start.elapsed();
    black_box(book.best(Side::Bid));
    elapsed.as_secs_f64() * 1e9 / EVENTS as f64
}

/// After every event: the same best prices in all, the same lots and orders at them where they are known.
fn compare(events: &[Event]) -> Result<usize> {
    let (mut book, mut roi) = (Book::new(needs(true)), peers::roi());
    let mut std_book = peers::StdBook::default();
    let mut compared = 0;
    for (number, (event, packet)) in events.iter().zip(market::packets(events, 1)).enumerate() {
        book.apply(&packet)?;
        peers::apply(&mut roi, event);
        std_book.apply(event);
        let side = |side| {
            let best = book.best(side)?;
            let queue = book.queue(side, best.price_ticks)?;
            Some((best.price_ticks, best.qty_lots, queue.orders))
        };
        let (bid, ask) = (side(Side::Bid), side(Side::Ask));
        let theirs = (std_book.best(Side::Bid), std_book.best(Side::Ask));
        ensure!((bid, ask) == theirs, "event {number}: {bid:?} {ask:?}, std {theirs:?}");
        if let (Some(bid), Some(ask)) = (bid, ask) {
            let theirs = peers::best(&roi);
            ensure!((bid.0, ask.0) == theirs, "event {number}: {bid:?} {ask:?}, ROI {theirs:?}");
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

fn table(events: &[Event]) -> Result<Vec<Row>> {
    let compared = compare(events)?;
    ensure!(compared > EVENTS * 9 / 10, "{compared} books have two sides");
    println!("{compared} books compared: best prices, their lots and orders are equal\n");
    let (single, several) = (market::packets(events, 1), market::packets(events, PACKET));
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let times = [
            ours(&several, false)?,
            ours(&single, false)?,
            ours(&several, true)?,
            ours(&single, true)?,
            roi(events),
            std_book(events),
        ];
        if round > 0 {
            rounds.push(times);
        }
    }
    let time = |arm: usize| median(rounds.iter().map(|times| times[arm]));
    let row = |figure, what: &str, arm: usize, peer: usize, target| Row {
        figure,
        what: what.into(),
        ours: format!("{:.1} ns", time(arm)),
        peer: format!("{:.1} ns", time(peer)),
        value: median(rounds.iter().map(|times| times[peer] / times[arm])),
        target,
    };
    let (q13, q14) = (Target::AtLeast(2.5, 5.0), Target::AtLeast(4.0, 8.0));
    Ok(vec![
        row("Q13", "hftbacktest ROI L3 / levels of orders, packets of 16", 0, 4, q13),
        row("Q13", "hftbacktest ROI L3 / levels of orders, a packet an event", 1, 4, Target::None),
        row("Q14", "std tree of deques / with queues, packets of 16", 2, 5, q14),
        row("Q14", "std tree of deques / with queues, a packet an event", 3, 5, Target::None),
    ])
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut csv = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --csv PATH"),
        }
    }
    let rows = table(&market::events(EVENTS))?;
    print(&rows);
    if let Some(path) = csv {
        write_csv(&path, &rows, &format!("{EVENTS} events of single orders"))?;
    }
    Ok(())
}
