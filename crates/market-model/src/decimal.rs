//! Decimal text to scaled integers, exactly.
//!
//! Parsing through `f64` is wrong in the last place for 12 % of 15-17 digit numbers; here no float
//! is involved. Rules D11, D13 and D14 of `specs/semantics.md`.

use thiserror::Error;

/// Largest magnitude of a scaled price or quantity: 2^53 - 1, so that it is exact as an `f64`.
pub const MAX_SCALED: i64 = (1 << 53) - 1;

/// Largest number of decimals of an instrument.
pub const MAX_SCALE: u8 = 18;

/// Exact powers of ten; `POW10[k]` is 10^k.
pub const POW10: [i64; 19] = {
    let mut table = [1_i64; 19];
    let mut k = 1;
    while k < 19 {
        table[k] = table[k - 1] * 10;
        k += 1;
    }
    table
};

/// Why decimal text is not a usable number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// The text is empty, `NaN`, infinite, or has a character that does not belong.
    #[error("not a decimal number")]
    NotANumber,
    /// The scaled magnitude is above 2^53 - 1 (rule D13).
    #[error("scale_overflow: magnitude above 2^53-1 after scaling")]
    ScaleOverflow,
    /// The text has more decimals than the scale and rounding is refused (rule D14).
    #[error("more decimals than the scale of {scale}")]
    TooPrecise {
        /// Decimals that the instrument allows.
        scale: u8,
    },
}

/// A decimal number as written: `mantissa * 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits as one integer, with the sign.
    pub mantissa: i128,
    /// Digits after the point; negative when an exponent moved the point to the right.
    pub scale: i32,
}

impl Decimal {
    /// Reads decimal text: optional sign, digits, optional point, optional exponent.
    ///
    /// # Errors
    ///
    /// [`DecimalError::NotANumber`] for anything else, [`DecimalError::ScaleOverflow`] for more than
    /// 36 significant digits or an exponent beyond four digits.
    ///
    /// ```
    /// use market_model::Decimal;
    /// let d = Decimal::parse(b"61800.20").unwrap();
    /// assert_eq!((d.mantissa, d.scale), (6_180_020, 2));
    /// assert_eq!(d.decimals(), 1); // trailing zeros carry no information
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mut mantissa, mut scale, mut seen, mut point) = (0_i128, 0_i32, 0_u32, false);
        let mut rest = digits;
        while let [c, tail @ ..] = rest {
            match c {
                b'0'..=b'9' => {
                    if mantissa > 10_i128.pow(36) {
                        return Err(DecimalError::ScaleOverflow);
                    }
                    mantissa = mantissa * 10 + i128::from(c - b'0');
                    scale += i32::from(point);
                    seen += 1;
                }
                b'.' if !point => point = true,
                b'e' | b'E' if seen > 0 => {
                    scale -= parse_exponent(tail)?;
                    break;
                }
                _ => return Err(DecimalError::NotANumber),
            }
            rest = tail;
        }
        if seen == 0 {
            return Err(DecimalError::NotANumber);
        }
        Ok(Self { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    /// Number of decimals that carry information (trailing zeros dropped, never negative).
    #[must_use]
    pub fn decimals(self) -> u8 {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        if mantissa == 0 {
            return 0;
        }
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        u8::try_from(scale.max(0)).unwrap_or(u8::MAX)
    }

    /// The number in units of `10^-scale`, rounded half to even; `true` when rounding changed it.
    ///
    /// # Errors
    ///
    /// [`DecimalError::ScaleOverflow`] when the magnitude is above [`MAX_SCALED`].
    pub fn to_scaled(self, scale: u8) -> Result<(i64, bool), DecimalError> {
        let shift = i32::from(scale) - self.scale;
        let (value, inexact) = if shift >= 0 {
            if self.mantissa == 0 {
                return Ok((0, false));
            }
            if shift > 36 {
                return Err(DecimalError::ScaleOverflow);
            }
            let wide = self.mantissa.checked_mul(10_i128.pow(shift.unsigned_abs()));
            (wide.ok_or(DecimalError::ScaleOverflow)?, false)
        } else if shift < -37 {
            (0, self.mantissa != 0)
        } else {
            let divisor = 10_i128.pow(shift.unsigned_abs());
            let (quotient, remainder) =
                (self.mantissa.div_euclid(divisor), self.mantissa.rem_euclid(divisor));
            let half_cmp = (2 * remainder).cmp(&divisor);
            let up = half_cmp.is_gt() || (half_cmp.is_eq() && quotient % 2 != 0);
            (quotient + i128::from(up), remainder != 0)
        };
        if value.unsigned_abs() > MAX_SCALED.unsigned_abs().into() {
            return Err(DecimalError::ScaleOverflow);
        }
        let narrow = i64::try_from(value).map_err(|_| DecimalError::ScaleOverflow)?;
        Ok((narrow, inexact))
    }
}

fn parse_exponent(text: &[u8]) -> Result<i32, DecimalError> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotANumber);
    }
    if digits.len() > 4 {
        return Err(DecimalError::ScaleOverflow);
    }
    Ok(sign * digits.iter().fold(0, |sum, d| sum * 10 + i32::from(d - b'0')))
}

