//! Payloads of records. Levels may stand at any address, so that everything is copied out.

use market_model::{BookOp, check_ns};

use super::Market;
use crate::bytes::{u16_at, u32_at, u64_at};
use crate::error::FieldFault;

/// Version of the payloads that is read.
const SCHEMA_VERSION: u16 = 3;
const HEADER_BYTES: usize = 64;
const SNAPSHOT_BYTES: usize = 12;
const DIFF_BYTES: usize = 32;
const LEVEL_BYTES: usize = 16;
const ORDER_BYTES: usize = 64;
const TRADE_BYTES: usize = 64;
const MAX_DECIMALS: u8 = 18;

/// A change, a state, or a word about the book.
#[derive(Debug)]
pub(super) struct BookEvent<'a> {
    pub(super) market: Market,
    /// 0 when unknown.
    pub(super) ingest_ns: i64,
    /// 0 when unknown.
    pub(super) exchange_ns: i64,
    pub(super) native_seq: u64,
    pub(super) body: Body<'a>,
}

/// What a book event says.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Snapshot(Levels<'a>),
    Diff { ids: UpdateIds, levels: Levels<'a> },
    Reset,
    Heartbeat,
    Order(OrderBody),
}

/// What happened to one order, or between two.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderBody {
    /// 1 add, 2 cancel, 3 change, 4 trade, 5 reset, 6 heartbeat.
    pub(super) kind: u8,
    /// 0 not said, 1 buy, 2 sell.
    pub(super) side: u8,
    pub(super) price_scale: u8,
    pub(super) size_scale: u8,
    pub(super) flags: u32,
    /// 0 where the event names none, as are the next two.
    pub(super) order_id: u64,
    pub(super) bid_order_id: u64,
    pub(super) ask_order_id: u64,
    /// 0 when there is none; cut like those of levels.
    pub(super) price: i64,
    pub(super) size: i64,
}

impl OrderBody {
    fn read(body: &[u8]) -> Result<Self, FieldFault> {
        let Some(body) = body.first_chunk::<ORDER_BYTES>().filter(|_| body.len() == ORDER_BYTES)
        else {
            let expected = "64 bytes for the event of an order";
            return Err(FieldFault { field: "body", expected, found: body.len().to_string() });
        };
        let [price_scale, size_scale] = [body[4], body[5]];
        check_scales([price_scale, size_scale])?;
        Ok(Self {
            kind: body[0],
            side: body[1],
            price_scale,
            size_scale,
            flags: u32_at(body, 8),
            order_id: u64_at(body, 16),
            bid_order_id: u64_at(body, 24),
            ask_order_id: u64_at(body, 32),
            price: magnitude(body, 40),
            size: magnitude(body, 48),
        })
    }
}

/// A number above `i64` is cut to its largest value, which no grid takes.
fn magnitude(bytes: &[u8], at: usize) -> i64 {
    i64::try_from(u64_at(bytes, at)).unwrap_or(i64::MAX)
}

fn check_scales(scales: [u8; 2]) -> Result<(), FieldFault> {
    let [price, size] = scales;
    if price <= MAX_DECIMALS && size <= MAX_DECIMALS {
        return Ok(());
    }
    let found = format!("{price} and {size}");
    Err(FieldFault { field: "price_scale", expected: "at most 18", found })
}

/// Ids of a change; 0 where the venue has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpdateIds {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) prev: u64,
}

/// Levels in units of `10^-scale`, bids first.
#[derive(Debug)]
pub(super) struct Levels<'a> {
    pub(super) price_scale: u8,
    pub(super) size_scale: u8,
    bids: usize,
    bytes: &'a [u8],
}

impl Levels<'_> {
    fn read(
        scales: [u8; 2],
        [bids, asks]: [usize; 2],
        bytes: &[u8],
    ) -> Result<Levels<'_>, FieldFault> {
        check_scales(scales)?;
        let [price_scale, size_scale] = scales;
        if (bids as u64 + asks as u64) * LEVEL_BYTES as u64 != bytes.len() as u64 {
            let found = format!("{bids} bids and {asks} asks in {} bytes", bytes.len());
            let expected = "16 bytes for each level";
            return Err(FieldFault { field: "bid_count", expected, found });
        }
        Ok(Levels { price_scale, size_scale, bids, bytes })
    }

    /// Side, price and size of each level.
    pub(super) fn iter(&self) -> impl Iterator<Item = (BookOp, i64, i64)> {
        self.bytes.chunks_exact(LEVEL_BYTES).enumerate().map(|(index, level)| {
            let op = if index < self.bids { BookOp::SetBid } else { BookOp::SetAsk };
            (op, magnitude(level, 0), magnitude(level, 8))
        })
    }
}

