//! Misuse of the engine and files that do not fit it.

use std::path::PathBuf;

use thiserror::Error;

/// Why a call or a file was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A feature set is wrong, or a frame does not fit.
    #[error(transparent)]
    Kernel(#[from] feature_kernel::Error),
    /// A packet or a book state is wrong.
    #[error(transparent)]
    Book(#[from] lob_engine::Error),
    /// A symbol was never added.
    #[error("unknown symbol {symbol}; known: {known}")]
    UnknownSymbol {
        /// Name or id asked for.
        symbol: String,
        /// Symbols of the engine.
        known: String,
    },
    /// A feature is not in the set.
    #[error("feature set `{set}` has no feature `{feature}`{}", did_you_mean(.nearest))]
    UnknownFeature {
        /// Id of the set.
        set: String,
        /// Name or index asked for.
        feature: String,
        /// The closest name, if one is near.
        nearest: Option<String>,
    },
    /// No built-in set has this id.
    #[error("unknown feature set `{id}`; built in: {known}")]
    UnknownSet {
        /// Id asked for.
        id: String,
        /// Built-in ids.
        known: String,
    },
    /// A symbol was added twice, or too many were.
    #[error("symbol {symbol} cannot be added: {reason}")]
    SymbolRefused {
        /// Name of the symbol.
        symbol: String,
        /// Why.
        reason: String,
    },
    /// A file could not be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A feature-set file is not JSON of the right shape.
    #[error("{origin}: {message}")]
    BadSetFile {
        /// File name or set id.
        origin: String,
        /// What was wrong, with line and column.
        message: String,
    },
    /// A state snapshot does not fit this engine.
    #[error("state snapshot: {field} is {found}, expected {expected}")]
    StateMismatch {
        /// What differs.
        field: &'static str,
        /// What this engine has.
        expected: String,
        /// What the snapshot has.
        found: String,
    },
    /// A file is no table of latest frames.
    #[error("{path}: no table of latest frames: {field} is {found}, expected {expected}")]
    NotLatest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The writer of a table ended in the middle of a frame.
    #[error("{symbol}: the latest frame is unfinished; its writer has ended in the middle of it")]
    Unfinished {
        /// Symbol of the frame.
        symbol: String,
    },
    /// A ring has a size that it cannot have.
    #[error("a ring of {found} {what}: expected {expected}")]
    RingSize {
        /// What it holds.
        what: &'static str,
        /// Size asked for.
        found: usize,
        /// What is allowed.
        expected: String,
    },
}

impl From<market_model::StateError> for Error {
    fn from(source: market_model::StateError) -> Self {
        Self::Book(source.into())
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The name with the longest common prefix, if it shares at least half of what was asked for.
pub(crate) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let common = |name: &str| asked.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    names.max_by_key(|name| common(name)).filter(|n| 2 * common(n) >= asked.len()).map(Into::into)
}
