//! What is counted. Never inlined: callgrind finds these functions by name.

use feature_runtime::SymbolEngine;
use lob_engine::Book;
use market_model::{BookOp, BookView, Packet, Run, Side};

/// Book only, best prices read after every packet; the sum of them.
///
/// # Panics
///
/// Panics when a packet is refused.
#[inline(never)]
pub fn book(book: &mut Book, packets: &[Packet]) -> i64 {
    let mut sum = 0_i64;
    for packet in packets.iter().filter(|packet| packet.touches_book()) {
        book.apply(packet).expect("the tape has no refused packets");
        let best = |side| book.best(side).map_or(0, |level| level.price_ticks);
        sum = sum.wrapping_add(best(Side::Bid)).wrapping_add(best(Side::Ask));
    }
    sum
}

/// Book and `lob_shared_v1`, a frame per packet; the sum of the first value words.
#[inline(never)]
pub fn lob_shared(engine: &mut SymbolEngine, packets: &[Packet]) -> u64 {
    frames::<0>(engine, packets)
}

/// Book and `core_v1`, a frame per packet; the sum of the second value words.
///
/// Another word than [`lob_shared`], or the two would be folded into one function.
#[inline(never)]
pub fn core(engine: &mut SymbolEngine, packets: &[Packet]) -> u64 {
    frames::<1>(engine, packets)
}

/// Book and `lob_shared_v1`, every level change a packet of its own; the sum and the frames.
#[inline(never)]
pub fn lob_shared_every_event(engine: &mut SymbolEngine, packets: &[Packet]) -> u64 {
    let (mut sum, mut one) = (0_u64, Packet::default());
    for packet in packets.iter().filter(|packet| packet.touches_book()) {
        (one.ts_event_ns, one.ts_recv_ns) = (packet.ts_event_ns, packet.ts_recv_ns);
        for (op, levels) in packet.runs() {
            for level in levels {
                one.levels.clear();
                one.levels.push(*level);
                one.run_ends.clear();
                one.run_ends.push(Run { op, end: 1 });
                debug_assert!(matches!(op, BookOp::SetBid | BookOp::SetAsk));
                sum = sum.wrapping_add(engine.process(&one).map_or(0, |frame| frame.values()[0]));
            }
        }
    }
    sum
}

#[inline(always)]
fn frames<const WORD: usize>(engine: &mut SymbolEngine, packets: &[Packet]) -> u64 {
    let mut sum = 0_u64;
    for packet in packets {
        sum = sum.wrapping_add(engine.process(packet).map_or(0, |frame| frame.values()[WORD]));
    }
    sum
}
