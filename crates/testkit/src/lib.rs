//! Tapes for tests: hostile little markets as proptest strategies; and programs that tests run.
//!
//! Prices are few and quantities small, so that collisions (crossed, locked and empty books, repeated
//! and late packets, gaps, resets) happen in almost every tape.

pub mod ccxt;
pub mod chronicle;
mod orders;
mod tool;

use market_model::{
    Aggressor, BookOp, FeedKind, Instrument, Level, Packet, PacketKind, Sequencing, Trade,
};
use proptest::collection::vec;
use proptest::prelude::*;

pub use orders::order_tape;
pub use tool::{Browser, element_text, tool};

/// Earliest event time of every tape, UTC ns: a midnight and a funding time.
pub const START_NS: i64 = 1_700_006_400_000_000_000;

/// What happens to one packet of a tape before it is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Normal,
    Repeated,
    Late,
    AfterGap,
    Reset,
    Rejected,
    RejectedTrade,
    Heartbeat,
    NoIds,
}

#[derive(Debug, Clone)]
struct Step {
    fate: Fate,
    kind: PacketKind,
    bids: Vec<Level>,
    asks: Vec<Level>,
    clear: Option<(BookOp, Option<i64>)>,
    trades: Vec<Trade>,
    after_ns: i64,
    backward: bool,
    latency_ns: Option<i64>,
    checksum_mismatch: bool,
}

fn levels(side: std::ops::Range<i64>, count: usize) -> impl Strategy<Value = Vec<Level>> {
    vec((side, 0..6_i64), 0..count).prop_map(|levels| {
        levels.into_iter().map(|(price, qty)| Level::new(price, qty * (qty + 1) / 2)).collect()
    })
}

fn trades() -> impl Strategy<Value = Vec<Trade>> {
    let aggressor =
        prop_oneof![Just(Aggressor::Unknown), Just(Aggressor::Buy), Just(Aggressor::Sell)];
    let trade = (95..110_i64, 1..50_i64, aggressor)
        .prop_map(|(price_ticks, qty_lots, aggressor)| Trade { price_ticks, qty_lots, aggressor });
    prop_oneof![4 => Just(Vec::new()), 1 => vec(trade, 1..3)]
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        40 => Just(Fate::Normal),
        2 => Just(Fate::Repeated),
        2 => Just(Fate::Late),
        2 => Just(Fate::AfterGap),
        1 => Just(Fate::Reset),
        1 => Just(Fate::Rejected),
        1 => Just(Fate::RejectedTrade),
        2 => Just(Fate::Heartbeat),
        1 => Just(Fate::NoIds),
    ];
    let kind = prop_oneof![8 => Just(PacketKind::Delta), 2 => Just(PacketKind::Snapshot)];
    let clear_op = prop_oneof![Just(BookOp::ClearBid), Just(BookOp::ClearAsk)];
    let clear = proptest::option::weighted(0.04, (clear_op, proptest::option::of(95..110_i64)));
    let time = prop_oneof![
        6 => 0..400_000_000_i64,
        2 => Just(0_i64),
        2 => Just(500_000_000_i64),
        1 => 1_000_000_000..8_000_000_000_i64,
    ];
    let latency = prop_oneof![
        8 => (-2_000_000..50_000_000_i64).prop_map(Some),
        1 => Just(Some(12_000_000_000)),
        1 => Just(Some(-6_000_000_000)),
        2 => Just(None),
    ];
    (
        fate,
        kind,
        levels(96..104, 5),
        levels(101..109, 5),
        clear,
        trades(),
        (time, proptest::bool::weighted(0.05), latency, proptest::bool::weighted(0.01)),
    )
        .prop_map(|(fate, kind, bids, asks, clear, trades, time)| Step {
            fate,
            kind,
            bids,
            asks,
            clear,
            trades,
            after_ns: time.0,
            backward: time.1,
            latency_ns: time.2,
            checksum_mismatch: time.3,
        })
}

