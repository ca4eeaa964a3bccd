//! What is particular to a venue; a small file of each says it.

use std::time::Duration;

use market_io::venue::VenueLines;

use super::sizes::Sizes;
use super::{binance, bybit, kraken, okx};
use crate::error::Error;

/// A venue: addresses, and what is said on a connection. Symbols are as the venue writes them.
#[derive(Debug)]
pub struct Venue {
    /// Name in `--feed`.
    pub name: &'static str,
    /// Name of the instruments' venue.
    pub exchange: &'static str,
    /// What its recordings look like, and so which decoder reads them.
    pub lines: VenueLines,
    /// Address of the websocket.
    pub(super) stream: &'static str,
    /// Path and query of the websocket for a symbol.
    pub(super) path: fn(&str) -> String,
    /// Messages that ask for book and trades of a symbol, when the path does not.
    pub(super) subscribe: fn(&str) -> Vec<String>,
    /// How a snapshot is asked for.
    pub(super) snapshot: Snapshot,
    /// Where it states tick and lot size.
    pub(super) sizes: Sizes,
    /// A message that keeps a connection open, and how often it is sent.
    pub(super) ping: Option<(Duration, &'static str)>,
    /// Messages without content, which are not recorded.
    pub(super) is_pong: fn(&str) -> bool,
    /// Time without a message after which a connection counts as lost.
    pub(super) silence: Duration,
}

/// How a venue is asked for a whole book.
#[derive(Debug)]
pub(super) enum Snapshot {
    /// By a request to another address; changes come meanwhile and are kept by the decoder.
    Request {
        /// Address.
        server: &'static str,
        /// Path and query for a symbol.
        path: fn(&str) -> String,
    },
    /// By giving the book up and subscribing to it again: messages for a symbol.
    Subscribe(fn(&str) -> Vec<String>),
}

/// Every venue.
pub static VENUES: [&Venue; 6] =
    [&binance::SPOT, &binance::USD_M, &bybit::LINEAR, &bybit::SPOT, &okx::OKX, &kraken::KRAKEN];

impl Venue {
    /// The venue of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        VENUES.into_iter().find(|venue| venue.name == name)
    }

    /// Where the stream of a symbol is.
    pub(super) fn stream_url(&self, endpoint: Option<&str>, symbol: &str) -> String {
        format!("{}{}", endpoint.unwrap_or(self.stream), (self.path)(symbol))
    }

    /// Where a snapshot is asked for; `None` when that is done on the stream.
    pub(super) fn snapshot_url(&self, endpoint: Option<&str>, symbol: &str) -> Option<String> {
        let Snapshot::Request { server, path } = self.snapshot else { return None };
        Some(Self::request_url(server, endpoint, &path(symbol)))
    }

    /// Where something is asked for.
    pub(super) fn request_url(server: &str, endpoint: Option<&str>, path: &str) -> String {
        // `ws` becomes `http`, and `wss` becomes `https`.
        match endpoint.and_then(|endpoint| endpoint.strip_prefix("ws")) {
            Some(rest) => format!("http{rest}{path}"),
            None => format!("{server}{path}"),
        }
    }
}

/// Refuses an address that is no `ws://` or `wss://` with a host and nothing else.
pub(super) fn check_endpoint(endpoint: Option<&str>) -> Result<(), Error> {
    let Some(text) = endpoint else { return Ok(()) };
    let host = text.strip_prefix("ws://").or_else(|| text.strip_prefix("wss://"));
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || b".:-[]".contains(&c))
    };
    if host.is_some_and(is_host) { Ok(()) } else { Err(Error::Endpoint { found: text.into() }) }
}

/// No message, for venues that are told everything by the path.
pub(super) fn nothing(_symbol: &str) -> Vec<String> {
    Vec::new()
}

/// Nothing is a pong.
pub(super) fn never(_text: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_venue_is_found_by_its_name_and_has_addresses() {
        for venue in VENUES {
            assert!(std::ptr::eq(Venue::named(venue.name).unwrap(), venue));
            let stream = venue.stream_url(None, "BTCUSDT");
            assert!(stream.starts_with("wss://"), "{stream}");
            let local = venue.stream_url(Some("ws://127.0.0.1:9"), "BTCUSDT");
            assert!(local.starts_with("ws://127.0.0.1:9/"), "{local}");
            if let Some(url) = venue.snapshot_url(None, "BTCUSDT") {
                assert!(url.starts_with("https://"), "{url}");
                let local = venue.snapshot_url(Some("ws://127.0.0.1:9"), "BTCUSDT").unwrap();
                assert!(local.starts_with("http://127.0.0.1:9/"), "{local}");
            }
        }
        assert!(Venue::named("binance").is_none());
    }

    #[test]
    fn an_endpoint_is_a_host() {
        for good in ["ws://127.0.0.1:80", "wss://x.example", "ws://[::1]:9000"] {
            assert!(check_endpoint(Some(good)).is_ok(), "{good}");
        }
        for wrong in ["", "ws://", "http://x", "ws://x/path", "127.0.0.1:80", "ws://a b"] {
            assert!(check_endpoint(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
