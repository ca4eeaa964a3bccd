//! Gradient-boosted trees under the contract of every model (`specs/model-file.md`, section Trees).

mod lightgbm;
mod xgboost;

use serde::{Deserialize, Serialize};

use self::lightgbm::LightGbm;
use self::xgboost::XgBoost;
use crate::any::TREES;
use crate::error::Error;
use crate::file::{TestVector, Training, check_length, checked_head, checksum, field};
use crate::link::Link;
use crate::model::Model;

/// A model of LightGBM or XGBoost whose file was checked: names, checksum and test vectors agree.
#[derive(Debug)]
pub struct TreeModel {
    file: TreeFile,
    schema_hash: u64,
    outputs: Vec<String>,
    forest: Box<dyn Forest>,
}

/// Trees as their library wrote them, and the scores that it gives.
trait Forest: std::fmt::Debug + Send + Sync {
    /// What the sums of the trees become.
    fn link(&self) -> Link;

    /// Number of sums.
    fn sums(&self) -> usize;

    /// How far a score may be from the library's, relative to it or to 1.
    fn tolerance(&self) -> f64;

    /// One score per sum of one input per column; `false` when there are none.
    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool;
}

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeFile {
    featureplane_model: u32,
    kind: String,
    feature_set_id: String,
    schema_hash: String,
    features: Vec<String>,
    classes: Vec<String>,
    text: String,
    training: Training,
    test_vectors: Vec<TestVector>,
    checksum: String,
}

impl TreeModel {
    /// Reads and checks the text of a model file.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when it is no such JSON, [`Error::Field`] when a field cannot be used or the trees
    /// split on other columns, [`Error::Checksum`] when it was changed, [`Error::TestVector`] when a score is
    /// not the library's: within 1e-12 for LightGBM, within 1e-6 for probabilities of XGBoost, the same for
    /// its regressions.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: TreeFile =
            serde_json::from_str(text).map_err(|source| Error::Malformed { source })?;
        let expected = TREES.iter().find(|kind| **kind == file.kind).map_or("trees", |kind| *kind);
        let head = (file.featureplane_model, file.kind.as_str(), expected);
        let schema_hash = checked_head(head, &file.schema_hash, &file.features)?;
        let computed = file.computed_checksum();
        if file.checksum != computed {
            return Err(Error::Checksum { stated: file.checksum, computed });
        }
        let forest: Box<dyn Forest> = if file.kind == TREES[0] {
            Box::new(LightGbm::parse(&file.text, &file.features)?)
        } else {
            Box::new(XgBoost::parse(&file.text, &file.features)?)
        };
        let outputs = forest.link().outputs(&file.classes)?;
        if outputs.len() != forest.sums() {
            let expected = format!("{}, as many as the trees have", forest.sums());
            return Err(field("classes", expected, file.classes.len()));
        }
        let model = Self { file, schema_hash, outputs, forest };
        model.check_vectors()?;
        Ok(model)
    }

    /// What it was trained on.
    #[must_use]
    pub fn training(&self) -> Training {
        self.file.training
    }

    fn check_vectors(&self) -> Result<(), Error> {
        if self.file.test_vectors.is_empty() {
            return Err(field("test_vectors", "1 or more", "none"));
        }
        for (index, vector) in self.file.test_vectors.iter().enumerate() {
            let place = format!("test_vectors[{index}]");
            let inputs = self.file.features.len();
            check_length(&format!("{place}.inputs"), inputs, vector.inputs.len())?;
            check_length(&format!("{place}.scores"), self.outputs.len(), vector.scores.len())?;
            let mut scores = vec![0.0; self.outputs.len()];
            if !self.score(&vector.inputs, &mut scores) {
                return Err(field(&place, "finite sums", "a sum beyond the trees' numbers"));
            }
            for (output, (&expected, &found)) in vector.scores.iter().zip(&scores).enumerate() {
                let allowed = self.forest.tolerance() * expected.abs().max(1.0);
                if (found - expected).abs() > allowed {
                    return Err(Error::TestVector { index, output, expected, found });
                }
            }
        }
        Ok(())
    }
}

impl TreeFile {
    fn computed_checksum(&self) -> String {
        let mut lines =
            vec![self.kind.clone(), self.feature_set_id.clone(), self.schema_hash.clone()];
        lines.extend(self.features.iter().map(|name| format!("feature {name}")));
        lines.extend(self.classes.iter().map(|label| format!("class {label}")));
        lines.push(self.text.clone());
        checksum(&lines)
    }
}

impl Model for TreeModel {
    fn feature_set_id(&self) -> &str {
        &self.file.feature_set_id
    }

    fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    fn features(&self) -> &[String] {
        &self.file.features
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn checksum(&self) -> &str {
        &self.file.checksum
    }

    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool {
        assert_eq!(inputs.len(), self.file.features.len(), "one input per feature");
        assert_eq!(scores.len(), self.outputs.len(), "one score per output");
        self.forest.score(inputs, scores)
    }
}

/// The trees name the columns that they split on; the order is that of the file.
fn check_names(features: &[String], stated: &[impl AsRef<str>]) -> Result<(), Error> {
    check_length("text: feature_names", features.len(), stated.len())?;
    let mut pairs = features.iter().zip(stated.iter().map(AsRef::as_ref)).enumerate();
    match pairs.find(|(_, (name, stated))| name.as_str() != *stated) {
        Some((index, (name, stated))) => Err(field(
            &format!("text: feature_names[{index}]"),
            format!("`{name}`"),
            format!("`{}`", stated.escape_default()),
        )),
        None => Ok(()),
    }
}
