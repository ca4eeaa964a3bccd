//! CSV: exact integers, shortest round-trip floats, integer nanoseconds, empty for null.
//!
//! Written by hand because general CSV writers format timestamps as text and lose the last digits,
//! and because the quoting rule is all that is needed of one.

use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::SchemaRef;

use super::atomic::AtomicFile;
use super::error::SinkError;
use super::table::{ColumnKind, TableSpec, check_columns};
use super::{Finished, SinkOptions, TableSink};

pub(super) struct CsvSink {
    schema: SchemaRef,
    kinds: Vec<ColumnKind>,
    rows: u64,
    file: AtomicFile,
    text: Vec<u8>,
}

/// One column of a batch with its type resolved, so that a cell is one `match`.
enum Cells<'a> {
    I64(&'a PrimitiveArray<Int64Type>),
    U64(&'a PrimitiveArray<UInt64Type>),
    U32(&'a PrimitiveArray<UInt32Type>),
    F64(&'a PrimitiveArray<Float64Type>),
    Time(&'a PrimitiveArray<TimestampNanosecondType>),
    Text(&'a PrimitiveArray<Int32Type>, &'a StringArray),
}

impl CsvSink {
    pub(super) fn create(
        path: &Path,
        spec: &TableSpec,
        options: &SinkOptions,
    ) -> Result<Self, SinkError> {
        let mut file = AtomicFile::create(path, options.existing)?;
        let mut text = Vec::new();
        for (index, column) in spec.columns.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            push_text(&mut text, &column.name);
        }
        text.push(b'\n');
        file.put(&text)?;
        let kinds = spec.columns.iter().map(|c| c.kind).collect();
        Ok(Self { schema: spec.schema(), kinds, rows: 0, file, text })
    }
}

impl TableSink for CsvSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        check_columns(self.file.path(), &self.schema, batch)?;
        let cells: Vec<Cells<'_>> =
            self.kinds.iter().zip(batch.columns()).map(|(&k, a)| resolve(k, a.as_ref())).collect();
        self.text.clear();
        for row in 0..batch.num_rows() {
            for (index, column) in cells.iter().enumerate() {
                if index > 0 {
                    self.text.push(b',');
                }
                push_cell(&mut self.text, column, row);
            }
            // A lone empty cell would make an empty line, which readers skip.
            if cells.len() == 1 && self.text.last().is_none_or(|&b| b == b'\n') {
                self.text.extend_from_slice(b"\"\"");
            }
            self.text.push(b'\n');
        }
        self.file.put(&self.text)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Finished, SinkError> {
        self.file.seal()?.publish(self.rows)
    }
}

fn resolve(kind: ColumnKind, array: &dyn Array) -> Cells<'_> {
    match kind {
        ColumnKind::I64 => Cells::I64(array.as_primitive()),
        ColumnKind::U64 => Cells::U64(array.as_primitive()),
        ColumnKind::U32 => Cells::U32(array.as_primitive()),
        ColumnKind::F64 => Cells::F64(array.as_primitive()),
        ColumnKind::TimestampNs => Cells::Time(array.as_primitive()),
        ColumnKind::Utf8Dict => {
            let dictionary = array.as_dictionary::<Int32Type>();
            Cells::Text(dictionary.keys(), dictionary.values().as_string())
        }
    }
}

fn push_cell(text: &mut Vec<u8>, cells: &Cells<'_>, row: usize) {
    match cells {
        Cells::I64(array) => push_integer(text, array, row),
        Cells::U64(array) => push_integer(text, array, row),
        Cells::U32(array) => push_integer(text, array, row),
        Cells::Time(array) => push_integer(text, array, row),
        Cells::F64(array) if array.is_valid(row) => {
            // The Debug form is the shortest text that reads back as the same bits.
            let _ = write!(text, "{:?}", array.value(row));
        }
        Cells::Text(keys, values) if keys.is_valid(row) => {
            let key = usize::try_from(keys.value(row)).unwrap_or(usize::MAX);
            if key < values.len() {
                push_text(text, values.value(key));
            }
        }
        Cells::F64(_) | Cells::Text(..) => {}
    }
}

fn push_integer<T: ArrowPrimitiveType>(text: &mut Vec<u8>, array: &PrimitiveArray<T>, row: usize)
where
    T::Native: std::fmt::Display,
{
    if array.is_valid(row) {
        // Writing to a vector cannot fail.
        let _ = write!(text, "{}", array.value(row));
    }
}

fn push_text(text: &mut Vec<u8>, value: &str) {
    let special = |b: u8| matches!(b, b',' | b'"' | b'\n' | b'\r');
    // Empty text is quoted, so that it is not a null.
    if !value.is_empty() && !value.bytes().any(special) {
        text.extend_from_slice(value.as_bytes());
        return;
    }
    text.push(b'"');
    for byte in value.bytes() {
        if byte == b'"' {
            text.push(b'"');
        }
        text.push(byte);
    }
    text.push(b'"');
}
