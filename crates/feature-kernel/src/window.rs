//! Windows over what happened: one queue of entries under windows of several lengths.
//!
//! Totals are exact under removal, so a window says the same whether it slid or was computed anew.

use std::collections::VecDeque;

use market_model::{StateError, StateReader, StateWriter};

/// Which entries a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Entries of `(now - length, now]`.
    Time { length_ns: i64 },
    /// The last entries, that many.
    Count { entries: u64 },
}

/// What a window knows about its entries. Removing undoes adding exactly; entries leave in the order
/// in which they came.
pub(crate) trait Totals: Clone + core::fmt::Debug {
    type Entry: Copy + core::fmt::Debug;

    /// Bytes of one saved entry.
    const ENTRY_BYTES: usize;

    fn add(&mut self, number: u64, entry: &Self::Entry);

    fn remove(&mut self, number: u64, entry: &Self::Entry);

    /// Forgets the entries and keeps buffers.
    fn clear(&mut self);

    fn save(entry: &Self::Entry, out: &mut StateWriter);

    fn load(from: &mut StateReader<'_>) -> Result<Self::Entry, StateError>;
}

#[derive(Debug, Clone)]
struct Window<T> {
    span: Span,
    /// Number of the oldest entry inside.
    first: u64,
    totals: T,
}

/// Windows over one queue, which grows to the longest window and stays there.
#[derive(Debug, Clone)]
pub(crate) struct Windows<T: Totals> {
    /// Entries that some window still holds, with their times, oldest first.
    queue: VecDeque<(i64, T::Entry)>,
    /// Number of the first entry in the queue.
    start: u64,
    windows: Vec<Window<T>>,
}

impl<T: Totals> Windows<T> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new(), start: 0, windows: Vec::new() }
    }

    /// Index of the window of this span; the first call for a span makes it.
    pub(crate) fn open(&mut self, span: Span, totals: T) -> usize {
        let found = self.windows.iter().position(|window| window.span == span);
        found.unwrap_or_else(|| {
            self.windows.push(Window { span, first: 0, totals });
            self.windows.len() - 1
        })
    }

    /// Takes an entry into every window; count windows let go of their oldest.
    #[inline]
    pub(crate) fn push(&mut self, now_ns: i64, entry: T::Entry) {
        if self.windows.is_empty() {
            return;
        }
        let number = self.end();
        self.queue.push_back((now_ns, entry));
        let mut has_dropped = false;
        for window in &mut self.windows {
            window.totals.add(number, &entry);
            if let Span::Count { entries } = window.span
                && number - window.first == entries
            {
                let oldest = Self::entry(&self.queue, self.start, window.first);
                window.drop_first(oldest);
                has_dropped = true;
            }
        }
        if has_dropped {
            self.forget();
        }
    }

    /// Lets go of what has left the time windows.
    #[inline]
    pub(crate) fn evict(&mut self, now_ns: i64) {
        let mut has_dropped = false;
        for window in &mut self.windows {
            let Span::Time { length_ns } = window.span else { continue };
            while let Some(oldest) = Self::entry(&self.queue, self.start, window.first)
                && oldest.0 <= now_ns - length_ns
            {
                window.drop_first(Some(oldest));
                has_dropped = true;
            }
        }
        if has_dropped {
            self.forget();
        }
    }

    /// What a window knows about its entries.
    #[inline]
    pub(crate) fn totals(&self, index: usize) -> &T {
        &self.windows[index].totals
    }

    /// The same, to say what else it shall know; before the first entry.
    pub(crate) fn totals_mut(&mut self, index: usize) -> &mut T {
        &mut self.windows[index].totals
    }

    /// Entries in a window.
    #[inline]
    pub(crate) fn count(&self, index: usize) -> u64 {
        self.end() - self.windows[index].first
    }

    /// Forgets the entries and keeps the windows.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.start = 0;
        for window in &mut self.windows {
            window.first = 0;
            window.totals.clear();
        }
    }

    /// Empties the count windows: they never reach across missing packets.
    pub(crate) fn clear_counts(&mut self) {
        let end = self.end();
        for window in &mut self.windows {
            if matches!(window.span, Span::Count { .. }) {
                window.first = end;
                window.totals.clear();
            }
        }
        self.forget();
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        // Numbers are relative, so that the bytes do not tell how long the run was.
        out.u64(self.queue.len() as u64);
        for (t_ns, entry) in &self.queue {
            out.i64(*t_ns);
            T::save(entry, out);
        }
        self.windows.iter().for_each(|window| out.u64(window.first - self.start));
    }

    pub(crate) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.clear();
        let count = from.count("entries of windows", 8 + T::ENTRY_BYTES)?;
        for _ in 0..count {
            let t_ns = from.i64()?;
            self.queue.push_back((t_ns, T::load(from)?));
        }
        for window in &mut self.windows {
            window.first = from.u64()?;
            if window.first > count as u64 {
                return Err(from.invalid("first entry of a window", &window.first));
            }
            for (number, (_, entry)) in (0..).zip(&self.queue).filter(|(n, _)| *n >= window.first) {
                window.totals.add(number, entry);
            }
        }
        Ok(())
    }

    #[inline]
    fn end(&self) -> u64 {
        self.start + self.queue.len() as u64
    }

    #[inline]
    fn entry(
        queue: &VecDeque<(i64, T::Entry)>,
        start: u64,
        number: u64,
    ) -> Option<(i64, T::Entry)> {
        queue.get((number - start) as usize).copied()
    }

    /// Drops the entries that no window holds.
    #[inline]
    fn forget(&mut self) {
        let end = self.end();
        let oldest = self.windows.iter().map(|window| window.first).min().unwrap_or(end);
        while self.start < oldest {
            self.queue.pop_front();
            self.start += 1;
        }
    }
}

