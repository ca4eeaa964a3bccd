//! Recorded CCXT structures (`specs/inputs/ccxt.md`).
//!
//! One line is an order book or some trades, as CCXT unifies them, with exchange and symbol. Numbers
//! went through a float of the recorder; their text is read exactly, and noise is rounded away.

use std::borrow::Cow;
use std::fmt;

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, Packet, PacketKind, Sequencing, StateError,
    StateReader, StateWriter, Trade,
};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::MAX_LEVELS_PER_SIDE;
use super::calendar::{Unit, unix_ns};
use super::grid::Grid;
use super::json::{decimal_text, each_row, number, object, present, text};
use super::line_feed::{self, LineDecoder, LineFeed, Refusal};
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, Location, excerpt};
use crate::source::{OpenOptions, Source, SourceStats, UntilEnd};

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    exchange: Option<&'a RawValue>,
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<Content<'a>>,
    #[serde(borrow)]
    collected_at: Option<&'a RawValue>,
}

#[derive(Default)]
struct OrderBook<'a> {
    bids: Option<&'a RawValue>,
    asks: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    nonce: Option<&'a RawValue>,
    /// A field that stands there twice.
    repeated: Option<&'static str>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(field_identifier, rename_all = "lowercase")]
enum BookField {
    Bids,
    Asks,
    Timestamp,
    Nonce,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct TradeText<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
}

/// What `data` holds, whatever the line says it does: it is looked through once, before the kind is
/// known.
enum Content<'a> {
    Object(OrderBook<'a>),
    Array(Vec<&'a RawValue>),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ContentVisitor)
    }
}

impl Content<'_> {
    fn instead_of(&self, expected: &'static str) -> FieldFault {
        let found = match self {
            Self::Object(_) => "an object",
            Self::Array(_) => "an array",
            Self::Other => "a text, a number or a flag",
        };
        FieldFault { field: "data", expected, found: found.into() }
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order book or trades")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut book, mut seen) = (OrderBook::default(), [false; 4]);
        while let Some(field) = map.next_key()? {
            let (name, slot) = match field {
                BookField::Bids => ("bids", &mut book.bids),
                BookField::Asks => ("asks", &mut book.asks),
                BookField::Timestamp => ("timestamp", &mut book.timestamp),
                BookField::Nonce => ("nonce", &mut book.nonce),
                BookField::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = map.next_value()?;
            if std::mem::replace(&mut seen[field as usize], true) {
                book.repeated = Some(name);
            }
        }
        Ok(Content::Object(book))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Array)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Content::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Content::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Content::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Content::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Content::Other)
    }
}

/// One line; the content is still text.
struct Record<'a> {
    kind: Cow<'a, str>,
    exchange: Cow<'a, str>,
    symbol: Cow<'a, str>,
    content: Content<'a>,
    collected_at: Option<&'a RawValue>,
}

impl<'a> Record<'a> {
    fn read(line: &'a [u8]) -> Result<Self, FieldFault> {
        let outer: Outer<'a> = object("line", line)?;
        let content = outer.data.ok_or_else(|| FieldFault {
            field: "data",
            expected: "an order book or trades",
            found: "nothing".into(),
        })?;
        Ok(Self {
            kind: text(("type", outer.kind))?,
            exchange: text(("exchange", outer.exchange))?,
            symbol: text(("symbol", outer.symbol))?,
            content,
            collected_at: outer.collected_at,
        })
    }

    fn order_book(&self) -> Result<&OrderBook<'a>, FieldFault> {
        match &self.content {
            Content::Object(OrderBook { repeated: Some(name), .. }) => {
                let (expected, found) = ("one JSON object", format!("duplicate field `{name}`"));
                Err(FieldFault { field: "data", expected, found })
            }
            Content::Object(book) => Ok(book),
            content => Err(content.instead_of("one JSON object")),
        }
    }

    fn trades(&self) -> Result<Vec<TradeText<'a>>, FieldFault> {
        let expected = "an array of trades";
        let Content::Array(trades) = &self.content else {
            return Err(self.content.instead_of(expected));
        };
        let wrong = |raw: &RawValue| FieldFault::new("data", expected, raw.get().as_bytes());
        let read = |raw: &&'a RawValue| serde_json::from_str(raw.get()).map_err(|_| wrong(raw));
        trades.iter().map(read).collect()
    }
}

