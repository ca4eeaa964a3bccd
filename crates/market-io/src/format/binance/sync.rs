//! Joining depth updates to a snapshot, by Binance's rules.
//!
//! Updates that arrive before their snapshot are kept. Futures name the update before (`pu`), spot
//! numbers every update without holes; both give one question: does an update continue what is
//! known up to some id.

use market_model::{BookOp, LATE_RUN_PACKETS, LATE_RUN_SPAN_NS, Level, Packet};

/// Levels that are kept while no snapshot has come: 16 MiB. The oldest updates go first.
const MAX_HELD_LEVELS: usize = 1 << 20;
const MAX_HELD_UPDATES: usize = 1 << 18;

/// How the ids of a market chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// `pu` names the last id before the update.
    Futures,
    /// `U` is the last id before the update plus one.
    Spot,
}

/// Ids and time of one depth update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// 0 on spot.
    pub(crate) prev: u64,
    pub(crate) ts_event_ns: i64,
}

/// A kept update: its levels are those up to the ends, bids first.
#[derive(Debug, Clone, Copy)]
struct Held {
    ids: Ids,
    bid_end: usize,
    ask_end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No book; updates are kept.
    Waiting,
    /// A snapshot was handed out, and no update after it yet.
    Joined { last: u64 },
    /// Updates follow each other.
    Live { last: u64 },
}

/// What to do with a depth update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it out; `prev` is what the packet says came before.
    Emit { prev: u64 },
    /// Hand it out with its own numbers: ids are missing before it.
    Gap,
    /// It was kept for a snapshot.
    Hold,
    /// The snapshot contains it.
    Drop,
}

/// State of the join.
#[derive(Debug)]
pub(crate) struct Sync {
    chain: Chain,
    phase: Phase,
    late_run: u64,
    late_since_ns: i64,
    held: Vec<Held>,
    levels: Vec<Level>,
    /// Updates that were given up without having been handed out.
    pub(crate) dropped: u64,
}

impl Sync {
    pub(crate) const fn new(chain: Chain) -> Self {
        Self {
            chain,
            phase: Phase::Waiting,
            late_run: 0,
            late_since_ns: 0,
            held: Vec::new(),
            levels: Vec::new(),
            dropped: 0,
        }
    }

    /// Whether there is no book until a snapshot connects.
    pub(crate) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether nothing is missing between id `last` and an update.
    const fn continues(&self, last: u64, ids: Ids) -> bool {
        match self.chain {
            Chain::Futures => ids.prev == last,
            Chain::Spot => ids.first <= last.saturating_add(1),
        }
    }

    /// Whether an update that is not older than a snapshot connects to it.
    ///
    /// Futures ids have holes, so a snapshot may lie between two neighbours: then `U` is above
    /// `lastUpdateId` although nothing is missing, which `pu` tells.
    const fn joins(&self, snapshot: u64, ids: Ids) -> bool {
        match self.chain {
            Chain::Futures => ids.first <= snapshot || ids.prev <= snapshot,
            Chain::Spot => ids.first <= snapshot.saturating_add(1),
        }
    }

    /// Judges a depth update; `packet` holds its levels, bids first.
    pub(crate) fn update(&mut self, ids: Ids, packet: &Packet) -> Verdict {
        match self.phase {
            Phase::Waiting => {
                self.hold(ids, packet);
                Verdict::Hold
            }
            Phase::Joined { last } if ids.last <= last => {
                self.dropped += 1;
                Verdict::Drop
            }
            Phase::Joined { last } if self.joins(last, ids) => {
                self.phase = Phase::Live { last: ids.last };
                Verdict::Emit { prev: if ids.prev == 0 { 0 } else { last } }
            }
            Phase::Live { last } if ids.last == last => {
                self.forget();
                Verdict::Emit { prev: ids.prev }
            }
            Phase::Live { last } if ids.last < last => {
                // The engine drops it as late. It is kept in case that the venue has started to
                // count anew: then the engine gives the book up at the same update.
                if self.late_run == 0 {
                    self.late_since_ns = ids.ts_event_ns;
                }
                self.hold(ids, packet);
                self.late_run += 1;
                let span_ns = ids.ts_event_ns - self.late_since_ns;
                if self.late_run >= LATE_RUN_PACKETS || span_ns >= LATE_RUN_SPAN_NS {
                    self.phase = Phase::Waiting;
                    self.late_run = 0;
                }
                Verdict::Emit { prev: ids.prev }
            }
            Phase::Live { last } if self.continues(last, ids) => {
                self.phase = Phase::Live { last: ids.last };
                self.forget();
                Verdict::Emit { prev: ids.prev }
            }
            Phase::Joined { .. } | Phase::Live { .. } => {
                self.forget();
                self.phase = Phase::Waiting;
                self.hold(ids, packet);
                Verdict::Gap
            }
        }
    }

