//! Kraken, version 1: channels are asked for, a subscription begins with a snapshot, books have checksums.

use std::time::Duration;

use market_io::venue::VenueLines;
use serde_json::{Value, json};

use super::sizes::Sizes;
use super::venue::{Snapshot, Venue, never};

pub(super) static KRAKEN: Venue = Venue {
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
    sizes: Sizes {
        server: "https://api.kraken.com",
        // The names of the stream are no names of requests: all of them are asked for.
        path: |_| "/0/public/AssetPairs".into(),
        read: |list, symbol| {
            let pairs = list["result"].as_object()?;
            let found = pairs.values().find(|pair| pair["wsname"] == symbol)?;
            let decimals = |field: &str| found[field].as_u64().map(step);
            let stated = found["tick_size"].as_str().map(str::to_owned);
            Some([stated.or_else(|| decimals("pair_decimals"))?, decimals("lot_decimals")?])
        },
    },
    ping: None,
    is_pong: never,
    // Every subscription has a heartbeat of one second.
    silence: Duration::from_secs(15),
};

/// `10^-decimals`.
fn step(decimals: u64) -> String {
    if decimals == 0 { "1".into() } else { format!("1e-{decimals}") }
}

fn book() -> Value {
    json!({ "name": "book", "depth": 1000 })
}

fn of(event: &str, symbol: &str, subscription: &Value) -> String {
    json!({ "event": event, "pair": [symbol], "subscription": subscription }).to_string()
}
