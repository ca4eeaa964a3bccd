//! Trained models over frames.
//!
//! A model is one file that names its feature set, schema hash and columns in order, and carries test
//! vectors (`specs/model-file.md`). It is bound to a feature set before it scores anything, and a model
//! that was trained on other columns is refused there, with both sides named.
//!
//! Trees of LightGBM and of XGBoost are read with the cargo feature `trees`, which is off by default.
//!
//! ```
//! use feature_infer::LinearModel;
//! use feature_kernel::{FeatureSet, FeatureSpec};
//! let spec = FeatureSpec { family: "mid_spread".into(), column: "mid".into(), ..Default::default() };
//! let set = FeatureSet::new("mine", &[spec])?;
//! let plain = feature_infer::PlainWeights::parse("-1.5\n1\n0.5\n")?;
//! let model = LinearModel::from_plain(&plain, &set)?;
//! let mut score = [0.0];
//! assert!(model.score(&[3.0], &mut score));
//! assert_eq!(score, [0.5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod any;
mod calibration;
mod error;
mod file;
mod linear;
mod link;
mod model;
mod plain;
mod scorer;
#[cfg(feature = "trees")]
mod trees;

pub use any::AnyModel;
pub use calibration::Calibration;
pub use error::Error;
pub use file::{FORMAT_VERSION, TestVector, Training};
pub use linear::LinearModel;
pub use link::Link;
pub use model::Model;
pub use plain::PlainWeights;
pub use scorer::Scorer;
#[cfg(feature = "trees")]
pub use trees::TreeModel;
