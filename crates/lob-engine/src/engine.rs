//! The life of one book: every packet is applied, dropped with a reason, or ends the book's validity.
//!
//! The order of decisions is section 2 of `specs/semantics.md`; the numbers in comments are its steps.

use market_model::{
    BookNeeds, FeedKind, Instrument, Packet, PacketKind, QualityFlags, Sequencing, StateReader,
    StateWriter,
};

use crate::book::{Book, BookShape};
use crate::error::Error;
use crate::sequencing::{Order, Sequence};

/// Source time further ahead of the local clock than this is not believed (rule D18).
const FUTURE_LIMIT_NS: i64 = 5_000_000_000;
/// Jump of source time that is not believed when there is no local clock (rule D18).
const JUMP_LIMIT_NS: i64 = 24 * 3_600_000_000_000;
/// A delta book that stays crossed this long has lost something (rule D8).
const CROSSED_LIMIT_NS: i64 = 1_000_000_000;
/// The same in book packets (rule D8).
const CROSSED_LIMIT_PACKETS: u64 = 1_000;

/// What a packet did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The packet was taken; features step if the book's shape allows.
    Applied(Applied),
    /// Updates are missing on a delta feed: one frame without valid values is due, then silence
    /// until the next snapshot.
    Gap,
    /// The packet was a session reset: features forget everything, no frame is due.
    Reset,
    /// The packet was dropped and counted; no frame is due.
    Dropped,
}

/// A packet that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Quality bits of this packet's frame.
    pub flags: QualityFlags,
    /// The packet had book content.
    pub book_step: bool,
    /// Updates are missing before this packet on a snapshot feed (rule D4).
    pub gap_step: bool,
    /// A new session begins with this packet: features forget everything first.
    pub new_session: bool,
    /// The book after the packet.
    pub shape: BookShape,
    /// Event time after rules D16 to D18, UTC ns.
    pub event_ts_ns: i64,
}

/// Packets by fate, since the start; never reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets applied.
    pub applied: u64,
    /// Repeated packets dropped.
    pub duplicates: u64,
    /// Repeated packets whose content differs from the first one.
    pub duplicate_conflicts: u64,
    /// Late packets dropped.
    pub late: u64,
    /// Gaps on the feed.
    pub gaps: u64,
    /// Packets dropped while waiting for a snapshot.
    pub awaiting: u64,
    /// Events that the decoder refused.
    pub rejected: u64,
    /// Session resets.
    pub resets: u64,
}

impl Counters {
    /// Every count with its name in summaries.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("applied", self.applied),
            ("duplicates", self.duplicates),
            ("duplicate_conflicts", self.duplicate_conflicts),
            ("late", self.late),
            ("gaps", self.gaps),
            ("awaiting_snapshot", self.awaiting),
            ("rejected", self.rejected),
            ("resets", self.resets),
        ]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Empty,
    Live,
    AwaitingSnapshot,
}

/// The book of one instrument with everything that decides whether it can be believed.
#[derive(Debug)]
pub struct LobEngine {
    feed: FeedKind,
    sequencing: Sequencing,
    max_age_ns: Option<i64>,
    book: Book,
    sequence: Sequence,
    status: Status,
    pending: QualityFlags,
    epoch: u32,
    applied_in_epoch: bool,
    verified: bool,
    t_eff_ns: i64,
    last_ts_ns: [i64; 2],
    crossed_since_ns: Option<i64>,
    crossed_packets: u64,
    counters: Counters,
}

impl LobEngine {
    /// An empty book for an instrument.
    #[must_use]
    pub fn new(instrument: &Instrument, needs: BookNeeds) -> Self {
        Self {
            feed: instrument.feed,
            sequencing: instrument.sequencing,
            max_age_ns: instrument.max_age_ns,
            book: Book::new(needs),
            sequence: Sequence::default(),
            status: Status::Empty,
            pending: QualityFlags::empty(),
            epoch: 0,
            applied_in_epoch: false,
            verified: false,
            t_eff_ns: 0,
            last_ts_ns: [0; 2],
            crossed_since_ns: None,
            crossed_packets: 0,
            counters: Counters::default(),
        }
    }

