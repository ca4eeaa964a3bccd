//! Binance: streams in the path, snapshots by request.

use serde_json::{Value, json};

use super::book::{Markets, TextBook};
use super::exchange::{Channel, Exchange, Seen, asked, json, text};

/// One symbol.
#[derive(Debug, Default)]
struct Market {
    book: TextBook,
    /// The last id in the book; 0 before a snapshot.
    last_id: u64,
    /// Changes before the first snapshot, of which some are not in it.
    early: Vec<Value>,
    times: [Value; 2],
}

pub(super) struct Binance {
    /// Where the paths of requests begin.
    root: &'static str,
    markets: Markets<Market>,
}

impl Binance {
    pub(super) const fn new(root: &'static str) -> Self {
        Self { root, markets: Markets::new() }
    }
}

impl Market {
    fn change(&mut self, update: &Value) {
        self.last_id = update["u"].as_u64().unwrap_or(self.last_id);
        self.times = [update["E"].clone(), update["T"].clone()];
        self.book.set(true, &update["b"]);
        self.book.set(false, &update["a"]);
    }

    fn replace(&mut self, snapshot: &Value) {
        self.book.clear();
        self.last_id = snapshot["lastUpdateId"].as_u64().unwrap_or(0);
        self.book.set(true, &snapshot["bids"]);
        self.book.set(false, &snapshot["asks"]);
        self.times = [snapshot["E"].clone(), snapshot["T"].clone()];
        for update in std::mem::take(&mut self.early) {
            if update["u"].as_u64().unwrap_or(0) >= self.last_id {
                self.change(&update);
            }
        }
    }
}

impl Exchange for Binance {
    fn opened(&self, path: &str) -> Vec<Channel> {
        let streams = path.split_once("streams=").map_or("", |(_, streams)| streams);
        let channel = |stream: &str| {
            let mut parts = stream.split('@');
            let (symbol, kind) = (parts.next()?, parts.next()?);
            let is_book = kind == "depth";
            (is_book || kind == "trade")
                .then(|| Channel { is_book, symbol: symbol.to_ascii_uppercase() })
        };
        streams.split('/').filter_map(channel).collect()
    }

    fn take(&mut self, message: &str) -> Seen {
        let message = json(message);
        if message["lastUpdateId"].is_u64() {
            let named = text(&message, "symbol").to_owned();
            // A snapshot that names no symbol is of the only one there is.
            let only = self.markets.first_name().map(str::to_owned);
            let symbol = if named.is_empty() { only.unwrap_or_default() } else { named };
            self.markets.named(&symbol).replace(&message);
            return Seen::Answer(symbol);
        }
        let update = if message["stream"].is_string() { &message["data"] } else { &message };
        let symbol = text(update, "s").to_owned();
        match text(update, "e") {
            "depthUpdate" => {
                let market = self.markets.named(&symbol);
                if market.last_id == 0 {
                    market.early.push(update.clone());
                } else {
                    market.change(update);
                }
                Seen::Message(Channel { is_book: true, symbol })
            }
            "trade" => Seen::Message(Channel { is_book: false, symbol }),
            _ => Seen::Other,
        }
    }

    fn snapshot(&self, symbol: &str) -> Option<String> {
        let market = self.markets.find(|name| name == symbol)?;
        if market.last_id == 0 {
            return None;
        }
        let [bids, asks] = market.book.sides();
        let mut answer = json!({ "lastUpdateId": market.last_id });
        // Spot snapshots have no time.
        if !market.times[1].is_null() {
            (answer["E"], answer["T"]) = (market.times[0].clone(), market.times[1].clone());
        }
        (answer["bids"], answer["asks"]) = (json!(bids), json!(asks));
        Some(answer.to_string())
    }

    fn first_message(&self, _symbol: &str) -> Option<String> {
        None
    }

    fn requested(&self, path: &str) -> Option<String> {
        asked(path, &format!("{}depth", self.root), "symbol")
    }

    fn sizes_requested(&self, path: &str) -> Option<String> {
        asked(path, &format!("{}exchangeInfo", self.root), "symbol")
    }

    fn sizes(&self, symbol: &str, [tick, lot]: [String; 2]) -> Value {
        json!({ "symbols": [{ "symbol": symbol, "filters": [
            { "filterType": "PRICE_FILTER", "tickSize": tick },
            { "filterType": "LOT_SIZE", "stepSize": lot },
        ]}]})
    }
}
