//! The two ladders of one instrument.

use market_model::{
    BookNeeds, BookOp, BookView, Level, LevelChange, OrderFlow, Packet, Queue, Side, StateError,
    StateReader, StateWriter,
};

use crate::changes::Changes;
use crate::error::Error;
use crate::ladder::{Ladder, MAX_LEVELS};
use crate::limits;
use crate::orders::{OrderFaults, Orders};

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

/// A book in ticks and lots, fed by levels or order by order.
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
    pub(crate) bids: Ladder,
    pub(crate) asks: Ladder,
    /// Only when features ask for it: every level is looked up before it is set.
    changes: Option<Changes>,
    /// Empty on a book that is fed by levels.
    pub(crate) orders: Orders,
}

impl Book {
    /// An empty book that keeps ready what is needed after every packet.
    #[must_use]
    pub fn new(needs: BookNeeds) -> Self {
        Self {
            bids: Ladder::new(false, needs),
            asks: Ladder::new(true, needs),
            changes: needs.changes.then(Changes::default),
            orders: Orders::new(needs.orders),
        }
    }

    /// Applies the runs and then the order events of a packet, and settles the best levels.
    ///
    /// # Errors
    ///
    /// [`Error`] when the packet is refused (`limits`); the book is then unchanged.
    pub fn apply(&mut self, packet: &Packet) -> Result<(), Error> {
        self.check(packet)?;
        self.changes.iter_mut().for_each(Changes::begin);
        self.apply_checked(packet);
        Ok(())
    }

    /// Replaces the whole book by the runs and order events of a packet.
    ///
    /// # Errors
    ///
    /// [`Error`] when the packet is refused (`limits`); the book is then unchanged.
    pub fn replace(&mut self, packet: &Packet) -> Result<(), Error> {
        limits::check_replacement(packet)?;
        if let Some(changes) = &mut self.changes {
            changes.begin();
            changes.apply(BookOp::ClearBid, &[], &mut self.bids);
            changes.apply(BookOp::ClearAsk, &[], &mut self.asks);
        } else {
            self.bids.clear();
            self.asks.clear();
        }
        if self.orders.is_active {
            self.orders.clear();
        }
        self.apply_checked(packet);
        self.orders.forget_flow();
        Ok(())
    }

