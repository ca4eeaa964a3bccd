//! All books agree after every packet, or nothing is timed.

use anyhow::{Result, ensure};
use lob_engine::Book;
use market_model::{BookNeeds, BookView, Packet, Side};

use crate::arms::apply;
use crate::peers::{self, Depth, StdTrees, apply_row};
use crate::tape::Tape;

/// Compares best bid and ask of every arm after every packet.
///
/// # Errors
///
/// Names the first packet after which a book differs.
pub fn books_agree(tape: &Tape) -> Result<()> {
    let want = our_bests(tape)?;
    let mut trees = StdTrees::default();
    for (index, packet) in tape.packets.iter().enumerate() {
        trees.apply(packet);
        same("std BTreeMap", index, want[index], trees.best())?;
    }
    let mut from_rows = (Book::new(BookNeeds::top(5)), Packet::default(), 0);
    for event in &tape.events {
        let (book, packet, index) = &mut from_rows;
        if event.append_to(packet) == Some(true) {
            apply(book, packet)?;
            packet.clear();
            same("book from rows", *index, want[*index], best(book))?;
            *index += 1;
        }
    }
    ensure!(from_rows.2 == want.len(), "rows hold {} packets, not {}", from_rows.2, want.len());
    depth_agrees("ROIVectorMarketDepth", &mut peers::roi_vector(tape), tape, &want)?;
    depth_agrees("HashMapMarketDepth", &mut peers::hash_map(tape), tape, &want)?;
    depth_agrees("BTreeMarketDepth", &mut peers::b_tree(tape), tape, &want)
}

fn our_bests(tape: &Tape) -> Result<Vec<(i64, i64)>> {
    let mut book = Book::new(BookNeeds::top(5));
    let step = |packet| {
        apply(&mut book, packet)?;
        Ok(best(&book))
    };
    tape.packets.iter().map(step).collect()
}

fn best(book: &Book) -> (i64, i64) {
    let ticks = |side| book.best(side).map_or(0, |level| level.price_ticks);
    (ticks(Side::Bid), ticks(Side::Ask))
}

fn depth_agrees<D: Depth>(
    name: &str,
    depth: &mut D,
    tape: &Tape,
    want: &[(i64, i64)],
) -> Result<()> {
    let mut start = 0;
    for (index, &end) in tape.row_ends.iter().enumerate() {
        tape.rows[start..end].iter().for_each(|row| apply_row(depth, row));
        start = end;
        let (bid, ask) = (depth.best_bid_tick(), depth.best_ask_tick());
        let found = (if bid == i64::MIN { 0 } else { bid }, if ask == i64::MAX { 0 } else { ask });
        same(name, index, want[index], found)?;
    }
    Ok(())
}

fn same(name: &str, packet: usize, want: (i64, i64), found: (i64, i64)) -> Result<()> {
    ensure!(want == found, "{name} after packet {packet}: ours {want:?}, there {found:?}");
    Ok(())
}
