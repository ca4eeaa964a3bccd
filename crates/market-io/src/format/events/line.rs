//! The words of a packet log.

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, OrderOp, PacketKind, Sequencing, Side,
};
use serde::{Deserialize, Serialize};

pub(super) const KINDS: [(&str, PacketKind); 6] = [
    ("delta", PacketKind::Delta),
    ("snapshot", PacketKind::Snapshot),
    ("reset", PacketKind::Reset),
    ("heartbeat", PacketKind::Heartbeat),
    ("rejected", PacketKind::Rejected),
    ("rejected_trade", PacketKind::RejectedTrade),
];

pub(super) const OPS: [(&str, BookOp); 4] = [
    ("set_bid", BookOp::SetBid),
    ("set_ask", BookOp::SetAsk),
    ("clear_bid", BookOp::ClearBid),
    ("clear_ask", BookOp::ClearAsk),
];

pub(super) const ORDER_OPS: [(&str, OrderOp); 4] = [
    ("add", OrderOp::Add),
    ("modify", OrderOp::Modify),
    ("cancel", OrderOp::Cancel),
    ("fill", OrderOp::Fill),
];

pub(super) const SIDES: [(&str, Side); 2] = [("bid", Side::Bid), ("ask", Side::Ask)];

pub(super) const AGGRESSORS: [(&str, Aggressor); 3] =
    [("buy", Aggressor::Buy), ("sell", Aggressor::Sell), ("unknown", Aggressor::Unknown)];

pub(super) const FEEDS: [(&str, FeedKind); 2] =
    [("delta", FeedKind::Delta), ("snapshot", FeedKind::Snapshot)];

pub(super) const SEQUENCINGS: [(&str, Sequencing); 3] = [
    ("venue", Sequencing::Venue),
    ("source_time", Sequencing::SourceTime),
    ("arrival", Sequencing::Arrival),
];

/// The word for a value; every value has one.
pub(super) fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, v)| *v == value).map_or("", |(word, _)| word)
}

/// The value of a word.
pub(super) fn value<T: Copy>(table: &[(&'static str, T)], word: &str) -> Option<T> {
    table.iter().find(|(w, _)| *w == word).map(|(_, value)| *value)
}

/// An instrument as the header holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InstrumentLine {
    symbol_id: u32,
    pub(super) symbol: String,
    venue: String,
    pub(super) price_scale: u8,
    pub(super) qty_scale: u8,
    pub(super) tick_scaled: i64,
    pub(super) lot_scaled: i64,
    pub(super) feed: String,
    pub(super) sequencing: String,
    max_age_ns: Option<i64>,
}

impl InstrumentLine {
    pub(super) fn new(instrument: &Instrument) -> Self {
        Self {
            symbol_id: instrument.symbol_id,
            symbol: instrument.symbol.clone(),
            venue: instrument.venue.clone(),
            price_scale: instrument.price_scale,
            qty_scale: instrument.qty_scale,
            tick_scaled: instrument.tick_scaled,
            lot_scaled: instrument.lot_scaled,
            feed: word(&FEEDS, instrument.feed).into(),
            sequencing: word(&SEQUENCINGS, instrument.sequencing).into(),
            max_age_ns: instrument.max_age_ns,
        }
    }

    /// The instrument, or the field that is wrong and what it may be.
    pub(super) fn read(self) -> Result<Instrument, (&'static str, &'static str, String)> {
        let scale_range = "a scale from 0 to 18";
        for (field, scale) in [("price_scale", self.price_scale), ("qty_scale", self.qty_scale)] {
            if scale > market_model::MAX_SCALE {
                return Err((field, scale_range, scale.to_string()));
            }
        }
        for (field, size) in [("tick_scaled", self.tick_scaled), ("lot_scaled", self.lot_scaled)] {
            if size < 1 {
                return Err((field, "at least 1", size.to_string()));
            }
        }
        let feed = value(&FEEDS, &self.feed);
        let sequencing = value(&SEQUENCINGS, &self.sequencing);
        Ok(Instrument {
            symbol_id: self.symbol_id,
            symbol: self.symbol,
            venue: self.venue,
            price_scale: self.price_scale,
            qty_scale: self.qty_scale,
            tick_scaled: self.tick_scaled,
            lot_scaled: self.lot_scaled,
            feed: feed.ok_or(("feed", "delta or snapshot", self.feed))?,
            sequencing: sequencing.ok_or((
                "sequencing",
                "venue, source_time or arrival",
                self.sequencing,
            ))?,
            max_age_ns: self.max_age_ns,
        })
    }
}

/// A packet as a line holds it. The words are borrowed; none of them needs an escape.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PacketLine<'a> {
    pub(super) k: &'a str,
    pub(super) e: i64,
    pub(super) r: i64,
    pub(super) s: u64,
    pub(super) f: u64,
    pub(super) p: u64,
    pub(super) c: u8,
    #[serde(borrow)]
    pub(super) runs: Vec<(&'a str, Vec<(i64, i64)>)>,
    #[serde(borrow, default)]
    pub(super) o: Vec<(&'a str, u64, &'a str, i64, i64)>,
    #[serde(borrow)]
    pub(super) t: Vec<(i64, i64, &'a str)>,
}
