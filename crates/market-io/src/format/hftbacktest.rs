//! hftbacktest event arrays (`specs/inputs/hftbacktest.md`).
//!
//! Only rows with the LOCAL flag count, since the converter may write an event twice; a packet is
//! a run of such rows with one `local_ts`.

mod grid;

use std::path::{Path, PathBuf};

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, MAX_SCALED, Packet, PacketKind, Sequencing,
    Trade, check_ns,
};

use self::grid::{Grid, sizes};
use super::npy::{self, Row, Rows};
use super::{MAX_LEVELS_PER_SIDE, SideCounts};
use crate::bytes::total_bytes;
use crate::error::{Error, Fault, FieldFault, Location};
use crate::source::{Feed, OpenOptions, Source, SourceStats, UntilEnd};

const LOCAL: u64 = 1 << 30;
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;
const KIND_MASK: u64 = 0xff;

const KIND_DEPTH: u64 = 1;
const KIND_TRADE: u64 = 2;
const KIND_CLEAR: u64 = 3;
const KIND_SNAPSHOT: u64 = 4;
const KIND_BBO: u64 = 5;
const KIND_FIRST_L3: u64 = 10;
const KIND_LAST_L3: u64 = 13;
const KIND_FIRST_CUSTOM: u64 = 100;

const MAX_INITIAL_LEVELS: usize = 50_000;

/// Whether the first bytes of a file are those of a zip archive or of an array.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || npy::is_npy(head)
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    Ok(Box::new(UntilEnd::new(HftbacktestSource::open(options)?)))
}

/// A value that a field of a row may not have.
#[cold]
fn value_fault(field: &'static str, expected: &'static str, value: f64) -> FieldFault {
    FieldFault { field, expected, found: value.to_string() }
}

/// Turns rows into packet content.
#[derive(Debug, Clone, Copy)]
struct Grids {
    price: Grid,
    qty: Grid,
}

impl Grids {
    #[inline]
    fn push_level(
        &self,
        row: &Row,
        packet: &mut Packet,
        counts: &mut SideCounts,
    ) -> Result<(), FieldFault> {
        let side = row.ev & (BUY | SELL);
        let op = if side == BUY { BookOp::SetBid } else { BookOp::SetAsk };
        let (price, qty) = (self.price.steps(row.px), self.qty.steps(row.qty));
        if let (Some(price_ticks @ 1..), Some(qty_lots), BUY | SELL) = (price, qty, side)
            && counts.admit(op)
        {
            packet.push_level(op, Level { price_ticks, qty_lots });
            return Ok(());
        }
        Err(self.level_fault(row))
    }

    /// Takes the rows that differ from a level taken before in nothing but price and quantity; how
    /// many there are. Real files hold long runs of them.
    #[inline]
    fn push_levels_like(
        &self,
        like: &Row,
        rows: &[Row],
        packet: &mut Packet,
        counts: &mut SideCounts,
    ) -> usize {
        let op = if like.ev & BUY != 0 { BookOp::SetBid } else { BookOp::SetAsk };
        let same = |row: &&Row| {
            (row.ev, row.local_ts_ns, row.exch_ts_ns)
                == (like.ev, like.local_ts_ns, like.exch_ts_ns)
        };
        let level = |row: &Row| match (self.price.steps(row.px), self.qty.steps(row.qty)) {
            (Some(price_ticks @ 1..), Some(qty_lots)) => Some(Level { price_ticks, qty_lots }),
            _ => None,
        };
        let rows = rows.iter().take(counts.room(op)).take_while(same);
        let taken = packet.extend_levels(op, rows.map_while(level));
        counts.add(op, taken);
        taken
    }

    /// The reason why [`Grids::push_level`] takes a row no further.
    #[cold]
    fn level_fault(&self, row: &Row) -> FieldFault {
        if !matches!(row.ev & (BUY | SELL), BUY | SELL) {
            return side_fault(row);
        }
        if let Err(fault) = self.price_ticks(row).and_then(|_| self.qty_lots(row)) {
            return fault;
        }
        FieldFault {
            field: "ev",
            expected: "at most 10000 levels of one side in a packet (50000 in an initial book)",
            found: "more".into(),
        }
    }

    fn push_trade(
        &self,
        row: &Row,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let aggressor = match row.ev & (BUY | SELL) {
            BUY => Aggressor::Buy,
            SELL => Aggressor::Sell,
            0 => Aggressor::Unknown,
            _ => return Err(side_fault(row)),
        };
        let price_ticks = self.price_ticks(row)?;
        let qty_lots = self.qty_lots(row)?;
        if qty_lots == 0 {
            stats.ignore(b"trade of quantity 0");
            return Ok(());
        }
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        Ok(())
    }

