//! Frames of two paths, bit by bit, and the first difference in words.

use feature_kernel::frame::{FrameRef, bit, frame_bytes};
use feature_kernel::meta::Dtype;
use serde::Serialize;

use crate::sut::Coverage;
use crate::tape::Tape;

/// The first place where two paths differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Path that differs from the runtime.
    pub path: String,
    /// Symbol.
    pub symbol: String,
    /// Number of the frame on the tape, from 0.
    pub frame: u64,
    /// Frame number in the epoch, as the runtime has it.
    pub seq: u64,
    /// Event time, UTC ns.
    pub ts_event_ns: i64,
    /// Feature or header field.
    pub feature: String,
    /// Value and bits in the runtime.
    pub runtime: String,
    /// Value and bits in the other path.
    pub other: String,
}

/// One path against the runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Path compared with the runtime.
    pub path: String,
    /// Frames of the runtime.
    pub frames: u64,
    /// Frames of the other path.
    pub other_frames: u64,
    /// Bits that differ; a missing frame counts with all its bits.
    pub differing_bits: u64,
    /// Frames with at least one differing bit.
    pub differing_frames: u64,
    /// Differing frames per feature or header field.
    pub by_feature: std::collections::BTreeMap<String, u64>,
    /// The first difference.
    pub first: Option<Difference>,
}

impl Comparison {
    /// Whether every bit is equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differing_bits == 0
    }
}

/// Compares the frames of a path with those of the runtime.
#[must_use]
pub fn compare(tape: &Tape, path: &str, coverage: Coverage, want: &[u8], got: &[u8]) -> Comparison {
    let length = frame_bytes(tape.set.len());
    let mut result = Comparison {
        path: path.into(),
        frames: (want.len() / length) as u64,
        other_frames: (got.len() / length) as u64,
        differing_bits: 0,
        differing_frames: 0,
        by_feature: std::collections::BTreeMap::new(),
        first: None,
    };
    for (index, (a, b)) in want.chunks(length).zip(got.chunks(length)).enumerate() {
        // Rows do not hold everything: compare what they hold.
        let reduced = (coverage == Coverage::Row).then(|| reduce(tape, a));
        let a = reduced.as_deref().unwrap_or(a);
        if a != b {
            let bits: u32 = a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum();
            result.differing_bits += u64::from(bits) + 8 * a.len().abs_diff(b.len()) as u64;
            result.differing_frames += 1;
            describe(tape, index as u64, a, b, &mut result);
        }
    }
    if result.frames != result.other_frames || !got.len().is_multiple_of(length) {
        result.differing_bits += 8 * want.len().abs_diff(got.len()) as u64;
        *result.by_feature.entry("number of frames".into()).or_default() += 1;
        let common = want.len().min(got.len()) / length * length;
        let (seq, ts_event_ns) = want.get(common..common + length).map_or((0, 0), |frame| {
            let words = words(frame);
            let header = FrameRef::from_words(&words).header();
            (header.seq, header.source_ts_ns)
        });
        let (runtime, other) = (result.frames.to_string(), result.other_frames.to_string());
        result.first.get_or_insert(Difference {
            path: path.into(),
            symbol: tape.instrument.symbol.clone(),
            frame: (common / length) as u64,
            seq,
            ts_event_ns,
            feature: "number of frames".into(),
            runtime,
            other,
        });
    }
    result
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().unwrap_or_default());
    bytes.chunks_exact(8).map(word).collect()
}

/// A frame without what a row does not hold.
fn reduce(tape: &Tape, bytes: &[u8]) -> Vec<u8> {
    let mut words = words(bytes);
    let n = tape.set.len();
    let m = n.div_ceil(64);
    words[4] = 0; // source_seq
    words[8..8 + 2 * m].fill(0);
    let valid: Vec<u64> = words[8 + 2 * m..8 + 3 * m].to_vec();
    for index in (0..n).filter(|index| !bit(&valid, *index)) {
        words[8 + 3 * m + index] = 0;
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Names of the fields in which two frames differ, and the first of them in words.
fn describe(tape: &Tape, index: u64, a: &[u8], b: &[u8], result: &mut Comparison) {
    let (a, b) = (words(a), words(b));
    let n = tape.set.len();
    let m = n.div_ceil(64);
    let header = FrameRef::from_words(&a).header();
    for (at, (x, y)) in a.iter().zip(&b).enumerate().filter(|(_, (x, y))| x != y) {
        let (feature, runtime, other) = match at.checked_sub(8) {
            None => {
                let name = ["marker", "schema_hash", "symbol_id", "seq", "source_seq"];
                let more = ["source_ts_ns", "local_ts_ns", "epoch and quality_flags"];
                let name = name.iter().chain(&more).nth(at).copied().unwrap_or("header");
                (name.to_owned(), format!("{x} ({x:#018x})"), format!("{y} ({y:#018x})"))
            }
            Some(word) if word < 3 * m => {
                let mask = ["changed_mask", "warmup_ready_mask", "valid_mask"][word / m];
                let first = 64 * (word % m) + (x ^ y).trailing_zeros() as usize;
                let name = tape.set.features().get(first).map_or("beyond", |f| &f.name);
                (format!("{mask}.{name}"), format!("{x:#018x}"), format!("{y:#018x}"))
            }
            Some(word) => {
                let feature = &tape.set.features()[(word - 3 * m).min(n - 1)];
                let show = |word: u64| match feature.column.dtype {
                    Dtype::F64 => format!("{:?} ({word:#018x})", f64::from_bits(word)),
                    Dtype::I64 | Dtype::U32 => format!("{} ({word:#018x})", word.cast_signed()),
                };
                (feature.name.clone(), show(*x), show(*y))
            }
        };
        *result.by_feature.entry(feature.clone()).or_default() += 1;
        result.first.get_or_insert_with(|| Difference {
            path: result.path.clone(),
            symbol: tape.instrument.symbol.clone(),
            frame: index,
            seq: header.seq,
            ts_event_ns: header.source_ts_ns,
            feature,
            runtime,
            other,
        });
    }
}
