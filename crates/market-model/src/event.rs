//! One market event as a fixed 64-byte record: the import format for sources that think in rows.
//!
//! Inside, packets are columns ([`crate::Packet`]): a pass over 64-byte rows costs more than the
//! whole book update over 16-byte level changes.

use bitflags::bitflags;
use bytemuck::{Pod, Zeroable};

use crate::book_view::{Level, Side};
use crate::order::{OrderEvent, OrderOp};
use crate::packet::{Aggressor, BookOp, Packet, PacketKind, Trade};

/// Kinds of [`MarketEvent`], as stored in its `kind` byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// Set the quantity of a level.
    LevelSet = 1,
    /// Delete a level.
    LevelDelete = 2,
    /// Clear one side.
    ClearSide = 3,
    /// Clear both sides.
    ClearBoth = 4,
    /// A level of a snapshot.
    SnapshotLevel = 5,
    /// A trade.
    Trade = 6,
    /// L3: add an order.
    OrderAdd = 7,
    /// L3: modify an order.
    OrderModify = 8,
    /// L3: cancel an order.
    OrderCancel = 9,
    /// L3: fill an order.
    OrderFill = 10,
    /// Session reset.
    Reset = 11,
    /// Time passed, nothing happened.
    Heartbeat = 12,
    /// Tick size, lot size or scale changed.
    InstrumentChange = 13,
}

bitflags! {
    /// Flags of [`MarketEvent`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct EventFlags: u16 {
        /// Last event of its packet.
        const LAST_OF_PACKET = 1 << 0;
        /// Part of a snapshot.
        const SNAPSHOT = 1 << 1;
        /// The aggressor side of a trade is known.
        const AGGRESSOR_KNOWN = 1 << 2;
        /// Bid side (book events) or buy aggressor (trades); ask or sell when absent.
        const BID = 1 << 3;
    }
}

/// One market event; plain old data of 64 bytes without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(C)]
pub struct MarketEvent {
    /// Exchange time, UTC ns; 0 when missing.
    pub ts_event_ns: i64,
    /// Local arrival time, UTC ns; 0 when unknown.
    pub ts_recv_ns: i64,
    /// Update id; 0 when the feed has none.
    pub seq: u64,
    /// Price in ticks.
    pub price_ticks: i64,
    /// Quantity in lots.
    pub qty_lots: i64,
    /// Order id on L3 feeds, else 0.
    pub order_id: u64,
    /// Dense symbol id.
    pub symbol_id: u32,
    /// An [`EventKind`] as a byte.
    pub kind: u8,
    /// Always 0.
    pub reserved: u8,
    /// [`EventFlags`] bits.
    pub flags: u16,
    /// Always 0.
    pub reserved_tail: u64,
}

const _: () = assert!(size_of::<MarketEvent>() == 64 && align_of::<MarketEvent>() == 8);

impl MarketEvent {
    /// Appends events to a packet up to the last one of the packet; how many were taken, and whether
    /// the packet is complete. `None` as for [`MarketEvent::append_to`].
    ///
    /// Level changes that differ in nothing but price and quantity are taken together.
    #[must_use]
    pub fn append_packet(events: &[Self], packet: &mut Packet) -> Option<(usize, bool)> {
        let mut taken = 0;
        while let Some(event) = events.get(taken) {
            taken += 1;
            if event.append_to(packet)? {
                return Some((taken, true));
            }
            if event.kind == EventKind::LevelSet as u8 {
                let bid = event.flags & EventFlags::BID.bits() != 0;
                let op = if bid { BookOp::SetBid } else { BookOp::SetAsk };
                let alike = events[taken..].iter().take_while(|next| next.continues(event));
                let level = |e: &Self| Level { price_ticks: e.price_ticks, qty_lots: e.qty_lots };
                taken += packet.extend_levels(op, alike.map(level));
            }
        }
        Some((taken, false))
    }

    #[inline]
    fn continues(&self, event: &Self) -> bool {
        (self.kind, self.flags, self.symbol_id) == (event.kind, event.flags, event.symbol_id)
            && (self.ts_event_ns, self.ts_recv_ns, self.seq)
                == (event.ts_event_ns, event.ts_recv_ns, event.seq)
    }

    /// Appends the event to a packet; `true` when it was the last event of the packet.
    ///
    /// Header fields (times, sequence, symbol) are taken from the event. `None` for a kind that is not
    /// known or changes the instrument.
    #[must_use]
    pub fn append_to(&self, packet: &mut Packet) -> Option<bool> {
        let flags = EventFlags::from_bits_truncate(self.flags);
        let bid = flags.contains(EventFlags::BID);
        let set = if bid { BookOp::SetBid } else { BookOp::SetAsk };
        let level = |qty_lots| Level { price_ticks: self.price_ticks, qty_lots };
        match self.kind {
            k if k == EventKind::LevelSet as u8 => packet.push_level(set, level(self.qty_lots)),
            k if k == EventKind::LevelDelete as u8 => packet.push_level(set, level(0)),
            k if k == EventKind::SnapshotLevel as u8 => {
                packet.kind = PacketKind::Snapshot;
                packet.push_level(set, level(self.qty_lots));
            }
            k if k == EventKind::ClearSide as u8 => {
                packet.push_clear_side(if bid { BookOp::ClearBid } else { BookOp::ClearAsk });
            }
            k if k == EventKind::ClearBoth as u8 => {
                packet.push_clear_side(BookOp::ClearBid);
                packet.push_clear_side(BookOp::ClearAsk);
            }
            k if k == EventKind::Trade as u8 => {
                let aggressor = match (flags.contains(EventFlags::AGGRESSOR_KNOWN), bid) {
                    (false, _) => Aggressor::Unknown,
                    (true, true) => Aggressor::Buy,
                    (true, false) => Aggressor::Sell,
                };
                packet.trades.push(Trade {
                    price_ticks: self.price_ticks,
                    qty_lots: self.qty_lots,
                    aggressor,
                });
            }
            k if (EventKind::OrderAdd as u8..=EventKind::OrderFill as u8).contains(&k) => {
                packet.orders.push(self.order(k, bid));
            }
            k if k == EventKind::Reset as u8 => packet.kind = PacketKind::Reset,
            k if k == EventKind::Heartbeat as u8 => packet.kind = PacketKind::Heartbeat,
            _ => return None,
        }
        packet.symbol_id = self.symbol_id;
        packet.ts_event_ns = self.ts_event_ns;
        packet.ts_recv_ns = self.ts_recv_ns;
        packet.seq = self.seq;
        Some(flags.contains(EventFlags::LAST_OF_PACKET))
    }

