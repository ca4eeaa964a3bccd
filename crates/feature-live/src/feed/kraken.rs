//! Kraken, version 1: channels are asked for, a subscription begins with a snapshot, books have checksums.

use std::time::Duration;

use market_io::venue::VenueLines;
use serde_json::{Value, json};

use super::venue::{Snapshot, Venue, never};

pub(super) const KRAKEN: Venue = Venue {
    name: "kraken",
    exchange: "kraken",
    lines: VenueLines::Cryptofeed,
    stream: "wss://ws.kraken.com",
    path: |_| "/".into(),
    subscribe: |symbol| {
        let trades = json!({ "name": "trade" });
        vec![of("subscribe", symbol, &book()), of("subscribe", symbol, &trades)]
    },
    snapshot: Snapshot::Subscribe(|symbol| {
        vec![of("unsubscribe", symbol, &book()), of("subscribe", symbol, &book())]
    }),
    ping: None,
    is_pong: never,
    // Every subscription has a heartbeat of one second.
    silence: Duration::from_secs(15),
};

fn book() -> Value {
    json!({ "name": "book", "depth": 1000 })
}

fn of(event: &str, symbol: &str, subscription: &Value) -> String {
    json!({ "event": event, "pair": [symbol], "subscription": subscription }).to_string()
}
