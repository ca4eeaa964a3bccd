//! The order flow as messages: ids, clocks, the network, and what goes wrong on it.

use std::collections::VecDeque;

use market_model::Level;

use super::book::{ASK, BID};
use super::config::{Checked, SyntheticConfig};
use super::flow::Flow;
use super::rng::Rng;
use super::{SyntheticKind, SyntheticMessage};
use crate::error::Error;

const NS_PER_MS: i64 = 1_000_000;

/// Diffs before the first snapshot is asked for.
const DIFFS_BEFORE_SNAPSHOT: u32 = 2;

/// Diffs after a fault before its snapshot is asked for.
const DIFFS_BEFORE_RECOVERY: u32 = 8;

/// Order events between asking for a snapshot and its state.
const EVENTS_BEFORE_ANSWER: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Gap,
    Crossed,
    Duplicate,
    Reorder,
}

/// What was put into a stream so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyntheticCounts {
    /// Messages handed out.
    pub messages: u64,
    /// Diffs among them.
    pub diffs: u64,
    /// Trades among them.
    pub trades: u64,
    /// Best quotes among them.
    pub book_tickers: u64,
    /// Snapshots among them.
    pub snapshots: u64,
    /// Diffs that were lost.
    pub gaps: u64,
    /// Diffs that crossed the book.
    pub crossed: u64,
    /// Diffs that were repeated.
    pub duplicates: u64,
    /// Pairs of diffs that were swapped.
    pub reorders: u64,
}

/// The messages of a synthetic market, in order of arrival.
///
/// ```
/// use market_io::synthetic::{SyntheticConfig, SyntheticMessage, SyntheticStream};
/// let mut stream = SyntheticStream::new(&SyntheticConfig::default())?;
/// let mut message = SyntheticMessage::default();
/// while stream.next_message(&mut message) {}
/// assert_eq!(stream.counts().snapshots, 1);
/// # Ok::<(), market_io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SyntheticStream {
    flow: Flow,
    /// Network and faults draw apart from the market: faults do not change its path.
    noise: Rng,
    levels: usize,
    mean_step_ns: u64,
    mean_diff_ns: u64,
    now_ns: i64,
    end_ns: i64,
    next_diff_ns: i64,
    last_recv_ns: i64,
    seq: u64,
    first_seq: u64,
    published_seq: u64,
    trade_id: u64,
    quoted: [Level; 2],
    queue: VecDeque<SyntheticMessage>,
    spare: Vec<SyntheticMessage>,
    /// A snapshot on its way, and when it arrives.
    snapshot: Option<(i64, SyntheticMessage)>,
    diffs_until_snapshot: Option<u32>,
    events_until_snapshot: Option<u32>,
    faults: VecDeque<(i64, Fault)>,
    /// A diff that is held back until the next one was sent.
    swapped: Option<SyntheticMessage>,
    /// Bid that crosses, to be taken out of the next diff again.
    crossing: Option<i64>,
    counts: SyntheticCounts,
}

impl SyntheticStream {
    /// A market at its beginning.
    ///
    /// # Errors
    ///
    /// See [`SyntheticConfig::instrument`].
    pub fn new(config: &SyntheticConfig) -> Result<Self, Error> {
        let Checked { start_ticks, reach, .. } = config.check()?;
        let mut noise = Rng::new(config.seed ^ 0x6E6F_6973_6500);
        let mean_diff_ns = 1_000_000_000 / u64::from(config.packets_per_second);
        let faults = plan(config, &mut noise);
        let seq = 5_000_000_000_000 + (config.seed & 0xFFFF_FFFF);
        let flow = Flow::new(config.seed, start_ticks, reach);
        let mut stream = Self {
            flow,
            noise,
            levels: config.levels as usize,
            mean_step_ns: (mean_diff_ns / u64::from(config.events_per_packet)).max(1),
            mean_diff_ns,
            now_ns: config.start_ns,
            end_ns: config.start_ns + config.duration_ns,
            next_diff_ns: config.start_ns,
            last_recv_ns: 0,
            seq,
            first_seq: 0,
            published_seq: seq - 40,
            trade_id: 1_000_000,
            quoted: [Level::default(); 2],
            queue: VecDeque::new(),
            spare: Vec::new(),
            snapshot: None,
            diffs_until_snapshot: Some(DIFFS_BEFORE_SNAPSHOT),
            events_until_snapshot: None,
            faults,
            swapped: None,
            crossing: None,
            counts: SyntheticCounts::default(),
        };
        // The standing orders are old: no diff tells of them.
        let mut scratch = SyntheticMessage::default();
        stream.flow.book.publish(&mut scratch.bids, &mut scratch.asks);
        stream.next_diff_ns += stream.diff_interval_ns();
        Ok(stream)
    }

