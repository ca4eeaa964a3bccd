//! `featureplane._lib`, the compiled half of the Python package.
//!
//! Functions convert, check, release the interpreter and return; nothing is computed here. The names
//! that users see are in `python/src/featureplane`. Errors become exceptions in `errors.rs` only, and
//! no panic crosses the border.

mod command;
mod convert;
mod engine;
mod errors;
mod extract;
mod frames;
mod hftbacktest;
mod instrument;
mod levels;
mod registry;
mod synthetic;
mod table;
mod view;

#[pyo3::pymodule]
mod _lib {
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::engine::FeatureEngine;
    #[pymodule_export]
    use crate::extract::extract;
    #[pymodule_export]
    use crate::frames::decode_frame;
    #[pymodule_export]
    use crate::hftbacktest::RawReplay;
    #[pymodule_export]
    use crate::registry::{built_in_sets, describe_set, families};
    #[pymodule_export]
    use crate::synthetic::write_synthetic;
    #[pymodule_export]
    use crate::table::RawTable;
    #[pymodule_export]
    use crate::view::FeatureView;

    /// Version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the Python name of a version")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
