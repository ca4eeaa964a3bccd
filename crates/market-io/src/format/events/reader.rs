//! Lines to packets. The log is our own, so anything wrong in it ends the reading.

use std::ops::Range;
use std::path::{Path, PathBuf};

use market_model::{Instrument, Level, OrderEvent, Packet, PacketKind, Run, Trade};
use serde_json::{Map, Value};

use super::line::{AGGRESSORS, InstrumentLine, KINDS, OPS, ORDER_OPS, PacketLine, SIDES, value};
use super::{MAGIC, VERSION};
use crate::bytes::{Line, Lines};
use crate::error::{Error, Fault, Location, quoted};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

/// Whether the first bytes of a file are the beginning of a packet log.
pub(crate) fn looks_like(head: &[u8]) -> bool {
    head.strip_prefix(b"{\"").is_some_and(|rest| rest.starts_with(MAGIC.as_bytes()))
}

/// Opens packet logs as one stream; their headers must name the same instrument.
pub(crate) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let mut lines = Lines::open(&options.inputs)?;
    let (mut instrument, _) = header(&mut lines)?;
    check_options(options, &instrument)?;
    instrument.symbol_id = options.symbol_id;
    let (path, stats) = (lines.path().into(), SourceStats::default());
    Ok(Box::new(UntilEnd::new(EventsSource { path, lines, instrument, stats })))
}

/// Reads the header of a packet log: the instrument, and the keys that the format does not define.
///
/// # Errors
///
/// [`Error`] when the file cannot be read or does not begin with a header.
pub fn read_events_header(path: &Path) -> Result<(Instrument, Map<String, Value>), Error> {
    header(&mut Lines::open(&[path.into()])?)
}

/// Packets of a packet log.
struct EventsSource {
    lines: Lines,
    /// File of the last line.
    path: PathBuf,
    instrument: Instrument,
    stats: SourceStats,
}

fn header(lines: &mut Lines) -> Result<(Instrument, Map<String, Value>), Error> {
    match lines.next_line()? {
        Some(Line::Text(range)) => parse_header(lines, range),
        other => {
            let found = if other.is_none() { "no line" } else { "a line above 4 MiB" };
            Err(fault(lines.location(), "header", "a header line", found.into()).into())
        }
    }
}

fn parse_header(
    lines: &Lines,
    range: Range<usize>,
) -> Result<(Instrument, Map<String, Value>), Error> {
    let text = lines.text(range);
    let at = |field: &str, expected: &str, found: String| {
        Error::from(fault(lines.location(), field, expected, found))
    };
    let mut map: Map<String, Value> = serde_json::from_slice(text)
        .map_err(|e| at("header", "a JSON object", format!("{}: {e}", quoted(text))))?;
    let version = map.shift_remove(MAGIC);
    if version != Some(VERSION.into()) {
        let found = version.map_or_else(|| "nothing".into(), |v| quoted(v.to_string().as_bytes()));
        return Err(at(MAGIC, "1", found));
    }
    let line = map.shift_remove("instrument").unwrap_or_default();
    let line: InstrumentLine = serde_json::from_value(line)
        .map_err(|e| at("instrument", "an instrument", quoted(e.to_string().as_bytes())))?;
    let instrument = line
        .read()
        .map_err(|(field, expected, found)| at(field, expected, quoted(found.as_bytes())))?;
    Ok((instrument, map))
}

fn fault(location: Location, field: &str, expected: &str, found: String) -> Fault {
    Fault { location, symbol: String::new(), field: field.into(), expected: expected.into(), found }
}

