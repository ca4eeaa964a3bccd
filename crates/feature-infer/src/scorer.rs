//! A model bound to a feature set and an instrument: from frames and rows to scores.

use std::sync::Arc;

use feature_kernel::meta::{Dtype, Scale};
use feature_kernel::{Feature, FeatureSet, FrameRef};
use market_model::{Instrument, POW10};

use crate::any::AnyModel;
use crate::error::Error;
use crate::model::Model;

/// Scores frames of one feature set and instrument; allocates nothing after it was made.
#[derive(Debug, Clone)]
pub struct Scorer<M = AnyModel> {
    model: Arc<M>,
    feature_set_id: String,
    columns: Vec<Column>,
    /// A bit for every column, as masks of frames have them.
    every: Vec<u64>,
    inputs: Vec<f64>,
    scores: Vec<f64>,
}

/// How a word of a frame becomes a number in units.
#[derive(Debug, Clone, Copy)]
struct Column {
    dtype: Dtype,
    divisor: Option<f64>,
}

impl<M: Model> Scorer<M> {
    /// Binds a model to the set whose frames it will see.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`], [`Error::Order`] or [`Error::Schema`] when the model was trained on others.
    pub fn new(model: Arc<M>, set: &FeatureSet, instrument: &Instrument) -> Result<Self, Error> {
        check(model.as_ref(), set)?;
        let columns = set.features().iter().map(|feature| Column::new(feature, instrument));
        Ok(Self {
            feature_set_id: set.id().into(),
            columns: columns.collect(),
            every: every(set.len()),
            inputs: vec![0.0; set.len()],
            scores: vec![0.0; model.outputs().len()],
            model,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Scores of a frame; `None` when an input is not valid or not ready, or a sum is not finite.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`] or [`Error::Dimension`] for a frame of another set.
    #[inline]
    pub fn score_frame(&mut self, frame: FrameRef<'_>) -> Result<Option<&[f64]>, Error> {
        if frame.schema_hash() != self.model.schema_hash() {
            return Err(self.wrong_schema(frame.schema_hash()));
        }
        if frame.feature_count() != self.columns.len() {
            return Err(Error::Dimension {
                model_set: self.model.feature_set_id().into(),
                model: self.columns.len(),
                set: self.feature_set_id.clone(),
                features: frame.feature_count(),
            });
        }
        let (ready, valid) = (frame.warmup_ready_mask(), frame.valid_mask());
        let usable = self
            .every
            .iter()
            .zip(ready)
            .zip(valid)
            .all(|((every, ready), valid)| ready & valid & every == *every);
        Ok(if usable { self.score_valid(frame.values()) } else { None })
    }

    /// Scores of the words of a row, in the order of the set; `None` as for frames.
    ///
    /// # Panics
    ///
    /// Panics when there are fewer words than features.
    #[inline]
    pub fn score_words(
        &mut self,
        words: &[u64],
        is_ready: bool,
        is_valid: impl Fn(usize) -> bool,
    ) -> Option<&[f64]> {
        let usable = is_ready && (0..self.columns.len()).all(is_valid);
        if usable { self.score_valid(&words[..self.columns.len()]) } else { None }
    }

    #[inline]
    fn score_valid(&mut self, words: &[u64]) -> Option<&[f64]> {
        for ((input, column), word) in self.inputs.iter_mut().zip(&self.columns).zip(words) {
            *input = column.number(*word);
        }
        let is_finite = self.model.score(&self.inputs, &mut self.scores);
        is_finite.then_some(self.scores.as_slice())
    }

    #[cold]
    fn wrong_schema(&self, found: u64) -> Error {
        Error::Schema {
            model_set: self.model.feature_set_id().into(),
            model: self.model.schema_hash(),
            set: self.feature_set_id.clone(),
            found,
        }
    }
}

/// Names first: they say more than two hashes.
fn check(model: &impl Model, set: &FeatureSet) -> Result<(), Error> {
    let (model_set, set_id) = (model.feature_set_id().to_owned(), set.id().to_owned());
    if model.features().len() != set.len() {
        let (model, features) = (model.features().len(), set.len());
        return Err(Error::Dimension { model_set, model, set: set_id, features });
    }
    let mut pairs = model.features().iter().zip(set.features()).enumerate();
    if let Some((index, (name, feature))) = pairs.find(|(_, (name, f))| **name != f.name) {
        let (model, feature) = (name.clone(), feature.name.clone());
        return Err(Error::Order { index, model_set, model, set: set_id, feature });
    }
    if model.schema_hash() != set.schema_hash() {
        let (model, found) = (model.schema_hash(), set.schema_hash());
        return Err(Error::Schema { model_set, model, set: set_id, found });
    }
    Ok(())
}

/// Masks with a bit for each of so many columns.
fn every(columns: usize) -> Vec<u64> {
    let mut words = vec![0; columns.div_ceil(64)];
    (0..columns).for_each(|index| words[index / 64] |= 1 << (index % 64));
    words
}

impl Column {
    fn new(feature: &Feature, instrument: &Instrument) -> Self {
        let price = POW10[usize::from(instrument.price_scale)] as f64;
        let divisor = match feature.scale {
            Scale::None => None,
            Scale::Price => Some(price),
            Scale::PriceX2 => Some(2.0 * price),
            Scale::Qty => Some(POW10[usize::from(instrument.qty_scale)] as f64),
            Scale::Times(factor) => Some(factor as f64),
        };
        Self { dtype: feature.column.dtype, divisor }
    }

    #[inline]
    fn number(self, word: u64) -> f64 {
        let x = match self.dtype {
            Dtype::I64 => word.cast_signed() as f64,
            Dtype::U32 => word as f64,
            Dtype::F64 => f64::from_bits(word),
        };
        match self.divisor {
            Some(divisor) => x / divisor,
            None => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::every;

    #[test]
    fn masks_have_a_bit_for_every_column() {
        assert_eq!(every(3), [7]);
        assert_eq!(every(64), [u64::MAX]);
        assert_eq!(every(65), [u64::MAX, 1]);
    }
}
