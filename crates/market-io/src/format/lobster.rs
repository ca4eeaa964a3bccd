//! LOBSTER message and orderbook files (`specs/inputs/lobster.md`).
//!
//! Row i of the orderbook file is the visible book after row i of the message file. A packet is one
//! row: what must change so that the book is the row again. Message files alone give order events.

mod messages;
mod name;
mod row;

use std::mem::swap;
use std::path::PathBuf;

use market_model::{
    Aggressor, BookOp, Instrument, Level, Packet, PacketKind, Run, Sequencing, Trade, check_ns,
};

use self::messages::MessageFeed;
use self::name::FileName;
use self::row::{Book, EventKind, Kind, MAX_PRICE_DECIMALS, Message, kind_of};
use super::grid::Grid;
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, Location, quoted};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

/// Whether the first bytes of a file are the beginning of a message or an orderbook file.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let line = head.split(|c| *c == b'\n').next().unwrap_or_default();
    kind_of(line).is_some()
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let pairs = Pairs::sort(options)?;
    let instrument = survey(options, &pairs)?;
    let messages = Lines::open(&pairs.messages)?;
    let grid = Grid::new(&instrument, options.strict_scale);
    if pairs.books.is_empty() {
        return Ok(Box::new(UntilEnd::new(MessageFeed::new(messages, instrument, grid))));
    }
    Ok(Box::new(UntilEnd::new(LobsterFeed {
        messages,
        books: Lines::open(&pairs.books)?,
        grid,
        instrument,
        stats: SourceStats::default(),
        day: 0,
        midnight_ns: 0,
        before: None,
        after: Book::default(),
        expected: Book::default(),
    })))
}

/// The files of a stream, day by day; the orderbook files of all days, or of none.
struct Pairs {
    messages: Vec<PathBuf>,
    books: Vec<PathBuf>,
    symbol: String,
}

impl Pairs {
    fn sort(options: &OpenOptions) -> Result<Self, Error> {
        let (mut messages, mut books) = (Vec::new(), Vec::new());
        for path in &options.inputs {
            let mut lines = Lines::open(std::slice::from_ref(path))?;
            let found = lines.next_whole_line()?.map(|range| lines.text(range));
            match found.and_then(kind_of) {
                Some(Kind::Message) => messages.push(path.clone()),
                Some(Kind::Book) => books.push(path.clone()),
                None => {
                    let expected =
                        "a LOBSTER message file (6 columns) or orderbook file (4 a level)";
                    let found = quoted(found.unwrap_or_default());
                    return Err(Error::UnknownFormat { path: path.clone(), expected, found });
                }
            }
        }
        if messages.is_empty() || (messages.len() != books.len() && !books.is_empty()) {
            return Err(Error::Option {
                option: "input",
                expected: "LOBSTER message files, and as many orderbook files or none",
                found: format!("{} and {}", messages.len(), books.len()),
            });
        }
        let symbol = one_ticker(&messages)?;
        for (message, book) in messages.iter().zip(&books) {
            if FileName::parse(message)? != FileName::parse(book)? {
                return Err(Error::Option {
                    option: "input",
                    expected: "message and orderbook files of the same ticker and days, in order",
                    found: quoted(book.as_os_str().as_encoded_bytes()),
                });
            }
        }
        Ok(Self { messages, books, symbol })
    }
}

fn one_ticker(messages: &[PathBuf]) -> Result<String, Error> {
    let mut symbol = String::new();
    for message in messages {
        let name = FileName::parse(message)?;
        if !symbol.is_empty() && symbol != name.ticker {
            let location = Location::file(message);
            return Err(Error::SeveralSymbols { location, first: symbol, second: name.ticker });
        }
        symbol = name.ticker;
    }
    Ok(symbol)
}

/// Price decimals of every message, hidden executions between two ticks included.
fn survey(options: &OpenOptions, pairs: &Pairs) -> Result<Instrument, Error> {
    let mut survey = Survey::new(options);
    let path = &pairs.messages[0];
    survey.admits(&pairs.symbol, || Location::file(path))?;
    let mut lines = Lines::open(&pairs.messages)?;
    // What is wrong in a line, or with the rest, is said when the line is read.
    while options.tick_size.is_none()
        && survey.price_step(MAX_PRICE_DECIMALS) > 1
        && let Ok(Some(range)) = lines.next_whole_line()
    {
        let line = lines.text(range);
        let step = survey.price_step(MAX_PRICE_DECIMALS);
        if Message::price_in(line).is_none_or(|price| price % step == 0) {
            continue;
        }
        let Ok(Message { price, kind, .. }) = Message::parse(line) else { continue };
        if kind != EventKind::Halt {
            survey.price_of(price, MAX_PRICE_DECIMALS);
        }
    }
    let mut instrument = survey.finish(path, "a LOBSTER message file")?;
    instrument.venue = "nasdaq".into();
    instrument.sequencing = Sequencing::Arrival;
    Ok(instrument)
}

struct LobsterFeed {
    messages: Lines,
    books: Lines,
    instrument: Instrument,
    grid: Grid,
    stats: SourceStats,
    /// Number of the message file of the last row, from 1, and its midnight in New York as UTC.
    day: usize,
    midnight_ns: i64,
    /// The last row that was handed out; none at the start of a day and after a refused row.
    before: Option<Book>,
    after: Book,
    /// What the last row and the message lead to.
    expected: Book,
}