    /// Takes one packet.
    ///
    /// # Errors
    ///
    /// Levels or orders that are out of range or too many, or of both kinds: the packet is refused as a
    /// whole, and the book is as if it had never come. Report it with [`LobEngine::reject`].
    pub fn apply(&mut self, packet: &Packet) -> Result<Outcome, Error> {
        match packet.kind {
            PacketKind::Reset => return Ok(self.reset()),     // 1
            PacketKind::Rejected => return Ok(self.reject()), // 2
            PacketKind::RejectedTrade => return Ok(self.note_rejection()),
            _ => {}
        }
        let book_step = packet.touches_book();
        let sequenced = book_step
            && (packet.kind == PacketKind::Delta || self.feed == FeedKind::Snapshot)
            && self.status != Status::AwaitingSnapshot;
        let mut gap_step = false;
        if sequenced {
            match self.sequence.judge(packet, self.feed, self.sequencing) {
                Order::Next => {}
                Order::AfterGap if self.feed == FeedKind::Snapshot => {
                    gap_step = true;
                    self.counters.gaps += 1;
                }
                Order::AfterGap => return Ok(self.lose_book()), // 5
                order => return Ok(self.drop_repeated_or_late(order)),
            }
        }
        if self.status == Status::AwaitingSnapshot && packet.kind != PacketKind::Snapshot {
            self.counters.awaiting += 1; // 4
            return Ok(Outcome::Dropped);
        }
        self.take(packet, book_step, gap_step).map(Outcome::Applied)
    }

    /// Steps 6 to 9: the packet is accepted.
    fn take(&mut self, packet: &Packet, book_step: bool, gap_step: bool) -> Result<Applied, Error> {
        let faults_before = self.book.order_faults().total();
        if !packet.orders.is_empty() {
            self.book.orders.now_ns = self.clock_with_ns(packet);
        }
        let awaited = self.status == Status::AwaitingSnapshot;
        let is_session =
            packet.kind == PacketKind::Snapshot && (self.feed == FeedKind::Delta || awaited);
        if packet.kind == PacketKind::Snapshot || (book_step && self.feed == FeedKind::Snapshot) {
            self.book.replace(packet)?;
        } else if book_step {
            self.book.apply(packet)?;
        }
        let new_session = is_session && self.applied_in_epoch;
        if new_session {
            self.start_epoch();
        }
        let (event_ts_ns, mut flags) = self.clock(packet, book_step);
        if gap_step {
            flags |= QualityFlags::GAP_DETECTED;
        }
        if book_step {
            self.sequence.accept(packet, self.sequencing);
            self.status = Status::Live;
            self.applied_in_epoch = true;
            self.verified |= packet.kind == PacketKind::Snapshot;
            // Orders that contradict the book say that it is not the venue's.
            self.verified &= self.book.order_faults().total() == faults_before;
        }
        self.counters.applied += 1;
        flags |= self.standing_flags();
        let shape = self.book.shape();
        flags |= match shape {
            BookShape::TwoSided => QualityFlags::empty(),
            BookShape::Locked => QualityFlags::LOCKED_BOOK,
            BookShape::Crossed => QualityFlags::CROSSED_BOOK | QualityFlags::PARTIAL_FEATURES,
            BookShape::OneSided => QualityFlags::ONE_SIDED_BOOK | QualityFlags::PARTIAL_FEATURES,
        };
        self.watch_crossing(shape, book_step);
        if packet.checksum_mismatch {
            flags |= QualityFlags::CHECKSUM_MISMATCH;
            self.await_snapshot();
        }
        Ok(Applied { flags, book_step, gap_step, new_session, shape, event_ts_ns })
    }

    /// Event time of a packet by rules D17 and D18; `true` when the source's own was not used.
    #[must_use]
    pub fn believed_event_ns(&self, packet: &Packet) -> i64 {
        self.believed_ns(packet).0
    }

    fn believed_ns(&self, packet: &Packet) -> (i64, bool) {
        let (event, recv) = (packet.ts_event_ns, packet.ts_recv_ns);
        let from_future = if recv != 0 {
            event.saturating_sub(recv) > FUTURE_LIMIT_NS
        } else {
            self.t_eff_ns != 0 && event.saturating_sub(self.t_eff_ns) > JUMP_LIMIT_NS
        };
        if event != 0 && !from_future {
            return (event, false);
        }
        (if recv != 0 { recv } else { self.t_eff_ns }, true)
    }

