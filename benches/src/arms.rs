//! What is timed and counted. Never inlined: callgrind finds these functions by name.
//!
//! Each gives the sum of the best prices after every packet, so that no work can be left out.

use hftbacktest::depth::{BTreeMarketDepth, HashMapMarketDepth, ROIVectorMarketDepth};
use lob_engine::Book;
use market_model::{BookView, MarketEvent, Packet, PacketKind, Side};

pub use instruction_gate::arms::{core, lob_shared, lob_shared_every_event};

use crate::peers::{Depth, StdTrees, apply_row};
use crate::tape::Tape;

/// Our book from packet columns.
///
/// # Panics
///
/// Panics when a packet is refused.
#[inline(never)]
pub fn book_packets(book: &mut Book, tape: &Tape) -> i64 {
    let mut sum = 0_i64;
    for packet in &tape.packets {
        apply(book, packet).expect("the tape has no refused packets");
        sum = sum.wrapping_add(best(book));
    }
    sum
}

/// Our book from 64-byte rows.
///
/// # Panics
///
/// Panics when a packet is refused.
#[inline(never)]
pub fn book_rows(book: &mut Book, packet: &mut Packet, tape: &Tape) -> i64 {
    let mut sum = 0_i64;
    let mut events = tape.events.as_slice();
    packet.clear();
    while let Some((taken, true)) = MarketEvent::append_packet(events, packet) {
        events = &events[taken..];
        apply(book, packet).expect("the tape has no refused packets");
        sum = sum.wrapping_add(best(book));
        packet.clear();
    }
    sum
}

/// A pass over the 64-byte rows that only adds up prices and quantities.
#[inline(never)]
#[must_use]
pub fn pass_rows(tape: &Tape) -> i64 {
    tape.events.iter().fold(0, |sum, event| sum ^ event.price_ticks.wrapping_add(event.qty_lots))
}

/// hftbacktest's flat array from its rows.
#[inline(never)]
pub fn roi_vector(depth: &mut ROIVectorMarketDepth, tape: &Tape) -> i64 {
    depth_rows(depth, tape)
}

/// hftbacktest's hash map from its rows.
#[inline(never)]
pub fn hash_map(depth: &mut HashMapMarketDepth, tape: &Tape) -> i64 {
    depth_rows(depth, tape)
}

/// hftbacktest's tree from its rows.
#[inline(never)]
pub fn b_tree(depth: &mut BTreeMarketDepth, tape: &Tape) -> i64 {
    depth_rows(depth, tape)
}

/// Trees of the standard library from packet columns.
#[inline(never)]
pub fn std_trees(trees: &mut StdTrees, tape: &Tape) -> i64 {
    let mut sum = 0_i64;
    for packet in &tape.packets {
        trees.apply(packet);
        let (bid, ask) = trees.best();
        sum = sum.wrapping_add(bid).wrapping_add(ask);
    }
    sum
}

/// One packet into our book.
///
/// # Errors
///
/// When the packet is refused.
#[inline(always)]
pub fn apply(book: &mut Book, packet: &Packet) -> Result<(), lob_engine::Error> {
    if packet.kind == PacketKind::Snapshot { book.replace(packet) } else { book.apply(packet) }
}

#[inline(always)]
fn best(book: &Book) -> i64 {
    let ticks = |side| book.best(side).map_or(0, |level| level.price_ticks);
    ticks(Side::Bid).wrapping_add(ticks(Side::Ask))
}

#[inline(always)]
fn depth_rows<D: Depth>(depth: &mut D, tape: &Tape) -> i64 {
    let (mut sum, mut start) = (0_i64, 0);
    for &end in &tape.row_ends {
        for row in &tape.rows[start..end] {
            apply_row(depth, row);
        }
        start = end;
        let (bid, ask) = (depth.best_bid_tick(), depth.best_ask_tick());
        let bid = if bid == i64::MIN { 0 } else { bid };
        sum = sum.wrapping_add(bid).wrapping_add(if ask == i64::MAX { 0 } else { ask });
    }
    sum
}
