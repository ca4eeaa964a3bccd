//! Segments of a Chronicle queue (`specs/inputs/chronicle.md`), read only.
//!
//! A segment is a row of records; a record that is a book event or a trade is one packet. No control
//! file is needed, and nothing is skipped in silence: a hole, a missing segment and a jump of the
//! record numbers are all said.

mod event;
mod frames;
mod orders;
mod place;
mod records;
mod segment;

use market_model::{Aggressor, BookOp, Instrument, Level, Packet, PacketKind, Sequencing, Trade};

use self::event::{Body, BookEvent, TradeEvent};
use self::orders::Unpriced;
use self::place::Standing;
use self::records::Records;
use self::segment::Record;
use super::grid::Grid;
use super::survey::Survey;
use super::{MAX_LEVELS_PER_SIDE, SideCounts};
use crate::error::{Error, FieldFault};
use crate::source::{Feed, OpenOptions, Place, Source, SourceStats, UntilEnd};

const BOOK_EVENT: u16 = 0x1000;
const BOOK_TICKER: u16 = 0x1001;
const TRADE: u16 = 0x1002;

/// Whether the first bytes of a file are those of a segment.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(&segment::MAGIC)
}

pub(super) fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let found = survey(options)?;
    let instrument = found.instrument;
    Ok(Box::new(UntilEnd::new(ChronicleFeed {
        records: Records::open(options)?,
        decoder: Decoder {
            grid: Grid::new(&instrument, options.strict_scale),
            market: found.market,
            trade_hash: found.trade_hash,
            is_filtered: options.symbol.is_some(),
            snapshot_id: 0,
            unpriced: Unpriced::new(),
        },
        instrument,
        stats: SourceStats::default(),
        next_seq: None,
        waiting: Waiting::Nothing,
        failure: None,
        record: Record::default(),
        payload: Vec::new(),
    })))
}

/// A book of a queue: venue and market.
type Market = (u16, u32);

fn name((venue, market): Market) -> String {
    format!("{venue}:{market}")
}

struct Found {
    instrument: Instrument,
    market: Market,
    /// The one symbol of the trades, which do not name their market.
    trade_hash: Option<u64>,
}

fn survey(options: &OpenOptions) -> Result<Found, Error> {
    let path = options.inputs.first().ok_or(Error::NoInput)?;
    let mut survey = Survey::new(options);
    let mut records = Records::open(options)?;
    let mut payload = Vec::new();
    let (mut market, mut has_ids) = ((0, 0), false);
    let (mut trades, mut is_mixed) = (Vec::new(), false);
    while !survey.is_done() {
        let record = match records.next(&mut payload) {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(_) if survey.has_symbol() => break,
            Err(error) => return Err(error),
        };
        if record.type_id == TRADE
            && let Ok(trade) = TradeEvent::read(&payload)
        {
            trades.push(trade);
        }
        if record.type_id != BOOK_EVENT {
            continue;
        }
        let event = match BookEvent::read(&payload) {
            Ok(event) => event,
            Err(fault) => {
                survey.fault(|| fault.at(records.location(), ""));
                continue;
            }
        };
        let short = event.market.1.to_string();
        if survey.admits_either(&name(event.market), &short, || records.location())? {
            market = event.market;
            learn(&event, &mut survey, &mut has_ids);
        } else {
            is_mixed = true;
        }
    }
    let trade_hash = trades
        .first()
        .map(|trade| trade.symbol_hash)
        .filter(|hash| !is_mixed && trades.iter().all(|trade| trade.symbol_hash == *hash));
    for trade in trades.iter().filter(|_| trade_hash.is_some()) {
        survey.price(trade.price.to_string().as_bytes());
        survey.qty(trade.qty.to_string().as_bytes());
    }
    let mut instrument = survey.finish(path, "a segment with book events")?;
    instrument.venue = format!("chronicle-{}", market.0);
    instrument.sequencing = if has_ids { Sequencing::Venue } else { Sequencing::Arrival };
    Ok(Found { instrument, market, trade_hash })
}

fn learn(event: &BookEvent<'_>, survey: &mut Survey<'_>, has_ids: &mut bool) {
    let levels = match &event.body {
        Body::Snapshot(levels) => levels,
        Body::Diff { levels, ids } => {
            *has_ids |= ids.last != 0;
            levels
        }
        Body::Order(order) => {
            if order.price != 0 {
                survey.price_of(order.price, order.price_scale);
            }
            survey.qty_of(order.size, order.size_scale);
            return;
        }
        Body::Reset | Body::Heartbeat => return,
    };
    for (_, price, qty) in levels.iter() {
        survey.price_of(price, levels.price_scale);
        survey.qty_of(qty, levels.size_scale);
    }
}

/// A record that was read and gave no packet yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    /// Behind a packet that gathered the records before it.
    Unchecked,
    /// Behind a packet that says what is missing before it.
    Checked,
}

