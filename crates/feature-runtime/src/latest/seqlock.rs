//! A seqlock over words: one writer, any number of readers, no lock and no torn copy.
//!
//! The version is odd while words are written. Every word is an atomic, so that a reader that races
//! with the writer reads old or new words, never undefined ones, and the version tells it to try again.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// One word that both sides share; a trait, so that a model checker can stand in for the machine.
pub(super) trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn fence(order: Ordering);
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn fence(order: Ordering) {
        fence(order);
    }
}

/// What a reader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// Nothing was written yet.
    Empty,
    /// The words of one write.
    Whole,
    /// The writer was at it all the time.
    Busy,
}

/// Writes words; only one thread may do so.
#[inline]
pub(super) fn write<W: Word>(version: &W, cells: &[W], words: impl Iterator<Item = u64>) {
    let before = version.load(Ordering::Relaxed);
    version.store(before.wrapping_add(1), Ordering::Relaxed);
    // No word may be seen before the odd version.
    W::fence(Ordering::Release);
    cells.iter().zip(words).for_each(|(cell, word)| cell.store(word, Ordering::Relaxed));
    version.store(before.wrapping_add(2), Ordering::Release);
}

/// Copies the words of one write, after at most `tries` attempts.
#[inline]
pub(super) fn read<W: Word>(version: &W, cells: &[W], out: &mut [u64], tries: u32) -> Copied {
    for _ in 0..tries {
        let before = version.load(Ordering::Acquire);
        if before == 0 {
            return Copied::Empty;
        }
        if before.is_multiple_of(2) {
            let words = out.iter_mut().zip(cells);
            words.for_each(|(word, cell)| *word = cell.load(Ordering::Relaxed));
            // The version must be read after every word.
            W::fence(Ordering::Acquire);
            if version.load(Ordering::Relaxed) == before {
                return Copied::Whole;
            }
        }
        std::hint::spin_loop();
    }
    Copied::Busy
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A word of the model checker. The parameters are planted defects: a fence that is left out, and
    /// a version that is published without order.
    struct Modelled<const FENCED: bool, const PUBLISHED: bool>(loom::sync::atomic::AtomicU64);

    impl<const FENCED: bool, const PUBLISHED: bool> Word for Modelled<FENCED, PUBLISHED> {
        fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }

        fn store(&self, value: u64, order: Ordering) {
            let order = if PUBLISHED { order } else { Ordering::Relaxed };
            self.0.store(value, order);
        }

        fn fence(order: Ordering) {
            if FENCED {
                loom::sync::atomic::fence(order);
            }
        }
    }

    /// Two writes of two equal words beside one reader, over every interleaving and every value that
    /// the memory model lets a load see; how many times the reader found whole words.
    fn model<const FENCED: bool, const PUBLISHED: bool>() -> usize {
        let whole = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&whole);
        loom::model(move || {
            let word = || Modelled::<FENCED, PUBLISHED>(loom::sync::atomic::AtomicU64::new(0));
            let shared = Arc::new((word(), [word(), word()]));
            // The checker never interrupts its first thread before another one is ready: that is the writer.
            let reader = {
                let (shared, counted) = (Arc::clone(&shared), Arc::clone(&counted));
                loom::thread::spawn(move || {
                    let mut out = [0; 2];
                    if read(&shared.0, &shared.1, &mut out, 1) == Copied::Whole {
                        assert!(out == [1, 1] || out == [2, 2], "torn: {out:?}");
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                })
            };
            for value in [1, 2] {
                write(&shared.0, &shared.1, [value, value].into_iter());
            }
            reader.join().unwrap();
        });
        whole.load(Ordering::Relaxed)
    }

    #[test]
    #[cfg_attr(miri, ignore = "the model runs its own threads")]
    fn no_interleaving_gives_a_torn_copy() {
        let whole = model::<true, true>();
        assert!(whole > 100, "{whole} executions say little");
    }

    #[test]
    #[cfg_attr(miri, ignore = "the model runs its own threads")]
    fn a_missing_fence_and_an_unordered_version_are_found_by_the_model() {
        let fails = |run: fn() -> usize| catch_unwind(AssertUnwindSafe(run)).is_err();
        assert!(fails(model::<false, true>));
        assert!(fails(model::<true, false>));
    }

    #[test]
    fn a_writer_that_died_half_way_is_told_from_one_that_never_began() {
        let cells = [const { AtomicU64::new(0) }; 2];
        let version = AtomicU64::new(0);
        let mut out = [0; 2];
        assert_eq!(read(&version, &cells, &mut out, 3), Copied::Empty);
        write(&version, &cells, [7, 8].into_iter());
        assert_eq!((read(&version, &cells, &mut out, 3), out), (Copied::Whole, [7, 8]));
        version.store(3, Ordering::Relaxed);
        assert_eq!(read(&version, &cells, &mut out, 3), Copied::Busy);
    }
}