/// Whether the first bytes of a file are the beginning of such a line.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
    head.starts_with(b"{")
        && ["\"type\"", "\"exchange\"", "\"symbol\""].iter().all(|key| has(key))
        && ["\"orderbook\"", "\"trades\"", "\"ticker\""].iter().any(|kind| has(kind))
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let found = survey(options)?;
    let decoder = Decoder {
        grid: Grid::new(&found.instrument, options.strict_scale),
        instrument: found.instrument,
        has_dense_nonces: found.has_dense_nonces,
        is_filtered: options.symbol.is_some(),
        last_nonce: 0,
    };
    Ok(Box::new(UntilEnd::new(LineFeed::new(Lines::open(&options.inputs)?, decoder))))
}

struct Found {
    instrument: Instrument,
    has_dense_nonces: bool,
}

/// How nonces follow each other.
#[derive(Default)]
struct NonceSteps {
    last: u64,
    steps: u64,
    single_steps: u64,
}

impl NonceSteps {
    fn see(&mut self, nonce: u64) {
        if self.last != 0 && nonce > self.last {
            self.steps += 1;
            self.single_steps += u64::from(nonce == self.last + 1);
        }
        self.last = nonce;
    }
}

fn survey(options: &OpenOptions) -> Result<Found, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut lines = Lines::open(&options.inputs)?;
    let mut survey = Survey::new(options);
    let mut nonces = NonceSteps::default();
    let (mut symbol, mut venue) = (String::new(), String::new());
    while let Some(range) = survey.next_line(&mut lines)? {
        let line = lines.text(range).trim_ascii();
        let record = match Record::read(line) {
            Ok(record) => record,
            Err(fault) => {
                survey.fault(|| fault.at(lines.location(), ""));
                continue;
            }
        };
        let name = format!("{}:{}", record.exchange, record.symbol);
        if survey.admits_either(&name, &record.symbol, || lines.location())? {
            (symbol, venue) = (record.symbol.to_string(), record.exchange.to_string());
            // What cannot be read is refused when its turn comes.
            let _ = learn(&record, &mut survey, &mut nonces);
        }
    }
    let mut instrument = survey.finish(path, "lines of CCXT order books or trades")?;
    (instrument.symbol, instrument.venue) = (symbol, venue);
    instrument.feed = FeedKind::Snapshot;
    instrument.sequencing =
        if nonces.last == 0 { Sequencing::SourceTime } else { Sequencing::Venue };
    let has_dense_nonces = nonces.single_steps * 2 > nonces.steps;
    Ok(Found { instrument, has_dense_nonces })
}

fn learn(
    record: &Record<'_>,
    survey: &mut Survey<'_>,
    nonces: &mut NonceSteps,
) -> Result<(), FieldFault> {
    match &*record.kind {
        "orderbook" => {
            let book = record.order_book()?;
            if let Some(nonce) = nonce(book)? {
                nonces.see(nonce);
            }
            for side in [book.bids, book.asks].into_iter().flatten() {
                each_row("bids", side.get().as_bytes(), |items| {
                    survey.price(items.first().copied().unwrap_or_default());
                    survey.qty(items.get(1).copied().unwrap_or_default());
                    Ok(())
                })?;
            }
        }
        "trades" => {
            for trade in record.trades()? {
                survey.price(decimal_text(("price", trade.price))?);
                survey.qty(decimal_text(("amount", trade.amount))?);
            }
        }
        _ => {}
    }
    Ok(())
}

