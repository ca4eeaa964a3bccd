//! One line of a recording as a message.
//!
//! [`scan`] knows the exact text that Binance sends and allocates nothing; [`parse`] takes any valid
//! JSON. A line that [`scan`] accepts means the same to [`parse`]; a test holds them to it.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FieldFault;
use crate::format::json::{Field, number, object, text, typed};

/// A message of one line; numbers of levels are still text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Depth(Depth<'a>),
    Trade(TradeText<'a>),
    /// A trade that cannot be read.
    RefusedTrade(FieldFault),
    Snapshot(Snapshot<'a>),
    /// A message of no use here, by kind.
    Ignored(Cow<'a, str>),
    /// A depth update or trade of another symbol than the wanted one.
    Other(Cow<'a, str>),
}

/// A change of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Depth<'a> {
    pub(super) symbol: Cow<'a, str>,
    /// `E`.
    pub(super) event_ms: u64,
    /// `T`; futures only.
    pub(super) transaction_ms: Option<u64>,
    /// `U`.
    pub(super) first_id: u64,
    /// `u`.
    pub(super) last_id: u64,
    /// `pu`; futures only.
    pub(super) prev_id: Option<u64>,
    /// `ps` is there; COIN-M only.
    pub(super) has_pair: bool,
    /// `b`, as JSON text.
    pub(super) bids: &'a [u8],
    /// `a`, as JSON text.
    pub(super) asks: &'a [u8],
}

/// A trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TradeText<'a> {
    pub(super) symbol: Cow<'a, str>,
    pub(super) is_aggregate: bool,
    /// `T`.
    pub(super) transaction_ms: u64,
    pub(super) price: Cow<'a, str>,
    pub(super) qty: Cow<'a, str>,
    /// `X`; futures only.
    pub(super) kind: Option<Cow<'a, str>>,
    /// `m`: the buyer's order rested in the book.
    pub(super) is_buyer_maker: bool,
}

/// A REST depth snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot<'a> {
    pub(super) symbol: Option<Cow<'a, str>>,
    /// `T`, else `E`; none on spot.
    pub(super) event_ms: Option<u64>,
    pub(super) last_update_id: u64,
    pub(super) bids: &'a [u8],
    pub(super) asks: &'a [u8],
}

/// Splits a line into its local time and its JSON text.
pub(in crate::format) fn split_local_ns(line: &[u8]) -> Result<(i64, &[u8]), FieldFault> {
    let wrong = || FieldFault::new("local time", "nanoseconds, a space and a JSON object", line);
    let space = memchr(b' ', &line[..line.len().min(24)]).ok_or_else(wrong)?;
    let (digits, json) = (&line[..space], &line[space + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    let ns = digits
        .iter()
        .try_fold(0_i64, |sum, d| sum.checked_mul(10)?.checked_add(i64::from(d - b'0')))
        .ok_or_else(wrong)?;
    Ok((ns, json))
}

/// Reads a message; other symbols than `wanted` are told apart before the rest is looked at.
pub(super) fn read<'a>(json: &'a [u8], wanted: Option<&str>) -> Result<Message<'a>, FieldFault> {
    scan(json, wanted).map_or_else(|| parse(json, wanted), Ok)
}

/// What the name of a stream says about its messages; partial books (`depth20`) are not changes.
enum StreamKind {
    Depth,
    Trade { is_aggregate: bool },
    Unused,
}

fn stream_kind(kind: &[u8]) -> StreamKind {
    match kind {
        b"depth" => StreamKind::Depth,
        b"trade" => StreamKind::Trade { is_aggregate: false },
        b"aggTrade" => StreamKind::Trade { is_aggregate: true },
        _ => StreamKind::Unused,
    }
}

/// The part of a stream name between the symbol and the speed: `btcusdt@depth@100ms`.
fn kind_of_stream(stream: &str) -> &str {
    stream.split('@').nth(1).unwrap_or(stream)
}

