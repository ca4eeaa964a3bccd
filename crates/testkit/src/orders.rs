//! Tapes of order events: few ids and few prices, so that orders meet, grow, shrink and contradict.

use std::collections::BTreeMap;

use market_model::{
    Aggressor, BookOp, Instrument, Level, OrderEvent, OrderOp, Packet, PacketKind, Side, Trade,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::START_NS;

#[derive(Debug, Clone)]
struct Step {
    kind: PacketKind,
    orders: Vec<OrderEvent>,
    clear: Option<(BookOp, Option<i64>)>,
    trade: Option<i64>,
    after_ns: i64,
    is_repeated: bool,
    is_after_gap: bool,
}

fn event(ops: impl Strategy<Value = OrderOp>) -> impl Strategy<Value = OrderEvent> {
    let side = prop_oneof![Just((Side::Bid, 94_i64)), Just((Side::Ask, 99_i64))];
    let qty = prop_oneof![1 => Just(0_i64), 12 => 1..30_i64];
    (ops, side, 0..6_i64, qty, 0..24_u64).prop_map(
        |(op, (side, low_ticks), above_ticks, qty_lots, order_id)| {
            let price_ticks = low_ticks + above_ticks;
            OrderEvent { order_id, price_ticks, qty_lots, side, op }
        },
    )
}

fn any_op() -> impl Strategy<Value = OrderOp> {
    prop_oneof![
        6 => Just(OrderOp::Add),
        3 => Just(OrderOp::Modify),
        2 => Just(OrderOp::Cancel),
        3 => Just(OrderOp::Fill),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        30 => Just(PacketKind::Delta),
        2 => Just(PacketKind::Snapshot),
        1 => Just(PacketKind::Reset),
        1 => Just(PacketKind::Rejected),
        1 => Just(PacketKind::RejectedTrade),
        3 => Just(PacketKind::Heartbeat),
    ];
    let clear_op = prop_oneof![Just(BookOp::ClearBid), Just(BookOp::ClearAsk)];
    let clear = proptest::option::weighted(0.05, (clear_op, proptest::option::of(93..106_i64)));
    let time = prop_oneof![6 => 0..400_000_000_i64, 2 => Just(0_i64), 1 => Just(500_000_000_i64)];
    (
        kind,
        (vec(event(any_op()), 0..4), vec(event(Just(OrderOp::Add)), 6..12)),
        clear,
        proptest::option::weighted(0.15, 94..105_i64),
        (time, proptest::bool::weighted(0.03), proptest::bool::weighted(0.03)),
    )
        .prop_map(
            |(kind, (few, many), clear, trade, (after_ns, is_repeated, is_after_gap))| Step {
                kind,
                orders: if kind == PacketKind::Snapshot { many } else { few },
                clear,
                trade,
                after_ns,
                is_repeated,
                is_after_gap,
            },
        )
}

/// A tape of up to `count` packets of a feed of orders.
pub fn order_tape(count: usize) -> impl Strategy<Value = (Instrument, Vec<Packet>)> {
    let first = vec(event(Just(OrderOp::Add)), 8..16);
    (crate::instrument(), first, any::<bool>(), vec(step(), 1..count)).prop_map(
        |(instrument, first, is_snapshot, steps)| {
            let kind = if is_snapshot { PacketKind::Snapshot } else { PacketKind::Delta };
            let opening = Packet { kind, orders: first, ..Packet::default() };
            (instrument, assemble(opening, &steps))
        },
    )
}

fn assemble(opening: Packet, steps: &[Step]) -> Vec<Packet> {
    let (mut now_ns, mut seq) = (START_NS, 1_000_u64);
    let mut places = BTreeMap::new();
    settle(&opening.orders, &mut places);
    let mut packets = vec![Packet { ts_event_ns: now_ns, seq, ..opening }];
    for step in steps {
        now_ns += step.after_ns;
        if step.is_repeated {
            packets.extend(packets.last().cloned());
            continue;
        }
        let mut packet = Packet { kind: step.kind, ts_event_ns: now_ns, ..Packet::default() };
        packet.ts_recv_ns = now_ns + 1_000_000;
        if matches!(step.kind, PacketKind::Delta | PacketKind::Snapshot) {
            fill(&mut packet, step, &mut places);
        }
        if packet.touches_book() {
            let before = seq;
            seq += if step.is_after_gap { 9 } else { 1 };
            (packet.seq, packet.first_seq) = (seq, seq);
            packet.prev_seq = if step.is_after_gap { seq - 1 } else { before };
        }
        packets.push(packet);
    }
    packets
}

/// Where each id was last.
type Places = BTreeMap<u64, (Side, i64)>;

/// Most orders are modified where they are, as on real feeds: only then can they keep their place.
fn settle(events: &[OrderEvent], places: &mut Places) -> Vec<OrderEvent> {
    let stays = |event: &OrderEvent| event.op == OrderOp::Modify && event.qty_lots % 3 != 0;
    let mut settled = events.to_vec();
    for event in &mut settled {
        let place = places.entry(event.order_id).or_insert((event.side, event.price_ticks));
        if stays(event) {
            (event.side, event.price_ticks) = *place;
        } else if event.states_order() {
            *place = (event.side, event.price_ticks);
        }
    }
    settled
}

fn fill(packet: &mut Packet, step: &Step, places: &mut Places) {
    match step.clear {
        Some((op, Some(price_ticks))) => packet.push_level(op, Level::new(price_ticks, 0)),
        Some((op, None)) => packet.push_clear_side(op),
        None => {}
    }
    packet.orders = settle(&step.orders, places);
    if let Some(price_ticks) = step.trade {
        packet.trades.push(Trade { price_ticks, qty_lots: 2, aggressor: Aggressor::Unknown });
    }
}
