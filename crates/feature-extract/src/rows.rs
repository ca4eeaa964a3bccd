//! From frames to rows: the emission, kept apart from files so that parity can drive it.

use feature_kernel::frame::bit;
use feature_runtime::SymbolEngine;
use market_model::{Packet, QualityFlags, StateReader, StateWriter};

use crate::bars::Framed;
use crate::emission::Emission;
use crate::error::Error;
use crate::summary::count_bits;
use crate::table::FIXED_COLUMNS;

/// Turns packets into rows of words, as [`market_io::sink::RowBatchBuilder`] takes them.
#[derive(Debug)]
pub struct RowMaker {
    engine: SymbolEngine,
    emission: Emission,
    /// Rows are handed out while the window clock is in `from_ns..to_ns`; state is built all the same.
    from_ns: i64,
    to_ns: i64,
    next_grid_ns: Option<i64>,
    /// The last grid point that was closed: none is closed twice, not even in a new session.
    last_grid_ns: i64,
    since_row: QualityFlags,
    last_ready: bool,
    words: Vec<u64>,
    valid: Vec<u64>,
    /// Frames made so far.
    pub frames: u64,
    /// Rows handed out so far.
    pub rows: u64,
    /// Frames that carried each quality bit.
    pub quality_frames: [u64; 32],
}

impl RowMaker {
    /// A row maker before its first packet, for rows with the window clock in `from_ns..to_ns`.
    #[must_use]
    pub fn new(engine: SymbolEngine, emission: Emission, from_ns: i64, to_ns: i64) -> Self {
        let columns = FIXED_COLUMNS + engine.feature_set().len();
        Self {
            engine,
            emission,
            from_ns,
            to_ns,
            next_grid_ns: None,
            last_grid_ns: i64::MIN,
            since_row: QualityFlags::empty(),
            last_ready: false,
            words: vec![0; columns],
            valid: vec![0; columns.div_ceil(64)],
            frames: 0,
            rows: 0,
            quality_frames: [0; 32],
        }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &SymbolEngine {
        &self.engine
    }

    /// Why the last refused packet was refused.
    pub fn take_refusal(&mut self) -> Option<feature_runtime::Error> {
        self.engine.take_refusal()
    }

    /// Takes one packet and hands its rows, values and validity, to `sink`; says whether there was a frame.
    #[inline]
    pub fn push(&mut self, packet: &Packet, sink: &mut impl FnMut(&[u64], &[u64])) -> Framed {
        let clock_ns = self.engine.clock_with_ns(packet);
        if let Some(step_ns) = self.emission.step_ns() {
            self.close_grid(clock_ns, step_ns, sink);
        }
        let epoch_before = self.engine.frame().map(|frame| frame.header().epoch);
        let is_first = epoch_before.is_none();
        let Some(frame) = self.engine.process(packet) else {
            // A reset, or a snapshot that begins a session without a frame: there is nothing to sample.
            if self.engine.frame().is_none() {
                self.next_grid_ns = None;
            }
            return Framed::No;
        };
        let header = frame.header();
        self.frames += 1;
        self.since_row |= header.quality;
        count_bits(&mut self.quality_frames, header.quality);
        let count = frame.feature_count();
        let ready = frame.warmup_ready_mask();
        self.last_ready = (0..count.div_ceil(64)).all(|word| {
            let want = if 64 * (word + 1) <= count { u64::MAX } else { (1 << (count % 64)) - 1 };
            ready[word] == want
        });
        let is_gap_frame = header.quality.contains(QualityFlags::GAP_DETECTED)
            && frame.valid_mask().iter().all(|word| *word == 0);
        let wanted = match self.emission {
            Emission::Packet => true,
            Emission::Trade | Emission::TradeOrStep { .. } => {
                !packet.trades.is_empty() && !is_gap_frame
            }
            Emission::Step { .. } => false,
        };
        if wanted && (self.from_ns..self.to_ns).contains(&clock_ns) {
            self.words[FIXED_COLUMNS..].copy_from_slice(frame.values());
            set_valid(&mut self.valid, frame.valid_mask(), header.local_ts_ns != 0);
            self.words[1] = header.source_ts_ns.cast_unsigned();
            self.words[2] = header.local_ts_ns.cast_unsigned();
            self.words[3] = header.seq;
            self.words[4] = header.epoch.into();
            self.words[5] = self.since_row.bits().into();
            self.words[6] = self.last_ready.into();
            self.rows += 1;
            sink(&self.words, &self.valid);
        }
        if wanted {
            self.since_row = QualityFlags::empty();
        }
        let new_epoch = epoch_before.is_some_and(|before| before != header.epoch);
        let t_eff_ns = self.engine.t_eff_ns();
        // While no time is known there is no grid: it would begin in 1970.
        if let Some(step_ns) = self.emission.step_ns()
            && t_eff_ns != 0
            && (is_first || new_epoch || self.next_grid_ns.is_none())
        {
            let next_ns = (t_eff_ns.div_euclid(step_ns) + 1) * step_ns;
            self.next_grid_ns = Some(next_ns.max(self.last_grid_ns.saturating_add(step_ns)));
        }
        Framed::Yes
    }

    /// Appends everything that a later row depends on.
    pub fn save(&self, out: &mut StateWriter) {
        out.blob(&self.engine.snapshot());
        out.opt_i64(self.next_grid_ns);
        out.i64(self.last_grid_ns);
        out.u64(self.since_row.bits().into());
        out.u64(self.last_ready.into());
        out.u64(self.frames);
        self.quality_frames.into_iter().for_each(|count| out.u64(count));
    }

    /// Continues from what [`RowMaker::save`] wrote of a maker of the same set and emission.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] for another set or instrument and for bytes that are no state; the maker is
    /// then of no use.
    pub fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), Error> {
        self.engine.restore(from.blob("engine")?)?;
        self.next_grid_ns = from.opt_i64()?;
        self.last_grid_ns = from.i64()?;
        let bits = from.u64()?;
        let known = u32::try_from(bits).map(QualityFlags::from_bits_retain);
        self.since_row = known.map_err(|_| from.invalid("quality since the last row", &bits))?;
        self.last_ready = from.bool("readiness of the last row")?;
        self.frames = from.u64()?;
        for count in &mut self.quality_frames {
            *count = from.u64()?;
        }
        Ok(())
    }

