//! Sources: files in, packets out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use market_model::{Instrument, Packet, PacketKind};

use crate::error::{Error, Fault, excerpt};
use crate::format::{self, Format};

/// Faults that are kept in full; later ones are only counted.
pub const MAX_KEPT_FAULTS: usize = 20;

const MAX_IGNORED_KINDS: usize = 64;

/// Where a source stands behind a packet, so that another one over the same input can go on there.
///
/// All packets up to it are settled by the inputs before `input`, whole, and by the bytes `stored` of
/// that one: whoever keeps a place compares them before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index of the input that holds the place, from 0.
    pub input: usize,
    /// Bytes of that file, as stored.
    pub stored: Range<u64>,
    /// What the format needs to go on.
    pub state: Vec<u8>,
}

/// One stream of packets of one instrument.
pub trait Source: Send {
    /// The instrument, known from the moment of opening.
    fn instrument(&self) -> &Instrument;

    /// Clears `packet` and fills it; `Ok(false)` at the end of the input.
    ///
    /// # Errors
    ///
    /// [`Error`] when the rest of the input cannot be used. Packets before it were good; after it
    /// the source is at its end.
    fn next_packet(&mut self, packet: &mut Packet) -> Result<bool, Error>;

    /// What has been read, refused and left out so far.
    fn stats(&self) -> &SourceStats;

    /// Bytes of the input files consumed, as stored (compressed), and their total; what a place left
    /// out is in neither.
    fn progress(&self) -> (u64, u64);

    /// Where the source stands; `None` when it cannot be said, and for formats that are only read front
    /// to back.
    fn place(&self) -> Option<Place> {
        None
    }

    /// Goes on behind the packet of a place, before any packet was read, and says how many bytes of
    /// the inputs, as stored, are left out by it. Counts in [`Source::stats`] begin there.
    ///
    /// # Errors
    ///
    /// [`Error::Place`] when the place is not one of this input as it is opened; else why it cannot be
    /// reached, such as a seek index that is missing or wrong, by file and offset. The source is then
    /// of no use.
    fn resume(&mut self, place: &Place) -> Result<u64, Error> {
        Err(no_places(place))
    }
}

/// What a format does; [`UntilEnd`] makes it a [`Source`].
pub(crate) trait Feed: Send {
    /// See [`Source::instrument`].
    fn instrument(&self) -> &Instrument;

    /// Fills a cleared packet; not called again after anything but `Ok(true)`.
    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error>;

    /// See [`Source::stats`].
    fn stats(&self) -> &SourceStats;

    /// See [`Source::progress`].
    fn progress(&self) -> (u64, u64);

    /// See [`Source::place`].
    fn place(&self) -> Option<Place> {
        None
    }

    /// See [`Source::resume`].
    fn resume(&mut self, place: &Place) -> Result<u64, Error> {
        Err(no_places(place))
    }
}

fn no_places(place: &Place) -> Error {
    let reason = format!("the format of input {} is only read front to back", place.input);
    Error::Place { reason }
}

/// Adds to a feed that its end, or its error, is final and leaves an empty packet.
pub(crate) struct UntilEnd<F> {
    feed: F,
    ended: bool,
}

impl<F: Feed> UntilEnd<F> {
    pub(crate) const fn new(feed: F) -> Self {
        Self { feed, ended: false }
    }
}

impl<F: Feed> Source for UntilEnd<F> {
    fn instrument(&self) -> &Instrument {
        self.feed.instrument()
    }

    fn next_packet(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        packet.clear();
        if self.ended {
            return Ok(false);
        }
        let more = self.feed.advance(packet);
        if !matches!(more, Ok(true)) {
            self.ended = true;
            packet.clear();
        }
        more
    }

    fn stats(&self) -> &SourceStats {
        self.feed.stats()
    }

    fn progress(&self) -> (u64, u64) {
        self.feed.progress()
    }

    fn place(&self) -> Option<Place> {
        self.feed.place().filter(|_| !self.ended)
    }

