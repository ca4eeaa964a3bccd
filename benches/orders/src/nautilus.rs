//! A peer: the book of single orders of `nautilus-model`.

use market_model::Side;
use nautilus_model::data::order::BookOrder;
use nautilus_model::enums::{BookAction, BookType, OrderSide};
use nautilus_model::identifiers::InstrumentId;
use nautilus_model::orderbook::OrderBook;
use nautilus_model::types::{Price, Quantity};

use crate::market::{Event, What};

/// Its fixed-point units of one tick and one lot.
const UNIT: i64 = 1_000_000_000;

/// One event as it takes them; made before the time is taken.
pub(crate) type Delta = (BookAction, BookOrder);

pub(crate) fn book() -> OrderBook {
    OrderBook::new(InstrumentId::from("TEST.VENUE"), BookType::L3_MBO)
}

pub(crate) fn delta(event: &Event) -> Delta {
    let Event { id, side, price_ticks, what } = *event;
    let side = if side == Side::Bid { OrderSide::Buy } else { OrderSide::Sell };
    let (action, lots) = match what {
        What::Add(lots) => (BookAction::Add, lots),
        What::Reduce { left, .. } => (BookAction::Update, left),
        What::Delete => (BookAction::Delete, 0),
    };
    let price = Price::from_raw(price_ticks * UNIT, 0);
    let size = Quantity::from_raw(lots.cast_unsigned() * UNIT.cast_unsigned(), 0);
    (action, BookOrder::new(side, price, size, id))
}

#[inline(always)]
pub(crate) fn apply(book: &mut OrderBook, (action, order): &Delta) {
    match action {
        BookAction::Add => book.add(*order, 0, 0, 1.into()),
        BookAction::Update => book.update(*order, 0, 0, 1.into()),
        BookAction::Delete => book.delete(*order, 0, 0, 1.into()),
        BookAction::Clear => book.clear(0, 1.into()),
    }
}

/// Price, lots and orders of the best level of a side.
pub(crate) fn best(book: &OrderBook, side: Side) -> Option<(i64, i64, u64)> {
    let level = match side {
        Side::Bid => book.bids(Some(1)).next(),
        Side::Ask => book.asks(Some(1)).next(),
    }?;
    let lots = level.size_raw() / UNIT.cast_unsigned();
    Some((level.price.value.raw / UNIT, lots.cast_signed(), level.len() as u64))
}
