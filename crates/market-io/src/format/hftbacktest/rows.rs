//! Rows to packets, for files and for rows that another program holds.

use market_model::{
    Aggressor, BookOp, Instrument, Level, MAX_SCALED, Packet, PacketKind, Trade, check_ns,
};

use super::ev::{
    BBO, BUY, CLEAR, DEPTH, FIRST_CUSTOM, KIND_MASK, LOCAL, ORDER_ADD, ORDER_FILL, SELL, SNAPSHOT,
    TRADE,
};
use super::grid::Grid;
use super::orders::Orders;
use crate::format::npy::Row;
use crate::format::{MAX_LEVELS_PER_SIDE, SideCounts};
use crate::source::SourceStats;

pub(super) const MAX_INITIAL_LEVELS: usize = 50_000;

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: expected {expected}, found {found}")]
pub struct RowFault {
    /// Column of the row.
    pub field: &'static str,
    /// What the format asks for.
    pub expected: &'static str,
    /// What was there.
    pub found: String,
}

impl RowFault {
    #[cold]
    fn value(field: &'static str, expected: &'static str, value: f64) -> Self {
        Self { field, expected, found: value.to_string() }
    }
}

/// Turns one row into packet content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grids {
    price: Grid,
    qty: Grid,
}

impl Grids {
    #[inline]
    fn push_level(
        &self,
        row: &Row,
        packet: &mut Packet,
        counts: &mut SideCounts,
    ) -> Result<(), RowFault> {
        let side = row.ev & (BUY | SELL);
        let op = if side == BUY { BookOp::SetBid } else { BookOp::SetAsk };
        let (price, qty) = (self.price.steps(row.px), self.qty.steps(row.qty));
        if let (Some(price_ticks @ 1..), Some(qty_lots), BUY | SELL) = (price, qty, side)
            && counts.admit(op)
        {
            packet.push_level(op, Level { price_ticks, qty_lots });
            return Ok(());
        }
        Err(self.level_fault(row))
    }

    /// Takes the rows that differ from a level taken before in nothing but price and quantity; how
    /// many there are. Real files hold long runs of them.
    #[inline]
    fn push_levels_like(
        &self,
        like: &Row,
        rows: &[Row],
        packet: &mut Packet,
        counts: &mut SideCounts,
    ) -> usize {
        let op = if like.ev & BUY != 0 { BookOp::SetBid } else { BookOp::SetAsk };
        let same = |row: &&Row| {
            (row.ev, row.local_ts_ns, row.exch_ts_ns)
                == (like.ev, like.local_ts_ns, like.exch_ts_ns)
        };
        let level = |row: &Row| match (self.price.steps(row.px), self.qty.steps(row.qty)) {
            (Some(price_ticks @ 1..), Some(qty_lots)) => Some(Level { price_ticks, qty_lots }),
            _ => None,
        };
        let rows = rows.iter().take(counts.room(op)).take_while(same);
        let taken = packet.extend_levels(op, rows.map_while(level));
        counts.add(op, taken);
        taken
    }

    /// The reason why [`Grids::push_level`] takes a row no further.
    #[cold]
    fn level_fault(&self, row: &Row) -> RowFault {
        if !matches!(row.ev & (BUY | SELL), BUY | SELL) {
            return side_fault(row);
        }
        if let Err(fault) = self.price_ticks(row).and_then(|_| self.qty_lots(row)) {
            return fault;
        }
        too_many_levels()
    }

    fn push_trade(
        &self,
        row: &Row,
        packet: &mut Packet,
        stats: &mut SourceStats,
    ) -> Result<(), RowFault> {
        let aggressor = match row.ev & (BUY | SELL) {
            BUY => Aggressor::Buy,
            SELL => Aggressor::Sell,
            0 => Aggressor::Unknown,
            _ => return Err(side_fault(row)),
        };
        let price_ticks = self.price_ticks(row)?;
        let qty_lots = self.qty_lots(row)?;
        if qty_lots == 0 {
            stats.ignore(b"trade of quantity 0");
            return Ok(());
        }
        packet.trades.push(Trade { price_ticks, qty_lots, aggressor });
        Ok(())
    }

