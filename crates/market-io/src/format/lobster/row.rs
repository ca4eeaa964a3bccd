//! Rows of the two files.

use market_model::{BookOp, parse_scaled};

use crate::error::FieldFault;

/// Prices are in units of 0.0001 dollars.
pub(super) const MAX_PRICE_DECIMALS: u8 = 4;
/// Price of a level that does not exist, with the sign of its side.
const DUMMY_PRICE: i64 = 9_999_999_999;
const S_PER_DAY_NS: i64 = 86_400_000_000_000;

/// Which of the two files a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Book,
}

/// Tells the files apart by their columns; `None` for other lines.
pub(super) fn kind_of(line: &[u8]) -> Option<Kind> {
    if Message::parse(line).is_ok() {
        return Some(Kind::Message);
    }
    let mut book = Book::default();
    (book.parse(line).is_ok() && book.width > 0).then_some(Kind::Book)
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    Submission,
    Cancellation,
    Deletion,
    Execution,
    Hidden,
    Cross,
    Halt,
}

impl EventKind {
    pub(super) const fn is_execution(self) -> bool {
        matches!(self, Self::Execution | Self::Hidden | Self::Cross)
    }

    /// Whether an event is about orders that the book shows.
    pub(super) const fn is_of_the_book(self) -> bool {
        !matches!(self, Self::Hidden | Self::Cross | Self::Halt)
    }
}

/// A row of the message file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) since_midnight_ns: i64,
    pub(super) kind: EventKind,
    /// 0 for events of hidden orders.
    pub(super) order_id: u64,
    pub(super) size: i64,
    pub(super) price: i64,
    /// The resting order buys.
    pub(super) is_buy: bool,
}

impl Message {
    /// The price of a row that may be wrong elsewhere.
    pub(super) fn price_in(line: &[u8]) -> Option<i64> {
        integer("price", line.split(|c| *c == b',').nth(4)?).ok()
    }

    pub(super) fn parse(line: &[u8]) -> Result<Self, FieldFault> {
        let mut fields = line.split(|c| *c == b',');
        let mut next = |field| fields.next().ok_or_else(|| columns(field, line));
        let (time, kind) = (next("time")?, next("type")?);
        let (order, size) = (next("order id")?, next("size")?);
        let (price, direction) = (next("price")?, next("direction")?);
        // A seventh column names the participant where the venue does.
        if fields.nth(1).is_some() {
            return Err(columns("line", line));
        }
        let since_midnight_ns = parse_scaled(time, 9)
            .ok()
            .map(|(ns, _)| ns)
            .filter(|ns| (0..S_PER_DAY_NS).contains(ns))
            .ok_or_else(|| FieldFault::new("time", "seconds after midnight", time))?;
        let kind = match kind {
            b"1" => EventKind::Submission,
            b"2" => EventKind::Cancellation,
            b"3" => EventKind::Deletion,
            b"4" => EventKind::Execution,
            b"5" => EventKind::Hidden,
            b"6" => EventKind::Cross,
            b"7" => EventKind::Halt,
            _ => return Err(FieldFault::new("type", "1 to 7", kind)),
        };
        let order_id = plain(order).map(i64::cast_unsigned);
        let order_id = order_id.or_else(|| str::from_utf8(order).ok()?.parse().ok());
        let order_id = order_id.ok_or_else(|| FieldFault::new("order id", "an id", order))?;
        let is_halt = kind == EventKind::Halt;
        let size = integer("size", size)?;
        let price = integer("price", price)?;
        if !is_halt && (size < 1 || price < 1) {
            let field = if size < 1 { "size" } else { "price" };
            return Err(FieldFault::new(field, "at least 1", line));
        }
        let is_buy = match direction {
            b"1" => true,
            b"-1" => false,
            _ => return Err(FieldFault::new("direction", "1 or -1", direction)),
        };
        Ok(Self { since_midnight_ns, kind, order_id, size, price, is_buy })
    }
}

fn columns(field: &'static str, line: &[u8]) -> FieldFault {
    FieldFault::new(field, "6 columns, or 7", line)
}

#[inline]
fn integer(field: &'static str, text: &[u8]) -> Result<i64, FieldFault> {
    let number = match text {
        [b'-', digits @ ..] => plain(digits).map(|number| -number),
        digits => plain(digits),
    };
    match number {
        Some(number) => Ok(number),
        None => unusual_integer(field, text),
    }
}

/// The number of 1 to 18 digits, which always fit; `None` for anything else.
#[inline]
fn plain(digits: &[u8]) -> Option<i64> {
    if !matches!(digits.len(), 1..=18) {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

#[cold]
fn unusual_integer(field: &'static str, text: &[u8]) -> Result<i64, FieldFault> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| FieldFault::new(field, "an integer", text))
}

/// One level as the file writes it: 0.0001 dollars, shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawLevel {
    pub(super) price: i64,
    pub(super) size: i64,
}

impl RawLevel {
    pub(super) fn is_better_than(self, other: Self, op: BookOp) -> bool {
        if op == BookOp::SetBid { self.price > other.price } else { self.price < other.price }
    }
}

/// A row of the orderbook file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// Best first.
    pub(super) bids: Vec<RawLevel>,
    /// Best first.
    pub(super) asks: Vec<RawLevel>,
    /// Levels of one side that the file has columns for.
    pub(super) width: usize,
}

