//! `featureplane score`: the main job with a model behind it.

use std::sync::Arc;

use feature_infer::{AnyModel, Model};

use super::extract;
use crate::args::Score;

/// Extracts the columns that a model was trained on and writes them with its scores.
pub(crate) fn run(args: &Score) -> anyhow::Result<u8> {
    let model = AnyModel::load(&args.model).map_err(feature_extract::Error::from)?;
    let id = args.set.as_deref().unwrap_or(model.feature_set_id());
    let set = Arc::new(feature_runtime::load_set(id)?);
    extract::write(&args.table, &set, Some(&Arc::new(model)))
}
