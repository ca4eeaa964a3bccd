//! What differs between two frames, in words of the schema.

use feature_kernel::frame::{HEADER_BYTES, frame_bytes};
use feature_kernel::{FeatureSet, FrameRef};
use feature_runtime::FeatureValue;
use market_model::Packet;

/// Frames of the primary engine and of its twin for one packet.
pub(super) type Frames<'a> = [Option<&'a [u64]>; 2];

/// The first difference of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Symbol.
    pub symbol: String,
    /// Name of the twin.
    pub twin: String,
    /// Frame number in the epoch; 0 when the primary made no frame.
    pub seq: u64,
    /// Update id of the packet; 0 when it had none.
    pub source_seq: u64,
    /// Event time of the packet, UTC ns; 0 when it had none.
    pub ts_event_ns: i64,
    /// Feature, or field of the frame, that differs first: values before masks before the header.
    pub field: String,
    /// What the primary has there.
    pub primary: String,
    /// What the twin has there.
    pub other: String,
    /// All features whose values differ.
    pub features: Vec<String>,
}

impl core::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}: frame {} (update {}, ts {}): {} is {}, the {} twin has {}",
            self.symbol,
            self.seq,
            self.source_seq,
            self.ts_event_ns,
            self.field,
            self.primary,
            self.twin,
            self.other
        )
    }
}

/// Describes a pair that differs.
pub(super) fn describe(
    symbol: &str,
    packet: &Packet,
    frames: Frames<'_>,
    set: &FeatureSet,
    twin: &str,
) -> Mismatch {
    let seq = frames[0].map_or(0, |words| FrameRef::from_words(words).header().seq);
    let (field, primary, other, features) = match frames {
        [Some(a), Some(b)] if a.len() == b.len() => difference(a, b, set),
        [a, b] => {
            let said = |words: Option<&[u64]>| {
                words.map_or_else(
                    || "no frame".into(),
                    |words| format!("a frame of {} words", words.len()),
                )
            };
            ("frame".into(), said(a), said(b), Vec::new())
        }
    };
    Mismatch {
        symbol: symbol.into(),
        twin: twin.into(),
        seq,
        source_seq: packet.seq,
        ts_event_ns: packet.ts_event_ns,
        field,
        primary,
        other,
        features,
    }
}

fn difference(a: &[u64], b: &[u64], set: &FeatureSet) -> (String, String, String, Vec<String>) {
    let start = frame_bytes(set.len()) / 8 - set.len();
    let differs = |index: &usize| a[start + index] != b[start + index];
    let differing: Vec<usize> = (0..set.len()).filter(differs).collect();
    let features = differing.iter().map(|index| set.features()[*index].name.clone()).collect();
    if let Some(index) = differing.first() {
        let feature = &set.features()[*index];
        let show = |words: &[u64]| match FeatureValue::from_word(
            words[start + index],
            feature.column.dtype,
        ) {
            FeatureValue::I64(value) => value.to_string(),
            FeatureValue::F64(value) => format!("{value:?} ({:016x})", value.to_bits()),
            FeatureValue::U32(value) => value.to_string(),
        };
        return (feature.name.clone(), show(a), show(b), features);
    }
    let header_words = HEADER_BYTES / 8;
    let masks = set.len().div_ceil(64);
    let at = (header_words..start).chain(0..header_words).find(|at| a[*at] != b[*at]);
    let at = at.unwrap_or(0);
    let field = match at {
        0..=2 => "marker, schema or symbol",
        3 => "seq",
        4 => "source_seq",
        5 => "source_ts_ns",
        6 => "local_ts_ns",
        7 => "epoch or quality_flags",
        _ if at < header_words + masks => "changed_mask",
        _ if at < header_words + 2 * masks => "warmup_ready_mask",
        _ => "valid_mask",
    };
    let show = |words: &[u64]| format!("{:016x}", words[at]);
    (field.into(), show(a), show(b), features)
}
