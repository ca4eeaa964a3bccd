//! The columns of a table, independent of the file format.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::error::SinkError;

/// Type of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    /// 64-bit signed integer.
    I64,
    /// 64-bit unsigned integer.
    U64,
    /// 32-bit unsigned integer.
    U32,
    /// IEEE double.
    F64,
    /// UTC time in nanoseconds since 1970.
    TimestampNs,
    /// Text from a small dictionary, such as the symbol: `Dictionary<Int32, Utf8>`.
    Utf8Dict,
}

impl ColumnKind {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::I64 => DataType::Int64,
            Self::U64 => DataType::UInt64,
            Self::U32 => DataType::UInt32,
            Self::F64 => DataType::Float64,
            Self::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::Utf8Dict => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name; unique in the table.
    pub name: String,
    /// Type.
    pub kind: ColumnKind,
    /// Whether values may be absent.
    pub nullable: bool,
    /// Metadata of the field (unit, scale, ...).
    pub metadata: BTreeMap<String, String>,
}

impl ColumnSpec {
    /// A column without nulls and metadata.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self { name: name.into(), kind, nullable: false, metadata: BTreeMap::new() }
    }

    /// The same column with nulls allowed.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The same column with one more entry of metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// The columns of a table and what is known about all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSpec {
    /// Columns in order.
    pub columns: Vec<ColumnSpec>,
    /// Metadata of the table; in Parquet both as key-value pairs and in the Arrow schema.
    pub metadata: BTreeMap<String, String>,
}

impl TableSpec {
    /// A table without metadata.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = ColumnSpec>) -> Self {
        Self { columns: columns.into_iter().collect(), metadata: BTreeMap::new() }
    }

    /// The Arrow schema, with metadata on the fields and on the whole.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|c| {
                Field::new(&c.name, c.kind.data_type(), c.nullable)
                    .with_metadata(c.metadata.clone())
            })
            .collect();
        Arc::new(Schema::new(fields).with_metadata(self.metadata.clone()))
    }
}

/// Refuses a batch whose columns are not those of the table.
///
/// Metadata is left aside: the file gets that of the table.
pub(super) fn check_columns(
    path: &Path,
    schema: &SchemaRef,
    batch: &RecordBatch,
) -> Result<(), SinkError> {
    let found = batch.schema_ref();
    let same = Arc::ptr_eq(schema, found)
        || (schema.fields().len() == found.fields().len()
            && schema.fields().iter().zip(found.fields()).all(|(a, b)| {
                a.name() == b.name()
                    && a.data_type() == b.data_type()
                    && (a.is_nullable() || !b.is_nullable())
            }));
    if same {
        return Ok(());
    }
    Err(SinkError::Columns {
        path: path.into(),
        expected: describe(schema),
        found: describe(found),
    })
}

fn describe(schema: &Schema) -> String {
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|f| {
            format!("{}: {}{}", f.name(), f.data_type(), if f.is_nullable() { "?" } else { "" })
        })
        .collect();
    format!("[{}]", names.join(", "))
}
