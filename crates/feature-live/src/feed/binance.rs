//! Binance: the path names the streams, a snapshot is a request.
//!
//! Source: the venue's pages "How to manage a local order book correctly" of spot and USD-M futures.

use std::time::Duration;

use market_io::venue::VenueLines;
use serde_json::Value;

use super::sizes::{Sizes, entry, texts};
use super::venue::{Snapshot, Venue, never, nothing};

/// The venue pings by itself every few minutes at most, and ends a connection after a day.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) static SPOT: Venue = Venue {
    name: "binance-spot",
    exchange: "binance-spot",
    lines: VenueLines::BinanceSpot,
    stream: "wss://stream.binance.com:9443",
    path: |symbol| streams(symbol, "depth@100ms"),
    subscribe: nothing,
    snapshot: Snapshot::Request {
        server: "https://api.binance.com",
        path: |symbol| format!("/api/v3/depth?symbol={symbol}&limit=5000"),
    },
    sizes: Sizes {
        server: "https://api.binance.com",
        path: |symbol| format!("/api/v3/exchangeInfo?symbol={symbol}"),
        read: filters,
    },
    ping: None,
    is_pong: never,
    silence: SILENCE,
};

pub(super) static USD_M: Venue = Venue {
    name: "binance-usdm",
    exchange: "binance-usdm",
    lines: VenueLines::BinanceFutures,
    stream: "wss://fstream.binance.com",
    path: |symbol| streams(symbol, "depth@0ms"),
    subscribe: nothing,
    snapshot: Snapshot::Request {
        server: "https://fapi.binance.com",
        path: |symbol| format!("/fapi/v1/depth?symbol={symbol}&limit=1000"),
    },
    sizes: Sizes {
        server: "https://fapi.binance.com",
        // It lists every symbol all the same.
        path: |symbol| format!("/fapi/v1/exchangeInfo?symbol={symbol}"),
        read: filters,
    },
    ping: None,
    is_pong: never,
    silence: SILENCE,
};

fn filters(list: &Value, symbol: &str) -> Option<[String; 2]> {
    let filters = &entry(&list["symbols"], "symbol", symbol)?["filters"];
    let tick = &entry(filters, "filterType", "PRICE_FILTER")?["tickSize"];
    let lot = &entry(filters, "filterType", "LOT_SIZE")?["stepSize"];
    texts([tick, lot])
}

fn streams(symbol: &str, depth: &str) -> String {
    let symbol = symbol.to_ascii_lowercase();
    format!("/stream?streams={symbol}@{depth}/{symbol}@trade")
}
