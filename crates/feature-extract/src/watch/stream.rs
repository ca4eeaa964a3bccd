//! One symbol of a watch: lines to packets to rows and bars to parts.

use std::path::Path;

use feature_runtime::SymbolEngine;
use market_io::Location;
use market_io::ccxt::{LineReader, Nonces};
use market_model::{Instrument, Packet, StateReader, StateWriter};

use super::config::Plan;
use super::parts::{Parts, partition};
use crate::bars::{BarMaker, bar_set, bar_spec, duration_label};
use crate::error::Error;
use crate::rows::RowMaker;
use crate::table::table_spec;

/// Everything of one symbol.
pub(super) struct Stream {
    reader: LineReader,
    rows: RowMaker,
    bars: BarMaker,
    row_parts: Parts,
    bar_parts: Vec<Parts>,
    packets: u64,
    /// Packets of refused lines, and packets that the book refused.
    rejected: u64,
    packet: Packet,
}

impl Stream {
    pub(super) fn new(
        plan: &Plan,
        (instrument, nonces): &(Instrument, Nonces),
        out: &Path,
    ) -> Result<Self, Error> {
        let reader = LineReader::new(instrument.clone(), *nonces);
        let instrument = reader.instrument().clone();
        let below = |table: &str| {
            let exchange = partition("exchange", &instrument.venue);
            out.join(table).join(exchange).join(partition("symbol", &instrument.symbol))
        };
        let parts = |folder: &str, prefix: &str, spec| {
            let (folder, symbol) = (below(folder), &instrument.symbol);
            Parts::new(&folder, prefix, spec, symbol, plan.part_ns, plan.compression)
        };
        let mut spec = table_spec(&plan.set, &instrument);
        spec.metadata.insert("featureplane.emission".into(), plan.emission.to_string());
        let row_parts = parts("hf", "", spec);
        let bar_parts = plan.bars.durations_ns.iter().map(|&duration_ns| {
            let prefix = format!("{}-", duration_label(duration_ns));
            Ok(parts("bars", &prefix, bar_spec(duration_ns, &instrument)?))
        });
        let bar_parts = bar_parts.collect::<Result<_, Error>>()?;
        let engine = SymbolEngine::with_companion(plan.set.clone(), bar_set()?, instrument.clone());
        Ok(Self {
            rows: RowMaker::new(engine, plan.emission, i64::MIN, i64::MAX),
            bars: BarMaker::new(&plan.bars, &instrument, i64::MIN, i64::MAX),
            reader,
            row_parts,
            bar_parts,
            packets: 0,
            rejected: 0,
            packet: Packet::default(),
        })
    }

    /// Exchange and symbol.
    pub(super) fn key(&self) -> (String, String) {
        let instrument = self.reader.instrument();
        (instrument.venue.clone(), instrument.symbol.clone())
    }

    /// Packets, and those that were refused.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.packets, self.rejected)
    }

    /// Parts written by this run.
    pub(super) fn parts(&self) -> u64 {
        self.row_parts.written + self.bar_parts.iter().map(|parts| parts.written).sum::<u64>()
    }

    /// Takes a line of this symbol, or one that nobody can read.
    pub(super) fn read(
        &mut self,
        line: Option<&[u8]>,
        place: &dyn Fn() -> Location,
    ) -> Result<(), Error> {
        let rejected = self.reader.stats().rejected;
        if !self.reader.read(line, place, &mut self.packet) {
            return Ok(());
        }
        self.packets += 1;
        self.rejected += self.reader.stats().rejected - rejected;
        let (parts, mut failed) = (&mut self.row_parts, None);
        let framed = self.rows.push(&self.packet, &mut |words, valid| {
            failed = failed.take().or(parts.push(words, valid).err());
        });
        let parts = &mut self.bar_parts;
        self.bars.push(&self.packet, self.rows.engine(), framed, &mut |index, words, valid| {
            failed = failed.take().or(parts[index].push(words, valid).err());
        });
        self.rejected += u64::from(self.rows.take_refusal().is_some());
        failed.map_or(Ok(()), Err)
    }

    /// The input is over: the bars and parts under way are written.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let (parts, mut failed) = (&mut self.bar_parts, None);
        self.bars.flush(&mut |index, words, valid| {
            failed = failed.take().or(parts[index].push(words, valid).err());
        });
        if let Some(error) = failed {
            return Err(error);
        }
        self.row_parts.write()?;
        self.bar_parts.iter_mut().try_for_each(Parts::write)
    }

    pub(super) fn save(&self, out: &mut StateWriter) {
        self.reader.save(out);
        self.rows.save(out);
        self.bars.save(out);
        self.row_parts.save(out);
        self.bar_parts.iter().for_each(|parts| parts.save(out));
        out.u64(self.packets);
        out.u64(self.rejected);
    }

    pub(super) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), Error> {
        self.reader.load(from)?;
        self.rows.load(from)?;
        self.bars.load(from)?;
        self.row_parts.load(from)?;
        self.bar_parts.iter_mut().try_for_each(|parts| parts.load(from))?;
        (self.packets, self.rejected) = (from.u64()?, from.u64()?);
        Ok(())
    }
}
