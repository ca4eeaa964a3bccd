//! Calibration: a line before the link, and steps of a rising curve after it (`specs/model-file.md`).

use serde::{Deserialize, Serialize};

/// What makes probabilities of scores; the default changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Factor of every sum before the link.
    pub slope: f64,
    /// Added to every sum after that.
    pub offset: f64,
    /// A curve through `[score, calibrated score]` after the link, flat beyond its ends; none or 2 and more.
    pub knots: Vec<[f64; 2]>,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { slope: 1.0, offset: 0.0, knots: Vec::new() }
    }
}

impl Calibration {
    /// Whether it changes no score.
    pub(crate) fn is_identity(&self) -> bool {
        let line = [self.slope, self.offset].map(f64::to_bits);
        line == [1.0, 0.0].map(f64::to_bits) && self.knots.is_empty()
    }

    /// First knot that cannot be used, with what is allowed there.
    pub(crate) fn wrong_knot(&self, is_probability: bool) -> Option<(usize, &'static str)> {
        if self.knots.len() == 1 {
            return Some((0, "2 knots or none"));
        }
        let falls = self.knots.windows(2).position(|pair| {
            let [[x0, y0], [x1, y1]] = [pair[0], pair[1]];
            x1 <= x0 || y1 < y0
        });
        if let Some(index) = falls {
            return Some((
                index + 1,
                "a score above, and a value not below, those of the knot before",
            ));
        }
        let outside =
            self.knots.iter().position(|[_, y]| is_probability && !(0.0..=1.0).contains(y));
        outside.map(|index| (index, "a probability"))
    }

    /// The calibrated score; the score itself without knots.
    #[inline]
    pub(crate) fn curve(&self, score: f64) -> f64 {
        let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else {
            return score;
        };
        let after = self.knots.partition_point(|[x, _]| *x <= score);
        if after == 0 {
            return first[1] + 0.0;
        }
        if after == self.knots.len() {
            return last[1] + 0.0;
        }
        let ([x0, y0], [x1, y1]) = (self.knots[after - 1], self.knots[after]);
        let value = y0 + (y1 - y0) * ((score - x0) / (x1 - x0));
        // Rounding may pass the upper knot by one place, and 1 with it.
        if value > y1 { y1 + 0.0 } else { value + 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    fn curve(knots: &[[f64; 2]]) -> Calibration {
        Calibration { knots: knots.to_vec(), ..Calibration::default() }
    }

    #[test]
    fn a_curve_is_straight_between_knots_and_flat_beyond_them() {
        let steps = curve(&[[0.25, 0.0], [0.5, 0.5], [0.75, 0.5], [1.0, 1.0]]);
        for (score, want) in [
            (0.0, 0.0),
            (0.25, 0.0),
            (0.375, 0.25),
            (0.5, 0.5),
            (0.7, 0.5),
            (0.875, 0.75),
            (1.0, 1.0),
            (9.0, 1.0),
        ] {
            assert_eq!(steps.curve(score).to_bits(), f64::to_bits(want), "{score}");
        }
        assert_eq!(Calibration::default().curve(0.3).to_bits(), 0.3_f64.to_bits());
    }

    #[test]
    fn a_curve_never_falls_and_never_leaves_its_knots() {
        let steps = curve(&[[0.1, 1e-17], [0.1 + 1e-16, 0.7], [0.9, 0.1 + 0.2 + 0.6], [0.95, 1.0]]);
        let mut before = 0.0;
        for step in 0..=100_000 {
            let score = f64::from(step) / 100_000.0;
            let value = steps.curve(score);
            assert!(value >= before && value <= 1.0, "{score}: {before} then {value}");
            before = value;
        }
    }

    #[test]
    fn knots_that_are_no_rising_curve_are_found() {
        assert_eq!(curve(&[]).wrong_knot(true), None);
        assert_eq!(curve(&[[0.0, 0.0], [1.0, 1.0]]).wrong_knot(true), None);
        assert_eq!(curve(&[[0.0, -1.0], [1.0, 7.0]]).wrong_knot(false), None);
        for (knots, place) in [
            (&[[0.0, 0.0]][..], 0),
            (&[[0.0, 0.0], [0.0, 1.0]], 1),
            (&[[0.0, 0.0], [0.5, 0.4], [1.0, 0.3]], 2),
            (&[[0.0, 0.0], [1.0, 1.5]], 1),
        ] {
            assert_eq!(curve(knots).wrong_knot(true).unwrap().0, place, "{knots:?}");
        }
    }
}
