//! What a packet may bring: refused as a whole before anything is changed (rules 8, D11, D23).

use market_model::{BookOp, Level, MAX_SCALED, OrderEvent, Packet, Side};

use crate::book::Book;
use crate::error::Error;
use crate::ladder::{Ladder, MAX_LEVELS};
use crate::orders::MAX_ORDERS;

const _: () = assert!((MAX_SCALED + 1).count_ones() == 1, "the range is a number of bits");

const SIDES: [(Side, BookOp); 2] = [(Side::Bid, BookOp::SetBid), (Side::Ask, BookOp::SetAsk)];

/// Prices and quantities of levels.
#[inline]
pub(crate) fn check_range(packet: &Packet) -> Result<(), Error> {
    // One pass without branches: a bad level turns on a bit above the largest number, by itself or
    // by being below 1, and only then is it looked for.
    let bits = packet.levels.iter().fold(0, |bits, level| {
        bits | level.price_ticks | level.price_ticks.wrapping_sub(1) | level.qty_lots
    });
    let suspect = bits & !MAX_SCALED != 0;
    if let Some(level) = packet.levels.iter().find(|level| suspect && is_out_of_range(level)) {
        return Err(Error::LevelOutOfRange {
            symbol_id: packet.symbol_id,
            price_ticks: level.price_ticks,
            qty_lots: level.qty_lots,
            seq: packet.seq,
        });
    }
    Ok(())
}

#[inline]
pub(crate) fn is_out_of_range(level: &Level) -> bool {
    (level.price_ticks < 1)
        | (level.price_ticks > MAX_SCALED)
        | (level.qty_lots.cast_unsigned() > MAX_SCALED.cast_unsigned())
}

/// The levels that a packet adds to a book of levels.
#[cold]
pub(crate) fn check_levels(book: &Book, packet: &Packet) -> Result<(), Error> {
    for (side, op) in SIDES {
        let ladder = ladder(book, side);
        let new = packet
            .runs()
            .filter(|(run_op, _)| *run_op == op)
            .flat_map(|(_, levels)| levels)
            .filter(|l| l.qty_lots != 0 && ladder.qty_at_lots(l.price_ticks) == 0)
            .count();
        level_limit(packet, side, ladder.len() + new)?;
    }
    Ok(())
}

/// A packet that takes the place of the whole book.
pub(crate) fn check_replacement(packet: &Packet) -> Result<(), Error> {
    check_range(packet)?;
    for (side, op) in SIDES {
        let levels = packet.runs().filter(|(run_op, _)| *run_op == op).map(|(_, l)| l.len()).sum();
        level_limit(packet, side, levels)?;
    }
    if packet.orders.is_empty() {
        return Ok(());
    }
    if sets_levels(packet) {
        return Err(mixed(packet));
    }
    check_events(packet, 0, [0; 2])?;
    for (side, _) in SIDES {
        level_limit(packet, side, new_levels(packet, side, |_| false))?;
    }
    Ok(())
}

/// A packet for a book of orders, or with orders.
pub(crate) fn check_orders(book: &mut Book, packet: &Packet) -> Result<(), Error> {
    let holds_levels = !book.orders.is_active && (book.bids.len() > 0 || book.asks.len() > 0);
    if sets_levels(packet) || holds_levels {
        return Err(mixed(packet));
    }
    let lots = [book.orders.lots(Side::Bid), book.orders.lots(Side::Ask)];
    check_events(packet, book.orders.len(), lots)?;
    let events = packet.orders.len();
    if book.bids.has_room_for(events) && book.asks.has_room_for(events) {
        return Ok(());
    }
    for (side, _) in SIDES {
        let ladder = ladder(book, side);
        let new = new_levels(packet, side, |price_ticks| ladder.qty_at_lots(price_ticks) != 0);
        level_limit(packet, side, ladder.len() + new)?;
    }
    Ok(())
}

fn sets_levels(packet: &Packet) -> bool {
    packet
        .runs()
        .any(|(op, levels)| matches!(op, BookOp::SetBid | BookOp::SetAsk) && !levels.is_empty())
}

/// Ranges and sums of order events, counted as if nothing left the book.
#[inline]
fn check_events(packet: &Packet, orders: usize, side_lots: [i64; 2]) -> Result<(), Error> {
    if are_far_from_limits(packet, orders, side_lots) {
        return Ok(());
    }
    check_each_event(packet, orders, side_lots)
}

/// Events of a packet whose lots, each below 2^53, certainly add up within 63 bits.
const FEW_EVENTS: usize = 1 << 10;

/// Whether no event can be refused, told in one pass without branches; `false` tells nothing.
#[inline]
fn are_far_from_limits(packet: &Packet, orders: usize, side_lots: [i64; 2]) -> bool {
    let (mut bits, mut lots) = (0, 0_i64);
    for event in &packet.orders {
        // A price without a meaning is not looked at.
        let is_stated = -i64::from(event.states_order());
        let price_bits = event.price_ticks | event.price_ticks.wrapping_sub(1);
        bits |= event.qty_lots | (price_bits & is_stated);
        lots = lots.wrapping_add(event.qty_lots);
    }
    let events = packet.orders.len();
    bits & !MAX_SCALED == 0
        && events < FEW_EVENTS
        && orders + events <= MAX_ORDERS
        && side_lots[0].max(side_lots[1]) <= MAX_SCALED.saturating_sub(lots)
}

#[cold]
fn check_each_event(packet: &Packet, orders: usize, mut side_lots: [i64; 2]) -> Result<(), Error> {
    let Packet { symbol_id, seq, .. } = *packet;
    let mut entering = 0;
    for event in &packet.orders {
        let OrderEvent { order_id, price_ticks, qty_lots, side, .. } = *event;
        let stated_ticks = if event.states_order() { price_ticks } else { 1 };
        if is_out_of_range(&Level { price_ticks: stated_ticks, qty_lots }) {
            return Err(Error::OrderOutOfRange { symbol_id, order_id, price_ticks, qty_lots, seq });
        }
        if event.states_order() {
            entering += 1;
            // Both are at most 2^53.
            let lots = &mut side_lots[side as usize];
            *lots += qty_lots;
            if *lots > MAX_SCALED {
                return Err(Error::TooManyLots { symbol_id, side, seq });
            }
        }
    }
    let orders = orders + entering;
    if orders > MAX_ORDERS {
        return Err(Error::TooManyOrders { symbol_id, orders, limit: MAX_ORDERS, seq });
    }
    Ok(())
}

/// Prices of a side at which orders enter and no level is known.
fn new_levels(packet: &Packet, side: Side, is_known: impl Fn(i64) -> bool) -> usize {
    let entering = packet
        .orders
        .iter()
        .filter(|event| event.states_order() && event.side == side && event.qty_lots != 0);
    let mut prices: Vec<i64> =
        entering.map(|event| event.price_ticks).filter(|price| !is_known(*price)).collect();
    prices.sort_unstable();
    prices.dedup();
    prices.len()
}

fn ladder(book: &Book, side: Side) -> &Ladder {
    match side {
        Side::Bid => &book.bids,
        Side::Ask => &book.asks,
    }
}

fn level_limit(packet: &Packet, side: Side, levels: usize) -> Result<(), Error> {
    if levels <= MAX_LEVELS {
        return Ok(());
    }
    Err(Error::TooManyLevels {
        symbol_id: packet.symbol_id,
        side,
        levels,
        limit: MAX_LEVELS,
        seq: packet.seq,
    })
}

fn mixed(packet: &Packet) -> Error {
    Error::LevelsAndOrders { symbol_id: packet.symbol_id, seq: packet.seq }
}
