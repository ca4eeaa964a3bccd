//! Bybit, version 5: topics are asked for, a subscription begins with a snapshot.

use std::time::Duration;

use market_io::venue::VenueLines;

use super::venue::{Snapshot, Venue, never};

/// The venue asks for a ping every 20 s, and answers it.
const PING: Option<(Duration, &str)> = Some((Duration::from_secs(20), r#"{"op":"ping"}"#));

pub(super) const LINEAR: Venue = Venue {
    name: "bybit-linear",
    exchange: "bybit",
    lines: VenueLines::Bybit,
    stream: "wss://stream.bybit.com",
    path: |_| "/v5/public/linear".into(),
    subscribe,
    snapshot: Snapshot::Subscribe(again),
    ping: PING,
    is_pong: never,
    silence: Duration::from_secs(60),
};

pub(super) const SPOT: Venue = Venue {
    name: "bybit-spot",
    exchange: "bybit",
    lines: VenueLines::Bybit,
    stream: "wss://stream.bybit.com",
    path: |_| "/v5/public/spot".into(),
    subscribe,
    snapshot: Snapshot::Subscribe(again),
    ping: PING,
    is_pong: never,
    silence: Duration::from_secs(60),
};

fn subscribe(symbol: &str) -> Vec<String> {
    let (book, trades) = (book(symbol), format!("publicTrade.{symbol}"));
    vec![serde_json::json!({ "op": "subscribe", "args": [book, trades] }).to_string()]
}

fn again(symbol: &str) -> Vec<String> {
    let of = |op| serde_json::json!({ "op": op, "args": [book(symbol)] }).to_string();
    vec![of("unsubscribe"), of("subscribe")]
}

fn book(symbol: &str) -> String {
    format!("orderbook.200.{symbol}")
}
