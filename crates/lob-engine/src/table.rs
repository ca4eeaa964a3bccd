//! A table by 64-bit keys: order ids, and prices of levels.
//!
//! Records lie side by side and never move; those whose keys hash alike are linked, from a head of four bytes. There
//! are at least four heads for each record, so that nearly every link is one record long. Keys that were chosen to
//! meet make a link full, and further ones go to a tree: no keys make an operation slow. The hash is one
//! multiplication without a seed: what is where depends on the operations alone, and nothing that leaves the book
//! depends on what is where.

use core::hint::black_box;
use std::collections::BTreeMap;

/// Fibonacci hashing: consecutive ids, which feeds hand out, spread evenly.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST_HEADS: usize = 256;
/// Heads for each record, at least; right after they were doubled twice as many.
const HEADS_EACH: usize = 4;
/// Records that a link may have. Among a million random keys no link comes near it.
const MAX_LINKED: usize = 16;
/// No record.
const NONE: u32 = u32::MAX;

/// Entries that a table may hold.
pub(crate) const MAX_ENTRIES: usize = 1 << 20;

/// A value that can say that there is none; the default value does.
pub(crate) trait Cell: Copy + Default {
    /// Whether nothing is stored.
    fn is_vacant(&self) -> bool;
}

#[derive(Debug, Clone, Copy)]
struct Record<V> {
    key: u64,
    value: V,
    /// The record that follows in its link, or among the vacant.
    next: u32,
}

/// Where an entry is, until it is removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    home: usize,
    record: u32,
}

/// The table; grows by doubling and never shrinks.
#[derive(Debug, Clone)]
pub(crate) struct Table<V> {
    /// The first record of each link; a power of two, or none before the first entry.
    heads: Vec<u32>,
    /// 64 less the bits that number the heads.
    shift: u32,
    records: Vec<Record<V>>,
    /// The vacant record that is taken next.
    vacant: u32,
    len: usize,
    /// Keys in no link, and their records; empty but for chosen keys.
    far: BTreeMap<u64, u32>,
}

impl<V: Cell> Table<V> {
    pub(crate) const fn new() -> Self {
        Self {
            heads: Vec::new(),
            shift: 63,
            records: Vec::new(),
            vacant: NONE,
            len: 0,
            far: BTreeMap::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    const fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(MULTIPLIER) >> self.shift) as usize
    }

    /// Where a key is.
    #[inline(always)]
    pub(crate) fn find(&self, key: u64) -> Option<At> {
        let home = self.home(key);
        let mut record = *self.heads.get(home)?;
        while let Some(Record { key: linked, next, .. }) = self.records.get(record as usize) {
            if *linked == key {
                return Some(At { home, record });
            }
            record = *next;
        }
        if self.far.is_empty() { None } else { self.find_far(key) }
    }

    #[cold]
    fn find_far(&self, key: u64) -> Option<At> {
        self.far.get(&key).map(|record| At { home: self.home(key), record: *record })
    }

    /// Reads what look-ups of these keys will read: waits for memory, one after the other in look-ups, then overlap.
    #[inline(always)]
    pub(crate) fn touch(&self, keys: impl Iterator<Item = u64>) {
        let Some(last) = self.records.len().checked_sub(1) else { return };
        // Without a branch on whether there is a record, which says as much as what happened to the order; the
        // highest numbers are read as lower ones.
        let mask = u32::MAX.checked_shr((last as u32).leading_zeros() + 1).unwrap_or(0);
        let read = keys.fold(0, |read, key| {
            let record = black_box(self.heads[self.home(key)] & mask);
            read ^ self.records[record as usize].key
        });
        black_box(read);
    }

    /// The value of an entry; [`Table::settle`] when it was made vacant.
    #[inline]
    pub(crate) fn at_mut(&mut self, at: At) -> &mut V {
        &mut self.records[at.record as usize].value
    }

    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<&V> {
        self.find(key).map(|at| &self.records[at.record as usize].value)
    }

    /// Stores the value of a key that the table does not have.
    #[inline(always)]
    pub(crate) fn insert(&mut self, key: u64, value: V) {
        // Room comes first, so that the value stays in registers.
        if self.vacant == NONE {
            self.make_room();
        }
        let (at, home) = (self.vacant, self.home(key));
        let record = &mut self.records[at as usize];
        self.vacant = record.next;
        *record = Record { key, value, next: NONE };
        self.len += 1;
        if self.heads[home] == NONE {
            self.heads[home] = at;
        } else {
            self.link(home, at);
        }
    }

    /// Makes a record the first of its link, or leaves it to the tree.
    #[inline(never)]
    fn link(&mut self, home: usize, at: u32) {
        let first = self.heads[home];
        let (mut linked, mut last) = (0, first);
        while let Some(record) = self.records.get(last as usize) {
            (linked, last) = (linked + 1, record.next);
        }
        let record = &mut self.records[at as usize];
        if linked == MAX_LINKED {
            self.far.insert(record.key, at);
            return;
        }
        (self.heads[home], record.next) = (at, first);
    }

