//! Raw books (`R0`) of Bitfinex (`specs/inputs/bitfinex-l3.md`): one message of the stream per line.

use std::collections::BTreeSet;

use market_model::{Instrument, OrderEvent, OrderOp, Packet, PacketKind, Sequencing, Side};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::grid::Grid;
use super::json::{each_row, object};
use super::line_feed::{LineDecoder, LineFeed, Refusal};
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault, excerpt};
use crate::source::{OpenOptions, Source, SourceStats, UntilEnd};

/// What the stream says about itself.
#[derive(Deserialize)]
struct Subscribed<'a> {
    event: &'a str,
    channel: Option<&'a str>,
    prec: Option<&'a str>,
    symbol: Option<&'a str>,
    #[serde(rename = "chanId")]
    channel_id: Option<u64>,
}

/// Whether the first bytes of a file are the beginning of such a stream.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
    head.starts_with(b"{\"event\":") && has("\"channel\":\"book\"") && has("\"prec\":\"R0\"")
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let instrument = survey(options)?;
    let decoder = Decoder {
        grid: Grid::new(&instrument, options.strict_scale),
        instrument,
        is_filtered: options.symbol.is_some(),
        channel_id: None,
        resting: BTreeSet::new(),
    };
    Ok(Box::new(UntilEnd::new(LineFeed::new(Lines::open(&options.inputs)?, decoder))))
}

/// The symbol and channel of a subscription to a raw book; `None` for other messages about the stream.
fn subscription(line: &[u8]) -> Option<(String, u64)> {
    let message: Subscribed<'_> = serde_json::from_slice(line).ok()?;
    let is_raw_book =
        (message.event, message.channel, message.prec) == ("subscribed", Some("book"), Some("R0"));
    Some((message.symbol?.to_owned(), message.channel_id?)).filter(|_| is_raw_book)
}

/// Channel and content of a message of a channel.
fn message(line: &[u8]) -> Result<(u64, &[u8]), FieldFault> {
    let [channel, content, ..] = object::<Vec<&RawValue>>("line", line)?[..] else {
        return Err(FieldFault::new("line", "a channel and its content", line));
    };
    let id = channel.get().parse();
    let id = id.map_err(|_| FieldFault::new("channel", "a number", channel.get().as_bytes()))?;
    Ok((id, content.get().as_bytes()))
}

/// Hands out id, price and amount of each order of a content: one order, or an array of orders.
fn each_order<'a>(
    content: &'a [u8],
    mut each: impl FnMut([&'a [u8]; 3]) -> Result<(), FieldFault>,
) -> Result<(), FieldFault> {
    let mut order = |items: &[&'a [u8]]| match items {
        [id, price, amount] => each([id, price, amount]),
        _ => Err(FieldFault::new("content", "[id, price, amount]", content)),
    };
    if content.starts_with(b"[[") || content == b"[]" {
        return each_row("content", content, order);
    }
    let inside = content.strip_prefix(b"[").and_then(|inside| inside.strip_suffix(b"]"));
    let inside = inside.ok_or_else(|| FieldFault::new("content", "an array", content))?;
    let items: Vec<&[u8]> = inside.split(|c| *c == b',').map(<[u8]>::trim_ascii).collect();
    order(&items)
}

fn survey(options: &OpenOptions) -> Result<Instrument, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut lines = Lines::open(&options.inputs)?;
    let mut survey = Survey::new(options);
    let mut channel: Option<(String, u64)> = None;
    while let Some(range) = survey.next_line(&mut lines)? {
        let line = lines.text(range).trim_ascii();
        if let Some((symbol, id)) = subscription(line) {
            if survey.admits(&symbol, || lines.location())? {
                channel = Some((symbol, id));
            }
            continue;
        }
        let Ok((id, content)) = message(line) else { continue };
        let Some((symbol, _)) = channel.as_ref().filter(|(_, own)| *own == id) else { continue };
        if survey.admits(symbol, || lines.location())? {
            // What cannot be read is refused when its turn comes.
            let _ = each_order(content, |[_, price, amount]| {
                survey.price(price);
                survey.qty(amount);
                Ok(())
            });
        }
    }
    let mut instrument = survey.finish(path, "a subscription to a raw book of Bitfinex")?;
    instrument.venue = "bitfinex".into();
    instrument.sequencing = Sequencing::Arrival;
    Ok(instrument)
}

/// Turns lines into packets.
struct Decoder {
    instrument: Instrument,
    grid: Grid,
    is_filtered: bool,
    /// The channel of the symbol.
    channel_id: Option<u64>,
    /// Orders in view: the feed says new and changed orders alike.
    resting: BTreeSet<u64>,
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
        if line.starts_with(b"{") {
            return self.about_the_stream(line, stats);
        }
        let (id, content) = message(line)?;
        if self.channel_id != Some(id) {
            stats.ignore(b"another channel");
            return Ok(false);
        }
        if content.starts_with(b"\"") {
            stats.ignore(content);
            return Ok(false);
        }
        stats.depth_updates += 1;
        if content.starts_with(b"[[") || content == b"[]" {
            packet.kind = PacketKind::Snapshot;
            self.resting.clear();
        }
        each_order(content, |order| self.order(order, packet, stats))?;
        Ok(true)
    }
}

impl Decoder {
    fn about_the_stream(&mut self, line: &[u8], stats: &mut SourceStats) -> Result<bool, Refusal> {
        match subscription(line) {
            Some((symbol, id)) if symbol == self.instrument.symbol => {
                self.channel_id = Some(id);
            }
            Some((symbol, _)) if !self.is_filtered => {
                return Err(Refusal::SecondSymbol(excerpt(symbol.as_bytes())));
            }
            _ => stats.ignore(b"message about the stream"),
        }
        Ok(false)
    }

    fn order(
        &mut self,
        [id, price, amount]: [&[u8]; 3],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let order_id = str::from_utf8(id).ok().and_then(|text| text.parse().ok());
        let order_id = order_id.ok_or_else(|| FieldFault::new("id", "an order id", id))?;
        let (side, amount) = match amount.strip_prefix(b"-") {
            Some(size) => (Side::Ask, size),
            None => (Side::Bid, amount),
        };
        if price == b"0" {
            self.resting.remove(&order_id);
            let op = OrderOp::Cancel;
            packet.orders.push(OrderEvent { order_id, price_ticks: 0, qty_lots: 0, side, op });
            return Ok(());
        }
        let price_ticks = self.grid.price("price", price)?;
        let (qty_lots, was_rounded) = self.grid.qty("amount", amount)?;
        stats.rounded += u64::from(was_rounded);
        let is_new = self.resting.insert(order_id);
        let op = if is_new { OrderOp::Add } else { OrderOp::Modify };
        packet.orders.push(OrderEvent { order_id, price_ticks, qty_lots, side, op });
        Ok(())
    }
}
