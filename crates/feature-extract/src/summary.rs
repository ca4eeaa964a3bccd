//! What a job did, for people and for scripts.

use std::collections::BTreeMap;

use market_model::QualityFlags;
use serde::Serialize;

use crate::bar_tables::BarSummary;
use crate::warm_start::WarmStart;

/// What a job did. Counts are totals; times are of this run only and never reach an output file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Symbol.
    pub symbol: String,
    /// Feature set.
    pub feature_set_id: String,
    /// Schema hash, 16 hex digits.
    pub schema_hash: String,
    /// When rows were written.
    pub emission: String,
    /// Input files in order.
    pub inputs: Vec<String>,
    /// Output file; absent when rows were kept in memory.
    pub output: Option<String>,
    /// Size of the output file.
    pub output_bytes: u64,
    /// Rows written.
    pub rows: u64,
    /// The snapshot that the job continued from; absent when it began at the start of the input.
    pub warm_start: Option<WarmStart>,
    /// State snapshots written.
    pub snapshots: u64,
    /// Bars written, by duration.
    pub bars: Vec<BarSummary>,
    /// Frames made.
    pub frames: u64,
    /// Packets read.
    pub packets: u64,
    /// Level changes and trades read.
    pub events: u64,
    /// First and last event time of the input, UTC ns.
    pub span_ns: [i64; 2],
    /// Frames that carried each quality bit.
    pub quality: BTreeMap<String, u64>,
    /// Packets by fate.
    pub packets_by_fate: BTreeMap<String, u64>,
    /// Events that were refused, with place and reason (the first 20).
    pub rejected: Vec<String>,
    /// Number of refused events.
    pub rejected_count: u64,
    /// Quantities rounded to the lot scale.
    pub rounded: u64,
    /// Records that were read and not used, by kind.
    pub ignored: BTreeMap<String, u64>,
    /// Wall time of the run in seconds.
    pub elapsed_s: f64,
    /// Events per second of wall time.
    pub events_per_s: f64,
}

/// Adds one to the count of every quality bit that is set.
pub(crate) fn count_bits(counts: &mut [u64; 32], flags: QualityFlags) {
    let mut bits = flags.bits();
    while bits != 0 {
        counts[bits.trailing_zeros() as usize] += 1;
        bits &= bits - 1;
    }
}

/// Names and counts of the quality bits that occurred.
#[must_use]
pub fn quality_names(counts: &[u64; 32]) -> BTreeMap<String, u64> {
    let name = |(index, count): (usize, &u64)| {
        let flag = QualityFlags::from_bits_retain(1 << index);
        let name = flag
            .iter_names()
            .next()
            .map_or_else(|| format!("bit_{index}"), |(name, _)| name.into());
        (name, *count)
    };
    counts.iter().enumerate().filter(|(_, count)| **count > 0).map(name).collect()
}