    fn order(&self, kind: u8, bid: bool) -> OrderEvent {
        let op = match kind {
            k if k == EventKind::OrderAdd as u8 => OrderOp::Add,
            k if k == EventKind::OrderModify as u8 => OrderOp::Modify,
            k if k == EventKind::OrderCancel as u8 => OrderOp::Cancel,
            _ => OrderOp::Fill,
        };
        let side = if bid { Side::Bid } else { Side::Ask };
        let Self { order_id, price_ticks, qty_lots, .. } = *self;
        OrderEvent { order_id, price_ticks, qty_lots, side, op }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_events_becomes_one_packet() {
        let flag = |f: EventFlags| f.bits();
        let base = MarketEvent {
            ts_event_ns: 5,
            ts_recv_ns: 6,
            seq: 7,
            symbol_id: 1,
            ..MarketEvent::default()
        };
        let events = [
            MarketEvent {
                kind: 1,
                price_ticks: 10,
                qty_lots: 3,
                flags: flag(EventFlags::BID),
                ..base
            },
            MarketEvent { kind: 2, price_ticks: 12, qty_lots: 9, ..base },
            MarketEvent {
                kind: 6,
                price_ticks: 11,
                qty_lots: 2,
                flags: flag(EventFlags::AGGRESSOR_KNOWN | EventFlags::LAST_OF_PACKET),
                ..base
            },
        ];
        let mut packet = Packet::default();
        let ends: Vec<_> = events.iter().map(|e| e.append_to(&mut packet)).collect();
        assert_eq!(ends, [Some(false), Some(false), Some(true)]);
        assert_eq!(packet.levels, [Level::new(10, 3), Level::new(12, 0)]);
        assert_eq!(packet.trades[0].aggressor, Aggressor::Sell);
        assert_eq!((packet.ts_event_ns, packet.seq, packet.symbol_id), (5, 7, 1));
        let changed = MarketEvent { kind: EventKind::InstrumentChange as u8, ..base };
        assert_eq!(changed.append_to(&mut packet), None);
    }

    #[test]
    fn order_kinds_become_order_events() {
        let kinds = [
            (EventKind::OrderAdd, OrderOp::Add),
            (EventKind::OrderModify, OrderOp::Modify),
            (EventKind::OrderCancel, OrderOp::Cancel),
            (EventKind::OrderFill, OrderOp::Fill),
        ];
        for ((kind, op), side) in
            kinds.into_iter().zip([Side::Bid, Side::Ask, Side::Bid, Side::Ask])
        {
            let flags = if side == Side::Bid { EventFlags::BID } else { EventFlags::empty() };
            let event = MarketEvent {
                kind: kind as u8,
                flags: (flags | EventFlags::LAST_OF_PACKET).bits(),
                order_id: 77,
                price_ticks: 10,
                qty_lots: 3,
                ..MarketEvent::default()
            };
            let mut packet = Packet::default();
            assert_eq!(event.append_to(&mut packet), Some(true));
            let want = OrderEvent { order_id: 77, price_ticks: 10, qty_lots: 3, side, op };
            assert_eq!((&packet.orders[..], packet.event_count()), (&[want][..], 1));
            assert!(packet.touches_book());
            packet.clear();
            assert!(packet.orders.is_empty() && !packet.touches_book());
        }
    }

    #[test]
    fn a_packet_at_once_equals_its_events_one_by_one() {
        let event = |kind: EventKind, flags: EventFlags, price_ticks| MarketEvent {
            kind: kind as u8,
            flags: flags.bits(),
            price_ticks,
            qty_lots: price_ticks % 7,
            seq: 9,
            ..MarketEvent::default()
        };
        let (bid, ask) = (EventFlags::BID, EventFlags::empty());
        let mut events: Vec<_> = (1..5).map(|p| event(EventKind::LevelSet, bid, p)).collect();
        events.extend((5..9).map(|p| event(EventKind::LevelSet, ask, p)));
        events.push(event(EventKind::LevelDelete, ask, 9));
        events.push(event(EventKind::LevelSet, ask, 10));
        events.push(event(EventKind::LevelSet, EventFlags::LAST_OF_PACKET, 11));
        events.push(event(EventKind::LevelSet, bid, 12));
        let (mut one_by_one, mut at_once) = (Packet::default(), Packet::default());
        let ends = events.iter().position(|e| e.append_to(&mut one_by_one) == Some(true));
        assert_eq!(ends, Some(10));
        let taken = MarketEvent::append_packet(&events, &mut at_once);
        assert_eq!((taken, at_once), (Some((11, true)), one_by_one));
        let rest = MarketEvent::append_packet(&events[11..], &mut Packet::default());
        assert_eq!(rest, Some((1, false)));
        let changed = event(EventKind::InstrumentChange, bid, 1);
        assert_eq!(MarketEvent::append_packet(&[changed], &mut Packet::default()), None);
    }
}
