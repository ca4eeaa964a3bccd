//! The book of the synthetic exchange: signed lots in a ring of ticks around the touch.

use market_model::Level;

/// Ticks by which the window moves at a time; far more than the touch moves between two diffs.
const STEP: i64 = 256;

/// Bids are positive lots, asks negative ones; a tick is never both.
#[derive(Debug, Clone)]
pub(super) struct Book {
    lots: Vec<i64>,
    /// What the last diff said.
    published: Vec<i64>,
    marked: Vec<bool>,
    dirty: Vec<i64>,
    /// Published levels that left the window, to be deleted by the next diff.
    gone: Vec<(i64, bool)>,
    center: i64,
    half: i64,
    best: [i64; 2],
}

/// Index of a side in [`Book`]: bids.
pub(super) const BID: usize = 0;
/// Index of a side in [`Book`]: asks.
pub(super) const ASK: usize = 1;

impl Book {
    /// An empty book around a price; `reach` is the distance up to which levels are kept, in ticks.
    pub(super) fn new(center: i64, reach: i64) -> Self {
        let half = (reach + 2 * STEP).cast_unsigned().next_power_of_two().cast_signed();
        let slots = usize::try_from(2 * half).unwrap_or_default();
        Self {
            lots: vec![0; slots],
            published: vec![0; slots],
            marked: vec![false; slots],
            dirty: Vec::new(),
            gone: Vec::new(),
            center,
            half,
            best: [center, center + 1],
        }
    }

    fn slot(&self, tick: i64) -> usize {
        (tick & (2 * self.half - 1)) as usize
    }

    fn holds(&self, tick: i64) -> bool {
        (self.center - self.half..self.center + self.half).contains(&tick)
    }

    /// Best price of a side, in ticks.
    pub(super) fn best(&self, side: usize) -> i64 {
        self.best[side]
    }

    /// Lots of a side at a price.
    pub(super) fn lots(&self, side: usize, tick: i64) -> i64 {
        if !self.holds(tick) {
            return 0;
        }
        let lots = self.lots[self.slot(tick)];
        (if side == BID { lots } else { -lots }).max(0)
    }

    /// Distance from the best price into the book, to a price.
    pub(super) fn price(&self, side: usize, distance: i64) -> i64 {
        if side == BID { self.best[BID] - distance } else { self.best[ASK] + distance }
    }

    /// The best level of a side.
    pub(super) fn top(&self, side: usize) -> Level {
        Level::new(self.best[side], self.lots(side, self.best[side]))
    }

    /// Sets the lots of a side at a price that the other side does not hold.
    pub(super) fn set(&mut self, side: usize, tick: i64, lots: i64) {
        if !self.holds(tick) {
            return;
        }
        let slot = self.slot(tick);
        self.lots[slot] = if side == BID { lots } else { -lots };
        if !self.marked[slot] {
            self.marked[slot] = true;
            self.dirty.push(tick);
        }
        if lots > 0 {
            if side == BID && tick > self.best[BID] || side == ASK && tick < self.best[ASK] {
                self.best[side] = tick;
            }
        } else if tick == self.best[side] {
            self.retreat(side);
        }
        self.follow();
    }

    /// Moves the best price of a side to its next level.
    fn retreat(&mut self, side: usize) {
        let step = if side == BID { -1 } else { 1 };
        let mut tick = self.best[side] + step;
        while self.holds(tick) && self.lots(side, tick) == 0 {
            tick += step;
        }
        if self.holds(tick) {
            self.best[side] = tick;
        } else {
            // Everything was taken: a market maker of last resort keeps the book two-sided.
            let tick = self.best[side] + 5 * step;
            self.best[side] = tick;
            self.set(side, tick, 1);
        }
    }

    fn follow(&mut self) {
        let middle = self.best[BID];
        while middle > self.center + STEP {
            self.drop_levels(self.center - self.half);
            self.center += STEP;
        }
        while middle < self.center - STEP {
            self.drop_levels(self.center + self.half - STEP);
            self.center -= STEP;
        }
    }

    fn drop_levels(&mut self, first: i64) {
        for tick in first..first + STEP {
            let slot = self.slot(tick);
            if self.published[slot] != 0 {
                self.gone.push((tick, self.published[slot] > 0));
            }
            self.lots[slot] = 0;
            self.published[slot] = 0;
            self.marked[slot] = false;
        }
        self.dirty.retain(|t| !(first..first + STEP).contains(t));
    }

    /// Moves what changed since the last call into a diff, by price.
    pub(super) fn publish(&mut self, bids: &mut Vec<Level>, asks: &mut Vec<Level>) {
        self.gone.sort_unstable();
        for &(tick, is_bid) in &self.gone {
            if is_bid { &mut *bids } else { &mut *asks }.push(Level::new(tick, 0));
        }
        self.gone.clear();
        self.dirty.sort_unstable();
        for &tick in &self.dirty {
            let slot = (tick & (2 * self.half - 1)) as usize;
            let (old, new) = (self.published[slot], self.lots[slot]);
            self.published[slot] = new;
            self.marked[slot] = false;
            if old > 0 && new <= 0 {
                bids.push(Level::new(tick, 0));
            } else if old < 0 && new >= 0 {
                asks.push(Level::new(tick, 0));
            }
            if new > 0 && new != old {
                bids.push(Level::new(tick, new));
            } else if new < 0 && new != old {
                asks.push(Level::new(tick, -new));
            }
        }
        self.dirty.clear();
    }

    /// The best levels of both sides, best first.
    pub(super) fn snapshot(&self, levels: usize, bids: &mut Vec<Level>, asks: &mut Vec<Level>) {
        for (side, out) in [(BID, bids), (ASK, asks)] {
            let step = if side == BID { -1 } else { 1 };
            let mut tick = self.best[side];
            while out.len() < levels && self.holds(tick) {
                let lots = self.lots(side, tick);
                if lots > 0 {
                    out.push(Level::new(tick, lots));
                }
                tick += step;
            }
        }
    }
}
