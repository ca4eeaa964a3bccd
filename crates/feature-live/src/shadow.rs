//! A second engine beside the primary one: the same packets, frame hashes compared every N packets.
//!
//! The window since the last comparison is kept, so that a difference is found at its exact packet and
//! feature without replaying anything (`specs/live.md`).

mod hash;
mod mismatch;

use std::sync::{Arc, Mutex, PoisonError};

use feature_kernel::FeatureSet;
use feature_runtime::FeatureEngine;
use market_model::Packet;

use crate::counters::Count;
use crate::error::Error;
use crate::plane::{Stage, Step};
use hash::RunningHash;
pub use mismatch::Mismatch;
use mismatch::{Frames, describe};

/// Mismatches that are kept in full; later ones are only counted.
pub const MAX_KEPT_MISMATCHES: usize = 100;

/// A second implementation.
pub trait Twin: Send {
    /// Name in reports.
    fn name(&self) -> &str;

    /// Takes a packet; replaces `words` by the frame and returns `true`, if one is due.
    fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool;
}

/// The engine once more: another process state, another set of the same columns, another version.
#[derive(Debug)]
pub struct EngineTwin(pub FeatureEngine);

impl Twin for EngineTwin {
    fn name(&self) -> &'static str {
        "runtime"
    }

    fn process(&mut self, packet: &Packet, words: &mut Vec<u64>) -> bool {
        let Ok(Some(frame)) = self.0.process(packet) else { return false };
        words.clear();
        words.extend_from_slice(frame.words());
        true
    }
}

/// How often a shadow compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShadowOptions {
    /// Packets between two comparisons of the running hashes; at least 1. As many are kept.
    pub check_every: usize,
    /// Comparisons of which one looks at every word of the window; 0 never does.
    pub deep_every: u64,
}

impl Default for ShadowOptions {
    fn default() -> Self {
        Self { check_every: 256, deep_every: 16 }
    }
}

/// What a shadow found so far.
#[derive(Debug, Default)]
pub struct ShadowCounters {
    /// Name of the second implementation.
    pub twin: String,
    /// Comparisons of running hashes.
    pub checks: Count,
    /// Of these, comparisons of every word.
    pub deep_checks: Count,
    /// Frames that both sides made or one of them missed.
    pub frames: Count,
    /// Frames that differ.
    pub mismatched_frames: Count,
    /// Differing values by feature.
    pub features: Vec<Count>,
    /// The first mismatches, one for each comparison that failed.
    kept: Mutex<Vec<Mismatch>>,
}

impl ShadowCounters {
    /// The first mismatches, one for each comparison that failed.
    #[must_use]
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One packet of the window.
#[derive(Debug, Default)]
struct Entry {
    packet: Packet,
    frames: [Option<Vec<u64>>; 2],
    /// Buffers of frames that are absent now.
    spare: [Vec<u64>; 2],
    hashes: [u64; 2],
}

/// The stage that compares.
pub struct Shadow {
    twin: Box<dyn Twin>,
    set: Arc<FeatureSet>,
    symbols: Vec<String>,
    options: ShadowOptions,
    window: Vec<Entry>,
    filled: usize,
    hashes: Vec<[RunningHash; 2]>,
    counters: Arc<ShadowCounters>,
}

impl Shadow {
    /// A shadow of an engine to which every symbol was added.
    ///
    /// # Errors
    ///
    /// [`Error::Shadow`] when the window would be empty.
    pub fn new(
        twin: Box<dyn Twin>,
        engine: &FeatureEngine,
        options: ShadowOptions,
    ) -> Result<Self, Error> {
        if options.check_every == 0 {
            return Err(Error::Shadow { found: 0 });
        }
        let set = Arc::clone(engine.feature_set());
        let symbols: Vec<_> = engine.symbols().map(|s| s.instrument().symbol.clone()).collect();
        let features = set.features().iter().map(|_| Count::default()).collect();
        let counters =
            ShadowCounters { twin: twin.name().into(), features, ..ShadowCounters::default() };
        Ok(Self {
            twin,
            window: (0..options.check_every).map(|_| Entry::default()).collect(),
            hashes: vec![Default::default(); symbols.len()],
            filled: 0,
            set,
            symbols,
            options,
            counters: Arc::new(counters),
        })
    }

