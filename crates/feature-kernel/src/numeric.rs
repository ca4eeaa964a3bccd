//! The few operations on numbers whose bits must be the same everywhere (`specs/semantics.md`, section 4).

use market_model::POW10;

/// `e^x`, the same bits on every platform: the pinned `libm` crate, plain IEEE operations.
#[inline]
#[must_use]
pub fn det_exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Natural logarithm, the same bits on every platform: the pinned `libm` crate, plain IEEE operations.
#[inline]
#[must_use]
pub fn det_ln(x: f64) -> f64 {
    libm::log(x)
}

/// Units of one in which floats enter exact sums: 2^40.
pub const QUANTUM: f64 = 1_099_511_627_776.0;

/// A float as an integer of units of 2^-40, rounded half to even and clamped to 2^40 in magnitude, and
/// whether it was clamped.
///
/// ```
/// use feature_kernel::numeric::quantised;
/// assert_eq!(quantised(-1.5), (-(3 << 39), false));
/// assert_eq!(quantised(1e300), (1 << 80, true));
/// ```
#[inline]
#[must_use]
pub fn quantised(x: f64) -> (i128, bool) {
    let limit = QUANTUM;
    let clamped = x.clamp(-limit, limit);
    let units = clamped * QUANTUM;
    let rounded = match round_to_i64(units) {
        Some(narrow) => narrow.into(),
        None => units.round_ties_even() as i128,
    };
    (rounded, clamped != x)
}

/// An exact integer as a float: one rounding, nearest, ties to even.
#[inline]
#[must_use]
pub const fn float(x: i128) -> f64 {
    // The narrow conversion is one instruction; both round to nearest, ties to even.
    let narrow = x as i64;
    if narrow as i128 == x { narrow as f64 } else { float_wide(x) }
}

/// Kept out of line, or the compiler finds the two conversions equal and keeps the wide one.
#[cold]
#[inline(never)]
const fn float_wide(x: i128) -> f64 {
    x as f64
}

/// A float rounded to the nearest integer, ties to even; `None` when it is 2^51 or more away from 0.
#[inline]
#[must_use]
pub fn round_to_i64(x: f64) -> Option<i64> {
    // Adding 1.5 * 2^52 leaves no room for a fraction, so that the addition itself rounds; the
    // rounding instruction is not in the baseline of x86-64.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    const LIMIT: f64 = 2_251_799_813_685_248.0;
    (x.abs() < LIMIT).then_some(((x + SHIFT) - SHIFT) as i64)
}

/// `float(num) / float(den)`; `None` when `den` is 0.
#[inline]
#[must_use]
pub fn ratio(num: i128, den: i128) -> Option<f64> {
    (den != 0).then(|| float(num) / float(den))
}

/// `10^k` as an exact integer.
#[inline]
#[must_use]
pub fn pow10(k: u8) -> i128 {
    i128::from(POW10[usize::from(k)])
}

/// The rational `num / den` (`den > 0`) rounded to the nearest integer, ties to even.
///
/// ```
/// use feature_kernel::numeric::round_half_even;
/// assert_eq!(round_half_even(5, 2), 2);
/// assert_eq!(round_half_even(7, 2), 4);
/// assert_eq!(round_half_even(-5, 2), -2);
/// ```
#[inline]
#[must_use]
pub const fn round_half_even(num: i128, den: i128) -> i128 {
    let (narrow_num, narrow_den) = (num as i64, den as i64);
    let is_narrow = narrow_num as i128 == num && narrow_den as i128 == den;
    let (quotient, remainder) = if is_narrow {
        (narrow_num.div_euclid(narrow_den) as i128, narrow_num.rem_euclid(narrow_den) as i128)
    } else {
        (num.div_euclid(den), num.rem_euclid(den))
    };
    let twice = 2 * remainder;
    if twice > den || (twice == den && quotient & 1 == 1) { quotient + 1 } else { quotient }
}

/// `round_half_even(float(num) * 1e6 / float(den))`, 0 when `den` is 0: parts per million as the
/// deployed `lob_shared_v1` rounds them.
#[inline]
#[must_use]
pub fn ppm(num: i128, den: i128) -> i64 {
    if den == 0 {
        return 0;
    }
    let value = (float(num) * 1e6) / float(den);
    // |num| <= |den|, so the value is within +-1e6.
    round_to_i64(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_rationals_half_to_even() {
        for (num, den, want) in
            [(1, 2, 0), (3, 2, 2), (-1, 2, 0), (-3, 2, -2), (10, 3, 3), (11, 3, 4), (-11, 3, -4)]
        {
            assert_eq!(round_half_even(num, den), want, "{num}/{den}");
        }
    }

    #[test]
    fn ppm_matches_the_golden_vector() {
        assert_eq!(ppm(40 - 25, 65), 230_769);
        assert_eq!(ppm(10 - 20, 30), -333_333);
        assert_eq!(ppm(0, 0), 0);
    }

    #[test]
    fn det_exp_bits_are_pinned() {
        for (x, bits) in [
            (0.0, 0x3FF0_0000_0000_0000_u64),
            (-1.0, 0x3FD7_8B56_362C_EF38),
            (1.0, 0x4005_BF0A_8B14_576A),
            (-745.2, 0),
        ] {
            assert_eq!(det_exp(x).to_bits(), bits, "exp({x})");
        }
        let mut hash = 0_u64;
        for i in 0..1_000_000_u32 {
            let x = f64::from(i) * -40.0 / 1_000_000.0;
            hash = hash.rotate_left(5) ^ det_exp(x).to_bits();
        }
        assert_eq!(hash, 6_828_041_449_254_861_789, "hash over 10^6 values");
    }

    #[test]
    fn det_ln_bits_are_pinned() {
        for (x, bits) in [
            (1.0, 0_u64),
            (2.0, 0x3FE6_2E42_FEFA_39EF),
            (0.5, 0xBFE6_2E42_FEFA_39EF),
            (5e-324, 0xC087_4385_446D_71C3),
            (0.0, 0xFFF0_0000_0000_0000),
            (f64::INFINITY, 0x7FF0_0000_0000_0000),
        ] {
            assert_eq!(det_ln(x).to_bits(), bits, "ln({x})");
        }
        let mut hash = 0_u64;
        for i in 1..=1_000_000_u32 {
            let x = f64::from(i) * 0.000_003;
            hash = hash.rotate_left(5) ^ det_ln(x).to_bits();
        }
        assert_eq!(hash, 18_351_417_855_056_377_176, "hash over 10^6 values");
    }
}
