//! Exact sums of integers and of their squares over a window.

use market_model::{StateError, StateReader, StateWriter};

use crate::numeric::float;
use crate::wide::Wide;
use crate::window::Totals;

/// Sum and sum of squares.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    pub(crate) sum: i128,
    pub(crate) squares: Wide,
}

impl Moments {
    /// `n*S2 - S1*S1`: the squared deviations times `n`, never negative; `None` below two values.
    #[inline]
    pub(crate) fn spread(&self, n: u64) -> Option<Wide> {
        let deviation = || self.squares.times(n).minus(Wide::product(self.sum, self.sum));
        (n >= 2).then(deviation)
    }

    /// Standard deviation of a sample in the unit of the values; `None` below two values.
    #[inline]
    pub(crate) fn deviation(&self, n: u64) -> Option<f64> {
        let pairs = float(i128::from(n) * (i128::from(n) - 1));
        self.spread(n).map(|spread| (spread.float() / pairs).sqrt())
    }
}

impl Totals for Moments {
    type Entry = i128;

    const ENTRY_BYTES: usize = 16;

    #[inline]
    fn add(&mut self, _number: u64, entry: &i128) {
        self.sum += entry;
        self.squares = self.squares.plus(Wide::product(*entry, *entry));
    }

    #[inline]
    fn remove(&mut self, _number: u64, entry: &i128) {
        self.sum -= entry;
        self.squares = self.squares.minus(Wide::product(*entry, *entry));
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn save(entry: &i128, out: &mut StateWriter) {
        out.i128(*entry);
    }

    fn load(from: &mut StateReader<'_>) -> Result<i128, StateError> {
        from.i128()
    }
}
