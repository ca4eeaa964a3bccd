//! What changed since the last two-sided book, level by level, for features that ask for it.

use market_model::{BookOp, Level, LevelChange, Side, StateError};
use market_model::{StateReader, StateWriter};

use crate::ladder::{Ladder, MAX_LEVELS};

/// Entries of a side before those of one price are joined; afterwards there is at most one for each
/// level that one of the two books has.
const COMPACT_ABOVE: usize = 4 * MAX_LEVELS;

/// Recorded changes of both sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    bids: Vec<LevelChange>,
    asks: Vec<LevelChange>,
    /// The book after them was two-sided: the next packet starts anew.
    is_settled: bool,
}

impl Changes {
    /// Changes of a side in the order in which they happened.
    pub(crate) fn of(&self, side: Side) -> &[LevelChange] {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// A packet begins: what led to a two-sided book is forgotten, what led to another one is kept.
    pub(crate) fn begin(&mut self) {
        if self.is_settled {
            self.clear();
        }
    }

    /// A packet ends.
    pub(crate) fn end(&mut self, is_two_sided: bool) {
        self.is_settled = is_two_sided;
        for changes in [&mut self.bids, &mut self.asks] {
            if changes.len() > COMPACT_ABOVE {
                compact(changes);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.is_settled = false;
    }

    /// Applies one run to its side and records it.
    pub(crate) fn apply(&mut self, op: BookOp, levels: &[Level], ladder: &mut Ladder) {
        let changes = match op {
            BookOp::SetBid | BookOp::ClearBid => &mut self.bids,
            BookOp::SetAsk | BookOp::ClearAsk => &mut self.asks,
        };
        let Some((_, ticks)) = op.cleared_ticks(levels) else {
            for level in levels {
                changes.push(LevelChange {
                    price_ticks: level.price_ticks,
                    before_lots: ladder.qty_at_lots(level.price_ticks),
                    after_lots: level.qty_lots,
                });
                ladder.set_run(core::slice::from_ref(level));
            }
            return;
        };
        ladder.for_each_between(*ticks.start(), *ticks.end(), |level| {
            let (price_ticks, before_lots) = (level.price_ticks, level.qty_lots);
            changes.push(LevelChange { price_ticks, before_lots, after_lots: 0 });
        });
        match levels.first() {
            Some(level) => ladder.clear_to(level.price_ticks),
            None => ladder.clear(),
        }
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        out.u64(self.is_settled.into());
        for changes in [&self.bids, &self.asks] {
            out.u64(changes.len() as u64);
            for change in changes {
                out.i64(change.price_ticks);
                out.i64(change.before_lots);
                out.i64(change.after_lots);
            }
        }
    }

    pub(crate) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.clear();
        self.is_settled = from.bool("changes.is_settled")?;
        for changes in [&mut self.bids, &mut self.asks] {
            for _ in 0..from.count("changes", 24)? {
                let (price_ticks, before_lots) = (from.i64()?, from.i64()?);
                changes.push(LevelChange { price_ticks, before_lots, after_lots: from.i64()? });
            }
        }
        Ok(())
    }
}

/// Joins the entries of each price and drops those that came to nothing.
fn compact(changes: &mut Vec<LevelChange>) {
    changes.sort_by_key(|change| change.price_ticks);
    changes.dedup_by(|later, earlier| {
        let same = later.price_ticks == earlier.price_ticks;
        if same {
            earlier.after_lots = later.after_lots;
        }
        same
    });
    changes.retain(|change| change.before_lots != change.after_lots);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(price_ticks: i64, before_lots: i64, after_lots: i64) -> LevelChange {
        LevelChange { price_ticks, before_lots, after_lots }
    }

    #[test]
    fn changes_of_one_price_are_joined_in_their_order() {
        let mut changes = vec![change(7, 0, 5), change(3, 2, 0), change(7, 5, 9), change(3, 0, 2)];
        compact(&mut changes);
        assert_eq!(changes, [change(7, 0, 9)]);
    }
}