struct ChronicleFeed {
    records: Records,
    instrument: Instrument,
    decoder: Decoder,
    stats: SourceStats,
    /// Number that the next record must have.
    next_seq: Option<u64>,
    waiting: Waiting,
    /// What ended the reading behind the packet that was handed out last.
    failure: Option<Error>,
    record: Record,
    payload: Vec<u8>,
}

impl ChronicleFeed {
    /// Whether the record that was just read is not the one behind the last.
    fn is_break(&self) -> bool {
        self.records.missing.is_some() || self.next_seq.is_some_and(|next| next != self.record.seq)
    }

    /// Makes the packet say what is missing before the record that was just read.
    fn tell_break(&mut self, packet: &mut Packet) {
        let seq = self.record.seq;
        let fault = match (self.records.missing.take(), self.next_seq) {
            (Some((expected, found)), _) => FieldFault {
                field: "segment_id",
                expected: "the segment after the one before",
                found: format!("{found} in place of {expected}"),
            },
            (None, expected) if seq != 0 => FieldFault {
                field: "seq",
                expected: "the record after the one before",
                found: format!("{seq} in place of {}", expected.unwrap_or_default()),
            },
            // A writer that was opened anew counts from 0.
            _ => {
                self.decoder.unpriced.clear();
                packet.kind = PacketKind::Reset;
                return;
            }
        };
        self.stats.gaps += 1;
        self.stats.refuse(packet, fault.at(self.records.location(), &self.instrument.symbol));
    }

    fn read_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let mut is_open = false;
        loop {
            let waiting = std::mem::replace(&mut self.waiting, Waiting::Nothing);
            if waiting == Waiting::Nothing {
                match self.records.next(&mut self.payload) {
                    Ok(Some(record)) => self.record = record,
                    Ok(None) => return Ok(is_open),
                    Err(error) if is_open => {
                        self.failure = Some(error);
                        return Ok(true);
                    }
                    Err(error) => return Err(error),
                }
                self.stats.records += 1;
            }
            if waiting != Waiting::Checked {
                let is_break = self.is_break();
                if is_open && (is_break || self.decoder.ends_gathering(self.record, &self.payload))
                {
                    self.waiting = Waiting::Unchecked;
                    return Ok(true);
                }
                if is_break {
                    self.tell_break(packet);
                }
                self.next_seq = Some(self.record.seq.wrapping_add(1));
                if is_break {
                    self.waiting = Waiting::Checked;
                    return Ok(true);
                }
            }
            match self.decode(packet)? {
                Gives::Packet => return Ok(true),
                Gives::Part => is_open = true,
                Gives::Nothing if is_open => {}
                Gives::Nothing => packet.clear(),
            }
        }
    }

    /// Decodes the record that was read.
    fn decode(&mut self, packet: &mut Packet) -> Result<Gives, Error> {
        let Self { decoder, record, payload, stats, .. } = self;
        match decoder.record(*record, payload, packet, stats) {
            Ok(gives) => Ok(gives),
            Err(Refusal::Record(fault)) => {
                let fault = fault.at(self.records.location(), &self.instrument.symbol);
                self.stats.refuse(packet, fault);
                if self.record.type_id == TRADE {
                    packet.kind = PacketKind::RejectedTrade;
                }
                Ok(Gives::Packet)
            }
            Err(Refusal::SecondMarket(second)) => Err(Error::SeveralSymbols {
                location: self.records.location(),
                first: self.instrument.symbol.clone(),
                second: name(second),
            }),
        }
    }
}

impl Feed for ChronicleFeed {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let more = self.read_packet(packet)?;
        if more {
            packet.symbol_id = self.instrument.symbol_id;
            self.stats.count(packet);
        }
        Ok(more)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        self.records.progress()
    }

    fn place(&self) -> Option<Place> {
        // A record that waits was read already.
        let is_clear = self.waiting == Waiting::Nothing && self.failure.is_none();
        let (input, stored, spot) = self.records.place().filter(|_| is_clear)?;
        let standing = Standing {
            setup: self.decoder.setup(),
            spot,
            next_seq: self.next_seq,
            snapshot_id: self.decoder.snapshot_id,
            unpriced: self.decoder.unpriced.clone(),
        };
        Some(Place { input, stored, state: standing.into_bytes() })
    }

    fn resume(&mut self, place: &Place) -> Result<u64, Error> {
        let standing = Standing::read(&place.state, &self.decoder.setup())?;
        let skipped = self.records.resume(place.input, &standing.spot, &mut self.payload)?;
        self.next_seq = standing.next_seq;
        self.decoder.snapshot_id = standing.snapshot_id;
        self.decoder.unpriced = standing.unpriced;
        Ok(skipped)
    }
}

/// Why a record gives no packet.
enum Refusal {
    Record(FieldFault),
    SecondMarket(Market),
}

/// What a record gives.
enum Gives {
    Nothing,
    Packet,
    /// A part of a packet that gathers several records.
    Part,
}

impl From<FieldFault> for Refusal {
    fn from(fault: FieldFault) -> Self {
        Self::Record(fault)
    }
}

