//! Recorded Bybit streams and its archive of order books (`specs/inputs/bybit.md`).
//!
//! A line is one message as it came, with the local receive time before it where a recorder wrote one.

use std::borrow::Cow;

use market_model::{
    Aggressor, BookOp, Instrument, Level, Packet, PacketKind, Run, Sequencing, Trade, check_ns,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::MAX_LEVELS_PER_SIDE;
use super::binance::split_local_ns;
use super::calendar::{Unit, unix_ns};
use super::grid::Grid;
use super::json::{decimal_text, each_row, number, object, present, text, typed};
use super::line_feed::{LineDecoder, LineFeed, Refusal, no_snapshot};
use super::note;
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, excerpt};
use crate::source::{OpenOptions, Source, SourceStats, UntilEnd};

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    cts: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BookText<'a> {
    #[serde(borrow)]
    b: Option<&'a RawValue>,
    #[serde(borrow)]
    a: Option<&'a RawValue>,
    #[serde(borrow)]
    u: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TradeText<'a> {
    #[serde(borrow, rename = "T")]
    time: Option<&'a RawValue>,
    #[serde(borrow, rename = "S")]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
    #[serde(borrow)]
    v: Option<&'a RawValue>,
    #[serde(borrow, rename = "BT")]
    is_block: Option<&'a RawValue>,
}

/// What a topic holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    /// An order book of so many levels.
    Book(u32),
    Trades,
    Other,
}

/// One line; the content is still text.
struct Message<'a> {
    local_ns: i64,
    json: &'a [u8],
    topic: Topic,
    name: Cow<'a, str>,
    outer: Outer<'a>,
}

impl<'a> Message<'a> {
    fn read(line: &'a [u8]) -> Result<Self, FieldFault> {
        let (local_ns, json) =
            if line.starts_with(b"{") { (0, line) } else { split_local_ns(line)? };
        if local_ns != 0
            && let Err(wrong) = check_ns(local_ns)
        {
            let found = wrong.to_string();
            return Err(FieldFault { field: "local time", expected: "a time in ns", found });
        }
        let outer: Outer<'a> = object("line", json)?;
        let name = match outer.topic {
            None => Cow::Borrowed(""),
            topic => text(("topic", topic))?,
        };
        let mut parts = name.split('.');
        let topic = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("orderbook"), Some(levels), Some(_), None) => {
                let levels = levels.parse();
                Topic::Book(levels.map_err(|_| {
                    FieldFault::new("topic", "orderbook.LEVELS.SYMBOL", name.as_bytes())
                })?)
            }
            (Some("publicTrade"), Some(_), None, None) => Topic::Trades,
            _ => Topic::Other,
        };
        Ok(Self { local_ns, json, topic, name, outer })
    }

    fn symbol(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    fn content(&self) -> Result<&'a [u8], FieldFault> {
        let missing =
            || FieldFault { field: "data", expected: "a message", found: "nothing".into() };
        Ok(self.outer.data.ok_or_else(missing)?.get().as_bytes())
    }

    fn trades(&self) -> Result<Vec<TradeText<'a>>, FieldFault> {
        let content = self.content()?;
        serde_json::from_slice(content)
            .map_err(|_| FieldFault::new("data", "an array of trades", content))
    }
}

/// Whether the first bytes of a file are the beginning of such a line.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let digits = head.iter().take_while(|c| c.is_ascii_digit()).count();
    let json = if digits > 0 { head[digits..].strip_prefix(b" ") } else { Some(head) };
    let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
    json.is_some_and(|json| json.starts_with(b"{"))
        && has("\"topic\"")
        && (has("\"orderbook.") || has("\"publicTrade."))
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let (instrument, levels) = survey(options)?;
    let decoder = Decoder {
        grid: Grid::new(&instrument, options.strict_scale),
        levels: Some(levels),
        is_filtered: options.symbol.is_some(),
        ..Decoder::live(instrument)
    };
    Ok(Box::new(UntilEnd::new(LineFeed::new(Lines::open(&options.inputs)?, decoder))))
}

