//! Recordings of every venue, all of one synthetic market.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flate2::Crc;
use market_io::synthetic::{SyntheticConfig, SyntheticKind, SyntheticMessage, SyntheticStream};
use market_io::venue::VenueLines;
use market_model::{Aggressor, Level};
use serde_json::{Value, json};

const NS_PER_MS: i64 = 1_000_000;

/// A market of a few seconds, without faults of its own.
pub fn market() -> SyntheticConfig {
    SyntheticConfig {
        seed: 11,
        duration_ns: 20_000_000_000,
        events_per_packet: 20,
        levels: 60,
        ..SyntheticConfig::default()
    }
}

/// Writes the market as a venue would have sent it.
pub fn write(venue: &str, folder: &Path, config: &SyntheticConfig) -> PathBuf {
    let path = folder.join(format!("{venue}.txt"));
    let mut stream = SyntheticStream::new(config).unwrap();
    let mut writer = Writer {
        form: form(venue),
        venue: venue.into(),
        symbol: symbol(venue).into(),
        text: Vec::new(),
        book: [BTreeMap::new(), BTreeMap::new()],
        early: Vec::new(),
        messages: 0,
    };
    let mut message = SyntheticMessage::default();
    while stream.next_message(&mut message) {
        writer.message(&message);
    }
    std::fs::write(&path, &writer.text).unwrap();
    path
}

/// The symbol that the recordings of a venue hold.
pub fn symbol(venue: &str) -> &'static str {
    match venue {
        "okx" => "BTC-USDT",
        "kraken" => "XBT/USD",
        _ => "BTCUSDT",
    }
}

fn form(venue: &str) -> VenueLines {
    match venue {
        "binance-spot" => VenueLines::BinanceSpot,
        "binance-usdm" => VenueLines::BinanceFutures,
        "bybit-linear" | "bybit-spot" => VenueLines::Bybit,
        _ => VenueLines::Cryptofeed,
    }
}

struct Writer {
    form: VenueLines,
    venue: String,
    symbol: String,
    text: Vec<u8>,
    /// Bids and asks as text by ticks, for checksums.
    book: [BTreeMap<i64, [String; 2]>; 2],
    /// Changes that came before the snapshot; `None` of them once it is written.
    early: Vec<SyntheticMessage>,
    /// Messages of the book so far.
    messages: u64,
}

fn price(level: &Level) -> String {
    format!("{}.{}0", level.price_ticks / 10, level.price_ticks % 10)
}

fn qty(lots: i64) -> String {
    format!("{}.{:03}", lots / 1_000, lots % 1_000)
}

fn pairs(levels: &[Level]) -> Vec<Value> {
    levels.iter().map(|level| json!([price(level), qty(level.qty_lots)])).collect()
}

impl Writer {
    fn line(&mut self, message: &SyntheticMessage, value: &Value) {
        self.form.push_line(message.ts_recv_ns, &value.to_string(), &mut self.text);
        self.text.push(b'\n');
    }

    fn message(&mut self, message: &SyntheticMessage) {
        match message.kind {
            SyntheticKind::BookTicker => {}
            SyntheticKind::Trade => {
                let trade = self.trade(message);
                self.line(message, &trade);
            }
            _ if self.venue.starts_with("binance") => {
                let value = self.binance(message);
                self.line(message, &value);
            }
            SyntheticKind::Snapshot => {
                self.book(message, true);
                for mut early in std::mem::take(&mut self.early) {
                    if early.seq > message.seq {
                        early.ts_recv_ns = message.ts_recv_ns;
                        self.book(&early, false);
                    }
                }
            }
            SyntheticKind::Diff if self.messages == 0 => self.early.push(message.clone()),
            SyntheticKind::Diff => self.book(message, false),
        }
    }

    fn binance(&self, message: &SyntheticMessage) -> Value {
        let (sent, event) = (message.ts_sent_ns / NS_PER_MS, message.ts_event_ns / NS_PER_MS);
        let is_spot = self.venue == "binance-spot";
        let (bids, asks) = (pairs(&message.bids), pairs(&message.asks));
        match (message.kind, is_spot) {
            (SyntheticKind::Snapshot, true) => {
                json!({ "lastUpdateId": message.seq, "bids": bids, "asks": asks })
            }
            (SyntheticKind::Snapshot, false) => json!({
                "lastUpdateId": message.seq, "E": sent, "T": event, "bids": bids, "asks": asks
            }),
            // On spot an update begins where the one before it ended.
            (_, true) => json!({ "stream": "btcusdt@depth@100ms", "data": {
                "e": "depthUpdate", "E": event, "s": self.symbol, "U": message.prev_seq + 1,
                "u": message.seq, "b": bids, "a": asks
            }}),
            (_, false) => json!({ "stream": "btcusdt@depth@0ms", "data": {
                "e": "depthUpdate", "E": sent, "T": event, "s": self.symbol,
                "U": message.first_seq, "u": message.seq, "pu": message.prev_seq,
                "b": bids, "a": asks
            }}),
        }
    }

