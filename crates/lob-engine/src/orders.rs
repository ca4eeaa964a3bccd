//! The orders of a book that is fed order by order: what each is, and what happened to them.
//!
//! Levels stay in the ladders, which cost the same whoever feeds them; here is what only orders have.

use market_model::{
    MAX_SCALED, OrderEvent, OrderFlow, OrderOp, Queue, Side, StateError, StateReader, StateWriter,
};

use crate::table::{Cell, Table};

/// Orders that a book may hold.
pub const MAX_ORDERS: usize = 1_000_000;

/// Order events that contradict the book, since the start; never reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderFaults {
    /// Events of orders that the book does not hold. A modified one enters, others do nothing.
    pub unknown: u64,
    /// Added orders whose id the book holds: the new order takes the place of the old one.
    pub known: u64,
    /// Withdrawals and executions of more lots than were left: the order is gone.
    pub overdrawn: u64,
}

impl OrderFaults {
    /// All of them.
    #[inline]
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unknown + self.known + self.overdrawn
    }
}

/// A resting order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Order {
    /// Price in ticks, negative for asks.
    place: i64,
    /// Lots that are left; 0 marks a vacant cell.
    lots: i64,
    /// When it got its place in the queue, UTC ns.
    placed_ns: i64,
}

impl Cell for Order {
    #[inline]
    fn is_vacant(&self) -> bool {
        self.lots == 0
    }
}

impl Cell for Queue {
    #[inline]
    fn is_vacant(&self) -> bool {
        self.orders == 0
    }
}

#[inline]
const fn place_of(side: Side, price_ticks: i64) -> i64 {
    match side {
        Side::Bid => price_ticks,
        Side::Ask => -price_ticks,
    }
}

#[inline]
const fn side_of(place: i64) -> Side {
    if place > 0 { Side::Bid } else { Side::Ask }
}

/// What features ask about orders.
#[derive(Debug, Clone)]
struct Watch {
    /// Queues by place.
    queues: Table<Queue>,
    /// Bids, asks.
    flows: [OrderFlow; 2],
    /// The book after the flows was two-sided: the next packet starts anew.
    is_settled: bool,
}

impl Watch {
    fn flow_mut(&mut self, side: Side) -> &mut OrderFlow {
        &mut self.flows[side as usize]
    }

    #[inline]
    fn join(&mut self, place: i64, placed_ns: i64) {
        let queue = self.queues.entry(place.cast_unsigned(), Queue::default);
        queue.orders += 1;
        queue.placed_sum_ns += i128::from(placed_ns);
    }

    #[inline]
    fn leave(&mut self, order: &Order) {
        let at = self.queues.find(order.place.cast_unsigned());
        let at = at.expect("Invariant: a resting order is in the queue of its place");
        let queue = self.queues.at_mut(at);
        if queue.orders == 1 {
            self.queues.remove_at(at);
            return;
        }
        queue.orders -= 1;
        queue.placed_sum_ns -= i128::from(order.placed_ns);
    }
}

/// The orders of both sides.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// The book is fed order by order.
    pub(crate) is_active: bool,
    pub(crate) faults: OrderFaults,
    /// Window clock of the packet that is applied, UTC ns.
    pub(crate) now_ns: i64,
    table: Table<Order>,
    /// Lots of all orders of a side: bids, asks.
    side_lots: [i64; 2],
    /// Only when features ask for it.
    watch: Option<Box<Watch>>,
    /// Ids to be removed; empty between packets.
    leaving: Vec<u64>,
}