    #[inline]
    fn apply_checked(&mut self, packet: &Packet) {
        if self.changes.is_some() || self.orders.is_active || !packet.orders.is_empty() {
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
        self.orders.begin();
        for (op, levels) in packet.runs() {
            if self.orders.is_active {
                self.clear_orders(op, levels);
            }
            let is_bid = matches!(op, BookOp::SetBid | BookOp::ClearBid);
            let ladder = if is_bid { &mut self.bids } else { &mut self.asks };
            match (&mut self.changes, op) {
                (Some(changes), _) => changes.apply(op, levels, ladder),
                (None, BookOp::SetBid | BookOp::SetAsk) => ladder.set_run(levels),
                (None, BookOp::ClearBid | BookOp::ClearAsk) => Self::clear_side(ladder, levels),
            }
        }
        if !packet.orders.is_empty() {
            self.apply_orders(packet);
        }
        self.bids.settle();
        self.asks.settle();
        let is_two_sided = matches!(self.shape(), BookShape::TwoSided | BookShape::Locked);
        self.changes.iter_mut().for_each(|changes| changes.end(is_two_sided));
        self.orders.end(is_two_sided);
    }

    // Apart, or the packets of feeds of levels would pay for its registers.
    #[inline(never)]
    fn apply_orders(&mut self, packet: &Packet) {
        let Self { bids, asks, changes, orders } = self;
        orders.is_active = true;
        // Chosen by index: the side of an event is a coin toss.
        let mut ladders = [bids, asks];
        let index = |place: i64| usize::from(place < 0);
        let mut highest = [i64::MIN; 2];
        if let Some(changes) = changes {
            let mut shift = |place: i64, lots| {
                let (ladder, price_ticks) = (&mut *ladders[index(place)], place.abs());
                let op = if place < 0 { BookOp::SetAsk } else { BookOp::SetBid };
                let level = Level { price_ticks, qty_lots: ladder.qty_at_lots(price_ticks) + lots };
                changes.apply(op, &[level], ladder);
            };
            orders.apply_all(&packet.orders, &mut shift);
            return;
        }
        let mut shift = |place, lots| {
            let side = index(place);
            ladders[side].shift(place, lots);
            highest[side] = highest[side].max(place);
        };
        orders.apply_all(&packet.orders, &mut shift);
        for (ladder, highest) in ladders.into_iter().zip(highest) {
            // A modified order may be in two levels.
            ladder.note_shifts(2 * packet.orders.len(), highest);
        }
    }

    /// Removes the orders of the levels that a clear is about to remove.
    fn clear_orders(&mut self, op: BookOp, levels: &[Level]) {
        let Some((side, ticks)) = op.cleared_ticks(levels) else { return };
        let ladder = if side == Side::Bid { &mut self.bids } else { &mut self.asks };
        // Most clears only make sure that nothing is there.
        if ladder.best_ticks().is_some_and(|best| ticks.contains(&best)) {
            self.orders.clear_between(side, *ticks.start(), *ticks.end());
        }
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
        limits::check_range(packet)?;
        if self.orders.is_active || !packet.orders.is_empty() {
            return limits::check_orders(self, packet);
        }
        let changes = packet.levels.len();
        if self.bids.has_room_for(changes) && self.asks.has_room_for(changes) {
            return Ok(());
        }
        limits::check_levels(self, packet)
    }

    /// Removes every level of both sides.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.bids.settle();
        self.asks.settle();
        self.changes.iter_mut().for_each(Changes::clear);
        self.orders.clear();
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

    /// Orders that rest in the book; 0 on a book of levels.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }

    /// Order events that contradicted the book, since the start.
    #[must_use]
    pub fn order_faults(&self) -> OrderFaults {
        self.orders.faults
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
            // The levels of a book of orders follow from these.
            let levels = if self.orders.is_active { Vec::new() } else { ladder.levels() };
            out.u64(levels.len() as u64);
            for level in levels {
                out.i64(level.price_ticks);
                out.i64(level.qty_lots);
            }
        }
        self.orders.save(out);
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
                if limits::is_out_of_range(&level) || level.qty_lots == 0 {
                    return Err(from.invalid("level", &format!("{level:?}")));
                }
                ladder.set_run(&[level]);
            }
            ladder.settle();
            ladder.unknown_deletes = unknown_deletes;
        }
        self.load_orders(from)?;
        self.changes.as_mut().map_or(Ok(()), |changes| changes.load(from))
    }

    fn load_orders(&mut self, from: &mut StateReader<'_>) -> Result<(), StateError> {
        let Self { bids, asks, orders, .. } = self;
        let mut shift = |place: i64, lots| {
            let ladder = if place > 0 { &mut *bids } else { &mut *asks };
            ladder.shift(place, lots);
            ladder.note_shifts(1, place);
        };
        orders.load(from, &mut shift)?;
        for ladder in [bids, asks] {
            if ladder.len() > MAX_LEVELS {
                return Err(from.invalid("levels of orders", &ladder.len()));
            }
            ladder.settle();
        }
        Ok(())
    }
}

impl core::fmt::Debug for Book {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (bids, asks) = (self.bids.top(), self.asks.top());
        f.debug_struct("Book").field("top_bids", &bids).field("top_asks", &asks).finish()
    }
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

    #[inline]
    fn queue(&self, side: Side, price_ticks: i64) -> Option<Queue> {
        self.orders.queue(side, price_ticks)
    }

    #[inline]
    fn order_flow(&self, side: Side) -> Option<OrderFlow> {
        self.orders.flow(side)
    }
}
