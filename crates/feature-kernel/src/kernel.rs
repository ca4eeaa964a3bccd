//! One kernel: the families of a set over one symbol, writing one frame in place.

use market_model::{BookView, QualityFlags, Side, StateError, StateReader, StateWriter, Trade};

use crate::context::{Context, PacketStamp, Quotes, TopSums, Units};
use crate::frame::{FrameBuf, FrameHeader, FrameRef};
use crate::meta::{Behaviour, Reads};
use crate::plan::{Derived, Plan};
use crate::set::FeatureSet;
use crate::slots::{Mask, Slots};

/// What the owner of the book says about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelStep<'a> {
    /// Header of the frame; the kernel fills in the frame number.
    pub header: FrameHeader,
    /// Stamps as the feed gave them.
    pub stamp: PacketStamp,
    /// Trades of the packet in its order.
    pub trades: &'a [Trade],
    /// The window clock, UTC ns.
    pub now_ns: i64,
    /// The packet had book content.
    pub book_step: bool,
    /// Updates are missing before this packet.
    pub gap_step: bool,
    /// The book is crossed or one-sided.
    pub frozen: bool,
}

/// When a feature becomes ready.
#[derive(Debug, Clone, Copy)]
struct Warmup {
    clock: bool,
    /// Its steps are not those of book packets or frames.
    own: bool,
    window: bool,
    min_events: u64,
    min_ns: i64,
}

/// The families of a set over one symbol.
#[derive(Debug, Clone)]
pub struct Kernel {
    units: Units,
    plan: Plan,
    sums: TopSums,
    changed: Mask,
    valid: Mask,
    /// Version of the best levels from which `plan.of_top` was computed.
    top_version: Option<u64>,
    /// `plan.of_book` was computed from the current book.
    book_is_filled: bool,
    warmups: Vec<Warmup>,
    /// Features that are not known to be ready; a gap or a reset puts all of them back.
    cold: Vec<usize>,
    /// None of them becomes ready before this time, UTC ns.
    cold_until_ns: i64,
    all_slots: Vec<u64>,
    own_steps: Vec<u64>,
    /// Slots of windows of a number of steps, which start anew at a gap.
    anew: Vec<usize>,
    /// Slots that took a step of their own in the last packet.
    stepped: Vec<u64>,
    frame: FrameBuf,
    sample: Sample,
    /// Frames since the reset.
    frames: u64,
    book_steps: u64,
    first_ns: i64,
    last_book_ns: i64,
    gap_ns: Option<i64>,
    /// A gap fell on a frozen book: the next two-sided book packet is the gap step.
    gap_waits: bool,
    last_frozen: bool,
}

/// Values of a row between packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Value words.
    pub values: Vec<u64>,
    /// Valid bits.
    pub valid: Vec<u64>,
    /// A value was clamped.
    pub saturated: bool,
}

impl Kernel {
    /// A kernel before its first packet.
    #[must_use]
    pub fn new(set: &FeatureSet, units: Units, symbol_id: u32) -> Self {
        let n = set.len();
        let warmups = set.features().iter().map(|f| Warmup {
            clock: f.reads == Reads::Clock,
            own: f.column.counts_own_steps(),
            window: f.column.behaviour == Behaviour::Window,
            min_events: f.warmup_min_events.into(),
            min_ns: f.warmup_min_ns,
        });
        let mut all_slots = vec![u64::MAX; n.div_ceil(64)];
        if let (Some(last), true) = (all_slots.last_mut(), !n.is_multiple_of(64)) {
            *last = (1 << (n % 64)) - 1;
        }
        let words = all_slots.len();
        Self {
            units,
            plan: Plan::new(set, units),
            sums: TopSums::new(set.book_needs().top_count),
            changed: Mask::default(),
            valid: Mask::default(),
            top_version: None,
            book_is_filled: false,
            warmups: warmups.collect(),
            all_slots,
            own_steps: vec![0; n],
            anew: (0..n).filter(|slot| set.features()[*slot].is_count()).collect(),
            stepped: vec![0; words],
            frame: FrameBuf::new(set.schema_hash(), symbol_id, n),
            sample: Sample { values: vec![0; n], valid: vec![0; words], saturated: false },
            frames: 0,
            book_steps: 0,
            first_ns: 0,
            last_book_ns: 0,
            gap_ns: None,
            gap_waits: false,
            cold: (0..n).collect(),
            cold_until_ns: i64::MIN,
            last_frozen: true,
        }
    }

