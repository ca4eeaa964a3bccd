//! Databento binary files (`specs/inputs/dbn.md`): schemas `mbo`, `mbp-1`, `mbp-10`, `trades`.
//!
//! A packet ends with the record that has `F_LAST`; its book is the one that its last record shows, or
//! its orders are those of all records. Records of the schema `trades` lack that flag and are packets of
//! their own.

mod file;
mod orders;

use std::path::PathBuf;

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, Packet, PacketKind, Sequencing, Trade, check_ns,
};

use self::file::{DbnFile, MAGIC};
use self::orders::Orders;
use super::grid::Grid;
use super::survey::Survey;
use crate::bytes::{total_bytes, u32_at, u64_at};
use crate::error::{Error, FieldFault, Location};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

const PRICE_DECIMALS: u8 = 9;
const UNDEFINED_PRICE: i64 = i64::MAX;
const UNDEFINED_TIME: u64 = u64::MAX;
const F_LAST: u8 = 1 << 7;
/// Records up to their levels.
const EVENT_BYTES: usize = 48;
const LEVEL_BYTES: usize = 32;
const ORDER_BYTES: usize = 56;

/// Record types.
const TRADE: u8 = 0;
const MBP_1: u8 = 1;
const MBP_10: u8 = 10;
const MBO: u8 = 0xa0;

/// Whether the first bytes of a file are those of DBN metadata.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let instrument = survey(options)?;
    Ok(Box::new(UntilEnd::new(DbnFeed {
        records: Records::open(options)?,
        grid: Grid::new(&instrument, options.strict_scale),
        is_filtered: options.symbol.is_some(),
        instrument,
        stats: SourceStats::default(),
        orders: Orders::default(),
        known: (0, 0),
    })))
}

/// The records of all files in order.
struct Records {
    inputs: Vec<PathBuf>,
    opened: usize,
    file: Option<DbnFile>,
    closed_bytes: u64,
    total_bytes: u64,
}

impl Records {
    fn open(options: &OpenOptions) -> Result<Self, Error> {
        Ok(Self {
            inputs: options.inputs.clone(),
            opened: 0,
            file: None,
            closed_bytes: 0,
            total_bytes: total_bytes(&options.inputs)?,
        })
    }

    fn next(&mut self) -> Result<bool, Error> {
        loop {
            if let Some(file) = &mut self.file {
                if file.next()? {
                    return Ok(true);
                }
                self.closed_bytes += file.position();
                self.file = None;
            }
            let Some(path) = self.inputs.get(self.opened) else { return Ok(false) };
            self.opened += 1;
            self.file = Some(DbnFile::open(path)?);
        }
    }

    fn location(&self) -> Location {
        match &self.file {
            Some(file) => file.location(),
            None => Location::file(&self.inputs[self.opened.saturating_sub(1)]),
        }
    }

    /// The bytes of the last record.
    fn last(&self) -> &[u8] {
        self.file.as_ref().map_or(&[], DbnFile::last)
    }

    /// Whether an instrument has this name, or this number when it has none.
    fn is_named(&self, id: u32, symbol: &str) -> bool {
        match self.file.as_ref().and_then(|file| file.symbol(id)) {
            Some(name) => name == symbol,
            None => symbol.parse() == Ok(id),
        }
    }

    /// Name of an instrument, and its number as text.
    fn names(&self, id: u32) -> (String, String) {
        let number = id.to_string();
        let name = self.file.as_ref().and_then(|file| file.symbol(id));
        (name.map_or_else(|| number.clone(), str::to_owned), number)
    }
}