// ---- the exact texts -----------------------------------------------------------------------

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Digits up to the first byte that is none, as JSON writes an integer.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let (mut value, mut len) = (0_u64, 0);
        while let Some(digit) = self.rest.get(len).map(|c| c.wrapping_sub(b'0')).filter(|d| *d <= 9)
        {
            // 19 digits fit; longer numbers are for the general parser.
            if len == 19 {
                return None;
            }
            value = value * 10 + u64::from(digit);
            len += 1;
        }
        if len == 0 || (len > 1 && self.rest[0] == b'0') {
            return None;
        }
        self.rest = &self.rest[len..];
        Some(value)
    }

    /// Printable ASCII without escapes, up to and with the closing quote.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let end = memchr(b'"', self.rest)?;
        let text = &self.rest[..end];
        if !text.iter().all(|c| matches!(c, b' '..=b'~') && *c != b'\\') {
            return None;
        }
        self.rest = &self.rest[end + 1..];
        str::from_utf8(text).ok()
    }

    /// An array of arrays without spaces, as text.
    #[inline]
    fn array(&mut self) -> Option<&'a [u8]> {
        let len = if self.rest.starts_with(b"[]") {
            2
        } else if self.rest.starts_with(b"[[") {
            memmem::find(self.rest, b"]]")? + 2
        } else {
            return None;
        };
        let (array, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(array)
    }

    #[inline]
    fn flag(&mut self) -> Option<bool> {
        match self.eat(b"true") {
            Some(()) => Some(true),
            None => self.eat(b"false").map(|()| false),
        }
    }
}

/// Reads the texts that Binance sends; `None` for anything else, valid or not.
pub(super) fn scan<'a>(json: &'a [u8], wanted: Option<&str>) -> Option<Message<'a>> {
    let mut at = Cursor { rest: json };
    at.eat(b"{\"stream\":\"")?;
    let kind = kind_of_stream(at.text()?);
    match stream_kind(kind.as_bytes()) {
        StreamKind::Depth => scan_depth(at, wanted),
        StreamKind::Trade { is_aggregate: false } => scan_trade(at, wanted),
        // The rest of an unused message is not looked at, but it must be whole.
        StreamKind::Unused => whole(at.rest).then_some(Message::Ignored(kind.into())),
        StreamKind::Trade { is_aggregate: true } => None,
    }
}

/// Flat messages of quoted texts and numbers without escapes are whole when their braces match.
fn whole(rest: &[u8]) -> bool {
    rest.starts_with(b",\"data\":{\"")
        && rest.ends_with(b"}}")
        && memchr(b'{', &rest[9..]).is_none()
        && memchr(b'}', rest) == Some(rest.len() - 2)
        && memchr(b'\\', rest).is_none()
}

fn is_wanted(symbol: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| wanted == symbol)
}

fn scan_depth<'a>(mut at: Cursor<'a>, wanted: Option<&str>) -> Option<Message<'a>> {
    at.eat(b",\"data\":{\"e\":\"depthUpdate\",\"E\":")?;
    let event_ms = at.number()?;
    let transaction_ms = match at.eat(b",\"T\":") {
        Some(()) => Some(at.number()?),
        None => None,
    };
    at.eat(b",\"s\":\"")?;
    let symbol = at.text()?;
    let has_pair = at.eat(b",\"ps\":\"").is_some();
    if has_pair {
        at.text()?;
    }
    at.eat(b",\"U\":")?;
    let first_id = at.number()?;
    at.eat(b",\"u\":")?;
    let last_id = at.number()?;
    let prev_id = match at.eat(b",\"pu\":") {
        Some(()) => Some(at.number()?),
        None => None,
    };
    at.eat(b",\"b\":")?;
    let bids = at.array()?;
    at.eat(b",\"a\":")?;
    let asks = at.array()?;
    if at.rest != b"}}" {
        return None;
    }
    if !is_wanted(symbol, wanted) {
        return Some(Message::Other(symbol.into()));
    }
    let symbol = symbol.into();
    Some(Message::Depth(Depth {
        symbol,
        event_ms,
        transaction_ms,
        first_id,
        last_id,
        prev_id,
        has_pair,
        bids,
        asks,
    }))
}

