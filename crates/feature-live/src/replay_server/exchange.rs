//! What a venue is to its clients: subscriptions, messages, snapshots.

use serde_json::Value;

use super::{binance, bybit, kraken, okx};
use crate::feed::Venue;

/// What a client can be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) is_book: bool,
    /// As the venue writes it in its messages.
    pub(super) symbol: String,
}

/// What a message of the recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Sent to those who are subscribed.
    Message(Channel),
    /// The answer to a request for a snapshot of a symbol, empty when it does not say.
    Answer(String),
    /// Nothing that is sent.
    Other,
}

/// What a client said, and what it is told.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) answers: Vec<String>,
    pub(super) subscribe: Vec<Channel>,
    pub(super) unsubscribe: Vec<Channel>,
}

/// The state of a venue at one place of the recording.
pub(super) trait Exchange {
    /// What a client subscribes to with the path of its connection.
    fn opened(&self, _path: &str) -> Vec<Channel> {
        Vec::new()
    }

    /// Takes a message of a client.
    fn said(&self, _text: &str) -> Said {
        Said::default()
    }

    /// Takes the next message of the recording into the book.
    fn take(&mut self, text: &str) -> Seen;

    /// A whole book, as a message or an answer; `None` before there is one.
    fn snapshot(&self, symbol: &str) -> Option<String>;

    /// With what a subscription to a book begins: the whole book, once there is one.
    fn first_message(&self, symbol: &str) -> Option<String> {
        self.snapshot(symbol)
    }

    /// The symbol of which a request asks for a snapshot.
    fn requested(&self, _path: &str) -> Option<String> {
        None
    }

    /// The symbol of which a request asks for the sizes, empty when it asks for all.
    fn sizes_requested(&self, path: &str) -> Option<String>;

    /// The answer to such a request, with tick and lot size.
    fn sizes(&self, symbol: &str, sizes: [String; 2]) -> Value;

    /// A message with another checksum; `None` when it has none.
    fn with_wrong_checksum(&self, _text: &str) -> Option<String> {
        None
    }
}

/// The exchange of a venue.
pub(super) fn of(venue: &Venue) -> Box<dyn Exchange> {
    match venue.exchange {
        "binance-spot" => Box::new(binance::Binance::new("/api/v3/")),
        "binance-usdm" => Box::new(binance::Binance::new("/fapi/v1/")),
        "bybit" => Box::<bybit::Bybit>::default(),
        "okx" => Box::<okx::Okx>::default(),
        other => {
            assert_eq!(other, "kraken", "Invariant: every venue has an exchange");
            Box::<kraken::Kraken>::default()
        }
    }
}

/// The value of a key in the query of a path that begins in a certain way.
pub(super) fn asked(path: &str, start: &str, key: &str) -> Option<String> {
    let query = path.strip_prefix(start)?.strip_prefix('?')?;
    let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == key);
    found.map(|(_, value)| value.to_owned())
}

/// A message as JSON, `null` when it is none.
pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The text of a field, empty when there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
