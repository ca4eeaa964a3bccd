//! Order events of the schema `mbo`.

use market_model::{OrderEvent, OrderOp, Packet, PacketKind, Side};

use super::{Event, PRICE_DECIMALS, push_trade};
use crate::error::FieldFault;
use crate::format::grid::Grid;
use crate::source::SourceStats;

/// Part of a snapshot of the venue or of the vendor.
const F_SNAPSHOT: u8 = 1 << 5;

/// Turns records of orders into order events.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Orders that were filled at `filled_at`, and how much of each fill no cancel has told again.
    fills: Vec<(u64, i64)>,
    /// `ts_event` of the fills.
    filled_at: u64,
}

impl Orders {
    pub(super) fn add(
        &mut self,
        event: &Event<'_>,
        order_id: u64,
        grid: &Grid,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        if event.flags & F_SNAPSHOT != 0 {
            packet.kind = PacketKind::Snapshot;
        }
        if event.ts_event != self.filled_at {
            self.fills.clear();
            self.filled_at = event.ts_event;
        }
        stats.depth_updates += u64::from(event.action != b'T');
        let (qty_lots, _) = grid.qty_of("size", event.size.into(), 0)?;
        let op = match event.action {
            b'T' => return push_trade(event, grid, packet, stats),
            b'R' => {
                // What follows in the packet is the book, as after the clear that a snapshot begins with.
                packet.kind = PacketKind::Snapshot;
                packet.orders.clear();
                return Ok(());
            }
            b'A' => OrderOp::Add,
            b'M' => OrderOp::Modify,
            b'C' => OrderOp::Cancel,
            b'F' => OrderOp::Fill,
            other => {
                stats.ignore(format!("action {}", other.escape_ascii()).as_bytes());
                return Ok(());
            }
        };
        let states_order = matches!(op, OrderOp::Add | OrderOp::Modify);
        let side = match event.side {
            b'B' => Side::Bid,
            b'A' => Side::Ask,
            _ if !states_order => Side::Bid,
            other => return Err(FieldFault::new("side", "A or B", &[other])),
        };
        let price_ticks = match states_order {
            true => grid.price_of("price", event.price, PRICE_DECIMALS)?,
            false => 0,
        };
        if op == OrderOp::Fill {
            self.fills.push((order_id, qty_lots));
        }
        let told_lots = if op == OrderOp::Cancel { self.told(order_id, qty_lots) } else { 0 };
        if told_lots == 0 || told_lots < qty_lots {
            let qty_lots = qty_lots - told_lots;
            packet.orders.push(OrderEvent { order_id, price_ticks, qty_lots, side, op });
        }
        Ok(())
    }

    /// How much of a cancel is what a fill has told: the feed says both, and the book takes the fill.
    fn told(&mut self, order_id: u64, qty_lots: i64) -> i64 {
        let mut told = 0;
        for (_, lots) in self.fills.iter_mut().filter(|(id, _)| *id == order_id) {
            let part = (*lots).min(qty_lots - told);
            *lots -= part;
            told += part;
        }
        told
    }
}
