//! The naive twin: book, packet rules and every feature family a second time, written from
//! `specs/semantics.md`, `specs/abi-v1.md` and `specs/features/` alone.
//!
//! Nothing here is shared with the engine but the vocabulary of packets and the list of features of
//! a set. Sides are sorted lists, values are computed from the whole book for each frame, and the
//! rules are in the order of section 2 of the semantics.

mod book;
mod changes;
mod clock;
mod columns;
mod defect;
mod flow;
mod frame;
mod impact;
mod levels;
mod memory;
mod momentum;
mod order_flow;
mod orders;
mod regime;
mod returns;
mod rolling;
mod sequencing;
mod shape;
mod shock;
mod steps;
#[cfg(test)]
mod tests;
mod toxicity;
mod trades;
mod weighted;

use feature_kernel::FeatureSet;
use market_model::{FeedKind, Instrument, Packet, PacketKind, QualityFlags, Sequencing};

use book::{Book, Shape};
use clock::Clock;
use columns::{Quote, Scene};
pub use defect::Defect;
use frame::Frame;
use sequencing::{Order, Verdict};
use steps::{Moment, Steps};

const MAX_CROSSED_NS: i128 = 1_000_000_000;
const MAX_CROSSED_PACKETS: u32 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// No book packet was applied.
    Empty,
    /// The book is followed.
    Live,
    /// Only a snapshot is taken.
    Awaiting,
}

/// A run of crossed books.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    since_ns: i64,
    packets: u32,
}

/// The naive twin of one symbol.
#[derive(Debug, Clone)]
pub struct Naive {
    set: FeatureSet,
    instrument: Instrument,
    defect: Option<Defect>,
    book: Book,
    order: Order,
    clock: Clock,
    steps: Steps,
    status: Status,
    pending: QualityFlags,
    epoch: u32,
    frames: u64,
    /// `t_eff` of the last applied book packet.
    book_ns: i64,
    is_book_in_epoch: bool,
    has_snapshot: bool,
    crossing: Option<Crossing>,
}

impl Naive {
    /// A twin before its first packet.
    #[must_use]
    pub fn new(set: &FeatureSet, instrument: &Instrument) -> Self {
        Self {
            set: set.clone(),
            instrument: instrument.clone(),
            defect: None,
            book: Book::default(),
            order: Order::default(),
            clock: Clock::default(),
            steps: Steps::new(set),
            status: Status::Empty,
            pending: QualityFlags::empty(),
            epoch: 0,
            frames: 0,
            book_ns: 0,
            is_book_in_epoch: false,
            has_snapshot: false,
            crossing: None,
        }
    }

    /// The same twin with a planted defect.
    #[must_use]
    pub fn with_defect(mut self, defect: Defect) -> Self {
        self.defect = Some(defect);
        self
    }

    /// Appends the frame of this packet, if one is due, as `FeatureUpdateFrameV1` bytes.
    pub fn push(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        match packet.kind {
            PacketKind::Reset => return self.reset(),
            PacketKind::Rejected => return self.reject(packet, out),
            PacketKind::RejectedTrade => {
                self.pending |= QualityFlags::REJECTED_INPUT;
                return;
            }
            _ => {}
        }
        let is_snapshot = packet.kind == PacketKind::Snapshot;
        if self.status == Status::Awaiting && !is_snapshot {
            return;
        }
        let verdict = if self.status == Status::Awaiting {
            Verdict::New
        } else {
            self.order.judge(packet, &self.instrument, self.defect)
        };
        match verdict {
            Verdict::New => {}
            Verdict::Duplicate => return self.drop_duplicate(),
            Verdict::Late { given_up } => {
                self.pending |= QualityFlags::OUT_OF_ORDER_INPUT;
                if given_up {
                    self.lose_book(packet, out);
                }
                return;
            }
            Verdict::Missing if self.instrument.feed == FeedKind::Delta => {
                return self.lose_book(packet, out);
            }
            Verdict::Missing => {}
        }
        if self.book.fits(packet, self.instrument.feed) {
            self.take(packet, verdict == Verdict::Missing, out);
        }
    }

    /// Rule 1.
    fn reset(&mut self) {
        let waits = self.instrument.feed == FeedKind::Delta
            && self.instrument.sequencing == Sequencing::Venue;
        self.status = if waits { Status::Awaiting } else { Status::Empty };
        self.book = Book::default();
        self.order = Order::default();
        self.start_epoch();
    }

    fn start_epoch(&mut self) {
        self.steps.clear(&self.set, self.defect);
        self.epoch = self.epoch.wrapping_add(1);
        self.frames = 0;
        self.is_book_in_epoch = false;
        self.crossing = None;
        self.pending |= QualityFlags::STATE_RESET;
    }

    /// Rule 2.
    fn reject(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        self.pending |= QualityFlags::REJECTED_INPUT;
        if self.instrument.feed == FeedKind::Delta && self.status == Status::Live {
            self.lose_book(packet, out);
        }
    }

    fn drop_duplicate(&mut self) {
        if self.defect != Some(Defect::LostFlag) {
            self.pending |= QualityFlags::DUPLICATE_INPUT;
        }
        if self.defect == Some(Defect::DroppedCounted) {
            self.frames += 1;
        }
    }

    /// D3 with its frame (rule 5); the bit waits when the epoch had no frame yet.
    fn lose_book(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        self.status = Status::Awaiting;
        if self.frames == 0 {
            self.pending |= QualityFlags::GAP_DETECTED;
            return;
        }
        self.steps.repeat(&self.set, self.clock.now_ns, self.defect);
        let (event_ns, _) = self.clock.event_time(packet);
        let flags = QualityFlags::GAP_DETECTED | QualityFlags::PARTIAL_FEATURES;
        self.emit(packet, event_ns, flags, out);
    }

