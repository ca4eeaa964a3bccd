//! The rows of one file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use market_model::check_ns;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, FieldFault, Location, Position, quoted};

/// First and last bytes of a file.
pub(super) const MAGIC: &[u8] = b"PAR1";

const BATCH_ROWS: usize = 8_192;
const NS_PER_US: i64 = 1_000;

const COLUMNS: [&str; 9] = [
    "ts_local_us",
    "price_int",
    "size_int",
    "side",
    "is_snapshot",
    "file_line_number",
    "ts_exch_us",
    "file_id",
    "symbol_id",
];
/// Of [`COLUMNS`]; the others may be absent.
const REQUIRED: usize = 6;

/// One level update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) ts_local_us: i64,
    pub(super) price_int: i64,
    pub(super) size_int: i64,
    pub(super) side: i64,
    pub(super) is_snapshot: bool,
    pub(super) file_line_number: i64,
    /// 0 without the column.
    ts_exch_us: i64,
    /// 0 without the column.
    pub(super) file_id: i64,
    /// `None` without the column.
    pub(super) symbol_id: Option<i64>,
}

impl Row {
    pub(super) fn local_ns(&self) -> Result<i64, FieldFault> {
        us_to_ns("ts_local_us", self.ts_local_us)
    }

    pub(super) fn event_ns(&self) -> Result<i64, FieldFault> {
        if self.ts_exch_us == 0 { Ok(0) } else { us_to_ns("ts_exch_us", self.ts_exch_us) }
    }
}

fn us_to_ns(field: &'static str, us: i64) -> Result<i64, FieldFault> {
    us.checked_mul(NS_PER_US).and_then(|ns| check_ns(ns).ok()).ok_or_else(|| FieldFault {
        field,
        expected: "a time in us between 2000 and 2100",
        found: us.to_string(),
    })
}

