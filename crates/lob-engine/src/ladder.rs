//! One side of the book: quantities indexed by price, in pages.
//!
//! Keys run so that the best level is always the highest key (bids: the price; asks: its negative),
//! and both sides share one code path. A page holds 512 neighbouring prices with their occupancy
//! bits; a directory finds the page of a key, a summary bitmap the next page that is not empty.
//! Setting a level touches one page and costs the same at any depth and any distance; the next best
//! is found by counting zeros. Prices too far from the rest for the directory go to a small tree:
//! that bounds memory for hostile prices, and real data does not reach it
//! (`docs/decisions/0003-price-indexed-pages.md`).

use std::collections::BTreeMap;

use market_model::Level;

/// Levels that one side may hold (rule D23).
pub const MAX_LEVELS: usize = 50_000;

const PAGE_BITS: u32 = 9;
const PAGE_LEVELS: usize = 1 << PAGE_BITS;
const PAGE_WORDS: usize = PAGE_LEVELS / 64;
/// Directory entries: 2^17 pages of 512 prices cover 67 million ticks around the market.
const MAX_DIRECTORY: usize = 1 << 17;
/// Pages of one side: 34 MB. Beyond it, single levels go to the tree.
const MAX_PAGES: usize = 1 << 13;
const NO_PAGE: u32 = u32::MAX;
/// Packets between two moves of the directory, so that a hostile feed cannot make us rebuild always.
const RECENTRE_EVERY: u32 = 1_024;

#[derive(Debug, Clone)]
struct Page {
    qty_lots: [i64; PAGE_LEVELS],
    occupied: [u64; PAGE_WORDS],
    live: u32,
    /// Sums of 64 neighbouring quantities: a band adds those, and levels only at its two ends. All
    /// 512 quantities of a page, each below 2^53, fit.
    word_lots: [i64; PAGE_WORDS],
    number: i64,
}

impl Page {
    /// Sum of lots of the cells `from..=to`. Empty levels are 0, so that no loop has a test.
    #[inline]
    fn sum_lots(&self, from: usize, to: usize) -> i64 {
        let cells = |from: usize, to: usize| self.qty_lots[from..=to].iter().sum::<i64>();
        let (first, last) = (from >> 6, to >> 6);
        if first == last {
            return if from & 63 == 0 && to & 63 == 63 {
                self.word_lots[first]
            } else {
                cells(from, to)
            };
        }
        let head = if from & 63 == 0 { self.word_lots[first] } else { cells(from, from | 63) };
        let tail = if to & 63 == 63 { self.word_lots[last] } else { cells(to & !63, to) };
        head + self.word_lots[first + 1..last].iter().sum::<i64>() + tail
    }
}

/// One side of the book; see the module documentation.
#[derive(Debug, Clone)]
pub(crate) struct Ladder {
    pages: Vec<Page>,
    directory: Vec<u32>,
    /// One bit per directory entry: the page has at least one level.
    summary: Vec<u64>,
    /// Page number of the first directory entry; a multiple of 64.
    first_page: i64,
    far: BTreeMap<i64, i64>,
    near_levels: u64,
    /// No level lies above this key.
    best_bound: i64,
    /// Key of the last level in `top`; a change below it cannot alter `top`.
    top_floor: i64,
    top_is_stale: bool,
    top: Vec<Level>,
    top_count: usize,
    is_ask: bool,
    packets_since_recentre: u32,
    pub(crate) unknown_deletes: u64,
}

impl Ladder {
    pub(crate) fn new(is_ask: bool, top_count: usize) -> Self {
        Self {
            pages: Vec::new(),
            directory: Vec::new(),
            summary: Vec::new(),
            first_page: 0,
            far: BTreeMap::new(),
            near_levels: 0,
            best_bound: i64::MIN,
            top_floor: i64::MIN,
            top_is_stale: false,
            top: Vec::with_capacity(top_count),
            top_count: top_count.max(1),
            is_ask,
            packets_since_recentre: 0,
            unknown_deletes: 0,
        }
    }

    #[inline]
    fn key(&self, price_ticks: i64) -> i64 {
        if self.is_ask { -price_ticks } else { price_ticks }
    }

