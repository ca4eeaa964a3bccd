//! Misuse of the live plane, and what ends it.

use thiserror::Error;

/// Why the live plane cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine, a set or a table of frames.
    #[error(transparent)]
    Engine(#[from] feature_runtime::Error),
    /// A model does not fit.
    #[error(transparent)]
    Model(#[from] feature_infer::Error),
    /// The input of a replay.
    #[error(transparent)]
    Input(#[from] market_io::Error),
    /// A ring has a size that it cannot have.
    #[error("a ring of {found} packets: expected a power of two from 2 to {most}")]
    RingSize {
        /// Size asked for.
        found: usize,
        /// The largest that is allowed.
        most: usize,
    },
    /// A packet is of a symbol that the ring was not made for.
    #[error("packet of symbol {symbol_id}; the ring has symbols 0 to {last}")]
    UnknownSymbol {
        /// Symbol of the packet.
        symbol_id: u32,
        /// The last symbol there is.
        last: u32,
    },
    /// A strategy does not fit the feature set.
    #[error("strategy `{strategy}` cannot start on feature set `{set}`: {problem}")]
    Preflight {
        /// Name of the strategy.
        strategy: String,
        /// Set of the engine.
        set: String,
        /// What it needs.
        problem: String,
    },
    /// A shadow would never compare.
    #[error("a shadow compares every {found} packets: expected 1 or more")]
    Shadow {
        /// Packets asked for.
        found: usize,
    },
    /// The worker has ended before its sender.
    #[error("the worker has ended; join it to learn why")]
    WorkerEnded,
    /// The worker panicked.
    #[error("the worker panicked: {message}")]
    WorkerPanicked {
        /// What it said.
        message: String,
    },
    /// Metrics cannot be served at an address.
    #[error("cannot serve metrics at {address}: {source}")]
    Serve {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The machine cannot make connections at all.
    #[error("cannot connect to a venue: {message}")]
    Connect {
        /// What went wrong.
        message: String,
    },
    /// Tick and lot size of a symbol cannot be had.
    #[error("no tick and lot size of {}: {message}; give both", symbol.escape_default())]
    Sizes {
        /// The symbol.
        symbol: String,
        /// What went wrong.
        message: String,
    },
    /// An address of another form.
    #[error("endpoint `{}`: expected ws://HOST:PORT or wss://HOST:PORT", found.escape_default())]
    Endpoint {
        /// What was given.
        found: String,
    },
    /// A recording cannot be written.
    #[error("cannot record to {}: {source}", path.display())]
    Record {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A page could not be fetched.
    #[error("{url}: {message}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// A thread could not be started.
    #[error("cannot start the thread `{name}`: {source}")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
