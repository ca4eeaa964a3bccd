//! LOBSTER's sample of GOOG: message files alone, and with their orderbook files.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use csv::ReaderBuilder;
use lob_engine::Book;
use market_io::OpenOptions;
use market_model::{BookNeeds, BookView, OrderOp, Side};
use serde::Deserialize;

use crate::{Case, Contents, drain, each, size, unpacked};

const STEM: &str = "GOOG_2012-06-21_34200000_57600000";
/// Price of a level that does not exist, from here on.
const NO_PRICE: i64 = 9_999_999_999;

/// A row of a message file, typed as its readers type it.
#[derive(Debug, Deserialize)]
struct Message {
    time_s: f64,
    kind: u8,
    order_id: u64,
    size: i64,
    price: i64,
    direction: i8,
}

fn reader(path: &Path) -> Result<csv::Reader<std::fs::File>> {
    Ok(ReaderBuilder::new().has_headers(false).from_path(path)?)
}

/// Every message and, where there is one, every row of the book.
fn read(
    message: &Path,
    book: Option<&PathBuf>,
    mut take: impl FnMut(&Message, &[i64]),
) -> Result<u64> {
    let mut messages = reader(message)?;
    let mut books = book.map(|book| reader(book)).transpose()?;
    let mut record = csv::ByteRecord::new();
    let mut row = csv::ByteRecord::new();
    let mut levels: Vec<i64> = Vec::new();
    let mut count = 0;
    while messages.read_byte_record(&mut record)? {
        if let Some(books) = &mut books {
            ensure!(books.read_byte_record(&mut row)?, "the orderbook file ends early");
            levels = row.deserialize(None)?;
        }
        take(&record.deserialize::<Message>(None)?, &levels);
        count += 1;
    }
    Ok(count)
}

fn theirs(message: &Path, book: Option<&PathBuf>) -> Result<Contents> {
    let mut found = Contents::default();
    let mut last = Vec::new();
    found.records = read(message, book, |message, levels| {
        ensure_time(message);
        let value = i128::from(message.price) * i128::from(message.size);
        if matches!(message.kind, 4..=6) {
            found.trades += 1;
            found.turnover += value;
        }
        if book.is_none() && message.kind == 1 {
            found.orders += 1;
            found.order_value += value;
            found.last_order_id = message.order_id;
        }
        last = levels.to_vec();
    })?;
    if let [ask, ask_size, bid, bid_size, ..] = last[..] {
        let level = |price: i64, size| (price.abs() < NO_PRICE).then_some((price, size));
        found.best = [level(bid, bid_size), level(ask, ask_size)];
    }
    Ok(found)
}

/// Uses the fields that no sum covers, so that they are parsed.
fn ensure_time(message: &Message) {
    assert!(message.time_s > 0.0 && message.direction.abs() == 1 || message.kind >= 6);
}

fn ours(options: &OpenOptions, has_book: bool) -> Result<Contents> {
    let mut found = Contents::default();
    let mut book = Book::new(BookNeeds::top(1));
    let mut refused = 0;
    let source = each(options, |packet| {
        refused += u64::from(has_book && book.apply(packet).is_err());
        for trade in &packet.trades {
            found.trades += 1;
            found.turnover += i128::from(trade.price_ticks) * i128::from(trade.qty_lots);
        }
        for order in packet.orders.iter().filter(|order| order.op == OrderOp::Add) {
            found.orders += 1;
            found.order_value += i128::from(order.price_ticks) * i128::from(order.qty_lots);
            found.last_order_id = order.order_id;
        }
    })?;
    ensure!(refused == 0, "{refused} packets do not fit the book");
    // Prices of the file are in units of 0.0001.
    let instrument = source.instrument();
    ensure!(instrument.price_scale <= 4 && instrument.qty_scale == 0 && instrument.lot_scaled == 1);
    let tick = instrument.tick_scaled * 10_i64.pow(u32::from(4 - instrument.price_scale));
    found.turnover *= i128::from(tick);
    found.order_value *= i128::from(tick);
    let best = |side| Some((book.best(side)?.price_ticks * tick, book.best(side)?.qty_lots));
    if has_book {
        found.best = [best(Side::Bid), best(Side::Ask)];
    }
    // Of a pair, the source counts a row of both files once.
    found.records = source.stats().records;
    Ok(found)
}

pub(crate) fn cases(shared: &Path, folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for levels in ["1", "10"] {
        let file = |kind: &str| {
            let packed = shared.join(format!("lobster/{STEM}_{kind}_{levels}.csv.zst"));
            unpacked(&packed, folder)
        };
        let (message, book) = (file("message")?, file("orderbook")?);
        for book in [None, Some(book)] {
            cases.push(case(&message, book, levels)?);
        }
    }
    Ok(cases)
}

fn case(message: &Path, book: Option<PathBuf>, levels: &str) -> Result<Case> {
    let inputs: Vec<_> = [message.to_owned()].into_iter().chain(book.clone()).collect();
    let bytes = inputs.iter().map(|path| size(path)).sum::<Result<u64>>()?;
    let options = OpenOptions { inputs, ..OpenOptions::default() };
    let (found, wanted) = (ours(&options, book.is_some())?, theirs(message, book.as_ref())?);
    ensure!(found == wanted, "ours {found:?}, csv {wanted:?}");
    ensure!(found.trades > 0 && found.records > 10_000, "{found:?}");
    let with = if book.is_some() { "message and orderbook" } else { "message alone" };
    let message = message.to_owned();
    Ok(Case {
        what: format!("LOBSTER level {levels}, {with}: packets / csv + serde: rows"),
        bytes,
        ours: Box::new(move || drain(&options)),
        peer: Box::new(move || read(&message, book.as_ref(), |_, _| ())),
    })
}
