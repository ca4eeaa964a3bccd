//! Quantities of the whole book by distance from the mid (`specs/features/depth.md`, "Distance").

use market_model::{BookView, Side};

use crate::context::Context;
use crate::numeric::{ceil_div, floor_div};

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
        let (Some(bid), Some(ask)) =
            (context.top(Side::Bid).first(), context.top(Side::Ask).first())
        else {
            return;
        };
        let mid_x2 = i128::from(bid.price_ticks) + i128::from(ask.price_ticks);
        let [bids, asks] = &mut self.lots;
        let (mut bid_end, mut ask_end) = (bid.price_ticks, ask.price_ticks);
        let (mut bid_lots, mut ask_lots) = (0, 0);
        for (index, bps) in self.distances.iter().enumerate() {
            let lots = |side, low, high| context.book.qty_between_lots(side, low, high);
            // A bid at the quotient is exactly as far when there is no remainder, else farther.
            let (price, exact) = divide(mid_x2 * i128::from(10_000 - bps));
            bid_lots += lots(Side::Bid, price + 1, bid_end);
            let at = if exact { lots(Side::Bid, price, price) } else { 0 };
            bids[index] = UpTo { exclusive: bid_lots, inclusive: bid_lots + at };
            bid_end = bid_end.min(price);
            // An ask there is exactly as far, else closer.
            let (price, exact) = divide(mid_x2 * i128::from(10_000 + bps));
            let closer = price - i64::from(exact);
            ask_lots += lots(Side::Ask, ask_end, closer);
            let at = if exact { lots(Side::Ask, price, price) } else { 0 };
            asks[index] = UpTo { exclusive: ask_lots, inclusive: ask_lots + at };
            ask_end = ask_end.max(closer + 1);
        }
    }
}

/// Quotient by [`SCALE`], rounded down, and whether nothing remains; the number is not negative.
#[inline]
fn divide(number: i128) -> (i64, bool) {
    if let Ok(narrow) = u64::try_from(number) {
        let quotient = narrow / SCALE.unsigned_abs();
        return (quotient.cast_signed(), quotient * SCALE.unsigned_abs() == narrow);
    }
    // Prices are below 2^53 ticks, so that the quotient is below 2^55.
    ((number / i128::from(SCALE)) as i64, number % i128::from(SCALE) == 0)
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
    let s = i128::from(context.quotes.bid) + i128::from(context.quotes.ask);
    let den = i128::from(SCALE) * i128::from(context.units.tick_scaled);
    let sign = if side == Side::Bid { -1 } else { 1 };
    let at = |bps: i64| s * (10_000 + sign * i128::from(bps));
    let (low, high) = match (side, far) {
        (Side::Bid, Far::Inclusive(bps)) => (ceil_div(at(bps), den), floor_div(at(near_bps), den)),
        (Side::Bid, Far::Exclusive(bps)) => {
            (floor_div(at(bps), den) + 1, floor_div(at(near_bps), den))
        }
        (Side::Ask, Far::Inclusive(bps)) => (ceil_div(at(near_bps), den), floor_div(at(bps), den)),
        (Side::Ask, Far::Exclusive(bps)) => {
            (ceil_div(at(near_bps), den), ceil_div(at(bps), den) - 1)
        }
    };
    // At most 64 times the mid on either side, far inside 64 bits.
    (low as i64, high as i64)
}