fn nonce(book: &OrderBook<'_>) -> Result<Option<u64>, FieldFault> {
    present(book.nonce).map(|raw| number(("nonce", Some(raw)))).transpose()
}

fn time_ns(field: &'static str, raw: Option<&RawValue>) -> Result<i64, FieldFault> {
    match present(raw) {
        None => Ok(0),
        raw => unix_ns(field, decimal_text((field, raw))?, Unit::Milliseconds),
    }
}

/// CCXT lines one at a time, for whoever follows a growing file: no survey, the instrument is given.
///
/// ```
/// use market_io::ccxt::{LineReader, Nonces, exchange_and_symbol};
/// use market_io::Location;
/// use market_model::{Instrument, Packet};
///
/// let line = br#"{"type":"orderbook","exchange":"kraken","symbol":"BTC/USD","data":{"bids":[[25000.1,1.5]],"asks":[[25000.3,2]]}}"#;
/// assert_eq!(exchange_and_symbol(line), Some(("kraken".into(), "BTC/USD".into())));
/// let mut instrument = Instrument::new(0, "BTC/USD", "0.1", "0.001")?;
/// instrument.venue = "kraken".into();
/// let mut reader = LineReader::new(instrument, Nonces::None);
/// let mut packet = Packet::default();
/// assert!(reader.read(Some(line), || Location::file("x".as_ref()), &mut packet));
/// assert_eq!(packet.levels.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LineReader(line_feed::LineReader<Decoder>);

/// What the nonces of order books say; [`crate::open`] finds it out from the first lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nonces {
    /// There are none: source times put books in order.
    None,
    /// They grow: they put books in order, and say nothing of missing ones.
    #[default]
    Sparse,
    /// They count the books one by one: a hole is a gap.
    Dense,
}

impl LineReader {
    /// A reader before its first line; feed and sequencing of the instrument follow from the nonces.
    #[must_use]
    pub fn new(mut instrument: Instrument, nonces: Nonces) -> Self {
        instrument.feed = FeedKind::Snapshot;
        instrument.sequencing = match nonces {
            Nonces::None => Sequencing::SourceTime,
            Nonces::Sparse | Nonces::Dense => Sequencing::Venue,
        };
        let decoder = Decoder {
            grid: Grid::new(&instrument, false),
            instrument,
            has_dense_nonces: nonces == Nonces::Dense,
            is_filtered: true,
            last_nonce: 0,
        };
        Self(line_feed::LineReader::new(decoder))
    }

    /// The instrument, with its feed and sequencing.
    #[must_use]
    pub fn instrument(&self) -> &Instrument {
        &self.0.decoder.instrument
    }

    /// What has been read, refused and left out so far.
    #[must_use]
    pub fn stats(&self) -> &SourceStats {
        &self.0.stats
    }

    /// Reads a line into a packet; `true` when there is one. A line that cannot be used, or `None` for
    /// one that was too long to keep, gives a packet of kind `Rejected`.
    pub fn read(
        &mut self,
        line: Option<&[u8]>,
        place: impl FnOnce() -> Location,
        packet: &mut Packet,
    ) -> bool {
        // The caller chose the symbol: another one is left out, never an error.
        self.0.read(line, place, packet).unwrap_or(false)
    }

    /// Appends what a later packet depends on.
    pub fn save(&self, out: &mut StateWriter) {
        out.u64(self.0.decoder.last_nonce);
    }

    /// Continues from what [`LineReader::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] at the end of the bytes.
    pub fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.0.decoder.last_nonce = from.u64()?;
        Ok(())
    }
}

/// Exchange and symbol of a line; `None` when they cannot be read.
#[must_use]
pub fn exchange_and_symbol(line: &[u8]) -> Option<(String, String)> {
    let record = Record::read(line.trim_ascii()).ok()?;
    Some((record.exchange.into_owned(), record.symbol.into_owned()))
}

