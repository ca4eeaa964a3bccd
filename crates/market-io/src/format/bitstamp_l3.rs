//! Logs of Bitstamp's live orders (`specs/inputs/bitstamp-l3.md`): time, kind and JSON per line.
//!
//! The feed tells what an order is after a change. What happened is told by its quantity: on Bitstamp
//! orders shrink by executions only, and an order that is deleted with nothing left was executed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use market_model::{
    Aggressor, Instrument, OrderEvent, OrderOp, Packet, PacketKind, Sequencing, Side, Trade,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::calendar::{Unit, unix_ns};
use super::grid::Grid;
use super::json::{decimal_text, number, object};
use super::line_feed::{LineDecoder, LineFeed, Refusal};
use super::survey::Survey;
use crate::bytes::Lines;
use crate::error::{Error, FieldFault};
use crate::source::{OpenOptions, Source, SourceStats, UntilEnd};

const KINDS: [&[u8]; 5] =
    [b"order_created", b"order_changed", b"order_deleted", b"order_book", b"trade"];

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    order_type: Option<&'a RawValue>,
}

/// Time, kind and JSON of a line.
fn split(line: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = line.splitn(3, |c| *c == b' ');
    Some([parts.next()?, parts.next()?, parts.next()?])
}

/// Whether the first bytes of a file are the beginning of such a log.
pub(super) fn looks_like(head: &[u8]) -> bool {
    let line = head.split(|c| *c == b'\n').next().unwrap_or_default();
    split(line).is_some_and(|[time, kind, json]| {
        let is_time = !time.is_empty() && time.iter().all(u8::is_ascii_digit);
        is_time && KINDS.contains(&kind) && json.starts_with(b"{")
    })
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let instrument = survey(options)?;
    let decoder = Decoder {
        grid: Grid::new(&instrument, options.strict_scale),
        instrument,
        resting: BTreeMap::new(),
        is_lost: false,
    };
    Ok(Box::new(UntilEnd::new(LineFeed::new(Lines::open(&options.inputs)?, decoder))))
}

fn survey(options: &OpenOptions) -> Result<Instrument, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    // A log is of one market, which only its maker knows.
    let symbol = options.symbol.as_deref().map_or(stem, Cow::Borrowed);
    let mut survey = Survey::new(options);
    let mut lines = Lines::open(&options.inputs)?;
    while let Some(range) = survey.next_line(&mut lines)? {
        let line = lines.text(range).trim_ascii();
        let Some([_, kind, json]) = split(line) else { continue };
        let Ok(fields) = object::<Fields<'_>>("line", json) else { continue };
        if KINDS.contains(&kind) && survey.admits(&symbol, || lines.location())? {
            if let Ok(price) = decimal_text(("price", fields.price)) {
                survey.price(price);
            }
            if let Ok(amount) = decimal_text(("amount", fields.amount)) {
                survey.qty(amount);
            }
        }
    }
    let mut instrument = survey.finish(path, "lines of Bitstamp's live orders")?;
    instrument.venue = "bitstamp".into();
    instrument.sequencing = Sequencing::Arrival;
    Ok(instrument)
}

/// Turns lines into packets.
struct Decoder {
    instrument: Instrument,
    grid: Grid,
    /// Price in ticks and lots of each order that was told of.
    resting: BTreeMap<u64, (i64, i64)>,
    /// A line was refused: nothing is known of the book any more.
    is_lost: bool,
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
        let expected = "time, kind and JSON";
        let [time, kind, json] =
            split(line).ok_or_else(|| FieldFault::new("line", expected, line))?;
        packet.ts_event_ns = unix_ns("time", time, Unit::Milliseconds)?;
        if std::mem::take(&mut self.is_lost) {
            stats.ignore(b"line after a refused one");
            packet.kind = PacketKind::Reset;
            return Ok(true);
        }
        match kind {
            b"order_created" => self.order(json, OrderOp::Add, packet, stats)?,
            b"order_changed" => self.order(json, OrderOp::Modify, packet, stats)?,
            b"order_deleted" => self.order(json, OrderOp::Cancel, packet, stats)?,
            b"trade" => self.trade(json, packet, stats)?,
            other => {
                stats.ignore(other);
                return Ok(false);
            }
        }
        Ok(packet.touches_book() || !packet.trades.is_empty())
    }

    fn lose_book(&mut self) {
        self.resting.clear();
        self.is_lost = true;
    }
}

impl Decoder {
    fn order(
        &mut self,
        json: &[u8],
        op: OrderOp,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let fields: Fields<'_> = object("line", json)?;
        let order_id = number(("id", fields.id))?;
        let side = match fields.order_type.map(RawValue::get) {
            Some("0") => Side::Bid,
            Some("1") => Side::Ask,
            other => {
                let found = other.unwrap_or("nothing").as_bytes();
                return Err(FieldFault::new("order_type", "0 or 1", found));
            }
        };
        let price_ticks = self.grid.price("price", decimal_text(("price", fields.price))?)?;
        let (left_lots, was_rounded) =
            self.grid.qty("amount", decimal_text(("amount", fields.amount))?)?;
        stats.rounded += u64::from(was_rounded);
        stats.depth_updates += 1;
        let before = self.resting.remove(&order_id);
        let (op, qty_lots) = match (op, before) {
            (OrderOp::Cancel, _) if left_lots == 0 => (OrderOp::Fill, 0),
            (OrderOp::Cancel, _) => (OrderOp::Cancel, 0),
            (OrderOp::Modify, Some((ticks, lots))) if ticks == price_ticks && left_lots < lots => {
                (OrderOp::Fill, lots - left_lots)
            }
            (op, _) => (op, left_lots),
        };
        if !matches!(op, OrderOp::Cancel) && left_lots > 0 {
            self.resting.insert(order_id, (price_ticks, left_lots));
        }
        packet.orders.push(OrderEvent { order_id, price_ticks, qty_lots, side, op });
        Ok(())
    }

    fn trade(
        &self,
        json: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let fields: Fields<'_> = object("line", json)?;
        // Trades are written from floats, orders are not.
        let (price_ticks, price_rounded) =
            self.grid.price_through_float("price", decimal_text(("price", fields.price))?)?;
        let (qty_lots, was_rounded) =
            self.grid.qty("amount", decimal_text(("amount", fields.amount))?)?;
        stats.rounded += u64::from(price_rounded) + u64::from(was_rounded);
        if qty_lots == 0 {
            stats.ignore(b"trade of quantity 0");
            return Ok(());
        }
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor: Aggressor::Unknown });
        Ok(())
    }
}