    fn push_clear(&self, row: &Row, packet: &mut Packet) -> Result<(), FieldFault> {
        let op = match row.ev & (BUY | SELL) {
            BUY => BookOp::ClearBid,
            SELL => BookOp::ClearAsk,
            0 => {
                packet.push_clear_side(BookOp::ClearBid);
                packet.push_clear_side(BookOp::ClearAsk);
                return Ok(());
            }
            _ => return Err(side_fault(row)),
        };
        // hftbacktest clears the whole side when the bound is not a number.
        if !row.px.is_finite() {
            packet.push_clear_side(op);
            return Ok(());
        }
        let price_ticks = self.price_ticks(row)?;
        packet.push_level(op, Level { price_ticks, qty_lots: 0 });
        Ok(())
    }

    #[inline]
    fn price_ticks(&self, row: &Row) -> Result<i64, FieldFault> {
        match self.price.steps(row.px) {
            Some(ticks) if ticks > 0 => Ok(ticks),
            _ => Err(self.price_fault(row.px)),
        }
    }

    #[inline]
    fn qty_lots(&self, row: &Row) -> Result<i64, FieldFault> {
        self.qty.steps(row.qty).ok_or_else(|| self.qty_fault(row.qty))
    }

    #[cold]
    fn price_fault(&self, px: f64) -> FieldFault {
        let on_grid = "a price on the tick grid (pass --tick-size to set the grid)";
        let positive = "a positive price up to 2^53-1 after scaling";
        let usable = px > 0.0 && px * self.price.power <= MAX_SCALED as f64;
        value_fault("px", if usable { on_grid } else { positive }, px)
    }

    #[cold]
    fn qty_fault(&self, qty: f64) -> FieldFault {
        let on_grid = "a quantity on the lot grid (pass --lot-size to set the grid)";
        let positive = "a quantity from 0 up to 2^53-1 after scaling";
        let usable = qty >= 0.0 && qty * self.qty.power <= MAX_SCALED as f64;
        value_fault("qty", if usable { on_grid } else { positive }, qty)
    }
}

#[cold]
fn side_fault(row: &Row) -> FieldFault {
    let found = format!("{:#x}", row.ev);
    FieldFault { field: "ev", expected: "one side flag (bit 29 buy, bit 28 sell)", found }
}

/// Why [`Group::take`] stopped before the end of its rows.
enum Stop {
    /// The next row belongs to another packet.
    PacketEnd,
    /// The next row is refused, and with it the packet.
    Refused(FieldFault),
    /// The next row makes the rest of the input unusable.
    Fatal(FieldFault),
    /// The next row is an order-by-order event of this kind.
    OrderEvent(u64),
}

/// The rows of one `local_ts`, while they are collected.
struct Group {
    local_ts_ns: Option<i64>,
    /// Local time of the packet before, below which no row may lie.
    floor_ns: i64,
    exch_ts_ns: i64,
    counts: SideCounts,
    has_clear: bool,
    has_snapshot: bool,
    refused: bool,
}

impl Group {
    const fn new(floor_ns: i64) -> Self {
        Self {
            local_ts_ns: None,
            floor_ns,
            exch_ts_ns: 0,
            counts: SideCounts::new(MAX_LEVELS_PER_SIDE),
            has_clear: false,
            has_snapshot: false,
            refused: false,
        }
    }

    fn has_content(&self, packet: &Packet) -> bool {
        self.refused || packet.touches_book() || !packet.trades.is_empty()
    }

