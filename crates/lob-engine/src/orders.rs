//! The orders of a book that is fed order by order: what each is, and what happened to them.
//!
//! Levels stay in the ladders, which cost the same whoever feeds them; here is what only orders have.

use market_model::{
    MAX_SCALED, OrderEvent, OrderFlow, OrderOp, Queue, Side, StateError, StateReader, StateWriter,
};

use crate::table::{At, Cell, MAX_ENTRIES, Table};

/// Orders that a book may hold.
pub const MAX_ORDERS: usize = 1_000_000;

/// Orders that are read ahead of the events that name them: no more than the nearest cache holds.
const TOUCHED: usize = 32;

const _: () = assert!(MAX_ORDERS <= MAX_ENTRIES, "every order has a record");

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
    /// Lots that are left; 0 marks a vacant record.
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

/// Events of one kind on one side, and the lots that joined by them; negative when lots left.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    count: u64,
    lots: i128,
}

/// Events by side (bids, asks) and [`OrderOp`]; a modified order is a withdrawal, an addition, or both.
type Flows = [[Flow; 4]; 2];

/// What features ask about orders.
#[derive(Debug, Clone)]
struct Watch {
    /// Queues by place.
    queues: Table<Queue>,
    flows: Flows,
    /// The book after the flows was two-sided: the next packet starts anew.
    is_settled: bool,
}

impl Watch {
    #[inline(always)]
    fn tell(&mut self, op: OrderOp, place: i64, lots: i64) {
        let flow = &mut self.flows[side_of(place) as usize][op as usize];
        flow.count += 1;
        flow.lots += i128::from(lots);
    }

    #[inline(always)]
    fn join(&mut self, order: &Order) {
        let (key, placed_sum_ns) = (order.place.cast_unsigned(), i128::from(order.placed_ns));
        let Some(at) = self.queues.find(key) else {
            return self.queues.insert(key, Queue { orders: 1, placed_sum_ns });
        };
        let queue = self.queues.at_mut(at);
        queue.orders += 1;
        queue.placed_sum_ns += placed_sum_ns;
    }

    /// An order that has lost lots leaves its queue if none are left.
    #[inline(always)]
    fn leave(&mut self, order: &Order) {
        let at = self.queues.find(order.place.cast_unsigned());
        let at = at.expect("Invariant: a resting order is in the queue of its place");
        let queue = self.queues.at_mut(at);
        let is_gone = order.is_vacant();
        queue.orders -= u64::from(is_gone);
        queue.placed_sum_ns -= i128::from(if is_gone { order.placed_ns } else { 0 });
        if queue.is_vacant() {
            self.queues.settle(at);
        }
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
        let watch =
            || Box::new(Watch { queues: Table::new(), flows: Flows::default(), is_settled: false });
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
        Some(flow_of(&watch.flows[side as usize]))
    }

    /// A packet begins: what led to a two-sided book is forgotten, what led to another one is kept.
    pub(crate) fn begin(&mut self) {
        if let Some(watch) = &mut self.watch
            && watch.is_settled
        {
            watch.flows = Flows::default();
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
            (watch.flows, watch.is_settled) = (Flows::default(), false);
        }
    }

