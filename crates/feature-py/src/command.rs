//! The command of the package.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::errors::guarded;

/// Run the `featureplane` command, as the console script of the package does.
///
/// Parameters
/// ----------
/// arguments
///     Arguments, the name of the program first.
///
/// Returns
/// -------
/// int
///     The exit code: 0 done, 1 a check failed, 2 wrong usage, 3 the input or the output cannot be
///     used, 4 events were refused, 130 ended by Ctrl-C.
///
/// Notes
/// -----
/// It prints to the standard streams of the process and takes over Ctrl-C. The interpreter is released.
#[pyfunction]
#[pyo3(signature = (arguments: "list[str]", /) -> "int")]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    guarded(|| Ok(py.detach(|| feature_cli::run(arguments))))
}
