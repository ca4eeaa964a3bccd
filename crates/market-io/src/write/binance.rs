//! Recorder files of Binance USD-M: per line the local time in ns, a space, and the message.

use std::path::Path;

use market_model::{Aggressor, Instrument, Level};

use super::WriteError;
use super::text::{TextFile, push_decimal, push_integer};
use crate::sink::{Existing, Finished, SinkError};
use crate::synthetic::{SyntheticConfig, SyntheticKind, SyntheticMessage, SyntheticStream};

const FLUSH_BYTES: usize = 1 << 16;
const NS_PER_MS: i64 = 1_000_000;

/// Writes synthetic messages the way a recorder keeps those of the exchange.
pub struct BinanceWriter {
    file: TextFile,
    instrument: Instrument,
    /// Decimals that are written: `61800.20` on a grid of 0.10.
    decimals: (u8, u8),
    stream: String,
    text: Vec<u8>,
    lines: u64,
}

/// Writes a whole synthetic market; gzip when the name ends in `.gz`. Rows are lines.
///
/// # Errors
///
/// [`WriteError::Source`] for a wrong configuration, [`WriteError::Sink`] for a wrong destination.
pub fn write_binance(
    path: &Path,
    config: &SyntheticConfig,
    existing: Existing,
) -> Result<Finished, WriteError> {
    let mut stream = SyntheticStream::new(config)?;
    let mut writer = BinanceWriter::create(path, config, existing)?;
    let mut message = SyntheticMessage::default();
    while stream.next_message(&mut message) {
        writer.write(&message)?;
    }
    Ok(writer.finish()?)
}

impl BinanceWriter {
    /// Starts a file; gzip when the name ends in `.gz`.
    ///
    /// # Errors
    ///
    /// [`WriteError::Source`] for a wrong configuration, [`WriteError::Sink`] for a wrong destination.
    pub fn create(
        path: &Path,
        config: &SyntheticConfig,
        existing: Existing,
    ) -> Result<Self, WriteError> {
        Ok(Self {
            instrument: config.instrument()?,
            decimals: config.written_decimals(),
            stream: config.symbol.to_ascii_lowercase(),
            file: TextFile::create(path, existing)?,
            text: Vec::with_capacity(2 * FLUSH_BYTES),
            lines: 0,
        })
    }

    /// Appends one line.
    ///
    /// # Errors
    ///
    /// [`SinkError::Io`].
    pub fn write(&mut self, message: &SyntheticMessage) -> Result<(), SinkError> {
        push_integer(&mut self.text, message.ts_recv_ns);
        self.text.push(b' ');
        match message.kind {
            SyntheticKind::Diff => self.diff(message),
            SyntheticKind::Trade => self.trade(message),
            SyntheticKind::Snapshot => self.snapshot(message),
            SyntheticKind::BookTicker => self.book_ticker(message),
        }
        self.text.push(b'\n');
        self.lines += 1;
        if self.text.len() >= FLUSH_BYTES {
            self.file.put(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// [`SinkError`].
    pub fn finish(mut self) -> Result<Finished, SinkError> {
        self.file.put(&self.text)?;
        self.file.finish(self.lines)
    }

    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn integer(&mut self, key: &str, value: impl Into<i128>) {
        self.put(key);
        push_integer(&mut self.text, value);
    }

    fn head(&mut self, channel: &str, kind: &str) {
        self.put("{\"stream\":\"");
        self.text.extend_from_slice(self.stream.as_bytes());
        self.put(channel);
        self.put("\",\"data\":{\"e\":\"");
        self.put(kind);
        self.put("\"");
    }

    fn symbol(&mut self) {
        self.put(",\"s\":\"");
        self.text.extend_from_slice(self.instrument.symbol.as_bytes());
        self.put("\"");
    }

    fn price(&mut self, ticks: i64) {
        let scaled = ticks * self.instrument.tick_scaled;
        push_decimal(&mut self.text, scaled, self.instrument.price_scale, self.decimals.0);
    }

    fn qty(&mut self, lots: i64) {
        let scaled = lots * self.instrument.lot_scaled;
        push_decimal(&mut self.text, scaled, self.instrument.qty_scale, self.decimals.1);
    }

    fn levels(&mut self, key: &str, levels: &[Level]) {
        self.put(key);
        for (index, level) in levels.iter().enumerate() {
            self.put(if index == 0 { "[\"" } else { ",[\"" });
            self.price(level.price_ticks);
            self.put("\",\"");
            self.qty(level.qty_lots);
            self.put("\"]");
        }
        self.put("]");
    }

    fn diff(&mut self, message: &SyntheticMessage) {
        self.head("@depth@0ms", "depthUpdate");
        self.integer(",\"E\":", message.ts_sent_ns / NS_PER_MS);
        self.integer(",\"T\":", message.ts_event_ns / NS_PER_MS);
        self.symbol();
        self.integer(",\"U\":", message.first_seq);
        self.integer(",\"u\":", message.seq);
        self.integer(",\"pu\":", message.prev_seq);
        self.levels(",\"b\":[", &message.bids);
        self.levels(",\"a\":[", &message.asks);
        self.put("}}");
    }

    fn trade(&mut self, message: &SyntheticMessage) {
        self.head("@trade", "trade");
        self.integer(",\"E\":", message.ts_sent_ns / NS_PER_MS);
        self.integer(",\"T\":", message.ts_event_ns / NS_PER_MS);
        self.symbol();
        self.integer(",\"t\":", message.first_seq);
        self.put(",\"p\":\"");
        self.price(message.trade.price_ticks);
        self.put("\",\"q\":\"");
        self.qty(message.trade.qty_lots);
        self.put("\",\"X\":\"MARKET\",\"m\":");
        // `m`: the buyer was the maker.
        let buyer_is_maker = message.trade.aggressor == Aggressor::Sell;
        self.put(if buyer_is_maker { "true}}" } else { "false}}" });
    }

    fn snapshot(&mut self, message: &SyntheticMessage) {
        self.integer("{\"lastUpdateId\":", message.seq);
        self.integer(",\"E\":", message.ts_sent_ns / NS_PER_MS);
        self.integer(",\"T\":", message.ts_event_ns / NS_PER_MS);
        self.levels(",\"bids\":[", &message.bids);
        self.levels(",\"asks\":[", &message.asks);
        self.put("}");
    }

    fn book_ticker(&mut self, message: &SyntheticMessage) {
        self.head("@bookTicker", "bookTicker");
        self.integer(",\"u\":", message.seq);
        self.symbol();
        for (levels, price, qty) in [(&message.bids, "b", "B"), (&message.asks, "a", "A")] {
            let level = levels.first().copied().unwrap_or_default();
            self.put(",\"");
            self.put(price);
            self.put("\":\"");
            self.price(level.price_ticks);
            self.put("\",\"");
            self.put(qty);
            self.put("\":\"");
            self.qty(level.qty_lots);
            self.put("\"");
        }
        self.integer(",\"T\":", message.ts_event_ns / NS_PER_MS);
        self.integer(",\"E\":", message.ts_sent_ns / NS_PER_MS);
        self.put("}}");
    }
}
