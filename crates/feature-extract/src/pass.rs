//! One pass over the input: packets to rows, bars and snapshots.

use std::path::PathBuf;

use market_io::Source;
use market_model::Packet;

use crate::bar_tables::BarTables;
use crate::checkpoint::{CheckpointWriter, Counts};
use crate::error::Error;
use crate::job::{Destination, Job, Observer};
use crate::rows::RowMaker;
use crate::scores::ScoredRow;
use crate::summary::{Summary, quality_names};
use crate::writer::TableWriter;

/// Packets between two calls of the observer.
pub(crate) const OBSERVE_EVERY: u64 = 1_024;

/// Refused events that are reported in full.
const MAX_REPORTED: usize = 20;

/// Where the rows and bars of one pass go.
pub(crate) struct Tables {
    pub(crate) writer: TableWriter,
    pub(crate) scored: Option<ScoredRow>,
    pub(crate) bars: Option<BarTables>,
}

impl Tables {
    #[inline]
    fn row(&mut self, words: &[u64], valid: &[u64]) -> Result<(), Error> {
        match &mut self.scored {
            Some(scored) => {
                let (words, valid) = scored.extended(words, valid);
                self.writer.push(words, valid)
            }
            None => self.writer.push(words, valid),
        }
    }
}

/// One pass over the input.
pub(crate) struct Pass {
    pub(crate) counts: Counts,
    checkpoints: Option<CheckpointWriter>,
    refused: Vec<String>,
}

impl Pass {
    pub(crate) const fn new(counts: Counts, checkpoints: Option<CheckpointWriter>) -> Self {
        Self { counts, checkpoints, refused: Vec::new() }
    }

    pub(crate) fn read(
        &mut self,
        source: &mut dyn Source,
        rows: &mut RowMaker,
        tables: &mut Tables,
        to_ns: i64,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let symbol = source.instrument().symbol.clone();
        let mut packet = Packet::default();
        let mut failed = None;
        while source.next_packet(&mut packet)? {
            self.counts.add(&packet);
            let framed = rows.push(&packet, &mut |words, valid| {
                let written = tables.row(words, valid);
                failed = failed.take().or(written.err());
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if let Some(bars) = &mut tables.bars {
                bars.push(&packet, rows.engine(), framed)?;
            }
            if let Some(refusal) = rows.take_refusal() {
                self.counts.refused += 1;
                if self.refused.len() < MAX_REPORTED {
                    self.refused.push(format!("packet {}: {refusal}", self.counts.packets));
                }
            }
            if let Some(checkpoints) = &mut self.checkpoints {
                self.counts.chain(&packet);
                let bars = tables.bars.as_ref().map(|bars| &bars.maker);
                checkpoints.write_if_due(rows, bars, &self.counts, source)?;
            }
            if self.counts.packets.is_multiple_of(OBSERVE_EVERY) {
                let (read, total) = source.progress();
                if observer.progress(&symbol, read, total, rows.rows).is_break() {
                    return Err(Error::Interrupted);
                }
            }
            if rows.engine().t_eff_ns() >= to_ns {
                break; // The window clock never goes back: no later row can be in range.
            }
        }
        Ok(())
    }

    pub(crate) fn summary(self, job: &Job, source: &dyn Source, rows: &RowMaker) -> Summary {
        let stats = source.stats();
        let mut rejected: Vec<String> = stats.faults.iter().map(ToString::to_string).collect();
        rejected.extend(self.refused);
        let name = |path: &PathBuf| path.display().to_string();
        Summary {
            symbol: source.instrument().symbol.clone(),
            feature_set_id: job.set.id().into(),
            schema_hash: format!("{:016x}", job.set.schema_hash()),
            emission: job.emission.to_string(),
            inputs: job.open.inputs.iter().map(name).collect(),
            output: match &job.destination {
                Destination::File { path, .. } => Some(name(path)),
                Destination::Memory => None,
            },
            output_bytes: 0,
            rows: rows.rows,
            warm_start: None,
            snapshots: self.checkpoints.map_or(0, |checkpoints| checkpoints.written),
            bars: Vec::new(),
            frames: rows.frames,
            packets: self.counts.packets,
            events: self.counts.events,
            span_ns: self.counts.span_ns,
            quality: quality_names(&rows.quality_frames),
            packets_by_fate: rows
                .engine()
                .counters()
                .named()
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            rejected,
            rejected_count: stats.rejected + self.counts.refused,
            rounded: stats.rounded,
            ignored: stats.ignored.clone(),
            elapsed_s: 0.0,
            events_per_s: 0.0,
        }
    }
}
