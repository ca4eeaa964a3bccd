//! Decimal text to ticks and lots, and the grid that the numbers of an input lie on.

use market_model::{Decimal, DecimalError, Instrument, MAX_SCALED, POW10, parse_scaled};

use crate::error::FieldFault;

/// A decimal that went through a float shows its noise from this digit on.
pub(super) const NOISY_DIGITS: u32 = 16;
/// Relative error, in units of 10^-15, of a decimal that went through a float.
const FLOAT_NOISE: u128 = 8;

/// The grid of an instrument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) price_scale: u8,
    pub(super) tick_scaled: i64,
    pub(super) qty_scale: u8,
    pub(super) lot_scaled: i64,
    is_strict: bool,
}

impl Grid {
    pub(super) fn new(instrument: &Instrument, is_strict: bool) -> Self {
        Self {
            price_scale: instrument.price_scale,
            tick_scaled: instrument.tick_scaled,
            qty_scale: instrument.qty_scale,
            lot_scaled: instrument.lot_scaled,
            is_strict,
        }
    }

    /// Ticks of a positive price.
    pub(super) fn price(&self, field: &'static str, text: &[u8]) -> Result<i64, FieldFault> {
        let scaled = parse_scaled(text, self.price_scale).map_err(|e| wrong(e, field, text))?;
        self.ticks(field, scaled, text)
    }

    /// Ticks of a price, and whether what a float added to a price on the grid was taken away.
    pub(super) fn price_through_float(
        &self,
        field: &'static str,
        text: &[u8],
    ) -> Result<(i64, bool), FieldFault> {
        let exact = self.price(field, text);
        let settled = || {
            let decimal = Decimal::parse(text).ok().filter(|decimal| is_noisy(*decimal))?;
            let (scaled, _) = decimal.to_scaled(self.price_scale).ok()?;
            let shift = u32::try_from(decimal.scale - i32::from(self.price_scale)).ok()?;
            let whole = i128::from(scaled).checked_mul(10_i128.checked_pow(shift)?)?;
            let off = decimal.mantissa.abs_diff(whole).checked_mul(10_u128.pow(15))?;
            let is_near = off <= decimal.mantissa.unsigned_abs().checked_mul(FLOAT_NOISE)?;
            let is_on_grid = scaled > 0 && scaled % self.tick_scaled == 0;
            (is_near && is_on_grid).then(|| scaled / self.tick_scaled)
        };
        match exact {
            Ok(ticks) => Ok((ticks, false)),
            Err(fault) => settled().map(|ticks| (ticks, true)).ok_or(fault),
        }
    }

    /// Lots of a quantity, and whether it was rounded.
    pub(super) fn qty(&self, field: &'static str, text: &[u8]) -> Result<(i64, bool), FieldFault> {
        let scaled = parse_scaled(text, self.qty_scale).map_err(|e| wrong(e, field, text))?;
        self.lots(field, scaled, text)
    }

    /// Ticks of the positive price `mantissa * 10^-decimals`.
    pub(super) fn price_of(
        &self,
        field: &'static str,
        mantissa: i64,
        decimals: u8,
    ) -> Result<i64, FieldFault> {
        if let Some(scaled) = scaled_exactly(mantissa, decimals, self.price_scale)
            && scaled > 0
            && let (ticks, 0) = quotient(scaled, self.tick_scaled)
        {
            return Ok(ticks);
        }
        let text = written(mantissa, decimals);
        let decimal = Decimal { mantissa: mantissa.into(), scale: decimals.into() };
        let scaled = decimal.to_scaled(self.price_scale);
        self.ticks(field, scaled.map_err(|e| wrong(e, field, text.as_bytes()))?, text.as_bytes())
    }

    /// Lots of the quantity `mantissa * 10^-decimals`, and whether it was rounded.
    pub(super) fn qty_of(
        &self,
        field: &'static str,
        mantissa: i64,
        decimals: u8,
    ) -> Result<(i64, bool), FieldFault> {
        if let Some(scaled) = scaled_exactly(mantissa, decimals, self.qty_scale)
            && scaled >= 0
            && let (lots, 0) = quotient(scaled, self.lot_scaled)
        {
            return Ok((lots, false));
        }
        let text = written(mantissa, decimals);
        let decimal = Decimal { mantissa: mantissa.into(), scale: decimals.into() };
        let scaled = decimal.to_scaled(self.qty_scale);
        self.lots(field, scaled.map_err(|e| wrong(e, field, text.as_bytes()))?, text.as_bytes())
    }

