//! Words that threads or processes share: on the heap, or in a file that is mapped.
#![allow(unsafe_code, reason = "a mapped file is a raw pointer; see `Region::words`")]

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

/// Shared words. A mapping lives as long as the region.
#[derive(Debug)]
pub(super) enum Region {
    Heap(Box<[AtomicU64]>),
    Mapped(MmapRaw),
}

impl Region {
    pub(super) fn heap(words: usize) -> Self {
        Self::Heap((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Maps a whole file for writing.
    pub(super) fn writable(file: &File) -> io::Result<Self> {
        MmapOptions::new().map_raw(file).map(Self::Mapped)
    }

    /// Maps a whole file for reading; a store to its words would end the process.
    pub(super) fn read_only(file: &File) -> io::Result<Self> {
        MmapOptions::new().map_raw_read_only(file).map(Self::Mapped)
    }

    #[inline]
    pub(super) fn words(&self) -> &[AtomicU64] {
        match self {
            Self::Heap(words) => words,
            Self::Mapped(map) => {
                // SAFETY: a mapping starts at a page, so the pointer is aligned for words, and it is
                // readable for `len` bytes for as long as `map` lives, which the borrow of `self`
                // outlives. An `AtomicU64` has the layout of a `u64`, of which every bit pattern is
                // one; other processes and threads change the words only by atomic stores of
                // `LatestWriter`. Read-only mappings are only loaded from, since a reader has no
                // function that stores. A file that is cut short while it is mapped raises SIGBUS on
                // access, which is no undefined behaviour; only the writer's owner may do that.
                unsafe { std::slice::from_raw_parts(map.as_ptr().cast(), map.len() / 8) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    /// Set by `tools/miri.sh` to plant a defect: the mapping ends before its words are read.
    const PLANTED: &str = "FEATUREPLANE_PLANTED";

    #[test]
    fn words_of_a_mapping_are_its_own_up_to_the_last_one() {
        let map = MmapOptions::new().len(4_096).map_anon().unwrap();
        let mut region = Some(Region::Mapped(map.into()));
        let words = region.as_ref().unwrap().words();
        assert_eq!(words.len(), 512);
        words[511].store(7, Ordering::Release);
        let last = std::ptr::from_ref(&words[511]);
        if std::env::var_os(PLANTED).is_some() {
            region = None;
        }
        // SAFETY: the region lives, except where the defect is planted for Miri to find.
        assert_eq!(unsafe { &*last }.load(Ordering::Acquire), 7);
        assert!(region.is_some());
    }
}
