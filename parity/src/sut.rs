//! Systems under test that run in this process.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use feature_extract::{Emission, FIXED_COLUMNS, RowMaker, table_spec};
use feature_kernel::frame::{FrameHeader, frame_bytes};
use feature_kernel::meta::Dtype;
use feature_runtime::SymbolEngine;
use market_io::sink::RowBatchBuilder;
use market_model::QualityFlags;

use crate::error::Error;
use crate::naive::{Defect, Naive};
use crate::tape::Tape;

/// What of a frame a path can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Every byte.
    Frame,
    /// What a row of a table has: no changed and ready masks, no words where nothing is valid.
    Row,
}

/// Anything that turns packets into frames.
pub trait Sut {
    /// Name in reports.
    fn name(&self) -> &'static str;

    /// What of a frame this path can show.
    fn coverage(&self) -> Coverage {
        Coverage::Frame
    }

    /// Runs a whole tape; frames one after the other.
    ///
    /// # Errors
    ///
    /// [`Error`] when the path cannot be run at all.
    fn run(&mut self, tape: &Tape) -> Result<Vec<u8>, Error>;
}

/// The engine that every frontend drives: the baseline.
#[derive(Debug, Default)]
pub struct Runtime;

impl Sut for Runtime {
    fn name(&self) -> &'static str {
        "runtime"
    }

    fn run(&mut self, tape: &Tape) -> Result<Vec<u8>, Error> {
        let mut engine = SymbolEngine::new(tape.set.clone(), tape.instrument.clone());
        let mut frames = Vec::new();
        for packet in &tape.packets {
            if let Some(frame) = engine.process(packet) {
                frames.extend_from_slice(frame.as_bytes());
            }
        }
        Ok(frames)
    }
}

/// The naive twin (`kernel` in reports): second book, second rules, second formulas.
#[derive(Debug, Default)]
pub struct NaiveTwin {
    /// A planted defect, to check that the gate sees it.
    pub defect: Option<Defect>,
}

impl Sut for NaiveTwin {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn run(&mut self, tape: &Tape) -> Result<Vec<u8>, Error> {
        let mut naive = Naive::new(&tape.set, &tape.instrument);
        if let Some(defect) = self.defect {
            naive = naive.with_defect(defect);
        }
        let mut frames = Vec::new();
        for packet in &tape.packets {
            naive.push(packet, &mut frames);
        }
        Ok(frames)
    }
}

/// The batch job with emission `packet`, through Arrow batches.
#[derive(Debug, Default)]
pub struct Batch;

impl Sut for Batch {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn coverage(&self) -> Coverage {
        Coverage::Row
    }

    fn run(&mut self, tape: &Tape) -> Result<Vec<u8>, Error> {
        let engine = SymbolEngine::new(tape.set.clone(), tape.instrument.clone());
        let spec = table_spec(&tape.set, &tape.instrument);
        let mut batch = RowBatchBuilder::new(&spec, 4_096, &[&tape.instrument.symbol]);
        let mut rows = RowMaker::new(engine, Emission::Packet, i64::MIN, i64::MAX);
        let mut frames = Vec::new();
        for packet in &tape.packets {
            rows.push(packet, &mut |words, valid| batch.push_row(words, valid));
            if batch.is_full() {
                append_rows(tape, &batch.finish(), &mut frames);
            }
        }
        append_rows(tape, &batch.finish(), &mut frames);
        Ok(frames)
    }
}

/// Rows of a table back into frames, as far as rows go.
fn append_rows(tape: &Tape, batch: &RecordBatch, frames: &mut Vec<u8>) {
    let time = |index: usize| batch.column(index).as_primitive::<TimestampNanosecondType>();
    let small = |index: usize| batch.column(index).as_primitive::<UInt32Type>();
    let n = tape.set.len();
    let mask_words = n.div_ceil(64);
    for row in 0..batch.num_rows() {
        let header = FrameHeader {
            seq: batch.column(3).as_primitive::<UInt64Type>().value(row),
            source_seq: 0,
            source_ts_ns: time(1).value(row),
            local_ts_ns: if time(2).is_valid(row) { time(2).value(row) } else { 0 },
            epoch: small(4).value(row),
            quality: QualityFlags::from_bits_retain(small(5).value(row)),
        };
        let mut frame =
            feature_kernel::FrameBuf::new(tape.set.schema_hash(), tape.instrument.symbol_id, n);
        frame.set_header(&header);
        let mut bytes = frame.as_bytes().to_vec();
        let valid_at = frame_bytes(n) - 8 * n - 8 * mask_words;
        for (index, feature) in tape.set.features().iter().enumerate() {
            let column = batch.column(FIXED_COLUMNS + index);
            if column.is_null(row) {
                continue;
            }
            let word = match feature.column.dtype {
                Dtype::I64 => column.as_primitive::<Int64Type>().value(row).cast_unsigned(),
                Dtype::F64 => column.as_primitive::<Float64Type>().value(row).to_bits(),
                Dtype::U32 => column.as_primitive::<UInt32Type>().value(row).into(),
            };
            bytes[valid_at + index / 8] |= 1 << (index % 8);
            let at = frame_bytes(n) - 8 * (n - index);
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        frames.extend_from_slice(&bytes);
    }
}
