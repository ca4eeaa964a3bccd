//! Where families write: values and masks of one frame, or of one sampled row.

use crate::numeric::round_to_i64;
use crate::set::MAX_FEATURES;

/// Masks as wide as a set may be, so that no write has to be checked.
pub(crate) type Mask = [u64; MAX_FEATURES / 64];

const _: () = assert!((MAX_FEATURES / 64).is_power_of_two(), "an index into a mask is masked");

/// Value words and masks of a frame under construction.
///
/// A slot that is not written in a packet stays invalid and keeps its word.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    pub(crate) values: &'a mut [u64],
    pub(crate) changed: &'a mut Mask,
    pub(crate) valid: &'a mut Mask,
    /// Steps of families that count their own, by slot.
    pub(crate) own_steps: &'a mut [u64],
    /// Slots of such families that stepped in this packet.
    pub(crate) stepped: &'a mut [u64],
    pub(crate) saturated: bool,
}

impl Slots<'_> {
    #[inline]
    fn put(&mut self, slot: usize, word: u64) {
        let (index, bit) = ((slot / 64) % (MAX_FEATURES / 64), slot % 64);
        let old = core::mem::replace(&mut self.values[slot], word);
        self.changed[index] |= u64::from(old != word) << bit;
        self.valid[index] |= 1 << bit;
    }

    /// Takes over slots that an earlier packet wrote and nothing has changed since.
    #[inline]
    pub(crate) fn reuse(&mut self, valid: &Mask, saturated: bool) {
        self.valid.iter_mut().zip(valid).for_each(|(mine, theirs)| *mine |= theirs);
        self.saturated |= saturated;
    }

    /// Writes a signed integer.
    #[inline]
    pub(crate) fn i64(&mut self, slot: usize, value: i64) {
        self.put(slot, value.cast_unsigned());
    }

    /// Writes a wide integer, clamped to 64 bits; clamping is flagged on the frame.
    #[inline]
    pub(crate) fn i128(&mut self, slot: usize, value: i128) {
        let narrow = value as i64;
        if i128::from(narrow) == value {
            self.put(slot, narrow.cast_unsigned());
        } else {
            self.clamped(slot, value);
        }
    }

    #[cold]
    #[inline(never)]
    fn clamped(&mut self, slot: usize, value: i128) {
        self.saturated = true;
        let limit = if value < 0 { i64::MIN } else { i64::MAX };
        self.put(slot, limit.cast_unsigned());
    }

    /// Writes a small unsigned integer.
    #[inline]
    pub(crate) fn u32(&mut self, slot: usize, value: u32) {
        self.put(slot, value.into());
    }

    /// Writes a float; what is not finite stays invalid, and -0.0 becomes 0.0.
    #[inline]
    pub(crate) fn f64(&mut self, slot: usize, value: f64) {
        if value.is_finite() {
            self.put(slot, (value + 0.0).to_bits());
        }
    }

    /// Writes a float rounded half to even, clamped to 64 bits.
    #[inline]
    pub(crate) fn rounded(&mut self, slot: usize, value: f64) {
        match round_to_i64(value) {
            Some(rounded) => self.i64(slot, rounded),
            None => self.i128(slot, value.round_ties_even() as i128),
        }
    }

    /// Writes a float if there is one.
    #[inline]
    pub(crate) fn opt_f64(&mut self, slot: usize, value: Option<f64>) {
        if let Some(value) = value {
            self.f64(slot, value);
        }
    }

    /// Counts a step of a column that counts its own.
    #[inline]
    pub(crate) fn step(&mut self, slot: usize) {
        self.steps(slot, 1);
    }

    /// Counts several steps at once.
    #[inline]
    pub(crate) fn steps(&mut self, slot: usize, count: u64) {
        self.own_steps[slot] = self.own_steps[slot].saturating_add(count);
        self.stepped[slot / 64] |= u64::from(count != 0) << (slot % 64);
    }

    /// Whether a column that counts its own steps took one in this packet.
    #[inline]
    #[must_use]
    pub(crate) fn has_stepped(&self, slot: usize) -> bool {
        (self.stepped[slot / 64] >> (slot % 64)) & 1 == 1
    }

    /// The word of a slot that was written in this packet.
    #[inline]
    #[must_use]
    pub(crate) fn written(&self, slot: usize) -> Option<u64> {
        ((self.valid[(slot / 64) % (MAX_FEATURES / 64)] >> (slot % 64)) & 1 == 1)
            .then(|| self.values[slot])
    }
}