impl<T: Totals> Window<T> {
    #[inline]
    fn drop_first(&mut self, oldest: Option<(i64, T::Entry)>) {
        if let Some((_, entry)) = oldest {
            self.totals.remove(self.first, &entry);
            self.first += 1;
        }
    }
}

/// The sum of the entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum(pub(crate) i128);

impl Totals for Sum {
    type Entry = i128;

    const ENTRY_BYTES: usize = 16;

    #[inline]
    fn add(&mut self, _number: u64, entry: &i128) {
        self.0 += entry;
    }

    #[inline]
    fn remove(&mut self, _number: u64, entry: &i128) {
        self.0 -= entry;
    }

    fn clear(&mut self) {
        self.0 = 0;
    }

    fn save(entry: &i128, out: &mut StateWriter) {
        out.i128(*entry);
    }

    fn load(from: &mut StateReader<'_>) -> Result<i128, StateError> {
        from.i128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_all_kinds_share_one_queue() {
        let mut windows = Windows::new();
        let short = windows.open(Span::Time { length_ns: 10 }, Sum::default());
        let long = windows.open(Span::Time { length_ns: 100 }, Sum::default());
        let last = windows.open(Span::Count { entries: 2 }, Sum::default());
        assert_eq!(windows.open(Span::Time { length_ns: 10 }, Sum::default()), short);
        for (t_ns, entry) in [(0, 1), (5, 2), (10, 4)] {
            windows.push(t_ns, entry);
            windows.evict(t_ns);
        }
        // At 10 the window of 10 is (0, 10]: the entry at its edge is out.
        assert_eq!([short, long, last].map(|i| windows.totals(i).0), [6, 7, 6]);
        assert_eq!([short, long, last].map(|i| windows.count(i)), [2, 3, 2]);
        windows.evict(110);
        assert_eq!([short, long, last].map(|i| windows.totals(i).0), [0, 0, 6]);
        assert_eq!(windows.queue.len(), 2, "what no window holds is gone");
    }

    #[test]
    fn a_saved_queue_continues_where_it_was() {
        let make = || {
            let mut windows = Windows::new();
            windows.open(Span::Time { length_ns: 10 }, Sum::default());
            windows.open(Span::Count { entries: 3 }, Sum::default());
            windows
        };
        let mut windows = make();
        (0..50).for_each(|i| windows.push(i, i128::from(i * i)));
        windows.evict(52);
        let mut out = StateWriter::default();
        windows.save(&mut out);
        let bytes = out.into_bytes();
        let mut loaded = make();
        loaded.load(&mut StateReader::new(&bytes)).unwrap();
        for index in 0..2 {
            assert_eq!(loaded.totals(index).0, windows.totals(index).0);
            assert_eq!(loaded.count(index), windows.count(index));
        }
        let mut wrong = bytes.clone();
        let at = wrong.len() - 8;
        wrong[at] = 200;
        let error = make().load(&mut StateReader::new(&wrong)).unwrap_err().to_string();
        assert!(error.contains("first entry of a window"), "{error}");
    }
}
