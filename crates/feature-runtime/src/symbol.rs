//! One symbol: its book, its kernel, and the rules between the two.

use std::sync::Arc;

use feature_kernel::frame::FrameHeader;
use feature_kernel::{FeatureSet, FrameRef, Kernel, KernelStep, PacketStamp, Units};
use lob_engine::{Applied, Book, BookShape, Counters, LobEngine, Outcome};
use market_model::{Instrument, Packet, QualityFlags, Sequencing};

use crate::error::Error;

/// Book and kernel of one symbol, driven packet by packet.
///
/// ```
/// use feature_runtime::{SymbolEngine, built_in_set};
/// use market_model::{BookOp, Instrument, Level, Packet, PacketKind};
///
/// let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001")?;
/// let mut engine = SymbolEngine::new(built_in_set("lob_shared_v1")?.into(), btc);
/// let mut packet = Packet { kind: PacketKind::Snapshot, seq: 1, ..Packet::default() };
/// packet.push_level(BookOp::SetBid, Level::new(618_001, 696));
/// packet.push_level(BookOp::SetAsk, Level::new(618_003, 12));
/// let frame = engine.process(&packet).expect("a two-sided book gives a frame");
/// assert_eq!(frame.value(0), Some(618_001)); // best_bid, in units of 0.1
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SymbolEngine {
    pub(crate) set: Arc<FeatureSet>,
    pub(crate) instrument: Instrument,
    pub(crate) lob: LobEngine,
    pub(crate) kernel: Kernel,
    pub(crate) companion: Option<Companion>,
    refusal: Option<lob_engine::Error>,
}

/// A second set over the same book.
#[derive(Debug)]
pub(crate) struct Companion {
    pub(crate) set: Arc<FeatureSet>,
    pub(crate) kernel: Kernel,
}

impl SymbolEngine {
    /// An engine before its first packet.
    #[must_use]
    pub fn new(set: Arc<FeatureSet>, instrument: Instrument) -> Self {
        let lob = LobEngine::new(&instrument, set.book_needs());
        let kernel = Kernel::new(&set, Units::from(&instrument), instrument.symbol_id);
        Self { set, instrument, lob, kernel, companion: None, refusal: None }
    }

    /// An engine that computes a second set beside the first, over the same book and from the same
    /// packets: what bars are made of must not change the columns that the user asked for.
    #[must_use]
    pub fn with_companion(
        set: Arc<FeatureSet>,
        companion: Arc<FeatureSet>,
        instrument: Instrument,
    ) -> Self {
        let needs = set.book_needs().joined(companion.book_needs());
        let lob = LobEngine::new(&instrument, needs);
        let kernel = Kernel::new(&companion, Units::from(&instrument), instrument.symbol_id);
        let companion = Some(Companion { set: companion, kernel });
        Self { lob, companion, ..Self::new(set, instrument) }
    }

