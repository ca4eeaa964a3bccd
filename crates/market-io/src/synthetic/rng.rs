//! Random integers: xoshiro256**, seeded by splitmix64 (Blackman and Vigna, public domain).
//!
//! Logarithms are integer approximations, so that a seed means the same market on every machine.

/// A generator of random numbers: the same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Rng([u64; 4]);

impl Rng {
    /// A generator; every seed is good.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in `0..bound`; 0 when the bound is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Like [`Rng::below`], signed.
    #[inline]
    pub(super) fn below_i64(&mut self, bound: i64) -> i64 {
        self.below(bound.max(0).cast_unsigned()).cast_signed()
    }

    /// True with probability `weight / total`.
    #[inline]
    pub(super) fn chance(&mut self, weight: i64, total: i64) -> bool {
        self.below_i64(total) < weight
    }

    /// `-log2(u)` for uniform `u`, in units of 2^-16: exponential with mean `2^16 / ln 2`.
    ///
    /// The fraction is `log2(1+f) = f + 0.34 f (1-f)`, which is off by less than 0.01.
    #[inline]
    pub(super) fn minus_log2_q16(&mut self) -> u64 {
        let u = self.next() | 1;
        let zeros = u64::from(u.leading_zeros());
        let f = (((u << zeros) << 1) >> 48) & 0xFFFF;
        let bow = (f * (0x1_0000 - f)) >> 16;
        ((zeros + 1) << 16).saturating_sub(f + ((bow * 22_282) >> 16))
    }

    /// Exponential with the given mean.
    #[inline]
    pub(super) fn exponential(&mut self, mean: u64) -> u64 {
        // 45426 / 65536 = ln 2.
        ((u128::from(mean) * u128::from(self.minus_log2_q16()) * 45_426) >> 32) as u64
    }

    /// Pareto with minimum `scale` and tail exponent 1.6, cut at `2^12` times the scale.
    #[inline]
    pub(super) fn pareto(&mut self, scale: i64) -> i64 {
        let power = (self.minus_log2_q16() * 5 / 8).min(12 << 16);
        let (whole, f) = (power >> 16, power & 0xFFFF);
        // 2^f = 1 + f - 0.34 f (1-f), the inverse of the above.
        let bow = (f * (0x1_0000 - f)) >> 16;
        let fraction = 0x1_0000 + f - ((bow * 22_282) >> 16);
        let factor_q8 = ((fraction << whole) >> 8).cast_signed();
        (scale * factor_q8) >> 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_xoshiro_and_its_moments_are_right() {
        // First output of xoshiro256** after splitmix64(0), as in the authors' reference code.
        assert_eq!(Rng::new(0).next(), 0x99EC_5F36_CB75_F2B4);
        let mut rng = Rng::new(1);
        let n = 200_000;
        let mean = (0..n).map(|_| rng.exponential(1_000_000)).sum::<u64>() / n;
        assert!((980_000..1_020_000).contains(&mean), "{mean}");
        let mut sizes: Vec<i64> = (0..n).map(|_| rng.pareto(100)).collect();
        sizes.sort_unstable();
        assert!(sizes[0] >= 99 && sizes[199_999] > 20_000);
        let median = sizes[100_000]; // 100 * 2^(1/1.6) = 154
        assert!((150..160).contains(&median), "{median}");
    }
}
