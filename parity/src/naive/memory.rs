//! What single features remember of earlier packets; one memory for each feature of a set.

use feature_kernel::Feature;

use super::changes::Changes;
use super::columns::{Scene, Value};
use super::levels::{LevelFlow, NormFlow};
use super::momentum::Momentum;
use super::order_flow::OrderFlow;
use super::regime::Past;
use super::steps::Moment;

/// The memory of one feature.
#[derive(Debug, Clone)]
pub(super) enum Memory {
    /// A feature that is a function of the book, or that `Steps` remembers for.
    Nothing,
    LevelFlow(LevelFlow),
    NormFlow(NormFlow),
    Past(Past),
    Momentum(Momentum),
    Changes(Changes),
    OrderFlow(OrderFlow),
}

impl Memory {
    /// The memory at the start of an epoch.
    pub(super) fn new(feature: &Feature) -> Self {
        match feature.family.slug {
            "ofi_ml" => Self::LevelFlow(LevelFlow::default()),
            "ofi_norm" => Self::NormFlow(NormFlow::default()),
            "regime" => Self::Past(Past::default()),
            "momentum" => Self::Momentum(Momentum::default()),
            "ofi_flow" => Self::Changes(Changes::default()),
            "order_flow_l3" => Self::OrderFlow(OrderFlow::default()),
            _ => Self::Nothing,
        }
    }

    /// Takes one packet, also one that leaves a frozen book.
    pub(super) fn step(&mut self, feature: &Feature, scene: &Scene<'_>, moment: Moment) {
        match self {
            Self::Nothing => {}
            Self::LevelFlow(memory) => memory.step(feature, scene, moment),
            Self::NormFlow(memory) => memory.step(feature, scene, moment),
            Self::Past(memory) => memory.step(feature, scene, moment),
            Self::Momentum(memory) => memory.step(feature, scene, moment),
            Self::Changes(memory) => memory.step(feature, scene, moment),
            Self::OrderFlow(memory) => memory.step(feature, scene, moment),
        }
    }

    /// The value now, `None` when it is invalid.
    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        match self {
            Self::Nothing => scene.value(feature),
            Self::LevelFlow(memory) => memory.value(feature, scene),
            Self::NormFlow(memory) => memory.value(feature, scene),
            Self::Past(memory) => memory.value(feature, scene),
            Self::Momentum(memory) => memory.value(feature, scene),
            Self::Changes(memory) => memory.value(feature, scene),
            Self::OrderFlow(memory) => memory.value(feature, scene),
        }
    }
}
