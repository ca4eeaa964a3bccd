//! Quantities of the whole book by distance from the mid (`specs/features/depth.md`, "Distance").

use market_model::{BookView, Side};

use crate::context::Context;

/// Quantities up to a number of distances, each level added once, from the best level outwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bands {
    /// Basis points, rising.
    distances: Vec<i64>,
    /// Lots closer than each distance, and at most as far, by side.
    lots: [Vec<UpTo>; 2],
}

/// Lots of one side up to one distance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UpTo {
    pub(crate) exclusive: i128,
    pub(crate) inclusive: i128,
}

/// Twice the mid times this is a price times a distance in basis points.
const SCALE: i64 = 20_000;

impl Bands {
    pub(crate) fn new(distances: impl Iterator<Item = i64>) -> Self {
        let mut distances: Vec<i64> = distances.filter(|bps| *bps > 0).collect();
        distances.sort_unstable();
        distances.dedup();
        let lots = vec![UpTo::default(); distances.len()];
        Self { distances, lots: [lots.clone(), lots] }
    }

    /// Position of a distance for [`Bands::up_to`]; `None` for 0, which no level is closer than.
    pub(crate) fn position(&self, bps: i64) -> Option<usize> {
        self.distances.binary_search(&bps).ok()
    }

    /// Lots of a side up to a distance; nothing for `None`.
    #[inline]
    pub(crate) fn up_to(&self, side: Side, position: Option<usize>) -> UpTo {
        position.map_or(UpTo::default(), |position| self.lots[side as usize][position])
    }

    #[inline]
    pub(crate) fn fill<B: BookView>(&mut self, context: &Context<'_, B>) {
        for (side, up_to) in [Side::Bid, Side::Ask].into_iter().zip(&mut self.lots) {
            let Some(best) = context.top(side).first() else { return };
            let (mut from, mut lots) = (best.price_ticks, 0);
            for (up_to, bps) in up_to.iter_mut().zip(&self.distances) {
                let edge = Edge::of(context, side, *bps);
                let between = |near, far| {
                    let (low, high) = low_high(side, near, far);
                    context.book.qty_between_lots(side, low, high)
                };
                lots += between(from, edge.closer);
                let is_exact = edge.within != edge.closer;
                let at = if is_exact { between(edge.within, edge.within) } else { 0 };
                *up_to = UpTo { exclusive: lots, inclusive: lots + at };
                // A distance inside the spread ends before the best level.
                from = farther(side, from, next(side, edge.closer));
            }
        }
    }
}

/// Where a distance ends on a side, in ticks.
#[derive(Clone, Copy)]
struct Edge {
    /// The last price that is closer.
    closer: i64,
    /// The last price that is at most as far.
    within: i64,
}

impl Edge {
    /// With `s = bid + ask`, a bid at price `p` has distance `(s - 2p) * 10^4 / s`, an ask its negative;
    /// solved for `p` the edge is a rational over `2 * 10^4`.
    #[inline]
    fn of<B: BookView>(context: &Context<'_, B>, side: Side, bps: i64) -> Self {
        let best = |side| context.top(side).first().map_or(0, |level| level.price_ticks);
        let s = i128::from(best(Side::Bid)) + i128::from(best(Side::Ask));
        let outwards = if side == Side::Bid { -bps } else { bps };
        let (price, is_exact) = divide(s * i128::from(10_000 + outwards));
        // A price at the quotient is exactly as far when nothing remains; else the edge lies above it.
        match side {
            Side::Bid => Self { closer: price + 1, within: price + i64::from(!is_exact) },
            Side::Ask => Self { closer: price - i64::from(is_exact), within: price },
        }
    }
}

/// The price after this one, away from the mid.
const fn next(side: Side, price: i64) -> i64 {
    match side {
        Side::Bid => price - 1,
        Side::Ask => price + 1,
    }
}

fn farther(side: Side, a: i64, b: i64) -> i64 {
    match side {
        Side::Bid => a.min(b),
        Side::Ask => a.max(b),
    }
}

const fn low_high(side: Side, near: i64, far: i64) -> (i64, i64) {
    match side {
        Side::Bid => (far, near),
        Side::Ask => (near, far),
    }
}

/// Quotient by [`SCALE`], rounded down, and whether nothing remains.
#[inline]
fn divide(number: i128) -> (i64, bool) {
    if let Ok(narrow) = u64::try_from(number) {
        let quotient = narrow / SCALE.unsigned_abs();
        return (quotient.cast_signed(), quotient * SCALE.unsigned_abs() == narrow);
    }
    // Prices are below 2^53 ticks and distances at most 64 mids, so that the quotient is below 2^60.
    let scale = i128::from(SCALE);
    (number.div_euclid(scale) as i64, number.rem_euclid(scale) == 0)
}

/// The far end of a band.
#[derive(Clone, Copy)]
pub(crate) enum Far {
    Inclusive(i64),
    Exclusive(i64),
}

/// Scaled quantity with distance from the mid in `near_bps..far`.
pub(crate) fn band<B: BookView>(
    context: &Context<'_, B>,
    side: Side,
    near_bps: i64,
    far: Far,
) -> i128 {
    let (low, high) = bounds(context, side, near_bps, far);
    let lots = context.book.qty_between_lots(side, low, high);
    lots * i128::from(context.units.lot_scaled)
}

/// Prices in ticks, both inclusive, with distance from the mid in `near_bps..far`, exactly.
pub(crate) fn bounds<B: BookView>(
    context: &Context<'_, B>,
    side: Side,
    near_bps: i64,
    far: Far,
) -> (i64, i64) {
    let near = next(side, Edge::of(context, side, near_bps).closer);
    let far = match far {
        Far::Inclusive(bps) => Edge::of(context, side, bps).within,
        Far::Exclusive(bps) => Edge::of(context, side, bps).closer,
    };
    low_high(side, near, far)
}