    /// Frames since the reset; 0 until the first two-sided book.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The last frame.
    #[inline]
    #[must_use]
    pub fn frame(&self) -> FrameRef<'_> {
        self.frame.as_ref()
    }

    /// Counts a packet; whether updates are missing before it.
    #[inline]
    fn count(&mut self, step: &KernelStep<'_>) -> bool {
        if self.frames == 0 {
            self.first_ns = step.now_ns;
        }
        self.frames += 1;
        if step.book_step {
            self.last_book_ns = step.now_ns;
            self.book_steps += u64::from(!step.frozen);
        }
        self.last_frozen = step.frozen;
        let flows = step.book_step && !step.frozen;
        let gap_step = step.gap_step || (flows && self.gap_waits);
        if gap_step {
            self.gap_ns = Some(step.now_ns);
            self.cool();
            self.gap_waits = step.frozen;
            self.anew.iter().for_each(|slot| self.own_steps[*slot] = 0);
        }
        gap_step
    }

    /// Computes the frame of one packet.
    #[inline]
    pub fn step<B: BookView>(&mut self, book: &B, step: &KernelStep<'_>) -> FrameRef<'_> {
        let gap_step = self.count(step);
        self.book_is_filled &= !step.book_step;
        let version = book.top_version();
        let top_is_filled = version.is_some() && version == self.top_version;
        if !step.frozen && !top_is_filled {
            self.sums.fill(book);
        }
        let context = Context {
            book,
            sums: &self.sums,
            units: self.units,
            quotes: if step.frozen { Quotes::default() } else { quotes(book, self.units) },
            now_ns: step.now_ns,
            last_book_ns: self.last_book_ns,
            stamp: Some(step.stamp),
            trades: step.trades,
            book_step: step.book_step,
            gap_step,
            frozen: step.frozen,
        };
        let [changed, ready, valid, values] = self.frame.parts_mut();
        let words = changed.len();
        for mask in [&mut self.changed[..words], &mut self.valid[..words], &mut self.stepped] {
            mask.fill(0);
        }
        let mut slots = Slots {
            values,
            changed: &mut self.changed,
            valid: &mut self.valid,
            own_steps: &mut self.own_steps,
            stepped: &mut self.stepped,
            saturated: false,
        };
        if !step.frozen {
            derive(&mut self.plan.of_top, top_is_filled, &context, &mut slots);
            derive(&mut self.plan.of_book, self.book_is_filled, &context, &mut slots);
            (self.top_version, self.book_is_filled) = (version, true);
        }
        for (family, on_frozen) in &mut self.plan.of_packet {
            if !step.frozen || *on_frozen {
                family.step(&context, &mut slots);
            }
        }
        let saturated = slots.saturated;
        changed.copy_from_slice(if self.frames == 1 {
            &self.all_slots
        } else {
            &self.changed[..words]
        });
        valid.copy_from_slice(&self.valid[..words]);
        let may_warm = step.now_ns >= self.cold_until_ns
            || ready.iter().zip(&self.stepped).any(|(ready, stepped)| stepped & !ready != 0);
        if !self.cold.is_empty() && may_warm {
            let progress = Progress {
                frames: self.frames,
                book_steps: self.book_steps,
                own_steps: &self.own_steps,
                first_ns: self.first_ns,
                gap_ns: self.gap_ns,
            };
            self.cold_until_ns = warm(&self.warmups, &mut self.cold, ready, &progress, step.now_ns);
        }
        let mut header = FrameHeader { seq: self.frames, ..step.header };
        header.quality.set(QualityFlags::SATURATED, saturated);
        self.frame.set_header(&header);
        self.frame.as_ref()
    }

    /// A frame that says the book was lost: last values, nothing valid, nothing changed.
    pub fn lose_book(&mut self, header: FrameHeader) -> FrameRef<'_> {
        self.frames += 1;
        self.last_frozen = true;
        let [changed, _, valid, _] = self.frame.parts_mut();
        changed.fill(0);
        valid.fill(0);
        self.frame.set_header(&FrameHeader { seq: self.frames, ..header });
        self.frame.as_ref()
    }

    /// Values at a time between packets: windows and clocks are evaluated at `now_ns`.
    ///
    /// Nothing that a later packet sees changes: a window that evicts early would evict the same
    /// flows at that packet.
    pub fn sample<B: BookView>(&mut self, book: &B, now_ns: i64) -> &Sample {
        let frozen = self.last_frozen;
        if !frozen && self.top_version.is_none() {
            self.sums.fill(book);
        }
        let context = Context {
            book,
            sums: &self.sums,
            units: self.units,
            quotes: if frozen { Quotes::default() } else { quotes(book, self.units) },
            now_ns,
            last_book_ns: self.last_book_ns,
            stamp: None,
            trades: &[],
            book_step: false,
            gap_step: false,
            frozen,
        };
        self.sample.values.copy_from_slice(self.frame.as_ref().values());
        self.valid.fill(0);
        let mut slots = Slots {
            values: &mut self.sample.values,
            changed: &mut self.changed,
            valid: &mut self.valid,
            own_steps: &mut self.own_steps,
            stepped: &mut self.stepped,
            saturated: false,
        };
        if !frozen {
            // Nothing but packets changes the book; only a restored kernel has to compute.
            derive(&mut self.plan.of_top, self.top_version.is_some(), &context, &mut slots);
            derive(&mut self.plan.of_book, self.book_is_filled, &context, &mut slots);
        }
        for (family, on_frozen) in &mut self.plan.of_packet {
            if !frozen || *on_frozen {
                family.fill(&context, &mut slots);
            }
        }
        self.sample.saturated = slots.saturated;
        // What was not defined in the last frame is not defined after it either.
        let valid = self.frame.as_ref().valid_mask().iter().zip(&self.valid);
        self.sample.valid.iter_mut().zip(valid).for_each(|(word, (a, b))| *word = a & b);
        &self.sample
    }

    /// Forgets everything, as on a session reset.
    pub fn reset(&mut self) {
        self.plan.of_packet.iter_mut().for_each(|(family, _)| family.reset());
        (self.top_version, self.book_is_filled) = (None, false);
        let [changed, ready, valid, values] = self.frame.parts_mut();
        for words in [changed, ready, valid, values] {
            words.fill(0);
        }
        self.own_steps.fill(0);
        (self.frames, self.book_steps, self.first_ns, self.last_book_ns) = (0, 0, 0, 0);
        (self.gap_ns, self.gap_waits) = (None, false);
        self.last_frozen = true;
        self.cool();
    }

    /// No feature counts as ready any more.
    fn cool(&mut self) {
        self.cold.clear();
        self.cold.extend(0..self.warmups.len());
        self.cold_until_ns = i64::MIN;
    }

    /// Appends the whole state.
    pub fn save(&self, out: &mut StateWriter) {
        out.u64(self.frames);
        out.u64(self.book_steps);
        out.i64(self.first_ns);
        out.i64(self.last_book_ns);
        self.own_steps.iter().for_each(|steps| out.u64(*steps));
        out.opt_i64(self.gap_ns);
        out.u64(self.gap_waits.into());
        out.u64(self.last_frozen.into());
        let bytes = self.frame.as_bytes();
        bytes
            .chunks_exact(8)
            .for_each(|c| out.u64(u64::from_le_bytes(c.try_into().unwrap_or_default())));
        self.plan.of_packet.iter().for_each(|(family, _)| family.save(out));
    }

    /// Replaces the whole state by one that [`Kernel::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`] when the bytes are not such a state; the kernel must then be discarded.
    pub fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.reset();
        (self.frames, self.book_steps) = (from.u64()?, from.u64()?);
        (self.first_ns, self.last_book_ns) = (from.i64()?, from.i64()?);
        for steps in &mut self.own_steps {
            *steps = from.u64()?;
        }
        self.gap_ns = from.opt_i64()?;
        self.gap_waits = from.bool("gap_waits")?;
        self.last_frozen = from.bool("last_frozen")?;
        let fixed = self.frame.as_ref().fixed_words();
        let words = self.frame.words_mut();
        for (index, word) in words.iter_mut().enumerate() {
            *word = from.u64()?;
            if fixed.get(index).is_some_and(|want| want != word) {
                return Err(from.invalid("frame header", &format!("{word:#x}")));
            }
        }
        for (family, _) in &mut self.plan.of_packet {
            family.load(from)?;
        }
        Ok(())
    }
}