    /// Where the window clock would stand if the packet were taken; never goes back.
    ///
    /// Rows on a time grid are due before the packet that passes their grid point is applied.
    #[inline]
    #[must_use]
    pub fn clock_with_ns(&self, packet: &Packet) -> i64 {
        self.t_eff_ns.max(self.believed_ns(packet).0)
    }

    /// Step 6: event time, its anomalies, and the window clock.
    fn clock(&mut self, packet: &Packet, book_step: bool) -> (i64, QualityFlags) {
        let (believed, distrusted) = self.believed_ns(packet);
        let mut flags = QualityFlags::empty();
        let channel = &mut self.last_ts_ns[usize::from(book_step)];
        flags.set(QualityFlags::TS_ANOMALY, distrusted || believed < *channel);
        *channel = believed;
        self.t_eff_ns = self.t_eff_ns.max(believed);
        if let (Some(max_age_ns), event @ 1.., recv @ 1..) =
            (self.max_age_ns, packet.ts_event_ns, packet.ts_recv_ns)
        {
            flags.set(QualityFlags::STALE_INPUT, recv - event > max_age_ns);
        }
        (believed, flags)
    }

    fn watch_crossing(&mut self, shape: BookShape, book_step: bool) {
        if shape != BookShape::Crossed {
            (self.crossed_since_ns, self.crossed_packets) = (None, 0);
            return;
        }
        let since_ns = *self.crossed_since_ns.get_or_insert(self.t_eff_ns);
        self.crossed_packets += u64::from(book_step);
        let too_long = self.t_eff_ns - since_ns > CROSSED_LIMIT_NS
            || self.crossed_packets > CROSSED_LIMIT_PACKETS;
        if too_long && self.feed == FeedKind::Delta {
            self.await_snapshot();
        }
    }

    fn drop_repeated_or_late(&mut self, order: Order) -> Outcome {
        match order {
            Order::Duplicate { conflict } => {
                self.pending |= QualityFlags::DUPLICATE_INPUT;
                self.counters.duplicates += 1;
                self.counters.duplicate_conflicts += u64::from(conflict);
            }
            Order::Late { hopeless } => {
                self.pending |= QualityFlags::OUT_OF_ORDER_INPUT;
                self.counters.late += 1;
                if hopeless {
                    return self.lose_book();
                }
            }
            Order::Next | Order::AfterGap => unreachable!("Invariant: such packets are taken"),
        }
        Outcome::Dropped
    }

    /// Rule D3: the book cannot be believed until the next snapshot.
    fn lose_book(&mut self) -> Outcome {
        self.counters.gaps += 1;
        self.await_snapshot();
        Outcome::Gap
    }

    fn await_snapshot(&mut self) {
        self.status = Status::AwaitingSnapshot;
        (self.crossed_since_ns, self.crossed_packets) = (None, 0);
    }

    /// Reports that an event of this symbol was refused (rule D11); also a lost delta.
    pub fn reject(&mut self) -> Outcome {
        let noted = self.note_rejection();
        if self.feed == FeedKind::Delta && self.status == Status::Live {
            return self.lose_book();
        }
        noted
    }

    fn note_rejection(&mut self) -> Outcome {
        self.counters.rejected += 1;
        self.pending |= QualityFlags::REJECTED_INPUT;
        Outcome::Dropped
    }

    /// Sets how packets follow each other, where only the input itself tells; a book packet must not
    /// have come yet.
    ///
    /// # Panics
    ///
    /// Panics after the first book packet.
    pub fn set_sequencing(&mut self, sequencing: Sequencing) {
        assert!(self.status == Status::Empty, "packets were judged by another rule already");
        self.sequencing = sequencing;
    }

    /// Continues with another grid of prices and quantities (rule D15): a new session begins.
    pub fn change_instrument(&mut self, instrument: &Instrument) {
        self.feed = instrument.feed;
        self.sequencing = instrument.sequencing;
        self.max_age_ns = instrument.max_age_ns;
        self.reset();
    }

