//! Rows of single orders, as order events.

use market_model::{BookOp, OrderEvent, OrderOp, Packet, Side};

use super::ev::{BUY, KIND_MASK, ORDER_ADD, ORDER_CANCEL, ORDER_FILL, ORDER_MODIFY, SELL};
use super::rows::{Grids, RowFault, side_fault};
use crate::format::npy::Row;
use crate::source::SourceStats;

/// Order events of one packet; as many as a book may hold.
const MAX_EVENTS: usize = 1_000_000;

/// What rows of orders need of the rows before them.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// The rows are of orders, from the first one on.
    are_fed: bool,
    /// Fills of the packet whose orders no row has changed yet: id and lots.
    fills: Vec<(u64, i64)>,
}

impl Orders {
    pub(super) const fn are_fed(&self) -> bool {
        self.are_fed
    }

    /// Takes a row of kind 10 to 13.
    ///
    /// hftbacktest's books leave an order alone when it is filled and wait for the row that changes or
    /// cancels it: that row tells here how much of the change was the fill.
    pub(super) fn take(
        &mut self,
        row: &Row,
        grids: &Grids,
        packet: &mut Packet,
    ) -> Result<(), RowFault> {
        self.are_fed = true;
        if packet.orders.len() + self.fills.len() >= MAX_EVENTS {
            let expected = "at most 1000000 rows of orders in a packet";
            return Err(RowFault { field: "ev", expected, found: "more".into() });
        }
        let kind = row.ev & KIND_MASK;
        let states_order = matches!(kind, ORDER_ADD | ORDER_MODIFY);
        let side = match row.ev & (BUY | SELL) {
            BUY => Side::Bid,
            SELL => Side::Ask,
            _ if states_order => return Err(side_fault(row)),
            _ => Side::Bid,
        };
        let qty_lots = grids.qty_lots(row)?;
        let price_ticks = if states_order { grids.price_ticks(row)? } else { 0 };
        let event = |op, qty_lots| {
            let order_id = row.order_id;
            OrderEvent { order_id, price_ticks, qty_lots, side, op }
        };
        match kind {
            ORDER_ADD => packet.orders.push(event(OrderOp::Add, qty_lots)),
            ORDER_FILL => self.fills.push((row.order_id, qty_lots)),
            ORDER_MODIFY => {
                let fills = self.fills_of(row.order_id);
                packet.orders.extend(fills.map(|lots| event(OrderOp::Fill, lots)));
                packet.orders.push(event(OrderOp::Modify, qty_lots));
            }
            ORDER_CANCEL => {
                let before = packet.orders.len();
                let fills = self.fills_of(row.order_id);
                packet.orders.extend(fills.map(|lots| event(OrderOp::Fill, lots)));
                let filled_lots: i64 = packet.orders[before..].iter().map(|e| e.qty_lots).sum();
                // The row removes the order whatever its quantity is.
                match packet.orders[before..].last_mut() {
                    Some(last) if filled_lots >= qty_lots => last.qty_lots = 0,
                    _ => packet.orders.push(event(OrderOp::Cancel, 0)),
                }
            }
            other => unreachable!("Invariant: the caller looked at the kind {other}"),
        }
        Ok(())
    }

    /// Takes the fills of an order out, in their order.
    fn fills_of(&mut self, id: u64) -> impl Iterator<Item = i64> + '_ {
        self.fills.extract_if(.., move |(filled, _)| *filled == id).map(|(_, lots)| lots)
    }

    /// The packet ends: fills without a change of their orders change nothing.
    pub(super) fn end(&mut self, stats: &mut SourceStats) {
        for _ in self.fills.drain(..) {
            stats.ignore(b"kind 13 without 11 or 12");
        }
    }

    /// hftbacktest's books of orders clear whole sides, whatever the bound.
    pub(super) fn clear(row: &Row, packet: &mut Packet) -> Result<(), RowFault> {
        let (bids, asks) = match row.ev & (BUY | SELL) {
            BUY => (true, false),
            SELL => (false, true),
            0 => (true, true),
            _ => return Err(side_fault(row)),
        };
        // A clear stands before the orders of its packet, so that what it removed must go with it.
        packet.orders.retain(|event| {
            let is_cleared = if event.side == Side::Bid { bids } else { asks };
            if event.states_order() { !is_cleared } else { !(bids && asks) }
        });
        for (cleared, op) in [(bids, BookOp::ClearBid), (asks, BookOp::ClearAsk)] {
            if cleared {
                packet.push_clear_side(op);
            }
        }
        Ok(())
    }

    /// Whether a packet of orders clears both sides: what is left in it is the book.
    pub(super) fn are_whole(packet: &Packet) -> bool {
        let clears = |op| packet.runs().any(|(run, levels)| run == op && levels.is_empty());
        !packet.orders.is_empty() && clears(BookOp::ClearBid) && clears(BookOp::ClearAsk)
    }
}

