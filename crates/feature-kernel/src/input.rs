//! The input of a family over columns.

use crate::context::Context;
use crate::meta::{Dtype, Reads};
use crate::set::Feature;
use crate::slots::Slots;

/// The column that a column is computed from; it stands earlier in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    slot: usize,
    pub(crate) dtype: Dtype,
    reads: Reads,
    counts_own_steps: bool,
}

impl Input {
    pub(crate) fn of(feature: &Feature) -> Self {
        Self {
            slot: feature.input.expect("Invariant: a family over columns has an input"),
            dtype: feature.input_dtype,
            reads: feature.reads,
            counts_own_steps: feature.input_steps,
        }
    }

    /// The word of the input, when it stepped in this packet and is valid.
    #[inline]
    pub(crate) fn stepped<B>(&self, context: &Context<'_, B>, slots: &Slots<'_>) -> Option<u64> {
        let steps = if self.counts_own_steps {
            slots.has_stepped(self.slot)
        } else {
            self.reads == Reads::Clock || (context.book_step && !context.frozen)
        };
        if steps && context.stamp.is_some() { slots.written(self.slot) } else { None }
    }

    /// Whether nothing that is computed from it may be written: it is frozen with the book.
    #[inline]
    pub(crate) fn stands<B>(&self, context: &Context<'_, B>) -> bool {
        context.frozen && self.reads.is_book()
    }

    /// A word of the input as a float.
    #[inline]
    pub(crate) fn float(&self, word: u64) -> f64 {
        match self.dtype {
            Dtype::F64 => f64::from_bits(word),
            Dtype::I64 | Dtype::U32 => word.cast_signed() as f64,
        }
    }
}
