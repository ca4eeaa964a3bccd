//! Headers and rows.

use market_model::{Aggressor, BookOp, Level, Packet, PacketKind, Trade};

use crate::error::FieldFault;
use crate::format::SideCounts;
use crate::format::calendar::{Unit, unix_ns};
use crate::format::grid::Grid;
use crate::format::survey::Survey;
use crate::source::SourceStats;

const INCREMENTAL: &[u8] =
    b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount";
const TRADES: &[u8] = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount";
const QUOTES: &[u8] =
    b"exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount";
/// Columns before those of a kind.
const COMMON: usize = 4;

/// A data type of Tardis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `incremental_book_L2`.
    Incremental,
    /// `book_snapshot_N`.
    Snapshots {
        /// Levels of one side.
        depth: usize,
    },
    /// `quotes`, `book_ticker`.
    Quotes,
    /// `trades`.
    Trades,
}

/// What a header says.
pub(super) fn kind_of(header: &[u8]) -> Option<Kind> {
    match header {
        INCREMENTAL => return Some(Kind::Incremental),
        TRADES => return Some(Kind::Trades),
        QUOTES => return Some(Kind::Quotes),
        _ => {}
    }
    let columns = header.split(|c| *c == b',').count().checked_sub(COMMON)?;
    let depth = columns / 4;
    let mut wanted = String::from("exchange,symbol,timestamp,local_timestamp");
    for at in 0..depth {
        for (side, value) in
            [("asks", "price"), ("asks", "amount"), ("bids", "price"), ("bids", "amount")]
        {
            wanted.push_str(&format!(",{side}[{at}].{value}"));
        }
    }
    (depth > 0 && wanted.as_bytes() == header).then_some(Kind::Snapshots { depth })
}

impl Kind {
    /// Whether every row is a whole book.
    pub(super) const fn has_full_books(self) -> bool {
        matches!(self, Self::Snapshots { .. } | Self::Quotes)
    }

    /// Shows the prices and amounts of a row to a survey.
    pub(super) fn learn(self, line: &[u8], survey: &mut Survey<'_>) {
        let fields = line.split(|c| *c == b',').skip(COMMON);
        for (at, field) in fields.enumerate() {
            let is_price = match self {
                Self::Incremental | Self::Trades => match at {
                    2 => true,
                    3 => false,
                    _ => continue,
                },
                Self::Quotes => at == 1 || at == 2,
                Self::Snapshots { .. } => at % 2 == 0,
            };
            if is_price { survey.price(field) } else { survey.qty(field) }
        }
    }
}

/// Exchange and symbol of a row.
pub(super) fn names(line: &[u8]) -> Option<(&str, &str)> {
    let mut fields = line.split(|c| *c == b',').map(str::from_utf8);
    let (exchange, symbol) = (fields.next()?.ok()?, fields.next()?.ok()?);
    (!symbol.is_empty()).then_some((exchange, symbol))
}

/// Times of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    event_ns: i64,
    pub(super) local_ns: i64,
}

impl Times {
    pub(super) fn read(line: &[u8]) -> Result<Self, FieldFault> {
        let mut fields = line.split(|c| *c == b',').skip(2);
        let mut time = |name| {
            let text = fields.next().ok_or_else(|| FieldFault::new(name, "a time in us", line))?;
            unix_ns(name, text, Unit::Microseconds)
        };
        Ok(Self { event_ns: time("timestamp")?, local_ns: time("local_timestamp")? })
    }
}

/// Turns rows into packet content.
pub(super) struct Rows {
    grid: Grid,
    /// A snapshot has been seen; changes before the first one are of no use.
    has_begun: bool,
    /// The last row of the book belonged to a snapshot, which a next such row goes on with.
    is_in_snapshot: bool,
}

impl Rows {
    pub(super) const fn new(grid: Grid) -> Self {
        Self { grid, has_begun: false, is_in_snapshot: false }
    }

    /// Adds one row to a packet.
    pub(super) fn take(
        &mut self,
        kind: Kind,
        line: &[u8],
        counts: &mut SideCounts,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let times = Times::read(line)?;
        packet.ts_event_ns = packet.ts_event_ns.max(times.event_ns);
        packet.ts_recv_ns = times.local_ns;
        match kind {
            Kind::Incremental => self.change(columns(line)?, counts, packet, stats),
            Kind::Trades => self.trade(columns(line)?, packet, stats),
            Kind::Quotes => {
                packet.kind = PacketKind::Snapshot;
                let [ask_qty, ask, bid, bid_qty] = columns(line)?;
                self.level("bid_price", BookOp::SetBid, bid, bid_qty, packet, stats)?;
                self.level("ask_price", BookOp::SetAsk, ask, ask_qty, packet, stats)
            }
            Kind::Snapshots { depth } => self.snapshot(depth, line, packet, stats),
        }
    }

