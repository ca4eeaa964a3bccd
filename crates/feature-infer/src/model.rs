//! What a scorer needs of a model.

/// A trained model of one feature set.
pub trait Model {
    /// Id of the feature set it was trained on.
    fn feature_set_id(&self) -> &str;

    /// Schema hash of the feature set it was trained on.
    fn schema_hash(&self) -> u64;

    /// Names of the inputs, in order.
    fn features(&self) -> &[String];

    /// Names of the scores.
    fn outputs(&self) -> &[String];

    /// Checksum of the file, 16 hex digits.
    fn checksum(&self) -> &str;

    /// Scores of one row of inputs in units; `false`, and scores without meaning, when there are none.
    ///
    /// # Panics
    ///
    /// Panics when the lengths are not those of [`Model::features`] and [`Model::outputs`].
    fn score(&self, inputs: &[f64], scores: &mut [f64]) -> bool;
}