    fn trade(&self, message: &SyntheticMessage) -> Value {
        let event = message.ts_event_ns / NS_PER_MS;
        let trade = message.trade;
        let is_sell = trade.aggressor == Aggressor::Sell;
        let price = price(&Level::new(trade.price_ticks, 0));
        let (qty, symbol) = (qty(trade.qty_lots), &self.symbol);
        match &*self.venue {
            "binance-spot" => json!({ "stream": "btcusdt@trade", "data": {
                "e": "trade", "E": event, "T": event, "s": symbol, "t": message.first_seq,
                "p": price, "q": qty, "m": is_sell
            }}),
            "binance-usdm" => json!({ "stream": "btcusdt@trade", "data": {
                "e": "trade", "E": event, "T": event, "s": symbol, "t": message.first_seq,
                "p": price, "q": qty, "X": "MARKET", "m": is_sell
            }}),
            "okx" => json!({ "arg": { "channel": "trades", "instId": symbol }, "data": [{
                "instId": symbol, "tradeId": "1", "px": price, "sz": qty,
                "side": if is_sell { "sell" } else { "buy" }, "ts": event.to_string()
            }]}),
            "kraken" => json!([
                1,
                [[
                    price,
                    qty,
                    seconds(message.ts_event_ns),
                    if is_sell { "s" } else { "b" },
                    "l",
                    ""
                ]],
                "trade",
                symbol
            ]),
            _ => json!({ "topic": format!("publicTrade.{symbol}"), "type": "snapshot", "ts": event,
                "data": [{ "T": event, "s": symbol, "S": if is_sell { "Sell" } else { "Buy" },
                "v": qty, "p": price, "BT": false }]
            }),
        }
    }

    /// A message of a venue that sends snapshots on its stream.
    fn book(&mut self, message: &SyntheticMessage, is_snapshot: bool) {
        self.messages += 1;
        for (side, levels) in self.book.iter_mut().zip([&message.bids, &message.asks]) {
            if is_snapshot {
                side.clear();
            }
            for level in levels {
                if level.qty_lots == 0 {
                    side.remove(&level.price_ticks);
                } else {
                    side.insert(level.price_ticks, [price(level), qty(level.qty_lots)]);
                }
            }
        }
        let value = match &*self.venue {
            "okx" => self.okx(message, is_snapshot),
            "kraken" => self.kraken(message, is_snapshot),
            _ => self.bybit(message, is_snapshot),
        };
        self.line(message, &value);
    }

    fn bybit(&self, message: &SyntheticMessage, is_snapshot: bool) -> Value {
        let event = message.ts_event_ns / NS_PER_MS;
        json!({
            "topic": format!("orderbook.200.{}", self.symbol),
            "type": if is_snapshot { "snapshot" } else { "delta" },
            "ts": message.ts_sent_ns / NS_PER_MS,
            "data": { "s": self.symbol, "b": pairs(&message.bids), "a": pairs(&message.asks),
                "u": 1_000 + self.messages, "seq": message.seq },
            "cts": event,
        })
    }

    fn okx(&self, message: &SyntheticMessage, is_snapshot: bool) -> Value {
        let mut numbers = Vec::new();
        let [bids, asks] = &self.book;
        let (mut bids, mut asks) = (bids.values().rev(), asks.values());
        for _ in 0..25 {
            numbers.extend(bids.next().into_iter().chain(asks.next()).flatten().cloned());
        }
        let with_orders = |levels: &[Level]| {
            let level = |l: &Level| json!([price(l), qty(l.qty_lots), "0", "1"]);
            levels.iter().map(level).collect::<Vec<_>>()
        };
        json!({
            "arg": { "channel": "books", "instId": self.symbol },
            "action": if is_snapshot { "snapshot" } else { "update" },
            "data": [{ "asks": with_orders(&message.asks), "bids": with_orders(&message.bids),
                "ts": (message.ts_event_ns / NS_PER_MS).to_string(),
                "checksum": crc(numbers.join(":").as_bytes()).cast_signed() }],
        })
    }

    fn kraken(&self, message: &SyntheticMessage, is_snapshot: bool) -> Value {
        let time = seconds(message.ts_event_ns);
        let timed = |levels: &[Level]| {
            let level = |l: &Level| json!([price(l), format!("{}00000", qty(l.qty_lots)), time]);
            levels.iter().map(level).collect::<Vec<_>>()
        };
        let (bids, asks) = (timed(&message.bids), timed(&message.asks));
        if is_snapshot {
            return json!([0, { "as": asks, "bs": bids }, "book-1000", self.symbol]);
        }
        let mut text = String::new();
        let [best_bids, best_asks] = &self.book;
        for [price, qty] in best_asks.values().take(10).chain(best_bids.values().rev().take(10)) {
            for number in [price.clone(), format!("{qty}00000")] {
                text.push_str(number.replace('.', "").trim_start_matches('0'));
            }
        }
        let sum = crc(text.as_bytes()).to_string();
        match (asks.is_empty(), bids.is_empty()) {
            (false, false) => {
                json!([0, { "a": asks }, { "b": bids, "c": sum }, "book-1000", self.symbol])
            }
            (false, true) => json!([0, { "a": asks, "c": sum }, "book-1000", self.symbol]),
            _ => json!([0, { "b": bids, "c": sum }, "book-1000", self.symbol]),
        }
    }
}

fn seconds(ns: i64) -> String {
    format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1_000)
}

fn crc(text: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(text);
    sum.sum()
}