impl<'a> BookEvent<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, FieldFault> {
        let wrong = |field, expected, found: String| Err(FieldFault { field, expected, found });
        let Some((header, body)) = payload.split_at_checked(HEADER_BYTES) else {
            return wrong("payload", "at least 64 bytes", payload.len().to_string());
        };
        let version = u16_at(header, 0);
        if version != SCHEMA_VERSION {
            return wrong("schema_version", "3", version.to_string());
        }
        if u32_at(header, 4) as usize != payload.len() {
            let found = format!("{} in {} bytes", u32_at(header, 4), payload.len());
            return wrong("record_len", "the length of the payload", found);
        }
        if header[8] != 0 {
            return wrong("endianness", "0 (little)", header[8].to_string());
        }
        let body = match (header[56], header[57]) {
            (1, 0) => Body::Snapshot(snapshot(body)?),
            (2, 0) => diff(body)?,
            (2, 1) => Body::Order(OrderBody::read(body)?),
            (3, _) => Body::Reset,
            (4, _) => Body::Heartbeat,
            (kind, mode) => {
                let expected = "1 to 4, in book mode 0 or 1";
                return wrong("event_type", expected, format!("{kind} in book mode {mode}"));
            }
        };
        Ok(Self {
            market: (u16_at(header, 10), u32_at(header, 12)),
            ingest_ns: time_ns("ingest_ts_ns", u64_at(header, 24))?,
            exchange_ns: time_ns("exchange_ts_ns", u64_at(header, 32))?,
            native_seq: u64_at(header, 48),
            body,
        })
    }
}

fn snapshot(body: &[u8]) -> Result<Levels<'_>, FieldFault> {
    let (head, levels) = split(body, SNAPSHOT_BYTES)?;
    let counts = [4, 8].map(|at| u32_at(head, at) as usize);
    Levels::read([head[0], head[1]], counts, levels)
}

fn diff(body: &[u8]) -> Result<Body<'_>, FieldFault> {
    let (head, levels) = split(body, DIFF_BYTES)?;
    let counts = [28, 30].map(|at| usize::from(u16_at(head, at)));
    let levels = Levels::read([head[24], head[25]], counts, levels)?;
    let ids = UpdateIds { first: u64_at(head, 0), last: u64_at(head, 8), prev: u64_at(head, 16) };
    Ok(Body::Diff { ids, levels })
}

fn split(body: &[u8], len: usize) -> Result<(&[u8], &[u8]), FieldFault> {
    body.split_at_checked(len).ok_or_else(|| FieldFault {
        field: "body",
        expected: "the head of a snapshot (12 bytes) or of a change (32 bytes)",
        found: format!("{} bytes", body.len()),
    })
}

fn time_ns(field: &'static str, value: u64) -> Result<i64, FieldFault> {
    if value == 0 {
        return Ok(0);
    }
    i64::try_from(value).ok().and_then(|ns| check_ns(ns).ok()).ok_or_else(|| FieldFault {
        field,
        expected: "0 or a time in ns between 2000 and 2100",
        found: value.to_string(),
    })
}

/// A trade; it names a symbol by a hash and no market.
#[derive(Debug)]
pub(super) struct TradeEvent {
    pub(super) ts_ns: i64,
    pub(super) price: f64,
    pub(super) qty: f64,
    pub(super) is_buyer_maker: bool,
    pub(super) symbol_hash: u64,
}

impl TradeEvent {
    pub(super) fn read(payload: &[u8]) -> Result<Self, FieldFault> {
        if payload.len() != TRADE_BYTES {
            let found = payload.len().to_string();
            return Err(FieldFault { field: "payload", expected: "64 bytes", found });
        }
        let is_buyer_maker = match payload[48] {
            0 => false,
            1 => true,
            other => {
                let found = other.to_string();
                return Err(FieldFault { field: "is_buyer_maker", expected: "0 or 1", found });
            }
        };
        Ok(Self {
            ts_ns: time_ns("timestamp_ns", u64_at(payload, 0))?,
            price: f64::from_bits(u64_at(payload, 8)),
            qty: f64::from_bits(u64_at(payload, 16)),
            is_buyer_maker,
            symbol_hash: u64_at(payload, 56),
        })
    }
}
