//! Gradient-boosted trees of LightGBM under the contract of every model (`specs/model-file.md`, section Trees).

use bosk::LgbModel;
use serde::{Deserialize, Serialize};

use crate::any::TREES;
use crate::error::Error;
use crate::file::{TestVector, Training, check_length, checked_head, checksum, field};
use crate::model::Model;

/// How far a score may be from LightGBM's, relative to it or to 1: both end in the machine's `exp`.
const TOLERANCE: f64 = 1e-12;

/// A model of LightGBM whose file was checked: names, checksum and test vectors agree.
#[derive(Debug)]
pub struct TreeModel {
    file: TreeFile,
    schema_hash: u64,
    outputs: Vec<String>,
    trees: LgbModel,
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
    /// not LightGBM's within 1e-12.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: TreeFile =
            serde_json::from_str(text).map_err(|source| Error::Malformed { source })?;
        let head = (file.featureplane_model, file.kind.as_str(), TREES);
        let schema_hash = checked_head(head, &file.schema_hash, &file.features)?;
        let computed = file.computed_checksum();
        if file.checksum != computed {
            return Err(Error::Checksum { stated: file.checksum, computed });
        }
        let outputs = file.outputs()?;
        file.check_names()?;
        let trees = LgbModel::parse(&file.text)
            .map_err(|error| field("text", "trees that can be scored", error))?;
        let model = Self { file, schema_hash, outputs, trees };
        check_length("text: features", model.file.features.len(), model.trees.num_features())?;
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
            check_length(&format!("{place}.scores"), 1, vector.scores.len())?;
            let mut found = [0.0];
            let expected = vector.scores[0];
            let is_finite = self.score(&vector.inputs, &mut found);
            if !is_finite || (found[0] - expected).abs() > TOLERANCE * expected.abs().max(1.0) {
                return Err(Error::TestVector { index, output: 0, expected, found: found[0] });
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

    /// What the text says on a line of its own before the first tree.
    fn stated(&self, key: &str) -> Option<&str> {
        let mut head = self.text.lines().take_while(|line| !line.starts_with("Tree="));
        head.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    fn outputs(&self) -> Result<Vec<String>, Error> {
        let objective = self.stated("objective").unwrap_or("");
        match (objective.starts_with("binary"), &self.classes[..]) {
            (false, []) => Ok(vec!["score".into()]),
            (true, [_, positive]) => Ok(vec![format!("p_{positive}")]),
            (true, classes) => Err(field("classes", "2 for `binary` trees", classes.len())),
            (false, classes) => Err(field("classes", "none for a regression", classes.len())),
        }
    }

    /// The trees name the columns that they split on; the order is that of the file.
    fn check_names(&self) -> Result<(), Error> {
        let stated: Vec<&str> = self.stated("feature_names").unwrap_or("").split(' ').collect();
        check_length("text: feature_names", self.features.len(), stated.len())?;
        let mut pairs = self.features.iter().zip(stated).enumerate();
        match pairs.find(|(_, (name, stated))| name.as_str() != *stated) {
            Some((index, (name, stated))) => Err(field(
                &format!("text: feature_names[{index}]"),
                format!("`{name}`"),
                format!("`{stated}`"),
            )),
            None => Ok(()),
        }
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
        assert_eq!(scores.len(), 1, "trees have one score");
        scores[0] = self.trees.predict_unchecked(inputs);
        scores[0].is_finite()
    }
}
