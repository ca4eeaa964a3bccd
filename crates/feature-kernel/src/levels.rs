//! The best levels of two packets compared: what joined and left each of them.

use core::cmp::Ordering;

use market_model::{BookView, Level, Side, StateError, StateReader, StateWriter};

/// Levels of a side that a parameter can ask for.
pub(crate) const MAX_LEVELS: usize = 64;

/// How the levels of two packets are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// A level is its price: a level that shifts is no flow.
    Price,
    /// A level is its number, as in the systems that feed on arrays.
    Index,
}

impl Align {
    pub(crate) fn of(word: &str) -> Self {
        if word == "index" { Self::Index } else { Self::Price }
    }
}

/// The best levels after the last book packet that left a two-sided book.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    bids: Vec<Level>,
    asks: Vec<Level>,
    count: usize,
}

impl Anchor {
    pub(crate) fn new(count: usize) -> Self {
        Self { bids: Vec::with_capacity(count), asks: Vec::with_capacity(count), count }
    }

    /// Whether there was such a packet: then both sides have a level.
    pub(crate) fn is_set(&self) -> bool {
        !self.bids.is_empty()
    }

    /// Best levels of a side; fewer than asked for only when the side had no more.
    pub(crate) fn top(&self, side: Side) -> &[Level] {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// Remembers the levels of this packet.
    pub(crate) fn take<B: BookView>(&mut self, book: &B) {
        for (kept, side) in [(&mut self.bids, Side::Bid), (&mut self.asks, Side::Ask)] {
            let top = book.top(side);
            kept.clear();
            kept.extend_from_slice(&top[..top.len().min(self.count)]);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        for levels in [&self.bids, &self.asks] {
            out.u64(levels.len() as u64);
            for level in levels {
                out.i64(level.price_ticks);
                out.i64(level.qty_lots);
            }
        }
    }

    pub(crate) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.reset();
        for levels in [&mut self.bids, &mut self.asks] {
            let count = from.count("anchor", 16)?;
            if count > self.count {
                return Err(from.invalid("anchor", &count));
            }
            for _ in 0..count {
                levels.push(Level::new(from.i64()?, from.i64()?));
            }
        }
        Ok(())
    }
}

/// Visits the levels of an anchor and a book that differ, with their rank and the lots that joined the
/// bids or left the asks there; how many levels could be compared, up to `levels`.
#[inline]
fn compare<B: BookView>(
    anchor: &Anchor,
    book: &B,
    levels: usize,
    align: Align,
    mut visit: impl FnMut(usize, i64),
) -> usize {
    let mut known = levels;
    for (side, sign) in [(Side::Bid, 1), (Side::Ask, -1)] {
        let (before, now) = (anchor.top(side), book.top(side));
        let before = &before[..before.len().min(levels)];
        let now = &now[..now.len().min(levels)];
        let mut add = |rank: usize, lots: i64| visit(rank, sign * lots);
        match align {
            Align::Price => by_price(side, before, now, levels, add),
            Align::Index => {
                let pairs = before.iter().zip(now).enumerate();
                pairs.for_each(|(rank, (old, new))| add(rank, by_index(side, old, new)));
                known = known.min(before.len()).min(now.len());
            }
        }
    }
    known
}

/// Lots that joined the bids and left the asks between two packets, from level `first` on, matched by
/// price; 128 levels of 2^53 lots fit.
#[inline]
pub(crate) fn net_lots<B: BookView>(anchor: &Anchor, book: &B, levels: usize, first: usize) -> i64 {
    let mut sum = 0;
    let add = |rank, lots| sum += if rank >= first { lots } else { 0 };
    compare(anchor, book, levels, Align::Price, add);
    sum
}

/// Lots that joined the bids and left the asks between two packets, by level.
#[derive(Debug, Clone)]
pub(crate) struct LevelFlow {
    lots: [i64; MAX_LEVELS],
    /// Levels that could be compared: those beyond are unknown.
    known: usize,
}

impl LevelFlow {
    /// Nothing flowed at the first `levels` levels.
    pub(crate) const fn none(levels: usize) -> Self {
        Self { lots: [0; MAX_LEVELS], known: levels }
    }

    /// Becomes [`LevelFlow::none`].
    pub(crate) fn clear(&mut self, levels: usize) {
        self.lots[..self.known].fill(0);
        self.lots[..levels].fill(0);
        self.known = levels;
    }

    /// Compares the first `levels` levels of an anchor with those of a book.
    #[inline]
    pub(crate) fn take<B: BookView>(
        &mut self,
        anchor: &Anchor,
        book: &B,
        levels: usize,
        align: Align,
    ) {
        self.clear(levels);
        let lots = &mut self.lots;
        self.known = compare(anchor, book, levels, align, |rank, flow| lots[rank] += flow);
    }

    /// Net lots of each level, best first.
    pub(crate) fn lots(&self) -> &[i64] {
        &self.lots[..self.known]
    }

    /// Net lots of all levels; 128 levels of 2^53 lots fit.
    pub(crate) fn total_lots(&self) -> i64 {
        self.lots().iter().sum()
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        out.u64(self.known as u64);
        self.lots.iter().for_each(|lots| out.i64(*lots));
    }

    pub(crate) fn load(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let known = from.u64()?;
        let mut flow = Self::none(0);
        flow.known = match usize::try_from(known) {
            Ok(known) if known <= MAX_LEVELS => known,
            _ => return Err(from.invalid("flow.known", &known)),
        };
        for lots in &mut flow.lots {
            *lots = from.i64()?;
        }
        Ok(flow)
    }
}

/// `Less` when the first price is the better one.
#[inline]
fn order(side: Side, a_ticks: i64, b_ticks: i64) -> Ordering {
    match side {
        Side::Bid => b_ticks.cmp(&a_ticks),
        Side::Ask => a_ticks.cmp(&b_ticks),
    }
}

/// Merges two lists, best first, and stops where one of them stops knowing: a full list says nothing
/// about the prices behind its last one, a shorter one says that they are empty.
#[inline]
fn by_price(
    side: Side,
    before: &[Level],
    now: &[Level],
    levels: usize,
    mut add: impl FnMut(usize, i64),
) {
    let (mut i, mut j) = (0, 0);
    while i < levels && j < levels {
        match (now.get(i), before.get(j)) {
            (Some(new), Some(old)) => match order(side, new.price_ticks, old.price_ticks) {
                Ordering::Less => {
                    add(i, new.qty_lots);
                    i += 1;
                }
                Ordering::Equal => {
                    add(i, new.qty_lots - old.qty_lots);
                    (i, j) = (i + 1, j + 1);
                }
                Ordering::Greater => {
                    add(j, -old.qty_lots);
                    j += 1;
                }
            },
            (Some(new), None) => {
                add(i, new.qty_lots);
                i += 1;
            }
            (None, Some(old)) => {
                add(j, -old.qty_lots);
                j += 1;
            }
            (None, None) => break,
        }
    }
}

/// What Cont, Kukanov and Stoikov count at the touch, for one level number.
#[inline]
fn by_index(side: Side, old: &Level, new: &Level) -> i64 {
    match order(side, new.price_ticks, old.price_ticks) {
        Ordering::Less => new.qty_lots,
        Ordering::Equal => new.qty_lots - old.qty_lots,
        Ordering::Greater => -old.qty_lots,
    }
}
