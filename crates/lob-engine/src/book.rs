//! The two ladders of one instrument.

use market_model::{
    BookNeeds, BookOp, BookView, Level, LevelChange, MAX_SCALED, Packet, Side, StateError,
    StateReader, StateWriter,
};

use crate::changes::Changes;
use crate::error::Error;
use crate::ladder::{Ladder, MAX_LEVELS};

/// How the best prices stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookShape {
    /// Best bid below best ask.
    TwoSided,
    /// Best bid equal to best ask.
    Locked,
    /// Best bid above best ask.
    Crossed,
    /// A side is empty.
    OneSided,
}

/// A level-2 book in ticks and lots.
///
/// ```
/// use lob_engine::Book;
/// use market_model::{BookNeeds, BookOp, BookView, Level, Packet, Side};
/// let mut book = Book::new(BookNeeds::top(5));
/// let mut packet = Packet::default();
/// packet.push_level(BookOp::SetBid, Level::new(618_001, 696));
/// packet.push_level(BookOp::SetAsk, Level::new(618_003, 12));
/// book.apply(&packet)?;
/// assert_eq!(book.best(Side::Bid), Some(Level::new(618_001, 696)));
/// # Ok::<(), lob_engine::Error>(())
/// ```
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    /// Only when features ask for it: every level is looked up before it is set.
    changes: Option<Changes>,
}

impl Book {
    /// An empty book that keeps ready what is needed after every packet.
    #[must_use]
    pub fn new(needs: BookNeeds) -> Self {
        Self {
            bids: Ladder::new(false, needs),
            asks: Ladder::new(true, needs),
            changes: needs.changes.then(Changes::default),
        }
    }

    /// Applies the runs of a packet in order and settles the best levels.
    ///
    /// # Errors
    ///
    /// [`Error::LevelOutOfRange`] and [`Error::TooManyLevels`]; the book is then unchanged.
    pub fn apply(&mut self, packet: &Packet) -> Result<(), Error> {
        self.check(packet)?;
        self.changes.iter_mut().for_each(Changes::begin);
        self.apply_checked(packet);
        Ok(())
    }

    /// Replaces the whole book by the runs of a packet.
    ///
    /// # Errors
    ///
    /// [`Error::LevelOutOfRange`] and [`Error::TooManyLevels`]; the book is then unchanged.
    pub fn replace(&mut self, packet: &Packet) -> Result<(), Error> {
        check_range(packet)?;
        for (side, op) in [(Side::Bid, BookOp::SetBid), (Side::Ask, BookOp::SetAsk)] {
            let levels: usize =
                packet.runs().filter(|(run_op, _)| *run_op == op).map(|(_, l)| l.len()).sum();
            if levels > MAX_LEVELS {
                return Err(too_many(packet, side, levels));
            }
        }
        if let Some(changes) = &mut self.changes {
            changes.begin();
            changes.apply(BookOp::ClearBid, &[], &mut self.bids);
            changes.apply(BookOp::ClearAsk, &[], &mut self.asks);
        } else {
            self.bids.clear();
            self.asks.clear();
        }
        self.apply_checked(packet);
        Ok(())
    }

    #[inline]
    fn apply_checked(&mut self, packet: &Packet) {
        if self.changes.is_some() {
            return self.apply_and_record(packet);
        }
        for (op, levels) in packet.runs() {
            match op {
                BookOp::SetBid => self.bids.set_run(levels),
                BookOp::SetAsk => self.asks.set_run(levels),
                BookOp::ClearBid => Self::clear_side(&mut self.bids, levels),
                BookOp::ClearAsk => Self::clear_side(&mut self.asks, levels),
            }
        }
        self.bids.settle();
        self.asks.settle();
    }

    fn apply_and_record(&mut self, packet: &Packet) {
        let Some(changes) = &mut self.changes else { return };
        for (op, levels) in packet.runs() {
            let is_bid = matches!(op, BookOp::SetBid | BookOp::ClearBid);
            let ladder = if is_bid { &mut self.bids } else { &mut self.asks };
            changes.apply(op, levels, ladder);
        }
        self.bids.settle();
        self.asks.settle();
        let is_two_sided = matches!(self.shape(), BookShape::TwoSided | BookShape::Locked);
        self.changes.iter_mut().for_each(|changes| changes.end(is_two_sided));
    }

    fn clear_side(side: &mut Ladder, bound: &[Level]) {
        match bound.first() {
            Some(level) => side.clear_to(level.price_ticks),
            None => side.clear(),
        }
    }

    /// Refuses a packet as a whole before anything is changed (rule D11: no partial application).
    #[inline]
    fn check(&mut self, packet: &Packet) -> Result<(), Error> {
        check_range(packet)?;
        let changes = packet.levels.len();
        if self.bids.has_room_for(changes) && self.asks.has_room_for(changes) {
            return Ok(());
        }
        self.check_limit(packet)
    }

