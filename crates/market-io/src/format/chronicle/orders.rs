//! Events of single orders (book mode 1), by the rules of the book of chronicle-rs.

use std::collections::BTreeMap;

use market_model::{Aggressor, OrderEvent, OrderOp, Packet, PacketKind, Side, Trade};

use super::Gives;
use super::event::OrderBody;
use crate::error::FieldFault;
use crate::format::grid::Grid;
use crate::source::SourceStats;

const ADD: u8 = 1;
const CANCEL: u8 = 2;
const CHANGE: u8 = 3;
const TRADE: u8 = 4;
const RESET: u8 = 5;
const HEARTBEAT: u8 = 6;

/// The order has no price.
const IS_MARKET: u32 = 1 << 0;
/// The event belongs to the call auction that opens or closes the day.
const IN_AUCTION: u32 = 1 << 1 | 1 << 2;

/// Events that one packet gathers at most: as many as a book has orders.
const MAX_GATHERED: usize = 1_000_000;

/// What is left of each order that stands at no price, in lots: it is known, and in no queue.
pub(super) type Unpriced = BTreeMap<u64, i64>;

impl OrderBody {
    /// Whether the event is one of a call auction, whose orders are matched together at its end.
    pub(super) const fn is_gathered(&self) -> bool {
        self.flags & IN_AUCTION != 0 && matches!(self.kind, ADD..=TRADE)
    }

    pub(super) const fn has_price(&self) -> bool {
        self.price != 0 && self.flags & IS_MARKET == 0
    }
}

/// Adds an event to a packet.
pub(super) fn add(
    event: &OrderBody,
    grid: &Grid,
    unpriced: &mut Unpriced,
    packet: &mut Packet,
    stats: &mut SourceStats,
) -> Result<Gives, FieldFault> {
    let before = packet.orders.len() + packet.trades.len();
    match event.kind {
        ADD | CHANGE => place(event, grid, unpriced, packet, stats)?,
        CANCEL => {
            let lots = lots(event, grid, stats)?;
            let id = known_id("order_id", event.order_id)?;
            reduce(OrderOp::Cancel, id, Side::Bid, lots, unpriced, packet);
        }
        TRADE => trade(event, grid, unpriced, packet, stats)?,
        RESET => {
            unpriced.clear();
            packet.kind = PacketKind::Reset;
            return Ok(Gives::Packet);
        }
        HEARTBEAT => {
            packet.kind = PacketKind::Heartbeat;
            return Ok(Gives::Packet);
        }
        other => {
            let found = other.to_string();
            return Err(FieldFault { field: "order event_type", expected: "1 to 6", found });
        }
    }
    stats.depth_updates += 1;
    let after = packet.orders.len() + packet.trades.len();
    if event.is_gathered() && after < MAX_GATHERED {
        return Ok(Gives::Part);
    }
    if after == before {
        stats.ignore(b"event of an order without a price");
        return Ok(Gives::Nothing);
    }
    Ok(Gives::Packet)
}

fn known_id(field: &'static str, id: u64) -> Result<u64, FieldFault> {
    let none = || FieldFault { field, expected: "the number of an order", found: "0".into() };
    (id != 0).then_some(id).ok_or_else(none)
}

/// Lots of the event, of which 0 stands for all that are left.
fn lots(event: &OrderBody, grid: &Grid, stats: &mut SourceStats) -> Result<i64, FieldFault> {
    let (lots, was_rounded) = grid.qty_of("qty", event.size, event.size_scale)?;
    stats.rounded += u64::from(was_rounded);
    if lots == 0 && event.size != 0 {
        let found = format!("{}e-{}", event.size, event.size_scale);
        return Err(FieldFault { field: "qty", expected: "0, or at least one lot", found });
    }
    Ok(lots)
}

/// An order that enters, or that is another one from now on.
fn place(
    event: &OrderBody,
    grid: &Grid,
    unpriced: &mut Unpriced,
    packet: &mut Packet,
    stats: &mut SourceStats,
) -> Result<(), FieldFault> {
    let order_id = known_id("order_id", event.order_id)?;
    let qty_lots = lots(event, grid, stats)?;
    let is_new = event.kind == ADD;
    if !is_new && event.size == 0 {
        let expected = "what is left of the order after its change";
        return Err(FieldFault { field: "qty", expected, found: "0".into() });
    }
    let was_unpriced = unpriced.remove(&order_id).is_some();
    if !event.has_price() {
        if !is_new && event.flags & IS_MARKET == 0 {
            let expected = "the price of the order after its change";
            return Err(FieldFault { field: "price", expected, found: "0".into() });
        }
        unpriced.insert(order_id, qty_lots);
        if !is_new && !was_unpriced {
            let (op, qty_lots) = (OrderOp::Cancel, 0);
            packet.orders.push(OrderEvent {
                order_id,
                price_ticks: 0,
                qty_lots,
                side: Side::Bid,
                op,
            });
        }
        return Ok(());
    }
    let side = match event.side {
        1 => Side::Bid,
        2 => Side::Ask,
        other => {
            let found = other.to_string();
            return Err(FieldFault { field: "side", expected: "1 (buy) or 2 (sell)", found });
        }
    };
    let price_ticks = grid.price_of("price", event.price, event.price_scale)?;
    let op = if is_new || was_unpriced { OrderOp::Add } else { OrderOp::Modify };
    packet.orders.push(OrderEvent { order_id, price_ticks, qty_lots, side, op });
    Ok(())
}

/// A trade takes from both orders that it names, or from the one that it is of.
fn trade(
    event: &OrderBody,
    grid: &Grid,
    unpriced: &mut Unpriced,
    packet: &mut Packet,
    stats: &mut SourceStats,
) -> Result<(), FieldFault> {
    let qty_lots = lots(event, grid, stats)?;
    let pair = [(event.bid_order_id, Side::Bid), (event.ask_order_id, Side::Ask)];
    if pair.iter().all(|(id, _)| *id == 0) {
        let id = known_id("order_id", event.order_id)?;
        reduce(OrderOp::Fill, id, Side::Bid, qty_lots, unpriced, packet);
    }
    for (id, side) in pair.into_iter().filter(|(id, _)| *id != 0) {
        reduce(OrderOp::Fill, id, side, qty_lots, unpriced, packet);
    }
    if event.price == 0 || qty_lots == 0 {
        stats.ignore(b"trade without price or quantity");
        return Ok(());
    }
    let price_ticks = grid.price_of("price", event.price, event.price_scale)?;
    // The format does not say who took.
    packet.trades.push(Trade { price_ticks, qty_lots, aggressor: Aggressor::Unknown });
    Ok(())
}

/// Takes lots, or all with 0, from an order in a queue, or from one that stands in none.
fn reduce(
    op: OrderOp,
    order_id: u64,
    side: Side,
    qty_lots: i64,
    unpriced: &mut Unpriced,
    packet: &mut Packet,
) {
    let Some(left) = unpriced.get_mut(&order_id) else {
        packet.orders.push(OrderEvent { order_id, price_ticks: 0, qty_lots, side, op });
        return;
    };
    *left -= if qty_lots == 0 { *left } else { qty_lots };
    if *left <= 0 {
        unpriced.remove(&order_id);
    }
}