/// The instrument, and the levels of the deepest book among the first lines.
fn survey(options: &OpenOptions) -> Result<(Instrument, u32), Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut lines = Lines::open(&options.inputs)?;
    let mut survey = Survey::new(options);
    let mut deepest = 0;
    while let Some(range) = survey.next_line(&mut lines)? {
        let line = lines.text(range).trim_ascii();
        let message = match Message::read(line) {
            Ok(message) => message,
            Err(fault) => {
                survey.fault(|| fault.at(lines.location(), ""));
                continue;
            }
        };
        let is_known = message.topic != Topic::Other;
        if !is_known {
            survey.note(message.json);
        }
        if is_known && survey.admits(message.symbol(), || lines.location())? {
            if let Topic::Book(levels) = message.topic {
                deepest = deepest.max(levels);
            }
            // What cannot be read is refused when its turn comes.
            let _ = learn(&message, &mut survey);
        }
    }
    let mut instrument = survey.finish(path, "messages of Bybit")?;
    instrument.venue = "bybit".into();
    instrument.sequencing = Sequencing::Venue;
    Ok((instrument, deepest))
}

fn learn(message: &Message<'_>, survey: &mut Survey<'_>) -> Result<(), FieldFault> {
    if message.topic == Topic::Trades {
        for trade in message.trades()? {
            survey.price(decimal_text(("p", trade.p))?);
            survey.qty(decimal_text(("v", trade.v))?);
        }
        return Ok(());
    }
    let book: BookText<'_> = object("data", message.content()?)?;
    for side in [book.b, book.a].into_iter().flatten() {
        each_row("data", side.get().as_bytes(), |items| {
            survey.price(items.first().copied().unwrap_or_default());
            survey.qty(items.get(1).copied().unwrap_or_default());
            Ok(())
        })?;
    }
    Ok(())
}

/// Turns lines into packets.
pub(super) struct Decoder {
    instrument: Instrument,
    grid: Grid,
    /// Levels of the book that is read, others of the stream are left out; `None` when one was asked for.
    levels: Option<u32>,
    is_filtered: bool,
    /// A snapshot has come: changes can be applied.
    has_book: bool,
    /// Id of the last message of the book.
    last_id: u64,
    /// An id was missing: the engine has no book either (rule D3).
    has_gap: bool,
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
        let line = line.trim_ascii_start();
        let message = Message::read(line)?;
        packet.ts_recv_ns = message.local_ns;
        if message.topic == Topic::Other {
            if note::is_note(message.json)? {
                return Ok(false);
            }
            let kind = message.name.split('.').next().unwrap_or_default();
            stats.ignore(if kind.is_empty() { b"answer" } else { kind.as_bytes() });
            return Ok(false);
        }
        if message.symbol() != self.instrument.symbol {
            if !self.is_filtered {
                return Err(Refusal::SecondSymbol(excerpt(message.symbol().as_bytes())));
            }
            stats.ignore(b"another symbol");
            return Ok(false);
        }
        match message.topic {
            Topic::Trades => self.trades(&message, packet, stats).map_err(Refusal::Trades),
            Topic::Book(levels) if self.levels.is_none_or(|wanted| wanted == levels) => {
                Ok(self.book(&message, packet, stats)?)
            }
            _ => {
                stats.ignore(b"book of fewer levels");
                Ok(false)
            }
        }
    }

    fn lose_book(&mut self) {
        self.has_book = false;
    }

    fn awaits_snapshot(&self) -> bool {
        !self.has_book || self.has_gap
    }

    fn end(&self, lines: &Lines, stats: &SourceStats) -> Result<(), Error> {
        if stats.depth_updates == 0 || stats.snapshots > 0 {
            return Ok(());
        }
        Err(no_snapshot(&self.instrument, lines, stats))
    }
}

