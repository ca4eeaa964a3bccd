//! What is timed and counted. Never inlined: callgrind finds these functions by name.

use hftbacktest::depth::ROIVectorMarketDepth;
use lob_engine::Book;
use market_model::{BookView, Packet, Side};
use nautilus_model::orderbook::OrderBook;

use crate::market::Event;
use crate::nautilus::{self, Delta};
use crate::peers::{self, StdBook};

/// Our book without queues; the sum of the best bids.
///
/// # Panics
///
/// Panics when a packet is refused.
#[inline(never)]
pub(crate) fn levels(book: &mut Book, packets: &[Packet]) -> i64 {
    let mut sum = 0_i64;
    for packet in packets {
        book.apply(packet).expect("the market has no refused packets");
        sum = sum.wrapping_add(book.best(Side::Bid).map_or(0, |level| level.price_ticks));
    }
    sum
}

/// The same with queues; the sum of the orders at the best bid.
///
/// # Panics
///
/// Panics when a packet is refused.
#[inline(never)]
pub(crate) fn queues(book: &mut Book, packets: &[Packet]) -> u64 {
    let mut sum = 0_u64;
    for packet in packets {
        book.apply(packet).expect("the market has no refused packets");
        let queue = book.best(Side::Bid).and_then(|best| book.queue(Side::Bid, best.price_ticks));
        sum = sum.wrapping_add(queue.map_or(0, |queue| queue.orders));
    }
    sum
}

/// Our book, every event in a packet of its own, which is filled as a source fills it.
///
/// # Panics
///
/// Panics when a packet is refused.
#[inline(never)]
pub(crate) fn every_event(book: &mut Book, packets: &[Packet]) -> i64 {
    let mut one = Packet::default();
    let mut sum = 0_i64;
    for event in packets.iter().flat_map(|packet| &packet.orders) {
        one.clear();
        one.ts_event_ns = 1;
        one.orders.push(*event);
        book.apply(&one).expect("the market has no refused packets");
        sum = sum.wrapping_add(book.best(Side::Bid).map_or(0, |level| level.price_ticks));
    }
    sum
}

/// hftbacktest's book.
#[inline(never)]
pub(crate) fn roi(depth: &mut ROIVectorMarketDepth, events: &[Event]) {
    events.iter().for_each(|event| peers::apply(depth, event));
}

/// The book of the standard library's parts.
#[inline(never)]
pub(crate) fn std_book(book: &mut StdBook, events: &[Event]) {
    events.iter().for_each(|event| book.apply(event));
}

/// Nautilus' book.
#[inline(never)]
pub(crate) fn nautilus(book: &mut OrderBook, deltas: &[Delta]) {
    deltas.iter().for_each(|delta| nautilus::apply(book, delta));
}
