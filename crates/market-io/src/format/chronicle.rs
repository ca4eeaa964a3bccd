//! Segments of a Chronicle queue (`specs/inputs/chronicle.md`), read only.
//!
//! A segment is a row of records; a record that is a book event or a trade is one packet. No control
//! file is needed, and nothing is skipped in silence: a hole, a missing segment and a jump of the
//! record numbers are all said.

mod event;
mod frames;
mod place;
mod records;
mod segment;

use market_model::{Aggressor, BookOp, Instrument, Level, Packet, PacketKind, Sequencing, Trade};

use self::event::{Body, BookEvent, TradeEvent};
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
        },
        instrument,
        stats: SourceStats::default(),
        next_seq: None,
        is_pending: false,
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
        _ => return,
    };
    for (_, price, qty) in levels.iter() {
        survey.price(format!("{price}e-{}", levels.price_scale).as_bytes());
        survey.qty(format!("{qty}e-{}", levels.size_scale).as_bytes());
    }
}

struct ChronicleFeed {
    records: Records,
    instrument: Instrument,
    decoder: Decoder,
    stats: SourceStats,
    /// Number that the next record must have.
    next_seq: Option<u64>,
    /// A record was read and waits behind a packet that says what is missing before it.
    is_pending: bool,
    record: Record,
    payload: Vec<u8>,
}

impl ChronicleFeed {
    /// Says what is missing before the record that was just read; `true` when something is.
    fn break_before(&mut self, packet: &mut Packet) -> bool {
        let seq = self.record.seq;
        let expected_seq = self.next_seq.replace(seq.wrapping_add(1));
        let missing = self.records.missing.take();
        let is_restart = expected_seq.is_some_and(|expected| seq == 0 && expected != 0);
        if is_restart && missing.is_none() {
            // A writer that was opened anew counts from 0.
            packet.kind = PacketKind::Reset;
            return true;
        }
        let fault = match (missing, expected_seq) {
            (Some((expected, found)), _) => FieldFault {
                field: "segment_id",
                expected: "the segment after the one before",
                found: format!("{found} in place of {expected}"),
            },
            (None, Some(expected)) if seq != expected => FieldFault {
                field: "seq",
                expected: "the record after the one before",
                found: format!("{seq} in place of {expected}"),
            },
            _ => return false,
        };
        self.stats.gaps += 1;
        self.stats.refuse(packet, fault.at(self.records.location(), &self.instrument.symbol));
        true
    }

    fn read_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        loop {
            packet.clear();
            if !std::mem::take(&mut self.is_pending) {
                let Some(record) = self.records.next(&mut self.payload)? else { return Ok(false) };
                self.record = record;
                self.stats.records += 1;
                if self.break_before(packet) {
                    self.is_pending = true;
                    return Ok(true);
                }
            }
            let Self { decoder, record, payload, stats, .. } = self;
            match decoder.record(*record, payload, packet, stats) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(Refusal::Record(fault)) => {
                    let fault = fault.at(self.records.location(), &self.instrument.symbol);
                    self.stats.refuse(packet, fault);
                    return Ok(true);
                }
                Err(Refusal::SecondMarket(second)) => {
                    return Err(Error::SeveralSymbols {
                        location: self.records.location(),
                        first: self.instrument.symbol.clone(),
                        second: name(second),
                    });
                }
                Err(Refusal::OrderEvent) => {
                    let what = "order-by-order events (book mode 1) are not read".into();
                    return Err(Error::Unsupported { location: self.records.location(), what });
                }
            }
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
        // Behind what is said to be missing stands a record that was read already.
        let (input, stored, spot) = self.records.place().filter(|_| !self.is_pending)?;
        let standing = Standing {
            setup: self.decoder.setup(),
            spot,
            next_seq: self.next_seq,
            snapshot_id: self.decoder.snapshot_id,
        };
        Some(Place { input, stored, state: standing.into_bytes() })
    }

    fn resume(&mut self, place: &Place) -> Result<u64, Error> {
        let standing = Standing::read(&place.state, &self.decoder.setup())?;
        let skipped = self.records.resume(place.input, &standing.spot, &mut self.payload)?;
        self.next_seq = standing.next_seq;
        self.decoder.snapshot_id = standing.snapshot_id;
        Ok(skipped)
    }
}

/// Why a record gives no packet.
enum Refusal {
    Record(FieldFault),
    SecondMarket(Market),
    OrderEvent,
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
}

impl Decoder {
    /// All that the packets depend on beside the records and [`Decoder::snapshot_id`].
    fn setup(&self) -> Vec<u8> {
        let Self { grid, market, trade_hash, is_filtered, snapshot_id: _ } = self;
        format!("{market:?} {trade_hash:?} {is_filtered} {grid:?}").into_bytes()
    }

    fn record(
        &mut self,
        record: Record,
        payload: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, Refusal> {
        match record.type_id {
            BOOK_EVENT => self.book_event(payload, packet, stats),
            TRADE => Ok(self.trade(payload, record.timestamp_ns, packet, stats)?),
            BOOK_TICKER => {
                stats.ignore(b"book ticker");
                Ok(false)
            }
            other => {
                stats.ignore(format!("record type {other:#06x}").as_bytes());
                Ok(false)
            }
        }
    }

    fn book_event(
        &mut self,
        payload: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, Refusal> {
        let event = BookEvent::read(payload)?;
        if event.market != self.market {
            if !self.is_filtered {
                return Err(Refusal::SecondMarket(event.market));
            }
            stats.ignore(b"another market");
            return Ok(false);
        }
        (packet.ts_event_ns, packet.ts_recv_ns) = (event.exchange_ns, event.ingest_ns);
        let levels = match &event.body {
            Body::Reset => {
                packet.kind = PacketKind::Reset;
                return Ok(true);
            }
            Body::Heartbeat => {
                packet.kind = PacketKind::Heartbeat;
                return Ok(true);
            }
            Body::Order => return Err(Refusal::OrderEvent),
            Body::Snapshot(levels) => {
                packet.kind = PacketKind::Snapshot;
                self.snapshot_id = event.native_seq;
                levels
            }
            Body::Diff { ids, levels } => {
                stats.depth_updates += 1;
                if ids.last != 0 && ids.last <= self.snapshot_id {
                    stats.dropped_updates += 1;
                    return Ok(false);
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
        Ok(true)
    }

    fn trade(
        &self,
        payload: &[u8],
        ingest_ns: i64,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<bool, FieldFault> {
        let trade = TradeEvent::read(payload)?;
        if self.trade_hash != Some(trade.symbol_hash) {
            stats.ignore(b"trade of a market that cannot be told");
            return Ok(false);
        }
        (packet.ts_event_ns, packet.ts_recv_ns) = (trade.ts_ns, ingest_ns);
        // The shortest decimal of a float is the text that it was made of.
        let price_ticks = self.grid.price("price", trade.price.to_string().as_bytes())?;
        let (qty_lots, was_rounded) = self.grid.qty("qty", trade.qty.to_string().as_bytes())?;
        stats.rounded += u64::from(was_rounded);
        if qty_lots == 0 {
            stats.ignore(b"trade of quantity 0, or below one lot");
            return Ok(false);
        }
        let aggressor = if trade.is_buyer_maker { Aggressor::Sell } else { Aggressor::Buy };
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        Ok(true)
    }
}