    fn reset(&mut self) -> Outcome {
        self.book.clear();
        self.start_epoch();
        self.status = if self.feed == FeedKind::Delta && self.sequencing == Sequencing::Venue {
            Status::AwaitingSnapshot
        } else {
            Status::Empty
        };
        Outcome::Reset
    }

    fn start_epoch(&mut self) {
        self.applied_in_epoch = false;
        self.epoch += 1;
        self.counters.resets += 1;
        self.pending |= QualityFlags::STATE_RESET;
        self.sequence = Sequence::default();
        (self.crossed_since_ns, self.crossed_packets) = (None, 0);
    }

    /// Bits that every frame of the feed carries as long as the book cannot be verified: until a
    /// snapshot, and again after an order event that contradicts the book.
    #[must_use]
    pub fn standing_flags(&self) -> QualityFlags {
        let no_nonce = self.sequencing == Sequencing::SourceTime;
        if no_nonce || (self.feed == FeedKind::Delta && !self.verified) {
            QualityFlags::UNVERIFIED_BOOK
        } else {
            QualityFlags::empty()
        }
    }

    /// Quality bits that wait for the next frame; taking them clears them.
    pub fn take_pending(&mut self) -> QualityFlags {
        core::mem::take(&mut self.pending)
    }

    /// Adds bits to those that wait for the next frame.
    pub fn add_pending(&mut self, flags: QualityFlags) {
        self.pending |= flags;
    }

    /// The book as of the last packet.
    #[inline]
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Number of session resets so far.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Update id of the last applied book packet; 0 when it had none.
    #[inline]
    #[must_use]
    pub fn applied_seq(&self) -> u64 {
        self.sequence.applied_seq
    }

    /// The window clock: the highest believed event time, UTC ns; 0 before the first packet.
    #[inline]
    #[must_use]
    pub fn t_eff_ns(&self) -> i64 {
        self.t_eff_ns
    }

    /// Whether packets are dropped until a snapshot comes.
    #[must_use]
    pub fn is_awaiting_snapshot(&self) -> bool {
        self.status == Status::AwaitingSnapshot
    }

    /// Packets by fate.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Appends the whole state.
    pub fn save(&self, out: &mut StateWriter) {
        self.book.save(out);
        self.sequence.save(out);
        out.u64(self.status as u64);
        out.u64(self.pending.bits().into());
        out.u64(self.epoch.into());
        out.u64(self.applied_in_epoch.into());
        out.u64(self.verified.into());
        out.i64(self.t_eff_ns);
        self.last_ts_ns.iter().for_each(|ts| out.i64(*ts));
        out.opt_i64(self.crossed_since_ns);
        out.u64(self.crossed_packets);
        self.counters.named().iter().for_each(|(_, count)| out.u64(*count));
    }

    /// Replaces the whole state by one that [`LobEngine::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when the bytes are not such a state; the engine must then be discarded.
    pub fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), Error> {
        self.book.load(from)?;
        self.sequence = Sequence::load(from)?;
        let status = from.u64()?;
        self.status = match status {
            0 => Status::Empty,
            1 => Status::Live,
            2 => Status::AwaitingSnapshot,
            _ => return Err(from.invalid("status", &status).into()),
        };
        let pending = from.u64()?;
        self.pending = u32::try_from(pending)
            .ok()
            .and_then(QualityFlags::from_bits)
            .ok_or_else(|| from.invalid("pending", &pending))?;
        let epoch = from.u64()?;
        self.epoch = u32::try_from(epoch).map_err(|_| from.invalid("epoch", &epoch))?;
        self.applied_in_epoch = from.bool("applied_in_epoch")?;
        self.verified = from.bool("verified")?;
        self.t_eff_ns = from.i64()?;
        self.last_ts_ns = [from.i64()?, from.i64()?];
        self.crossed_since_ns = from.opt_i64()?;
        self.crossed_packets = from.u64()?;
        self.counters = Counters {
            applied: from.u64()?,
            duplicates: from.u64()?,
            duplicate_conflicts: from.u64()?,
            late: from.u64()?,
            gaps: from.u64()?,
            awaiting: from.u64()?,
            rejected: from.u64()?,
            resets: from.u64()?,
        };
        Ok(())
    }
}