/// Computes columns that follow from the book, or keeps them when nothing changed.
#[inline]
fn derive<B: BookView>(
    derived: &mut Derived,
    is_filled: bool,
    context: &Context<'_, B>,
    slots: &mut Slots<'_>,
) {
    if is_filled {
        slots.reuse(&derived.valid, derived.saturated);
        return;
    }
    let saturated_before = core::mem::take(&mut slots.saturated);
    for family in &mut derived.families {
        family.fill(context, slots);
    }
    // Bits of the groups before are kept as well: they are valid whenever these are.
    derived.valid.copy_from_slice(slots.valid);
    derived.saturated = slots.saturated;
    slots.saturated |= saturated_before;
}

#[inline]
fn quotes<B: BookView>(book: &B, units: Units) -> Quotes {
    let (bid, ask) = match (book.best(Side::Bid), book.best(Side::Ask)) {
        (Some(bid), Some(ask)) => (bid, ask),
        _ => return Quotes::default(),
    };
    Quotes {
        bid: bid.price_ticks * units.tick_scaled,
        ask: ask.price_ticks * units.tick_scaled,
        bid_qty: bid.qty_lots * units.lot_scaled,
        ask_qty: ask.qty_lots * units.lot_scaled,
    }
}

/// How far a symbol has come since its reset.
struct Progress<'a> {
    frames: u64,
    book_steps: u64,
    own_steps: &'a [u64],
    first_ns: i64,
    gap_ns: Option<i64>,
}

