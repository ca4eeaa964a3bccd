//! Words of rows to one table, in a file or in memory.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use market_io::sink::{
    DEFAULT_BATCH_ROWS, MemoryBatches, MemorySink, RowBatchBuilder, SinkOptions, TableSink,
    TableSpec, in_background,
};

use crate::error::Error;

/// One table under way; dropping it leaves no file.
pub(crate) struct TableWriter {
    batch: RowBatchBuilder,
    sink: Box<dyn TableSink>,
    memory: Option<MemoryBatches>,
}

/// A table that is complete.
pub(crate) struct WrittenTable {
    pub(crate) schema: SchemaRef,
    /// Empty when the rows went to a file.
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rows: u64,
    /// Size of the file; 0 in memory.
    pub(crate) bytes: u64,
}

impl TableWriter {
    /// A table in a file, or in memory when there is none; `symbol` is the dictionary of its first column.
    pub(crate) fn create(
        file: Option<(&Path, &SinkOptions)>,
        spec: &TableSpec,
        symbol: &str,
    ) -> Result<Self, Error> {
        let batch = RowBatchBuilder::new(spec, DEFAULT_BATCH_ROWS, &[symbol]);
        Ok(match file {
            Some((path, options)) => {
                // Encoding costs as much as computing: it is done beside.
                let sink = in_background(market_io::sink::create(path, spec, options)?);
                Self { batch, sink, memory: None }
            }
            None => {
                let sink = MemorySink::new(spec);
                let memory = Some(sink.batches());
                Self { batch, sink: Box::new(sink), memory }
            }
        })
    }

    #[inline]
    pub(crate) fn push(&mut self, words: &[u64], valid: &[u64]) -> Result<(), Error> {
        self.batch.push_row(words, valid);
        if self.batch.is_full() {
            self.sink.write(&self.batch.finish())?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<WrittenTable, Error> {
        if !self.batch.is_empty() {
            self.sink.write(&self.batch.finish())?;
        }
        let finished = self.sink.finish()?;
        let batches = self.memory.map(|batches| batches.take()).unwrap_or_default();
        let schema = self.batch.schema().clone();
        Ok(WrittenTable { schema, batches, rows: finished.rows, bytes: finished.bytes })
    }
}
