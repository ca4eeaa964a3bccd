//! Order events as rows: hftbacktest cancels whole orders only, and changes none by a fill.

use std::collections::BTreeMap;

use market_model::{Level, OrderEvent, OrderOp, Packet, PacketKind, Side};

use crate::format::hftbacktest::ev::{ORDER_ADD, ORDER_CANCEL, ORDER_FILL, ORDER_MODIFY};

/// A row of an order that a packet makes: kind, side, id, price and quantity.
pub(super) type OrderRow = (u64, Side, u64, Level);

#[derive(Debug, Clone, Copy)]
struct Order {
    side: Side,
    price_ticks: i64,
    lots: i64,
}

/// The orders that rest, since a row states what is left of one.
#[derive(Debug, Default)]
pub(super) struct Resting {
    orders: BTreeMap<u64, Order>,
    is_fed: bool,
}

impl Resting {
    /// Whether the packet is one of a feed of orders.
    pub(super) fn takes(&mut self, packet: &Packet) -> bool {
        self.is_fed |= !packet.orders.is_empty();
        self.is_fed
    }

    /// Forgets the orders of the sides that a packet clears before its events, and says which they are;
    /// a bound does not matter where all its orders lie within.
    pub(super) fn clear(&mut self, packet: &Packet, push: &mut impl FnMut(OrderRow)) -> [bool; 2] {
        if matches!(packet.kind, PacketKind::Snapshot | PacketKind::Reset) {
            self.orders.clear();
            return [true; 2];
        }
        let mut whole = [false; 2];
        for (op, levels) in packet.runs() {
            let Some((side, ticks)) = op.cleared_ticks(levels) else { continue };
            let is_whole = levels.is_empty();
            whole[side as usize] |= is_whole;
            self.orders.retain(|id, order| {
                let stays = order.side != side || !ticks.contains(&order.price_ticks);
                if !stays && !is_whole {
                    push((ORDER_CANCEL, side, *id, Level::new(order.price_ticks, order.lots)));
                }
                stays
            });
        }
        whole
    }

    /// The rows of one event; none for one that names an order which does not rest.
    pub(super) fn take(&mut self, event: &OrderEvent, push: &mut impl FnMut(OrderRow)) {
        let id = event.order_id;
        let old = self.orders.get(&id).copied();
        match (event.op, old) {
            (OrderOp::Add | OrderOp::Modify, _) => self.state(event, old, push),
            (OrderOp::Cancel | OrderOp::Fill, Some(order)) => {
                let is_whole = event.qty_lots == 0 || event.qty_lots >= order.lots;
                let gone = if is_whole { order.lots } else { event.qty_lots };
                let row = |kind, lots| (kind, order.side, id, Level::new(order.price_ticks, lots));
                if event.op == OrderOp::Fill {
                    push(row(ORDER_FILL, gone));
                }
                if is_whole {
                    self.orders.remove(&id);
                    push(row(ORDER_CANCEL, gone));
                } else {
                    let lots = order.lots - gone;
                    self.orders.insert(id, Order { lots, ..order });
                    push(row(ORDER_MODIFY, lots));
                }
            }
            (OrderOp::Cancel | OrderOp::Fill, None) => {}
        }
    }

    /// An event that states a whole order.
    fn state(&mut self, event: &OrderEvent, old: Option<Order>, push: &mut impl FnMut(OrderRow)) {
        let OrderEvent { order_id: id, price_ticks, qty_lots: lots, side, op } = *event;
        let keeps = op == OrderOp::Modify && lots > 0;
        let kept = old.filter(|old| keeps && old.side == side);
        if let (Some(old), None) = (old, kept) {
            self.orders.remove(&id);
            push((ORDER_CANCEL, old.side, id, Level::new(old.price_ticks, old.lots)));
        }
        if lots > 0 {
            self.orders.insert(id, Order { side, price_ticks, lots });
            let kind = if kept.is_some() { ORDER_MODIFY } else { ORDER_ADD };
            push((kind, side, id, Level::new(price_ticks, lots)));
        }
    }
}
