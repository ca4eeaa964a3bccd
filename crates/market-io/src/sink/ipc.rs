//! Arrow IPC files.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, SchemaRef};

use super::atomic::AtomicFile;
use super::error::SinkError;
use super::table::{TableSpec, check_columns};
use super::{Finished, SinkOptions, TableSink};

pub(super) struct IpcSink {
    schema: SchemaRef,
    rows: u64,
    writer: FileWriter<AtomicFile>,
}

impl IpcSink {
    pub(super) fn create(
        path: &Path,
        spec: &TableSpec,
        options: &SinkOptions,
    ) -> Result<Self, SinkError> {
        let schema = spec.schema();
        let file = AtomicFile::create(path, options.existing)?;
        let writer = FileWriter::try_new(file, &schema).map_err(|e| failed(path, e))?;
        Ok(Self { schema, rows: 0, writer })
    }
}

impl TableSink for IpcSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let path = self.writer.get_ref().path();
        check_columns(path, &self.schema, batch)?;
        if let Err(e) = self.writer.write(batch) {
            return Err(failed(self.writer.get_ref().path(), e));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Finished, SinkError> {
        let path = self.writer.get_ref().path().to_owned();
        let rows = self.rows;
        let file = self.writer.into_inner().map_err(|e| failed(&path, e))?;
        let sealed = file.seal()?;
        let found = sealed
            .open()
            .and_then(|f| {
                arrow_ipc::reader::FileReader::try_new(f, None).map_err(std::io::Error::other)
            })
            .map(|reader| reader.num_batches());
        // The footer of an IPC file counts batches, not rows; opening it proves that it is whole.
        found.map_err(|source| SinkError::Io { path, operation: "reading back", source })?;
        sealed.publish(rows)
    }
}

fn failed(path: &Path, error: ArrowError) -> SinkError {
    match error {
        ArrowError::IoError(_, source) => {
            SinkError::Io { path: path.into(), operation: "writing", source }
        }
        source => SinkError::Arrow { path: path.into(), source },
    }
}
