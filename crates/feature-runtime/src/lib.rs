//! `FeatureEngine`: the only place where a book meets the kernel.
//!
//! Batch extraction, backtests, live strategies and Python all drive [`SymbolEngine`], so they cannot
//! disagree. Values are pulled ([`FeatureEngine::get_feature`]) or pushed ([`FeatureEngine::on_features`]).

mod engine;
mod error;
mod frame_ring;
mod latest;
mod sets;
mod state;
mod symbol;
mod view;

pub use engine::{FeatureEngine, FrameSink, MAX_SYMBOLS, Subscription};
pub use error::Error;
pub use frame_ring::{DEFAULT_RING_FRAMES, FrameReceiver, FrameSender, Received, frame_ring};
pub use latest::{Latest, LatestReader, LatestWriter};
pub use sets::{BUILT_IN_SETS, built_in_set, load_set, parse_set};
pub use symbol::SymbolEngine;
pub use view::{FeatureValue, FeatureView};

pub use feature_kernel::{Feature, FeatureSet, FrameBuf, FrameRef};
