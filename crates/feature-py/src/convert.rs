//! Values that cross the border: JSON as Python objects, feature references, decimals.

use feature_runtime::{FeatureSet, FeatureValue};
use market_model::parse_scaled;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyType};
use serde_json::Value;

use crate::errors::{config, raise};

/// A JSON value as the Python object that `json.loads` would give.
pub(crate) fn json_to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value.into_pyobject(py)?.into_any(),
            (None, Some(value)) => value.into_pyobject(py)?.into_any(),
            (None, None) => number.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(json_to_py(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(entries) => {
            let dict = PyDict::new(py);
            for (key, entry) in entries {
                dict.set_item(key, json_to_py(py, entry)?)?;
            }
            dict.into_any()
        }
    })
}

/// A feature value as `int` or `float`.
pub(crate) fn value_to_py(py: Python<'_>, value: FeatureValue) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        FeatureValue::I64(value) => value.into_pyobject(py)?.into_any(),
        FeatureValue::F64(value) => value.into_pyobject(py)?.into_any(),
        FeatureValue::U32(value) => value.into_pyobject(py)?.into_any(),
    })
}

/// Index of a feature given by name or by index.
pub(crate) fn feature_index(set: &FeatureSet, feature: &Bound<'_, PyAny>) -> PyResult<usize> {
    let unknown = |feature: &str| {
        let (set, nearest) = (set.id().to_owned(), None);
        raise(feature_runtime::Error::UnknownFeature { set, feature: feature.into(), nearest })
    };
    if let Ok(name) = feature.cast::<PyString>() {
        let name = name.to_cow()?;
        return set.index_of(&name).ok_or_else(|| unknown(&name));
    }
    let Ok(index) = feature.extract::<i64>() else {
        return Err(PyTypeError::new_err("a feature is named by its name or by its index"));
    };
    let found = usize::try_from(index).ok().filter(|index| *index < set.len());
    found.ok_or_else(|| unknown(&index.to_string()))
}

/// Loads a set: the id of a built-in one, the path of a `.json` file, or JSON text.
pub(crate) fn load_set(features: &str) -> PyResult<FeatureSet> {
    let loaded = if features.trim_start().starts_with('{') {
        feature_runtime::parse_set(features, "features")
    } else {
        feature_runtime::load_set(features)
    };
    loaded.map_err(raise)
}

/// Loads a set given as text, path or dict.
pub(crate) fn load_set_of(features: &Bound<'_, PyAny>) -> PyResult<FeatureSet> {
    let convert = features.py().import("featureplane._convert")?;
    let text: String = convert.call_method1("features_text", (features,))?.extract()?;
    load_set(&text)
}

/// Text of a decimal given as `str`, `Decimal` or `int`; a float cannot say which tick it means.
pub(crate) fn decimal_text(given: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let decimal = DECIMAL.import(given.py(), "decimal", "Decimal")?;
    if given.is_instance_of::<PyString>()
        || given.is_instance_of::<PyInt>()
        || given.is_instance(decimal)?
    {
        return given.str()?.extract();
    }
    let found = given.get_type().name()?;
    let hint = if found == "float" { ": a float is not exact, write it as text" } else { "" };
    let message = format!("{what}: expected decimal text, Decimal or int, got {found}{hint}");
    Err(PyTypeError::new_err(message))
}

/// A number of ticks or lots: an integer as it is, decimal text converted exactly.
#[inline]
pub(crate) fn steps(
    given: &Bound<'_, PyAny>,
    what: &str,
    scale: u8,
    step_scaled: i64,
) -> PyResult<i64> {
    if given.is_instance_of::<PyInt>() {
        return given.extract();
    }
    if let (false, Ok(value)) = (given.is_instance_of::<PyString>(), given.extract::<i64>()) {
        return Ok(value); // Integers of NumPy.
    }
    let text = decimal_text(given, what)?;
    let wrong = |why: &str| config(&format!("{what} `{}`: {why}", text.escape_default()));
    let (scaled, rounded) =
        parse_scaled(text.as_bytes(), scale).map_err(|error| wrong(&error.to_string()))?;
    if rounded || scaled % step_scaled != 0 {
        return Err(wrong(&format!("not a multiple of {step_scaled}e-{scale}")));
    }
    Ok(scaled / step_scaled)
}
