//! Bybit, version 5: topics are asked for, a subscription begins with a snapshot.

use std::time::Duration;

use market_io::venue::VenueLines;
use serde_json::Value;

use super::sizes::{Sizes, entry, texts};
use super::venue::{Snapshot, Venue, never};

/// The venue asks for a ping every 20 s, and answers it.
const PING: Option<(Duration, &str)> = Some((Duration::from_secs(20), r#"{"op":"ping"}"#));

const REST: &str = "https://api.bybit.com";

const ON_LINEAR: Venue = Venue {
    name: "bybit-linear",
    exchange: "bybit",
    lines: VenueLines::Bybit,
    stream: "wss://stream.bybit.com",
    path: |_| "/v5/public/linear".into(),
    subscribe,
    snapshot: Snapshot::Subscribe(again),
    sizes: Sizes {
        server: REST,
        path: |symbol| format!("/v5/market/instruments-info?category=linear&symbol={symbol}"),
        read: |list, symbol| read(list, symbol, "qtyStep"),
    },
    ping: PING,
    is_pong: never,
    silence: Duration::from_secs(60),
};

pub(super) static LINEAR: Venue = ON_LINEAR;

pub(super) static SPOT: Venue = Venue {
    name: "bybit-spot",
    path: |_| "/v5/public/spot".into(),
    sizes: Sizes {
        server: REST,
        path: |symbol| format!("/v5/market/instruments-info?category=spot&symbol={symbol}"),
        read: |list, symbol| read(list, symbol, "basePrecision"),
    },
    ..ON_LINEAR
};

fn read(list: &Value, symbol: &str, lot: &str) -> Option<[String; 2]> {
    let found = entry(&list["result"]["list"], "symbol", symbol)?;
    texts([&found["priceFilter"]["tickSize"], &found["lotSizeFilter"][lot]])
}

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
