//! The paged book against a sorted map: same levels, same best, same sums, whatever the prices.

use std::collections::BTreeMap;

use lob_engine::{Book, BookShape, Error, MAX_LEVELS};
use market_model::{BookNeeds, BookOp, BookView, Level, MAX_SCALED, Packet, Side};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Default, Clone)]
struct Sorted {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Sorted {
    fn apply(&mut self, packet: &Packet) {
        for (op, levels) in packet.runs() {
            let (side, is_bid, clears) = match op {
                BookOp::SetBid => (&mut self.bids, true, false),
                BookOp::SetAsk => (&mut self.asks, false, false),
                BookOp::ClearBid => (&mut self.bids, true, true),
                BookOp::ClearAsk => (&mut self.asks, false, true),
            };
            if clears {
                match levels.first() {
                    None => side.clear(),
                    Some(bound) if is_bid => side.retain(|p, _| *p < bound.price_ticks),
                    Some(bound) => side.retain(|p, _| *p > bound.price_ticks),
                }
                continue;
            }
            for level in levels {
                if level.qty_lots == 0 {
                    side.remove(&level.price_ticks);
                } else {
                    side.insert(level.price_ticks, level.qty_lots);
                }
            }
        }
    }

    fn levels(&self, side: Side) -> Vec<Level> {
        let level = |(price, qty): (&i64, &i64)| Level::new(*price, *qty);
        match side {
            Side::Bid => self.bids.iter().rev().map(level).collect(),
            Side::Ask => self.asks.iter().map(level).collect(),
        }
    }
}

/// Prices near one place, on the borders of pages, and anywhere a hostile feed might put them.
fn price() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 618_000..618_040_i64,
        2 => 617_000..620_000_i64,
        1 => (1_200..1_212_i64).prop_map(|page| page * 512),
        1 => (1_200..1_212_i64).prop_map(|page| page * 512 - 1),
        1 => 1..MAX_SCALED,
        1 => Just(1_i64),
        1 => Just(MAX_SCALED),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let op = prop_oneof![
        6 => Just(BookOp::SetBid),
        6 => Just(BookOp::SetAsk),
        1 => Just(BookOp::ClearBid),
        1 => Just(BookOp::ClearAsk),
    ];
    let qty = prop_oneof![3 => Just(0_i64), 5 => 1..100_i64, 1 => Just(MAX_SCALED)];
    vec((op, price(), qty, any::<bool>()), 1..12).prop_map(|changes| {
        let mut packet = Packet::default();
        for (op, price, qty, whole) in changes {
            let clears = matches!(op, BookOp::ClearBid | BookOp::ClearAsk);
            if clears && whole {
                packet.push_clear_side(op);
            } else {
                packet.push_level(op, Level::new(price, if clears { 0 } else { qty }));
            }
        }
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_paged_book_equals_a_sorted_map(packets in vec(packet(), 1..60), top in 1_usize..8, band_sums in any::<bool>(), low in price(), high in price()) {
        let (mut book, mut sorted) = (Book::new(BookNeeds { band_sums, ..BookNeeds::top(top) }), Sorted::default());
        for packet in &packets {
            book.apply(packet).unwrap();
            sorted.apply(packet);
            for side in [Side::Bid, Side::Ask] {
                let want = sorted.levels(side);
                prop_assert_eq!(book.top(side), &want[..want.len().min(top)]);
                prop_assert_eq!(book.levels(side), want.clone());
                let sum: i128 = want
                    .iter()
                    .filter(|l| (low..=high).contains(&l.price_ticks))
                    .map(|l| i128::from(l.qty_lots))
                    .sum();
                prop_assert_eq!(book.qty_between_lots(side, low, high), sum);
                let mut visited = Vec::new();
                book.for_each_level(side, low, high, |level| visited.push(level));
                let inside: Vec<Level> =
                    want.into_iter().filter(|l| (low..=high).contains(&l.price_ticks)).collect();
                prop_assert_eq!(visited, inside);
            }
        }
    }

    /// What was recorded leads from the last book with two sides that do not cross to this one.
    #[test]
    fn recorded_changes_lead_from_one_two_sided_book_to_the_next(packets in vec((packet(), proptest::bool::weighted(0.2)), 1..60)) {
        let mut book = Book::new(BookNeeds { changes: true, ..BookNeeds::top(3) });
        let (mut sorted, mut anchor) = (Sorted::default(), Sorted::default());
        let mut was_two_sided = true;
        for (packet, replaces) in &packets {
            if was_two_sided {
                anchor = sorted.clone();
            }
            if *replaces {
                sorted = Sorted::default();
                book.replace(packet).unwrap();
            } else {
                book.apply(packet).unwrap();
            }
            sorted.apply(packet);
            was_two_sided = matches!(book.shape(), BookShape::TwoSided | BookShape::Locked);
            for (side, before, now) in
                [(Side::Bid, &anchor.bids, &sorted.bids), (Side::Ask, &anchor.asks, &sorted.asks)]
            {
                let mut walked = before.clone();
                for change in book.changes(side) {
                    let stood = walked.insert(change.price_ticks, change.after_lots);
                    prop_assert_eq!(stood.unwrap_or(0), change.before_lots, "{:?}", change);
                }
                walked.retain(|_, lots| *lots != 0);
                prop_assert_eq!(&walked, now);
            }
        }
    }
}

#[test]
fn a_level_far_away_is_reached_without_walking() {
    let mut book = Book::new(BookNeeds::top(2));
    let mut packet = Packet::default();
    for price in [1_000_000_000, 500, 7, 600_000_000_000] {
        packet.push_level(BookOp::SetAsk, Level::new(price, 1));
    }
    book.apply(&packet).unwrap();
    packet.clear();
    for (deleted, next) in [(7, 500), (500, 1_000_000_000), (1_000_000_000, 600_000_000_000)] {
        packet.clear();
        packet.push_level(BookOp::SetAsk, Level::new(deleted, 0));
        book.apply(&packet).unwrap();
        assert_eq!(book.best(Side::Ask), Some(Level::new(next, 1)));
    }
}

#[test]
fn a_market_that_moves_out_of_the_directory_comes_back_into_pages() {
    let mut book = Book::new(BookNeeds::top(1));
    let mut packet = Packet::default();
    packet.push_level(BookOp::SetBid, Level::new(5, 1));
    book.apply(&packet).unwrap();
    // The first price was a hostile one; the market is far away and must not stay in the tree.
    for step in 0..3_000_i64 {
        packet.clear();
        let price = 4_000_000_000_000 + step;
        packet.push_level(BookOp::SetBid, Level::new(price, 2));
        packet.push_level(BookOp::SetBid, Level::new(price - 10, 0));
        book.apply(&packet).unwrap();
        assert_eq!(book.best(Side::Bid), Some(Level::new(price, 2)));
    }
    assert_eq!(book.levels(Side::Bid).len(), 11);
}

#[test]
fn too_many_levels_are_refused_as_a_whole() {
    let mut book = Book::new(BookNeeds::top(1));
    let mut packet = Packet::default();
    for price in 1..=MAX_LEVELS as i64 {
        packet.push_level(BookOp::SetBid, Level::new(price * 1_000, 1));
    }
    book.apply(&packet).unwrap();
    packet.clear();
    packet.push_level(BookOp::SetBid, Level::new(1_000, 7)); // an old level may change
    packet.push_level(BookOp::SetBid, Level::new(1_001, 1)); // a new one is too many
    let refused = book.apply(&packet).unwrap_err();
    assert!(matches!(refused, Error::TooManyLevels { levels, .. } if levels == MAX_LEVELS + 1));
    assert!(refused.to_string().contains("Bid side would hold 50001 levels"), "{refused}");
    assert_eq!(book.levels(Side::Bid).last(), Some(&Level::new(1_000, 1)));
}

#[test]
fn prices_and_quantities_out_of_range_are_refused_as_a_whole() {
    for (price, qty) in [(0, 1), (-5, 1), (MAX_SCALED + 1, 1), (10, -1), (10, MAX_SCALED + 1)] {
        let mut book = Book::new(BookNeeds::top(1));
        let mut packet = Packet::default();
        packet.push_level(BookOp::SetBid, Level::new(9, 1));
        packet.push_level(BookOp::SetBid, Level::new(price, qty));
        let refused = book.apply(&packet).unwrap_err();
        assert!(matches!(refused, Error::LevelOutOfRange { .. }), "{price} {qty}: {refused}");
        assert!(book.levels(Side::Bid).is_empty(), "no partial application");
    }
}

#[test]
fn unknown_deletes_are_counted() {
    let mut book = Book::new(BookNeeds::top(1));
    let mut packet = Packet::default();
    packet.push_level(BookOp::SetBid, Level::new(100, 0));
    packet.push_level(BookOp::SetAsk, Level::new(9_000_000_000_000, 0));
    packet.push_level(BookOp::SetBid, Level::new(100, 1));
    packet.push_level(BookOp::SetBid, Level::new(100, 0));
    book.apply(&packet).unwrap();
    assert_eq!(book.unknown_deletes(), 2);
}
