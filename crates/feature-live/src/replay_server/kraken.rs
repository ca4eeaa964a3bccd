//! Kraken, version 1: channels by subscription, snapshots as messages, checksums of ten levels.

use serde_json::{Value, json};

use super::book::{Level, Markets, TextBook};
use super::exchange::{Channel, Exchange, Said, Seen, json, text};

/// One book.
#[derive(Debug, Default)]
struct Market {
    book: TextBook,
    id: Value,
    channel: String,
    /// Time of the last level, s.
    time: Value,
}

#[derive(Debug, Default)]
pub(super) struct Kraken {
    markets: Markets<Market>,
}

impl Market {
    fn take(&mut self, part: &Value) {
        for (field, is_bid) in [("bs", true), ("as", false), ("b", true), ("a", false)] {
            let levels = &part[field];
            self.book.set(is_bid, levels);
            for level in levels.as_array().into_iter().flatten() {
                self.time = level[2].clone();
            }
        }
    }
}

impl Exchange for Kraken {
    fn said(&self, message: &str) -> Said {
        let message = json(message);
        let subscription = &message["subscription"];
        let is_book = match text(subscription, "name") {
            "book" => true,
            "trade" => false,
            _ => return Said::default(),
        };
        let pairs = message["pair"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let channels: Vec<Channel> =
            pairs.map(|pair| Channel { is_book, symbol: pair.into() }).collect();
        let event = text(&message, "event");
        let answer = |channel: &Channel| {
            json!({
                "event": "subscriptionStatus",
                "pair": channel.symbol,
                "status": format!("{event}d"),
                "subscription": subscription,
            })
        };
        let answers = channels.iter().map(|channel| answer(channel).to_string()).collect();
        match event {
            "subscribe" => Said { answers, subscribe: channels, ..Said::default() },
            "unsubscribe" => Said { answers, unsubscribe: channels, ..Said::default() },
            _ => Said::default(),
        }
    }

    fn take(&mut self, message: &str) -> Seen {
        let message = json(message);
        let Some([id, parts @ .., channel, pair]) = message.as_array().map(Vec::as_slice) else {
            return Seen::Other;
        };
        let (channel, pair) = (channel.as_str().unwrap_or(""), pair.as_str().unwrap_or(""));
        let symbol = pair.to_owned();
        if channel == "trade" {
            return Seen::Message(Channel { is_book: false, symbol });
        }
        let Some(depth) = channel.strip_prefix("book-") else { return Seen::Other };
        let market = self.markets.named(pair);
        if parts.iter().any(|part| part["as"].is_array() || part["bs"].is_array()) {
            market.book.clear();
        }
        (market.id, market.channel) = (id.clone(), channel.into());
        parts.iter().for_each(|part| market.take(part));
        market.book.truncate(depth.parse().unwrap_or(usize::MAX));
        Seen::Message(Channel { is_book: true, symbol })
    }

    fn snapshot(&self, symbol: &str) -> Option<String> {
        let market = self.markets.find(|name| name == symbol)?;
        let timed = |levels: Vec<&Level>| {
            let level = |[price, size]: &Level| json!([price, size, market.time]);
            levels.into_iter().map(level).collect::<Vec<_>>()
        };
        let [bids, asks] = market.book.sides().map(timed);
        let book = json!({ "as": asks, "bs": bids });
        Some(json!([market.id, book, market.channel, symbol]).to_string())
    }

    fn sizes_requested(&self, path: &str) -> Option<String> {
        (path == "/0/public/AssetPairs").then(String::new)
    }

    fn sizes(&self, symbol: &str, [tick, lot]: [String; 2]) -> Value {
        let decimals = lot.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        json!({ "result": { "PAIR": { "wsname": symbol, "tick_size": tick, "lot_decimals": decimals }}})
    }

    fn with_wrong_checksum(&self, message: &str) -> Option<String> {
        let mut message = json(message);
        let part = message.as_array_mut()?.iter_mut().find(|part| part["c"].is_string())?;
        part["c"] = if part["c"] == "1" { "2" } else { "1" }.into();
        Some(message.to_string())
    }
}
