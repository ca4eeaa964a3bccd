//! TEMPORARY placeholder until the naive twin lands (overwrite this file).
use feature_runtime::{FeatureSet};
use market_model::{Instrument, Packet};
/// d
#[derive(Debug, Clone, Copy)]
pub enum Defect { /// x
OneUlp }
/// n
#[derive(Debug)]
pub struct Naive;
impl Naive {
    /// n
    pub fn new(_: &FeatureSet, _: &Instrument) -> Self { Self }
    /// n
    pub fn with_defect(self, _: Defect) -> Self { self }
    /// n
    pub fn push(&mut self, _: &Packet, _: &mut Vec<u8>) {}
}
