//! A sink that keeps its batches, for Python and for tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::error::SinkError;
use super::table::{TableSpec, check_columns};
use super::{Finished, TableSink};

/// Collects batches; read them through the handle, which outlives the sink.
///
/// ```
/// use market_io::sink::{ColumnKind, ColumnSpec, MemorySink, RowBatchBuilder, TableSink, TableSpec};
/// let spec = TableSpec::new([ColumnSpec::new("n", ColumnKind::I64)]);
/// let sink = MemorySink::new(&spec);
/// let batches = sink.batches();
/// let mut sink: Box<dyn TableSink> = Box::new(sink);
/// let mut rows = RowBatchBuilder::new(&spec, 8, &[]);
/// rows.push_row(&[7], &[1]);
/// sink.write(&rows.finish())?;
/// assert_eq!(sink.finish()?.rows, 1);
/// assert_eq!(batches.take()[0].num_rows(), 1);
/// # Ok::<(), market_io::sink::SinkError>(())
/// ```
#[derive(Debug)]
pub struct MemorySink {
    schema: SchemaRef,
    rows: u64,
    batches: MemoryBatches,
}

/// A handle to the batches of a [`MemorySink`].
#[derive(Debug, Clone, Default)]
pub struct MemoryBatches(Arc<Mutex<Vec<RecordBatch>>>);

impl MemoryBatches {
    /// Takes the batches collected so far.
    #[must_use]
    pub fn take(&self) -> Vec<RecordBatch> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RecordBatch>> {
        // A push cannot leave the vector half done, so a poisoned lock is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemorySink {
    /// An empty sink for a table.
    #[must_use]
    pub fn new(spec: &TableSpec) -> Self {
        Self { schema: spec.schema(), rows: 0, batches: MemoryBatches::default() }
    }

    /// The handle through which the batches are read.
    #[must_use]
    pub fn batches(&self) -> MemoryBatches {
        self.batches.clone()
    }
}

impl TableSink for MemorySink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        check_columns(Path::new(""), &self.schema, batch)?;
        self.rows += batch.num_rows() as u64;
        self.batches.lock().push(batch.clone());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Finished, SinkError> {
        Ok(Finished { path: PathBuf::new(), rows: self.rows, bytes: 0 })
    }
}
