//! Rule 4: which book packets are new, repeated, late, or follow a hole.

use market_model::{FeedKind, Instrument, Packet, PacketKind, Sequencing};

use super::Defect;

const MAX_LATE_RUN: u32 = 64;
const MAX_LATE_SPAN_NS: i128 = 5_000_000_000;

/// What rule 4 says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be applied.
    New,
    /// To be applied, but packets before it are missing.
    Missing,
    /// Seen before.
    Duplicate,
    /// Older than the last one; `given_up` when there were too many in a row.
    Late { given_up: bool },
}

/// The last applied book packet and the run of late ones after it.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    last: Option<Packet>,
    /// The last update id that an applied book packet had; 0 before the first.
    last_id: u64,
    late_run: u32,
    late_since_ns: i64,
}

impl Order {
    /// Update id of the last applied book packet; 0 when it had none.
    pub(super) fn last_seq(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.seq)
    }

    /// Notes that a book packet is applied.
    pub(super) fn accept(&mut self, packet: &Packet) {
        let last_id = if packet.seq != 0 { packet.seq } else { self.last_id };
        *self = Self { last: Some(packet.clone()), last_id, ..Self::default() };
    }

    /// Judges a packet. Repeats and late packets are counted here, new ones by [`Self::accept`].
    pub(super) fn judge(
        &mut self,
        packet: &Packet,
        instrument: &Instrument,
        defect: Option<Defect>,
    ) -> Verdict {
        let snapshot_feed = instrument.feed == FeedKind::Snapshot;
        let tested = packet.kind == PacketKind::Delta || snapshot_feed;
        let verdict = match &self.last {
            Some(last) if packet.touches_book() && tested => match instrument.sequencing {
                Sequencing::Arrival => Verdict::New,
                Sequencing::Venue if packet.seq != 0 => by_id(packet, self.last_id, snapshot_feed),
                Sequencing::Venue | Sequencing::SourceTime => by_time(packet, last, defect),
            },
            _ => return Verdict::New,
        };
        match verdict {
            Verdict::Late { .. } if defect == Some(Defect::LateAccepted) => Verdict::New,
            Verdict::Late { .. } => self.late(packet.ts_event_ns),
            Verdict::Duplicate => {
                self.late_run = 0;
                Verdict::Duplicate
            }
            other => other,
        }
    }

    fn late(&mut self, ts_event_ns: i64) -> Verdict {
        if self.late_run == 0 {
            self.late_since_ns = ts_event_ns;
        }
        self.late_run += 1;
        let span_ns = i128::from(ts_event_ns) - i128::from(self.late_since_ns);
        let given_up = self.late_run >= MAX_LATE_RUN || span_ns >= MAX_LATE_SPAN_NS;
        Verdict::Late { given_up }
    }
}

fn by_id(packet: &Packet, last: u64, snapshot_feed: bool) -> Verdict {
    if last == 0 {
        return Verdict::New;
    }
    if packet.seq == last {
        return Verdict::Duplicate;
    }
    if packet.seq < last {
        return Verdict::Late { given_up: false };
    }
    let after = u128::from(last) + 1;
    let missing = match (packet.prev_seq, packet.first_seq) {
        (0, 0) => snapshot_feed && u128::from(packet.seq) > after,
        (0, first) => u128::from(first) > after,
        (prev, _) => prev != last,
    };
    if missing { Verdict::Missing } else { Verdict::New }
}

fn by_time(packet: &Packet, last: &Packet, defect: Option<Defect>) -> Verdict {
    let same_content = packet.kind == last.kind
        && packet.levels == last.levels
        && packet.run_ends == last.run_ends
        && packet.orders == last.orders
        && packet.trades == last.trades;
    let same_content = same_content || defect == Some(Defect::StampIsEnough);
    if packet.ts_event_ns < last.ts_event_ns {
        Verdict::Late { given_up: false }
    } else if packet.ts_event_ns == last.ts_event_ns && same_content {
        Verdict::Duplicate
    } else {
        Verdict::New
    }
}
