//! What is this input: one pass over it without writing anything.

use feature_kernel::{FeatureSet, FeatureSpec};
use feature_runtime::SymbolEngine;
use hdrhistogram::Histogram;
use lob_engine::BookShape;
use market_io::OpenOptions;
use market_model::{BookView, Packet, Side, decimal_text};
use serde::Serialize;

use crate::error::Error;
use crate::summary::{count_bits, quality_names};

/// What an input holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Input files in order.
    pub inputs: Vec<String>,
    /// Symbol.
    pub symbol: String,
    /// Venue, if the format tells.
    pub venue: String,
    /// Tick size as given or inferred, decimal text.
    pub tick_size: String,
    /// Lot size as given or inferred, decimal text.
    pub lot_size: String,
    /// Lines or rows read.
    pub records: u64,
    /// Packets.
    pub packets: u64,
    /// Packets with book content.
    pub book_packets: u64,
    /// Level changes.
    pub level_changes: u64,
    /// Level changes of the largest packet.
    pub largest_packet: u64,
    /// Events of single orders.
    pub order_events: u64,
    /// Of these, events that contradict the book: of orders that it does not hold, adds of orders that
    /// it holds, withdrawals and executions of more than was left.
    pub order_faults: [u64; 3],
    /// Trades.
    pub trades: u64,
    /// First and last event time, UTC ns.
    pub span_ns: [i64; 2],
    /// Smallest, median (within a thousandth) and largest of arrival minus event time in ns; empty when
    /// a stamp is missing.
    pub latency_ns: Vec<i64>,
    /// Breaks in the update ids.
    pub gaps: u64,
    /// Levels that came into view from below the visible window of the input.
    pub revealed_levels: u64,
    /// Checksums of the venue that were compared with the book, and those that were another.
    pub checksums: [u64; 2],
    /// Event time during which the book was crossed, ns.
    pub crossed_ns: i64,
    /// Frames that carried each quality bit.
    pub quality: std::collections::BTreeMap<String, u64>,
    /// Events that were refused.
    pub rejected: u64,
    /// The first refused events, with place and reason.
    pub faults: Vec<String>,
    /// Records that were read and not used, by kind.
    pub ignored: std::collections::BTreeMap<String, u64>,
    /// Levels of each side at the end: bids, asks.
    pub final_levels: [u64; 2],
    /// Best bid and ask at the end as decimal text.
    pub final_quotes: [Option<String>; 2],
}

/// Reads a whole input and says what it holds.
///
/// # Errors
///
/// [`Error::Input`] when it cannot be used.
///
/// # Panics
///
/// Never: the one-column set it uses is well formed.
pub fn inspect(options: &OpenOptions) -> Result<Inspection, Error> {
    let mut source = market_io::open(options)?;
    let column =
        FeatureSpec { family: "top".into(), column: "best_bid".into(), ..Default::default() };
    let set = FeatureSet::new("inspect", &[column]).expect("Invariant: the set is well formed");
    let instrument = source.instrument().clone();
    let mut engine = SymbolEngine::new(set.into(), instrument.clone());
    let mut packet = Packet::default();
    let mut tally = Tally::default();
    while source.next_packet(&mut packet)? {
        tally.take(&packet, &mut engine);
    }
    // A book that is still crossed at the end was crossed until then.
    let still_crossed_ns =
        tally.crossed_since_ns.map_or(0, |since_ns| engine.t_eff_ns() - since_ns);
    let stats = source.stats();
    let quote = |side| {
        let best = engine.book().best(side)?;
        Some(decimal_text(best.price_ticks * instrument.tick_scaled, instrument.price_scale))
    };
    let faults = engine.book().order_faults();
    let levels = |side| engine.book().levels(side).len() as u64;
    Ok(Inspection {
        inputs: options.inputs.iter().map(|path| path.display().to_string()).collect(),
        symbol: instrument.symbol.clone(),
        venue: instrument.venue.clone(),
        tick_size: decimal_text(instrument.tick_scaled, instrument.price_scale),
        lot_size: decimal_text(instrument.lot_scaled, instrument.qty_scale),
        records: stats.records,
        packets: tally.packets,
        book_packets: tally.book_packets,
        level_changes: tally.level_changes,
        largest_packet: tally.largest_packet,
        order_events: tally.order_events,
        order_faults: [faults.unknown, faults.known, faults.overdrawn],
        trades: tally.trades,
        span_ns: tally.span_ns,
        latency_ns: tally.latencies.summary_ns(),
        // A break that the source finds may reach the engine as a new snapshot.
        gaps: engine.counters().gaps.max(stats.gaps),
        crossed_ns: tally.crossed_ns + still_crossed_ns,
        quality: quality_names(&tally.quality),
        rejected: stats.rejected,
        faults: stats.faults.iter().map(ToString::to_string).collect(),
        revealed_levels: stats.revealed_levels,
        checksums: [stats.checksums, stats.checksum_mismatches],
        ignored: stats.ignored.clone(),
        final_levels: [levels(Side::Bid), levels(Side::Ask)],
        final_quotes: [quote(Side::Bid), quote(Side::Ask)],
    })
}