    /// Forgets what happened: a snapshot is no flow.
    pub(crate) fn forget_flow(&mut self) {
        self.watch.iter_mut().for_each(|watch| watch.flows = Flows::default());
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
            self.remove(at);
        }
        self.leaving = leaving;
    }

    /// Takes events in their order; `shift` as in [`Orders::apply`].
    #[inline(always)]
    pub(crate) fn apply_all(&mut self, events: &[OrderEvent], shift: &mut impl FnMut(i64, i64)) {
        for events in events.chunks(TOUCHED) {
            if events.len() > 1 {
                self.table.touch(events.iter().map(|event| event.order_id));
            }
            events.iter().for_each(|event| self.apply(event, shift));
        }
    }

    /// Takes one event and reports to `shift` at which place how many lots join (or leave) a level.
    ///
    /// What nearly all events do comes first, and reports at one place in the code, which is then inlined.
    #[inline(always)]
    fn apply(&mut self, event: &OrderEvent, shift: &mut impl FnMut(i64, i64)) {
        // What happened decides first: whether an order is known follows from it, and is known late.
        let (place, lots) = if event.op == OrderOp::Add {
            if event.qty_lots == 0 || self.table.find(event.order_id).is_some() {
                return self.apply_seldom(event, shift);
            }
            self.enter(event)
        } else {
            let found = self.table.find(event.order_id).filter(|_| event.op != OrderOp::Modify);
            let Some(at) = found else { return self.apply_seldom(event, shift) };
            self.take(at, event)
        };
        self.report(event.op, (place, lots), shift);
    }

    #[inline(always)]
    fn report(&mut self, op: OrderOp, (place, lots): (i64, i64), shift: &mut impl FnMut(i64, i64)) {
        if let Some(watch) = &mut self.watch {
            watch.tell(op, place, lots);
        }
        shift(place, lots);
    }

    /// Modifications, contradictions, and orders of nothing.
    #[inline(never)]
    fn apply_seldom(&mut self, event: &OrderEvent, shift: &mut impl FnMut(i64, i64)) {
        match (event.op, self.table.find(event.order_id)) {
            (OrderOp::Modify, Some(at)) => {
                let (lots, keeps_place) = (self.table.at_mut(at).lots, self.keeps_place(at, event));
                let gone_lots = if keeps_place { lots - event.qty_lots } else { lots };
                if gone_lots > 0 {
                    let place = self.reduce(at, gone_lots);
                    self.report(OrderOp::Cancel, (place, -gone_lots), shift);
                }
                if keeps_place {
                    return;
                }
            }
            (OrderOp::Add, Some(at)) => {
                self.faults.known += 1;
                let (place, lots) = self.remove(at);
                shift(place, -lots);
            }
            (OrderOp::Add, None) => {}
            (_, None) => self.faults.unknown += 1,
            (OrderOp::Cancel | OrderOp::Fill, Some(_)) => unreachable!("Invariant: was taken"),
        }
        if event.states_order() && event.qty_lots > 0 {
            let entered = self.enter(event);
            self.report(OrderOp::Add, entered, shift);
        }
    }

    /// A new order; place and lots.
    #[inline(always)]
    fn enter(&mut self, event: &OrderEvent) -> (i64, i64) {
        let OrderEvent { order_id, price_ticks, qty_lots: lots, side, .. } = *event;
        let place = place_of(side, price_ticks);
        self.insert(order_id, Order { place, lots, placed_ns: self.now_ns });
        (place, lots)
    }

    #[inline(always)]
    fn insert(&mut self, order_id: u64, order: Order) {
        self.table.insert(order_id, order);
        self.side_lots[side_of(order.place) as usize] += order.lots;
        if let Some(watch) = &mut self.watch {
            watch.join(&order);
        }
    }

    /// Takes lots from an order, which goes with the last one; its place.
    #[inline(always)]
    fn reduce(&mut self, at: At, gone_lots: i64) -> i64 {
        let order = self.table.at_mut(at);
        order.lots -= gone_lots;
        let order = *order;
        self.table.settle(at);
        self.side_lots[side_of(order.place) as usize] -= gone_lots;
        if let Some(watch) = &mut self.watch {
            watch.leave(&order);
        }
        order.place
    }

    /// Takes an order away; its place and its lots.
    fn remove(&mut self, at: At) -> (i64, i64) {
        let lots = self.table.at_mut(at).lots;
        (self.reduce(at, lots), lots)
    }

    fn keeps_place(&mut self, at: At, event: &OrderEvent) -> bool {
        let order = self.table.at_mut(at);
        order.place == place_of(event.side, event.price_ticks)
            && (1..=order.lots).contains(&event.qty_lots)
    }

    /// Lots leave an order; its place, and how many join it.
    #[inline(always)]
    fn take(&mut self, at: At, event: &OrderEvent) -> (i64, i64) {
        let left_lots = self.table.at_mut(at).lots;
        if event.qty_lots > left_lots {
            self.faults.overdrawn += 1;
        }
        // 0 lots stand for all, and so is the largest number below.
        let all = event.qty_lots.cast_unsigned().wrapping_sub(1) >= left_lots.cast_unsigned();
        let gone_lots = if all { left_lots } else { event.qty_lots };
        (self.reduce(at, gone_lots), -gone_lots)
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
            watch.flows.iter().for_each(|flows| save_flow(&flow_of(flows), out));
            out.u64(watch.is_settled.into());
        }
    }

    /// Replaces the state by one that [`Orders::save`] wrote; `shift` as in [`Orders::apply`].
    pub(crate) fn load(
        &mut self,
        from: &mut StateReader<'_>,
        shift: &mut impl FnMut(i64, i64),
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
            shift(place, lots);
        }
        if let Some(watch) = &mut self.watch {
            for flows in &mut watch.flows {
                *flows = load_flows(from)?;
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

fn load_flows(from: &mut StateReader<'_>) -> Result<[Flow; 4], StateError> {
    let mut flows = [Flow::default(); 4];
    for (op, sign) in [(OrderOp::Add, 1), (OrderOp::Cancel, -1), (OrderOp::Fill, -1)] {
        let (count, lots) = (from.u64()?, from.i128()?);
        flows[op as usize] = Flow { count, lots: lots.wrapping_mul(sign) };
    }
    Ok(flows)
}

fn flow_of(flows: &[Flow; 4]) -> OrderFlow {
    let of = |op: OrderOp| flows[op as usize];
    let (add, cancel, fill) = (of(OrderOp::Add), of(OrderOp::Cancel), of(OrderOp::Fill));
    OrderFlow {
        add_count: add.count,
        add_lots: add.lots,
        cancel_count: cancel.count,
        cancel_lots: cancel.lots.wrapping_neg(),
        fill_count: fill.count,
        fill_lots: fill.lots.wrapping_neg(),
    }
}
