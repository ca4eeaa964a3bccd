//! Packets to lines.

use std::path::Path;

use market_model::{Instrument, Packet};
use serde_json::{Map, Value, json};

use super::line::{AGGRESSORS, InstrumentLine, KINDS, OPS, ORDER_OPS, SIDES, word};
use super::{MAGIC, VERSION};
use crate::sink::{Existing, Finished, SinkError};
use crate::write::{TextFile, push_integer};

const FLUSH_BYTES: usize = 1 << 16;

/// Writes a packet log; gzip when its name ends in `.gz`.
///
/// ```
/// use market_io::{EventsWriter, OpenOptions, sink::Existing};
/// use market_model::{BookOp, Instrument, Level, Packet};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("packets.ndjson.gz");
/// let instrument = Instrument::new(0, "BTCUSDT", "0.10", "0.001").unwrap();
/// let extra = serde_json::Map::from_iter([("feature_set".into(), "core_v1".into())]);
/// let mut writer = EventsWriter::create(&path, &instrument, extra, Existing::Refuse)?;
/// let mut packet = Packet::default();
/// packet.push_level(BookOp::SetBid, Level::new(618_002, 7));
/// writer.write(&packet)?;
/// assert_eq!(writer.finish()?.rows, 1);
///
/// let inputs = vec![path];
/// let mut source = market_io::open(&OpenOptions { inputs, ..OpenOptions::default() }).unwrap();
/// let mut read = Packet::default();
/// assert!(source.next_packet(&mut read).unwrap());
/// assert_eq!(read, packet);
/// # Ok::<(), market_io::sink::SinkError>(())
/// ```
pub struct EventsWriter {
    file: TextFile,
    text: Vec<u8>,
    packets: u64,
}

impl EventsWriter {
    /// Starts a log. The keys of `extra` follow those of the format in the header; a key that the
    /// format uses itself is left out.
    ///
    /// # Errors
    ///
    /// [`SinkError`] for a destination that cannot be written.
    pub fn create(
        path: &Path,
        instrument: &Instrument,
        extra: Map<String, Value>,
        existing: Existing,
    ) -> Result<Self, SinkError> {
        let mut header = Map::new();
        header.insert(MAGIC.into(), VERSION.into());
        let line = InstrumentLine::new(instrument);
        header.insert("instrument".into(), json!(line));
        for (key, value) in extra {
            header.entry(key).or_insert(value);
        }
        let mut text = Value::Object(header).to_string().into_bytes();
        text.push(b'\n');
        Ok(Self { file: TextFile::create(path, existing)?, text, packets: 0 })
    }

    /// Appends one packet. Its symbol id is that of the header.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`].
    pub fn write(&mut self, packet: &Packet) -> Result<(), SinkError> {
        push_packet(&mut self.text, packet);
        self.packets += 1;
        if self.text.len() >= FLUSH_BYTES {
            self.file.put(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    /// Completes the log; rows are packets.
    ///
    /// # Errors
    ///
    /// [`SinkError`].
    pub fn finish(mut self) -> Result<Finished, SinkError> {
        self.file.put(&self.text)?;
        self.file.finish(self.packets)
    }
}

fn push_packet(text: &mut Vec<u8>, packet: &Packet) {
    let put = |text: &mut Vec<u8>, part: &str| text.extend_from_slice(part.as_bytes());
    put(text, "{\"k\":\"");
    put(text, word(&KINDS, packet.kind));
    put(text, "\",\"e\":");
    push_integer(text, packet.ts_event_ns);
    put(text, ",\"r\":");
    push_integer(text, packet.ts_recv_ns);
    for (key, value) in
        [(",\"s\":", packet.seq), (",\"f\":", packet.first_seq), (",\"p\":", packet.prev_seq)]
    {
        put(text, key);
        push_integer(text, value);
    }
    put(text, if packet.checksum_mismatch { ",\"c\":1,\"runs\":[" } else { ",\"c\":0,\"runs\":[" });
    for (index, (op, levels)) in packet.runs().enumerate() {
        put(text, if index == 0 { "[\"" } else { ",[\"" });
        put(text, word(&OPS, op));
        put(text, "\",[");
        for (index, level) in levels.iter().enumerate() {
            put(text, if index == 0 { "[" } else { ",[" });
            push_integer(text, level.price_ticks);
            text.push(b',');
            push_integer(text, level.qty_lots);
            text.push(b']');
        }
        put(text, "]]");
    }
    push_orders(text, packet);
    put(text, "],\"t\":[");
    for (index, trade) in packet.trades.iter().enumerate() {
        put(text, if index == 0 { "[" } else { ",[" });
        push_integer(text, trade.price_ticks);
        text.push(b',');
        push_integer(text, trade.qty_lots);
        put(text, ",\"");
        put(text, word(&AGGRESSORS, trade.aggressor));
        put(text, "\"]");
    }
    put(text, "]}\n");
}

/// Closes the runs and opens the order events, if there are any.
fn push_orders(text: &mut Vec<u8>, packet: &Packet) {
    for (index, event) in packet.orders.iter().enumerate() {
        text.extend_from_slice(if index == 0 { b"],\"o\":[[\"" } else { b",[\"" });
        text.extend_from_slice(word(&ORDER_OPS, event.op).as_bytes());
        text.extend_from_slice(b"\",");
        push_integer(text, event.order_id);
        text.extend_from_slice(b",\"");
        text.extend_from_slice(word(&SIDES, event.side).as_bytes());
        text.extend_from_slice(b"\",");
        push_integer(text, event.price_ticks);
        text.push(b',');
        push_integer(text, event.qty_lots);
        text.push(b']');
    }
}
