//! Messages of the venues.

use std::borrow::Cow;

use market_model::{Aggressor, BookOp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::checksum::Scheme;
use crate::error::FieldFault;
use crate::format::calendar::{Unit, iso_ns, unix_ns};
use crate::format::json::{decimal_text, object, present, text};

/// What one message says of one symbol.
pub(super) struct Message<'a> {
    pub(super) venue: &'static str,
    /// Name as the venue writes it; Bitget's spot and futures of one name are told apart.
    pub(super) symbol: String,
    pub(super) content: Content<'a>,
}

impl Message<'_> {
    /// The name without the market of Bitget.
    pub(super) fn short(&self) -> &str {
        match self.symbol.split_once(':') {
            Some((_, short)) if self.venue == BITGET => short,
            _ => &self.symbol,
        }
    }
}

pub(super) enum Content<'a> {
    Book(BookText<'a>),
    /// Trades, or why they cannot be read; the book does not depend on them.
    Trades(Result<Vec<TradeText<'a>>, FieldFault>),
}

/// A book or a change of it; levels are still text.
pub(super) struct BookText<'a> {
    pub(super) is_snapshot: bool,
    pub(super) sides: Vec<(BookOp, &'a [u8])>,
    /// 0 when the message has none of its own.
    pub(super) event_ns: i64,
    /// The third item of a level is its time in s.
    pub(super) has_level_times: bool,
    pub(super) checksum: Option<u32>,
    pub(super) scheme: Scheme,
    /// Levels of one side that the venue keeps up to date, when it does not delete the others.
    pub(super) depth: Option<usize>,
}

pub(super) struct TradeText<'a> {
    pub(super) price: Cow<'a, str>,
    pub(super) qty: Cow<'a, str>,
    pub(super) event_ns: i64,
    pub(super) aggressor: Aggressor,
}

const KRAKEN: &str = "kraken";
const OKX: &str = "okx";
const BITGET: &str = "bitget";
const OKCOIN: &str = "okcoin";
const FTX: &str = "ftx";

const OKX_SCHEME: Scheme = Scheme::Interleaved { levels: 25 };
const FTX_SCHEME: Scheme = Scheme::Interleaved { levels: 100 };

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    table: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    market: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arg<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, rename = "instId")]
    instrument: Option<&'a RawValue>,
    #[serde(borrow, rename = "instType")]
    market: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Book<'a> {
    #[serde(borrow, alias = "b", alias = "bs")]
    bids: Option<&'a RawValue>,
    #[serde(borrow, alias = "a", alias = "as")]
    asks: Option<&'a RawValue>,
    #[serde(borrow, alias = "time", alias = "timestamp")]
    ts: Option<&'a RawValue>,
    #[serde(borrow, alias = "c")]
    checksum: Option<&'a RawValue>,
    #[serde(borrow)]
    instrument_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TradeFields<'a> {
    #[serde(borrow, alias = "px")]
    price: Option<&'a RawValue>,
    #[serde(borrow, alias = "sz")]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow, alias = "time", alias = "timestamp")]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    instrument_id: Option<&'a RawValue>,
}

/// Reads a message: nothing for those that are neither book nor trades.
pub(super) fn messages(json: &str) -> Result<Vec<Message<'_>>, FieldFault> {
    let json = json.as_bytes();
    if json.starts_with(b"[") {
        return kraken(json);
    }
    let outer: Outer<'_> = object("message", json)?;
    let Some(content) = outer.data else { return Ok(Vec::new()) };
    let content = content.get().as_bytes();
    if let Some(arg) = &outer.arg {
        return okx(arg, outer.action, content);
    }
    if outer.table.is_some() {
        return okcoin(&text(("table", outer.table))?, outer.action, content);
    }
    if outer.channel.is_some() && outer.market.is_some() {
        return ftx(&outer, content);
    }
    Ok(Vec::new())
}

fn parsed<'a, T: Deserialize<'a>>(field: &'static str, json: &'a [u8]) -> Result<T, FieldFault> {
    serde_json::from_slice(json)
        .map_err(|_| FieldFault::new(field, "what the channel is known to send", json))
}

/// `[id, {"a": ...}, {"b": ..., "c": ...}, "book-1000", "XBT/USD"]`.
fn kraken(json: &[u8]) -> Result<Vec<Message<'_>>, FieldFault> {
    let parts: Vec<&RawValue> = parsed("message", json)?;
    let [_, middle @ .., channel, pair] = parts.as_slice() else { return Ok(Vec::new()) };
    let (channel, pair) = (text(("channel", Some(channel)))?, text(("pair", Some(pair)))?);
    let content = match &*channel {
        "trade" => {
            let mut trades = Vec::new();
            let read = middle.iter().try_for_each(|part| kraken_trades(part, &mut trades));
            Content::Trades(read.map(|()| trades))
        }
        _ => {
            let Some(depth) = channel.strip_prefix("book-") else { return Ok(Vec::new()) };
            Content::Book(kraken_book(middle, depth.parse().ok())?)
        }
    };
    Ok(vec![Message { venue: KRAKEN, symbol: pair.into_owned(), content }])
}

