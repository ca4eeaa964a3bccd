//! Bybit: topics by subscription, snapshots as messages.

use serde_json::{Value, json};

use super::book::{Markets, TextBook};
use super::exchange::{Channel, Exchange, Said, Seen, asked, json, text};

/// One book.
#[derive(Debug, Default)]
struct Market {
    book: TextBook,
    last: Value,
}

#[derive(Debug, Default)]
pub(super) struct Bybit {
    /// By topic.
    markets: Markets<Market>,
}

/// The channel of a topic; books of every depth are one.
fn channel(topic: &str) -> Option<Channel> {
    let (kind, rest) = topic.split_once('.')?;
    let symbol = rest.rsplit('.').next()?.to_owned();
    match kind {
        "orderbook" => Some(Channel { is_book: true, symbol }),
        "publicTrade" => Some(Channel { is_book: false, symbol }),
        _ => None,
    }
}

impl Exchange for Bybit {
    fn said(&self, message: &str) -> Said {
        let message = json(message);
        let topics = message["args"].as_array().into_iter().flatten();
        let channels = topics.filter_map(|topic| channel(topic.as_str()?)).collect();
        let op = text(&message, "op");
        let answers = vec![json!({ "success": true, "ret_msg": op, "op": op }).to_string()];
        match op {
            "subscribe" => Said { answers, subscribe: channels, ..Said::default() },
            "unsubscribe" => Said { answers, unsubscribe: channels, ..Said::default() },
            "ping" => Said { answers, ..Said::default() },
            _ => Said::default(),
        }
    }

    fn take(&mut self, message: &str) -> Seen {
        let message = json(message);
        let topic = text(&message, "topic");
        let Some(channel) = channel(topic) else { return Seen::Other };
        if channel.is_book {
            let market = self.markets.named(topic);
            if text(&message, "type") == "snapshot" {
                market.book.clear();
            }
            market.book.set(true, &message["data"]["b"]);
            market.book.set(false, &message["data"]["a"]);
            market.last = message;
        }
        Seen::Message(channel)
    }

    fn snapshot(&self, symbol: &str) -> Option<String> {
        let market = self.markets.find(|topic| topic.rsplit('.').next() == Some(symbol))?;
        let mut message = market.last.clone();
        let [bids, asks] = market.book.sides();
        message["type"] = "snapshot".into();
        (message["data"]["b"], message["data"]["a"]) = (json!(bids), json!(asks));
        Some(message.to_string())
    }

    fn sizes_requested(&self, path: &str) -> Option<String> {
        asked(path, "/v5/market/instruments-info", "symbol")
    }

    fn sizes(&self, symbol: &str, [tick, lot]: [String; 2]) -> Value {
        json!({ "result": { "list": [{
            "symbol": symbol,
            "priceFilter": { "tickSize": tick },
            "lotSizeFilter": { "qtyStep": lot, "basePrecision": lot },
        }]}})
    }
}