/// The header says all; options may only agree with it.
fn check_options(options: &OpenOptions, instrument: &Instrument) -> Result<(), Error> {
    if let Some(symbol) = options.symbol.as_ref().filter(|s| **s != instrument.symbol) {
        return Err(Error::UnknownSymbol {
            path: options.inputs.first().cloned().unwrap_or_default(),
            symbol: symbol.clone(),
            seen: vec![instrument.symbol.clone()],
        });
    }
    let own = |scaled: i64, scale: u8| format!("{scaled}e-{scale}");
    let tick = own(instrument.tick_scaled, instrument.price_scale);
    let lot = own(instrument.lot_scaled, instrument.qty_scale);
    let asked_tick = options.tick_size.as_ref().unwrap_or(&tick);
    let asked_lot = options.lot_size.as_ref().unwrap_or(&lot);
    let [asked, is] = [(asked_tick, asked_lot), (&tick, &lot)]
        .map(|(tick, lot)| Instrument::new(0, &instrument.symbol, tick, lot));
    let (asked, is) = (asked?, is?);
    let expected = "the size in the header of the packet log, or nothing";
    if (asked.price_scale, asked.tick_scaled) != (is.price_scale, is.tick_scaled) {
        return Err(Error::Option { option: "tick_size", expected, found: asked_tick.clone() });
    }
    if (asked.qty_scale, asked.lot_scaled) != (is.qty_scale, is.lot_scaled) {
        return Err(Error::Option { option: "lot_size", expected, found: asked_lot.clone() });
    }
    Ok(())
}

impl EventsSource {
    fn read_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        loop {
            let Some(line) = self.lines.next_line()? else { return Ok(false) };
            let Line::Text(range) = line else {
                let place = self.lines.location();
                return Err(fault(place, "line", "at most 4 MiB", "more".into()).into());
            };
            if self.lines.path() != self.path {
                self.path = self.lines.path().into();
                let (mut next, _) = parse_header(&self.lines, range)?;
                next.symbol_id = self.instrument.symbol_id;
                if next != self.instrument {
                    let found = "another instrument".into();
                    let place = self.lines.location();
                    return Err(fault(place, "instrument", "that of the first file", found).into());
                }
                continue;
            }
            self.stats.records += 1;
            let text = self.lines.text(range);
            fill(packet, text).map_err(|(field, expected, found)| {
                let mut fault = fault(self.lines.location(), field, expected, found);
                fault.symbol.clone_from(&self.instrument.symbol);
                fault
            })?;
            packet.symbol_id = self.instrument.symbol_id;
            return Ok(true);
        }
    }
}

type Wrong = (&'static str, &'static str, String);

fn fill(packet: &mut Packet, text: &[u8]) -> Result<(), Wrong> {
    let line: PacketLine<'_> = serde_json::from_slice(text)
        .map_err(|e| ("line", "a packet", format!("{}: {e}", quoted(text))))?;
    let word = |text: &str| quoted(text.as_bytes());
    packet.kind = value(&KINDS, line.k)
        .ok_or_else(|| ("k", "delta, snapshot, reset, heartbeat or rejected", word(line.k)))?;
    packet.ts_event_ns = line.e;
    packet.ts_recv_ns = line.r;
    (packet.seq, packet.first_seq, packet.prev_seq) = (line.s, line.f, line.p);
    packet.checksum_mismatch = match line.c {
        0 => false,
        1 => true,
        other => return Err(("c", "0 or 1", other.to_string())),
    };
    for (op, levels) in &line.runs {
        let op = value(&OPS, op)
            .ok_or_else(|| ("runs", "set_bid, set_ask, clear_bid or clear_ask", word(op)))?;
        packet.levels.extend(levels.iter().map(|&(price, qty)| Level::new(price, qty)));
        let end = u32::try_from(packet.levels.len());
        let end = end.map_err(|_| ("runs", "fewer than 2^32 levels", "more".into()))?;
        packet.run_ends.push(Run { op, end });
    }
    for &(op, order_id, side, price_ticks, qty_lots) in &line.o {
        let op =
            value(&ORDER_OPS, op).ok_or_else(|| ("o", "add, modify, cancel or fill", word(op)))?;
        let side = value(&SIDES, side).ok_or_else(|| ("o", "bid or ask", word(side)))?;
        packet.orders.push(OrderEvent { order_id, price_ticks, qty_lots, side, op });
    }
    for &(price_ticks, qty_lots, side) in &line.t {
        let aggressor =
            value(&AGGRESSORS, side).ok_or_else(|| ("t", "buy, sell or unknown", word(side)))?;
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
    }
    Ok(())
}

impl Feed for EventsSource {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let more = self.read_packet(packet)?;
        if more {
            self.stats.count(packet);
            let is_update = packet.kind != PacketKind::Snapshot && packet.touches_book();
            self.stats.depth_updates += u64::from(is_update);
        }
        Ok(more)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        self.lines.progress()
    }
}