    fn ticks(
        &self,
        field: &'static str,
        (scaled, inexact): (i64, bool),
        text: &[u8],
    ) -> Result<i64, FieldFault> {
        let fault = |expected| FieldFault::new(field, expected, text);
        if scaled < 0 || (scaled == 0 && !inexact) {
            return Err(fault("a positive price"));
        }
        match quotient(scaled, self.tick_scaled) {
            (ticks, 0) if !inexact => Ok(ticks),
            _ => Err(fault("a price on the tick grid (pass --tick-size to set the grid)")),
        }
    }

    fn lots(
        &self,
        field: &'static str,
        (scaled, inexact): (i64, bool),
        text: &[u8],
    ) -> Result<(i64, bool), FieldFault> {
        let fault = |expected| FieldFault::new(field, expected, text);
        if scaled < 0 || (scaled == 0 && text.starts_with(b"-") && inexact) {
            return Err(fault("a quantity that is not negative"));
        }
        if inexact && self.is_strict {
            return Err(fault("no more decimals than the lot size (rounding is off)"));
        }
        match quotient(scaled, self.lot_scaled) {
            (lots, 0) => Ok((lots, inexact)),
            _ => Err(fault("a quantity on the lot grid (pass --lot-size to set the grid)")),
        }
    }
}

/// Whether a number has so many digits that the last may be the noise of a float.
pub(super) fn is_noisy(decimal: Decimal) -> bool {
    let mut mantissa = decimal.mantissa.unsigned_abs();
    while mantissa != 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
    }
    mantissa.checked_ilog10().is_some_and(|log| log + 1 >= NOISY_DIGITS)
}

/// `mantissa * 10^-decimals` in units of `10^-scale`, when it is a whole number of them that is in range.
#[inline]
fn scaled_exactly(mantissa: i64, decimals: u8, scale: u8) -> Option<i64> {
    let power = *POW10.get(usize::from(scale.abs_diff(decimals)))?;
    let scaled = if decimals <= scale {
        mantissa.checked_mul(power)?
    } else {
        let (whole, 0) = quotient(mantissa, power) else { return None };
        whole
    };
    (scaled.unsigned_abs() <= MAX_SCALED.unsigned_abs()).then_some(scaled)
}

/// Quotient and remainder; the common divisor costs no division.
#[inline]
const fn quotient(number: i64, by: i64) -> (i64, i64) {
    if by == 1 { (number, 0) } else { (number / by, number % by) }
}

fn written(mantissa: i64, decimals: u8) -> String {
    if decimals == 0 { mantissa.to_string() } else { format!("{mantissa}e-{decimals}") }
}

fn wrong(error: DecimalError, field: &'static str, text: &[u8]) -> FieldFault {
    let expected = match error {
        DecimalError::ScaleOverflow => "a number of at most 2^53-1 after scaling",
        _ => "a decimal number",
    };
    FieldFault::new(field, expected, text)
}

/// `10^-decimals` as decimal text.
pub(super) fn decimal_step(decimals: usize) -> String {
    match decimals {
        0 => "1".into(),
        more => format!("0.{}1", "0".repeat(more - 1)),
    }
}

/// Decimals of a number that carry information; 0 for what is not a number.
pub(super) fn decimals(text: &[u8]) -> usize {
    if text.iter().all(|c| c.is_ascii_digit() || *c == b'.') {
        let Some(point) = memchr::memchr(b'.', text) else { return 0 };
        return text[point + 1..].iter().rposition(|c| *c != b'0').map_or(0, |last| last + 1);
    }
    Decimal::parse(text).map_or(0, |decimal| usize::from(decimal.decimals()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way gives what the general way gives, wherever it gives anything.
    #[test]
    fn whole_numbers_are_scaled_as_decimals_are() {
        let mantissas = [0, 1, -1, 7, 100, 1_234_500, -90, MAX_SCALED, 1 << 53, i64::MAX, i64::MIN];
        let mut exact = 0;
        for mantissa in mantissas {
            for decimals in 0..=18 {
                for scale in 0..=18 {
                    let decimal = Decimal { mantissa: mantissa.into(), scale: decimals.into() };
                    let wanted = match decimal.to_scaled(scale) {
                        Ok((scaled, false)) => Some(scaled),
                        _ => None,
                    };
                    let found = scaled_exactly(mantissa, decimals, scale);
                    assert_eq!(found, wanted, "{mantissa}e-{decimals} at {scale}");
                    exact += u32::from(found.is_some());
                }
            }
        }
        assert!(exact > 1_000, "{exact}");
    }
}
