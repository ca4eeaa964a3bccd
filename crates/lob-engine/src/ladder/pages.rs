//! A window of prices as one array of pages, backed by memory only where levels have been.
//!
//! The array comes zeroed from the system, which gives it memory where it is first written: a
//! window of millions of prices costs what its touched pages cost. A page is open while it may hold
//! levels; a bitmap of open pages and one bit per level lead to the next level that exists.

use bytemuck::Zeroable;

/// Prices of one page, as a power of two.
pub(super) const PAGE_BITS: u32 = 9;
/// Prices of one page.
pub(super) const PAGE_LEVELS: usize = 1 << PAGE_BITS;
const PAGE_WORDS: usize = PAGE_LEVELS / 64;

/// Prices of one kept sum, as a power of two: a band adds few levels at its two ends, and not too
/// many sums between them.
pub(super) const SUM_BITS: usize = 4;
const SUM_LEVELS: usize = 1 << SUM_BITS;
const PAGE_SUMS: usize = PAGE_LEVELS >> SUM_BITS;

/// Pages of a window: 16.7 million ticks around the market.
const MAX_PAGES: usize = 1 << 15;
/// Pages that may have memory: 34 MB.
const MAX_BACKED: usize = 1 << 13;

/// 512 neighbouring prices.
#[derive(Clone, Copy, Zeroable)]
#[repr(C)]
pub(super) struct Page {
    pub(super) occupied: [u64; PAGE_WORDS],
    pub(super) qty_lots: [i64; PAGE_LEVELS],
    /// Sums of neighbouring quantities, if kept. All 512 quantities of a page, each below 2^53, fit.
    pub(super) sums_lots: [i64; PAGE_SUMS],
    /// 1 once the page was open, and so has memory.
    backed: u64,
}

impl Page {
    /// Visits levels from `cell` downwards until `visit` says that there are enough.
    #[inline]
    pub(super) fn each_at_or_below(&self, cell: usize, mut visit: impl FnMut(usize, i64) -> bool) {
        let mut word = cell >> 6;
        let mut bits = self.occupied[word] & (u64::MAX >> (63 - (cell & 63)));
        loop {
            while bits != 0 {
                let bit = 63 - bits.leading_zeros() as usize;
                let cell = (word << 6) | bit;
                if visit(cell, self.qty_lots[cell]) {
                    return;
                }
                bits ^= 1 << bit;
            }
            let Some(below) = word.checked_sub(1) else { return };
            (word, bits) = (below, self.occupied[below]);
        }
    }

    /// The highest cell at or below `cell` that has a level.
    #[inline]
    pub(super) fn at_or_below(&self, cell: usize) -> Option<usize> {
        highest_at_or_below(&self.occupied, cell)
    }

    /// Sum of lots of the cells `from..=to`. Empty levels are 0, so that no loop has a test.
    #[inline]
    fn sum_lots(&self, from: usize, to: usize, has_sums: bool) -> i64 {
        let cells = |from: usize, end: usize| self.qty_lots[from..end].iter().sum::<i64>();
        let end = to + 1;
        let (first, last) = (from.div_ceil(SUM_LEVELS), end >> SUM_BITS);
        if !has_sums || first >= last {
            return cells(from, end);
        }
        cells(from, first << SUM_BITS)
            + self.sums_lots[first..last].iter().sum::<i64>()
            + cells(last << SUM_BITS, end)
    }

    fn clear(&mut self) {
        for (word, bits) in self.occupied.iter_mut().enumerate() {
            while *bits != 0 {
                self.qty_lots[word * 64 + bits.trailing_zeros() as usize] = 0;
                *bits &= *bits - 1;
            }
        }
        self.sums_lots = [0; PAGE_SUMS];
    }
}

/// The pages around the market.
pub(super) struct Pages {
    pages: Vec<Page>,
    /// Whether a page may hold levels. Apart from the pages, so that asking touches none of them.
    is_open: Vec<bool>,
    /// The same, one bit per page.
    open: Vec<u64>,
    /// Number of the first page; a multiple of 64.
    first: i64,
    backed: usize,
}

