//! What can go wrong between a backtest and its features.

use market_io::hftbacktest::RowFault;
use thiserror::Error;

/// Why an asset, a row or a question was refused. Defects of market data are quality bits instead.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused an asset or a feature.
    #[error(transparent)]
    Engine(#[from] feature_runtime::Error),
    /// The tick or lot size of the depth is not a decimal.
    #[error(transparent)]
    Instrument(#[from] market_model::InstrumentError),
    /// A row after which nothing can be trusted.
    #[error("{symbol}: row at local time {local_ts_ns} ns: {fault}")]
    Row {
        /// Symbol of the asset.
        symbol: String,
        /// Local time of the row, ns.
        local_ts_ns: i64,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// A row of an initial book is not a level.
    #[error("{symbol}: row {row} of the initial book: {fault}")]
    InitialBook {
        /// Symbol of the asset.
        symbol: String,
        /// Number of the row, from 0.
        row: usize,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// The depth starts with a book and the features without, or the other way round.
    #[error("{symbol}: the depth starts {depth} a book, the features {features} one")]
    OneSidedInitialBook {
        /// Symbol of the asset.
        symbol: String,
        /// `with` or `without`.
        depth: &'static str,
        /// `with` or `without`.
        features: &'static str,
    },
    /// A feature was asked for in a backtest that runs without features.
    #[error("the backtest runs in mode `stats_only`: there are no features")]
    StatsOnly,
    /// The backtest has other assets than the features.
    #[error("the backtest has {backtest} assets, {attached} were attached")]
    AssetCount {
        /// Assets of the backtest.
        backtest: usize,
        /// Assets that were attached.
        attached: usize,
    },
}
