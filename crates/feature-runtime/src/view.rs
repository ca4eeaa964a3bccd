//! What a consumer sees of one frame.

use feature_kernel::frame::bit;
use feature_kernel::meta::Dtype;
use feature_kernel::{FeatureSet, FrameRef};
use market_model::QualityFlags;

/// One typed value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FeatureValue {
    /// Signed integer, scaled as the schema says.
    I64(i64),
    /// Float; finite, never -0.0.
    F64(f64),
    /// Unsigned integer.
    U32(u32),
}

impl FeatureValue {
    /// The value that a word of a frame holds.
    #[inline]
    #[must_use]
    pub fn from_word(word: u64, dtype: Dtype) -> Self {
        match dtype {
            Dtype::I64 => Self::I64(word.cast_signed()),
            Dtype::F64 => Self::F64(f64::from_bits(word)),
            Dtype::U32 => Self::U32(word as u32),
        }
    }

    /// The value as a float; integers are converted (nearest, ties to even).
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::I64(value) => value as f64,
            Self::F64(value) => value,
            Self::U32(value) => value.into(),
        }
    }
}

/// A consistent view of the last frame of one symbol.
///
/// It borrows the engine, so it cannot outlive the packet it shows.
#[derive(Debug, Clone, Copy)]
pub struct FeatureView<'a> {
    pub(crate) frame: FrameRef<'a>,
    pub(crate) set: &'a FeatureSet,
    pub(crate) now_ns: Option<i64>,
}

impl<'a> FeatureView<'a> {
    /// The whole frame.
    #[must_use]
    pub fn frame(&self) -> FrameRef<'a> {
        self.frame
    }

    /// Value of a feature by index; `None` when it is not defined for this frame.
    #[must_use]
    pub fn value(&self, feature_id: usize) -> Option<FeatureValue> {
        let dtype = self.set.features().get(feature_id)?.column.dtype;
        self.frame.value(feature_id).map(|word| FeatureValue::from_word(word, dtype))
    }

    /// Whether a feature has seen enough packets and time.
    #[must_use]
    pub fn is_ready(&self, feature_id: usize) -> bool {
        feature_id < self.set.len() && bit(self.frame.warmup_ready_mask(), feature_id)
    }

    /// Quality bits of the frame.
    #[must_use]
    pub fn quality(&self) -> QualityFlags {
        self.frame.header().quality
    }

    /// Age of the frame against the `now` that the caller gave; `None` when it gave none.
    #[must_use]
    pub fn age_ns(&self) -> Option<i64> {
        self.now_ns.map(|now_ns| now_ns - self.frame.header().source_ts_ns)
    }
}