    /// Counters that other threads may read.
    #[must_use]
    pub fn counters(&self) -> &Arc<ShadowCounters> {
        &self.counters
    }

    fn check(&mut self) {
        self.counters.checks.add(1);
        let checks = self.counters.checks.get();
        let deep = self.options.deep_every != 0 && checks.is_multiple_of(self.options.deep_every);
        self.counters.deep_checks.add(deep.into());
        let window = &self.window[..self.filled];
        let differs = self.hashes.iter().any(|[a, b]| a != b);
        if differs || (deep && window.iter().any(|entry| entry.frames[0] != entry.frames[1])) {
            self.report();
        }
        self.filled = 0;
    }

    #[cold]
    fn report(&mut self) {
        let window = &self.window[..self.filled];
        for (symbol, hashes) in self.hashes.iter_mut().enumerate() {
            let of_symbol = |entry: &&Entry| entry.packet.symbol_id as usize == symbol;
            let entries: Vec<&Entry> = window.iter().filter(of_symbol).collect();
            // Hashes that differ stay different, so the first bad packet is found by halving; words that
            // differ under equal hashes are looked for one by one.
            let at = match entries.partition_point(|entry| entry.hashes[0] == entry.hashes[1]) {
                at if at < entries.len() => Some(at),
                _ => entries.iter().position(|entry| entry.frames[0] != entry.frames[1]),
            };
            hashes[1] = hashes[0];
            let Some(at) = at else { continue };
            let first = entries[at];
            let name = &self.symbols[symbol];
            let mismatch =
                describe(name, &first.packet, frames(first), &self.set, self.twin.name());
            let mut kept = self.counters.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MAX_KEPT_MISMATCHES {
                kept.push(mismatch);
            }
            drop(kept);
            entries[at..].iter().for_each(|entry| self.counters.count(frames(entry)));
        }
    }
}

impl ShadowCounters {
    /// Counts one pair of frames, if it differs.
    fn count(&self, [primary, twin]: Frames<'_>) {
        if primary == twin {
            return;
        }
        self.mismatched_frames.add(1);
        let (Some(primary), Some(twin)) = (primary, twin) else { return };
        let start = primary.len() - self.features.len();
        let pairs = primary[start..].iter().zip(twin.iter().skip(start));
        let differing = pairs.zip(&self.features).filter(|((a, b), _)| a != b);
        differing.for_each(|(_, count)| count.add(1));
    }
}

fn frames(entry: &Entry) -> Frames<'_> {
    [entry.frames[0].as_deref(), entry.frames[1].as_deref()]
}

impl Stage for Shadow {
    fn on_packet(&mut self, step: &Step<'_>) {
        let entry = &mut self.window[self.filled];
        entry.packet.copy_from(step.packet);
        for (frame, spare) in entry.frames.iter_mut().zip(&mut entry.spare) {
            if let Some(words) = frame.take() {
                *spare = words;
            }
        }
        if let Some(frame) = step.frame {
            let mut words = std::mem::take(&mut entry.spare[0]);
            words.clear();
            words.extend_from_slice(frame.words());
            entry.frames[0] = Some(words);
        }
        let mut words = std::mem::take(&mut entry.spare[1]);
        if self.twin.process(step.packet, &mut words) {
            entry.frames[1] = Some(words);
        } else {
            entry.spare[1] = words;
        }
        let hashes = &mut self.hashes[step.packet.symbol_id as usize];
        for (hash, words) in hashes.iter_mut().zip(&entry.frames) {
            words.iter().for_each(|words| hash.add(words));
        }
        entry.hashes = hashes.map(|hash| hash.value());
        self.counters.frames.add(u64::from(entry.frames.iter().any(Option::is_some)));
        self.filled += 1;
        if self.filled == self.window.len() {
            self.check();
        }
    }

    fn on_end(&mut self, _engine: &FeatureEngine) {
        if self.filled > 0 {
            self.check();
        }
    }
}

impl core::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shadow").field("twin", &self.twin.name()).finish_non_exhaustive()
    }
}
