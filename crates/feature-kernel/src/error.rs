//! Misuse of the kernel and artefacts that do not fit it.

use market_model::StateError;
use thiserror::Error;

/// A misuse of the kernel API or an incompatible artefact.
///
/// Defects of *market data* (gaps, crossed books, stale input) are never errors: they are quality
/// bits in the frame, because a live engine must keep running through them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A feature set has faults; all of them are listed.
    #[error("feature set `{set}` has {} fault(s):{}", .faults.len(), list(.faults))]
    BadSet {
        /// Id of the set.
        set: String,
        /// Every fault, in file order.
        faults: Vec<SpecFault>,
    },
    /// The consumer was built for another feature set.
    #[error("schema mismatch: the consumer expects {expected:016x}, the frame has {found:016x}")]
    SchemaMismatch {
        /// Schema hash the consumer was built for.
        expected: u64,
        /// Schema hash found.
        found: u64,
    },
    /// Bytes that are not a frame of this version.
    #[error("frame field `{field}` at byte {offset}: expected {expected}, found {found}")]
    BadFrame {
        /// Name of the field.
        field: &'static str,
        /// Byte offset in the frame.
        offset: usize,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A state snapshot cannot be restored.
    #[error(transparent)]
    State(#[from] StateError),
}

/// One fault of a feature set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFault {
    /// Where: `features[3].params.halflife_bps`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

fn list(faults: &[SpecFault]) -> String {
    faults.iter().map(|fault| format!("\n  {}: {}", fault.path, fault.message)).collect()
}
