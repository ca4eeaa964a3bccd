//! Parquet files.
//!
//! The settings follow from measurements on feature tables: a dictionary of floats is larger than
//! the floats, byte-stream-split gains a tenth over plain at no cost, and page statistics are never
//! read.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::atomic::{AtomicFile, SealedFile};
use super::error::SinkError;
use super::table::{ColumnKind, TableSpec, check_columns};
use super::{Compression, Finished, SinkOptions, TableSink};

/// Rows of a row group: large enough that the footer stays small over 10^8 rows.
const GROUP_ROWS: usize = 1 << 20;

/// Encoded bytes in memory above which a row group ends early.
const GROUP_BYTES: usize = 48 << 20;

pub(super) struct ParquetSink {
    schema: SchemaRef,
    rows: u64,
    writer: ArrowWriter<AtomicFile>,
}

impl ParquetSink {
    pub(super) fn create(
        path: &Path,
        spec: &TableSpec,
        options: &SinkOptions,
    ) -> Result<Self, SinkError> {
        let schema = spec.schema();
        let file = AtomicFile::create(path, options.existing)?;
        let properties = properties(spec, options.compression);
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|e| failed(path, e))?;
        Ok(Self { schema, rows: 0, writer })
    }
}

impl TableSink for ParquetSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        check_columns(self.writer.inner().path(), &self.schema, batch)?;
        let mut result = self.writer.write(batch);
        if result.is_ok() && self.writer.memory_size() > GROUP_BYTES {
            result = self.writer.flush();
        }
        if let Err(e) = result {
            return Err(failed(self.writer.inner().path(), e));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Finished, SinkError> {
        let path = self.writer.inner().path().to_owned();
        let file = self.writer.into_inner().map_err(|e| failed(&path, e))?;
        let sealed = file.seal()?;
        check_footer(&sealed, self.rows)?;
        sealed.publish(self.rows)
    }
}

fn properties(spec: &TableSpec, compression: Compression) -> WriterProperties {
    let metadata = spec.metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
    let codec = match compression {
        Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
        Compression::Snappy => Codec::SNAPPY,
        Compression::None => Codec::UNCOMPRESSED,
    };
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("featureplane ", env!("CARGO_PKG_VERSION")).into())
        .set_key_value_metadata(Some(metadata))
        .set_compression(codec)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(GROUP_ROWS));
    for column in &spec.columns {
        let path = ColumnPath::new(vec![column.name.clone()]);
        builder = match column.kind {
            ColumnKind::Utf8Dict => builder.set_column_dictionary_enabled(path, true),
            ColumnKind::F64 => builder.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
            ColumnKind::I64 | ColumnKind::U64 | ColumnKind::U32 | ColumnKind::TimestampNs => {
                builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
        };
    }
    builder.build()
}

/// Reads the footer back: a file whose rows do not add up must not get its name.
fn check_footer(sealed: &SealedFile, rows: u64) -> Result<(), SinkError> {
    let path = sealed.path();
    let io = |source| SinkError::Io { path: path.into(), operation: "reading back", source };
    let file = sealed.open().map_err(io)?;
    let footer =
        ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|e| failed(path, e))?;
    let groups: i64 = footer.row_groups().iter().map(|g| g.num_rows()).sum();
    for count in [footer.file_metadata().num_rows(), groups] {
        let found = u64::try_from(count).unwrap_or(u64::MAX);
        if found != rows {
            return Err(SinkError::ReadBack { path: path.into(), expected: rows, found });
        }
    }
    Ok(())
}

fn failed(path: &Path, error: ParquetError) -> SinkError {
    // The encoder wraps what the file system said; it is the cause that a user can act on.
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => {
                SinkError::Io { path: path.into(), operation: "writing", source: *source }
            }
            Err(source) => {
                SinkError::Parquet { path: path.into(), source: ParquetError::External(source) }
            }
        },
        source => SinkError::Parquet { path: path.into(), source },
    }
}