/// Counts of one pass.
#[derive(Default)]
struct Tally {
    packets: u64,
    book_packets: u64,
    level_changes: u64,
    largest_packet: u64,
    order_events: u64,
    trades: u64,
    span_ns: [i64; 2],
    latencies: Latencies,
    crossed_ns: i64,
    crossed_since_ns: Option<i64>,
    quality: [u64; 32],
}

impl Tally {
    fn take(&mut self, packet: &Packet, engine: &mut SymbolEngine) {
        let levels = packet.levels.len() as u64;
        self.packets += 1;
        self.book_packets += u64::from(packet.touches_book());
        self.level_changes += levels;
        self.largest_packet = self.largest_packet.max(levels);
        self.order_events += packet.orders.len() as u64;
        self.trades += packet.trades.len() as u64;
        if packet.ts_event_ns != 0 {
            if self.span_ns[0] == 0 {
                self.span_ns[0] = packet.ts_event_ns;
            }
            self.span_ns[1] = self.span_ns[1].max(packet.ts_event_ns);
            if packet.ts_recv_ns != 0 {
                self.latencies.add(packet.ts_recv_ns.saturating_sub(packet.ts_event_ns));
            }
        }
        if let Some(frame) = engine.process(packet) {
            count_bits(&mut self.quality, frame.header().quality);
        }
        let crossed = engine.book().shape() == BookShape::Crossed;
        if crossed != self.crossed_since_ns.is_some() {
            match self.crossed_since_ns.take() {
                Some(since_ns) => self.crossed_ns += engine.t_eff_ns() - since_ns,
                None => self.crossed_since_ns = Some(engine.t_eff_ns()),
            }
        }
    }
}

/// Latencies in memory that does not grow with their number. A histogram knows no signs, so those below
/// zero (the clock of the venue runs ahead) have one of their own.
struct Latencies {
    below: Histogram<u64>,
    others: Histogram<u64>,
    /// Smallest and largest, ns.
    range: Option<[i64; 2]>,
}

impl Default for Latencies {
    fn default() -> Self {
        let empty = || Histogram::new(3).expect("Invariant: 0 to 5 digits are kept");
        Self { below: empty(), others: empty(), range: None }
    }
}

impl Latencies {
    fn add(&mut self, latency_ns: i64) {
        let histogram = if latency_ns < 0 { &mut self.below } else { &mut self.others };
        let recorded = histogram.record(latency_ns.unsigned_abs());
        recorded.expect("Invariant: the histogram grows with its values");
        let [low, high] = self.range.unwrap_or([latency_ns; 2]);
        self.range = Some([low.min(latency_ns), high.max(latency_ns)]);
    }

    /// Smallest, median and largest, ns; empty when there is none.
    fn summary_ns(&self) -> Vec<i64> {
        let Some([low, high]) = self.range else { return Vec::new() };
        let (below, others) = (self.below.len(), self.others.len());
        let rank = u64::midpoint(below, others);
        // The largest magnitude is the smallest latency.
        let (histogram, at) = if rank < below {
            (&self.below, below - rank)
        } else {
            (&self.others, rank - below + 1)
        };
        let quantile = at as f64 / histogram.len() as f64;
        let magnitude = i64::try_from(histogram.value_at_quantile(quantile)).unwrap_or(i64::MAX);
        let median = if rank < below { -magnitude } else { magnitude };
        vec![low, median.clamp(low, high), high]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_all_within_a_thousandth() {
        assert_eq!(Latencies::default().summary_ns(), [0_i64; 0]);
        for (shift, step) in [(0, 1_000_003), (-50_000_000, 7_919), (-2_000_000_000, 31), (-77, 1)]
        {
            let mut latencies = Latencies::default();
            let mut all: Vec<i64> = (0..501).map(|i| shift + i * i % 499 * step).collect();
            all.iter().for_each(|latency| latencies.add(*latency));
            all.sort_unstable();
            let [low, median, high] = latencies.summary_ns()[..] else { panic!("there are some") };
            assert_eq!([low, high], [all[0], all[500]]);
            let want = all[250];
            assert!((median - want).abs() <= want.abs() / 1_000 + 1, "{median} for {want}");
        }
    }

    #[test]
    fn one_latency_is_all_three() {
        let mut latencies = Latencies::default();
        latencies.add(-123_456_789);
        assert_eq!(latencies.summary_ns(), [-123_456_789; 3]);
    }
}