#[cfg(test)]
mod tests {
    use market_model::{Instrument, PacketKind};

    use super::super::ev::{CLEAR, LOCAL};
    use super::super::rows::RowDecoder;
    use super::*;

    fn row(kind: u64, side: u64, order_id: u64, px: f64, qty: f64) -> Row {
        Row { ev: LOCAL | side | kind, order_id, px, qty, ..Row::default() }
    }

    /// What happened, to which order, lots.
    type Events = Vec<(OrderOp, u64, i64)>;

    /// Packets of rows, each with its kind and its events.
    fn read(packets: &[&[Row]]) -> Vec<(PacketKind, Events)> {
        let mut decoder = RowDecoder::new(&Instrument::new(0, "X", "1", "1").unwrap());
        let mut read_one = |(at, rows): (usize, &&[Row])| {
            let local_ts_ns = 1_700_000_000_000_000_000 + at as i64;
            let rows: Vec<Row> = rows.iter().map(|row| Row { local_ts_ns, ..*row }).collect();
            let mut packet = Packet::default();
            assert_eq!(decoder.take(&rows, &mut packet), (rows.len(), None));
            assert!(decoder.finish(&mut packet), "packet {at}");
            let events = packet.orders.iter().map(|e| (e.op, e.order_id, e.qty_lots)).collect();
            (packet.kind, events)
        };
        packets.iter().enumerate().map(&mut read_one).collect()
    }

    #[test]
    fn a_change_tells_how_much_of_it_was_a_fill() {
        let (add, fill) = (ORDER_ADD, ORDER_FILL);
        let (modify, cancel) = (ORDER_MODIFY, ORDER_CANCEL);
        let found = read(&[
            &[row(add, BUY, 1, 9.0, 5.0), row(add, SELL, 2, 11.0, 4.0)],
            &[row(fill, BUY, 1, 9.0, 2.0), row(modify, BUY, 1, 9.0, 3.0)],
            &[
                row(fill, BUY, 1, 9.0, 1.0),
                row(fill, BUY, 1, 9.0, 1.0),
                row(cancel, BUY, 1, 9.0, 3.0),
            ],
            &[row(fill, SELL, 2, 11.0, 4.0), row(cancel, SELL, 2, 11.0, 4.0)],
            &[row(cancel, 0, 3, 11.0, 4.0), row(fill, SELL, 4, 11.0, 4.0)],
        ]);
        let (op, all) = (OrderOp::Fill, 0);
        assert_eq!(found[0].1, [(OrderOp::Add, 1, 5), (OrderOp::Add, 2, 4)]);
        assert_eq!(found[1].1, [(op, 1, 2), (OrderOp::Modify, 1, 3)]);
        assert_eq!(found[2].1, [(op, 1, 1), (op, 1, 1), (OrderOp::Cancel, 1, all)]);
        assert_eq!(found[3].1, [(op, 2, all)]);
        assert_eq!(found[4].1, [(OrderOp::Cancel, 3, all)], "a fill alone changes nothing");
    }

    #[test]
    fn what_stands_after_a_clear_of_both_sides_is_the_book() {
        let (buy, sell) = (row(ORDER_ADD, BUY, 1, 9.0, 5.0), row(ORDER_ADD, SELL, 2, 11.0, 4.0));
        let clear = |side| row(CLEAR, side, 0, f64::NAN, 0.0);
        let found = read(&[
            &[buy, clear(0), sell],
            &[clear(BUY), row(ORDER_ADD, BUY, 3, 8.0, 1.0), clear(SELL), sell],
            &[row(ORDER_ADD, BUY, 4, 8.0, 1.0), sell, clear(BUY)],
        ]);
        let (add, snapshot) = (OrderOp::Add, PacketKind::Snapshot);
        assert_eq!(found[0], (snapshot, vec![(add, 2, 4)]));
        assert_eq!(found[1], (snapshot, vec![(add, 3, 1), (add, 2, 4)]));
        assert_eq!(found[2], (PacketKind::Delta, vec![(add, 2, 4)]));
    }
}