    /// Fills `message` with the next one; `false` at the end.
    pub fn next_message(&mut self, message: &mut SyntheticMessage) -> bool {
        while self.queue.is_empty() {
            if self.now_ns >= self.end_ns {
                message.clear();
                return false;
            }
            self.step();
        }
        let Some(next) = self.queue.pop_front() else { return false };
        let old = std::mem::replace(message, next);
        self.spare.push(old);
        self.counts.messages += 1;
        *match message.kind {
            SyntheticKind::Diff => &mut self.counts.diffs,
            SyntheticKind::Trade => &mut self.counts.trades,
            SyntheticKind::Snapshot => &mut self.counts.snapshots,
            SyntheticKind::BookTicker => &mut self.counts.book_tickers,
        } += 1;
        true
    }

    /// What was put into the stream so far.
    #[must_use]
    pub const fn counts(&self) -> SyntheticCounts {
        self.counts
    }

    /// Event time passed and total, ns.
    pub(super) const fn elapsed_ns(&self, start_ns: i64) -> (i64, i64) {
        (self.now_ns - start_ns, self.end_ns - start_ns)
    }

    fn step(&mut self) {
        let mean = (self.mean_step_ns / self.flow.pace()).max(1);
        let wait = 1 + self.flow.rng.exponential(mean).cast_signed();
        let then = self.now_ns + wait;
        if then >= self.next_diff_ns {
            self.now_ns = self.next_diff_ns;
            self.next_diff_ns += self.diff_interval_ns();
            self.diff();
            return;
        }
        self.now_ns = then;
        self.event();
    }

    fn event(&mut self) {
        self.flow.step();
        // Ids count the changes of all symbols of the venue: they have holes.
        self.seq += 1 + self.flow.rng.below(4) * self.flow.rng.below(4);
        if self.first_seq == 0 {
            self.first_seq = self.seq;
        }
        for index in 0..self.flow.trades.len() {
            let mut message = self.message(SyntheticKind::Trade, self.now_ns);
            message.trade = self.flow.trades[index];
            self.trade_id += 1;
            message.first_seq = self.trade_id;
            self.send(message);
        }
        self.quote();
        self.events_until_snapshot = match self.events_until_snapshot {
            Some(0) => {
                self.answer_snapshot();
                None
            }
            left => left.map(|left| left - 1),
        };
    }

    fn quote(&mut self) {
        let best = [BID, ASK].map(|side| self.flow.book.top(side));
        if best == self.quoted {
            return;
        }
        self.quoted = best;
        let mut message = self.message(SyntheticKind::BookTicker, self.now_ns);
        message.seq = self.seq;
        message.bids.push(best[BID]);
        message.asks.push(best[ASK]);
        self.send(message);
    }

    /// Diffs come in a rhythm with some jitter, as a venue's timer fires.
    fn diff_interval_ns(&mut self) -> i64 {
        let jitter = (self.mean_diff_ns / 8).max(1);
        let exact = self.mean_diff_ns - jitter / 2 + self.flow.rng.below(jitter);
        exact.max(1).cast_signed()
    }

    fn diff(&mut self) {
        let mut message = self.message(SyntheticKind::Diff, self.now_ns);
        self.flow.book.publish(&mut message.bids, &mut message.asks);
        if let Some(tick) = self.crossing.take()
            && !message.bids.iter().any(|level| level.price_ticks == tick)
            && self.flow.book.lots(BID, tick) == 0
        {
            message.bids.push(Level::new(tick, 0));
        }
        if message.bids.is_empty() && message.asks.is_empty() {
            self.spare.push(message);
            return;
        }
        if self.first_seq == 0 {
            self.seq += 1;
            self.first_seq = self.seq;
        }
        (message.first_seq, message.seq) = (self.first_seq, self.seq);
        message.prev_seq = self.published_seq;
        self.published_seq = self.seq;
        self.first_seq = 0;
        self.deliver(message);
        self.count_down();
    }

