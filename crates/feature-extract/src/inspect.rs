//! What is this input: one pass over it without writing anything.

use feature_kernel::{FeatureSet, FeatureSpec};
use feature_runtime::SymbolEngine;
use lob_engine::BookShape;
use market_io::OpenOptions;
use market_model::{BookView, Packet, Side};
use serde::Serialize;

use crate::error::Error;
use crate::summary::quality_names;

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
    /// Trades.
    pub trades: u64,
    /// First and last event time, UTC ns.
    pub span_ns: [i64; 2],
    /// Smallest, median and largest of arrival minus event time in ns; empty when a stamp is missing.
    pub latency_ns: Vec<i64>,
    /// Breaks in the update ids.
    pub gaps: u64,
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
    let mut quality = [0_u64; 32];
    let (mut packets, mut book_packets, mut level_changes, mut trades) = (0, 0, 0, 0);
    let (mut largest_packet, mut span_ns, mut crossed_ns) = (0, [0, 0], 0);
    let mut latencies = Vec::new();
    let mut crossed_since = None;
    while source.next_packet(&mut packet)? {
        packets += 1;
        book_packets += u64::from(packet.touches_book());
        level_changes += packet.levels.len() as u64;
        largest_packet = largest_packet.max(packet.levels.len() as u64);
        trades += packet.trades.len() as u64;
        if packet.ts_event_ns != 0 {
            let first_ns = if span_ns[0] == 0 { packet.ts_event_ns } else { span_ns[0] };
            span_ns = [first_ns, span_ns[1].max(packet.ts_event_ns)];
            if packet.ts_recv_ns != 0 {
                latencies.push(packet.ts_recv_ns - packet.ts_event_ns);
            }
        }
        if let Some(frame) = engine.process(&packet) {
            count_bits(&mut quality, frame.header().quality.bits());
        }
        let crossed = engine.book().shape() == BookShape::Crossed;
        if crossed != crossed_since.is_some() {
            match crossed_since.take() {
                Some(since) => crossed_ns += engine.t_eff_ns() - since,
                None => crossed_since = Some(engine.t_eff_ns()),
            }
        }
    }
    crossed_ns += crossed_since.map_or(0, |since| engine.t_eff_ns() - since);
    latencies.sort_unstable();
    let pick = |index: usize| latencies.get(index).copied();
    let latency_ns = [pick(0), pick(latencies.len() / 2), latencies.last().copied()];
    let stats = source.stats();
    let quote = |side| {
        let best = engine.book().best(side)?;
        Some(decimal(best.price_ticks * instrument.tick_scaled, instrument.price_scale))
    };
    let levels = |side| engine.book().levels(side).len() as u64;
    Ok(Inspection {
        inputs: options.inputs.iter().map(|path| path.display().to_string()).collect(),
        symbol: instrument.symbol.clone(),
        venue: instrument.venue.clone(),
        tick_size: decimal(instrument.tick_scaled, instrument.price_scale),
        lot_size: decimal(instrument.lot_scaled, instrument.qty_scale),
        records: stats.records,
        packets,
        book_packets,
        level_changes,
        largest_packet,
        trades,
        span_ns,
        latency_ns: latency_ns.into_iter().flatten().collect(),
        gaps: engine.counters().gaps,
        crossed_ns,
        quality: quality_names(&quality),
        rejected: stats.rejected,
        faults: stats.faults.iter().map(ToString::to_string).collect(),
        ignored: stats.ignored.clone(),
        final_levels: [levels(Side::Bid), levels(Side::Ask)],
        final_quotes: [quote(Side::Bid), quote(Side::Ask)],
    })
}

/// Counts each set bit at its index.
fn count_bits(counts: &mut [u64; 32], mut bits: u32) {
    while bits != 0 {
        counts[bits.trailing_zeros() as usize] += 1;
        bits &= bits - 1;
    }
}

/// A scaled integer as decimal text.
#[must_use]
pub fn decimal(scaled: i64, scale: u8) -> String {
    let digits = format!("{:0width$}", scaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if scaled < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
