//! Order flow at the touch (`specs/features/ofi_l1.md`): every flow of the epoch that a window can reach.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::Defect;
use super::columns::Quote;

/// Flow of the epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    anchors: Option<Quote>,
    /// Flow of this packet; `None` in a gap step.
    pub(super) raw: Option<i128>,
    /// Sum since the epoch began.
    pub(super) cum: i128,
    history: VecDeque<(i64, i128)>,
}

impl Flow {
    /// A book packet left a two-sided book.
    pub(super) fn step(&mut self, quote: Quote, now_ns: i64, gap: bool, reach_ns: i64) {
        self.raw = match self.anchors {
            _ if gap => None,
            None => Some(0),
            Some(before) => Some(Self::between(before, quote)),
        };
        self.anchors = Some(quote);
        if let Some(raw) = self.raw {
            self.cum += raw;
            self.history.push_back((now_ns, raw));
        }
        let oldest = i128::from(now_ns) - i128::from(reach_ns);
        while self.history.front().is_some_and(|(t_ns, _)| i128::from(*t_ns) < oldest) {
            self.history.pop_front();
        }
    }

    /// Flow between two quotes.
    pub(super) fn between(before: Quote, after: Quote) -> i128 {
        joined_bid(before, after) - joined_ask(before, after)
    }

    /// A packet without book content: nothing flowed.
    pub(super) fn idle(&mut self) {
        self.raw = Some(0);
    }

    /// Forgets the anchors.
    pub(super) fn break_chain(&mut self) {
        self.anchors = None;
    }

    /// Sum of the flows in `(now - window, now]`.
    pub(super) fn sum(&self, now_ns: i64, window_ns: i64, defect: Option<Defect>) -> i128 {
        let edge = i128::from(now_ns) - i128::from(window_ns);
        let closed = defect == Some(Defect::WrongWindowEdge);
        let inside = |t_ns: i64| i128::from(t_ns) > edge || (closed && i128::from(t_ns) == edge);
        let newest_first = self.history.iter().rev();
        newest_first.take_while(|(t_ns, _)| inside(*t_ns)).map(|(_, raw)| raw).sum()
    }
}

fn joined_bid(before: Quote, after: Quote) -> i128 {
    match after.bid.cmp(&before.bid) {
        Ordering::Greater => after.bid_qty,
        Ordering::Equal => after.bid_qty - before.bid_qty,
        Ordering::Less => -before.bid_qty,
    }
}

fn joined_ask(before: Quote, after: Quote) -> i128 {
    match after.ask.cmp(&before.ask) {
        Ordering::Less => after.ask_qty,
        Ordering::Equal => after.ask_qty - before.ask_qty,
        Ordering::Greater => -before.ask_qty,
    }
}