    /// Sends a diff, through the fault that is due, if one is.
    fn deliver(&mut self, mut message: SyntheticMessage) {
        let is_calm = self.diffs_until_snapshot.is_none()
            && self.events_until_snapshot.is_none()
            && self.snapshot.is_none();
        let due = self.faults.front().is_some_and(|&(at, _)| at <= self.now_ns) && is_calm;
        let fault = if due && self.swapped.is_none() { self.faults.pop_front() } else { None };
        match fault.map(|(_, fault)| fault) {
            None => self.send(message),
            Some(Fault::Gap) => {
                self.counts.gaps += 1;
                self.diffs_until_snapshot = Some(DIFFS_BEFORE_RECOVERY);
                self.spare.push(message);
            }
            Some(Fault::Duplicate) => {
                self.counts.duplicates += 1;
                self.send(message.clone());
                self.send(message);
            }
            Some(Fault::Reorder) => {
                self.counts.reorders += 1;
                self.diffs_until_snapshot = Some(DIFFS_BEFORE_RECOVERY);
                self.swapped = Some(message);
                return;
            }
            Some(Fault::Crossed) => {
                self.counts.crossed += 1;
                let tick = self.flow.book.best(ASK) + 2;
                message.bids.retain(|level| level.price_ticks != tick);
                message.bids.push(Level::new(tick, 3));
                self.crossing = Some(tick);
                self.send(message);
            }
        }
        if let Some(late) = self.swapped.take() {
            self.send(late);
        }
    }

    fn count_down(&mut self) {
        self.diffs_until_snapshot = match self.diffs_until_snapshot {
            Some(0) => {
                self.events_until_snapshot = Some(EVENTS_BEFORE_ANSWER);
                None
            }
            Some(left) => Some(left - 1),
            None => None,
        };
    }

    /// The venue answers in the middle of a diff; the answer takes its time.
    fn answer_snapshot(&mut self) {
        let mut message = self.message(SyntheticKind::Snapshot, self.now_ns);
        message.seq = self.seq;
        self.flow.book.snapshot(self.levels, &mut message.bids, &mut message.asks);
        let delay_ns = 40 * NS_PER_MS + self.noise.below_i64(160 * NS_PER_MS);
        let diffs_ns = 3 * self.mean_diff_ns.cast_signed();
        self.snapshot = Some((self.now_ns + delay_ns.min(diffs_ns.max(NS_PER_MS)), message));
    }

    /// An empty message of the venue's clock, which shows milliseconds.
    fn message(&mut self, kind: SyntheticKind, now_ns: i64) -> SyntheticMessage {
        let mut message = self.spare.pop().unwrap_or_default();
        message.clear();
        message.kind = kind;
        message.ts_event_ns = now_ns - now_ns % NS_PER_MS;
        let is_slow = self.noise.below(12) == 0;
        message.ts_sent_ns = message.ts_event_ns + i64::from(is_slow) * NS_PER_MS;
        message
    }

    /// Puts a message on the wire, which keeps the order and has a long tail of delays.
    fn send(&mut self, mut message: SyntheticMessage) {
        let tail = if self.noise.below(500) == 0 { 25_000_000 } else { 900_000 };
        let delay_ns = 1_500_000 + self.noise.exponential(tail).cast_signed();
        let recv_ns = (self.now_ns + delay_ns).max(self.last_recv_ns + 700);
        if self.snapshot.as_ref().is_some_and(|&(arrival_ns, _)| arrival_ns <= recv_ns)
            && let Some((arrival_ns, mut snapshot)) = self.snapshot.take()
        {
            snapshot.ts_recv_ns = arrival_ns.max(self.last_recv_ns + 300);
            self.last_recv_ns = snapshot.ts_recv_ns;
            self.queue.push_back(snapshot);
        }
        message.ts_recv_ns = recv_ns.max(self.last_recv_ns + 300);
        self.last_recv_ns = message.ts_recv_ns;
        self.queue.push_back(message);
    }
}

/// Spreads the faults over the time, in an order of the seed's choosing.
fn plan(config: &SyntheticConfig, noise: &mut Rng) -> VecDeque<(i64, Fault)> {
    let mut kinds: Vec<Fault> = Vec::new();
    for (count, fault) in [
        (config.gaps, Fault::Gap),
        (config.crossed, Fault::Crossed),
        (config.duplicates, Fault::Duplicate),
        (config.reorders, Fault::Reorder),
    ] {
        kinds.extend(std::iter::repeat_n(fault, count as usize));
    }
    for index in (1..kinds.len()).rev() {
        let other = noise.below(index as u64 + 1) as usize;
        kinds.swap(index, other);
    }
    let parts = i128::try_from(kinds.len()).unwrap_or(0) + 1;
    let at = |index: usize| {
        let share = i128::from(config.duration_ns) * (index as i128 + 1) / parts;
        config.start_ns + i64::try_from(share).unwrap_or(i64::MAX)
    };
    kinds.into_iter().enumerate().map(|(index, fault)| (at(index), fault)).collect()
}