    /// Rows for the grid points up to `clock_ns` that have not been closed yet.
    fn close_grid(&mut self, clock_ns: i64, step_ns: i64, sink: &mut impl FnMut(&[u64], &[u64])) {
        while let Some(grid_ns) = self.next_grid_ns.filter(|grid_ns| *grid_ns <= clock_ns) {
            self.next_grid_ns = Some(grid_ns + step_ns);
            self.last_grid_ns = grid_ns;
            let Some(header) = self.engine.frame().map(|frame| frame.header()) else { return };
            let flags = header.quality | self.since_row;
            self.since_row = QualityFlags::empty();
            if !(self.from_ns..self.to_ns).contains(&grid_ns) {
                continue;
            }
            let Some(sample) = self.engine.sample(grid_ns) else { return };
            let saturated = sample.saturated;
            self.words[FIXED_COLUMNS..].copy_from_slice(&sample.values);
            set_valid(&mut self.valid, &sample.valid, false);
            self.words[1] = grid_ns.cast_unsigned();
            self.words[2] = 0;
            self.words[3] = header.seq;
            self.words[4] = header.epoch.into();
            self.words[5] = flags.bits().into();
            self.words[5] |= if saturated { QualityFlags::SATURATED.bits().into() } else { 0 };
            self.words[6] = self.last_ready.into();
            self.rows += 1;
            sink(&self.words, &self.valid);
        }
    }
}

/// Validity of a row: the fixed columns, then the features.
fn set_valid(valid: &mut [u64], features: &[u64], has_recv: bool) {
    valid.fill(0);
    valid[0] = ((1 << FIXED_COLUMNS) - 1) & !(u64::from(!has_recv) << 2);
    for (index, word) in features.iter().enumerate() {
        valid[index] |= word << FIXED_COLUMNS;
        let carried = word >> (64 - FIXED_COLUMNS);
        match valid.get_mut(index + 1) {
            Some(next) => *next |= carried,
            None => debug_assert_eq!(carried, 0, "Invariant: mask bits beyond the features are 0"),
        }
    }
    debug_assert!(bit(valid, 0), "Invariant: the symbol is always there");
}
