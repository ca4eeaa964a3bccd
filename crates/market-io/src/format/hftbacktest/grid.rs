//! Floats to ticks and lots, and the grid that a file's values lie on.

use market_model::{MAX_SCALED, POW10};

use super::ev::{DEPTH, KIND_MASK, SNAPSHOT, TRADE};
use crate::error::{Error, Fault, Location};
use crate::format::grid::decimal_step;
use crate::format::npy::Rows;
use crate::source::OpenOptions;

const INFERENCE_ROWS: u64 = 200_000;
const MAX_INFERRED_DECIMALS: usize = 9;
/// How far a float may lie from the grid, in grid steps.
const GRID_TOLERANCE: f64 = 1e-6;
/// Relative error of a decimal that went through an `f64` and one multiplication.
const FLOAT_NOISE: f64 = 4.5e-16;
/// 1.5 * 2^52; added to a number below [`MAX_FAST`], it leaves the nearest whole number.
const ROUNDER: f64 = (3_i64 << 51) as f64;
const MAX_FAST: f64 = (1_i64 << 51) as f64;

/// A grid of prices or quantities: floats in, whole steps out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) power: f64,
    step_scaled: i64,
}

impl Grid {
    pub(super) fn new(scale: u8, step_scaled: i64) -> Self {
        Self { power: POW10[usize::from(scale)] as f64, step_scaled }
    }

    /// Whole steps of a value that is not negative; `None` when it is off the grid or too large.
    #[inline]
    pub(super) fn steps(self, value: f64) -> Option<i64> {
        let scaled = value * self.power;
        // Written so that NaN fails.
        if !(scaled >= 0.0 && scaled <= MAX_SCALED as f64) {
            return None;
        }
        let exact = if self.step_scaled == 1 { scaled } else { scaled / self.step_scaled as f64 };
        let (steps, off) = if exact < MAX_FAST {
            // The sum has no room for a fraction: its low bits are the nearest whole number.
            let sum = exact + ROUNDER;
            let steps = sum.to_bits().wrapping_sub(ROUNDER.to_bits()).cast_signed();
            (steps, (exact - (sum - ROUNDER)).abs())
        } else {
            let whole = exact.round_ties_even();
            (whole as i64, (exact - whole).abs())
        };
        (off <= GRID_TOLERANCE || off <= exact * FLOAT_NOISE).then_some(steps)
    }
}

/// Tick and lot size: as given, else the coarsest power of ten that the first rows lie on.
pub(super) fn sizes(options: &OpenOptions, symbol: &str) -> Result<(String, String), Error> {
    if let (Some(tick), Some(lot)) = (&options.tick_size, &options.lot_size) {
        return Ok((tick.clone(), lot.clone()));
    }
    let path = &options.inputs[0];
    let mut rows = Rows::open(path)?;
    let (mut price_decimals, mut qty_decimals) = (0, 0);
    let mut seen = 0;
    while seen < INFERENCE_ROWS && rows.advance()? {
        for row in rows.chunk() {
            let kind = row.ev & KIND_MASK;
            if matches!(kind, DEPTH | TRADE | SNAPSHOT) {
                price_decimals = decimals(row.px, price_decimals);
                qty_decimals = decimals(row.qty, qty_decimals);
            }
        }
        seen += rows.chunk().len() as u64;
    }
    let size = |given: &Option<String>, decimals: usize, field: &str, option: &str| match given {
        Some(text) => Ok(text.clone()),
        None if decimals > MAX_INFERRED_DECIMALS => Err(Error::from(Fault {
            location: Location::file(path),
            symbol: symbol.into(),
            field: field.into(),
            expected: format!("values with at most {MAX_INFERRED_DECIMALS} decimals, or {option}"),
            found: "more".into(),
        })),
        None => Ok(decimal_step(decimals)),
    };
    Ok((
        size(&options.tick_size, price_decimals, "px", "--tick-size")?,
        size(&options.lot_size, qty_decimals, "qty", "--lot-size")?,
    ))
}

/// The smallest number of decimals, at least `least`, that a value can be written with.
fn decimals(value: f64, least: usize) -> usize {
    if !value.is_finite() || value < 0.0 {
        return least;
    }
    (least..=MAX_INFERRED_DECIMALS)
        .find(|&decimals| {
            let scaled = value * POW10[decimals] as f64;
            let whole = scaled.round_ties_even();
            let off = (scaled - whole).abs();
            // A tiny value is not taken for 0.
            (whole > 0.0 || scaled == 0.0) && (off <= GRID_TOLERANCE || off <= scaled * FLOAT_NOISE)
        })
        .unwrap_or(MAX_INFERRED_DECIMALS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_land_on_their_decimal() {
        for (value, scale, step, want) in [
            (61_659.700_000_000_004, 1, 1, Some(616_597)),
            (0.014, 3, 1, Some(14)),
            (5_023.25, 2, 25, Some(20_093)),
            (5_023.26, 2, 25, None),
            (0.1 + 0.2, 1, 1, Some(3)),
            (99.85, 1, 1, None),
            (9_007_199_254_740_991.0, 0, 1, Some(MAX_SCALED)),
            (9_007_199_254_740_992.0, 0, 1, None),
            (4_503_599_627_370_497.0, 0, 1, Some(4_503_599_627_370_497)),
            (12_345_678_901.234_567, 6, 1, Some(12_345_678_901_234_567 / 1_000 * 1_000 + 567)),
            (0.0, 1, 1, Some(0)),
            (-0.0, 1, 1, Some(0)),
            (-0.1, 1, 1, None),
            (f64::NAN, 1, 1, None),
            (f64::INFINITY, 1, 1, None),
        ] {
            let got = Grid::new(scale, step).steps(value);
            let too_large = value * POW10[usize::from(scale)] as f64 > MAX_SCALED as f64;
            assert_eq!(got, want.filter(|_| !too_large), "{value} at scale {scale}, step {step}");
        }
    }

    #[test]
    fn every_price_of_one_decimal_is_exact_whichever_way_it_was_made() {
        for ticks in 1..400_000_i64 {
            let decimal: f64 = format!("{}.{}", ticks / 10, ticks % 10).parse().unwrap();
            let product = ticks as f64 * 0.1;
            let grid = Grid::new(1, 1);
            assert_eq!((grid.steps(decimal), grid.steps(product)), (Some(ticks), Some(ticks)));
        }
    }

    #[test]
    fn the_coarsest_decimal_is_found() {
        for (value, want) in [(5.0, 0), (0.5, 1), (61_659.700_000_000_004, 1), (1e-9, 9)] {
            assert_eq!(decimals(value, 0), want, "{value}");
        }
        assert_eq!(decimals(1.0 / 3.0, 0), MAX_INFERRED_DECIMALS + 1);
        assert_eq!(decimals(1e-10, 0), MAX_INFERRED_DECIMALS + 1);
        assert_eq!(decimals(f64::NAN, 2), 2);
    }
}
