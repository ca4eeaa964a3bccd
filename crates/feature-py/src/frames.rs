//! Frames of other processes.

use feature_kernel::frame::decode;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{config, guarded, raise};

/// Check the bytes of one frame and return them; `featureplane.decode_frame` makes a record of them.
#[pyfunction]
#[pyo3(signature = (data: "bytes", schema_hash: "str", feature_count: "int", /) -> "bytes")]
pub(crate) fn decode_frame<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyBytes>,
    schema_hash: &str,
    feature_count: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    guarded(|| {
        let hash = u64::from_str_radix(schema_hash, 16)
            .map_err(|_| config("schema_hash: expected 16 hex digits"))?;
        let words = decode(data.as_bytes(), hash, feature_count)
            .map_err(|error| raise(feature_runtime::Error::from(error)))?;
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(PyBytes::new(py, &bytes))
    })
}
