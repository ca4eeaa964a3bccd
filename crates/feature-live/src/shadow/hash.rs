//! A 64-bit hash over every frame since the start.

/// Odd, so that multiplying by it loses nothing.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Running hash. Each step is a bijection of the state for a given word and of the word for a given
/// state: two streams that differ in one word have different hashes from there on, for certain, as long
/// as the words after it are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RunningHash(u64);

impl RunningHash {
    #[inline]
    pub(super) fn add(&mut self, words: &[u64]) {
        // The length goes in first, so that no frame is a part of another one.
        let mut state = self.mixed(words.len() as u64);
        words.iter().for_each(|word| state = state.mixed(*word));
        *self = state;
    }

    #[inline]
    fn mixed(self, word: u64) -> Self {
        Self((self.0.rotate_left(29) ^ word).wrapping_mul(FACTOR))
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_differing_bit_is_never_forgotten() {
        let frame = [1, 2, 3, u64::MAX];
        for bit in 0..256 {
            let mut other = frame;
            other[bit / 64] ^= 1 << (bit % 64);
            let mut hashes = [RunningHash::default(); 2];
            hashes[0].add(&frame);
            hashes[1].add(&other);
            for word in 0..1_000 {
                assert_ne!(hashes[0], hashes[1], "bit {bit}");
                hashes.iter_mut().for_each(|hash| hash.add(&[word, word]));
            }
        }
        let mut missing = [RunningHash::default(); 2];
        missing[0].add(&[0]);
        assert_ne!(missing[0], missing[1], "a missing frame of zeros");
    }
}