fn kraken_book<'a>(
    parts: &[&'a RawValue],
    depth: Option<usize>,
) -> Result<BookText<'a>, FieldFault> {
    let mut book = BookText {
        is_snapshot: false,
        sides: Vec::new(),
        event_ns: 0,
        has_level_times: true,
        checksum: None,
        scheme: Scheme::Kraken,
        depth,
    };
    for part in parts {
        let part = part.get().as_bytes();
        let levels: Book<'_> = parsed("book", part)?;
        book.is_snapshot |= memchr::memmem::find(part, b"\"as\"").is_some()
            || memchr::memmem::find(part, b"\"bs\"").is_some();
        book.sides.extend(sides(&levels));
        book.checksum = checksum(levels.checksum)?.or(book.checksum);
    }
    Ok(book)
}

fn kraken_trades<'a>(
    part: &'a RawValue,
    trades: &mut Vec<TradeText<'a>>,
) -> Result<(), FieldFault> {
    let rows: Vec<Vec<Cow<'a, str>>> = parsed("trade", part.get().as_bytes())?;
    for row in rows {
        let [price, qty, time, side, ..] = &row[..] else {
            let found = part.get().as_bytes();
            return Err(FieldFault::new("trade", "price, volume, time, side", found));
        };
        let event_ns = unix_ns("time", time.as_bytes(), Unit::Seconds)?;
        let aggressor = aggressor(side)?;
        trades.push(TradeText { price: price.clone(), qty: qty.clone(), event_ns, aggressor });
    }
    Ok(())
}

/// OKX, OKEx since version 5, Bitget.
fn okx<'a>(
    arg: &Arg<'a>,
    action: Option<&'a RawValue>,
    content: &'a [u8],
) -> Result<Vec<Message<'a>>, FieldFault> {
    let channel = text(("channel", arg.channel))?;
    let is_book = matches!(&*channel, "books" | "books-l2-tbt" | "books50-l2-tbt");
    let is_trades = matches!(&*channel, "trades" | "trade");
    if !is_book && !is_trades {
        return Ok(Vec::new());
    }
    let instrument = text(("instId", arg.instrument))?;
    let (venue, symbol) = match arg.market {
        None => (OKX, instrument.into_owned()),
        market => (BITGET, format!("{}:{instrument}", text(("instType", market))?)),
    };
    if is_book {
        let is_snapshot = is_snapshot(action, "snapshot")?;
        let books: Vec<Book<'a>> = parsed("data", content)?;
        let one = |book: &Book<'a>| {
            let event_ns = time_ns(book.ts, Unit::Milliseconds)?;
            let content = Content::Book(interleaved(book, is_snapshot, event_ns, OKX_SCHEME)?);
            Ok(Message { venue, symbol: symbol.clone(), content })
        };
        return books.iter().map(one).collect();
    }
    // Bitget sends the trades before the subscription, too.
    if venue == BITGET && is_snapshot(action, "snapshot")? {
        return Ok(Vec::new());
    }
    let trades = if venue == BITGET {
        bitget_trades(content)
    } else {
        parsed("data", content).and_then(|fields: Vec<TradeFields<'a>>| {
            fields.iter().map(|fields| trade(fields, Unit::Milliseconds)).collect()
        })
    };
    Ok(vec![Message { venue, symbol, content: Content::Trades(trades) }])
}

fn bitget_trades<'a>(content: &'a [u8]) -> Result<Vec<TradeText<'a>>, FieldFault> {
    let rows: Vec<[Cow<'a, str>; 4]> = parsed("data", content)?;
    let one = |[time, price, qty, side]: [Cow<'a, str>; 4]| {
        let event_ns = unix_ns("ts", time.as_bytes(), Unit::Milliseconds)?;
        Ok(TradeText { price, qty, event_ns, aggressor: aggressor(&side)? })
    };
    rows.into_iter().map(one).collect()
}

