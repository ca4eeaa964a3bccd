//! Why a model cannot be used.

use thiserror::Error;

/// Why a model cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("model {path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not a model file.
    #[error("model file: {source}")]
    Malformed {
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A field has a value that cannot be used.
    #[error("model file, {field}: expected {expected}, found {found}")]
    Field {
        /// Path of the field: `weights[2]`.
        field: String,
        /// What is allowed.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The file was changed after it was written.
    #[error("model file: the checksum is {stated}, the contents give {computed}")]
    Checksum {
        /// In the file.
        stated: String,
        /// Over what the file says.
        computed: String,
    },
    /// The model does not give the scores that its trainer gave.
    #[error(
        "model file, test_vectors[{index}].scores[{output}]: the trainer has {expected:?}, this model gives {found:?}"
    )]
    TestVector {
        /// Which vector.
        index: usize,
        /// Which score of it.
        output: usize,
        /// Score in the file.
        expected: f64,
        /// Score computed.
        found: f64,
    },
    /// The model was trained on another number of columns.
    #[error(
        "the model has {model} inputs (set `{model_set}`), the feature set `{set}` has {features} features"
    )]
    Dimension {
        /// Set of the model.
        model_set: String,
        /// Inputs of the model.
        model: usize,
        /// Set it is used with.
        set: String,
        /// Features of that set.
        features: usize,
    },
    /// The model was trained on the same number of columns in another order.
    #[error(
        "input {index} of the model (set `{model_set}`) is `{model}`, feature {index} of the set `{set}` is `{feature}`"
    )]
    Order {
        /// First place that differs, from 0.
        index: usize,
        /// Set of the model.
        model_set: String,
        /// What the model has there.
        model: String,
        /// Set it is used with.
        set: String,
        /// What the set has there.
        feature: String,
    },
    /// The columns have the same names and other definitions.
    #[error(
        "the model was trained on schema {model:016x} (set `{model_set}`), the feature set `{set}` has schema {found:016x}"
    )]
    Schema {
        /// Set of the model.
        model_set: String,
        /// Schema hash of the model.
        model: u64,
        /// Set it is used with.
        set: String,
        /// Schema hash found.
        found: u64,
    },
    /// A plain weights text is wrong.
    #[error("weights, line {line}: expected {expected}, found {found}")]
    Weights {
        /// Line, from 1.
        line: usize,
        /// What is allowed.
        expected: String,
        /// What the text has.
        found: String,
    },
    /// The model cannot be written as plain weights without a loss.
    #[error("plain weights hold one uncalibrated row, the model has {0}")]
    NotPlain(String),
}