/// Updates the ready bits of cold features and drops those that are ready: they stay so until a gap.
/// Says before which time, UTC ns, there is no use in asking again unless a column took a step of its own.
#[cold]
fn warm(
    warmups: &[Warmup],
    cold: &mut Vec<usize>,
    ready: &mut [u64],
    progress: &Progress<'_>,
    now_ns: i64,
) -> i64 {
    let mut until_ns = i64::MAX;
    cold.retain(|&index| {
        let warmup = &warmups[index];
        let mask = 1_u64 << (index % 64);
        let steps = match (warmup.own, warmup.clock) {
            (true, _) => progress.own_steps[index],
            (false, true) => progress.frames,
            (false, false) => progress.book_steps,
        };
        let gap_ns = progress.gap_ns.filter(|_| warmup.window);
        let since_ns = gap_ns.map_or(progress.first_ns, |gap_ns| gap_ns.max(progress.first_ns));
        let from_ns = since_ns.saturating_add(warmup.min_ns);
        let is_ready = steps >= warmup.min_events && now_ns >= from_ns;
        ready[index / 64] = (ready[index / 64] & !mask) | if is_ready { mask } else { 0 };
        let awaits_own_step = warmup.own && steps < warmup.min_events;
        if !is_ready && !awaits_own_step {
            until_ns = until_ns.min(from_ns);
        }
        !is_ready
    });
    until_ns
}