    /// Takes one packet; the frame if one is due.
    ///
    /// Defects of the data never fail: they become quality bits and counters. A packet that the book
    /// refuses (too many levels, a level out of range) counts as rejected input (rule D11);
    /// [`SymbolEngine::take_refusal`] says why.
    #[inline]
    pub fn process(&mut self, packet: &Packet) -> Option<FrameRef<'_>> {
        let outcome = self.lob.apply(packet).unwrap_or_else(|refusal| {
            self.refusal = Some(refusal);
            self.lob.reject()
        });
        match outcome {
            Outcome::Applied(applied) => self.step(packet, &applied),
            Outcome::Gap => self.lose_book(packet),
            Outcome::Reset => {
                self.forget();
                None
            }
            Outcome::Dropped => None,
        }
    }

    #[inline]
    fn step(&mut self, packet: &Packet, applied: &Applied) -> Option<FrameRef<'_>> {
        if applied.new_session {
            self.forget();
        }
        let frozen = matches!(applied.shape, BookShape::Crossed | BookShape::OneSided);
        if frozen && self.kernel.frames() == 0 {
            return None;
        }
        let header = FrameHeader {
            seq: 0,
            source_seq: if applied.book_step { packet.seq } else { self.lob.applied_seq() },
            source_ts_ns: applied.event_ts_ns,
            local_ts_ns: packet.ts_recv_ns,
            epoch: self.lob.epoch(),
            quality: applied.flags | self.lob.take_pending(),
        };
        let step = KernelStep {
            header,
            stamp: PacketStamp { ts_event_ns: packet.ts_event_ns, ts_recv_ns: packet.ts_recv_ns },
            trades: &packet.trades,
            now_ns: self.lob.t_eff_ns(),
            book_step: applied.book_step,
            gap_step: applied.gap_step,
            frozen,
        };
        if let Some(companion) = &mut self.companion {
            companion.kernel.step(self.lob.book(), &step);
        }
        Some(self.kernel.step(self.lob.book(), &step))
    }

    fn forget(&mut self) {
        self.kernel.reset();
        if let Some(companion) = &mut self.companion {
            companion.kernel.reset();
        }
    }

    #[cold]
    fn lose_book(&mut self, packet: &Packet) -> Option<FrameRef<'_>> {
        if self.kernel.frames() == 0 {
            self.lob.add_pending(QualityFlags::GAP_DETECTED);
            return None;
        }
        let lost = QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES;
        let header = FrameHeader {
            seq: 0,
            source_seq: if packet.touches_book() { packet.seq } else { self.lob.applied_seq() },
            source_ts_ns: self.lob.believed_event_ns(packet),
            local_ts_ns: packet.ts_recv_ns,
            epoch: self.lob.epoch(),
            quality: lost | self.lob.standing_flags() | self.lob.take_pending(),
        };
        if let Some(companion) = &mut self.companion {
            companion.kernel.lose_book(header);
        }
        Some(self.kernel.lose_book(header))
    }

    /// Sets how packets follow each other, where only the input itself tells.
    ///
    /// # Panics
    ///
    /// Panics after the first book packet.
    pub fn set_sequencing(&mut self, sequencing: Sequencing) {
        self.lob.set_sequencing(sequencing);
        self.instrument.sequencing = sequencing;
    }

    /// Continues with another tick size, lot size or scale (rule D15): book and features start a new
    /// session, since integers of two grids must never meet. The symbol keeps its id.
    pub fn change_instrument(&mut self, instrument: Instrument) {
        let symbol_id = self.instrument.symbol_id;
        self.instrument = Instrument { symbol_id, ..instrument };
        self.lob.change_instrument(&self.instrument);
        let units = Units::from(&self.instrument);
        self.kernel = Kernel::new(&self.set, units, symbol_id);
        if let Some(companion) = &mut self.companion {
            companion.kernel = Kernel::new(&companion.set, units, symbol_id);
        }
    }

    /// Values and valid bits at a time between packets (`specs/semantics.md`, section 5); `None`
    /// before the first frame of the epoch.
    pub fn sample(&mut self, now_ns: i64) -> Option<&feature_kernel::Sample> {
        (self.kernel.frames() > 0).then(|| self.kernel.sample(self.lob.book(), now_ns))
    }

    /// The last frame; `None` before the first one of the epoch.
    #[must_use]
    pub fn frame(&self) -> Option<FrameRef<'_>> {
        (self.kernel.frames() > 0).then(|| self.kernel.frame())
    }

    /// The last frame of the second set; `None` before the first one of the epoch, and without a second set.
    #[must_use]
    pub fn companion_frame(&self) -> Option<FrameRef<'_>> {
        let companion = self.companion.as_ref()?;
        (companion.kernel.frames() > 0).then(|| companion.kernel.frame())
    }

    /// Whether updates are missing and the book waits for a snapshot (rule D3).
    #[must_use]
    pub fn is_awaiting_snapshot(&self) -> bool {
        self.lob.is_awaiting_snapshot()
    }

    /// The feature set.
    #[must_use]
    pub fn feature_set(&self) -> &Arc<FeatureSet> {
        &self.set
    }

    /// The instrument.
    #[must_use]
    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// The book.
    #[must_use]
    pub fn book(&self) -> &Book {
        self.lob.book()
    }

    /// Packets by fate.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lob.counters()
    }

    /// The window clock, UTC ns; 0 before the first packet.
    #[must_use]
    pub fn t_eff_ns(&self) -> i64 {
        self.lob.t_eff_ns()
    }

    /// Where the window clock would stand if the packet were taken, UTC ns.
    #[inline]
    #[must_use]
    pub fn clock_with_ns(&self, packet: &Packet) -> i64 {
        self.lob.clock_with_ns(packet)
    }

    /// Why the last refused packet was refused; taking it clears it.
    pub fn take_refusal(&mut self) -> Option<Error> {
        self.refusal.take().map(Into::into)
    }
}
