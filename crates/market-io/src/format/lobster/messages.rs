//! Message files alone: the orders that they tell of.
//!
//! Orders from before the file, and those that entered below the visible window, have no submission in
//! it. What can be known of the others is known: see `specs/inputs/lobster.md`.

use std::ops::Range;

use market_model::{BookOp, Instrument, Level, OrderEvent, OrderOp, Packet, PacketKind, Side};

use super::name::FileName;
use super::row::{EventKind, MAX_PRICE_DECIMALS, Message};
use super::{event_time_ns, push_trade};
use crate::bytes::Lines;
use crate::error::{Error, FieldFault};
use crate::format::grid::Grid;
use crate::source::{Feed, SourceStats};

pub(super) struct MessageFeed {
    messages: Lines,
    instrument: Instrument,
    grid: Grid,
    stats: SourceStats,
    /// Number of the file of the last row, from 1, and its midnight in New York as UTC.
    day: usize,
    midnight_ns: i64,
    /// A row that waits behind the reset before it.
    held: Option<Range<usize>>,
    /// A row was refused: nothing is known of the book any more.
    is_lost: bool,
}

impl MessageFeed {
    pub(super) fn new(messages: Lines, instrument: Instrument, grid: Grid) -> Self {
        Self {
            messages,
            instrument,
            grid,
            stats: SourceStats::default(),
            day: 0,
            midnight_ns: 0,
            held: None,
            is_lost: false,
        }
    }

    /// The next row as a packet, or the reset that stands before it.
    fn row(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let range = match self.held.take() {
            Some(range) => range,
            None => {
                let Some(range) = self.messages.next_whole_line()? else { return Ok(false) };
                self.stats.records += 1;
                if self.messages.number() != self.day {
                    self.is_lost |= self.day > 0;
                    self.day = self.messages.number();
                    self.midnight_ns = FileName::parse(self.messages.path())?.midnight_ns();
                }
                if std::mem::take(&mut self.is_lost) {
                    packet.kind = PacketKind::Reset;
                    self.held = Some(range);
                    return Ok(true);
                }
                range
            }
        };
        let message = Message::parse(self.messages.text(range));
        let result = message.and_then(|message| self.fill(&message, packet));
        if let Err(fault) = result {
            self.stats.refuse(packet, fault.at(self.messages.location(), &self.instrument.symbol));
            self.is_lost = true;
        }
        Ok(true)
    }

    fn fill(&mut self, message: &Message, packet: &mut Packet) -> Result<(), FieldFault> {
        packet.ts_event_ns = event_time_ns(self.midnight_ns, message)?;
        if message.kind.is_of_the_book() {
            self.stats.depth_updates += 1;
            self.order(message, packet)?;
        }
        if message.kind.is_execution() {
            push_trade(&self.grid, &mut self.stats, message, packet)?;
        }
        if message.kind == EventKind::Halt {
            packet.kind = PacketKind::Heartbeat;
        }
        Ok(())
    }

    fn order(&mut self, message: &Message, packet: &mut Packet) -> Result<(), FieldFault> {
        let price_ticks = self.grid.price_of("price", message.price, MAX_PRICE_DECIMALS)?;
        let (qty_lots, was_rounded) = self.grid.qty_of("size", message.size, 0)?;
        self.stats.rounded += u64::from(was_rounded);
        let (side, clear_own, clear_other, better_ticks) = if message.is_buy {
            (Side::Bid, BookOp::ClearBid, BookOp::ClearAsk, price_ticks + 1)
        } else {
            (Side::Ask, BookOp::ClearAsk, BookOp::ClearBid, price_ticks - 1)
        };
        // An order that rests proves that nothing stands through it on the other side, one that is
        // executed that nothing stands before it: what still does left the window and died unseen.
        packet.push_level(clear_other, Level::new(price_ticks, 0));
        if message.kind == EventKind::Execution && better_ticks > 0 {
            packet.push_level(clear_own, Level::new(better_ticks, 0));
        }
        let (op, qty_lots) = match message.kind {
            EventKind::Submission => (OrderOp::Add, qty_lots),
            EventKind::Execution => (OrderOp::Fill, qty_lots),
            // A part may have been withdrawn out of view, so that the size is not all that we have.
            EventKind::Deletion => (OrderOp::Cancel, 0),
            _ => (OrderOp::Cancel, qty_lots),
        };
        let order_id = message.order_id;
        packet.orders.push(OrderEvent { order_id, price_ticks, qty_lots, side, op });
        Ok(())
    }
}

impl Feed for MessageFeed {
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    fn advance(&mut self, packet: &mut Packet) -> Result<bool, Error> {
        let more = self.row(packet)?;
        if more {
            packet.symbol_id = self.instrument.symbol_id;
            self.stats.count(packet);
        }
        Ok(more)
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn progress(&self) -> (u64, u64) {
        self.messages.progress()
    }
}