    /// Adds a vacant record, and heads for it.
    #[cold]
    fn make_room(&mut self) {
        assert!(self.records.len() < MAX_ENTRIES, "the owner of the table limits its entries");
        self.vacant = self.records.len() as u32;
        self.records.push(Record { key: 0, value: V::default(), next: NONE });
        if self.records.len() * HEADS_EACH <= self.heads.len() {
            return;
        }
        let heads = (self.heads.len() * 2).max(FIRST_HEADS);
        self.heads = vec![NONE; heads];
        self.shift = 64 - heads.trailing_zeros();
        self.far.clear();
        for at in 0..self.vacant {
            self.link(self.home(self.records[at as usize].key), at);
        }
    }

    /// Removes an entry if its value was made vacant, with hardly a branch on whether it was: an order that loses
    /// lots loses all of them or not.
    #[inline(always)]
    pub(crate) fn settle(&mut self, At { home, record: at }: At) {
        let record = &mut self.records[at as usize];
        let (is_vacant, next) = (record.value.is_vacant(), record.next);
        record.next = if is_vacant { self.vacant } else { next };
        self.vacant = if is_vacant { at } else { self.vacant };
        self.len -= usize::from(is_vacant);
        let head = &mut self.heads[home];
        if *head == at {
            *head = if is_vacant { next } else { at };
        } else if is_vacant {
            self.unlink(home, at, next);
        }
    }

    /// Removes a record that is not the first of its link.
    #[inline(never)]
    fn unlink(&mut self, home: usize, at: u32, next: u32) {
        let mut before = self.heads[home];
        while let Some(record) = self.records.get_mut(before as usize) {
            if record.next == at {
                record.next = next;
                return;
            }
            before = record.next;
        }
        self.far.remove(&self.records[at as usize].key);
    }

    /// Every entry, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        let taken = self.records.iter().filter(|record| !record.value.is_vacant());
        taken.map(|record| (record.key, &record.value))
    }

    /// Removes every entry and keeps the memory.
    pub(crate) fn clear(&mut self) {
        if self.len > 0 {
            self.heads.fill(NONE);
            self.far.clear();
        }
        self.records.clear();
        (self.vacant, self.len) = (NONE, 0);
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

    /// The key with this hash: small ones all meet at the first head.
    fn key_of(hash: u64) -> u64 {
        let newton = |x: u64| x.wrapping_mul(2_u64.wrapping_sub(MULTIPLIER.wrapping_mul(x)));
        hash.wrapping_mul((0..5).fold(MULTIPLIER, |x, _| newton(x)))
    }

    /// Keys that collide, neighbours, and any others.
    fn key() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0..200_u64,
            2 => (0..60_u64).prop_map(key_of),
            1 => any::<u64>(),
            1 => Just(u64::MAX),
        ]
    }

    /// Records of the longest link.
    fn longest_link(table: &Table<u32>) -> usize {
        let next = |at: &u32| table.records.get(*at as usize).map(|record| record.next);
        let length = |head: &u32| std::iter::successors(Some(*head), next).count() - 1;
        table.heads.iter().map(length).max().unwrap_or(0)
    }

    #[test]
    fn keys_that_were_chosen_to_meet_make_no_link_longer_and_no_row_of_heads_wider() {
        const KEYS: u32 = 20_000;
        let mut table = Table::new();
        for n in 1..=KEYS {
            table.insert(key_of(n.into()), n);
        }
        assert_eq!(
            (longest_link(&table), table.far.len()),
            (MAX_LINKED, KEYS as usize - MAX_LINKED)
        );
        assert!(table.heads.len() <= 2 * HEADS_EACH * KEYS as usize);
        for n in 1..=KEYS {
            let at = table.find(key_of(n.into())).expect("it was inserted");
            assert_eq!(core::mem::take(table.at_mut(at)), n);
            table.settle(at);
        }
        assert_eq!((table.len(), table.far.len(), longest_link(&table)), (0, 0, 0));
    }

    #[test]
    fn ids_that_follow_each_other_hardly_meet() {
        let mut table = Table::new();
        (1..=100_000_u32).for_each(|n| table.insert(u64::from(n) << 20, n));
        assert!(longest_link(&table) <= 2 && table.far.is_empty());
    }

    proptest! {
        #[test]
        fn the_table_equals_a_sorted_map(steps in proptest::collection::vec((key(), 0..6_u32), 1..600)) {
            let (mut table, mut map) = (Table::new(), BTreeMap::new());
            for (key, value) in steps {
                match (table.find(key), value) {
                    (Some(at), 0) => {
                        prop_assert_eq!(Some(core::mem::take(table.at_mut(at))), map.remove(&key));
                        table.settle(at);
                    }
                    (None, 0) => prop_assert_eq!(map.get(&key), None),
                    (Some(at), _) => {
                        *table.at_mut(at) = value;
                        prop_assert!(map.insert(key, value).is_some());
                    }
                    (None, _) => {
                        table.insert(key, value);
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
