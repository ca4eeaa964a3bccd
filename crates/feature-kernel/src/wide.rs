//! Integers of 256 bits: products of exact sums, converted once at the exit.

/// A signed integer, two's complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wide {
    hi: i128,
    lo: u128,
}

impl Wide {
    /// `a * b`.
    #[inline]
    pub(crate) fn product(a: i128, b: i128) -> Self {
        let (narrow_a, narrow_b) = (a as i64, b as i64);
        if i128::from(narrow_a) == a && i128::from(narrow_b) == b {
            return Self::from(i128::from(narrow_a) * i128::from(narrow_b));
        }
        if let Some(product) = a.checked_mul(b) {
            return Self::from(product);
        }
        let (hi, lo) = wide_product(a.unsigned_abs(), b.unsigned_abs());
        let magnitude = Self { hi: hi.cast_signed(), lo };
        if (a < 0) == (b < 0) { magnitude } else { Self::default().minus(magnitude) }
    }

    /// `self * n`, for what stays within 255 bits.
    #[inline]
    pub(crate) fn times(self, n: u64) -> Self {
        if let Ok(narrow) = i128::try_from(self) {
            return Self::product(narrow, n.into());
        }
        let is_negative = self.hi < 0;
        let magnitude = if is_negative { Self::default().minus(self) } else { self };
        let (carry, lo) = wide_product(magnitude.lo, n.into());
        let hi = (magnitude.hi * i128::from(n)) + carry.cast_signed();
        let product = Self { hi, lo };
        if is_negative { Self::default().minus(product) } else { product }
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        let (lo, carry) = self.lo.overflowing_add(other.lo);
        Self { hi: self.hi + other.hi + i128::from(carry), lo }
    }

    #[inline]
    pub(crate) fn minus(self, other: Self) -> Self {
        let (lo, borrow) = self.lo.overflowing_sub(other.lo);
        Self { hi: self.hi - other.hi - i128::from(borrow), lo }
    }

    #[inline]
    pub(crate) fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Nearest float, ties to even.
    #[inline]
    pub(crate) fn float(self) -> f64 {
        match i128::try_from(self) {
            Ok(narrow) => crate::numeric::float(narrow),
            Err(_) => self.float_wide(),
        }
    }

    #[cold]
    fn float_wide(self) -> f64 {
        let is_negative = self.hi < 0;
        let magnitude = if is_negative { Self::default().minus(self) } else { self };
        let (hi, lo) = (magnitude.hi.cast_unsigned(), magnitude.lo);
        let shift = hi.leading_zeros();
        // The upper 128 significant bits; what is below them only tells that they are not exact.
        let (upper, lower) = match shift {
            0 => (hi, lo),
            128 => (lo, 0),
            _ => ((hi << shift) | (lo >> (128 - shift)), lo << shift),
        };
        let upper = (upper | u128::from(lower != 0)) as f64;
        let scale = f64::from_bits(u64::from(1_023 + 128 - shift) << 52);
        if is_negative { -(upper * scale) } else { upper * scale }
    }
}

impl From<i128> for Wide {
    #[inline]
    fn from(x: i128) -> Self {
        Self { hi: x >> 127, lo: x.cast_unsigned() }
    }
}

/// What does not fit.
#[derive(Debug)]
pub(crate) struct TooWide;

impl TryFrom<Wide> for i128 {
    type Error = TooWide;

    #[inline]
    fn try_from(x: Wide) -> Result<Self, TooWide> {
        let narrow = x.lo.cast_signed();
        if narrow >> 127 == x.hi { Ok(narrow) } else { Err(TooWide) }
    }
}

/// Upper and lower half of a product.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a_hi, a_lo, b_hi, b_lo) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let low = a_lo * b_lo;
    let (cross, other) = (a_hi * b_lo, a_lo * b_hi);
    let middle = (low >> 64) + (cross & LOW) + (other & LOW);
    let hi = a_hi * b_hi + (cross >> 64) + (other >> 64) + (middle >> 64);
    (hi, (middle << 64) | (low & LOW))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_of_wide_numbers_round_to_nearest_even() {
        let two_200 = Wide::product(1 << 100, 1 << 100);
        let exact = f64::from_bits((1_023 + 200) << 52);
        let unit = Wide::product(1 << 100, 1 << 48); // One unit in the last place of 2^200.
        let half = Wide::product(1 << 100, 1 << 47);
        assert_eq!(two_200.float(), exact);
        assert_eq!(two_200.plus(unit).float(), f64::from_bits(exact.to_bits() + 1));
        assert_eq!(two_200.plus(half).float(), exact, "a tie goes to even");
        assert_eq!(two_200.plus(half).plus(1.into()).float(), f64::from_bits(exact.to_bits() + 1));
        assert_eq!(two_200.plus(unit).plus(half).float(), f64::from_bits(exact.to_bits() + 2));
        assert_eq!(Wide::default().minus(two_200).float(), -exact);
    }

    proptest! {
        #[test]
        fn sums_and_products_agree_with_themselves(a: i128, b: i128, c in any::<i64>(), n: u32) {
            let (c, n) = (i128::from(c), u64::from(n));
            // (a + c) * b = a * b + c * b, where a + c does not overflow.
            let a = a >> 1;
            let b = b >> 2;
            let sum = Wide::product(a, b).plus(Wide::product(c, b));
            prop_assert_eq!(Wide::product(a + c, b), sum);
            prop_assert!(sum.minus(sum).is_zero());
            prop_assert_eq!(Wide::product(c, b >> 40).times(n), Wide::product(c * i128::from(n), b >> 40));
            prop_assert_eq!(Wide::product(a, b), Wide::product(b, a));
            prop_assert_eq!(Wide::product(c, c).float(), (c * c) as f64);
        }
    }
}