    fn resume(&mut self, place: &Place) -> Result<u64, Error> {
        let resumed = self.feed.resume(place);
        self.ended |= resumed.is_err();
        resumed
    }
}

/// Counters of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceStats {
    /// Lines or rows read, of any kind and symbol.
    pub records: u64,
    /// Packets handed out.
    pub packets: u64,
    /// Depth updates of the symbol that were read.
    pub depth_updates: u64,
    /// Packets of kind `Rejected` or `RejectedTrade` among [`SourceStats::packets`] (rule D11).
    pub rejected: u64,
    /// Quantities rounded to the scale of the instrument (rule D14).
    pub rounded: u64,
    /// Depth updates that a snapshot already contained or that did not connect to one.
    pub dropped_updates: u64,
    /// Snapshots handed out.
    pub snapshots: u64,
    /// Snapshots older than the book, or that no depth update connects to.
    pub unused_snapshots: u64,
    /// Breaks in the update ids, or in the state that records must lead to.
    pub gaps: u64,
    /// Levels that came into view from below the visible window, which no event of the input explains.
    pub revealed_levels: u64,
    /// Checksums of the venue that were compared with the book.
    pub checksums: u64,
    /// Of these, checksums that were another.
    pub checksum_mismatches: u64,
    /// Records that are well formed and not used, by kind.
    pub ignored: BTreeMap<String, u64>,
    /// The first [`MAX_KEPT_FAULTS`] reasons for rejected packets.
    pub faults: Vec<Fault>,
}

impl SourceStats {
    pub(crate) fn ignore(&mut self, kind: &[u8]) {
        let known = str::from_utf8(kind).ok().and_then(|kind| self.ignored.get_mut(kind));
        if let Some(count) = known {
            *count += 1;
            return;
        }
        let name =
            if self.ignored.len() < MAX_IGNORED_KINDS { excerpt(kind) } else { "other".into() };
        *self.ignored.entry(name).or_default() += 1;
    }

    /// Counts a packet that is handed out.
    pub(crate) fn count(&mut self, packet: &Packet) {
        self.packets += 1;
        self.snapshots += u64::from(packet.kind == PacketKind::Snapshot);
        let is_rejected = matches!(packet.kind, PacketKind::Rejected | PacketKind::RejectedTrade);
        self.rejected += u64::from(is_rejected);
    }

    /// Makes a packet say that its event was refused; its times stay. [`SourceStats::count`] counts it.
    pub(crate) fn refuse(&mut self, packet: &mut Packet, fault: Fault) {
        let (ts_event_ns, ts_recv_ns) = (packet.ts_event_ns, packet.ts_recv_ns);
        packet.clear();
        (packet.ts_event_ns, packet.ts_recv_ns) = (ts_event_ns, ts_recv_ns);
        packet.kind = PacketKind::Rejected;
        self.keep(fault);
    }

    /// Keeps the reason for a packet that is refused.
    pub(crate) fn keep(&mut self, fault: Fault) {
        if self.faults.len() < MAX_KEPT_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// What to open and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Files of one stream, in order; state carries from one to the next.
    pub inputs: Vec<PathBuf>,
    /// Format of all inputs.
    pub format: Format,
    /// Symbol to read; needed when the input holds several.
    pub symbol: Option<String>,
    /// Tick size as decimal text; inferred from the first records when absent.
    pub tick_size: Option<String>,
    /// Lot size as decimal text; inferred from the first records when absent.
    pub lot_size: Option<String>,
    /// hftbacktest only: book before the first row, as its `eod` files hold it.
    pub initial_snapshot: Option<PathBuf>,
    /// Refuse quantities with more decimals than the lot size instead of rounding them (rule D14).
    pub strict_scale: bool,
    /// Dense id that packets carry.
    pub symbol_id: u32,
}

/// Opens one stream of packets.
///
/// # Errors
///
/// [`Error`] when a file cannot be read, is empty, is of another format, does not hold the symbol,
/// or when no tick or lot size can be found.
pub fn open(options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    format::open(options)
}
