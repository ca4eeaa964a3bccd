//! Rows in the two orders of hftbacktest: as the exchange sent them, and as they arrived.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::format::hftbacktest::ev::{EXCH, KIND_MASK, LOCAL, TRADE};
use crate::format::npy::Row;

/// Which of two rows with one event time the exchange sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ExchangeOrder {
    /// The one that arrived first.
    #[default]
    Arrival,
    /// The trade: a change that a trade causes would otherwise shorten a queue twice.
    TradesFirst,
}

/// Merges two orders of the same rows: a row stands once, with both flags, where its turn comes in
/// both orders at the same time, else once for each.
///
/// Rows come in by local time. A row may be late by event time, but by no more than `horizon_ns`
/// behind the latest one, which bounds how many have to wait.
pub(super) struct EventOrder<I> {
    rows: I,
    horizon_ns: i64,
    order: ExchangeOrder,
    /// Rows with a turn still to come, and whether their turn at the exchange is over.
    window: VecDeque<(Row, bool)>,
    /// Number of the first row of the window.
    base: usize,
    /// Number of the next row by local time.
    next_local: usize,
    by_exchange: BinaryHeap<Reverse<(i64, bool, usize)>>,
    newest_ns: i64,
}

impl<E, I: Iterator<Item = Result<Row, E>>> EventOrder<I> {
    pub(super) fn new(rows: I, horizon_ns: i64, order: ExchangeOrder) -> Self {
        Self {
            rows,
            horizon_ns,
            order,
            window: VecDeque::new(),
            base: 0,
            next_local: 0,
            by_exchange: BinaryHeap::new(),
            newest_ns: i64::MIN,
        }
    }

    /// Reads until no row to come can precede the next one by local time.
    fn fill(&mut self) -> Result<(), E> {
        loop {
            let next = self.window.get(self.next_local - self.base);
            let settled_ns = self.newest_ns.saturating_sub(self.horizon_ns);
            if next.is_some_and(|(row, _)| row.exch_ts_ns < settled_ns) {
                return Ok(());
            }
            let Some(row) = self.rows.next() else { return Ok(()) };
            let row = row?;
            let is_later = self.order == ExchangeOrder::TradesFirst && row.ev & KIND_MASK != TRADE;
            let number = self.base + self.window.len();
            self.by_exchange.push(Reverse((row.exch_ts_ns, is_later, number)));
            self.newest_ns = self.newest_ns.max(row.exch_ts_ns);
            self.window.push_back((row, false));
        }
    }

    /// The next row; none after the last one.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, E> {
        self.fill()?;
        let local = self.window.get(self.next_local - self.base).map(|(row, _)| *row);
        let exchange = self.by_exchange.peek().map(|Reverse((_, _, number))| *number);
        let (row, flags) = match (exchange, local) {
            (None, None) => return Ok(None),
            (Some(number), Some(row)) if number == self.next_local => (row, EXCH | LOCAL),
            (Some(number), next) => {
                let row = self.window[number - self.base].0;
                let key = |row: &Row| (row.exch_ts_ns, row.local_ts_ns);
                match next {
                    Some(next) if key(&row) >= key(&next) => (next, LOCAL),
                    _ => (row, EXCH),
                }
            }
            (None, Some(row)) => (row, LOCAL),
        };
        if flags & EXCH != 0
            && let Some(Reverse((_, _, number))) = self.by_exchange.pop()
        {
            self.window[number - self.base].1 = true;
        }
        self.next_local += usize::from(flags & LOCAL != 0);
        while self.base < self.next_local && self.window.front().is_some_and(|(_, sent)| *sent) {
            self.window.pop_front();
            self.base += 1;
        }
        Ok(Some(Row { ev: row.ev | flags, ..row }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const DEPTH: u64 = 1;

    fn row(kind: u64, exch_ts_ns: i64, local_ts_ns: i64) -> Row {
        Row { ev: kind, exch_ts_ns, local_ts_ns, ..Row::default() }
    }

    fn merged(rows: &[Row], horizon_ns: i64, order: ExchangeOrder) -> Vec<(u64, i64, i64)> {
        let rows = rows.iter().map(|row| Ok::<_, Infallible>(*row));
        let mut merge = EventOrder::new(rows, horizon_ns, order);
        let mut out = Vec::new();
        while let Ok(Some(row)) = merge.next_row() {
            out.push((row.ev & !KIND_MASK, row.exch_ts_ns, row.local_ts_ns));
        }
        out
    }

    /// The definition: two stable sorts and a merge by rank, all rows in memory.
    fn by_definition(rows: &[Row]) -> Vec<(u64, i64, i64)> {
        let mut exch: Vec<_> = (0..rows.len()).collect();
        exch.sort_by_key(|&at| rows[at].exch_ts_ns);
        let (mut e, mut l, mut out) = (0, 0, Vec::new());
        while e < rows.len() || l < rows.len() {
            let key = |at: usize| (rows[at].exch_ts_ns, rows[at].local_ts_ns);
            let sent = exch.get(e).map(|&at| key(at));
            let received = (l < rows.len()).then(|| key(l));
            let flags = match (sent, received) {
                (Some(sent), Some(received)) if sent == received => EXCH | LOCAL,
                (Some(sent), Some(received)) if sent < received => EXCH,
                (Some(_), None) => EXCH,
                _ => LOCAL,
            };
            let (exch_ts, local_ts) = if flags & EXCH != 0 { sent } else { received }.unwrap();
            out.push((flags, exch_ts, local_ts));
            e += usize::from(flags & EXCH != 0);
            l += usize::from(flags & LOCAL != 0);
        }
        out
    }

    #[test]
    fn a_late_row_stands_twice_and_the_others_once() {
        let rows = [row(DEPTH, 10, 11), row(DEPTH, 30, 31), row(DEPTH, 20, 32), row(DEPTH, 40, 41)];
        let both = EXCH | LOCAL;
        let want =
            [(both, 10, 11), (EXCH, 20, 32), (both, 30, 31), (LOCAL, 20, 32), (both, 40, 41)];
        assert_eq!(merged(&rows, 10, ExchangeOrder::Arrival), want);
        assert_eq!(by_definition(&rows), want);
    }

    #[test]
    fn the_window_changes_nothing() {
        let mut random = 7_u64;
        for _ in 0..200 {
            let mut rows = Vec::new();
            let (mut newest, mut horizon) = (0, 0);
            for at in 0..60 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let exch = at + (random >> 60).cast_signed();
                newest = newest.max(exch);
                horizon = horizon.max(newest - exch);
                // Messages of one or several rows.
                for _ in 0..=(random >> 33) % 3 {
                    rows.push(row(DEPTH, exch, 100 + at));
                }
            }
            assert_eq!(merged(&rows, horizon, ExchangeOrder::Arrival), by_definition(&rows));
        }
    }

    #[test]
    fn trades_can_go_first_at_the_exchange() {
        let rows = [row(DEPTH, 10, 11), row(TRADE, 10, 12)];
        let want = [(LOCAL, 10, 11), (EXCH | LOCAL, 10, 12), (EXCH, 10, 11)];
        assert_eq!(merged(&rows, 0, ExchangeOrder::TradesFirst), want);
        assert_eq!(merged(&rows, 0, ExchangeOrder::Arrival).len(), 2);
    }
}