    /// Rules 6 to 11 for a packet that is not dropped.
    fn take(&mut self, packet: &Packet, is_gap: bool, out: &mut Vec<u8>) {
        let max_age_ns = self.instrument.max_age_ns;
        let (event_ns, mut flags) = self.clock.advance(packet, max_age_ns, self.defect);
        flags.set(QualityFlags::GAP_DETECTED, is_gap);
        flags.set(QualityFlags::CHECKSUM_MISMATCH, packet.checksum_mismatch);
        let is_book = packet.touches_book();
        if is_book {
            self.apply(packet);
        }
        let shape = self.book.shape();
        let is_frozen = matches!(shape, Shape::Crossed | Shape::OneSided);
        flags.set(QualityFlags::LOCKED_BOOK, shape == Shape::Locked);
        flags.set(QualityFlags::CROSSED_BOOK, shape == Shape::Crossed);
        flags.set(QualityFlags::ONE_SIDED_BOOK, shape == Shape::OneSided);
        flags.set(QualityFlags::PARTIAL_FEATURES, is_frozen);
        if self.frames > 0 || !is_frozen {
            self.step(packet, Moment { is_book, is_frozen, is_gap });
            flags.set(QualityFlags::SATURATED, self.steps.is_saturated);
            self.emit(packet, event_ns, flags, out);
        }
        // The frame of this packet tells what is wrong, so D3 adds neither a frame nor a bit.
        if self.is_crossed_too_long(shape, is_book) || packet.checksum_mismatch {
            self.status = Status::Awaiting;
        }
    }

    /// Rules 7 and 8.
    fn apply(&mut self, packet: &Packet) {
        let is_snapshot = packet.kind == PacketKind::Snapshot;
        let is_delta_feed = self.instrument.feed == FeedKind::Delta;
        let may_start = is_snapshot && (is_delta_feed || self.status == Status::Awaiting);
        // A book that was lost had been applied, so rule 7 asks for the same twice.
        if may_start && self.is_book_in_epoch {
            self.order = Order::default();
            self.start_epoch();
        }
        let feed = self.instrument.feed;
        let fits = self.book.apply(packet, feed, self.clock.now_ns, self.defect);
        debug_assert!(fits, "Invariant: a packet that does not fit is refused before");
        self.order.accept(packet);
        self.status = Status::Live;
        self.is_book_in_epoch = true;
        self.has_snapshot |= is_snapshot;
        let contradicts = self.book.orders.as_ref().is_some_and(|orders| orders.contradictions > 0);
        self.has_snapshot &= !contradicts || self.defect == Some(Defect::ContradictionUnseen);
        self.book_ns = self.clock.now_ns;
    }

    fn is_crossed_too_long(&mut self, shape: Shape, is_book: bool) -> bool {
        if shape != Shape::Crossed {
            self.crossing = None;
            return false;
        }
        let now_ns = self.clock.now_ns;
        let start = Crossing { since_ns: now_ns, packets: 0 };
        let crossing = self.crossing.get_or_insert(start);
        crossing.packets += u32::from(is_book);
        let crossed_ns = i128::from(now_ns) - i128::from(crossing.since_ns);
        self.instrument.feed == FeedKind::Delta
            && (crossed_ns > MAX_CROSSED_NS || crossing.packets > MAX_CROSSED_PACKETS)
    }

    fn step(&mut self, packet: &Packet, moment: Moment) {
        let fresh = Scene::quote_of(&self.book, &self.instrument);
        let fresh = fresh.filter(|_| !moment.is_frozen);
        let stale = |old: &Quote| {
            let stands = fresh.is_some_and(|new| (new.bid, new.ask) == (old.bid, old.ask));
            self.defect == Some(Defect::StaleTop) && stands
        };
        self.steps.quote = self.steps.quote.filter(stale).or(fresh).or(self.steps.quote);
        let Some(quote) = self.steps.quote else { return };
        let scene = Scene {
            instrument: &self.instrument,
            book: &self.book,
            packet,
            quote,
            now_ns: self.clock.now_ns,
            book_ns: self.book_ns,
            defect: self.defect,
        };
        self.steps.step(&self.set, &scene, moment);
    }

    /// Rule 11: the frame, with the bits that waited.
    fn emit(&mut self, packet: &Packet, event_ns: i64, flags: QualityFlags, out: &mut Vec<u8>) {
        self.frames += 1;
        let is_delta_feed = self.instrument.feed == FeedKind::Delta;
        let is_unverified = (is_delta_feed && !self.has_snapshot)
            || self.instrument.sequencing == Sequencing::SourceTime;
        let mut flags = flags | std::mem::take(&mut self.pending);
        flags.set(QualityFlags::UNVERIFIED_BOOK, is_unverified);
        let own_seq = packet.touches_book();
        let frame = Frame {
            schema_hash: self.set.schema_hash(),
            symbol_id: self.instrument.symbol_id,
            seq: self.frames,
            source_seq: if own_seq { packet.seq } else { self.order.last_seq() },
            source_ts_ns: event_ns,
            local_ts_ns: packet.ts_recv_ns,
            epoch: self.epoch,
            flags,
            changed: &self.steps.changed,
            ready: &self.steps.ready,
            valid: &self.steps.valid,
            words: &self.steps.words,
        };
        frame.write(out);
    }
}