    fn push_clear(&self, row: &Row, packet: &mut Packet) -> Result<(), RowFault> {
        let op = match row.ev & (BUY | SELL) {
            BUY => BookOp::ClearBid,
            SELL => BookOp::ClearAsk,
            0 => {
                packet.push_clear_side(BookOp::ClearBid);
                packet.push_clear_side(BookOp::ClearAsk);
                return Ok(());
            }
            _ => return Err(side_fault(row)),
        };
        // hftbacktest clears the whole side when the bound is not a number.
        if !row.px.is_finite() {
            packet.push_clear_side(op);
            return Ok(());
        }
        let price_ticks = self.price_ticks(row)?;
        packet.push_level(op, Level { price_ticks, qty_lots: 0 });
        Ok(())
    }

    #[inline]
    pub(super) fn price_ticks(&self, row: &Row) -> Result<i64, RowFault> {
        match self.price.steps(row.px) {
            Some(ticks) if ticks > 0 => Ok(ticks),
            _ => Err(self.price_fault(row.px)),
        }
    }

    #[inline]
    pub(super) fn qty_lots(&self, row: &Row) -> Result<i64, RowFault> {
        self.qty.steps(row.qty).ok_or_else(|| self.qty_fault(row.qty))
    }

    #[cold]
    fn price_fault(&self, px: f64) -> RowFault {
        let on_grid = "a price on the tick grid (pass --tick-size to set the grid)";
        let positive = "a positive price up to 2^53-1 after scaling";
        let usable = px > 0.0 && px * self.price.power <= MAX_SCALED as f64;
        RowFault::value("px", if usable { on_grid } else { positive }, px)
    }

    #[cold]
    fn qty_fault(&self, qty: f64) -> RowFault {
        let on_grid = "a quantity on the lot grid (pass --lot-size to set the grid)";
        let positive = "a quantity from 0 up to 2^53-1 after scaling";
        let usable = qty >= 0.0 && qty * self.qty.power <= MAX_SCALED as f64;
        RowFault::value("qty", if usable { on_grid } else { positive }, qty)
    }
}

#[cold]
fn too_many_levels() -> RowFault {
    RowFault {
        field: "ev",
        expected: "at most 10000 levels of one side in a packet (50000 in an initial book)",
        found: "more".into(),
    }
}

#[cold]
pub(super) fn side_fault(row: &Row) -> RowFault {
    let found = format!("{:#x}", row.ev);
    RowFault { field: "ev", expected: "one side flag (bit 29 buy, bit 28 sell)", found }
}

/// Why [`RowDecoder::take`] stopped before the end of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The next row belongs to another packet.
    PacketEnd,
    /// The next row is refused, and with it the packet: its rows are passed over.
    Refused(RowFault),
    /// The next row makes the rest of the input unusable.
    Fatal(RowFault),
}

/// The rows of one `local_ts`, while they are collected.
#[derive(Debug)]
struct Group {
    local_ts_ns: Option<i64>,
    exch_ts_ns: i64,
    counts: SideCounts,
    has_clear: bool,
    has_snapshot: bool,
    refused: bool,
    /// Some row may say something about the book.
    may_touch_book: bool,
}

impl Group {
    const fn new() -> Self {
        Self {
            local_ts_ns: None,
            exch_ts_ns: 0,
            counts: SideCounts::new(MAX_LEVELS_PER_SIDE),
            has_clear: false,
            has_snapshot: false,
            refused: false,
            may_touch_book: false,
        }
    }

    fn has_content(&self, packet: &Packet) -> bool {
        self.refused || packet.touches_book() || !packet.trades.is_empty()
    }
}

/// The packet has the last id of its rows, and follows what the first of them follows.
fn take_ids(row: &Row, packet: &mut Packet) {
    if packet.seq == 0 {
        packet.prev_seq = id(row.fval).unwrap_or(0);
    }
    packet.seq = packet.seq.max(u64::try_from(row.ival).unwrap_or(0));
}

