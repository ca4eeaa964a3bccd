//! Parameters that several families take, said once.

use crate::meta::{ParamKind, ParamMeta};
use crate::set::Feature;
use crate::window::Span;

/// The longest window and the longest time constant: a day.
const DAY_NS: i64 = 86_400_000_000_000;

const fn param(key: &'static str, kind: ParamKind, doc: &'static str) -> ParamMeta {
    ParamMeta { key, kind, doc }
}

/// The column that a column is computed from.
pub(crate) const OF: ParamMeta = param("of", ParamKind::Column, "Name of the input column.");

/// A window of time.
pub(crate) const WINDOW_NS: ParamMeta = window_ns("Length of the window in ns.");

/// A window of steps of the input, where [`SPAN_WINDOW_NS`] may be given instead.
pub(crate) const SPAN_COUNT: ParamMeta = param(
    "count",
    ParamKind::Int { min: 1, max: 1_000_000, default: None },
    "Steps of the input in the window; give count or window_ns.",
);

/// A window of time, where [`SPAN_COUNT`] may be given instead.
pub(crate) const SPAN_WINDOW_NS: ParamMeta = window_ns("Length of the window in ns: (t-h, t].");

/// One level of a side.
pub(crate) const LEVEL: ParamMeta =
    param("level", ParamKind::Int { min: 0, max: 63, default: Some(0) }, "Level, 0 is the best.");

/// The near end of a band.
pub(crate) const LO_BPS: ParamMeta = param(
    "lo_bps",
    ParamKind::Int { min: 0, max: 9_999, default: Some(0) },
    "Smallest distance from the mid, inclusive.",
);

/// The far end of a band.
pub(crate) const HI_BPS: ParamMeta = param(
    "hi_bps",
    ParamKind::Int { min: 1, max: 10_000, default: None },
    "Largest distance from the mid, exclusive; above lo_bps.",
);

/// Best levels of a side.
pub(crate) const fn levels(default: i64) -> ParamMeta {
    let kind = ParamKind::Int { min: 1, max: 64, default: Some(default) };
    param("levels", kind, "Number of levels of a side, from the best.")
}

/// A window of time, in words of the family.
pub(crate) const fn window_ns(doc: &'static str) -> ParamMeta {
    param("window_ns", ParamKind::Int { min: 1, max: DAY_NS, default: None }, doc)
}

/// The window of a column that takes [`SPAN_COUNT`] or [`SPAN_WINDOW_NS`].
pub(crate) fn span(feature: &Feature) -> Span {
    match feature.opt_param("count") {
        Some(count) => Span::Count { entries: count.unsigned_abs() },
        None => Span::Time { length_ns: feature.wide_param("window_ns") },
    }
}