/// Turns lines into packets.
struct Decoder {
    instrument: Instrument,
    grid: Grid,
    /// Nonces count the order books one by one, so that a hole is a gap.
    has_dense_nonces: bool,
    is_filtered: bool,
    last_nonce: u64,
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
        let record = Record::read(line)?;
        if record.symbol != *self.instrument.symbol || record.exchange != *self.instrument.venue {
            if !self.is_filtered {
                let name = format!("{}:{}", record.exchange, record.symbol);
                return Err(Refusal::SecondSymbol(excerpt(name.as_bytes())));
            }
            stats.ignore(b"another symbol");
            return Ok(false);
        }
        packet.ts_recv_ns = time_ns("collected_at", record.collected_at)?;
        match &*record.kind {
            "orderbook" => Ok(self.order_book(&record, packet, stats)?),
            "trades" => Ok(self.trades(&record, packet, stats)?),
            other => {
                stats.ignore(other.as_bytes());
                Ok(false)
            }
        }
    }
}

impl Decoder {
    fn order_book(
        &mut self,
        record: &Record<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        stats.depth_updates += 1;
        let book = record.order_book()?;
        packet.kind = PacketKind::Snapshot;
        packet.ts_event_ns = time_ns("timestamp", book.timestamp)?;
        for (field, side, op) in
            [("bids", book.bids, BookOp::SetBid), ("asks", book.asks, BookOp::SetAsk)]
        {
            let expected = "an array of [price, amount]";
            let side =
                side.ok_or_else(|| FieldFault { field, expected, found: "nothing".into() })?;
            self.levels(field, side.get().as_bytes(), op, packet, stats)?;
        }
        packet.seq = nonce(book)?.unwrap_or(0);
        if !self.has_dense_nonces && packet.seq > self.last_nonce {
            packet.prev_seq = self.last_nonce;
        }
        self.last_nonce = self.last_nonce.max(packet.seq);
        Ok(true)
    }

    fn levels(
        &self,
        field: &'static str,
        json: &[u8],
        op: BookOp,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let mut count = 0;
        each_row(field, json, |items| {
            let [price, qty, ..] = items else {
                return Err(FieldFault::new(field, "an array of [price, amount]", json));
            };
            count += 1;
            if count > MAX_LEVELS_PER_SIDE {
                let expected = "at most 10000 levels of one side";
                return Err(FieldFault { field, expected, found: "more".into() });
            }
            let (price_ticks, price_rounded) = self.grid.price_through_float(field, price)?;
            let (qty_lots, qty_rounded) = self.grid.qty(field, qty)?;
            stats.rounded += u64::from(price_rounded) + u64::from(qty_rounded);
            packet.push_level(op, Level { price_ticks, qty_lots });
            Ok(())
        })
    }

    fn trades(
        &self,
        record: &Record<'_>,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        for trade in record.trades()? {
            let time = time_ns("timestamp", trade.timestamp)?;
            let (price_ticks, price_rounded) =
                self.grid.price_through_float("price", decimal_text(("price", trade.price))?)?;
            let (qty_lots, qty_rounded) =
                self.grid.qty("amount", decimal_text(("amount", trade.amount))?)?;
            let aggressor = match present(trade.side).map(RawValue::get) {
                None => Aggressor::Unknown,
                Some("\"buy\"") => Aggressor::Buy,
                Some("\"sell\"") => Aggressor::Sell,
                Some(other) => {
                    return Err(FieldFault::new("side", "buy or sell", other.as_bytes()));
                }
            };
            packet.ts_event_ns = packet.ts_event_ns.max(time);
            stats.rounded += u64::from(price_rounded) + u64::from(qty_rounded);
            if qty_lots == 0 {
                stats.ignore(b"trade of quantity 0, or below one lot");
                continue;
            }
            packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        }
        Ok(!packet.trades.is_empty())
    }
}
