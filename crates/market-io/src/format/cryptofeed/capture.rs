//! Lines of a capture: version 2 is JSON, version 1 is `<unix s>: <message>`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FieldFault;
use crate::format::calendar::{Unit, unix_ns};
use crate::format::json::{decimal_text, object, text};

/// What a line holds.
pub(in crate::format) enum Received<'a> {
    /// A message of the venue.
    Message { text: Cow<'a, str>, recv_ns: i64 },
    /// Anything else, by kind; empty for a blank line.
    Other(&'static str),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    t: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Addresses with which lines of connections begin in version 1.
const ADDRESSES: [&[u8]; 3] = [b"wss://", b"https://", b"http://"];

/// Whether the first bytes of a file are the beginning of a capture.
pub(in crate::format) fn looks_like(head: &[u8]) -> bool {
    let line = head.split(|c| *c == b'\n').next().unwrap_or_default();
    let is_address = ADDRESSES.iter().any(|address| line.starts_with(address))
        && [" <-> ", " <- ", " -> "]
            .iter()
            .any(|arrow| memchr::memmem::find(line, arrow.as_bytes()).is_some());
    head.starts_with(b"{\"t\":\"")
        || is_address
        || split_v1(line).is_some_and(|(time, _)| unix_ns("time", time, Unit::Seconds).is_ok())
}

/// Time and message of a line of version 1.
fn split_v1(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|c| !c.is_ascii_digit() && *c != b'.')?;
    let message = line[end..].strip_prefix(b": ")?;
    (end > 0).then_some((&line[..end], message))
}

/// Reads one line.
pub(in crate::format) fn received(line: &[u8]) -> Result<Received<'_>, FieldFault> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(Received::Other(""));
    }
    if line.starts_with(b"{") {
        return envelope(line);
    }
    if ADDRESSES.iter().any(|address| line.starts_with(address)) {
        return Ok(Received::Other("line of a connection"));
    }
    let expected = "a time in s, a colon and a message";
    let (time, message) = split_v1(line).ok_or_else(|| FieldFault::new("line", expected, line))?;
    let text =
        str::from_utf8(message).map_err(|_| FieldFault::new("line", "UTF-8 text", message))?;
    Ok(Received::Message { text: text.into(), recv_ns: unix_ns("time", time, Unit::Seconds)? })
}

fn envelope(line: &[u8]) -> Result<Received<'_>, FieldFault> {
    let envelope: Envelope<'_> = object("line", line)?;
    match &*text(("t", envelope.t))? {
        "recv" => {}
        "header" => return Ok(Received::Other("header")),
        _ => return Ok(Received::Other("line of a connection")),
    }
    if envelope.data.is_none() {
        return Ok(Received::Other("binary frame"));
    }
    let time = decimal_text(("ts", envelope.ts))?;
    let recv_ns = unix_ns("ts", time, Unit::Seconds)?;
    Ok(Received::Message { text: text(("data", envelope.data))?, recv_ns })
}