/// Turns records into packets.
struct Decoder {
    grid: Grid,
    market: Market,
    trade_hash: Option<u64>,
    is_filtered: bool,
    /// Venue's id of the last snapshot, 0 when it had none or a change came after it.
    snapshot_id: u64,
    unpriced: Unpriced,
}

impl Decoder {
    /// All that the packets depend on beside the records and the state.
    fn setup(&self) -> Vec<u8> {
        let Self { grid, market, trade_hash, is_filtered, snapshot_id: _, unpriced: _ } = self;
        format!("{market:?} {trade_hash:?} {is_filtered} {grid:?}").into_bytes()
    }

    /// Whether a record cannot be part of a packet that gathers orders.
    fn ends_gathering(&self, record: Record, payload: &[u8]) -> bool {
        match (record.type_id, BookEvent::read(payload)) {
            (BOOK_EVENT, Ok(event)) if event.market == self.market => {
                !matches!(event.body, Body::Order(order) if order.is_gathered())
            }
            (BOOK_EVENT, Ok(_)) => !self.is_filtered,
            (BOOK_EVENT, Err(_)) => true,
            (TRADE, _) => self.trade_hash.is_some(),
            _ => false,
        }
    }

    fn record(
        &mut self,
        record: Record,
        payload: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<Gives, Refusal> {
        match record.type_id {
            BOOK_EVENT => self.book_event(payload, packet, stats),
            TRADE => Ok(self.trade(payload, record.timestamp_ns, packet, stats)?),
            BOOK_TICKER => {
                stats.ignore(b"book ticker");
                Ok(Gives::Nothing)
            }
            other => {
                stats.ignore(format!("record type {other:#06x}").as_bytes());
                Ok(Gives::Nothing)
            }
        }
    }

    fn book_event(
        &mut self,
        payload: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<Gives, Refusal> {
        let event = BookEvent::read(payload)?;
        if event.market != self.market {
            if !self.is_filtered {
                return Err(Refusal::SecondMarket(event.market));
            }
            stats.ignore(b"another market");
            return Ok(Gives::Nothing);
        }
        (packet.ts_event_ns, packet.ts_recv_ns) = (event.exchange_ns, event.ingest_ns);
        let levels = match &event.body {
            Body::Reset => {
                self.unpriced.clear();
                packet.kind = PacketKind::Reset;
                return Ok(Gives::Packet);
            }
            Body::Heartbeat => {
                packet.kind = PacketKind::Heartbeat;
                return Ok(Gives::Packet);
            }
            Body::Order(order) => {
                return Ok(orders::add(order, &self.grid, &mut self.unpriced, packet, stats)?);
            }
            Body::Snapshot(levels) => {
                packet.kind = PacketKind::Snapshot;
                self.snapshot_id = event.native_seq;
                levels
            }
            Body::Diff { ids, levels } => {
                stats.depth_updates += 1;
                if ids.last != 0 && ids.last <= self.snapshot_id {
                    stats.dropped_updates += 1;
                    return Ok(Gives::Nothing);
                }
                self.snapshot_id = 0;
                (packet.first_seq, packet.seq, packet.prev_seq) = (ids.first, ids.last, ids.prev);
                levels
            }
        };
        let mut counts = SideCounts::new(MAX_LEVELS_PER_SIDE);
        for (op, price, qty) in levels.iter() {
            if !counts.admit(op) {
                let expected = "at most 10000 levels of one side";
                return Err(FieldFault { field: "levels", expected, found: "more".into() }.into());
            }
            let price_ticks = self.grid.price_of("price", price, levels.price_scale)?;
            let (qty_lots, was_rounded) = self.grid.qty_of("size", qty, levels.size_scale)?;
            stats.rounded += u64::from(was_rounded);
            packet.push_level(op, Level { price_ticks, qty_lots });
        }
        if packet.run_ends.is_empty() {
            // A change of no level still moves the ids on.
            packet.run_ends.push(market_model::Run { op: BookOp::SetBid, end: 0 });
        }
        Ok(Gives::Packet)
    }

    fn trade(
        &self,
        payload: &[u8],
        ingest_ns: i64,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<Gives, FieldFault> {
        let trade = TradeEvent::read(payload)?;
        if self.trade_hash != Some(trade.symbol_hash) {
            stats.ignore(b"trade of a market that cannot be told");
            return Ok(Gives::Nothing);
        }
        (packet.ts_event_ns, packet.ts_recv_ns) = (trade.ts_ns, ingest_ns);
        // The shortest decimal of a float is the text that it was made of.
        let price_ticks = self.grid.price("price", trade.price.to_string().as_bytes())?;
        let (qty_lots, was_rounded) = self.grid.qty("qty", trade.qty.to_string().as_bytes())?;
        stats.rounded += u64::from(was_rounded);
        if qty_lots == 0 {
            stats.ignore(b"trade of quantity 0, or below one lot");
            return Ok(Gives::Nothing);
        }
        let aggressor = if trade.is_buyer_maker { Aggressor::Sell } else { Aggressor::Buy };
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        Ok(Gives::Packet)
    }
}