fn scan_trade<'a>(mut at: Cursor<'a>, wanted: Option<&str>) -> Option<Message<'a>> {
    at.eat(b",\"data\":{\"e\":\"trade\",\"E\":")?;
    at.number()?;
    let mut transaction_ms = None;
    if at.eat(b",\"T\":").is_some() {
        transaction_ms = Some(at.number()?);
    }
    at.eat(b",\"s\":\"")?;
    let symbol = at.text()?;
    at.eat(b",\"t\":")?;
    at.number()?;
    at.eat(b",\"p\":\"")?;
    let price = at.text()?.into();
    at.eat(b",\"q\":\"")?;
    let qty = at.text()?.into();
    let kind = match at.eat(b",\"X\":\"") {
        Some(()) => Some(at.text()?.into()),
        None => None,
    };
    if transaction_ms.is_none() {
        at.eat(b",\"T\":")?;
        transaction_ms = Some(at.number()?);
    }
    at.eat(b",\"m\":")?;
    let is_buyer_maker = at.flag()?;
    if at.eat(b",\"M\":").is_some() {
        at.flag()?;
    }
    if at.rest != b"}}" {
        return None;
    }
    if !is_wanted(symbol, wanted) {
        return Some(Message::Other(symbol.into()));
    }
    Some(Message::Trade(TradeText {
        symbol: symbol.into(),
        is_aggregate: false,
        transaction_ms: transaction_ms?,
        price,
        qty,
        kind,
        is_buyer_maker,
    }))
}

// ---- any JSON ------------------------------------------------------------------------------

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    e: Option<&'a RawValue>,
    #[serde(borrow, rename = "lastUpdateId")]
    last_update_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "E")]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "T")]
    transaction: Option<&'a RawValue>,
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
    #[serde(borrow)]
    bids: Option<&'a RawValue>,
    #[serde(borrow)]
    asks: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow)]
    e: Option<&'a RawValue>,
    #[serde(borrow, rename = "E")]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "T")]
    transaction: Option<&'a RawValue>,
    #[serde(borrow)]
    s: Option<&'a RawValue>,
    #[serde(borrow)]
    ps: Option<&'a RawValue>,
    #[serde(borrow, rename = "U")]
    first: Option<&'a RawValue>,
    #[serde(borrow)]
    u: Option<&'a RawValue>,
    #[serde(borrow)]
    pu: Option<&'a RawValue>,
    #[serde(borrow)]
    b: Option<&'a RawValue>,
    #[serde(borrow)]
    a: Option<&'a RawValue>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
    #[serde(borrow)]
    q: Option<&'a RawValue>,
    #[serde(borrow, rename = "X")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    m: Option<&'a RawValue>,
}

fn array<'a>((name, raw): Field<'a>) -> Result<&'a [u8], FieldFault> {
    let expected = "an array of [price, quantity] pairs";
    let raw = raw.ok_or_else(|| FieldFault { field: name, expected, found: "nothing".into() })?;
    let text = raw.get().as_bytes();
    if text.starts_with(b"[") { Ok(text) } else { Err(FieldFault::new(name, expected, text)) }
}