/// Decimal text in units of `10^-scale`; the flag is `true` when digits were rounded away.
///
/// The common case, plain digits with at most `scale` decimals, takes one pass over the text.
///
/// # Errors
///
/// See [`Decimal::parse`] and [`Decimal::to_scaled`].
///
/// ```
/// assert_eq!(market_model::parse_scaled(b"0.30000000000000004", 2), Ok((30, true)));
/// assert_eq!(market_model::parse_scaled(b"1.5e3", 1), Ok((15_000, false)));
/// ```
#[inline]
pub fn parse_scaled(text: &[u8], scale: u8) -> Result<(i64, bool), DecimalError> {
    // At most 18 digits cannot overflow an i64; anything unusual takes the general way.
    if text.len() <= 18 && !text.is_empty() {
        let (mut value, mut decimals, mut point) = (0_i64, 0_u8, false);
        let mut plain = true;
        for &c in text {
            let digit = c.wrapping_sub(b'0');
            if digit <= 9 {
                if decimals == scale && point {
                    // Digits past the scale are fine as long as they are zeros.
                    plain &= digit == 0;
                } else {
                    value = value * 10 + i64::from(digit);
                    decimals += u8::from(point);
                }
            } else {
                plain &= c == b'.' && !point;
                point = true;
            }
        }
        let missing = scale - decimals;
        if plain && text != b"." && usize::from(missing) + text.len() <= 18 {
            let value = value * POW10[usize::from(missing)];
            if value <= MAX_SCALED {
                return Ok((value, false));
            }
        }
    }
    Decimal::parse(text)?.to_scaled(scale)
}

/// A scaled integer as decimal text: `scaled * 10^-scale`, exactly, with as many decimals as the scale.
///
/// ```
/// assert_eq!(market_model::decimal_text(-12_345, 3), "-12.345");
/// assert_eq!(market_model::decimal_text(7, 0), "7");
/// ```
#[must_use]
pub fn decimal_text(scaled: impl Into<i128>, scale: u8) -> String {
    let scaled = scaled.into();
    let digits = format!("{:0width$}", scaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if scaled < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounds_half_to_even_and_says_so() {
        for (text, scale, want) in [
            ("0.125", 2, Ok((12, true))),
            ("0.135", 2, Ok((14, true))),
            ("-0.125", 2, Ok((-12, true))),
            ("-0.126", 2, Ok((-13, true))),
            ("61837.63000000", 2, Ok((6_183_763, false))),
            ("1e-9", 8, Ok((0, true))),
            ("5e-1", 0, Ok((0, true))),
            ("15e-1", 0, Ok((2, true))),
            ("9007199254740991", 0, Ok((MAX_SCALED, false))),
            ("9007199254740992", 0, Err(DecimalError::ScaleOverflow)),
            ("1e999", 0, Err(DecimalError::ScaleOverflow)),
            ("NaN", 0, Err(DecimalError::NotANumber)),
            ("Infinity", 0, Err(DecimalError::NotANumber)),
            ("", 0, Err(DecimalError::NotANumber)),
            (".", 0, Err(DecimalError::NotANumber)),
            ("1.2.3", 1, Err(DecimalError::NotANumber)),
            ("12a", 1, Err(DecimalError::NotANumber)),
            ("1e", 1, Err(DecimalError::NotANumber)),
        ] {
            assert_eq!(parse_scaled(text.as_bytes(), scale), want, "{text} at scale {scale}");
        }
    }

    proptest! {
        #[test]
        fn fast_path_equals_general_path(whole in 0_u64..10_000_000, frac in "[0-9]{0,9}", scale in 0_u8..10) {
            let text = if frac.is_empty() { whole.to_string() } else { format!("{whole}.{frac}") };
            let slow = Decimal::parse(text.as_bytes()).and_then(|d| d.to_scaled(scale));
            prop_assert_eq!(parse_scaled(text.as_bytes(), scale), slow);
        }
    }

    #[test]
    fn the_decimal_point_is_where_the_scale_says() {
        let shown = [(0, 0), (7, 0), (0, 2), (-5, 2), (634_021, 1), (-12_345, 3), (10, 1)];
        let shown = shown.map(|(value, scale)| decimal_text(value, scale));
        assert_eq!(shown, ["0", "7", "0.00", "-0.05", "63402.1", "-12.345", "1.0"]);
        assert_eq!(decimal_text(i64::MIN, 18), "-9.223372036854775808");
    }
}