    /// Takes rows into the packet; the number taken, and why it stopped early.
    fn take(
        &mut self,
        rows: &[Row],
        grids: &Grids,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> (usize, Option<Stop>) {
        let mut next = 0;
        while let Some(row) = rows.get(next) {
            let index = next;
            next += 1;
            if row.ev & LOCAL == 0 {
                continue;
            }
            if self.local_ts_ns != Some(row.local_ts_ns) {
                if self.has_content(packet) {
                    return (index, Some(Stop::PacketEnd));
                }
                if let Err(fault) = self.begin(row, packet) {
                    return (index, Some(Stop::Fatal(fault)));
                }
            }
            if self.refused {
                continue;
            }
            if let Err(stop) = self.take_row(row, grids, packet, stats) {
                return (index, Some(stop));
            }
            if matches!(row.ev & KIND_MASK, KIND_DEPTH | KIND_SNAPSHOT) {
                next += grids.push_levels_like(row, &rows[next..], packet, &mut self.counts);
            }
        }
        (rows.len(), None)
    }

    fn begin(&mut self, row: &Row, packet: &mut Packet) -> Result<(), FieldFault> {
        let local_ts_ns = row.local_ts_ns;
        let fault = |expected, found| Err(FieldFault { field: "local_ts", expected, found });
        if local_ts_ns < self.floor_ns {
            let found = format!("{local_ts_ns} after {}", self.floor_ns);
            return fault("local times that do not decrease", found);
        }
        if local_ts_ns != 0
            && let Err(wrong) = check_ns(local_ts_ns)
        {
            return fault("0 or a time in ns", wrong.to_string());
        }
        *self = Self::new(local_ts_ns);
        self.local_ts_ns = Some(local_ts_ns);
        packet.ts_recv_ns = local_ts_ns;
        packet.ts_event_ns = 0;
        Ok(())
    }

    #[inline]
    fn take_row(
        &mut self,
        row: &Row,
        grids: &Grids,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), Stop> {
        if row.exch_ts_ns != self.exch_ts_ns {
            if row.exch_ts_ns != 0
                && let Err(wrong) = check_ns(row.exch_ts_ns)
            {
                let found = wrong.to_string();
                let expected = "0 or a time in ns";
                return Err(Stop::Refused(FieldFault { field: "exch_ts", expected, found }));
            }
            self.exch_ts_ns = row.exch_ts_ns;
            packet.ts_event_ns = packet.ts_event_ns.max(row.exch_ts_ns);
        }
        let kind = row.ev & KIND_MASK;
        let result = match kind {
            KIND_DEPTH => grids.push_level(row, packet, &mut self.counts),
            KIND_SNAPSHOT => {
                self.has_snapshot = true;
                grids.push_level(row, packet, &mut self.counts)
            }
            KIND_TRADE => grids.push_trade(row, packet, stats),
            KIND_CLEAR => {
                self.has_clear = true;
                grids.push_clear(row, packet)
            }
            KIND_BBO => {
                stats.ignore(b"kind 5");
                Ok(())
            }
            KIND_FIRST_CUSTOM.. => {
                stats.ignore(format!("kind {kind}").as_bytes());
                Ok(())
            }
            KIND_FIRST_L3..=KIND_LAST_L3 => return Err(Stop::OrderEvent(kind)),
            _ => Err(FieldFault {
                field: "ev",
                expected: "kind 1 to 5, 10 to 13, or 100 and above",
                found: format!("kind {kind}"),
            }),
        };
        result.map_err(Stop::Refused)
    }
}

/// The rows of all inputs in order.
struct Reader {
    inputs: Vec<PathBuf>,
    opened: usize,
    rows: Option<Rows>,
    index: usize,
    closed_bytes: u64,
    total_bytes: u64,
}

impl Reader {
    /// Makes sure that a row is at hand; `false` at the end of the last input.
    fn ready(&mut self) -> Result<bool, Error> {
        loop {
            if let Some(rows) = &mut self.rows {
                if self.index < rows.chunk().len() {
                    return Ok(true);
                }
                self.index = 0;
                if rows.advance()? {
                    return Ok(true);
                }
                self.closed_bytes += rows.position();
                self.rows = None;
            }
            let Some(path) = self.inputs.get(self.opened) else { return Ok(false) };
            self.opened += 1;
            self.rows = Some(Rows::open(path)?);
        }
    }

    fn rest(&self) -> &[Row] {
        self.rows.as_ref().map_or(&[], |rows| &rows.chunk()[self.index..])
    }

