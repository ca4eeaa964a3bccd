//! A flat open-addressing table by 64-bit keys: order ids, and prices of levels.
//!
//! Probing is linear and removal moves later entries up, so that nothing is ever marked as deleted and
//! the table never has to be cleaned. The hash is one multiplication without a seed: what is where
//! depends on the operations alone, and nothing that leaves the book depends on what is where.

/// Fibonacci hashing: consecutive ids, which feeds hand out, spread evenly.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST_CELLS: usize = 64;

/// A value that can say that its cell is empty; the default value does.
pub(crate) trait Cell: Copy + Default {
    /// Whether nothing is stored.
    fn is_vacant(&self) -> bool;
}

/// The table; grows by doubling and never shrinks.
#[derive(Debug, Clone)]
pub(crate) struct Table<V> {
    /// A power of two, or none before the first entry; at most three quarters are taken.
    cells: Vec<(u64, V)>,
    len: usize,
}

impl<V: Cell> Table<V> {
    pub(crate) const fn new() -> Self {
        Self { cells: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        let bits = self.cells.len().trailing_zeros();
        (key.wrapping_mul(MULTIPLIER) >> (64 - bits)) as usize
    }

    /// The cell of a key, or the vacant one where it would be; the table has cells.
    #[inline]
    fn probe(&self, key: u64) -> usize {
        let mask = self.cells.len() - 1;
        let mut at = self.home(key);
        while self.cells[at].0 != key && !self.cells[at].1.is_vacant() {
            at = (at + 1) & mask;
        }
        at
    }

    /// Where the value of a key is, until the table is changed.
    #[inline]
    pub(crate) fn find(&self, key: u64) -> Option<usize> {
        if self.cells.is_empty() {
            return None;
        }
        let at = self.probe(key);
        // A vacant cell may still have the key of an entry that left it.
        (!self.cells[at].1.is_vacant()).then_some(at)
    }

    /// The value in a cell that [`Table::find`] gave. It must not be made vacant: remove it.
    #[inline]
    pub(crate) fn at_mut(&mut self, at: usize) -> &mut V {
        &mut self.cells[at].1
    }

    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<&V> {
        self.find(key).map(|at| &self.cells[at].1)
    }

    /// The value of a key; one that `make` gives is stored when there is none.
    #[inline]
    pub(crate) fn entry(&mut self, key: u64, make: impl FnOnce() -> V) -> &mut V {
        if (self.len + 1) * 4 > self.cells.len() * 3 {
            self.grow();
        }
        let at = self.probe(key);
        if self.cells[at].1.is_vacant() {
            self.cells[at] = (key, make());
            self.len += 1;
        }
        &mut self.cells[at].1
    }

    #[cold]
    fn grow(&mut self) {
        let cells = (self.cells.len() * 2).max(FIRST_CELLS);
        let old = core::mem::replace(&mut self.cells, vec![(0, V::default()); cells]);
        self.len = 0;
        for (key, value) in old {
            if !value.is_vacant() {
                self.entry(key, || value);
            }
        }
    }

    /// Removes the entry in a cell that [`Table::find`] gave.
    #[inline]
    pub(crate) fn remove_at(&mut self, at: usize) -> V {
        let mask = self.cells.len() - 1;
        let removed = core::mem::take(&mut self.cells[at].1);
        self.len -= 1;
        let (mut hole, mut next) = (at, (at + 1) & mask);
        while !self.cells[next].1.is_vacant() {
            let home = self.home(self.cells[next].0);
            // An entry may move up as long as it does not pass its home.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.cells[hole] = self.cells[next];
                self.cells[next].1 = V::default();
                hole = next;
            }
            next = (next + 1) & mask;
        }
        removed
    }

    /// Every entry, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.cells.iter().filter(|(_, value)| !value.is_vacant()).map(|(key, value)| (*key, value))
    }

    /// Removes every entry and keeps the memory.
    pub(crate) fn clear(&mut self) {
        if self.len > 0 {
            self.cells.fill((0, V::default()));
            self.len = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Cell for u32 {
        fn is_vacant(&self) -> bool {
            *self == 0
        }
    }

    /// Keys that collide, neighbours, and any others.
    fn key() -> impl Strategy<Value = u64> {
        let newton = |x: u64| x.wrapping_mul(2_u64.wrapping_sub(MULTIPLIER.wrapping_mul(x)));
        let inverse = (0..5).fold(MULTIPLIER, |x, _| newton(x));
        prop_oneof![
            4 => 0..200_u64,
            // Multiples of the inverse modulo 2^64 all hash to the first cell.
            2 => (0..60_u64).prop_map(move |n| n.wrapping_mul(inverse)),
            1 => any::<u64>(),
            1 => Just(u64::MAX),
        ]
    }

    proptest! {
        #[test]
        fn the_table_equals_a_sorted_map(steps in proptest::collection::vec((key(), 0..6_u32), 1..600)) {
            let (mut table, mut map) = (Table::new(), BTreeMap::new());
            for (key, value) in steps {
                match (table.find(key), value) {
                    (Some(at), 0) => prop_assert_eq!(Some(table.remove_at(at)), map.remove(&key)),
                    (None, 0) => prop_assert_eq!(map.get(&key), None),
                    (Some(at), _) => {
                        *table.at_mut(at) = value;
                        prop_assert!(map.insert(key, value).is_some());
                    }
                    (None, _) => {
                        prop_assert_eq!(*table.entry(key, || value), value);
                        prop_assert_eq!(map.insert(key, value), None);
                    }
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for (key, value) in &map {
                prop_assert_eq!(table.get(*key), Some(value));
            }
            let mut entries: Vec<_> = table.iter().map(|(key, value)| (key, *value)).collect();
            entries.sort_unstable();
            prop_assert_eq!(entries, map.into_iter().collect::<Vec<_>>());
            table.clear();
            prop_assert_eq!((table.len(), table.iter().count()), (0, 0));
        }
    }
}