/// Rows in, packets out: the one reading of `specs/inputs/hftbacktest.md`, for rows of files and for
/// rows that another program holds.
///
/// ```
/// use market_io::hftbacktest::{Row, RowDecoder, Stop};
/// use market_model::{Instrument, Packet};
///
/// let btc = Instrument::new(0, "BTCUSDT", "0.1", "0.001")?;
/// let mut decoder = RowDecoder::new(&btc);
/// let bid = Row { ev: 1 << 30 | 1 << 29 | 1, local_ts_ns: 0, px: 61_800.1, qty: 0.696, ..Row::default() };
/// let mut packet = Packet::default();
/// assert_eq!(decoder.take(&[bid], &mut packet), (1, None));
/// assert!(decoder.finish(&mut packet));
/// assert_eq!((packet.levels[0].price_ticks, packet.levels[0].qty_lots), (618_001, 696));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RowDecoder {
    symbol_id: u32,
    grids: Grids,
    orders: Orders,
    group: Group,
    /// Local time of the packet before, below which no row may lie.
    floor_ns: i64,
    /// Whether book rows carry update ids; the first one decides.
    has_ids: Option<bool>,
    pub(super) stats: SourceStats,
}

/// Whether a row decides if the rows carry update ids, and how.
pub(super) fn tells_of_ids(row: &Row) -> Option<bool> {
    let is_book = matches!(row.ev & KIND_MASK, DEPTH | CLEAR | SNAPSHOT);
    (row.ev & LOCAL != 0 && is_book).then(|| row.ival > 0 && id(row.fval).is_some())
}

/// An update id that was kept as a float.
fn id(value: f64) -> Option<u64> {
    let is_whole = (0.0..=MAX_SCALED as f64).contains(&value) && value.fract() == 0.0;
    is_whole.then_some(value as u64)
}

impl RowDecoder {
    /// A decoder before its first row.
    #[must_use]
    pub fn new(instrument: &Instrument) -> Self {
        Self {
            symbol_id: instrument.symbol_id,
            grids: Grids {
                price: Grid::new(instrument.price_scale, instrument.tick_scaled),
                qty: Grid::new(instrument.qty_scale, instrument.lot_scaled),
            },
            orders: Orders::default(),
            group: Group::new(),
            floor_ns: i64::MIN,
            has_ids: None,
            stats: SourceStats::default(),
        }
    }

    /// Whether book rows carry the update ids of the venue, so that gaps can be told
    /// ([`market_model::Sequencing::Venue`]); `None` before the first book row.
    #[must_use]
    pub fn has_ids(&self) -> Option<bool> {
        self.has_ids
    }

    /// What was read, refused and left out so far.
    #[must_use]
    pub fn stats(&self) -> &SourceStats {
        &self.stats
    }

    /// Takes rows into the packet; the number taken, and why it stopped early.
    ///
    /// After [`Stop::Refused`] the call is made again with the rows from the refused one on; it passes over
    /// the rest of the packet. After [`Stop::PacketEnd`] comes [`RowDecoder::finish`].
    pub fn take(&mut self, rows: &[Row], packet: &mut Packet) -> (usize, Option<Stop>) {
        let (taken, stop) = self.take_rows(rows, packet);
        self.stats.records += taken as u64;
        if matches!(stop, Some(Stop::Refused(_))) {
            self.group.refused = true;
            self.stats.rejected += 1;
        }
        (taken, stop)
    }

    fn take_rows(&mut self, rows: &[Row], packet: &mut Packet) -> (usize, Option<Stop>) {
        let mut next = 0;
        while let Some(row) = rows.get(next) {
            let index = next;
            next += 1;
            if row.ev & LOCAL == 0 {
                continue;
            }
            if self.group.local_ts_ns != Some(row.local_ts_ns) {
                if self.group.has_content(packet) {
                    return (index, Some(Stop::PacketEnd));
                }
                if let Err(fault) = self.begin(row, packet) {
                    return (index, Some(Stop::Fatal(fault)));
                }
            }
            let kind = row.ev & KIND_MASK;
            self.group.may_touch_book |= !matches!(kind, TRADE | BBO | FIRST_CUSTOM..);
            if self.group.refused {
                continue;
            }
            if let Err(fault) = self.take_row(row, packet) {
                return (index, Some(Stop::Refused(fault)));
            }
            if matches!(kind, DEPTH | SNAPSHOT) {
                let counts = &mut self.group.counts;
                next += self.grids.push_levels_like(row, &rows[next..], packet, counts);
            }
        }
        (rows.len(), None)
    }