/// A file that is read batch by batch.
pub(super) struct Table {
    path: PathBuf,
    bytes: u64,
    total_rows: u64,
    reader: ParquetRecordBatchReader,
    /// Values of the current batch, column by column, as in [`COLUMNS`].
    columns: [Option<Vec<i64>>; COLUMNS.len()],
    /// Row of the file at which the batch starts.
    start: u64,
    at: usize,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let wrap = |action| move |source| Error::Io { path: path.into(), action, source };
        let mut file = File::open(path).map_err(wrap("open"))?;
        let bytes = file.metadata().map_err(wrap("open"))?.len();
        let mut tail = [0; MAGIC.len()];
        let has_tail = bytes > 2 * MAGIC.len() as u64
            && file.seek(SeekFrom::End(-(MAGIC.len() as i64))).is_ok()
            && file.read_exact(&mut tail).is_ok();
        if !has_tail || tail != MAGIC {
            let location = Location::byte(path, bytes);
            return Err(Error::Truncated { location, what: "parquet file" });
        }
        let corrupt = |source| corrupt(path, source);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(corrupt)?;
        check_ranges(builder.metadata()).map_err(corrupt)?;
        let names: Vec<&str> =
            builder.schema().fields().iter().map(|field| field.name().as_str()).collect();
        if let Some(name) = COLUMNS[..REQUIRED].iter().find(|name| !names.contains(name)) {
            return Err(Error::UnknownFormat {
                path: path.into(),
                expected: "columns ts_local_us, price_int, size_int, side, is_snapshot, \
                           file_line_number",
                found: format!("no `{name}` in {}", quoted(names.join(", ").as_bytes())),
            });
        }
        let total_rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let used = COLUMNS.iter().copied().filter(|name| names.contains(name));
        let mask = ProjectionMask::columns(builder.parquet_schema(), used);
        let reader =
            builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(corrupt)?;
        let columns = [const { None }; COLUMNS.len()];
        Ok(Self { path: path.into(), bytes, total_rows, reader, columns, start: 0, at: 0 })
    }

    /// The next row; `None` after the last.
    pub(super) fn peek(&mut self) -> Result<Option<Row>, Error> {
        while self.at == self.batch_rows() {
            self.start += self.at as u64;
            self.at = 0;
            match self.reader.next() {
                None => {
                    self.columns = [const { None }; COLUMNS.len()];
                    return Ok(None);
                }
                Some(Ok(batch)) => self.load(&batch)?,
                Some(Err(source)) => return Err(corrupt(&self.path, source)),
            }
        }
        let value = |column: usize| self.columns[column].as_ref().map(|values| values[self.at]);
        let required = |column| value(column).unwrap_or_default();
        Ok(Some(Row {
            ts_local_us: required(0),
            price_int: required(1),
            size_int: required(2),
            side: required(3),
            is_snapshot: required(4) != 0,
            file_line_number: required(5),
            ts_exch_us: value(6).unwrap_or(0),
            file_id: value(7).unwrap_or(0),
            symbol_id: value(8),
        }))
    }

    /// Goes past the row that [`Table::peek`] gave.
    pub(super) fn take(&mut self) {
        debug_assert!(self.at < self.batch_rows(), "Invariant: a row was peeked");
        self.at += 1;
    }

    fn batch_rows(&self) -> usize {
        self.columns[0].as_ref().map_or(0, Vec::len)
    }

    fn load(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for (column, name) in COLUMNS.iter().enumerate() {
            let Some(array) = batch.column_by_name(name) else { continue };
            if let Some(row) = (0..array.len()).find(|row| array.is_null(*row)) {
                let fault = FieldFault { field: name, expected: "a value", found: "null".into() };
                return Err(fault.at(self.row(row), "").into());
            }
            let values = integers(array).ok_or_else(|| {
                let expected = if *name == "is_snapshot" { "booleans" } else { "integers" };
                let found = array.data_type().to_string();
                Error::from(FieldFault { field: name, expected, found }.at(self.row(0), ""))
            })?;
            self.columns[column] = Some(values);
        }
        Ok(())
    }

    /// Where the next row is.
    pub(super) fn location(&self) -> Location {
        self.row(self.at)
    }

    fn row(&self, at: usize) -> Location {
        let row = self.start + at as u64;
        // A row has no offset of its own in a columnar file.
        Location { path: self.path.clone(), position: Position::Row { row, offset: 0 } }
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes read so far, in proportion to the rows.
    pub(super) fn position(&self) -> u64 {
        let rows = u128::from(self.start) + self.at as u128;
        let bytes = u128::from(self.bytes) * rows / u128::from(self.total_rows.max(1));
        u64::try_from(bytes).map_or(self.bytes, |bytes| bytes.min(self.bytes))
    }
}

fn corrupt(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    let source = std::io::Error::other(source);
    Error::Corrupt { location: Location::file(path), what: "parquet file", source }
}

/// Refuses places that no file has: the reader would panic on them.
fn check_ranges(metadata: &ParquetMetaData) -> Result<(), ParquetError> {
    let mut columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let is_wrong = columns.any(|column| {
        let pages = column.dictionary_page_offset().unwrap_or(0).min(column.data_page_offset());
        pages < 0 || column.compressed_size() < 0
    });
    if is_wrong {
        Err(ParquetError::General("a column at a negative place".into()))
    } else {
        Ok(())
    }
}

/// The values of a column of integers or booleans; `None` for other types and values above `i64`.
fn integers(array: &dyn Array) -> Option<Vec<i64>> {
    macro_rules! widened {
        ($type:ty) => {
            Some(
                array.as_primitive_opt::<$type>()?.values().iter().map(|v| i64::from(*v)).collect(),
            )
        };
    }
    match array.data_type() {
        DataType::Int8 => widened!(Int8Type),
        DataType::Int16 => widened!(Int16Type),
        DataType::Int32 => widened!(Int32Type),
        DataType::Int64 => widened!(Int64Type),
        DataType::UInt8 => widened!(UInt8Type),
        DataType::UInt16 => widened!(UInt16Type),
        DataType::UInt32 => widened!(UInt32Type),
        DataType::UInt64 => {
            let values = array.as_primitive_opt::<UInt64Type>()?.values();
            values.iter().map(|value| i64::try_from(*value).ok()).collect()
        }
        DataType::Boolean => {
            let values = array.as_boolean_opt()?;
            Some((0..values.len()).map(|row| i64::from(values.value(row))).collect())
        }
        _ => None,
    }
}