impl Orders {
    pub(crate) fn new(is_watched: bool) -> Self {
        let watch = || {
            Box::new(Watch {
                queues: Table::new(),
                flows: [OrderFlow::default(); 2],
                is_settled: false,
            })
        };
        Self {
            is_active: false,
            faults: OrderFaults::default(),
            now_ns: 0,
            table: Table::new(),
            side_lots: [0; 2],
            watch: is_watched.then(watch),
            leaving: Vec::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) const fn lots(&self, side: Side) -> i64 {
        self.side_lots[side as usize]
    }

    pub(crate) fn queue(&self, side: Side, price_ticks: i64) -> Option<Queue> {
        let watch = self.watch.as_ref().filter(|_| self.is_active)?;
        let place = place_of(side, price_ticks).cast_unsigned();
        Some(watch.queues.get(place).copied().unwrap_or_default())
    }

    pub(crate) fn flow(&self, side: Side) -> Option<OrderFlow> {
        let watch = self.watch.as_ref().filter(|_| self.is_active)?;
        Some(watch.flows[side as usize])
    }

    /// A packet begins: what led to a two-sided book is forgotten, what led to another one is kept.
    pub(crate) fn begin(&mut self) {
        if let Some(watch) = &mut self.watch
            && watch.is_settled
        {
            watch.flows = [OrderFlow::default(); 2];
        }
    }

    /// A packet ends.
    pub(crate) fn end(&mut self, is_two_sided: bool) {
        self.watch.iter_mut().for_each(|watch| watch.is_settled = is_two_sided);
    }

    /// Forgets all orders and what happened; the book may become one of levels.
    pub(crate) fn clear(&mut self) {
        self.is_active = false;
        self.table.clear();
        self.side_lots = [0; 2];
        if let Some(watch) = &mut self.watch {
            watch.queues.clear();
            (watch.flows, watch.is_settled) = ([OrderFlow::default(); 2], false);
        }
    }

    /// Forgets what happened: a snapshot is no flow.
    pub(crate) fn forget_flow(&mut self) {
        self.watch.iter_mut().for_each(|watch| watch.flows = [OrderFlow::default(); 2]);
    }

    /// Removes the orders of a side between two prices, inclusive; no flow.
    pub(crate) fn clear_between(&mut self, side: Side, low_ticks: i64, high_ticks: i64) {
        let is_inside = |order: &Order| {
            side_of(order.place) == side && (low_ticks..=high_ticks).contains(&order.place.abs())
        };
        let mut leaving = core::mem::take(&mut self.leaving);
        leaving.extend(self.table.iter().filter(|(_, order)| is_inside(order)).map(|(id, _)| id));
        for id in leaving.drain(..) {
            let at = self.table.find(id).expect("Invariant: the id was just read");
            self.remove_at(at);
        }
        self.leaving = leaving;
    }

    /// Takes one event and reports to `shift` how many lots join (or leave) a level.
    #[inline]
    pub(crate) fn apply(&mut self, event: &OrderEvent, shift: &mut impl FnMut(Side, i64, i64)) {
        match event.op {
            OrderOp::Add => {
                if let Some(at) = self.table.find(event.order_id) {
                    self.faults.known += 1;
                    let old = self.remove_at(at);
                    shift(side_of(old.place), old.place.abs(), -old.lots);
                }
                self.enter(event, shift);
            }
            OrderOp::Modify => self.modify(event, shift),
            OrderOp::Cancel | OrderOp::Fill => self.take(event, shift),
        }
    }

    #[inline]
    fn enter(&mut self, event: &OrderEvent, shift: &mut impl FnMut(Side, i64, i64)) {
        let OrderEvent { order_id, price_ticks, qty_lots, side, .. } = *event;
        if qty_lots == 0 {
            return;
        }
        let place = place_of(side, price_ticks);
        let order = Order { place, lots: qty_lots, placed_ns: self.now_ns };
        self.insert(order_id, order);
        if let Some(watch) = &mut self.watch {
            let flow = watch.flow_mut(side);
            flow.add_count += 1;
            flow.add_lots += i128::from(qty_lots);
        }
        shift(side, price_ticks, qty_lots);
    }

    #[inline]
    fn insert(&mut self, order_id: u64, order: Order) {
        self.table.entry(order_id, || order);
        self.side_lots[side_of(order.place) as usize] += order.lots;
        self.watch.iter_mut().for_each(|watch| watch.join(order.place, order.placed_ns));
    }

    #[inline]
    fn remove_at(&mut self, at: usize) -> Order {
        let order = self.table.remove_at(at);
        self.side_lots[side_of(order.place) as usize] -= order.lots;
        self.watch.iter_mut().for_each(|watch| watch.leave(&order));
        order
    }

    fn modify(&mut self, event: &OrderEvent, shift: &mut impl FnMut(Side, i64, i64)) {
        let Some(at) = self.table.find(event.order_id) else {
            self.faults.unknown += 1;
            return self.enter(event, shift);
        };
        let order = *self.table.at_mut(at);
        let keeps_place = order.place == place_of(event.side, event.price_ticks)
            && (1..=order.lots).contains(&event.qty_lots);
        let gone_lots = if keeps_place { order.lots - event.qty_lots } else { order.lots };
        self.withdraw(at, gone_lots, OrderOp::Cancel, shift);
        if !keeps_place {
            self.enter(event, shift);
        }
    }

    fn take(&mut self, event: &OrderEvent, shift: &mut impl FnMut(Side, i64, i64)) {
        let Some(at) = self.table.find(event.order_id) else {
            self.faults.unknown += 1;
            return;
        };
        let left_lots = self.table.at_mut(at).lots;
        self.faults.overdrawn += u64::from(event.qty_lots > left_lots);
        let all = event.qty_lots == 0 || event.qty_lots > left_lots;
        let gone_lots = if all { left_lots } else { event.qty_lots };
        self.withdraw(at, gone_lots, event.op, shift);
    }

    /// Takes lots from an order; the order goes with the last one.
    #[inline]
    fn withdraw(
        &mut self,
        at: usize,
        gone_lots: i64,
        op: OrderOp,
        shift: &mut impl FnMut(Side, i64, i64),
    ) {
        if gone_lots == 0 {
            return;
        }
        let Order { place, lots, .. } = *self.table.at_mut(at);
        let side = side_of(place);
        if gone_lots == lots {
            self.remove_at(at);
        } else {
            self.table.at_mut(at).lots -= gone_lots;
            self.side_lots[side as usize] -= gone_lots;
        }
        if let Some(watch) = &mut self.watch {
            let flow = watch.flow_mut(side);
            let (count, sum) = match op {
                OrderOp::Fill => (&mut flow.fill_count, &mut flow.fill_lots),
                _ => (&mut flow.cancel_count, &mut flow.cancel_lots),
            };
            *count += 1;
            *sum += i128::from(gone_lots);
        }
        shift(side, place.abs(), -gone_lots);
    }

    /// Appends the orders by id, and what happened to them.
    pub(crate) fn save(&self, out: &mut StateWriter) {
        out.u64(self.is_active.into());
        for count in [self.faults.unknown, self.faults.known, self.faults.overdrawn] {
            out.u64(count);
        }
        let mut orders: Vec<_> = self.table.iter().collect();
        orders.sort_unstable_by_key(|(id, _)| *id);
        out.u64(orders.len() as u64);
        for (id, order) in orders {
            out.u64(id);
            out.i64(order.place);
            out.i64(order.lots);
            out.i64(order.placed_ns);
        }
        if let Some(watch) = &self.watch {
            watch.flows.iter().for_each(|flow| save_flow(flow, out));
            out.u64(watch.is_settled.into());
        }
    }

    /// Replaces the state by one that [`Orders::save`] wrote; `shift` as in [`Orders::apply`].
    pub(crate) fn load(
        &mut self,
        from: &mut StateReader<'_>,
        shift: &mut impl FnMut(Side, i64, i64),
    ) -> Result<(), StateError> {
        self.clear();
        self.is_active = from.bool("orders.is_active")?;
        self.faults =
            OrderFaults { unknown: from.u64()?, known: from.u64()?, overdrawn: from.u64()? };
        let count = from.count("orders", 32)?;
        if count > MAX_ORDERS || (count > 0 && !self.is_active) {
            return Err(from.invalid("orders", &count));
        }
        for _ in 0..count {
            let id = from.u64()?;
            let (place, lots, placed_ns) = (from.i64()?, from.i64()?, from.i64()?);
            let limit = 1..=MAX_SCALED;
            let fits = limit.contains(&lots)
                && limit.contains(&place.checked_abs().unwrap_or(0))
                && self.lots(side_of(place)) <= MAX_SCALED - lots;
            if !fits || self.table.find(id).is_some() {
                return Err(from.invalid("order", &format!("{id}: {lots} lots at {place}")));
            }
            self.insert(id, Order { place, lots, placed_ns });
            shift(side_of(place), place.abs(), lots);
        }
        if let Some(watch) = &mut self.watch {
            for flow in &mut watch.flows {
                *flow = load_flow(from)?;
            }
            watch.is_settled = from.bool("orders.is_settled")?;
        }
        Ok(())
    }
}

fn save_flow(flow: &OrderFlow, out: &mut StateWriter) {
    for (count, lots) in [
        (flow.add_count, flow.add_lots),
        (flow.cancel_count, flow.cancel_lots),
        (flow.fill_count, flow.fill_lots),
    ] {
        out.u64(count);
        out.i128(lots);
    }
}

fn load_flow(from: &mut StateReader<'_>) -> Result<OrderFlow, StateError> {
    Ok(OrderFlow {
        add_count: from.u64()?,
        add_lots: from.i128()?,
        cancel_count: from.u64()?,
        cancel_lots: from.i128()?,
        fill_count: from.u64()?,
        fill_lots: from.i128()?,
    })
}