    /// Judges a snapshot; `packet` holds its levels and receives those of the kept updates that
    /// follow it. The last id of the packet, or `None` when the snapshot is of no use.
    pub(crate) fn snapshot(&mut self, snapshot: u64, packet: &mut Packet) -> Option<u64> {
        if let Phase::Joined { last } | Phase::Live { last } = self.phase {
            if snapshot < last {
                return None;
            }
            self.forget();
        }
        // An update that ends at the snapshot's id is still applied on futures: it may hold levels
        // deeper than the snapshot.
        let start = match self.chain {
            Chain::Futures => self.held.partition_point(|held| held.ids.last < snapshot),
            Chain::Spot => self.held.partition_point(|held| held.ids.last <= snapshot),
        };
        let last = match self.held.get(start) {
            Some(first) if !self.joins(snapshot, first.ids) => return None,
            Some(_) => {
                self.append_held(start, packet);
                let last = self.held.last().map_or(snapshot, |held| held.ids.last);
                self.phase = Phase::Live { last };
                last
            }
            None => {
                self.phase = Phase::Joined { last: snapshot };
                snapshot
            }
        };
        self.dropped += start as u64;
        self.late_run = 0;
        self.held.clear();
        self.levels.clear();
        Some(last)
    }

    /// After a refused message the engine has no book either (rule D11).
    pub(crate) fn lose_book(&mut self) {
        if self.phase != Phase::Waiting {
            self.forget();
            self.phase = Phase::Waiting;
        }
    }

    fn append_held(&self, start: usize, packet: &mut Packet) {
        let mut at = start.checked_sub(1).map_or(0, |before| self.held[before].ask_end);
        for held in &self.held[start..] {
            for &level in &self.levels[at..held.bid_end] {
                packet.push_level(BookOp::SetBid, level);
            }
            for &level in &self.levels[held.bid_end..held.ask_end] {
                packet.push_level(BookOp::SetAsk, level);
            }
            packet.ts_event_ns = packet.ts_event_ns.max(held.ids.ts_event_ns);
            at = held.ask_end;
        }
    }

    fn hold(&mut self, ids: Ids, packet: &Packet) {
        if let Some(before) = self.held.last() {
            if ids.last <= before.ids.last && self.phase == Phase::Waiting {
                self.late_run += 1;
                if self.late_run < LATE_RUN_PACKETS {
                    self.dropped += 1;
                    return;
                }
                self.forget();
            } else if ids.last <= before.ids.last || !self.continues(before.ids.last, ids) {
                // What was kept cannot lead to this update: no snapshot can use both.
                self.drop_held(self.held.len());
            }
        }
        if self.levels.len() + packet.levels.len() > MAX_HELD_LEVELS
            || self.held.len() >= MAX_HELD_UPDATES
        {
            self.drop_held(self.held.len().div_ceil(2));
        }
        let start = self.levels.len();
        for (op, levels) in packet.runs() {
            if op == BookOp::SetBid {
                self.levels.extend_from_slice(levels);
            }
        }
        let bid_end = self.levels.len();
        for (op, levels) in packet.runs() {
            if op == BookOp::SetAsk {
                self.levels.extend_from_slice(levels);
            }
        }
        debug_assert_eq!(self.levels.len() - start, packet.levels.len());
        self.held.push(Held { ids, bid_end, ask_end: self.levels.len() });
    }

    fn drop_held(&mut self, count: usize) {
        let Some(before) = count.checked_sub(1) else { return };
        let cut = self.held[before].ask_end;
        self.held.drain(..count);
        self.levels.drain(..cut);
        for held in &mut self.held {
            held.bid_end -= cut;
            held.ask_end -= cut;
        }
        if self.phase == Phase::Waiting {
            self.dropped += count as u64;
        }
    }

    fn forget(&mut self) {
        self.drop_held(self.held.len());
        self.late_run = 0;
    }
}