    #[cold]
    fn check_limit(&self, packet: &Packet) -> Result<(), Error> {
        for (side, ladder, op) in
            [(Side::Bid, &self.bids, BookOp::SetBid), (Side::Ask, &self.asks, BookOp::SetAsk)]
        {
            let new = packet
                .runs()
                .filter(|(run_op, _)| *run_op == op)
                .flat_map(|(_, levels)| levels)
                .filter(|l| l.qty_lots != 0 && ladder.qty_at_lots(l.price_ticks) == 0)
                .count();
            let levels = ladder.len() + new;
            if levels > MAX_LEVELS {
                return Err(too_many(packet, side, levels));
            }
        }
        Ok(())
    }

    /// Removes every level of both sides.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.bids.settle();
        self.asks.settle();
        self.changes.iter_mut().for_each(Changes::clear);
    }

    /// How the best prices stand to each other.
    #[inline]
    #[must_use]
    pub fn shape(&self) -> BookShape {
        match (self.bids.top().first(), self.asks.top().first()) {
            (Some(bid), Some(ask)) if bid.price_ticks < ask.price_ticks => BookShape::TwoSided,
            (Some(bid), Some(ask)) if bid.price_ticks == ask.price_ticks => BookShape::Locked,
            (Some(_), Some(_)) => BookShape::Crossed,
            _ => BookShape::OneSided,
        }
    }

    /// Deletes of levels that were not there, since the start.
    #[must_use]
    pub fn unknown_deletes(&self) -> u64 {
        self.bids.unknown_deletes + self.asks.unknown_deletes
    }

    /// Every level of a side, best first. Allocates; meant for tests and state snapshots.
    #[must_use]
    pub fn levels(&self, side: Side) -> Vec<Level> {
        self.ladder(side).levels()
    }

    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        for ladder in [&self.bids, &self.asks] {
            out.u64(ladder.unknown_deletes);
            out.u64(ladder.len() as u64);
            for level in ladder.levels() {
                out.i64(level.price_ticks);
                out.i64(level.qty_lots);
            }
        }
        self.changes.iter().for_each(|changes| changes.save(out));
    }

    pub(crate) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        self.clear();
        for ladder in [&mut self.bids, &mut self.asks] {
            let unknown_deletes = from.u64()?;
            let count = from.count("levels", 16)?;
            if count > MAX_LEVELS {
                return Err(from.invalid("levels", &count));
            }
            for _ in 0..count {
                let level = Level { price_ticks: from.i64()?, qty_lots: from.i64()? };
                if out_of_range(&level) || level.qty_lots == 0 {
                    return Err(from.invalid("level", &format!("{level:?}")));
                }
                ladder.set_run(&[level]);
            }
            ladder.settle();
            ladder.unknown_deletes = unknown_deletes;
        }
        self.changes.as_mut().map_or(Ok(()), |changes| changes.load(from))
    }
}

impl core::fmt::Debug for Book {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (bids, asks) = (self.bids.top(), self.asks.top());
        f.debug_struct("Book").field("top_bids", &bids).field("top_asks", &asks).finish()
    }
}

const _: () = assert!((MAX_SCALED + 1).count_ones() == 1, "the range is a number of bits");

#[inline]
fn check_range(packet: &Packet) -> Result<(), Error> {
    // One pass without branches: a bad level turns on a bit above the largest number, by itself or
    // by being below 1, and only then is it looked for.
    let bits = packet.levels.iter().fold(0, |bits, level| {
        bits | level.price_ticks | level.price_ticks.wrapping_sub(1) | level.qty_lots
    });
    let suspect = bits & !MAX_SCALED != 0;
    if let Some(level) = packet.levels.iter().find(|level| suspect && out_of_range(level)) {
        return Err(Error::LevelOutOfRange {
            symbol_id: packet.symbol_id,
            price_ticks: level.price_ticks,
            qty_lots: level.qty_lots,
            seq: packet.seq,
        });
    }
    Ok(())
}

fn too_many(packet: &Packet, side: Side, levels: usize) -> Error {
    Error::TooManyLevels {
        symbol_id: packet.symbol_id,
        side,
        levels,
        limit: MAX_LEVELS,
        seq: packet.seq,
    }
}

#[inline]
fn out_of_range(level: &Level) -> bool {
    (level.price_ticks < 1)
        | (level.price_ticks > MAX_SCALED)
        | (level.qty_lots.cast_unsigned() > MAX_SCALED.cast_unsigned())
}

impl BookView for Book {
    #[inline]
    fn top(&self, side: Side) -> &[Level] {
        self.ladder(side).top()
    }

    #[inline]
    fn top_version(&self) -> Option<u64> {
        Some(self.bids.top_version() + self.asks.top_version())
    }

    fn qty_between_lots(&self, side: Side, low_ticks: i64, high_ticks: i64) -> i128 {
        self.ladder(side).qty_between_lots(low_ticks, high_ticks)
    }

    fn for_each_level(
        &self,
        side: Side,
        low_ticks: i64,
        high_ticks: i64,
        visit: impl FnMut(Level),
    ) {
        self.ladder(side).for_each_between(low_ticks, high_ticks, visit);
    }

    #[inline]
    fn changes(&self, side: Side) -> &[LevelChange] {
        self.changes.as_ref().map_or(&[], |changes| changes.of(side))
    }
}
