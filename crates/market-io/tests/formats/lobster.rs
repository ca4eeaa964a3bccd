//! LOBSTER pairs.

use std::io::{BufRead, BufReader};
use std::path::Path;

use market_io::{Format, OpenOptions};
use market_model::{Packet, PacketKind};

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
        (vec![paths[0].clone()], "found 1 and 0"),
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
