//! One side of the book: quantities indexed by price, in pages.
//!
//! Keys run so that the best level is always the highest key (bids: the price; asks: its negative),
//! and both sides share one code path. Setting a level writes one quantity and one bit, at any depth
//! and any distance; the next best level is found by counting zeros. Prices too far from the rest
//! for the window of pages go to a small tree: that bounds memory for hostile prices, and real data
//! does not reach it (`docs/decisions/0003-price-indexed-pages.md`).

mod pages;
mod shift;

use std::collections::BTreeMap;

use market_model::{BookNeeds, Level};

use pages::{PAGE_BITS, PAGE_LEVELS, Pages, SUM_BITS};

/// Levels that one side may hold (rule D23).
pub const MAX_LEVELS: usize = 50_000;

// The number of a page before the window must not come out as one of its pages.
const _: () = assert!(usize::BITS == 64, "numbers of pages are cast");

/// Packets between two moves of the window, so that a hostile feed cannot make us rebuild always.
const RECENTRE_EVERY: u32 = 1_024;

/// One side of the book; see the module documentation.
pub(crate) struct Ladder {
    pages: Pages,
    far: BTreeMap<i64, i64>,
    /// No more levels than this in the pages; counted anew only when it comes near the limit.
    most_levels: usize,
    /// No level lies above this key.
    best_bound: i64,
    /// Key of the last level in `top`; a change below it cannot alter `top`.
    top_floor: i64,
    top_is_stale: bool,
    top: Vec<Level>,
    top_version: u64,
    needs: BookNeeds,
    is_ask: bool,
    packets_since_recentre: u32,
    pub(crate) unknown_deletes: u64,
}

impl Ladder {
    pub(crate) fn new(is_ask: bool, needs: BookNeeds) -> Self {
        Self {
            pages: Pages::new(),
            far: BTreeMap::new(),
            most_levels: 0,
            best_bound: i64::MIN,
            top_floor: i64::MIN,
            top_is_stale: false,
            top: Vec::with_capacity(needs.top_count.max(1)),
            top_version: 0,
            needs: BookNeeds { top_count: needs.top_count.max(1), ..needs },
            is_ask,
            packets_since_recentre: 0,
            unknown_deletes: 0,
        }
    }

    #[inline]
    fn key(&self, price_ticks: i64) -> i64 {
        if self.is_ask { -price_ticks } else { price_ticks }
    }

    /// Key of a level; below every key when there is none.
    #[inline]
    fn key_of(&self, level: Option<&Level>) -> i64 {
        level.map_or(i64::MIN, |level| self.key(level.price_ticks))
    }

    /// Best levels, best first; valid after [`Ladder::settle`].
    #[inline]
    pub(crate) fn top(&self) -> &[Level] {
        &self.top
    }

    /// Changes whenever the best levels may have.
    #[inline]
    pub(crate) fn top_version(&self) -> u64 {
        self.top_version
    }

    /// Whether so many changes cannot bring the side over its limit.
    #[inline]
    pub(crate) fn has_room_for(&mut self, changes: usize) -> bool {
        if self.most_levels + self.far.len() + changes <= MAX_LEVELS {
            return true;
        }
        self.most_levels = self.pages.count();
        self.len() + changes <= MAX_LEVELS
    }

    /// Number of levels. Counts them.
    pub(crate) fn len(&self) -> usize {
        self.pages.count() + self.far.len()
    }

    /// Sets levels, quantity 0 deletes. The whole run is of one side, so nothing branches on it.
    #[inline]
    pub(crate) fn set_run(&mut self, levels: &[Level]) {
        match (self.is_ask, self.needs.band_sums) {
            (false, false) => self.set_all::<false, false>(levels),
            (false, true) => self.set_all::<false, true>(levels),
            (true, false) => self.set_all::<true, false>(levels),
            (true, true) => self.set_all::<true, true>(levels),
        }
    }

    fn set(&mut self, key: i64, qty_lots: i64) {
        let level = [Level { price_ticks: self.key(key), qty_lots }];
        self.set_run(&level);
    }

    #[inline]
    fn set_all<const IS_ASK: bool, const SUMS: bool>(&mut self, mut levels: &[Level]) {
        self.most_levels += levels.len();
        loop {
            levels = &levels[self.set_paged::<IS_ASK, SUMS>(levels)..];
            let Some((level, rest)) = levels.split_first() else { return };
            self.set_without_page(self.key(level.price_ticks), level.qty_lots);
            levels = rest;
        }
    }