    fn snapshot(
        &self,
        depth: usize,
        line: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        packet.kind = PacketKind::Snapshot;
        if line.split(|c| *c == b',').count() != COMMON + 4 * depth {
            return Err(FieldFault::new("line", "the columns of its header", line));
        }
        for (op, field, first) in [(BookOp::SetBid, "bids", 2), (BookOp::SetAsk, "asks", 0)] {
            let mut fields = line.split(|c| *c == b',').skip(COMMON + first);
            while let (Some(price), Some(qty)) = (fields.next(), fields.next()) {
                self.level(field, op, price, qty, packet, stats)?;
                // The columns of the other side.
                fields.nth(1);
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        [is_snapshot, side, price, qty]: [&[u8]; 4],
        counts: &mut SideCounts,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let is_snapshot = match is_snapshot {
            b"true" => true,
            b"false" => false,
            _ => return Err(FieldFault::new("is_snapshot", "true or false", is_snapshot)),
        };
        let op = match side {
            b"bid" => BookOp::SetBid,
            b"ask" => BookOp::SetAsk,
            _ => return Err(FieldFault::new("side", "bid or ask", side)),
        };
        if is_snapshot && !self.is_in_snapshot {
            // What stood before it in the message is replaced, too.
            packet.levels.clear();
            packet.run_ends.clear();
            packet.kind = PacketKind::Snapshot;
            self.has_begun = true;
        }
        self.is_in_snapshot = is_snapshot;
        if !self.has_begun {
            stats.dropped_updates += 1;
            return Ok(());
        }
        if !counts.admit(op) {
            let expected = "at most 10000 levels of one side in a packet";
            return Err(FieldFault { field: "side", expected, found: "more".into() });
        }
        self.level("price", op, price, qty, packet, stats)
    }

    /// Adds a level; one without a price does not exist.
    fn level(
        &self,
        field: &'static str,
        op: BookOp,
        price: &[u8],
        qty: &[u8],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        if price.is_empty() && qty.is_empty() && field != "price" {
            return Ok(());
        }
        let price_ticks = self.grid.price(field, price)?;
        let (qty_lots, was_rounded) = self.grid.qty("amount", qty)?;
        stats.rounded += u64::from(was_rounded);
        packet.push_level(op, Level { price_ticks, qty_lots });
        Ok(())
    }

    fn trade(
        &self,
        [_, side, price, qty]: [&[u8]; 4],
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), FieldFault> {
        let aggressor = match side {
            b"buy" => Aggressor::Buy,
            b"sell" => Aggressor::Sell,
            b"unknown" | b"" => Aggressor::Unknown,
            _ => return Err(FieldFault::new("side", "buy, sell or unknown", side)),
        };
        let price_ticks = self.grid.price("price", price)?;
        let (qty_lots, was_rounded) = self.grid.qty("amount", qty)?;
        stats.rounded += u64::from(was_rounded);
        if qty_lots == 0 {
            stats.ignore(b"trade of quantity 0, or below one lot");
            return Ok(());
        }
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        Ok(())
    }
}

/// The four columns of a row after the common ones.
fn columns(line: &[u8]) -> Result<[&[u8]; 4], FieldFault> {
    let mut fields = line.split(|c| *c == b',').skip(COMMON);
    let found = [fields.next(), fields.next(), fields.next(), fields.next()];
    match (found, fields.next()) {
        ([Some(first), Some(second), Some(third), Some(fourth)], None) => {
            Ok([first, second, third, fourth])
        }
        _ => Err(FieldFault::new("line", "8 columns", line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_their_kind() {
        let common = "exchange,symbol,timestamp,local_timestamp";
        let level =
            |at| format!(",asks[{at}].price,asks[{at}].amount,bids[{at}].price,bids[{at}].amount");
        let two = format!("{common}{}{}", level(0), level(1));
        for (header, kind) in [
            (str::from_utf8(INCREMENTAL).unwrap(), Some(Kind::Incremental)),
            (str::from_utf8(TRADES).unwrap(), Some(Kind::Trades)),
            (str::from_utf8(QUOTES).unwrap(), Some(Kind::Quotes)),
            (&two, Some(Kind::Snapshots { depth: 2 })),
            (&two[..two.len() - 1], None),
            (&format!("{common}{}", level(1)), None),
            (common, None),
            ("", None),
        ] {
            assert_eq!(kind_of(header.as_bytes()), kind, "{header}");
        }
    }
}
