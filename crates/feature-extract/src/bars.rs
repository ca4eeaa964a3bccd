//! Bars of event time, made in the same pass as rows (`specs/bars.md`).
//!
//! A bar is what the frames of the set `bars_v1` add up to between two grid points of UTC; the set runs
//! as the engine's second set, so a bar has no definitions of its own for spread, flow or return.

mod bar;
mod columns;
mod frame;
mod options;

use std::sync::Arc;

use feature_runtime::{FeatureSet, SymbolEngine, built_in_set};
use market_model::{Instrument, Packet, StateError, StateReader, StateWriter};

use bar::Bar;
pub use columns::bar_spec;
use frame::{BarFrame, Units};
pub use options::{BarOptions, EmptyBars, duration_label, parse_durations_ns};

use crate::error::Error;

/// The set whose frames are added up.
const SET: &str = "bars_v1";

/// The set that an engine must run as its second one for bars.
///
/// # Errors
///
/// [`Error::Engine`]; not for a build that passed its tests.
pub fn bar_set() -> Result<Arc<FeatureSet>, Error> {
    Ok(Arc::new(built_in_set(SET)?))
}

/// The bar under way of one duration.
#[derive(Debug)]
struct Series {
    duration_ns: i64,
    /// Start and content; `None` before the first frame.
    open: Option<(i64, Bar)>,
}

/// Turns frames into bars of one or several durations.
#[derive(Debug)]
pub struct BarMaker {
    units: Units,
    empty: EmptyBars,
    /// Bars are handed out when they lie in `from_ns..to_ns`.
    from_ns: i64,
    to_ns: i64,
    /// The window clock since which the book has been known without a break.
    covered_from_ns: Option<i64>,
    series: Vec<Series>,
    words: [u64; columns::COUNT],
}

impl BarMaker {
    /// A maker before its first packet, for bars that lie in `from_ns..to_ns`.
    #[must_use]
    pub fn new(options: &BarOptions, instrument: &Instrument, from_ns: i64, to_ns: i64) -> Self {
        let series = |&duration_ns: &i64| Series { duration_ns, open: None };
        Self {
            units: Units::from(instrument),
            empty: options.empty,
            from_ns,
            to_ns,
            covered_from_ns: None,
            series: options.durations_ns.iter().map(series).collect(),
            words: [0; columns::COUNT],
        }
    }

    /// Takes a packet that the engine has just processed, and whether it gave a frame; closed bars go
    /// to `sink` with the number of their duration, as words and validity.
    ///
    /// The engine runs [`bar_set`] as its second set.
    #[inline]
    pub fn push(
        &mut self,
        packet: &Packet,
        engine: &SymbolEngine,
        outcome: Framed,
        sink: &mut impl FnMut(usize, &[u64], &[u64]),
    ) {
        let now_ns = engine.t_eff_ns();
        self.close(now_ns, sink);
        let frame = engine.companion_frame();
        // While no time is known there is no bar: it would begin in 1970.
        if let (Framed::Yes, Some(frame)) = (outcome, frame)
            && now_ns != 0
        {
            let seen = BarFrame::read(frame, &packet.trades, self.units);
            for series in &mut self.series {
                let start_ns = now_ns.div_euclid(series.duration_ns) * series.duration_ns;
                series.open.get_or_insert_with(|| (start_ns, Bar::default())).1.add(&seen);
            }
        }
        if engine.is_awaiting_snapshot() || frame.is_none() {
            self.covered_from_ns = None;
        } else if self.covered_from_ns.is_none() && now_ns != 0 {
            self.covered_from_ns = Some(now_ns);
        }
    }

    /// Closes the bars that end at `now_ns` or before: a packet is never in a bar that it ends.
    fn close(&mut self, now_ns: i64, sink: &mut impl FnMut(usize, &[u64], &[u64])) {
        for index in 0..self.series.len() {
            let duration_ns = self.series[index].duration_ns;
            while let Some((start_ns, bar)) = self.series[index].open
                && start_ns + duration_ns <= now_ns
            {
                let covered = self.covered_from_ns.is_some_and(|from_ns| from_ns <= start_ns);
                self.write(index, start_ns, &bar, covered && bar.is_unbroken(), sink);
                let next_ns = match self.empty {
                    EmptyBars::Write => start_ns + duration_ns,
                    EmptyBars::Skip => now_ns.div_euclid(duration_ns) * duration_ns,
                };
                self.series[index].open = Some((next_ns, bar.next()));
            }
        }
    }

    /// Hands out the bars under way, which no packet has ended, at the end of the input.
    pub fn flush(&mut self, sink: &mut impl FnMut(usize, &[u64], &[u64])) {
        for index in 0..self.series.len() {
            if let Some((start_ns, bar)) = self.series[index].open.take()
                && !bar.is_empty()
            {
                self.write(index, start_ns, &bar, false, sink);
            }
        }
    }

    fn write(
        &mut self,
        index: usize,
        start_ns: i64,
        bar: &Bar,
        complete: bool,
        sink: &mut impl FnMut(usize, &[u64], &[u64]),
    ) {
        let duration_ns = self.series[index].duration_ns;
        let inside = self.from_ns <= start_ns && start_ns.saturating_add(duration_ns) <= self.to_ns;
        if !inside || (bar.is_empty() && self.empty == EmptyBars::Skip) {
            return;
        }
        self.words[1] = start_ns.cast_unsigned();
        self.words[2] = duration_ns.cast_unsigned();
        self.words[3] = complete.into();
        let valid = bar.write(self.units, &mut self.words);
        sink(index, &self.words, &[valid]);
    }

    /// Appends everything that a later bar depends on.
    pub fn save(&self, out: &mut StateWriter) {
        out.opt_i64(self.covered_from_ns);
        for Series { duration_ns, open } in &self.series {
            out.i64(*duration_ns);
            out.opt_i64(open.map(|(start_ns, _)| start_ns));
            if let Some((_, bar)) = open {
                bar.save(out);
            }
        }
    }

    /// Continues from what [`BarMaker::save`] wrote of a maker of the same durations.
    ///
    /// # Errors
    ///
    /// [`StateError`] for other durations and for bytes that are no state; the maker is then of no use.
    pub fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.covered_from_ns = from.opt_i64()?;
        for series in &mut self.series {
            let duration_ns = from.i64()?;
            if duration_ns != series.duration_ns {
                return Err(from.invalid("bar duration", &duration_ns));
            }
            series.open = match from.opt_i64()? {
                None => None,
                Some(start_ns) => Some((start_ns, Bar::load(from)?)),
            };
        }
        Ok(())
    }
}

/// Whether a packet gave a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed {
    /// A frame was made.
    Yes,
    /// The packet was dropped, or there is no book yet.
    No,
}