/// Reads any JSON object that is a message.
pub(super) fn parse<'a>(json: &'a [u8], wanted: Option<&str>) -> Result<Message<'a>, FieldFault> {
    let outer: Outer<'a> = object("line", json)?;
    if let (None, Some(_)) = (outer.stream, outer.last_update_id) {
        return parse_snapshot(&outer, wanted);
    }
    let (kind, data): (Cow<'a, str>, &'a [u8]) = match (outer.stream, outer.e) {
        (stream @ Some(_), _) => {
            let kind = match text(("stream", stream))? {
                Cow::Borrowed(stream) => kind_of_stream(stream).into(),
                Cow::Owned(stream) => kind_of_stream(&stream).to_owned().into(),
            };
            let expected = "a JSON object";
            let data = outer.data.ok_or_else(|| FieldFault {
                field: "data",
                expected,
                found: "nothing".into(),
            })?;
            (kind, data.get().as_bytes())
        }
        (None, e @ Some(_)) => match text(("e", e))? {
            kind if kind == "depthUpdate" => ("depth".into(), json),
            kind => (kind, json),
        },
        (None, None) => return Ok(Message::Ignored("answer".into())),
    };
    match stream_kind(kind.as_bytes()) {
        StreamKind::Depth => parse_depth(&object("data", data)?, wanted),
        StreamKind::Trade { is_aggregate } => {
            let trade = object("data", data).and_then(|d| parse_trade(&d, wanted, is_aggregate));
            Ok(trade.unwrap_or_else(Message::RefusedTrade))
        }
        StreamKind::Unused => Ok(Message::Ignored(kind)),
    }
}

fn event_kind(inner: &Inner<'_>, expected: &'static str) -> Result<(), FieldFault> {
    let kind = text(("e", inner.e))?;
    if kind == expected { Ok(()) } else { Err(FieldFault::new("e", expected, kind.as_bytes())) }
}

fn parse_depth<'a>(inner: &Inner<'a>, wanted: Option<&str>) -> Result<Message<'a>, FieldFault> {
    event_kind(inner, "depthUpdate")?;
    let symbol = text(("s", inner.s))?;
    if !is_wanted(&symbol, wanted) {
        return Ok(Message::Other(symbol));
    }
    let optional =
        |name, raw: Option<&'a RawValue>| raw.map(|raw| number((name, Some(raw)))).transpose();
    Ok(Message::Depth(Depth {
        symbol,
        event_ms: number(("E", inner.event))?,
        transaction_ms: optional("T", inner.transaction)?,
        first_id: number(("U", inner.first))?,
        last_id: number(("u", inner.u))?,
        prev_id: optional("pu", inner.pu)?,
        has_pair: inner.ps.is_some(),
        bids: array(("b", inner.b))?,
        asks: array(("a", inner.a))?,
    }))
}

fn parse_trade<'a>(
    inner: &Inner<'a>,
    wanted: Option<&str>,
    is_aggregate: bool,
) -> Result<Message<'a>, FieldFault> {
    event_kind(inner, if is_aggregate { "aggTrade" } else { "trade" })?;
    let symbol = text(("s", inner.s))?;
    if !is_wanted(&symbol, wanted) {
        return Ok(Message::Other(symbol));
    }
    Ok(Message::Trade(TradeText {
        symbol,
        is_aggregate,
        transaction_ms: number(("T", inner.transaction))?,
        price: text(("p", inner.p))?,
        qty: text(("q", inner.q))?,
        kind: inner.kind.map(|raw| text(("X", Some(raw)))).transpose()?,
        is_buyer_maker: typed(("m", inner.m), "true or false")?,
    }))
}

fn parse_snapshot<'a>(outer: &Outer<'a>, wanted: Option<&str>) -> Result<Message<'a>, FieldFault> {
    let symbol = outer.symbol.map(|raw| text(("symbol", Some(raw)))).transpose()?;
    if let Some(symbol) = &symbol
        && !is_wanted(symbol, wanted)
    {
        return Ok(Message::Other(symbol.clone()));
    }
    let time = outer.transaction.map(|raw| ("T", Some(raw)));
    let time = time.or_else(|| outer.event.map(|raw| ("E", Some(raw))));
    Ok(Message::Snapshot(Snapshot {
        symbol,
        event_ms: time.map(number).transpose()?,
        last_update_id: number(("lastUpdateId", outer.last_update_id))?,
        bids: array(("bids", outer.bids))?,
        asks: array(("asks", outer.asks))?,
    }))
}
