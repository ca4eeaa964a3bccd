//! OKX, version 5: channels are asked for, a subscription begins with a snapshot, books have checksums.

use std::time::Duration;

use market_io::venue::VenueLines;
use serde_json::json;

use super::venue::{Snapshot, Venue};

pub(super) const OKX: Venue = Venue {
    name: "okx",
    exchange: "okx",
    lines: VenueLines::Cryptofeed,
    stream: "wss://ws.okx.com:8443",
    path: |_| "/ws/v5/public".into(),
    subscribe: |symbol| vec![of("subscribe", &["books", "trades"], symbol)],
    snapshot: Snapshot::Subscribe(|symbol| {
        vec![of("unsubscribe", &["books"], symbol), of("subscribe", &["books"], symbol)]
    }),
    // The venue closes a connection on which nothing was said for 30 s.
    ping: Some((Duration::from_secs(20), "ping")),
    is_pong: |text| text == "pong",
    silence: Duration::from_secs(60),
};

fn of(op: &str, channels: &[&str], symbol: &str) -> String {
    let args = channels.iter().map(|channel| json!({ "channel": channel, "instId": symbol }));
    json!({ "op": op, "args": args.collect::<Vec<_>>() }).to_string()
}
