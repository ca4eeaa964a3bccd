//! Lines that our recorder writes between those of a venue (`specs/inputs/recorded.md`).

use std::borrow::Cow;

use market_model::{Instrument, decimal_text};
use serde::Deserialize;

use super::json::object;
use crate::error::FieldFault;

/// How every note begins: no venue sends such a message.
const START: &[u8] = b"{\"featureplane\":";

/// What a recorder says of its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// It begins; the sizes are those that it was decoded with.
    Recording { tick_size: String, lot_size: String },
    /// The connection was lost: nobody knows what the venue sent until it stood again.
    Lost { reason: String },
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    featureplane: Cow<'a, str>,
    tick_size: Option<String>,
    lot_size: Option<String>,
    reason: Option<String>,
}

/// Reads a note; `None` for a message of the venue.
///
/// # Errors
///
/// A note of another kind, or without its fields.
pub(super) fn read(json: &[u8]) -> Result<Option<Note>, FieldFault> {
    if !json.starts_with(START) {
        return Ok(None);
    }
    let fields: Fields<'_> = object("line", json)?;
    match (&*fields.featureplane, fields.tick_size, fields.lot_size, fields.reason) {
        ("recording", Some(tick_size), Some(lot_size), _) => {
            Ok(Some(Note::Recording { tick_size, lot_size }))
        }
        ("lost", _, _, Some(reason)) => Ok(Some(Note::Lost { reason })),
        _ => Err(FieldFault::new("featureplane", "recording with its sizes, or lost", json)),
    }
}

/// Whether a line is a note that needs nothing done; a lost connection is the fault of its line.
pub(super) fn is_note(json: &[u8]) -> Result<bool, FieldFault> {
    match read(json)? {
        None => Ok(false),
        Some(Note::Recording { .. }) => Ok(true),
        Some(Note::Lost { reason }) => {
            Err(FieldFault::new("connection", "one that stands", reason.as_bytes()))
        }
    }
}

/// Tick and lot size as decimal text.
pub(super) fn sizes(instrument: &Instrument) -> [String; 2] {
    let (tick, lot) = (instrument.tick_scaled, instrument.lot_scaled);
    [decimal_text(tick, instrument.price_scale), decimal_text(lot, instrument.qty_scale)]
}

/// The first note of a recording.
pub(super) fn recording(instrument: &Instrument) -> String {
    let [tick_size, lot_size] = sizes(instrument);
    serde_json::json!({
        "featureplane": "recording",
        "venue": instrument.venue,
        "symbol": instrument.symbol,
        "tick_size": tick_size,
        "lot_size": lot_size,
    })
    .to_string()
}

/// The note of a lost connection.
pub(super) fn lost(reason: &str) -> String {
    serde_json::json!({ "featureplane": "lost", "reason": reason }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let instrument = Instrument::new(0, "X", "0.25", "10").unwrap();
        let sizes = Note::Recording { tick_size: "0.25".into(), lot_size: "10".into() };
        assert_eq!(read(recording(&instrument).as_bytes()), Ok(Some(sizes)));
        let reason = "closed: \"bye\"\n";
        assert_eq!(read(lost(reason).as_bytes()), Ok(Some(Note::Lost { reason: reason.into() })));
        assert!(is_note(lost(reason).as_bytes()).unwrap_err().found.contains("closed"));
        assert_eq!(is_note(recording(&instrument).as_bytes()), Ok(true));
    }

    #[test]
    fn messages_are_no_notes_and_other_notes_are_refused() {
        assert_eq!(read(br#"{"stream":"x@trade"}"#), Ok(None));
        for text in [r#"{"featureplane":"lost"}"#, r#"{"featureplane":1}"#, r#"{"featureplane":"#] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
