//! Features in a backtest of hftbacktest, without a change to it.
//!
//! Two ways, one set of bits ([`specs/inputs/hftbacktest.md`](../../../specs/inputs/hftbacktest.md)):
//!
//! * **Tap**: [`Features::attach`] wraps the asset that the stock builder made, so that every row that
//!   reaches the local side also reaches the features, and [`FeatureBot`] adds them to the `Bot` that a
//!   strategy knows.
//! * **Co-replay**: [`CoReplay`] reads the same rows a second time, up to the time that a strategy
//!   names. That is how the stock Python wheel gets features.
//!
//! Both are exact, because hftbacktest returns to the strategy only when all rows up to its clock have
//! been applied, so that a wake is always at the end of a packet.

#[cfg(feature = "backtest")]
mod bot;
#[cfg(feature = "backtest")]
mod error;
#[cfg(feature = "backtest")]
mod features;
#[cfg(feature = "live")]
mod live;
mod replay;
#[cfg(feature = "backtest")]
mod tap;

#[cfg(feature = "backtest")]
pub use bot::FeatureBot;
#[cfg(feature = "backtest")]
pub use error::Error;
#[cfg(feature = "backtest")]
pub use features::{AssetView, Features, Mode};
pub use replay::CoReplay;
