//! A frame as Python sees it: a copy that never changes.

use std::sync::Arc;

use feature_kernel::frame::bit;
use feature_kernel::meta::Dtype;
use feature_runtime::{FeatureSet, FeatureValue, FrameBuf, FrameRef};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView};

use crate::convert::{feature_index, value_to_py};

/// One frame of one symbol: an immutable copy, so it may be kept, pickled as bytes and passed on.
///
/// Values are scaled integers or floats, as the feature set says (`featureplane.describe_set`).
#[pyclass(frozen, module = "featureplane")]
pub(crate) struct FeatureView {
    frame: FrameBuf,
    set: Arc<FeatureSet>,
    symbol: Arc<str>,
    now_ns: Option<i64>,
}

impl FeatureView {
    pub(crate) fn new(
        frame: &FrameRef<'_>,
        set: &Arc<FeatureSet>,
        symbol: &Arc<str>,
        now_ns: Option<i64>,
    ) -> Self {
        Self { frame: frame.to_owned(), set: Arc::clone(set), symbol: Arc::clone(symbol), now_ns }
    }

    fn typed(&self, index: usize) -> Option<FeatureValue> {
        let word = self.frame.as_ref().value(index)?;
        Some(match self.set.features()[index].column.dtype {
            Dtype::I64 => FeatureValue::I64(word.cast_signed()),
            Dtype::F64 => FeatureValue::F64(f64::from_bits(word)),
            Dtype::U32 => FeatureValue::U32(word as u32),
        })
    }
}

#[pymethods]
impl FeatureView {
    /// Return the value of a feature by name or index.
    ///
    /// Parameters
    /// ----------
    /// feature
    ///     Name, or index in the feature set.
    ///
    /// Returns
    /// -------
    /// int, float or None
    ///     None where the value is not defined for this frame.
    ///
    /// Raises
    /// ------
    /// UnknownFeatureError
    ///     The set has no such feature.
    #[pyo3(signature = (feature: "int | str", /) -> "int | float | None")]
    fn value<'py>(
        &self,
        py: Python<'py>,
        feature: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let index = feature_index(&self.set, feature)?;
        self.typed(index).map(|value| value_to_py(py, value)).transpose()
    }

    /// Return whether a feature, or without argument every feature, has seen enough packets and time.
    #[pyo3(signature = (feature: "int | str | None" = None, /) -> "bool")]
    fn is_ready(&self, feature: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let frame = self.frame.as_ref();
        let mask = frame.warmup_ready_mask();
        Ok(match feature {
            Some(feature) => bit(mask, feature_index(&self.set, feature)?),
            None => (0..self.set.len()).all(|index| bit(mask, index)),
        })
    }

    /// Return whether the value of a feature is defined for this frame.
    #[pyo3(signature = (feature: "int | str", /) -> "bool")]
    fn is_valid(&self, feature: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(bit(self.frame.as_ref().valid_mask(), feature_index(&self.set, feature)?))
    }

    /// Return whether the value of a feature differs from the frame before.
    #[pyo3(signature = (feature: "int | str", /) -> "bool")]
    fn is_changed(&self, feature: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(bit(self.frame.as_ref().changed_mask(), feature_index(&self.set, feature)?))
    }

    /// Return all values by name; None where a value is not defined.
    #[pyo3(signature = () -> "dict[str, int | float | None]")]
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (index, feature) in self.set.features().iter().enumerate() {
            let value = self.typed(index).map(|value| value_to_py(py, value)).transpose()?;
            dict.set_item(&feature.name, value)?;
        }
        Ok(dict)
    }

    /// Return the frame as the bytes of `FeatureUpdateFrameV1`.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.frame.as_bytes())
    }

    /// Values as a NumPy record with one field per feature; where a value is not defined, the last
    /// one that was, or 0. Read-only. Needs NumPy.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let frames = py.import("featureplane.frames")?;
        frames.call_method1("_values_of", (self.to_bytes(py), self.set.canonical_json()))
    }

    /// Value words in the order of the set as a read-only memoryview of unsigned 64-bit integers:
    /// an i64 in two's complement, an f64 as its bits. Works without NumPy.
    #[getter]
    fn words<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        let mut bytes = Vec::with_capacity(8 * self.set.len());
        self.frame.as_ref().values().iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        let view = PyMemoryView::from(PyBytes::new(py, &bytes).as_any())?;
        Ok(view.call_method1("cast", ("Q",))?.cast_into()?)
    }

    /// Symbol.
    #[getter]
    fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Dense id of the symbol in its engine.
    #[getter]
    fn symbol_id(&self) -> u32 {
        self.frame.as_ref().symbol_id()
    }

    /// Frame number of the symbol in the epoch, from 1.
    #[getter]
    fn seq(&self) -> u64 {
        self.frame.as_ref().header().seq
    }

    /// Update id of the packet; 0 when it had none.
    #[getter]
    fn source_seq(&self) -> u64 {
        self.frame.as_ref().header().source_seq
    }

    /// Session number: from 0, one more at each reset.
    #[getter]
    fn epoch(&self) -> u32 {
        self.frame.as_ref().header().epoch
    }

    /// Event time, UTC ns.
    #[getter]
    fn source_ts_ns(&self) -> i64 {
        self.frame.as_ref().header().source_ts_ns
    }

    /// Arrival time, UTC ns; 0 when unknown.
    #[getter]
    fn local_ts_ns(&self) -> i64 {
        self.frame.as_ref().header().local_ts_ns
    }

    /// Age of the frame in ns against the `now_ns` that the caller gave; None when it gave none.
    #[getter]
    fn age_ns(&self) -> Option<i64> {
        self.now_ns.map(|now_ns| now_ns.saturating_sub(self.source_ts_ns()))
    }

    /// Quality bits; 0 is clean. `featureplane.QualityFlags` names them.
    #[getter]
    fn quality_flags(&self) -> u32 {
        self.frame.as_ref().header().quality.bits()
    }

    /// Names of the features in the order of the set.
    #[getter]
    fn feature_names(&self) -> Vec<&str> {
        self.set.features().iter().map(|feature| feature.name.as_str()).collect()
    }

    /// Schema hash of the feature set, 16 hex digits.
    #[getter]
    fn schema_hash(&self) -> String {
        format!("{:016x}", self.set.schema_hash())
    }

    fn __repr__(&self) -> String {
        let header = self.frame.as_ref().header();
        format!(
            "FeatureView({}, epoch {}, seq {}, source_ts_ns {}, quality_flags {:#x}, {} features)",
            self.symbol,
            header.epoch,
            header.seq,
            header.source_ts_ns,
            header.quality.bits(),
            self.set.len()
        )
    }
}