impl Decoder {
    /// A decoder of a connection, on which one book of one symbol was asked for.
    pub(super) fn live(instrument: Instrument) -> Self {
        Self {
            grid: Grid::new(&instrument, false),
            instrument,
            levels: None,
            is_filtered: true,
            has_book: false,
            last_id: 0,
            has_gap: false,
        }
    }

    fn book(
        &mut self,
        message: &Message<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        stats.depth_updates += 1;
        let (field, time) = match present(message.outer.cts) {
            Some(cts) => ("cts", Some(cts)),
            None => ("ts", message.outer.ts),
        };
        packet.ts_event_ns = unix_ns(field, decimal_text((field, time))?, Unit::Milliseconds)?;
        let is_snapshot = match &*text(("type", message.outer.kind))? {
            "snapshot" => true,
            "delta" => false,
            other => {
                return Err(FieldFault::new("type", "snapshot or delta", other.as_bytes()));
            }
        };
        let book: BookText<'_> = object("data", message.content()?)?;
        let id = number(("u", book.u))?;
        if id == 0 {
            return Err(FieldFault { field: "u", expected: "an id above 0", found: "0".into() });
        }
        for (field, side, op) in [("b", book.b, BookOp::SetBid), ("a", book.a, BookOp::SetAsk)] {
            let Some(side) = side else {
                let expected = "an array of [price, size]";
                return Err(FieldFault { field, expected, found: "nothing".into() });
            };
            self.levels_of(field, side.get().as_bytes(), op, packet, stats)?;
        }
        packet.seq = id;
        if is_snapshot {
            packet.kind = PacketKind::Snapshot;
            (self.has_book, self.has_gap, self.last_id) = (true, false, id);
            return Ok(true);
        }
        if !self.has_book {
            stats.dropped_updates += 1;
            return Ok(false);
        }
        self.has_gap |= id > self.last_id + 1;
        self.last_id = self.last_id.max(id);
        // Ids of one book count its messages.
        (packet.first_seq, packet.prev_seq) = (id, id - 1);
        if packet.run_ends.is_empty() {
            packet.run_ends.push(Run { op: BookOp::SetBid, end: 0 });
        }
        Ok(true)
    }

    fn levels_of(
        &self,
        field: &'static str,
        json: &[u8],
        op: BookOp,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let mut count = 0;
        each_row(field, json, |items| {
            let [price, qty] = items else {
                return Err(FieldFault::new(field, "an array of [price, size]", json));
            };
            count += 1;
            if count > MAX_LEVELS_PER_SIDE {
                let expected = "at most 10000 levels of one side";
                return Err(FieldFault { field, expected, found: "more".into() });
            }
            let price_ticks = self.grid.price(field, price)?;
            let (qty_lots, was_rounded) = self.grid.qty(field, qty)?;
            stats.rounded += u64::from(was_rounded);
            packet.push_level(op, Level { price_ticks, qty_lots });
            Ok(())
        })
    }

    fn trades(
        &self,
        message: &Message<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        for trade in message.trades()? {
            let time = unix_ns("T", decimal_text(("T", trade.time))?, Unit::Milliseconds)?;
            let aggressor = match &*text(("S", trade.side))? {
                "Buy" => Aggressor::Buy,
                "Sell" => Aggressor::Sell,
                other => return Err(FieldFault::new("S", "Buy or Sell", other.as_bytes())),
            };
            let price_ticks = self.grid.price("p", decimal_text(("p", trade.p))?)?;
            let (qty_lots, was_rounded) = self.grid.qty("v", decimal_text(("v", trade.v))?)?;
            stats.rounded += u64::from(was_rounded);
            let is_block = match present(trade.is_block) {
                None => false,
                raw => typed(("BT", raw), "true or false")?,
            };
            if is_block || qty_lots == 0 {
                stats.ignore(if is_block { b"block trade" } else { b"trade below one lot" });
                continue;
            }
            packet.ts_event_ns = packet.ts_event_ns.max(time);
            packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        }
        Ok(!packet.trades.is_empty())
    }
}
