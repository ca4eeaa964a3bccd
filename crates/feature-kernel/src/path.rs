//! The mid price by time: where it stood one horizon ago.

use std::collections::VecDeque;

use market_model::{StateError, StateReader, StateWriter};

use crate::numeric::det_ln;

/// The mid at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) t_ns: i64,
    /// Scaled, times two.
    pub(crate) mid_x2: i64,
}

impl Point {
    /// Change of the mid and elapsed time since an earlier point.
    #[inline]
    pub(crate) fn since(self, before: Self) -> (i128, i128) {
        let change = i128::from(self.mid_x2) - i128::from(before.mid_x2);
        (change, i128::from(self.t_ns) - i128::from(before.t_ns))
    }
}

#[derive(Debug, Clone, Copy)]
struct Horizon {
    length_ns: i64,
    /// Number of the first point that is younger than the horizon.
    young: u64,
}

/// Points without a hole, as far back as the longest horizon needs.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    points: VecDeque<Point>,
    /// Number of the first point in the queue.
    start: u64,
    horizons: Vec<Horizon>,
}

impl Path {
    pub(crate) fn new() -> Self {
        Self { points: VecDeque::new(), start: 0, horizons: Vec::new() }
    }

    /// Index of the horizon of this length.
    pub(crate) fn open(&mut self, length_ns: i64) -> usize {
        let found = self.horizons.iter().position(|horizon| horizon.length_ns == length_ns);
        found.unwrap_or_else(|| {
            self.horizons.push(Horizon { length_ns, young: 0 });
            self.horizons.len() - 1
        })
    }

    #[inline]
    pub(crate) fn push(&mut self, point: Point) {
        if !self.horizons.is_empty() {
            self.points.push_back(point);
        }
    }

    /// Moves the horizons to a time.
    #[inline]
    pub(crate) fn evict(&mut self, now_ns: i64) {
        let mut oldest = self.start + self.points.len() as u64;
        for horizon in &mut self.horizons {
            while let Some(point) = self.points.get((horizon.young - self.start) as usize)
                && point.t_ns <= now_ns - horizon.length_ns
            {
                horizon.young += 1;
            }
            oldest = oldest.min(horizon.young.saturating_sub(1));
        }
        while self.start < oldest {
            self.points.pop_front();
            self.start += 1;
        }
    }

    /// Log return of the newest point over the mid as it stood one horizon ago; `None` where the path
    /// does not reach that far.
    #[inline]
    pub(crate) fn value(&self, horizon: usize) -> Option<f64> {
        let reference = self.horizons[horizon].young.checked_sub(1)?;
        let before = self.points.get((reference - self.start) as usize)?.mid_x2;
        let now = self.points.back()?.mid_x2;
        (now > 0 && before > 0).then(|| det_ln(now as f64 / before as f64))
    }

    /// Forgets the points and keeps the horizons.
    pub(crate) fn clear(&mut self) {
        self.points.clear();
        self.start = 0;
        self.horizons.iter_mut().for_each(|horizon| horizon.young = 0);
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        // Whether a point lies before the horizon is all that its number tells.
        out.u64(self.points.len() as u64);
        for point in &self.points {
            out.i64(point.t_ns);
            out.i64(point.mid_x2);
        }
        self.horizons.iter().for_each(|horizon| out.u64(horizon.young - self.start));
    }

    pub(crate) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.clear();
        let count = from.count("points of a path", 16)?;
        for _ in 0..count {
            self.points.push_back(Point { t_ns: from.i64()?, mid_x2: from.i64()? });
        }
        for horizon in &mut self.horizons {
            horizon.young = from.u64()?;
            if horizon.young > count as u64 {
                return Err(from.invalid("horizon of a path", &horizon.young));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_last_point_that_is_as_old_as_the_horizon() {
        let mut path = Path::new();
        let ten = path.open(10);
        let all = path.open(1_000);
        for (t_ns, mid_x2) in [(0, 100), (3, 200), (3, 300), (8, 400)] {
            path.push(Point { t_ns, mid_x2 });
            path.evict(t_ns);
            assert_eq!(path.value(ten), None);
        }
        for (now_ns, before) in [(10, 100.0), (12, 100.0), (13, 300.0), (18, 400.0), (90, 400.0)] {
            path.evict(now_ns);
            assert_eq!(path.value(ten), Some(det_ln(400.0 / before)), "{now_ns}");
            assert_eq!(path.value(all), None);
        }
        path.clear();
        path.push(Point { t_ns: 100, mid_x2: 7 });
        path.evict(109);
        assert_eq!(path.value(ten), None, "nothing is older than the hole");
    }
}
