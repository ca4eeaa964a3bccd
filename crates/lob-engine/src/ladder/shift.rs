//! Lots of single orders that join or leave levels: what feeds of orders do to a ladder.

use super::Ladder;
use super::pages::{PAGE_BITS, PAGE_LEVELS, SUM_BITS};

impl Ladder {
    /// Adds lots to those at a key, or takes some of them off. Before the ladder is settled it must be told
    /// once of all such keys, by [`Ladder::note_shifts`].
    #[inline(always)]
    pub(crate) fn shift(&mut self, key: i64, lots: i64) {
        let (pages, is_open, first) = self.pages.parts_mut();
        let number = ((key >> PAGE_BITS) - first).cast_unsigned() as usize;
        if is_open.get(number) != Some(&true) {
            return self.shift_without_page(key, lots);
        }
        let page = &mut pages[number];
        let cell = (key & (PAGE_LEVELS as i64 - 1)).cast_unsigned() as usize;
        let old_lots = page.qty_lots[cell];
        let new_lots = old_lots + lots;
        page.qty_lots[cell] = new_lots;
        if self.needs.band_sums {
            page.sums_lots[cell >> SUM_BITS] += lots;
        }
        // Branch-free: orders often come alone, and so do their levels.
        page.occupied[cell >> 6] ^= u64::from((new_lots != 0) ^ (old_lots != 0)) << (cell & 63);
    }

    #[cold]
    fn shift_without_page(&mut self, key: i64, lots: i64) {
        let old_lots = self.far.get(&key).copied().unwrap_or(0);
        self.set_without_page(key, old_lots + lots);
    }

    /// Takes note of no more than so many shifts, none at a key above `highest`; `i64::MIN` when there were none.
    #[inline]
    pub(crate) fn note_shifts(&mut self, count: usize, highest: i64) {
        self.most_levels += count;
        self.top_is_stale |= (highest > i64::MIN) & (highest >= self.top_floor);
        self.best_bound = self.best_bound.max(highest);
    }
}