    /// Sets levels up to the first one without an open page; how many were set.
    #[inline]
    fn set_paged<const IS_ASK: bool, const SUMS: bool>(&mut self, levels: &[Level]) -> usize {
        // In locals, because a write to a page could otherwise be one to the fields of the ladder.
        let (pages, is_open, first) = self.pages.parts_mut();
        let (mut highest, mut unknown) = (i64::MIN, 0_u64);
        let mut done = levels.len();
        for (index, level) in levels.iter().enumerate() {
            let key = if IS_ASK { -level.price_ticks } else { level.price_ticks };
            let number = ((key >> PAGE_BITS) - first).cast_unsigned() as usize;
            let (Some(true), Some(page)) = (is_open.get(number), pages.get_mut(number)) else {
                done = index;
                break;
            };
            highest = highest.max(key);
            let cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
            let old_lots = core::mem::replace(&mut page.qty_lots[cell], level.qty_lots);
            if SUMS {
                page.sums_lots[cell >> SUM_BITS] += level.qty_lots - old_lots;
            }
            // Branch-free: whether a level appears or vanishes is a coin toss on real feeds.
            let (is, was) = (level.qty_lots != 0, old_lots != 0);
            page.occupied[cell >> 6] ^= u64::from(is ^ was) << (cell & 63);
            unknown += u64::from(level.qty_lots | old_lots == 0);
        }
        self.unknown_deletes += unknown;
        self.top_is_stale |= highest >= self.top_floor;
        // A delete raises the bound as well: that is no harm, the top is then found anew.
        self.best_bound = self.best_bound.max(highest);
        done
    }

    /// A key without an open page: opens it if the limits allow, else it goes to the tree.
    #[cold]
    #[inline(never)]
    fn set_without_page(&mut self, key: i64, qty_lots: i64) {
        self.top_is_stale |= key >= self.top_floor;
        self.best_bound = self.best_bound.max(key);
        if qty_lots == 0 {
            let known = self.far.remove(&key).is_some();
            self.unknown_deletes += u64::from(!known);
            return;
        }
        if self.far.contains_key(&key) || !self.pages.open(key >> PAGE_BITS) {
            self.far.insert(key, qty_lots);
            return;
        }
        self.set(key, qty_lots);
        // Levels of this page that had gone to the tree come home.
        let low = key >> PAGE_BITS << PAGE_BITS;
        let homeless = self.far.range(low..low + PAGE_LEVELS as i64);
        let homeless: Vec<(i64, i64)> = homeless.map(|(k, q)| (*k, *q)).collect();
        for (key, qty_lots) in homeless {
            self.far.remove(&key);
            self.set(key, qty_lots);
        }
    }

