//! Rows in memory, handed to Arrow readers without a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use feature_extract::{Output, Summary};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyList, PyString};

use crate::convert::json_to_py;
use crate::errors::{config, failure, guarded};

/// Bytes of the values, bytes of the validity (one per row; None when all are valid).
type ColumnBytes<'py> = (String, Bound<'py, PyAny>, Option<Bound<'py, PyBytes>>);

/// Arrow batches of one extraction; users see `featureplane.FeatureTable`.
#[pyclass(frozen, module = "featureplane._lib")]
pub(crate) struct RawTable {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    summaries: Vec<Summary>,
    /// Bars of all outputs, by duration.
    bars: BTreeMap<String, (SchemaRef, Vec<RecordBatch>)>,
}

impl RawTable {
    /// The rows of all outputs, one after the other.
    pub(crate) fn new(outputs: Vec<Output>) -> Self {
        let (mut rows, mut summaries) = (Vec::new(), Vec::new());
        let mut bars: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for output in outputs {
            summaries.push(output.summary);
            rows.push((output.schema, output.batches));
            for bar in output.bars {
                bars.entry(bar.summary.duration).or_default().push((bar.schema, bar.batches));
            }
        }
        let (schema, batches) = joined(rows);
        let bars = bars.into_iter().map(|(duration, tables)| (duration, joined(tables))).collect();
        Self { schema, batches, summaries, bars }
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

#[pymethods]
impl RawTable {
    /// Return an Arrow C stream capsule.
    #[pyo3(signature = (requested_schema: "object | None" = None) -> "types.CapsuleType")]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema; // The protocol allows a producer to ignore the hint.
        let batches = self.batches.clone().into_iter().map(Ok); // Reference counts, not buffers.
        let reader: Box<dyn RecordBatchReader + Send> =
            Box::new(RecordBatchIterator::new(batches, Arc::clone(&self.schema)));
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), c"arrow_array_stream")
    }

    /// Return an Arrow C schema capsule.
    #[pyo3(signature = () -> "types.CapsuleType")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.schema.as_ref())
            .map_err(|error| failure(&format!("Arrow schema: {error}")))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// Number of rows.
    #[getter]
    fn num_rows(&self) -> usize {
        self.rows()
    }

    /// Names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// Metadata of the table.
    #[getter]
    fn metadata(&self) -> BTreeMap<&str, &str> {
        self.schema.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// Metadata of one column: family, unit, scale, description.
    #[pyo3(signature = (column: "str", /) -> "dict[str, str]")]
    fn column_metadata(&self, column: &str) -> PyResult<BTreeMap<&str, &str>> {
        let field = &self.schema.fields()[self.index(column)?];
        Ok(field.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
    }

    /// Return the bars of one duration as a table, None when there are none of it.
    #[pyo3(signature = (duration: "str", /) -> "RawTable | None")]
    fn bars(&self, duration: &str) -> Option<Self> {
        let (schema, batches) = self.bars.get(duration)?.clone();
        let summaries = self.summaries.clone();
        Some(Self { schema, batches, summaries, bars: BTreeMap::new() })
    }

    /// Return what each job did, one entry per symbol.
    #[pyo3(signature = () -> "list[dict[str, typing.Any]]")]
    fn summaries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = serde_json::to_value(&self.summaries)
            .map_err(|error| failure(&format!("summary: {error}")))?;
        json_to_py(py, &value)
    }

    /// Return one column as a NumPy type string, values and validity.
    ///
    /// The values are bytes, or a list of strings when the type is `O`; the validity has one byte per
    /// row and is None when no value is missing.
    #[pyo3(signature = (column: "str", /) -> "tuple[str, bytes | list[str | None], bytes | None]")]
    fn column<'py>(&self, py: Python<'py>, column: &str) -> PyResult<ColumnBytes<'py>> {
        guarded(|| {
            let index = self.index(column)?;
            let dtype = match self.schema.field(index).data_type() {
                DataType::Int64 => "<i8",
                DataType::UInt64 => "<u8",
                DataType::Float64 => "<f8",
                DataType::UInt32 => "<u4",
                DataType::Timestamp(..) => "<M8[ns]",
                DataType::Dictionary(..) => return self.strings(py, index),
                other => {
                    return Err(failure(&format!("column {column}: no NumPy type for {other}")));
                }
            };
            let (mut values, mut valid) = (Vec::new(), Vec::with_capacity(self.rows()));
            for batch in &self.batches {
                let array = batch.column(index);
                let data = array.to_data();
                let width = if dtype == "<u4" { 4 } else { 8 };
                let bytes = data.offset() * width..(data.offset() + data.len()) * width;
                values.extend_from_slice(&data.buffers()[0][bytes]);
                valid.extend((0..array.len()).map(|row| u8::from(array.is_valid(row))));
            }
            let valid = valid.contains(&0).then(|| PyBytes::new(py, &valid));
            Ok((dtype.into(), PyBytes::new(py, &values).into_any(), valid))
        })
    }
}

impl RawTable {
    fn index(&self, column: &str) -> PyResult<usize> {
        self.schema.index_of(column).map_err(|_| {
            let names = self.column_names().join(", ");
            config(&format!("no column `{}`; there are {names}", column.escape_default()))
        })
    }

    fn strings<'py>(&self, py: Python<'py>, index: usize) -> PyResult<ColumnBytes<'py>> {
        let list = PyList::empty(py);
        for batch in &self.batches {
            let array = batch.column(index).as_dictionary::<Int32Type>();
            let words = array.values().as_string::<i32>();
            let words: Vec<_> = words.iter().flatten().map(|w| PyString::new(py, w)).collect();
            for key in array.keys() {
                list.append(key.and_then(|key| words.get(key.cast_unsigned() as usize)))?;
            }
        }
        Ok(("O".into(), list.into_any(), None))
    }
}

/// Tables with the same columns as one.
fn joined(tables: Vec<(SchemaRef, Vec<RecordBatch>)>) -> (SchemaRef, Vec<RecordBatch>) {
    let schemas: Vec<_> = tables.iter().map(|(schema, _)| Arc::clone(schema)).collect();
    let schema = common_schema(&schemas);
    let batches = tables.into_iter().flat_map(|(_, batches)| batches).map(|batch| {
        RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
            .expect("Invariant: tables of one feature set have the same column types")
    });
    (Arc::clone(&schema), batches.collect())
}

/// The schema of the first table with only the metadata that all tables share.
fn common_schema(schemas: &[SchemaRef]) -> SchemaRef {
    let [first, rest @ ..] = schemas else { return Arc::new(Schema::empty()) };
    if rest.is_empty() {
        return Arc::clone(first);
    }
    let mut metadata = first.metadata().clone();
    metadata.retain(|key, value| rest.iter().all(|s| s.metadata().get(key) == Some(value)));
    let fields: Vec<Field> = first
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let mut own = field.metadata().clone();
            own.retain(|key, value| {
                rest.iter().all(|s| s.field(index).metadata().get(key) == Some(value))
            });
            field.as_ref().clone().with_metadata(own)
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}
