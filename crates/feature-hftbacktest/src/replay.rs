//! The rows of a backtest, read a second time.

use std::sync::Arc;

use feature_runtime::{FeatureSet, SymbolEngine};
use market_io::{Error, Source};
use market_model::Packet;

/// Features up to a time that the caller names, from the input that a backtest reads.
///
/// Market data that is replayed does not react to orders, so features are a function of the input alone.
pub struct CoReplay {
    source: Box<dyn Source>,
    engine: SymbolEngine,
    latency_offset_ns: i64,
    /// The first packet that lies beyond the time reached, if there is one.
    packet: Packet,
    is_ahead: bool,
    ended: bool,
}

impl CoReplay {
    /// A replay before its first packet; `latency_offset_ns` is added to every local time, as the
    /// backtest was told to do.
    #[must_use]
    pub fn new(set: Arc<FeatureSet>, source: Box<dyn Source>, latency_offset_ns: i64) -> Self {
        let engine = SymbolEngine::new(set, source.instrument().clone());
        let (packet, is_ahead, ended) = (Packet::default(), false, false);
        Self { source, engine, latency_offset_ns, packet, is_ahead, ended }
    }

    /// Takes every packet received up to `now_ns`; the number of frames that it made.
    ///
    /// At the end of its data hftbacktest leaves its clock before the last packet: pass `i64::MAX` then.
    ///
    /// # Errors
    ///
    /// [`Error`] when the rest of the input cannot be read.
    #[inline]
    pub fn advance(&mut self, now_ns: i64) -> Result<u64, Error> {
        let mut frames = 0;
        while self.is_ahead || self.read()? {
            if self.packet.ts_recv_ns > now_ns {
                break;
            }
            self.is_ahead = false;
            frames += u64::from(self.engine.process(&self.packet).is_some());
        }
        Ok(frames)
    }

    /// Takes the next packet, whenever it was received; whether it made a frame, `None` after the last one.
    ///
    /// # Errors
    ///
    /// As [`CoReplay::advance`].
    pub fn step(&mut self) -> Result<Option<bool>, Error> {
        if !self.is_ahead && !self.read()? {
            return Ok(None);
        }
        self.is_ahead = false;
        Ok(Some(self.engine.process(&self.packet).is_some()))
    }

    fn read(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        let more = self.source.next_packet(&mut self.packet);
        self.is_ahead = matches!(more, Ok(true));
        self.ended = !self.is_ahead;
        if self.packet.ts_recv_ns != 0 {
            self.packet.ts_recv_ns += self.latency_offset_ns;
        }
        more
    }

    /// The engine, with the last frame and the book.
    #[must_use]
    pub fn engine(&self) -> &SymbolEngine {
        &self.engine
    }

    /// What was read so far, one packet ahead.
    #[must_use]
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }
}