    /// Where the next row is.
    fn location(&self) -> Location {
        match &self.rows {
            Some(rows) => rows.location(self.index),
            None => Location::file(&self.inputs[self.opened.saturating_sub(1)]),
        }
    }
}

/// What comes before the rows.
enum State {
    /// A book that was given beside the rows.
    Initial(Box<Packet>),
    /// The first packet, read early because the initial book takes its times.
    First(Box<Packet>),
    Rows,
}

/// Packets of hftbacktest arrays.
struct HftbacktestSource {
    instrument: Instrument,
    stats: SourceStats,
    reader: Reader,
    grids: Grids,
    last_local_ts_ns: i64,
    state: State,
}

impl HftbacktestSource {
    fn open(options: &OpenOptions) -> Result<Self, Error> {
        let first = options.inputs.first().ok_or(Error::NoInput)?;
        let total_bytes = total_bytes(&options.inputs)?;
        // Every header is checked before the first packet is handed out.
        for path in &options.inputs {
            Rows::open(path)?;
        }
        let symbol = match &options.symbol {
            Some(symbol) => symbol.clone(),
            None => first.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let (tick, lot) = sizes(options, &symbol)?;
        let mut instrument = Instrument::new(options.symbol_id, &symbol, &tick, &lot)?;
        instrument.feed = FeedKind::Delta;
        instrument.sequencing = Sequencing::Arrival;
        let mut source = Self {
            grids: Grids {
                price: Grid::new(instrument.price_scale, instrument.tick_scaled),
                qty: Grid::new(instrument.qty_scale, instrument.lot_scaled),
            },
            instrument,
            stats: SourceStats::default(),
            reader: Reader {
                inputs: options.inputs.clone(),
                opened: 0,
                rows: None,
                index: 0,
                closed_bytes: 0,
                total_bytes,
            },
            last_local_ts_ns: i64::MIN,
            state: State::Rows,
        };
        if let Some(path) = &options.initial_snapshot {
            source.state = State::Initial(Box::new(source.read_initial(path)?));
        }
        Ok(source)
    }

    /// The book of an end-of-day file: rows of kind 4 without times.
    fn read_initial(&self, path: &Path) -> Result<Packet, Error> {
        let mut rows = Rows::open(path)?;
        let mut packet = Packet { kind: PacketKind::Snapshot, ..Packet::default() };
        packet.symbol_id = self.instrument.symbol_id;
        let mut counts = SideCounts::new(MAX_INITIAL_LEVELS);
        while rows.advance()? {
            for (index, row) in rows.chunk().iter().enumerate() {
                let result = if row.ev & KIND_MASK == KIND_SNAPSHOT {
                    self.grids.push_level(row, &mut packet, &mut counts)
                } else {
                    let found = format!("kind {}", row.ev & KIND_MASK);
                    Err(FieldFault { field: "ev", expected: "kind 4 (snapshot) only", found })
                };
                result.map_err(|fault| self.located(fault, rows.location(index)))?;
            }
        }
        Ok(packet)
    }

    fn located(&self, fault: FieldFault, location: Location) -> Fault {
        fault.at(location, &self.instrument.symbol)
    }

    /// Reads the rows of the next packet that has content or is refused.
    fn read_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let mut group = Group::new(self.last_local_ts_ns);
        let mut refused: Option<Fault> = None;
        while self.reader.ready()? {
            let (taken, stop) =
                group.take(self.reader.rest(), &self.grids, packet, &mut self.stats);
            self.reader.index += taken;
            self.stats.records += taken as u64;
            match stop {
                None => {}
                Some(Stop::PacketEnd) => break,
                Some(Stop::Refused(fault)) => {
                    refused = Some(self.located(fault, self.reader.location()));
                    group.refused = true;
                }
                Some(Stop::Fatal(fault)) => {
                    return Err(self.located(fault, self.reader.location()).into());
                }
                Some(Stop::OrderEvent(kind)) => return Err(self.order_event(kind)),
            }
        }
        self.last_local_ts_ns = group.local_ts_ns.unwrap_or(self.last_local_ts_ns);
        if let Some(fault) = refused {
            self.stats.refuse(packet, fault);
        } else if !group.has_content(packet) {
            return Ok(false);
        } else if group.has_clear && group.has_snapshot {
            packet.kind = PacketKind::Snapshot;
        }
        packet.symbol_id = self.instrument.symbol_id;
        Ok(true)
    }

    #[cold]
    fn order_event(&self, kind: u64) -> Error {
        let what = format!(
            "{}: field `ev`: expected kind 1 to 5 or 100 and above, found order event {kind}; \
             order-by-order data comes with the L3 book",
            self.instrument.symbol
        );
        Error::Unsupported { location: self.reader.location(), what }
    }
}

impl Feed for HftbacktestSource {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let more = match std::mem::replace(&mut self.state, State::Rows) {
            State::Initial(initial) => {
                let mut first = Box::<Packet>::default();
                let more = self.read_packet(&mut first)?;
                *packet = *initial;
                (packet.ts_event_ns, packet.ts_recv_ns) = (first.ts_event_ns, first.ts_recv_ns);
                if more {
                    self.state = State::First(first);
                }
                true
            }
            State::First(first) => {
                *packet = *first;
                true
            }
            State::Rows => self.read_packet(packet)?,
        };
        if more {
            self.stats.count(packet);
            self.stats.depth_updates += u64::from(packet.touches_book());
        }
        Ok(more)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        let current = self.reader.rows.as_ref().map_or(0, Rows::position);
        let total = self.reader.total_bytes;
        ((self.reader.closed_bytes + current).min(total), total)
    }
}