/// OKCoin, and OKEx in version 3: an entry for each instrument.
fn okcoin<'a>(
    table: &str,
    action: Option<&'a RawValue>,
    content: &'a [u8],
) -> Result<Vec<Message<'a>>, FieldFault> {
    let venue = OKCOIN;
    match table.split_once('/').map(|(_, channel)| channel) {
        Some("depth_l2_tbt" | "depth") => {
            let is_snapshot = is_snapshot(action, "partial")?;
            let books: Vec<Book<'a>> = parsed("data", content)?;
            let one = |book: &Book<'a>| {
                let symbol = text(("instrument_id", book.instrument_id))?.into_owned();
                let event_ns = time_ns(book.ts, Unit::Milliseconds)?;
                let content = Content::Book(interleaved(book, is_snapshot, event_ns, OKX_SCHEME)?);
                Ok(Message { venue, symbol, content })
            };
            books.iter().map(one).collect()
        }
        Some("trade") => {
            let fields: Vec<TradeFields<'a>> = parsed("data", content)?;
            let one = |fields: &TradeFields<'a>| {
                let symbol = text(("instrument_id", fields.instrument_id))?.into_owned();
                let trades = trade(fields, Unit::Milliseconds).map(|trade| vec![trade]);
                Ok(Message { venue, symbol, content: Content::Trades(trades) })
            };
            fields.iter().map(one).collect()
        }
        _ => Ok(Vec::new()),
    }
}

fn ftx<'a>(outer: &Outer<'a>, content: &'a [u8]) -> Result<Vec<Message<'a>>, FieldFault> {
    let symbol = text(("market", outer.market))?.into_owned();
    let content = match &*text(("channel", outer.channel))? {
        "orderbook" => {
            let book: Book<'a> = object("data", content)?;
            let is_snapshot = is_snapshot(outer.kind, "partial")?;
            let event_ns = time_ns(book.ts, Unit::Seconds)?;
            Content::Book(interleaved(&book, is_snapshot, event_ns, FTX_SCHEME)?)
        }
        "trades" => {
            let fields = parsed("data", content);
            Content::Trades(fields.and_then(|fields: Vec<TradeFields<'a>>| {
                fields.iter().map(|fields| trade(fields, Unit::Seconds)).collect()
            }))
        }
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Message { venue: FTX, symbol, content }])
}

fn interleaved<'a>(
    book: &Book<'a>,
    is_snapshot: bool,
    event_ns: i64,
    scheme: Scheme,
) -> Result<BookText<'a>, FieldFault> {
    Ok(BookText {
        is_snapshot,
        sides: sides(book).collect(),
        event_ns,
        has_level_times: false,
        checksum: checksum(book.checksum)?,
        scheme,
        depth: None,
    })
}

fn sides<'a>(book: &Book<'a>) -> impl Iterator<Item = (BookOp, &'a [u8])> + use<'a> {
    let sides = [(BookOp::SetBid, book.bids), (BookOp::SetAsk, book.asks)];
    sides.into_iter().filter_map(|(op, side)| Some((op, side?.get().as_bytes())))
}

/// The checksum, which some venues write as a signed number; absent or 0: none.
fn checksum(raw: Option<&RawValue>) -> Result<Option<u32>, FieldFault> {
    let Some(raw) = present(raw) else { return Ok(None) };
    let digits = decimal_text(("checksum", Some(raw)))?;
    let number: Option<i64> = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let sum = number.and_then(|number| {
        u32::try_from(number).ok().or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
    });
    let sum = sum.ok_or_else(|| FieldFault::new("checksum", "a number of 32 bits", digits))?;
    Ok((sum != 0).then_some(sum))
}

fn is_snapshot(raw: Option<&RawValue>, word: &str) -> Result<bool, FieldFault> {
    let found = text(("action", raw))?;
    match &*found {
        found if found == word => Ok(true),
        "update" => Ok(false),
        _ => Err(FieldFault::new("action", "snapshot, partial or update", found.as_bytes())),
    }
}

/// A time as a number of `unit` since 1970, or in ISO form.
fn time_ns(raw: Option<&RawValue>, unit: Unit) -> Result<i64, FieldFault> {
    let time = decimal_text(("ts", raw))?;
    match iso_ns(time) {
        Some(ns) => Ok(ns),
        None => unix_ns("ts", time, unit),
    }
}

fn trade<'a>(fields: &TradeFields<'a>, unit: Unit) -> Result<TradeText<'a>, FieldFault> {
    let number = |name, raw| {
        let digits = decimal_text((name, raw))?;
        let wrong = |_| FieldFault::new(name, "a decimal number", digits);
        str::from_utf8(digits).map(Cow::Borrowed).map_err(wrong)
    };
    Ok(TradeText {
        price: number("price", fields.price)?,
        qty: number("size", fields.size)?,
        event_ns: time_ns(fields.ts, unit)?,
        aggressor: aggressor(&text(("side", fields.side))?)?,
    })
}

fn aggressor(side: &str) -> Result<Aggressor, FieldFault> {
    match side {
        "buy" | "b" => Ok(Aggressor::Buy),
        "sell" | "s" => Ok(Aggressor::Sell),
        _ => Err(FieldFault::new("side", "buy or sell", side.as_bytes())),
    }
}