impl LobsterFeed {
    fn row(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let message = self.messages.next_whole_line()?;
        let book = self.books.next_whole_line()?;
        let (Some(message), Some(book)) = (&message, &book) else {
            return if message.is_none() && book.is_none() {
                Ok(false)
            } else {
                let shorter = if message.is_none() { &self.messages } else { &self.books };
                Err(Error::Truncated { location: shorter.location(), what: "LOBSTER pair" })
            };
        };
        self.stats.records += 1;
        if self.messages.number() != self.day {
            self.begin_day()?;
        }
        let location = |lines: &Lines| lines.location();
        let result = Message::parse(self.messages.text(message.clone()))
            .map_err(|fault| (fault, location(&self.messages)));
        let result = result.and_then(|message| {
            self.after
                .parse(self.books.text(book.clone()))
                .and_then(|()| self.fill(&message, packet))
                .map_err(|fault| (fault, location(&self.books)))
        });
        if let Err((fault, location)) = result {
            self.stats.refuse(packet, fault.at(location, &self.instrument.symbol));
            self.before = None;
        }
        packet.symbol_id = self.instrument.symbol_id;
        self.stats.count(packet);
        Ok(true)
    }

    fn begin_day(&mut self) -> Result<(), Error> {
        self.day = self.messages.number();
        self.midnight_ns = FileName::parse(self.messages.path())?.midnight_ns();
        self.before = None;
        Ok(())
    }

    fn fill(&mut self, message: &Message, packet: &mut Packet) -> Result<(), FieldFault> {
        packet.ts_event_ns = event_time_ns(self.midnight_ns, message)?;
        let follows = self.before.as_ref().and_then(|before| {
            self.expected.copy_from(before);
            self.expected.apply(message, self.after.width);
            self.after.revealed_since(&self.expected)
        });
        match (&self.before, follows) {
            (Some(before), Some(revealed)) => {
                self.stats.revealed_levels += revealed;
                changes(&self.grid, before, &self.after, packet)?;
            }
            (before, _) => {
                self.stats.gaps += u64::from(before.is_some());
                packet.kind = PacketKind::Snapshot;
                changes(&self.grid, &Book::default(), &self.after, packet)?;
            }
        }
        self.kind(message, packet)?;
        let before = self.before.get_or_insert_default();
        swap(before, &mut self.after);
        Ok(())
    }

    fn kind(&mut self, message: &Message, packet: &mut Packet) -> Result<(), FieldFault> {
        self.stats.depth_updates += u64::from(message.kind.is_of_the_book());
        if message.kind.is_execution() {
            push_trade(&self.grid, &mut self.stats, message, packet)?;
        }
        if packet.kind == PacketKind::Snapshot || packet.touches_book() {
            return Ok(());
        }
        match message.kind {
            EventKind::Halt => packet.kind = PacketKind::Heartbeat,
            // An event that changes no visible level is an event of the book all the same.
            kind if kind.is_of_the_book() => {
                packet.run_ends.push(Run { op: BookOp::SetBid, end: 0 });
            }
            _ => {}
        }
        Ok(())
    }
}

fn event_time_ns(midnight_ns: i64, message: &Message) -> Result<i64, FieldFault> {
    check_ns(midnight_ns + message.since_midnight_ns).map_err(|wrong| FieldFault {
        field: "time",
        expected: "seconds after midnight",
        found: wrong.to_string(),
    })
}

fn push_trade(
    grid: &Grid,
    stats: &mut SourceStats,
    message: &Message,
    packet: &mut Packet,
) -> Result<(), FieldFault> {
    let price_ticks = match grid.price_of("price", message.price, MAX_PRICE_DECIMALS) {
        Ok(ticks) => ticks,
        // Hidden orders trade between the ticks, too.
        Err(_) if message.kind == EventKind::Hidden => {
            stats.ignore(b"hidden execution off the tick grid");
            return Ok(());
        }
        Err(fault) => return Err(fault),
    };
    let (qty_lots, was_rounded) = grid.qty_of("size", message.size, 0)?;
    stats.rounded += u64::from(was_rounded);
    if qty_lots == 0 {
        stats.ignore(b"trade of quantity 0");
        return Ok(());
    }
    // The direction is that of the resting order.
    let aggressor = match (message.kind, message.is_buy) {
        (EventKind::Cross, _) => Aggressor::Unknown,
        (_, true) => Aggressor::Sell,
        (_, false) => Aggressor::Buy,
    };
    packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
    Ok(())
}

/// What makes one row of another: levels that are gone, new, or of another size.
fn changes(
    grid: &Grid,
    before: &Book,
    after: &Book,
    packet: &mut Packet,
) -> Result<(), FieldFault> {
    let mut push = |op, price, size| -> Result<(), FieldFault> {
        let price_ticks = grid.price_of("price", price, MAX_PRICE_DECIMALS)?;
        let (qty_lots, _) = grid.qty_of("size", size, 0)?;
        packet.push_level(op, Level { price_ticks, qty_lots });
        Ok(())
    };
    for (op, before, after) in
        [(BookOp::SetBid, &before.bids, &after.bids), (BookOp::SetAsk, &before.asks, &after.asks)]
    {
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let is_gone = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(old), Some(new)) if old.price == new.price => false,
                (Some(old), Some(new)) => old.is_better_than(**new, op),
                (old, _) => old.is_some(),
            };
            if is_gone {
                let level = old.next().expect("Invariant: peeked");
                push(op, level.price, 0)?;
                continue;
            }
            let level = new.next().expect("Invariant: there is one when the old one is not gone");
            let same_price = old.next_if(|old| old.price == level.price);
            if same_price.is_none_or(|old| old.size != level.size) {
                push(op, level.price, level.size)?;
            }
        }
    }
    Ok(())
}

impl Feed for LobsterFeed {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        self.row(packet)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        let (messages, books) = (self.messages.progress(), self.books.progress());
        (messages.0 + books.0, messages.1 + books.1)
    }
}
