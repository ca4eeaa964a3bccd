//! OKX: channels by subscription, snapshots as messages, checksums of 25 levels.

use flate2::Crc;
use serde_json::{Value, json};

use super::book::{Markets, TextBook};
use super::exchange::{Channel, Exchange, Said, Seen, asked, json, text};

const CHECKED_LEVELS: usize = 25;

/// One book.
#[derive(Debug, Default)]
struct Market {
    book: TextBook,
    last: Value,
}

#[derive(Debug, Default)]
pub(super) struct Okx {
    markets: Markets<Market>,
}

fn channel(arg: &Value) -> Option<Channel> {
    let symbol = text(arg, "instId").to_owned();
    match text(arg, "channel") {
        "books" => Some(Channel { is_book: true, symbol }),
        "trades" => Some(Channel { is_book: false, symbol }),
        _ => None,
    }
}

impl Exchange for Okx {
    fn said(&self, message: &str) -> Said {
        if message == "ping" {
            return Said { answers: vec!["pong".into()], ..Said::default() };
        }
        let message = json(message);
        let args: Vec<&Value> = message["args"].as_array().into_iter().flatten().collect();
        let channels = args.iter().filter_map(|arg| channel(arg)).collect();
        let op = text(&message, "op");
        let answers = args.iter().map(|arg| json!({ "event": op, "arg": arg }).to_string());
        let answers = answers.collect();
        match op {
            "subscribe" => Said { answers, subscribe: channels, ..Said::default() },
            "unsubscribe" => Said { answers, unsubscribe: channels, ..Said::default() },
            _ => Said::default(),
        }
    }

    fn take(&mut self, message: &str) -> Seen {
        let message = json(message);
        let Some(channel) = channel(&message["arg"]) else { return Seen::Other };
        let Some(contents) = message["data"].as_array() else { return Seen::Other };
        if channel.is_book {
            let market = self.markets.named(&channel.symbol);
            for content in contents {
                if text(&message, "action") == "snapshot" {
                    market.book.clear();
                }
                market.book.set(true, &content["bids"]);
                market.book.set(false, &content["asks"]);
            }
            market.last = message;
        }
        Seen::Message(channel)
    }

    fn snapshot(&self, symbol: &str) -> Option<String> {
        let market = self.markets.find(|name| name == symbol)?;
        let mut message = market.last.clone();
        let mut content = message["data"].as_array()?.last()?.clone();
        let [bids, asks] = market.book.sides();
        (content["bids"], content["asks"]) = (json!(bids), json!(asks));
        let mut sum = Crc::new();
        let mut numbers: Vec<&str> = Vec::new();
        for index in 0..CHECKED_LEVELS {
            for level in [bids.get(index), asks.get(index)].into_iter().flatten() {
                numbers.extend(level.iter().map(String::as_str));
            }
        }
        sum.update(numbers.join(":").as_bytes());
        content["checksum"] = sum.sum().cast_signed().into();
        message["action"] = "snapshot".into();
        message["data"] = json!([content]);
        Some(message.to_string())
    }

    fn sizes_requested(&self, path: &str) -> Option<String> {
        asked(path, "/api/v5/public/instruments", "instId")
    }

    fn sizes(&self, symbol: &str, [tick, lot]: [String; 2]) -> Value {
        json!({ "data": [{ "instId": symbol, "tickSz": tick, "lotSz": lot }] })
    }

    fn with_wrong_checksum(&self, message: &str) -> Option<String> {
        let mut message = json(message);
        let sum = message["data"][0]["checksum"].as_i64()?;
        // Neither another number that fits the book nor 0, which means none.
        message["data"][0]["checksum"] = if sum == 1 { 2 } else { 1 }.into();
        Some(message.to_string())
    }
}
