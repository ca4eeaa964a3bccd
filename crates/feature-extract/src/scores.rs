//! Scores of a model as columns after the features.

use std::sync::Arc;

use feature_infer::{AnyModel, Model, Scorer};
use feature_kernel::frame::bit;
use feature_runtime::FeatureSet;
use market_io::sink::{ColumnKind, ColumnSpec, TableSpec};
use market_model::Instrument;

use crate::error::Error;
use crate::table::FIXED_COLUMNS;

/// Place of `warmup_ready` among the fixed columns.
const READY: usize = 6;

/// A row with the scores of a model behind its features.
#[derive(Debug)]
pub(crate) struct ScoredRow {
    scorer: Scorer,
    words: Vec<u64>,
    valid: Vec<u64>,
}

impl ScoredRow {
    pub(crate) fn new(
        model: Arc<AnyModel>,
        set: &FeatureSet,
        instrument: &Instrument,
    ) -> Result<Self, Error> {
        if let Some(name) = model.outputs().iter().find(|name| set.index_of(name).is_some()) {
            let message = format!("its score `{name}` has the name of a feature of `{}`", set.id());
            return Err(Error::Config { field: "model", message });
        }
        let columns = FIXED_COLUMNS + set.len() + model.outputs().len();
        let scorer = Scorer::new(model, set, instrument)?;
        Ok(Self { scorer, words: vec![0; columns], valid: vec![0; columns.div_ceil(64)] })
    }

    /// The row with its scores; they are null as [`Scorer::score_words`] says.
    #[inline]
    pub(crate) fn extended(&mut self, words: &[u64], valid: &[u64]) -> (&[u64], &[u64]) {
        let count = words.len();
        self.words[..count].copy_from_slice(words);
        self.words[count..].fill(0);
        self.valid.fill(0);
        self.valid[..valid.len()].copy_from_slice(valid);
        let is_valid = |index| bit(valid, FIXED_COLUMNS + index);
        let features = &words[FIXED_COLUMNS..];
        let scores = self.scorer.score_words(features, words[READY] == 1, is_valid);
        for (index, score) in scores.into_iter().flatten().enumerate() {
            let column = count + index;
            self.words[column] = score.to_bits();
            self.valid[column / 64] |= 1 << (column % 64);
        }
        (&self.words, &self.valid)
    }
}

/// The columns of a model's scores, and metadata that says which model made them.
pub(crate) fn add_columns(spec: &mut TableSpec, model: &AnyModel) {
    for name in model.outputs() {
        let description = "Score of the model; null while an input is not valid or not ready.";
        let column = ColumnSpec::new(name, ColumnKind::F64).nullable();
        spec.columns.push(column.with_metadata("description", description));
    }
    spec.metadata.insert("featureplane.model".into(), model.checksum().into());
}
