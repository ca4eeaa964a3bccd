//! LOBSTER pairs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use lob_engine::{LobEngine, Outcome};
use market_io::{Format, OpenOptions};
use market_model::{BookNeeds, BookView, OrderOp, Packet, PacketKind, QualityFlags, Side};

use crate::book::{Book, drain, options, shared, write_file};
use crate::{check_sample, sample};

const MESSAGE: &str = "TEST_2020-03-02_34200000_57600000_message_2.csv";
const BOOK: &str = "TEST_2020-03-02_34200000_57600000_orderbook_2.csv";

#[test]
fn the_sample_gives_its_packets() {
    let options = options(sample("lobster", &[MESSAGE, BOOK]));
    check_sample(&options, Format::Lobster, "expected.ndjson");
    let mut source = market_io::open(&options).unwrap();
    drain(source.as_mut());
    let stats = source.stats();
    assert_eq!((stats.records, stats.packets, stats.snapshots), (8, 8, 2));
    assert_eq!((stats.gaps, stats.revealed_levels), (1, 1));
}

#[test]
fn a_message_file_alone_gives_orders() {
    let dir = tempfile::tempdir().unwrap();
    let log = "expected_messages.ndjson";
    check_sample(&options(sample("lobster", &[MESSAGE])), Format::Lobster, log);
    // A refused row, and another day, begin anew.
    let text = std::fs::read_to_string(&sample("lobster", &[MESSAGE])[0]).unwrap();
    let bad = write_file(&dir, MESSAGE, text.replace("34201,7,0", "34201,9,0").as_bytes());
    let next = write_file(&dir, &MESSAGE.replace("03-02", "03-03"), text.as_bytes());
    let mut source = market_io::open(&options(vec![bad, next])).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    let kinds: Vec<PacketKind> = packets.iter().map(|packet| packet.kind).collect();
    let (reset, delta) = (PacketKind::Reset, PacketKind::Delta);
    assert_eq!(kinds[4..6], [PacketKind::Rejected, reset]);
    assert_eq!(kinds[8..11], [delta, reset, delta]);
    assert_eq!(source.stats().records, 16);
}

#[test]
fn the_order_of_the_two_files_does_not_matter() {
    let paths = sample("lobster", &[MESSAGE, BOOK]);
    let turned = vec![paths[1].clone(), paths[0].clone()];
    let [one, other] = [paths, turned].map(|paths| crate::book::read(&options(paths)).0);
    assert_eq!(one, other);
}

/// A message that does not lead to its row restarts the book from the row.
#[test]
fn one_changed_size_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let paths = sample("lobster", &[MESSAGE, BOOK]);
    let messages = std::fs::read_to_string(&paths[0]).unwrap().replace(",2,14,30,", ",2,14,31,");
    let message = write_file(&dir, MESSAGE, messages.as_bytes());
    let mut source = market_io::open(&options(vec![message, paths[1].clone()])).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none());
    assert_eq!((packets[5].kind, source.stats().gaps), (PacketKind::Snapshot, 2));
}

#[test]
fn hidden_executions_between_the_ticks_are_left_out() {
    let tick_size = Some("0.01".into());
    let inputs = sample("lobster", &[MESSAGE, BOOK]);
    let mut source =
        market_io::open(&OpenOptions { inputs, tick_size, ..OpenOptions::default() }).unwrap();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none());
    assert!(packets[3].trades.is_empty() && packets[3].kind == PacketKind::Delta);
    assert_eq!(source.stats().ignored["hidden execution off the tick grid"], 1);
}

#[test]
fn what_does_not_belong_together_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let paths = sample("lobster", &[MESSAGE, BOOK]);
    let book = std::fs::read(&paths[1]).unwrap();
    let nameless = write_file(&dir, "orderbook.csv", &book);
    let other = write_file(&dir, &BOOK.replace("03-02", "03-03"), &book);
    for (inputs, part) in [
        (vec![paths[1].clone()], "found 0 and 1"),
        (vec![paths[0].clone(), nameless], "TICKER_YYYY-MM-DD"),
        (vec![paths[0].clone(), other], "same ticker and days"),
    ] {
        let error = market_io::open(&options(inputs)).err().unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
}

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(zstd::Decoder::new(file).unwrap()).lines().map(Result::unwrap)
}

fn row_of(line: &str) -> Book {
    let numbers: Vec<i64> = line.split(',').map(|text| text.parse().unwrap()).collect();
    let mut book = Book::default();
    for level in numbers.chunks(4) {
        book.asks.insert(level[0], level[1]);
        book.bids.insert(level[2], level[3]);
    }
    book.asks.retain(|_, size| *size > 0);
    book.bids.retain(|_, size| *size > 0);
    book
}

