//! Linear models: one weighted sum per class, in one written order.

use feature_kernel::FeatureSet;

use crate::calibration::Calibration;
use crate::error::Error;
use crate::file::{
    FORMAT_VERSION, ModelFile, TestVector, Training, check_length, checked_head, field,
};
use crate::link::Link;
use crate::model::Model;
use crate::plain::PlainWeights;

const KIND: &str = "linear";

/// A linear model whose file was checked: lengths, checksum and test vectors agree.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    file: ModelFile,
    schema_hash: u64,
    outputs: Vec<String>,
    /// Row after row, one per output.
    weights: Vec<f64>,
}

impl LinearModel {
    /// Reads and checks the text of a model file.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when it is no such JSON, [`Error::Field`] when a field cannot be used,
    /// [`Error::Checksum`] when it was changed, [`Error::TestVector`] when a score differs in any bit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file = serde_json::from_str(text).map_err(|source| Error::Malformed { source })?;
        Self::checked(file)
    }

    /// The model as the text of a file, which [`LinearModel::parse`] reads back bit for bit.
    ///
    /// # Panics
    ///
    /// Never: every field is text or a finite number.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.file).expect("Invariant: plain fields") + "\n"
    }

    /// A binary classifier over the columns of a set, from weights without a contract of their own:
    /// the caller says which set they belong to.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`] when the set has another number of features.
    pub fn from_plain(plain: &PlainWeights, set: &FeatureSet) -> Result<Self, Error> {
        if plain.weights.len() != set.len() {
            return Err(Error::Dimension {
                model_set: "plain weights".into(),
                model: plain.weights.len(),
                set: set.id().into(),
                features: set.len(),
            });
        }
        let mut file = ModelFile {
            featureplane_model: FORMAT_VERSION,
            kind: KIND.into(),
            link: Link::Logistic,
            feature_set_id: set.id().into(),
            schema_hash: format!("{:016x}", set.schema_hash()),
            features: set.features().iter().map(|feature| feature.name.clone()).collect(),
            classes: vec!["rest".into(), "up".into()],
            intercepts: vec![plain.bias],
            weights: vec![plain.weights.clone()],
            calibration: Calibration::default(),
            training: Training { from_ns: 0, to_ns: 0, rows: 0 },
            test_vectors: Vec::new(),
            checksum: String::new(),
        };
        file.checksum = file.computed_checksum();
        let mut model = Self::assembled(file)?;
        let inputs = vec![0.0; set.len()];
        let mut scores = vec![0.0];
        model.score(&inputs, &mut scores);
        model.file.test_vectors.push(TestVector { inputs, scores });
        Ok(model)
    }

    /// The bias and the weights alone, as the plain text holds them.
    ///
    /// # Errors
    ///
    /// [`Error::NotPlain`] for several rows or a calibration that is not the identity.
    pub fn to_plain(&self) -> Result<PlainWeights, Error> {
        let Calibration { slope, offset, knots } = &self.file.calibration;
        if !self.file.calibration.is_identity() {
            let knots = knots.len();
            return Err(Error::NotPlain(format!(
                "slope {slope:?}, offset {offset:?}, {knots} knots"
            )));
        }
        match self.file.intercepts[..] {
            [bias] => Ok(PlainWeights { bias, weights: self.weights.clone() }),
            _ => Err(Error::NotPlain(format!("{} rows", self.file.intercepts.len()))),
        }
    }

    /// Scores of one row; `false`, and scores without meaning, when a sum is not finite.
    ///
    /// Products are added in the order of the features to the intercept, one rounding each.
    ///
    /// # Panics
    ///
    /// Panics when the lengths are not those of [`LinearModel::features`] and [`LinearModel::outputs`].
    #[inline]
    pub fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool {
        assert_eq!(inputs.len(), self.file.features.len(), "one input per feature");
        assert_eq!(scores.len(), self.outputs.len(), "one score per output");
        let Calibration { slope, offset, .. } = self.file.calibration;
        let rows = self.weights.chunks_exact(inputs.len()).zip(&self.file.intercepts);
        for (score, (weights, intercept)) in scores.iter_mut().zip(rows) {
            let mut sum = *intercept;
            for (weight, input) in weights.iter().zip(inputs) {
                sum += weight * input;
            }
            // The last addition turns -0.0 into 0.0, which is the only zero that leaves.
            *score = slope * sum + offset + 0.0;
        }
        if !scores.iter().all(|sum| sum.is_finite()) {
            return false;
        }
        self.file.link.apply(scores);
        if let [score] = scores {
            *score = self.file.calibration.curve(*score);
        }
        true
    }

    /// Id of the feature set it was trained on.
    #[must_use]
    pub fn feature_set_id(&self) -> &str {
        &self.file.feature_set_id
    }

    /// Schema hash of the feature set it was trained on.
    #[must_use]
    pub fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    /// Names of the inputs, in order.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.file.features
    }

    /// Names of the scores: `score` for a regression, `p_<class>` for probabilities.
    #[must_use]
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// How sums become scores.
    #[must_use]
    pub fn link(&self) -> Link {
        self.file.link
    }

    /// What it was trained on.
    #[must_use]
    pub fn training(&self) -> Training {
        self.file.training
    }

    /// Checksum of the file, 16 hex digits.
    #[must_use]
    pub fn checksum(&self) -> &str {
        &self.file.checksum
    }

    fn checked(file: ModelFile) -> Result<Self, Error> {
        let model = Self::assembled(file)?;
        if model.file.test_vectors.is_empty() {
            return Err(field("test_vectors", "1 or more", "none"));
        }
        for (index, vector) in model.file.test_vectors.iter().enumerate() {
            model.check_vector(index, vector)?;
        }
        Ok(model)
    }

    fn check_vector(&self, index: usize, vector: &TestVector) -> Result<(), Error> {
        let place = format!("test_vectors[{index}]");
        check_length(&format!("{place}.inputs"), self.features().len(), vector.inputs.len())?;
        check_length(&format!("{place}.scores"), self.outputs.len(), vector.scores.len())?;
        let mut scores = vec![0.0; self.outputs.len()];
        if !self.score(&vector.inputs, &mut scores) {
            return Err(field(&place, "finite sums", "a sum beyond f64"));
        }
        let pairs = vector.scores.iter().zip(&scores);
        match pairs.enumerate().find(|(_, (want, have))| want.to_bits() != have.to_bits()) {
            Some((output, (&expected, &found))) => {
                Err(Error::TestVector { index, output, expected, found })
            }
            None => Ok(()),
        }
    }

    /// Everything but the test vectors.
    fn assembled(file: ModelFile) -> Result<Self, Error> {
        let schema_hash = checked_head(
            (file.featureplane_model, &file.kind, KIND),
            &file.schema_hash,
            &file.features,
        )?;
        let outputs = file.link.outputs(&file.classes)?;
        check_length("intercepts", outputs.len(), file.intercepts.len())?;
        check_length("weights", outputs.len(), file.weights.len())?;
        for (row, weights) in file.weights.iter().enumerate() {
            check_length(&format!("weights[{row}]"), file.features.len(), weights.len())?;
        }
        check_knots(file.link, &file.calibration)?;
        let computed = file.computed_checksum();
        if file.checksum != computed {
            return Err(Error::Checksum { stated: file.checksum, computed });
        }
        let weights = file.weights.concat();
        Ok(Self { file, schema_hash, outputs, weights })
    }
}

impl Model for LinearModel {
    fn feature_set_id(&self) -> &str {
        self.feature_set_id()
    }

    fn schema_hash(&self) -> u64 {
        self.schema_hash()
    }

    fn features(&self) -> &[String] {
        self.features()
    }

    fn outputs(&self) -> &[String] {
        self.outputs()
    }

    fn checksum(&self) -> &str {
        self.checksum()
    }

    #[inline]
    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool {
        self.score(inputs, scores)
    }
}

fn check_knots(link: Link, calibration: &Calibration) -> Result<(), Error> {
    if link == Link::Softmax && !calibration.knots.is_empty() {
        return Err(field("calibration.knots", "none for `softmax`", calibration.knots.len()));
    }
    match calibration.wrong_knot(link == Link::Logistic) {
        Some((index, expected)) => {
            let [x, y] = calibration.knots[index];
            Err(field(&format!("calibration.knots[{index}]"), expected, format!("[{x:?}, {y:?}]")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
