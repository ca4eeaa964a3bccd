//! State snapshots: everything that a later frame depends on, with a checksum.
//!
//! Layout: `FPSTATE1`, schema hash, length and bytes of the instrument text, length and bytes of the
//! payload (book, kernel, and of a second set its schema hash and kernel), then BLAKE3 of all of that (32 bytes). Integers are little-endian 64-bit words.

use market_model::{StateReader, StateWriter};

use crate::engine::FeatureEngine;
use crate::error::Error;
use crate::symbol::SymbolEngine;

const MARKER: u64 = u64::from_le_bytes(*b"FPSTATE1");
const DIGEST_BYTES: usize = 32;

impl SymbolEngine {
    /// The whole state as bytes. Equal states give equal bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut payload = StateWriter::default();
        self.lob.save(&mut payload);
        self.kernel.save(&mut payload);
        if let Some(companion) = &self.companion {
            payload.u64(companion.set.schema_hash());
            companion.kernel.save(&mut payload);
        }
        let payload = payload.into_bytes();
        let instrument = self.instrument_text();
        let mut head = StateWriter::default();
        head.u64(MARKER);
        head.u64(self.set.schema_hash());
        head.u64(instrument.len() as u64);
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(instrument.as_bytes());
        bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&payload);
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// Continues from a snapshot: later frames are those of the run that made it.
    ///
    /// # Errors
    ///
    /// [`Error::StateMismatch`] for another checksum, feature set or instrument, [`Error::Book`] for
    /// bytes that are no state. The engine is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mismatch = |field, expected: String, found: String| {
            Err(Error::StateMismatch { field, expected, found })
        };
        let body = bytes.len().saturating_sub(DIGEST_BYTES);
        let digest = blake3::hash(&bytes[..body]);
        if bytes[body..] != *digest.as_bytes() {
            let found = format!("{} bytes that do not match it", bytes.len());
            return mismatch("checksum", digest.to_hex().to_string(), found);
        }
        let mut from = StateReader::new(&bytes[..body]);
        let marker = from.u64()?;
        if marker != MARKER {
            return mismatch("marker", format!("{MARKER:016x}"), format!("{marker:016x}"));
        }
        let (want, found) = (self.set.schema_hash(), from.u64()?);
        if want != found {
            return mismatch("schema hash", format!("{want:016x}"), format!("{found:016x}"));
        }
        let length = from.count("instrument", 1)?;
        let start = body - from.remaining();
        let found = String::from_utf8_lossy(&bytes[start..start + length]).into_owned();
        if found != self.instrument_text() {
            return mismatch("instrument", self.instrument_text(), found);
        }
        let mut from = StateReader::new(&bytes[start + length..body]);
        from.count("payload", 1)?;
        let (set, instrument) = (self.set.clone(), self.instrument.clone());
        let mut fresh = match &self.companion {
            None => Self::new(set, instrument),
            Some(companion) => Self::with_companion(set, companion.set.clone(), instrument),
        };
        fresh.lob.load(&mut from)?;
        fresh.kernel.load(&mut from)?;
        if let Some(companion) = &mut fresh.companion {
            let (want, found) = (companion.set.schema_hash(), from.u64()?);
            if want != found {
                let (want, found) = (format!("{want:016x}"), format!("{found:016x}"));
                return mismatch("schema hash of the second set", want, found);
            }
            companion.kernel.load(&mut from)?;
        }
        if from.remaining() != 0 {
            return mismatch("length", "0 bytes left".into(), from.remaining().to_string());
        }
        *self = fresh;
        Ok(())
    }

    fn instrument_text(&self) -> String {
        let i = &self.instrument;
        format!(
            "{}/{} tick {}e-{} lot {}e-{} {:?} {:?} max_age {:?}",
            i.venue,
            i.symbol,
            i.tick_scaled,
            i.price_scale,
            i.lot_scaled,
            i.qty_scale,
            i.feed,
            i.sequencing,
            i.max_age_ns
        )
    }
}

impl FeatureEngine {
    /// State snapshots of all symbols, in their order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = (self.symbols().count() as u64).to_le_bytes().to_vec();
        for symbol in self.symbols() {
            let state = symbol.snapshot();
            bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
            bytes.extend_from_slice(&state);
        }
        bytes
    }

    /// Continues from a snapshot of an engine with the same symbols in the same order.
    ///
    /// # Errors
    ///
    /// [`Error::StateMismatch`] and [`Error::Book`], as [`SymbolEngine::restore`]; the engine is then
    /// unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut from = StateReader::new(bytes);
        let (want, found) = (self.symbols().count(), from.u64()?);
        if want as u64 != found {
            let (expected, found) = (want.to_string(), found.to_string());
            return Err(Error::StateMismatch { field: "number of symbols", expected, found });
        }
        let mut restored = Vec::with_capacity(want);
        let mut start = 8;
        for symbol in self.symbols() {
            let mut from = StateReader::new(&bytes[start..]);
            let length = from.count("symbol state", 1)?;
            let mut fresh =
                SymbolEngine::new(symbol.feature_set().clone(), symbol.instrument().clone());
            fresh.restore(&bytes[start + 8..start + 8 + length])?;
            restored.push(fresh);
            start += 8 + length;
        }
        self.symbols_mut().zip(restored).for_each(|(old, new)| *old = new);
        Ok(())
    }
}
