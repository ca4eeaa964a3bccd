//! One kernel: the families of a set over one symbol, writing one frame in place.

use market_model::{BookView, QualityFlags, Side, StateError, StateReader, StateWriter, Trade};

use crate::context::{Context, PacketStamp, Quotes, Units};
use crate::frame::{FrameBuf, FrameHeader, FrameRef};
use crate::meta::{Behaviour, FamilyMeta, Reads};
use crate::registry::{AnyFamily, FAMILIES, Wanted};
use crate::set::{Feature, FeatureSet};
use crate::slots::Slots;

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
    /// Each family and whether it runs on frozen books too.
    families: Vec<(AnyFamily, bool)>,
    warmups: Vec<Warmup>,
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
    all_ready: bool,
    last_frozen: bool,
}

/// Values of a row between packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Value words.
    pub values: Vec<u64>,
    /// Valid bits.
    pub valid: Vec<u64>,
    changed: Vec<u64>,
    /// A value was clamped.
    pub saturated: bool,
}

impl Kernel {
    /// A kernel before its first packet.
    #[must_use]
    pub fn new(set: &FeatureSet, units: Units, symbol_id: u32) -> Self {
        let n = set.len();
        let families = families(set, units);
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
            families,
            warmups: warmups.collect(),
            all_slots,
            own_steps: vec![0; n],
            anew: (0..n).filter(|slot| set.features()[*slot].is_count()).collect(),
            stepped: vec![0; words],
            frame: FrameBuf::new(set.schema_hash(), symbol_id, n),
            sample: Sample {
                values: vec![0; n],
                valid: vec![0; words],
                changed: vec![0; words],
                saturated: false,
            },
            frames: 0,
            book_steps: 0,
            first_ns: 0,
            last_book_ns: 0,
            gap_ns: None,
            gap_waits: false,
            all_ready: false,
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

    /// Computes the frame of one packet.
    #[inline]
    pub fn step<B: BookView>(&mut self, book: &B, step: &KernelStep<'_>) -> FrameRef<'_> {
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
            (self.gap_ns, self.all_ready) = (Some(step.now_ns), false);
            self.gap_waits = step.frozen;
            self.anew.iter().for_each(|slot| self.own_steps[*slot] = 0);
        }
        let context = Context {
            book,
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
        changed.fill(0);
        valid.fill(0);
        self.stepped.fill(0);
        let (own_steps, stepped) = (&mut self.own_steps, &mut self.stepped);
        let mut slots = Slots { values, changed, valid, own_steps, stepped, saturated: false };
        for (family, on_frozen) in &mut self.families {
            if step.frozen && !*on_frozen {
                continue;
            }
            family.step(&context, &slots);
            family.fill(&context, &mut slots);
        }
        let saturated = slots.saturated;
        if self.frames == 1 {
            changed.copy_from_slice(&self.all_slots);
        }
        if !self.all_ready {
            let frames = self.frames;
            self.all_ready = warm(
                &self.warmups,
                ready,
                &Progress {
                    frames,
                    book_steps: self.book_steps,
                    own_steps: &self.own_steps,
                    since_first_ns: step.now_ns - self.first_ns,
                    since_gap_ns: self.gap_ns.map(|gap_ns| step.now_ns - gap_ns),
                },
            );
        }
        let mut header = step.header;
        header.seq = self.frames;
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
        let context = Context {
            book,
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
        self.sample.valid.fill(0);
        let mut slots = Slots {
            values: &mut self.sample.values,
            changed: &mut self.sample.changed,
            valid: &mut self.sample.valid,
            own_steps: &mut self.own_steps,
            stepped: &mut self.stepped,
            saturated: false,
        };
        for (family, on_frozen) in &mut self.families {
            if !frozen || *on_frozen {
                family.fill(&context, &mut slots);
            }
        }
        self.sample.saturated = slots.saturated;
        // What was not defined in the last frame is not defined after it either.
        let valid = self.frame.as_ref().valid_mask();
        self.sample.valid.iter_mut().zip(valid).for_each(|(sampled, frame)| *sampled &= frame);
        &self.sample
    }

    /// Forgets everything, as on a session reset.
    pub fn reset(&mut self) {
        self.families.iter_mut().for_each(|(family, _)| family.reset());
        let [changed, ready, valid, values] = self.frame.parts_mut();
        for words in [changed, ready, valid, values] {
            words.fill(0);
        }
        self.own_steps.fill(0);
        (self.frames, self.book_steps, self.first_ns, self.last_book_ns) = (0, 0, 0, 0);
        (self.gap_ns, self.gap_waits) = (None, false);
        (self.all_ready, self.last_frozen) = (false, true);
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
        self.families.iter().for_each(|(family, _)| family.save(out));
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
        for (family, _) in &mut self.families {
            family.load(from)?;
        }
        Ok(())
    }
}

/// The families of a set in the order in which they step, each with whether it runs on frozen books.
///
/// Families over columns stand last, one instance per run of the set's columns, so that a column finds
/// its input computed whatever families a chain of columns goes through.
fn families(set: &FeatureSet, units: Units) -> Vec<(AnyFamily, bool)> {
    let mut groups: Vec<(&'static FamilyMeta, Vec<Wanted<'_>>)> = Vec::new();
    let all = || set.features().iter().enumerate();
    for meta in FAMILIES {
        let own = |f: &Feature| f.input.is_none() && f.family.slug == meta.slug;
        groups.push((meta, all().filter(|(_, f)| own(f)).collect()));
    }
    for (slot, f) in all().filter(|(_, f)| f.input.is_some()) {
        match groups.last_mut() {
            Some((meta, run)) if meta.slug == f.family.slug => run.push((slot, f)),
            _ => groups.push((f.family, vec![(slot, f)])),
        }
    }
    let filled = groups.iter().filter(|(_, wanted)| !wanted.is_empty());
    let family = |(meta, wanted): &(&'static FamilyMeta, Vec<Wanted<'_>>)| {
        let on_frozen = meta.columns.iter().all(|column| !column.reads.is_book());
        (AnyFamily::new(meta, wanted, units), on_frozen)
    };
    filled.map(family).collect()
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
    since_first_ns: i64,
    since_gap_ns: Option<i64>,
}

/// Updates ready bits; `true` when every feature is ready and stays so until a gap.
#[cold]
fn warm(warmups: &[Warmup], ready: &mut [u64], progress: &Progress<'_>) -> bool {
    let mut all = true;
    for (index, warmup) in warmups.iter().enumerate() {
        let mask = 1_u64 << (index % 64);
        let steps = match (warmup.own, warmup.clock) {
            (true, _) => progress.own_steps[index],
            (false, true) => progress.frames,
            (false, false) => progress.book_steps,
        };
        let gap_over =
            !warmup.window || progress.since_gap_ns.is_none_or(|since| since >= warmup.min_ns);
        let is_ready =
            steps >= warmup.min_events && progress.since_first_ns >= warmup.min_ns && gap_over;
        ready[index / 64] = (ready[index / 64] & !mask) | if is_ready { mask } else { 0 };
        all &= is_ready;
    }
    all
}