/// An instrument of any feed and sequencing, with grids that are not 1.
///
/// # Panics
///
/// Never: the sizes are decimals.
pub fn instrument() -> impl Strategy<Value = Instrument> {
    let feed = prop_oneof![3 => Just(FeedKind::Delta), 1 => Just(FeedKind::Snapshot)];
    let sequencing = prop_oneof![
        4 => Just(Sequencing::Venue),
        1 => Just(Sequencing::SourceTime),
        1 => Just(Sequencing::Arrival),
    ];
    let tick = prop_oneof![Just("0.1"), Just("0.25"), Just("1"), Just("0.00000001")];
    let lot = prop_oneof![Just("1"), Just("0.001"), Just("0.5")];
    (feed, sequencing, tick, lot).prop_map(|(feed, sequencing, tick, lot)| {
        let base = Instrument::new(0, "TEST", tick, lot).expect("the sizes are decimals");
        Instrument { feed, sequencing, ..base }
    })
}

/// A tape of up to `count` packets for an instrument.
pub fn tape(count: usize) -> impl Strategy<Value = (Instrument, Vec<Packet>)> {
    (instrument(), vec(step(), 1..count)).prop_map(|(instrument, steps)| {
        let packets = assemble(&steps);
        (instrument, packets)
    })
}

/// A tape of levels, or one of orders.
pub fn any_tape(count: usize) -> impl Strategy<Value = (Instrument, Vec<Packet>)> {
    prop_oneof![2 => tape(count), 1 => order_tape(count)]
}

fn assemble(steps: &[Step]) -> Vec<Packet> {
    let mut packets: Vec<Packet> = Vec::new();
    let (mut now_ns, mut seq) = (START_NS, 1_000_u64);
    for (index, step) in steps.iter().enumerate() {
        now_ns += step.after_ns;
        if step.fate == Fate::Repeated
            && let Some(last) = packets.last().cloned()
        {
            packets.push(last);
            continue;
        }
        // A tape starts with a snapshot more often than not, as recordings do.
        let kind = if index == 0 { PacketKind::Snapshot } else { step.kind };
        let mut packet = Packet { kind, ..Packet::default() };
        packet.ts_event_ns = if step.backward { now_ns - 700_000_000 } else { now_ns };
        packet.ts_recv_ns = step.latency_ns.map_or(0, |latency_ns| now_ns + latency_ns);
        packet.checksum_mismatch = step.checksum_mismatch;
        match step.fate {
            Fate::Reset => packet.kind = PacketKind::Reset,
            Fate::Rejected => packet.kind = PacketKind::Rejected,
            Fate::RejectedTrade => packet.kind = PacketKind::RejectedTrade,
            Fate::Heartbeat => packet.kind = PacketKind::Heartbeat,
            _ => fill(&mut packet, step),
        }
        if packet.touches_book() {
            number(&mut packet, step.fate, &mut seq);
        }
        packets.push(packet);
    }
    packets
}

fn fill(packet: &mut Packet, step: &Step) {
    if let Some((op, bound)) = step.clear {
        match bound {
            Some(price) => packet.push_level(op, Level::new(price, 0)),
            None => packet.push_clear_side(op),
        }
    }
    step.bids.iter().for_each(|level| packet.push_level(BookOp::SetBid, *level));
    step.asks.iter().for_each(|level| packet.push_level(BookOp::SetAsk, *level));
    packet.trades.clone_from(&step.trades);
}

fn number(packet: &mut Packet, fate: Fate, seq: &mut u64) {
    match fate {
        Fate::NoIds => {}
        Fate::Late => packet.seq = *seq - 5,
        _ => {
            let previous = *seq;
            *seq += if fate == Fate::AfterGap { 10 } else { 1 };
            packet.seq = *seq;
            // Both ways in which venues say what comes before.
            if seq.is_multiple_of(2) {
                packet.prev_seq = if fate == Fate::AfterGap { *seq - 1 } else { previous };
            } else {
                packet.first_seq = *seq;
            }
        }
    }
}