fn survey(options: &OpenOptions) -> Result<Instrument, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut survey = Survey::new(options);
    let mut records = Records::open(options)?;
    let mut venue = String::new();
    let mut has_books = false;
    while !survey.is_done() {
        match records.next() {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) if survey.has_symbol() => break,
            Err(error) => return Err(error),
        }
        let Some(event) = Event::read(records.last()) else { continue };
        let (name, number) = records.names(event.instrument_id);
        if !survey.admits_either(&name, &number, || records.location())? {
            continue;
        }
        if let Some(file) = &records.file {
            venue = file.dataset.to_lowercase();
        }
        has_books |= !event.levels.is_empty();
        let shown = event.levels().flat_map(|level| level.map(|(_, price, _)| price));
        for price in shown.chain([event.price]).filter(|price| *price != UNDEFINED_PRICE) {
            survey.price_of(price, PRICE_DECIMALS);
        }
    }
    let mut instrument = survey.finish(path, "records of mbo, mbp-1, mbp-10 or trades")?;
    instrument.venue = venue;
    instrument.sequencing = Sequencing::Arrival;
    if has_books {
        instrument.feed = FeedKind::Snapshot;
    }
    Ok(instrument)
}

/// A record of an event: of one order, or with the book after it, or of the schema `trades`.
struct Event<'a> {
    instrument_id: u32,
    /// Of the schema `mbo` only.
    order_id: Option<u64>,
    ts_event: u64,
    price: i64,
    size: u32,
    action: u8,
    side: u8,
    flags: u8,
    ts_recv: u64,
    levels: &'a [u8],
}

impl<'a> Event<'a> {
    /// `None` for records of other types, and for those whose length is not that of their type.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes[1] == MBO {
            return Self::read_order(bytes);
        }
        let levels = match bytes[1] {
            TRADE => 0,
            MBP_1 => 1,
            MBP_10 => 10,
            _ => return None,
        };
        let end = EVENT_BYTES + levels * LEVEL_BYTES;
        // Behind the record there may be the time at which it was sent.
        let levels = bytes.get(EVENT_BYTES..end)?;
        Some(Self {
            instrument_id: u32_at(bytes, 4),
            order_id: None,
            ts_event: u64_at(bytes, 8),
            price: u64_at(bytes, 16).cast_signed(),
            size: u32_at(bytes, 24),
            action: bytes[28],
            side: bytes[29],
            flags: bytes[30],
            ts_recv: u64_at(bytes, 32),
            levels,
        })
    }

    fn read_order(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.get(..ORDER_BYTES)?;
        Some(Self {
            instrument_id: u32_at(bytes, 4),
            order_id: Some(u64_at(bytes, 16)),
            ts_event: u64_at(bytes, 8),
            price: u64_at(bytes, 24).cast_signed(),
            size: u32_at(bytes, 32),
            action: bytes[38],
            side: bytes[39],
            flags: bytes[36],
            ts_recv: u64_at(bytes, 40),
            levels: &[],
        })
    }

    fn is_last(&self) -> bool {
        let is_trade_alone = self.order_id.is_none() && self.levels.is_empty();
        self.flags & F_LAST != 0 || is_trade_alone
    }

    /// Bid and ask of each level: side, price, size.
    fn levels(&self) -> impl Iterator<Item = [(BookOp, i64, u32); 2]> {
        self.levels.chunks_exact(LEVEL_BYTES).map(|level| {
            let price = |at| u64_at(level, at).cast_signed();
            [
                (BookOp::SetBid, price(0), u32_at(level, 16)),
                (BookOp::SetAsk, price(8), u32_at(level, 20)),
            ]
        })
    }
}

struct DbnFeed {
    records: Records,
    instrument: Instrument,
    grid: Grid,
    is_filtered: bool,
    stats: SourceStats,
    orders: Orders,
    /// Number of a file from 1, and the instrument that has our name in it.
    known: (usize, u32),
}

