//! A model of whichever kind its file is.

use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
#[cfg(not(feature = "trees"))]
use crate::file::field;
use crate::linear::LinearModel;
use crate::model::Model;
#[cfg(feature = "trees")]
use crate::trees::TreeModel;

/// Kinds of files of trees.
pub(crate) const TREES: [&str; 2] = ["lightgbm", "xgboost"];

/// A model that was read from a file.
#[derive(Debug)]
pub enum AnyModel {
    /// One weighted sum per class.
    Linear(LinearModel),
    /// Trees of LightGBM or of XGBoost.
    #[cfg(feature = "trees")]
    Trees(TreeModel),
}

#[derive(Deserialize)]
struct Head {
    kind: String,
}

impl AnyModel {
    /// Reads and checks a model file.
    ///
    /// # Errors
    ///
    /// [`Error::File`], else as [`AnyModel::parse`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::File { path: path.into(), source })?;
        Self::parse(&text)
    }

    /// Reads and checks the text of a model file.
    ///
    /// # Errors
    ///
    /// As [`LinearModel::parse`] and, for trees, `TreeModel::parse`; [`Error::Field`] for trees in a build
    /// without the cargo feature `trees`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Ok(Head { kind }) = serde_json::from_str(text)
            && TREES.contains(&kind.as_str())
        {
            #[cfg(feature = "trees")]
            return TreeModel::parse(text).map(Self::Trees);
            #[cfg(not(feature = "trees"))]
            return Err(field("kind", "linear: this build has not the feature `trees`", kind));
        }
        LinearModel::parse(text).map(Self::Linear)
    }

    fn model(&self) -> &dyn Model {
        match self {
            Self::Linear(model) => model,
            #[cfg(feature = "trees")]
            Self::Trees(model) => model,
        }
    }
}

impl From<LinearModel> for AnyModel {
    fn from(model: LinearModel) -> Self {
        Self::Linear(model)
    }
}

impl Model for AnyModel {
    fn feature_set_id(&self) -> &str {
        self.model().feature_set_id()
    }

    fn schema_hash(&self) -> u64 {
        self.model().schema_hash()
    }

    fn features(&self) -> &[String] {
        self.model().features()
    }

    fn outputs(&self) -> &[String] {
        self.model().outputs()
    }

    fn checksum(&self) -> &str {
        self.model().checksum()
    }

    #[inline]
    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool {
        match self {
            Self::Linear(model) => model.score(inputs, scores),
            #[cfg(feature = "trees")]
            Self::Trees(model) => model.score(inputs, scores),
        }
    }
}
