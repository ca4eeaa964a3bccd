//! Strategies that consume features and compute none.

use feature_kernel::FeatureSet;
use feature_kernel::frame::bit;
use feature_runtime::{FeatureEngine, FeatureValue, FeatureView};
use market_model::{Packet, QualityFlags};

use crate::error::Error;
use crate::plane::{Stage, Step};

/// A strategy. It names what it needs, and is not started on anything else.
pub trait Strategy: Send {
    /// Name in messages.
    fn name(&self) -> &str;

    /// Feature set that it was written for; `None` takes any set that has its features.
    fn required_feature_set_id(&self) -> Option<&str> {
        None
    }

    /// Names of the features that it reads. `Context::value(i)` is the i-th of them.
    fn required_features(&self) -> Vec<String>;

    /// Sees a frame in which a required feature changed, or which carries a quality bit; the first
    /// frame of each symbol always.
    fn on_features(&mut self, context: &Context<'_>);

    /// The last packet was seen.
    fn on_end(&mut self, _engine: &FeatureEngine) {}
}

/// What a strategy sees of one packet.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    step: &'a Step<'a>,
    required: &'a [usize],
}

impl<'a> Context<'a> {
    /// Value of required feature `index`; `None` when it is not defined for this frame.
    #[inline]
    #[must_use]
    pub fn value(&self, index: usize) -> Option<FeatureValue> {
        self.get_feature_by_id(*self.required.get(index)?)
    }

    /// Whether required feature `index` has seen enough packets and time.
    #[must_use]
    pub fn is_ready(&self, index: usize) -> bool {
        let ready = self.step.frame.map(|frame| frame.warmup_ready_mask());
        let at = self.required.get(index);
        at.zip(ready).is_some_and(|(index, mask)| bit(mask, *index))
    }

    /// Value of any feature of the set by name, for the symbol of this packet.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] when the set has no such feature.
    pub fn get_feature(&self, name: &str) -> Result<Option<FeatureValue>, Error> {
        Ok(self.step.engine.get_feature(self.symbol_id(), name)?)
    }

    /// Value of any feature of the set by index, for the symbol of this packet.
    #[inline]
    #[must_use]
    pub fn get_feature_by_id(&self, feature_id: usize) -> Option<FeatureValue> {
        self.step.engine.get_feature_by_id(self.symbol_id(), feature_id).ok().flatten()
    }

    /// The whole frame; `now_ns` is the caller's clock, against which it tells its age.
    #[must_use]
    pub fn get_feature_view(&self, now_ns: Option<i64>) -> Option<FeatureView<'a>> {
        self.step.engine.get_feature_view(self.symbol_id(), now_ns).ok().flatten()
    }

    /// Id of the feature set.
    #[must_use]
    pub fn get_feature_set_id(&self) -> &'a str {
        self.step.engine.get_feature_set_id()
    }

    /// Symbol of the packet.
    #[must_use]
    pub fn symbol_id(&self) -> u32 {
        self.step.packet.symbol_id
    }

    /// Quality bits of the frame.
    #[must_use]
    pub fn quality(&self) -> QualityFlags {
        self.step.frame.map_or(QualityFlags::empty(), |frame| frame.header().quality)
    }

    /// Scores of the model for this frame.
    #[must_use]
    pub fn scores(&self) -> Option<&'a [f64]> {
        self.step.scores
    }

    /// The packet behind the frame.
    #[must_use]
    pub fn packet(&self) -> &'a Packet {
        self.step.packet
    }
}

/// Runs a strategy behind an engine.
pub struct StrategyRunner<S> {
    strategy: S,
    required: Vec<usize>,
    mask: Vec<u64>,
    greeted: Vec<bool>,
}

impl<S: Strategy> StrategyRunner<S> {
    /// Checks everything that a strategy needs before it sees a frame.
    ///
    /// # Errors
    ///
    /// [`Error::Preflight`] when the set is another one or lacks a feature, with both sides named.
    pub fn new(strategy: S, set: &FeatureSet) -> Result<Self, Error> {
        let refused = |problem: String| Error::Preflight {
            strategy: strategy.name().into(),
            set: set.id().into(),
            problem,
        };
        if let Some(id) = strategy.required_feature_set_id().filter(|id| *id != set.id()) {
            return Err(refused(format!("it was written for feature set `{id}`")));
        }
        let names = strategy.required_features();
        let missing: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| set.index_of(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(refused(format!("the set lacks `{}`", missing.join("`, `"))));
        }
        let required: Vec<usize> = names.iter().filter_map(|name| set.index_of(name)).collect();
        let mut mask = vec![0; set.len().div_ceil(64)];
        required.iter().for_each(|index| mask[index / 64] |= 1 << (index % 64));
        Ok(Self { strategy, required, mask, greeted: Vec::new() })
    }
}

impl<S: Strategy> Stage for StrategyRunner<S> {
    fn on_packet(&mut self, step: &Step<'_>) {
        let Some(frame) = step.frame else { return };
        let symbol = step.packet.symbol_id as usize;
        if self.greeted.len() <= symbol {
            self.greeted.resize(symbol + 1, false);
        }
        let first = !std::mem::replace(&mut self.greeted[symbol], true);
        let changed = frame.changed_mask().iter().zip(&self.mask).any(|(a, b)| a & b != 0);
        if first || changed || frame.header().quality != QualityFlags::empty() {
            self.strategy.on_features(&Context { step, required: &self.required });
        }
    }

    fn on_end(&mut self, engine: &FeatureEngine) {
        self.strategy.on_end(engine);
    }
}

impl<S: Strategy> core::fmt::Debug for StrategyRunner<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StrategyRunner").field("strategy", &self.strategy.name()).finish()
    }
}