/// The book after each packet is the row of the orderbook file, and nothing else.
#[test]
fn every_row_of_goog_is_reproduced() {
    for (level, rows, revealed) in
        [(1, 49_482, 11_207), (5, 112_673, 31_903), (10, 147_916, 44_451)]
    {
        let names = ["message", "orderbook"].map(|kind| {
            format!("lobster/GOOG_2012-06-21_34200000_57600000_{kind}_{level}.csv.zst")
        });
        let Some(paths) = shared(&[&names[0], &names[1]]) else { return };
        let mut source = market_io::open(&options(paths.clone())).unwrap();
        let instrument = source.instrument().clone();
        assert_eq!((instrument.symbol.as_str(), instrument.venue.as_str()), ("GOOG", "nasdaq"));
        let unit = 10_i64.pow(4 - u32::from(instrument.price_scale)) * instrument.tick_scaled;
        let (mut book, mut packet) = (Book::default(), Packet::default());
        let (mut found, mut trades) = (0, 0);
        for line in lines(&paths[1]) {
            assert!(source.next_packet(&mut packet).unwrap());
            book.apply(&packet);
            trades += packet.trades.len();
            let mut shown = Book::default();
            shown.bids.extend(book.bids.iter().map(|(price, size)| (price * unit, *size)));
            shown.asks.extend(book.asks.iter().map(|(price, size)| (price * unit, *size)));
            assert_eq!(shown, row_of(&line), "row {found} of level {level}");
            found += 1;
        }
        assert!(!source.next_packet(&mut packet).unwrap());
        let stats = source.stats();
        assert_eq!((found, stats.packets, stats.rejected), (rows, rows, 0));
        assert_eq!((stats.gaps, stats.snapshots), (0, 1), "every row follows from its message");
        assert_eq!(stats.revealed_levels, revealed);
        // Executions of visible (7,765) and hidden (3,913) orders are in all three files.
        assert_eq!(trades, 7_765 + 3_913);
    }
}

/// A side of the visible book, best first, in ticks.
fn visible(row: &Book, side: Side, unit: i64) -> Vec<(i64, i64)> {
    let level = |(price, size): (&i64, &i64)| (price / unit, *size);
    match side {
        Side::Bid => row.bids.iter().rev().map(level).collect(),
        Side::Ask => row.asks.iter().map(level).collect(),
    }
}

/// Whether a price is not below the visible window.
fn is_in_view(row: &[(i64, i64)], side: Side, price: i64, levels: usize) -> bool {
    let reaches = |worst: i64| if side == Side::Bid { price >= worst } else { price <= worst };
    row.len() < levels || row.last().is_some_and(|(worst, _)| reaches(*worst))
}

/// Levels of one side whose first order the message file has shown, and which have been in view since.
#[derive(Default)]
struct Told {
    prices: BTreeSet<i64>,
    before: Vec<(i64, i64)>,
    /// Levels at the first row; those that came from below the window; those that were added at a price
    /// where orders are left that went out of view.
    from_the_start: u64,
    from_below: u64,
    over_stale: u64,
    compared: u64,
}

/// The message file alone reproduces every level but those that were there at the start and those that
/// came into view from below the window; these are counted, and every frame says that the book is not
/// verified.
#[test]
fn messages_alone_give_every_level_that_they_tell_of() {
    for (levels, revealed) in [(1, 11_207), (5, 31_903), (10, 44_451)] {
        let names = ["message", "orderbook"].map(|kind| {
            format!("lobster/GOOG_2012-06-21_34200000_57600000_{kind}_{levels}.csv.zst")
        });
        let Some(paths) = shared(&[&names[0], &names[1]]) else { return };
        let mut source = market_io::open(&options(vec![paths[0].clone()])).unwrap();
        let instrument = source.instrument().clone();
        let unit = 10_i64.pow(4 - u32::from(instrument.price_scale)) * instrument.tick_scaled;
        let mut engine = LobEngine::new(&instrument, BookNeeds::top(1));
        let mut packet = Packet::default();
        let mut told = [Told::default(), Told::default()];
        for (index, line) in lines(&paths[1]).enumerate() {
            let row = row_of(&line);
            assert!(source.next_packet(&mut packet).unwrap());
            let lots = |engine: &LobEngine, side, price| {
                i64::try_from(engine.book().qty_between_lots(side, price, price)).unwrap()
            };
            let added = packet.orders.first().filter(|event| event.op == OrderOp::Add);
            let added =
                added.map(|e| (e.side, e.price_ticks, lots(&engine, e.side, e.price_ticks)));
            let Outcome::Applied(applied) = engine.apply(&packet).unwrap() else { panic!() };
            assert!(applied.flags.contains(QualityFlags::UNVERIFIED_BOOK));
            for (side, told) in [Side::Bid, Side::Ask].into_iter().zip(&mut told) {
                let now = visible(&row, side, unit);
                let at = |price| format!("{levels} levels, row {index}, {side:?} {price}");
                told.prices.retain(|price| {
                    let stands = now.iter().any(|(shown, _)| shown == price);
                    if !stands && is_in_view(&now, side, *price, levels) {
                        assert_eq!(lots(&engine, side, *price), 0, "{}", at(*price));
                    }
                    stands
                });
                for (price, size) in &now {
                    let is_new = told.before.iter().all(|(shown, _)| shown != price);
                    if is_new {
                        let was_empty = is_in_view(&told.before, side, *price, levels);
                        match added.filter(|(s, p, _)| was_empty && (*s, *p) == (side, *price)) {
                            _ if index == 0 => told.from_the_start += 1,
                            Some((.., 0)) => _ = told.prices.insert(*price),
                            Some(_) => told.over_stale += 1,
                            None => told.from_below += 1,
                        }
                    }
                    if told.prices.contains(price) {
                        assert_eq!(lots(&engine, side, *price), *size, "{}", at(*price));
                        told.compared += 1;
                    }
                }
                told.before = now;
            }
        }
        assert!(!source.next_packet(&mut packet).unwrap());
        let sum = |of: fn(&Told) -> u64| told.iter().map(of).sum::<u64>();
        println!(
            "{levels} levels: {} compared, {} from the start, {} from below, {} over stale, {:?}",
            sum(|t| t.compared),
            sum(|t| t.from_the_start),
            sum(|t| t.from_below),
            sum(|t| t.over_stale),
            engine.book().order_faults()
        );
        assert_eq!(sum(|t| t.from_the_start), 2 * levels as u64);
        assert_eq!(sum(|t| t.from_below), revealed, "as the orderbook file says");
        assert!(engine.book().order_faults().unknown > 0);
    }
}