    /// Best levels, best first; valid after [`Ladder::settle`].
    #[inline]
    pub(crate) fn top(&self) -> &[Level] {
        &self.top
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.near_levels).unwrap_or(usize::MAX) + self.far.len()
    }

    /// Sets levels, quantity 0 deletes. The whole run is of one side, so nothing branches on it.
    #[inline]
    pub(crate) fn set_run(&mut self, levels: &[Level]) {
        if self.is_ask { self.set_all::<true>(levels) } else { self.set_all::<false>(levels) }
    }

    fn set(&mut self, key: i64, qty_lots: i64) {
        self.set_all::<false>(&[Level { price_ticks: key, qty_lots }]);
    }

    /// Sets levels whose keys are their prices, negated on the ask side.
    #[inline]
    fn set_all<const NEGATED: bool>(&mut self, mut levels: &[Level]) {
        loop {
            levels = &levels[self.set_paged::<NEGATED>(levels)..];
            let Some((level, rest)) = levels.split_first() else { return };
            let key = if NEGATED { -level.price_ticks } else { level.price_ticks };
            self.set_without_page(key, level.qty_lots);
            levels = rest;
        }
    }

    /// Sets levels up to the first one without a page; how many were set.
    #[inline]
    fn set_paged<const NEGATED: bool>(&mut self, levels: &[Level]) -> usize {
        // In locals, because a write to a page could otherwise be one to the fields of the ladder.
        let (first_page, directory) = (self.first_page, self.directory.as_slice());
        let pages = self.pages.as_mut_slice();
        let (mut highest, mut appeared, mut unknown) = (i64::MIN, 0_u64, 0_u64);
        let mut done = levels.len();
        for (index, level) in levels.iter().enumerate() {
            let key = if NEGATED { -level.price_ticks } else { level.price_ticks };
            highest = highest.max(key);
            let entry = ((key >> PAGE_BITS) - first_page).cast_unsigned();
            let slot = directory.get(usize::try_from(entry).unwrap_or(usize::MAX));
            // `NO_PAGE` is beyond the pages.
            let Some(page) = slot.and_then(|slot| pages.get_mut(*slot as usize)) else {
                done = index;
                break;
            };
            let cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
            let old_lots = core::mem::replace(&mut page.qty_lots[cell], level.qty_lots);
            page.word_lots[cell >> 6] += level.qty_lots - old_lots;
            // Branch-free: whether a level appears or vanishes is a coin toss on real feeds.
            let (is, was) = (u64::from(level.qty_lots != 0), u64::from(old_lots != 0));
            page.occupied[cell >> 6] ^= (is ^ was) << (cell & 63);
            appeared = appeared.wrapping_add(is).wrapping_sub(was);
            unknown += (is | was) ^ 1;
            let live_before = page.live;
            page.live = live_before.wrapping_add((is as u32).wrapping_sub(was as u32));
            if live_before == 0 || page.live == 0 {
                let (word, bit) = ((entry >> 6) as usize, entry & 63);
                let others = self.summary[word] & !(1 << bit);
                self.summary[word] = others | (u64::from(page.live != 0) << bit);
            }
        }
        self.near_levels = self.near_levels.wrapping_add(appeared);
        self.unknown_deletes += unknown;
        self.top_is_stale |= highest >= self.top_floor;
        // A delete raises the bound as well: that is no harm, the top is then found anew.
        self.best_bound = self.best_bound.max(highest);
        done
    }

    /// A key without a page: gets one if the directory and the page budget allow, else the tree.
    #[cold]
    #[inline(never)]
    fn set_without_page(&mut self, key: i64, qty_lots: i64) {
        if qty_lots == 0 {
            let known = self.far.remove(&key).is_some();
            self.unknown_deletes += u64::from(!known);
        } else if self.far.contains_key(&key) || !self.make_page(key >> PAGE_BITS) {
            self.far.insert(key, qty_lots);
        } else {
            self.set(key, qty_lots);
        }
    }

    /// Makes room for a page in the directory and creates it; `false` when a limit forbids it.
    fn make_page(&mut self, number: i64) -> bool {
        if self.directory.is_empty() {
            // Room on both sides, so that a drifting market does not move the directory at once.
            self.first_page = (number - 512) & !63;
            self.directory = vec![NO_PAGE; 1_024];
            self.summary = vec![0; 1_024 / 64];
        }
        let end_page = self.first_page + self.directory.len() as i64;
        let first = self.first_page.min(number & !63);
        let end = end_page.max((number | 63) + 1);
        let Ok(needed) = usize::try_from(end - first) else { return false };
        if needed > MAX_DIRECTORY {
            return false;
        }
        if needed > self.directory.len() {
            self.grow_directory(first, needed);
        }
        let slot = if self.pages.len() < MAX_PAGES {
            self.pages.push(Page {
                qty_lots: [0; PAGE_LEVELS],
                occupied: [0; PAGE_WORDS],
                live: 0,
                word_lots: [0; PAGE_WORDS],
                number,
            });
            self.pages.len() - 1
        } else if let Some(slot) = self.pages.iter().position(|page| page.live == 0) {
            let old_entry = self.entry(self.pages[slot].number);
            self.directory[old_entry] = NO_PAGE;
            self.pages[slot].number = number;
            slot
        } else {
            return false;
        };
        let entry = self.entry(number);
        self.directory[entry] = u32::try_from(slot).unwrap_or(NO_PAGE);
        // Levels of this page that had gone to the tree come home.
        let (low, high) = (number << PAGE_BITS, ((number + 1) << PAGE_BITS) - 1);
        let homeless: Vec<(i64, i64)> = self.far.range(low..=high).map(|(k, q)| (*k, *q)).collect();
        for (key, qty_lots) in homeless {
            self.far.remove(&key);
            self.set(key, qty_lots);
        }
        true
    }

    fn entry(&self, page_number: i64) -> usize {
        usize::try_from(page_number - self.first_page).unwrap_or(usize::MAX)
    }

    fn grow_directory(&mut self, first: i64, needed: usize) {
        let mut directory = vec![NO_PAGE; needed];
        let mut summary = vec![0; needed.div_ceil(64)];
        let shift = usize::try_from(self.first_page - first).unwrap_or(0);
        directory[shift..shift + self.directory.len()].copy_from_slice(&self.directory);
        summary[shift / 64..shift / 64 + self.summary.len()].copy_from_slice(&self.summary);
        (self.directory, self.summary, self.first_page) = (directory, summary, first);
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
        self.top.clear();
        let mut next = self.at_or_below(self.best_bound);
        self.best_bound = next.map_or(i64::MIN, |(key, _)| key);
        while let Some((key, qty_lots)) = next {
            if self.far.is_empty() {
                self.take_from_page(key);
            } else {
                self.top.push(Level { price_ticks: self.key(key), qty_lots });
                self.top_floor = key;
            }
            if self.top.len() == self.top_count {
                break;
            }
            next = self.at_or_below(self.top_floor - 1);
        }
        if self.top.len() < self.top_count {
            self.top_floor = i64::MIN;
        }
        self.top_is_stale = false;
        if !self.far.is_empty() && self.packets_since_recentre > RECENTRE_EVERY {
            self.recentre();
        }
    }

    /// Appends the levels of one page to the top levels, from a key that has a level downwards.
    #[inline]
    fn take_from_page(&mut self, key: i64) {
        let first = key >> PAGE_BITS << PAGE_BITS;
        let page = &self.pages[self.directory[self.entry(key >> PAGE_BITS)] as usize];
        let cell = (key - first).cast_unsigned() as usize;
        let mut word = cell >> 6;
        let mut bits = page.occupied[word] & (u64::MAX >> (63 - (cell & 63)));
        while self.top.len() < self.top_count {
            while bits == 0 {
                let Some(below) = word.checked_sub(1) else { return };
                (word, bits) = (below, page.occupied[below]);
            }
            let bit = 63 - bits.leading_zeros();
            bits ^= 1 << bit;
            let cell = (word << 6) | bit as usize;
            let key = first | cell as i64;
            let price_ticks = if self.is_ask { -key } else { key };
            self.top.push(Level { price_ticks, qty_lots: page.qty_lots[cell] });
            self.top_floor = key;
        }
    }

    /// Moves the directory to the market when the best level has ended up in the tree.
    #[cold]
    fn recentre(&mut self) {
        self.packets_since_recentre = 0;
        if self.best_bound == i64::MIN || !self.far.contains_key(&self.best_bound) {
            return;
        }
        let mut levels = Vec::with_capacity(self.len());
        self.for_each_key(|key, qty_lots| levels.push((key, qty_lots)));
        let mut fresh = Self::new(self.is_ask, self.top_count);
        for (key, qty_lots) in levels {
            fresh.set(key, qty_lots);
        }
        fresh.unknown_deletes = self.unknown_deletes;
        *self = fresh;
        self.refill_top();
    }

    /// The highest level with key at or below `key`.
    #[inline]
    fn at_or_below(&self, key: i64) -> Option<(i64, i64)> {
        let near = self.near_at_or_below(key);
        if self.far.is_empty() {
            return near;
        }
        let far = self.far.range(..=key).next_back().map(|(k, q)| (*k, *q));
        near.max(far)
    }

    fn near_at_or_below(&self, key: i64) -> Option<(i64, i64)> {
        let last = self.first_page + self.directory.len() as i64 - 1;
        let number = key >> PAGE_BITS;
        if self.directory.is_empty() || number < self.first_page {
            return None;
        }
        if number <= last {
            let slot = self.directory[self.entry(number)];
            if slot != NO_PAGE {
                let page = &self.pages[slot as usize];
                let cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
                if let Some(cell) = highest_at_or_below(&page.occupied, cell) {
                    return Some(((number << PAGE_BITS) | cell as i64, page.qty_lots[cell]));
                }
            }
        }
        let below = self.entry(number.min(last + 1));
        let entry = highest_at_or_below(&self.summary, below.checked_sub(1)?)?;
        let page = &self.pages[self.directory[entry] as usize];
        let cell = highest_at_or_below(&page.occupied, PAGE_LEVELS - 1)?;
        let number = self.first_page + entry as i64;
        Some(((number << PAGE_BITS) | cell as i64, page.qty_lots[cell]))
    }

    /// Removes every level.
    pub(crate) fn clear(&mut self) {
        for page in self.pages.iter_mut().filter(|page| page.live > 0) {
            for (word, bits) in page.occupied.iter_mut().enumerate() {
                while *bits != 0 {
                    page.qty_lots[word * 64 + bits.trailing_zeros() as usize] = 0;
                    *bits &= *bits - 1;
                }
            }
            (page.live, page.word_lots) = (0, [0; PAGE_WORDS]);
        }
        self.summary.fill(0);
        self.far.clear();
        self.near_levels = 0;
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
        let (a, b) = (self.key(low_ticks), self.key(high_ticks));
        let (low, high) = (a.min(b), a.max(b));
        if low_ticks > high_ticks {
            return 0;
        }
        let mut sum: i128 = self.far.range(low..=high).map(|(_, qty)| i128::from(*qty)).sum();
        let first = (low >> PAGE_BITS).max(self.first_page);
        let last = (high >> PAGE_BITS).min(self.first_page + self.directory.len() as i64 - 1);
        if first > last {
            return sum;
        }
        let mut entry = self.entry(last);
        while let Some(found) = highest_at_or_below(&self.summary, entry) {
            let number = self.first_page + found as i64;
            if number < first {
                break;
            }
            let page = &self.pages[self.directory[found] as usize];
            let base = number << PAGE_BITS;
            let from = usize::try_from(low - base).unwrap_or(0);
            let to = usize::try_from(high - base).unwrap_or(0).min(PAGE_LEVELS - 1);
            sum += i128::from(page.sum_lots(from, to));
            let Some(below) = found.checked_sub(1) else { break };
            entry = below;
        }
        sum
    }

    /// Visits the levels between two prices, inclusive, best first.
    pub(crate) fn for_each_between(
        &self,
        low_ticks: i64,
        high_ticks: i64,
        mut visit: impl FnMut(Level),
    ) {
        let (a, b) = (self.key(low_ticks), self.key(high_ticks));
        let (floor, ceiling) = (a.min(b), a.max(b));
        let mut next = self.at_or_below(ceiling.min(self.best_bound));
        while let Some((key, qty_lots)) =
            next.filter(|(key, _)| *key >= floor && low_ticks <= high_ticks)
        {
            visit(Level { price_ticks: self.key(key), qty_lots });
            next = self.at_or_below(key - 1);
        }
    }

    /// Quantity at a price; 0 when absent.
    pub(crate) fn qty_at_lots(&self, price_ticks: i64) -> i64 {
        let key = self.key(price_ticks);
        match self.directory.get(self.entry(key >> PAGE_BITS)) {
            Some(&slot) if slot != NO_PAGE => {
                let cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
                self.pages[slot as usize].qty_lots[cell]
            }
            _ => self.far.get(&key).copied().unwrap_or(0),
        }
    }

    /// Visits every level, lowest key first.
    fn for_each_key(&self, mut visit: impl FnMut(i64, i64)) {
        let mut keys: Vec<(i64, i64)> = self.far.iter().map(|(k, q)| (*k, *q)).collect();
        for page in self.pages.iter().filter(|page| page.live > 0) {
            for (word, bits) in page.occupied.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let cell = word * 64 + bits.trailing_zeros() as usize;
                    keys.push(((page.number << PAGE_BITS) | cell as i64, page.qty_lots[cell]));
                    bits &= bits - 1;
                }
            }
        }
        keys.sort_unstable();
        keys.into_iter().for_each(|(key, qty)| visit(key, qty));
    }

    /// Every level, best first.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let mut levels = Vec::with_capacity(self.len());
        self.for_each_key(|key, qty_lots| {
            levels.push(Level { price_ticks: if self.is_ask { -key } else { key }, qty_lots });
        });
        levels.reverse();
        levels
    }
}

/// Index of the highest set bit at or below `index` in a bitmap.
#[inline]
fn highest_at_or_below(bits: &[u64], index: usize) -> Option<usize> {
    let mut word = index >> 6;
    let mut masked = bits[word] & (u64::MAX >> (63 - (index & 63)));
    while masked == 0 {
        word = word.checked_sub(1)?;
        masked = bits[word];
    }
    Some((word << 6) | (63 - masked.leading_zeros() as usize))
}
