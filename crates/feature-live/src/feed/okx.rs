//! OKX, version 5: channels are asked for, a subscription begins with a snapshot, books have checksums.

use std::time::Duration;

use market_io::venue::VenueLines;
use serde_json::json;

use super::sizes::{Sizes, entry, texts};
use super::venue::{Snapshot, Venue};

pub(super) static OKX: Venue = Venue {
    name: "okx",
    exchange: "okx",
    lines: VenueLines::Cryptofeed,
    stream: "wss://ws.okx.com:8443",
    path: |_| "/ws/v5/public".into(),
    subscribe: |symbol| vec![of("subscribe", &["books", "trades"], symbol)],
    snapshot: Snapshot::Subscribe(|symbol| {
        vec![of("unsubscribe", &["books"], symbol), of("subscribe", &["books"], symbol)]
    }),
    sizes: Sizes {
        server: "https://www.okx.com",
        path: |symbol| {
            format!("/api/v5/public/instruments?instType={}&instId={symbol}", kind(symbol))
        },
        read: |list, symbol| {
            let found = entry(&list["data"], "instId", symbol)?;
            texts([&found["tickSz"], &found["lotSz"]])
        },
    },
    // The venue closes a connection on which nothing was said for 30 s.
    ping: Some((Duration::from_secs(20), "ping")),
    is_pong: |text| text == "pong",
    silence: Duration::from_secs(60),
};

/// The kind of an instrument by its name: `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-220527`, `...-30000-C`.
fn kind(symbol: &str) -> &'static str {
    match (symbol.split('-').count(), symbol.ends_with("-SWAP")) {
        (_, true) => "SWAP",
        (..=2, false) => "SPOT",
        (3, false) => "FUTURES",
        (_, false) => "OPTION",
    }
}

fn of(op: &str, channels: &[&str], symbol: &str) -> String {
    let args = channels.iter().map(|channel| json!({ "channel": channel, "instId": symbol }));
    json!({ "op": op, "args": args.collect::<Vec<_>>() }).to_string()
}