    /// Completes the packet; `false` when there is nothing in it to hand on.
    pub fn finish(&mut self, packet: &mut Packet) -> bool {
        let group = std::mem::replace(&mut self.group, Group::new());
        self.floor_ns = group.local_ts_ns.unwrap_or(self.floor_ns);
        if !group.has_content(packet) {
            return false;
        }
        self.orders.end(&mut self.stats);
        if group.refused {
            let (ts_event_ns, ts_recv_ns) = (packet.ts_event_ns, packet.ts_recv_ns);
            packet.clear();
            (packet.ts_event_ns, packet.ts_recv_ns) = (ts_event_ns, ts_recv_ns);
            packet.kind =
                if group.may_touch_book { PacketKind::Rejected } else { PacketKind::RejectedTrade };
        } else if (group.has_clear && group.has_snapshot) || Orders::are_whole(packet) {
            packet.kind = PacketKind::Snapshot;
        }
        packet.symbol_id = self.symbol_id;
        true
    }

    /// The book before the first row: rows of kind 4 without times.
    ///
    /// # Errors
    ///
    /// The number of the first row that is not a level of a snapshot, and why.
    pub fn initial_book(
        &self,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<Packet, (usize, RowFault)> {
        let mut packet = Packet { kind: PacketKind::Snapshot, ..Packet::default() };
        packet.symbol_id = self.symbol_id;
        let mut counts = SideCounts::new(MAX_INITIAL_LEVELS);
        for (index, row) in rows.into_iter().enumerate() {
            let kind = row.ev & KIND_MASK;
            let result = if kind == SNAPSHOT {
                self.grids.push_level(&row, &mut packet, &mut counts)
            } else {
                let found = format!("kind {kind}");
                Err(RowFault { field: "ev", expected: "kind 4 (snapshot) only", found })
            };
            result.map_err(|fault| (index, fault))?;
        }
        Ok(packet)
    }

    fn begin(&mut self, row: &Row, packet: &mut Packet) -> Result<(), RowFault> {
        let local_ts_ns = row.local_ts_ns;
        let floor_ns = self.group.local_ts_ns.unwrap_or(self.floor_ns);
        let fault = |expected, found| Err(RowFault { field: "local_ts", expected, found });
        if local_ts_ns < floor_ns {
            let found = format!("{local_ts_ns} after {floor_ns}");
            return fault("local times that do not decrease", found);
        }
        if local_ts_ns != 0
            && let Err(wrong) = check_ns(local_ts_ns)
        {
            return fault("0 or a time in ns", wrong.to_string());
        }
        self.group = Group { local_ts_ns: Some(local_ts_ns), ..Group::new() };
        packet.ts_recv_ns = local_ts_ns;
        packet.ts_event_ns = 0;
        Ok(())
    }

    #[inline]
    fn take_row(&mut self, row: &Row, packet: &mut Packet) -> Result<(), RowFault> {
        let Self { group, grids, stats, .. } = self;
        if row.exch_ts_ns != group.exch_ts_ns {
            if row.exch_ts_ns != 0
                && let Err(wrong) = check_ns(row.exch_ts_ns)
            {
                let found = wrong.to_string();
                return Err(RowFault { field: "exch_ts", expected: "0 or a time in ns", found });
            }
            group.exch_ts_ns = row.exch_ts_ns;
            packet.ts_event_ns = packet.ts_event_ns.max(row.exch_ts_ns);
        }
        if self.has_ids.is_none() {
            self.has_ids = tells_of_ids(row);
        }
        if row.ival != 0 && self.has_ids == Some(true) {
            take_ids(row, packet);
        }
        let kind = row.ev & KIND_MASK;
        match kind {
            DEPTH => grids.push_level(row, packet, &mut group.counts),
            SNAPSHOT => {
                group.has_snapshot = true;
                grids.push_level(row, packet, &mut group.counts)
            }
            TRADE => grids.push_trade(row, packet, stats),
            CLEAR => {
                group.has_clear = true;
                if self.orders.are_fed() {
                    Orders::clear(row, packet)
                } else {
                    grids.push_clear(row, packet)
                }
            }
            ORDER_ADD..=ORDER_FILL => self.orders.take(row, grids, packet),
            BBO | FIRST_CUSTOM.. => {
                stats.ignore(format!("kind {kind}").as_bytes());
                Ok(())
            }
            _ => Err(RowFault {
                field: "ev",
                expected: "kind 1 to 5, 10 to 13, or 100 and above",
                found: format!("kind {kind}"),
            }),
        }
    }
}