    /// Ends a packet: finds the best level and, if it may have changed, the top levels.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.packets_since_recentre = self.packets_since_recentre.saturating_add(1);
        if self.top_is_stale {
            self.refill_top();
        }
    }

    fn refill_top(&mut self) {
        self.top_version += 1;
        self.top.clear();
        let mut bound = self.best_bound;
        while self.top.len() < self.needs.top_count {
            if self.far.is_empty() {
                let Some(key) = self.pages.at_or_below(bound) else { break };
                self.take_from_page(key);
            } else {
                let Some((key, qty_lots)) = self.at_or_below(bound) else { break };
                self.top.push(Level { price_ticks: self.key(key), qty_lots });
            }
            bound = self.key_of(self.top.last()) - 1;
        }
        self.best_bound = self.key_of(self.top.first());
        let is_full = self.top.len() == self.needs.top_count;
        self.top_floor = if is_full { bound + 1 } else { i64::MIN };
        self.top_is_stale = false;
        if !self.far.is_empty() && self.packets_since_recentre > RECENTRE_EVERY {
            self.recentre();
        }
    }

    /// Appends the levels of one page to the top levels, from a key that has a level downwards.
    #[inline]
    fn take_from_page(&mut self, key: i64) {
        let first = key >> PAGE_BITS << PAGE_BITS;
        let Self { pages, top, is_ask, needs, .. } = self;
        let Some(page) = pages.get(key >> PAGE_BITS) else { return };
        page.each_at_or_below((key - first).cast_unsigned() as usize, |cell, qty_lots| {
            let key = first | cell as i64;
            top.push(Level { price_ticks: if *is_ask { -key } else { key }, qty_lots });
            top.len() == needs.top_count
        });
    }

    /// Moves the window to the market when the best level has ended up in the tree, or when pages
    /// without levels use all its memory.
    #[cold]
    fn recentre(&mut self) {
        self.packets_since_recentre = 0;
        if !self.far.contains_key(&self.best_bound) && !self.pages.is_full() {
            return;
        }
        let mut fresh = Self::new(self.is_ask, self.needs);
        // From the best level downwards: the window begins at the market.
        fresh.set_run(&self.levels());
        (fresh.unknown_deletes, fresh.top_version) = (self.unknown_deletes, self.top_version);
        *self = fresh;
        self.refill_top();
    }

    /// The highest level with key at or below `key`.
    #[inline]
    fn at_or_below(&mut self, key: i64) -> Option<(i64, i64)> {
        let near = self.pages.at_or_below(key).map(|key| (key, self.paged_lots(key)));
        if self.far.is_empty() {
            return near;
        }
        let far = self.far.range(..=key).next_back().map(|(k, q)| (*k, *q));
        near.max(far)
    }

    /// The best price, also between two settlings.
    pub(crate) fn best_ticks(&mut self) -> Option<i64> {
        self.at_or_below(self.best_bound).map(|(key, _)| self.key(key))
    }

    fn paged_lots(&self, key: i64) -> i64 {
        let cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
        self.pages.get(key >> PAGE_BITS).map_or(0, |page| page.qty_lots[cell])
    }

    /// Removes every level.
    pub(crate) fn clear(&mut self) {
        self.pages.clear();
        self.far.clear();
        self.most_levels = 0;
        (self.best_bound, self.top_floor, self.top_is_stale) = (i64::MIN, i64::MIN, true);
    }

    /// Removes the levels from the best to `price_ticks`, inclusive.
    pub(crate) fn clear_to(&mut self, price_ticks: i64) {
        let floor = self.key(price_ticks);
        let mut next = self.at_or_below(self.best_bound);
        while let Some((key, _)) = next.filter(|(key, _)| *key >= floor) {
            self.set(key, 0);
            next = self.at_or_below(key - 1);
        }
    }

    /// Sum of lots between two prices, inclusive.
    pub(crate) fn qty_between_lots(&self, low_ticks: i64, high_ticks: i64) -> i128 {
        if low_ticks > high_ticks {
            return 0;
        }
        let (a, b) = (self.key(low_ticks), self.key(high_ticks));
        let (low, high) = (a.min(b), a.max(b));
        let near = self.pages.sum_lots(low, high, self.needs.band_sums);
        if self.far.is_empty() {
            return near;
        }
        near + self.far.range(low..=high).map(|(_, qty)| i128::from(*qty)).sum::<i128>()
    }

    /// Visits the levels between two prices, inclusive, best first.
    pub(crate) fn for_each_between(
        &self,
        low_ticks: i64,
        high_ticks: i64,
        mut visit: impl FnMut(Level),
    ) {
        if low_ticks > high_ticks {
            return;
        }
        let (a, b) = (self.key(low_ticks), self.key(high_ticks));
        let (low, high) = (a.min(b), a.max(b));
        let mut far = self.far.range(low..=high).rev().peekable();
        let mut visit = |key: i64, qty_lots| visit(Level { price_ticks: self.key(key), qty_lots });
        self.pages.for_each_between(low, high, |key, qty_lots| {
            while let Some((far_key, far_lots)) = far.next_if(|(far_key, _)| **far_key > key) {
                visit(*far_key, *far_lots);
            }
            visit(key, qty_lots);
        });
        far.for_each(|(key, qty_lots)| visit(*key, *qty_lots));
    }

    /// Quantity at a price; 0 when absent.
    pub(crate) fn qty_at_lots(&self, price_ticks: i64) -> i64 {
        let key = self.key(price_ticks);
        let far = || self.far.get(&key).copied().unwrap_or(0);
        Some(self.paged_lots(key)).filter(|lots| *lots != 0).unwrap_or_else(far)
    }

    /// Every level, best first.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let mut keys: Vec<(i64, i64)> = self.far.iter().map(|(k, q)| (*k, *q)).collect();
        for (number, page) in self.pages.each_open() {
            let mut cell = page.at_or_below(PAGE_LEVELS - 1);
            while let Some(found) = cell {
                keys.push(((number << PAGE_BITS) | found as i64, page.qty_lots[found]));
                cell = found.checked_sub(1).and_then(|below| page.at_or_below(below));
            }
        }
        keys.sort_unstable_by_key(|(key, _)| core::cmp::Reverse(*key));
        let level = |(key, qty_lots)| Level { price_ticks: self.key(key), qty_lots };
        keys.into_iter().map(level).collect()
    }
}
