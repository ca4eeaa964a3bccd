//! Plain counters that the hot path writes and exporters read, without any order between them.

use std::sync::atomic::{AtomicU64, Ordering};

use market_model::QualityFlags;

/// Upper bounds of the latency buckets, ns; one more bucket holds what is above.
pub const LATENCY_BOUNDS_NS: [u64; 12] = [
    250,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

const QUALITY_BITS: usize = QualityFlags::KNOWN.bits().count_ones() as usize;

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to the number; only the thread that owns it may do so.
    #[inline]
    pub fn add(&self, n: u64) {
        // One writer: no locked instruction is needed.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Replaces the number.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Latencies by bucket of [`LATENCY_BOUNDS_NS`].
#[derive(Debug, Default)]
pub struct LatencyCounters {
    /// Latencies in each bucket, not cumulated.
    pub buckets: [Count; LATENCY_BOUNDS_NS.len() + 1],
    /// Sum of all latencies, ns.
    pub sum_ns: Count,
}

impl LatencyCounters {
    /// Counts one latency.
    #[inline]
    pub fn record(&self, ns: u64) {
        let bucket = LATENCY_BOUNDS_NS.iter().position(|bound| ns <= *bound);
        self.buckets[bucket.unwrap_or(LATENCY_BOUNDS_NS.len())].add(1);
        self.sum_ns.add(ns);
    }

    /// Latencies counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Count::get).sum()
    }

    /// Upper bound of the bucket in which a quantile lies, ns; `None` before the first latency, and
    /// when it lies above the last bound.
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> Option<u64> {
        let rank = (q * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = self.buckets.iter().position(|bucket| {
            seen += bucket.get();
            seen >= rank
        });
        LATENCY_BOUNDS_NS.get(reached?).copied()
    }
}

/// What is counted for each symbol.
#[derive(Debug, Default)]
pub struct SymbolCounters {
    /// Name of the symbol.
    pub symbol: String,
    /// Frames.
    pub frames: Count,
    /// Frames of which every input was ready and valid, so that the model gave a score.
    pub scores: Count,
    /// Event time of the last frame, UTC ns; 0 before the first one.
    pub last_source_ns: Count,
    /// Wall time at which the last frame was made, UTC ns; 0 before the first one.
    pub last_frame_ns: Count,
    /// Quality bits of the last frame.
    pub last_quality: Count,
    /// Session number of the last frame.
    pub epoch: Count,
    /// Frames by quality bit.
    pub quality: [Count; QUALITY_BITS],
    /// Packets by fate, in the order of `lob_engine::Counters::named`.
    pub fates: [Count; 8],
    /// Packets that were dropped because the ring was full.
    pub dropped: Count,
    /// 1 while nothing but a snapshot gives a book.
    pub awaits_snapshot: Count,
}

impl SymbolCounters {
    /// Names of the quality bits that frames carried, and how many did.
    pub fn quality_frames(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let named = QualityFlags::KNOWN.iter_names().zip(&self.quality);
        named.map(|((name, _), count)| (name, count.get())).filter(|(_, frames)| *frames > 0)
    }
}

/// What the live plane counts. The sender writes `sent`, `full_waits` and `dropped`, the worker the rest.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets put into the ring.
    pub sent: Count,
    /// Packets for which the sender had to wait for room.
    pub full_waits: Count,
    /// Packets taken from the ring.
    pub packets: Count,
    /// Level changes and trades in them.
    pub events: Count,
    /// From a packet being sent to the engine taking it.
    pub to_engine: LatencyCounters,
    /// From a packet being sent to its frame being published.
    pub to_frame: LatencyCounters,
    /// From a packet being sent to every stage being done with it.
    pub to_end: LatencyCounters,
    /// One entry for each symbol, by id.
    pub symbols: Vec<SymbolCounters>,
}

impl Counters {
    /// Counters for symbols in the order of their ids.
    #[must_use]
    pub fn new<'a>(symbols: impl Iterator<Item = &'a str>) -> Self {
        let named =
            symbols.map(|name| SymbolCounters { symbol: name.into(), ..Default::default() });
        Self { symbols: named.collect(), ..Self::default() }
    }

    /// Packets that wait in the ring; other threads are at work, so it is an estimate.
    #[must_use]
    pub fn queued(&self) -> u64 {
        // Taken first, so that the difference is never below zero by a packet in between.
        let taken = self.packets.get();
        self.sent.get().saturating_sub(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let latency = LatencyCounters::default();
        assert_eq!((latency.count(), latency.quantile_ns(0.5)), (0, None));
        (0..98).for_each(|_| latency.record(300));
        latency.record(1_000);
        latency.record(u64::MAX / 2);
        let at = [0.5, 0.98, 0.981, 0.99, 1.0].map(|q| latency.quantile_ns(q));
        assert_eq!(at, [Some(500), Some(500), Some(1_000), Some(1_000), None]);
        assert_eq!(latency.count(), 100);
    }
}
