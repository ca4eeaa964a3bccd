//! Plain weights: a bias, a count, and one weight per line; no contract at all.

use core::fmt::Write;

use crate::error::Error;

/// The text that some trainers export: line 1 the bias, line 2 the number of weights, then the weights,
/// with the scaler folded in. It does not say which columns they belong to.
///
/// ```
/// use feature_infer::PlainWeights;
/// let plain = PlainWeights::parse("0.25\n2\n1e-3\n-4\n")?;
/// assert_eq!((plain.bias, plain.weights.as_slice()), (0.25, &[1e-3, -4.0][..]));
/// assert_eq!(PlainWeights::parse(&plain.to_text())?, plain);
/// # Ok::<(), feature_infer::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PlainWeights {
    /// Added to the sum.
    pub bias: f64,
    /// One per column, in the order of the contract.
    pub weights: Vec<f64>,
}

impl PlainWeights {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] with the line of what is no finite number, or when lines are missing or left.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
        let wrong = |line: usize, expected: String, found: &str| {
            Err(Error::Weights { line, expected, found: format!("`{}`", found.escape_default()) })
        };
        let number = |line: usize| {
            let found = lines.get(line - 1).copied().unwrap_or("");
            match found.parse::<f64>() {
                Ok(x) if x.is_finite() => Ok(x),
                _ => wrong(line, "a finite number".into(), found).map(|()| 0.0),
            }
        };
        let bias = number(1)?;
        let stated = lines.get(1).copied().unwrap_or("");
        let Ok(count) = stated.parse::<usize>() else {
            return wrong(2, "the number of weights".into(), stated)
                .map(|()| Self { bias, weights: Vec::new() });
        };
        let have = lines.len() - 2;
        if have != count {
            return Err(Error::Weights {
                line: 2,
                expected: format!("{have}, the number of weights that follow"),
                found: format!("`{count}`"),
            });
        }
        let weights = (0..count).map(|index| number(index + 3)).collect::<Result<_, _>>()?;
        Ok(Self { bias, weights })
    }

    /// The text; every number reads back to the same bits.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{:?}\n{}\n", self.bias, self.weights.len());
        for weight in &self.weights {
            writeln!(text, "{weight:?}").expect("Invariant: a String takes every text");
        }
        text
    }
}