impl Pages {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), is_open: Vec::new(), open: Vec::new(), first: 0, backed: 0 }
    }

    /// The pages, which of them are open, and the number of the first.
    #[inline]
    pub(super) fn parts_mut(&mut self) -> (&mut [Page], &[bool], i64) {
        (&mut self.pages, &self.is_open, self.first)
    }

    #[inline]
    fn index(&self, number: i64) -> usize {
        usize::try_from(number - self.first).unwrap_or(usize::MAX)
    }

    /// The page with this number if the window has it.
    #[inline]
    pub(super) fn get(&self, number: i64) -> Option<&Page> {
        self.pages.get(self.index(number))
    }

    /// Opens the page with this number; `false` when a limit forbids it.
    pub(super) fn open(&mut self, number: i64) -> bool {
        if !self.reach(number) {
            return false;
        }
        let index = self.index(number);
        let page = &mut self.pages[index];
        if page.backed == 0 && self.backed == MAX_BACKED {
            return false;
        }
        self.backed += usize::from(page.backed == 0);
        page.backed = 1;
        self.mark_open(index);
        true
    }

    fn mark_open(&mut self, index: usize) {
        self.is_open[index] = true;
        self.open[index / 64] |= 1 << (index % 64);
    }

    /// Moves the borders of the window so that it has the page; `false` when it would be too wide.
    fn reach(&mut self, number: i64) -> bool {
        if self.index(number) < self.pages.len() {
            return true;
        }
        let end = self.first + self.pages.len() as i64;
        let (first, end) = if self.pages.is_empty() {
            // Room on both sides, so that a drifting market does not move the window at once.
            ((number - 64) & !63, (number | 63) + 65)
        } else {
            (self.first.min(number & !63), end.max((number | 63) + 1))
        };
        let Some(needed) = usize::try_from(end - first).ok().filter(|n| *n <= MAX_PAGES) else {
            return false;
        };
        // Twice what is needed, on the side on which the window grows: few moves per session.
        let length = needed.next_power_of_two();
        let spare = (length - needed) as i64 & !63;
        let first = if first < self.first { first - spare } else { first };
        let mut wider = Self {
            pages: bytemuck::zeroed_vec(length),
            is_open: vec![false; length],
            open: vec![0; length.div_ceil(64)],
            first,
            backed: 0,
        };
        for (number, page) in self.each_open() {
            let index = wider.index(number);
            wider.pages[index] = *page;
            wider.mark_open(index);
            wider.backed += 1;
        }
        *self = wider;
        true
    }

    /// The open pages, lowest number first.
    pub(super) fn each_open(&self) -> impl Iterator<Item = (i64, &Page)> {
        let words = self.open.iter().enumerate();
        words.flat_map(move |(word, bits)| {
            let mut bits = *bits;
            core::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                let index = word * 64 + bit;
                Some((self.first + index as i64, &self.pages[index]))
            })
        })
    }

    /// The highest level with key at or below `key`; closes the empty pages that it passes.
    pub(super) fn at_or_below(&mut self, key: i64) -> Option<i64> {
        let mut number = key >> PAGE_BITS;
        let mut cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
        let last = self.first + self.pages.len() as i64 - 1;
        if number > last {
            (number, cell) = (last, PAGE_LEVELS - 1);
        }
        if self.pages.is_empty() || number < self.first {
            return None;
        }
        let mut index = self.index(number);
        loop {
            let open = highest_at_or_below(&self.open, index)?;
            if open < index {
                (index, cell) = (open, PAGE_LEVELS - 1);
            }
            if let Some(cell) = self.pages[index].at_or_below(cell) {
                return Some(((self.first + index as i64) << PAGE_BITS) | cell as i64);
            }
            if cell == PAGE_LEVELS - 1 {
                self.is_open[index] = false;
                self.open[index / 64] &= !(1 << (index % 64));
            }
            (index, cell) = (index.checked_sub(1)?, PAGE_LEVELS - 1);
        }
    }

    /// Sum of lots with `low <= key <= high`.
    pub(super) fn sum_lots(&self, low: i64, high: i64, has_sums: bool) -> i128 {
        let first = (low >> PAGE_BITS).max(self.first);
        let last = (high >> PAGE_BITS).min(self.first + self.pages.len() as i64 - 1);
        let mut sum = 0;
        if first > last {
            return sum;
        }
        let mut index = self.index(last);
        while let Some(open) = highest_at_or_below(&self.open, index) {
            let number = self.first + open as i64;
            if number < first {
                break;
            }
            let base = number << PAGE_BITS;
            let from = usize::try_from(low - base).unwrap_or(0);
            let to = usize::try_from(high - base).unwrap_or(0).min(PAGE_LEVELS - 1);
            sum += i128::from(self.pages[open].sum_lots(from, to, has_sums));
            let Some(below) = open.checked_sub(1) else { break };
            index = below;
        }
        sum
    }

    /// Visits the levels with `low <= key <= high`, highest key first.
    pub(super) fn for_each_between(&self, low: i64, high: i64, mut visit: impl FnMut(i64, i64)) {
        let last = self.first + self.pages.len() as i64 - 1;
        if (high >> PAGE_BITS) < self.first || self.pages.is_empty() {
            return;
        }
        let mut open = highest_at_or_below(&self.open, self.index((high >> PAGE_BITS).min(last)));
        while let Some(index) = open {
            let base = (self.first + index as i64) << PAGE_BITS;
            if base + PAGE_LEVELS as i64 <= low {
                return;
            }
            let page = &self.pages[index];
            let top = usize::try_from(high - base).unwrap_or(0).min(PAGE_LEVELS - 1);
            let mut cell = page.at_or_below(top);
            while let Some(found) = cell.filter(|cell| base + *cell as i64 >= low) {
                visit(base + found as i64, page.qty_lots[found]);
                cell = found.checked_sub(1).and_then(|below| page.at_or_below(below));
            }
            open = index.checked_sub(1).and_then(|below| highest_at_or_below(&self.open, below));
        }
    }

    /// Number of levels.
    pub(super) fn count(&self) -> usize {
        let words = self.each_open().flat_map(|(_, page)| page.occupied);
        words.map(|bits| bits.count_ones() as usize).sum()
    }

    /// Removes every level and keeps the memory.
    pub(super) fn clear(&mut self) {
        for (word, bits) in self.open.iter_mut().enumerate() {
            while *bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                self.pages[index].clear();
                self.is_open[index] = false;
                *bits &= *bits - 1;
            }
        }
    }

    /// Whether the memory limit is reached.
    pub(super) fn is_full(&self) -> bool {
        self.backed == MAX_BACKED
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