impl DbnFeed {
    /// Reads records up to the last one of a packet; `false` at the end.
    fn read_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let (mut fault, mut is_open) = (None, false);
        while self.records.next()? {
            self.stats.records += 1;
            let bytes = self.records.last();
            let Some(event) = Event::read(bytes) else {
                self.stats.ignore(format!("record type {:#04x}", bytes[1]).as_bytes());
                continue;
            };
            let asked = (self.records.opened, event.instrument_id);
            if self.known != asked && self.records.is_named(asked.1, &self.instrument.symbol) {
                self.known = asked;
            }
            if self.known != asked {
                if !self.is_filtered {
                    let (name, number) = self.records.names(event.instrument_id);
                    return Err(Error::SeveralSymbols {
                        location: self.records.location(),
                        first: self.instrument.symbol.clone(),
                        second: if name.is_empty() { number } else { name },
                    });
                }
                self.stats.ignore(b"another symbol");
                continue;
            }
            if event.order_id.is_some() && self.instrument.feed == FeedKind::Snapshot {
                self.stats.ignore(b"order beside levels");
                continue;
            }
            is_open = true;
            if fault.is_none()
                && let Err(wrong) =
                    add(&event, &self.grid, &mut self.orders, packet, &mut self.stats)
            {
                fault = Some(wrong.at(self.records.location(), &self.instrument.symbol));
            }
            if event.is_last() {
                if let Some(fault) = fault {
                    self.stats.refuse(packet, fault);
                }
                return Ok(true);
            }
        }
        if is_open {
            self.stats.ignore(b"event without its last record");
        }
        Ok(false)
    }
}

fn add(
    event: &Event<'_>,
    grid: &Grid,
    orders: &mut Orders,
    packet: &mut Packet,
    stats: &mut SourceStats,
) -> Result<(), FieldFault> {
    packet.ts_event_ns = packet.ts_event_ns.max(time_ns("ts_event", event.ts_event)?);
    packet.ts_recv_ns = time_ns("ts_recv", event.ts_recv)?;
    if let Some(order_id) = event.order_id {
        return orders.add(event, order_id, grid, packet, stats);
    }
    if event.action == b'T' {
        push_trade(event, grid, packet, stats)?;
    }
    if event.levels.is_empty() {
        return Ok(());
    }
    // A later record of the packet replaces the book of an earlier one.
    packet.kind = PacketKind::Snapshot;
    packet.levels.clear();
    packet.run_ends.clear();
    stats.depth_updates += 1;
    for side in 0..2 {
        for level in event.levels() {
            let (op, price, size) = level[side];
            if price != UNDEFINED_PRICE && size != 0 {
                let price_ticks = grid.price_of("levels", price, PRICE_DECIMALS)?;
                let (qty_lots, _) = grid.qty_of("levels", size.into(), 0)?;
                packet.push_level(op, Level { price_ticks, qty_lots });
            }
        }
    }
    Ok(())
}

fn push_trade(
    event: &Event<'_>,
    grid: &Grid,
    packet: &mut Packet,
    stats: &mut SourceStats,
) -> Result<(), FieldFault> {
    let price_ticks = grid.price_of("price", event.price, PRICE_DECIMALS)?;
    let (qty_lots, _) = grid.qty_of("size", event.size.into(), 0)?;
    let aggressor = match event.side {
        b'A' => Aggressor::Sell,
        b'B' => Aggressor::Buy,
        _ => Aggressor::Unknown,
    };
    if qty_lots == 0 {
        stats.ignore(b"trade of quantity 0");
    } else {
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
    }
    Ok(())
}

fn time_ns(field: &'static str, value: u64) -> Result<i64, FieldFault> {
    if value == UNDEFINED_TIME || value == 0 {
        return Ok(0);
    }
    i64::try_from(value).ok().and_then(|ns| check_ns(ns).ok()).ok_or_else(|| FieldFault {
        field,
        expected: "a time in ns between 2000 and 2100",
        found: value.to_string(),
    })
}

impl Feed for DbnFeed {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        loop {
            packet.clear();
            if !self.read_packet(packet)? {
                return Ok(false);
            }
            let is_refused = packet.kind == PacketKind::Rejected;
            if is_refused || packet.touches_book() || !packet.trades.is_empty() {
                packet.symbol_id = self.instrument.symbol_id;
                self.stats.count(packet);
                return Ok(true);
            }
        }
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        let current = self.records.file.as_ref().map_or(0, DbnFile::position);
        (self.records.closed_bytes + current, self.records.total_bytes)
    }
}
