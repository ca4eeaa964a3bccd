//! Raw captures of cryptofeed (`specs/inputs/cryptofeed.md`): messages of venues as they came.
//!
//! The source keeps the texts of the visible levels, because the venues' checksums are over texts.

mod capture;
mod checksum;
mod message;

use market_model::{BookOp, Instrument, Level, Packet, PacketKind, Sequencing, Trade};

pub(super) use self::capture::{Received, received};
use self::checksum::TextBook;
use self::message::{BookText, Content, Message, TradeText, messages};
use super::MAX_LEVELS_PER_SIDE;
use super::calendar::{Unit, unix_ns};
use super::grid::Grid;
use super::json::each_row;
use super::line_feed::{LineDecoder, LineFeed, Refusal};
use super::note;
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, excerpt};
use crate::source::{OpenOptions, Source, SourceStats, UntilEnd};

pub(super) use self::capture::looks_like;

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let instrument = survey(options)?;
    let decoder = Decoder {
        grid: Grid::new(&instrument, options.strict_scale),
        is_filtered: options.symbol.is_some(),
        ..Decoder::live(instrument)
    };
    Ok(Box::new(UntilEnd::new(LineFeed::new(Lines::open(&options.inputs)?, decoder))))
}

fn survey(options: &OpenOptions) -> Result<Instrument, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut lines = Lines::open(&options.inputs)?;
    let mut survey = Survey::new(options);
    let (mut symbol, mut venue) = (String::new(), "");
    while let Some(range) = survey.next_line(&mut lines)? {
        let text = match received(lines.text(range)) {
            Ok(Received::Message { text, .. }) => text,
            Ok(Received::Other(_)) => continue,
            Err(fault) => {
                survey.fault(|| fault.at(lines.location(), ""));
                continue;
            }
        };
        if survey.note(text.as_bytes()) {
            continue;
        }
        // What cannot be read is refused when its turn comes.
        for message in messages(&text).unwrap_or_default() {
            if survey.admits_either(&message.symbol, message.short(), || lines.location())? {
                symbol.clone_from(&message.symbol);
                venue = message.venue;
                let _ = learn(&message, &mut survey);
            }
        }
    }
    let mut instrument = survey.finish(path, "order books or trades of a known venue")?;
    instrument.symbol = symbol;
    instrument.venue = venue.into();
    instrument.sequencing = Sequencing::Arrival;
    Ok(instrument)
}

fn learn(message: &Message<'_>, survey: &mut Survey<'_>) -> Result<(), FieldFault> {
    match &message.content {
        Content::Book(book) => {
            for (_, side) in &book.sides {
                each_row("levels", side, |items| {
                    survey.price(items.first().copied().unwrap_or_default());
                    survey.qty(items.get(1).copied().unwrap_or_default());
                    Ok(())
                })?;
            }
        }
        Content::Trades(trades) => {
            for trade in trades.as_ref().map_err(FieldFault::clone)? {
                survey.price(trade.price.as_bytes());
                survey.qty(trade.qty.as_bytes());
            }
        }
    }
    Ok(())
}

/// Turns lines into packets.
pub(super) struct Decoder {
    instrument: Instrument,
    grid: Grid,
    is_filtered: bool,
    book: TextBook,
    /// The book is whole: changes can be applied and checksums compared.
    has_book: bool,
    /// A checksum was another: the engine has no book either.
    is_wrong: bool,
}

