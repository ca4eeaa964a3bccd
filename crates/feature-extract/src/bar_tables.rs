//! The bars of a job: one table for each duration.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use feature_runtime::SymbolEngine;
use market_io::sink::SinkOptions;
use market_model::{Instrument, Packet};
use serde::Serialize;

use crate::bars::{BarMaker, BarOptions, Framed, bar_spec, duration_label};
use crate::error::Error;
use crate::writer::TableWriter;

/// The bars of one duration.
#[derive(Debug)]
pub struct BarOutput {
    /// What was written.
    pub summary: BarSummary,
    /// Schema of the bars.
    pub schema: SchemaRef,
    /// Bars, when they were kept in memory.
    pub batches: Vec<RecordBatch>,
}

/// Bars of one duration, for people and for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BarSummary {
    /// Duration, such as `60s`.
    pub duration: String,
    /// Bars written.
    pub bars: u64,
    /// Output file; absent when the bars were kept in memory.
    pub output: Option<String>,
    /// Size of the output file.
    pub output_bytes: u64,
}

/// Bars under way, with their tables.
pub(crate) struct BarTables {
    pub(crate) maker: BarMaker,
    tables: Vec<BarTable>,
}

struct BarTable {
    duration_ns: i64,
    path: Option<PathBuf>,
    writer: TableWriter,
}

impl BarTables {
    /// Tables beside the rows of a job; `rows` is where those go, in memory when absent, and
    /// `metadata` what the tables of the job have in common.
    pub(crate) fn create(
        options: &BarOptions,
        rows: Option<(&Path, &SinkOptions)>,
        instrument: &Instrument,
        metadata: &[(String, String)],
        [from_ns, to_ns]: [i64; 2],
    ) -> Result<Self, Error> {
        let maker = BarMaker::new(options, instrument, from_ns, to_ns);
        let mut tables = Vec::new();
        for &duration_ns in &options.durations_ns {
            let file = rows.map(|(rows, sink)| (options.path_of(rows, duration_ns), sink));
            let mut spec = bar_spec(duration_ns, instrument)?;
            spec.metadata.extend(metadata.iter().cloned());
            let at = file.as_ref().map(|(path, sink)| (path.as_path(), *sink));
            let writer = TableWriter::create(at, &spec, &instrument.symbol)?;
            tables.push(BarTable { duration_ns, path: file.map(|(path, _)| path), writer });
        }
        Ok(Self { maker, tables })
    }

    #[inline]
    pub(crate) fn push(
        &mut self,
        packet: &Packet,
        engine: &SymbolEngine,
        framed: Framed,
    ) -> Result<(), Error> {
        let (tables, mut failed) = (&mut self.tables, None);
        self.maker.push(packet, engine, framed, &mut |index, words, valid| {
            let written = tables[index].writer.push(words, valid);
            failed = failed.take().or(written.err());
        });
        failed.map_or(Ok(()), Err)
    }

    /// Writes the bars under way and completes the tables.
    pub(crate) fn finish(mut self) -> Result<Vec<BarOutput>, Error> {
        let (tables, mut failed) = (&mut self.tables, None);
        self.maker.flush(&mut |index, words, valid| {
            let written = tables[index].writer.push(words, valid);
            failed = failed.take().or(written.err());
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let output = |table: BarTable| {
            let written = table.writer.finish()?;
            let summary = BarSummary {
                duration: duration_label(table.duration_ns),
                bars: written.rows,
                output: table.path.map(|path| path.display().to_string()),
                output_bytes: written.bytes,
            };
            Ok(BarOutput { summary, schema: written.schema, batches: written.batches })
        };
        self.tables.into_iter().map(output).collect()
    }
}