impl Book {
    /// Replaces the book by a row.
    pub(super) fn parse(&mut self, line: &[u8]) -> Result<(), FieldFault> {
        self.bids.clear();
        self.asks.clear();
        self.width = 0;
        let mut fields = line.split(|c| *c == b',').peekable();
        while fields.peek().is_some() {
            let mut level = |price_field, size_field| {
                let (Some(price), Some(size)) = (fields.next(), fields.next()) else {
                    return Err(FieldFault::new("line", "4 columns for each level", line));
                };
                Ok(RawLevel {
                    price: integer(price_field, price)?,
                    size: integer(size_field, size)?,
                })
            };
            let (ask, bid) = (level("ask price", "ask size")?, level("bid price", "bid size")?);
            self.width += 1;
            push(&mut self.asks, ask, BookOp::SetAsk, self.width)?;
            push(&mut self.bids, bid, BookOp::SetBid, self.width)?;
        }
        Ok(())
    }

    /// Becomes a copy of another row and keeps its buffers.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.bids.clone_from(&other.bids);
        self.asks.clone_from(&other.asks);
        self.width = other.width;
    }

    /// Does to the visible levels what an event says.
    pub(super) fn apply(&mut self, message: &Message, width: usize) {
        let op = if message.is_buy { BookOp::SetBid } else { BookOp::SetAsk };
        let side = if message.is_buy { &mut self.bids } else { &mut self.asks };
        let delta = match message.kind {
            EventKind::Submission => message.size,
            EventKind::Cancellation | EventKind::Deletion | EventKind::Execution => -message.size,
            EventKind::Hidden | EventKind::Cross | EventKind::Halt => return,
        };
        let level = RawLevel { price: message.price, size: delta };
        let at = side.partition_point(|other| other.is_better_than(level, op));
        match side.get_mut(at) {
            Some(same) if same.price == level.price => same.size += delta,
            _ => side.insert(at, level),
        }
        if side[at].size == 0 {
            side.remove(at);
        }
        side.truncate(width);
    }

    /// Levels that came into view since `expected`; `None` when the rows differ in anything else.
    ///
    /// Only the worst visible level of a side can come from below the window.
    pub(super) fn revealed_since(&self, expected: &Self) -> Option<u64> {
        let mut revealed = 0;
        for (found, expected) in [(&self.bids, &expected.bids), (&self.asks, &expected.asks)] {
            let rest = found.strip_prefix(expected.as_slice())?;
            if rest.len() > 1 || (rest.len() == 1 && found.len() < self.width) {
                return None;
            }
            revealed += rest.len() as u64;
        }
        Some(revealed)
    }
}

fn push(
    side: &mut Vec<RawLevel>,
    level: RawLevel,
    op: BookOp,
    width: usize,
) -> Result<(), FieldFault> {
    if level.size == 0 && level.price.abs() == DUMMY_PRICE {
        return Ok(());
    }
    let field = if op == BookOp::SetBid { "bid price" } else { "ask price" };
    let wrong = |expected| {
        let found = level.price.to_string();
        Err(FieldFault { field, expected, found })
    };
    if level.price < 1 || level.size < 1 {
        return wrong("a positive price with a positive size, or 9999999999 with size 0");
    }
    // An empty level cannot have another one behind it.
    if side.len() + 1 != width || side.last().is_some_and(|last| !last.is_better_than(level, op)) {
        return wrong("levels from the best to the worst");
    }
    side.push(level);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(line: &str) -> Book {
        let mut book = Book::default();
        book.parse(line.as_bytes()).unwrap();
        book
    }

    #[test]
    fn a_level_comes_into_view_only_at_the_end_of_the_window() {
        let message = Message::parse(b"34200.5,3,1,5,100,-1").unwrap();
        let mut expected = book("100,5,90,1,110,6,80,2");
        expected.apply(&message, 2);
        for (row, revealed) in [
            ("110,6,90,1,120,7,80,2", Some(1)),
            ("110,6,90,1,9999999999,0,80,2", Some(0)),
            ("105,6,90,1,110,6,80,2", None),
            ("110,5,90,1,120,7,80,2", None),
            ("110,6,90,1,120,7,80,3", None),
        ] {
            assert_eq!(book(row).revealed_since(&expected), revealed, "{row}");
        }
    }

    #[test]
    fn what_the_files_never_hold_is_refused() {
        for (line, field) in [
            ("34200.5,8,1,5,100,1", "type"),
            ("86400,1,1,5,100,1", "time"),
            ("-1,1,1,5,100,1", "time"),
            ("34200.5,1,x,5,100,1", "order id"),
            ("34200.5,1,1,0,100,1", "size"),
            ("34200.5,1,1,5,-1,1", "price"),
            ("34200.5,1,1,5,100,0", "direction"),
            ("34200.5,1,1,5,99999999999999999999,1", "price"),
            (
                "34200.5,1,1,\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f},1,1",
                "size",
            ),
            ("34200.5,1,1,5,100", "direction"),
            ("34200.5,1,1,5,100,1,null,2", "line"),
        ] {
            assert_eq!(Message::parse(line.as_bytes()).unwrap_err().field, field, "{line}");
        }
        for (line, field) in [
            ("100,5,90", "line"),
            ("100,5,90,x", "bid size"),
            ("100,0,90,1", "ask price"),
            ("100,5,-9999999999,0,99,1,80,1", "ask price"),
            ("100,5,90,1,110,1,91,1", "bid price"),
            ("9999999999,0,90,1,110,1,80,1", "ask price"),
        ] {
            let fault = Book::default().parse(line.as_bytes()).unwrap_err();
            assert_eq!(fault.field, field, "{line}");
        }
        let unusual = Message::parse(b"34200.5,1,9999999999999999999,+5,0000000000000000000100,1");
        let unusual = unusual.unwrap();
        assert_eq!(
            (unusual.order_id, unusual.size, unusual.price),
            (9_999_999_999_999_999_999, 5, 100)
        );
        assert!(Message::parse(b"34200.5,7,0,0,-1,-1").is_ok());
        assert!(Message::parse(b"34200.5,1,1,5,100,1,null").is_ok());
    }
}