impl LineDecoder for Decoder {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn line(
        &mut self,
        line: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, Refusal> {
        let (text, recv_ns) = match received(line)? {
            Received::Message { text, recv_ns } => (text, recv_ns),
            Received::Other("") => return Ok(false),
            Received::Other(kind) => {
                stats.ignore(kind.as_bytes());
                return Ok(false);
            }
        };
        packet.ts_recv_ns = recv_ns;
        if note::is_note(text.as_bytes())? {
            return Ok(false);
        }
        let messages = messages(&text)?;
        if messages.is_empty() {
            stats.ignore(b"other message");
        }
        for message in &messages {
            if message.symbol != self.instrument.symbol {
                if !self.is_filtered {
                    return Err(Refusal::SecondSymbol(excerpt(message.symbol.as_bytes())));
                }
                stats.ignore(b"another symbol");
                continue;
            }
            match &message.content {
                Content::Book(book) => self.book(book, packet, stats)?,
                Content::Trades(trades) => {
                    let trades = trades.as_ref().map_err(FieldFault::clone);
                    let taken = trades.and_then(|trades| self.trades(trades, packet, stats));
                    taken.map_err(Refusal::Trades)?;
                }
            }
        }
        Ok(packet.touches_book() || !packet.trades.is_empty())
    }

    fn lose_book(&mut self) {
        self.has_book = false;
    }

    fn awaits_snapshot(&self) -> bool {
        !self.has_book || self.is_wrong
    }
}

impl Decoder {
    /// A decoder of a connection, on which one symbol was asked for.
    pub(super) fn live(instrument: Instrument) -> Self {
        Self {
            grid: Grid::new(&instrument, false),
            instrument,
            is_filtered: true,
            book: TextBook::default(),
            has_book: false,
            is_wrong: false,
        }
    }

    fn book(
        &mut self,
        text: &BookText<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        stats.depth_updates += 1;
        if text.is_snapshot {
            packet.kind = PacketKind::Snapshot;
            packet.levels.clear();
            packet.run_ends.clear();
            self.book.clear();
            (self.has_book, self.is_wrong) = (true, false);
        } else if !self.has_book {
            stats.dropped_updates += 1;
            return Ok(());
        }
        packet.ts_event_ns = packet.ts_event_ns.max(text.event_ns);
        for (op, side) in &text.sides {
            self.levels(*op, side, text, packet, stats)?;
        }
        if let Some(depth) = text.depth {
            self.book.truncate(depth, packet);
        }
        if packet.run_ends.is_empty() {
            packet.run_ends.push(market_model::Run { op: BookOp::SetBid, end: 0 });
        }
        if let Some(checksum) = text.checksum {
            stats.checksums += 1;
            if self.book.checksum(text.scheme) != checksum {
                stats.checksum_mismatches += 1;
                packet.checksum_mismatch = true;
                self.is_wrong = true;
            }
        }
        Ok(())
    }

    fn levels(
        &mut self,
        op: BookOp,
        json: &[u8],
        text: &BookText<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let field = if op == BookOp::SetBid { "bids" } else { "asks" };
        let mut count = 0;
        each_row(field, json, |items| {
            let [price, qty, rest @ ..] = items else {
                return Err(FieldFault::new(field, "arrays of price and size", json));
            };
            count += 1;
            if count > MAX_LEVELS_PER_SIDE {
                let expected = "at most 10000 levels of one side";
                return Err(FieldFault { field, expected, found: "more".into() });
            }
            if text.has_level_times {
                let time = rest.first().copied().unwrap_or_default();
                let event_ns = unix_ns(field, time, Unit::Seconds)?;
                packet.ts_event_ns = packet.ts_event_ns.max(event_ns);
            }
            let price_ticks = self.grid.price(field, price)?;
            let (qty_lots, was_rounded) = self.grid.qty(field, qty)?;
            stats.rounded += u64::from(was_rounded);
            packet.push_level(op, Level { price_ticks, qty_lots });
            self.book.set(op, price_ticks, [price, qty], qty_lots == 0 && !was_rounded);
            Ok(())
        })
    }

    fn trades(
        &self,
        trades: &[TradeText<'_>],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        for trade in trades {
            let price_ticks = self.grid.price("price", trade.price.as_bytes())?;
            let (qty_lots, was_rounded) = self.grid.qty("size", trade.qty.as_bytes())?;
            stats.rounded += u64::from(was_rounded);
            packet.ts_event_ns = packet.ts_event_ns.max(trade.event_ns);
            if qty_lots == 0 {
                stats.ignore(b"trade of quantity 0, or below one lot");
                continue;
            }
            packet.trades.push(Trade { price_ticks, qty_lots, aggressor: trade.aggressor });
        }
        Ok(())
    }
}
