//! The live plane: packets in from one thread, frames out to others, and what watches over it.
//!
//! A feed fills packets and sends them over a ring to a [`Plane`] on a thread of its own: book,
//! features, score, then what goes out. Nothing on that path allocates after warm-up, waits for a lock
//! or calls the system (`specs/live.md`).

pub mod canary;
#[cfg(feature = "feeds")]
pub mod feed;
#[cfg(feature = "feeds")]
pub mod replay_server;

mod counters;
#[cfg(feature = "serve")]
mod dashboard;
mod error;
mod feed_counters;
#[cfg(feature = "serve")]
mod fetch;
#[cfg(any(feature = "feeds", feature = "serve"))]
mod http;
#[cfg(feature = "serve")]
mod metrics;
mod packet_ring;
mod paper;
mod plane;
mod replay;
#[cfg(feature = "serve")]
mod serve;
mod shadow;
mod strategy;
mod worker;

pub use counters::{Count, Counters, LATENCY_BOUNDS_NS, LatencyCounters, SymbolCounters};
#[cfg(feature = "serve")]
pub use dashboard::{Canary, Dashboard};
pub use error::Error;
pub use feed_counters::{FeedCounters, Loss};
#[cfg(feature = "serve")]
pub use fetch::fetch;
#[cfg(feature = "serve")]
pub use metrics::{MetricKind, MetricSpec, Metrics, Watched, metric_specs};
pub use packet_ring::{
    DEFAULT_RING_PACKETS, Full, PacketReceiver, PacketSender, RingOptions, Sent, packet_ring,
};
pub use paper::{PaperAccount, PaperResult, PaperThreshold};
pub use plane::{Latencies, Plane, Stage, Step};
pub use replay::{Pace, Replay};
#[cfg(feature = "serve")]
pub use serve::Server;
pub use shadow::{
    EngineTwin, MAX_KEPT_MISMATCHES, Mismatch, Shadow, ShadowCounters, ShadowOptions, Twin,
};
pub use strategy::{Context, Strategy, StrategyRunner};
pub use worker::{Idle, Report, Worker, WorkerOptions, run, start};
