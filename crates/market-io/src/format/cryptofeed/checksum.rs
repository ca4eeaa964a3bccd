//! The visible levels as text, and the venues' CRC-32 over them.

use std::collections::BTreeMap;

use flate2::Crc;
use market_model::{BookOp, Level, Packet};

/// How a venue makes text of the levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Ten asks, then ten bids; price and size without point and leading zeros.
    Kraken,
    /// Bid, ask, bid, ... of so many levels; all numbers joined by colons.
    Interleaved {
        /// Levels of one side.
        levels: usize,
    },
}

const KRAKEN_LEVELS: usize = 10;

/// Price and size as the venue wrote them.
type Texts = [Vec<u8>; 2];

/// Levels by ticks.
#[derive(Debug, Default)]
pub(super) struct TextBook {
    bids: BTreeMap<i64, Texts>,
    asks: BTreeMap<i64, Texts>,
}

impl TextBook {
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Sets a level, or deletes it.
    pub(super) fn set(&mut self, op: BookOp, price_ticks: i64, texts: [&[u8]; 2], is_gone: bool) {
        let side = if op == BookOp::SetBid { &mut self.bids } else { &mut self.asks };
        if is_gone {
            side.remove(&price_ticks);
        } else {
            side.insert(price_ticks, texts.map(<[u8]>::to_vec));
        }
    }

    /// Deletes what lies below the worst level that the venue keeps up to date.
    pub(super) fn truncate(&mut self, depth: usize, packet: &mut Packet) {
        while self.bids.len() > depth
            && let Some((price_ticks, _)) = self.bids.pop_first()
        {
            packet.push_level(BookOp::SetBid, Level { price_ticks, qty_lots: 0 });
        }
        while self.asks.len() > depth
            && let Some((price_ticks, _)) = self.asks.pop_last()
        {
            packet.push_level(BookOp::SetAsk, Level { price_ticks, qty_lots: 0 });
        }
    }

    pub(super) fn checksum(&self, scheme: Scheme) -> u32 {
        let mut text = Vec::new();
        match scheme {
            Scheme::Kraken => {
                let asks = self.asks.values().take(KRAKEN_LEVELS);
                let bids = self.bids.values().rev().take(KRAKEN_LEVELS);
                for number in asks.chain(bids).flatten() {
                    let digits = number.iter().filter(|c| **c != b'.');
                    text.extend(digits.skip_while(|c| **c == b'0'));
                }
            }
            Scheme::Interleaved { levels } => {
                let (mut bids, mut asks) = (self.bids.values().rev(), self.asks.values());
                for _ in 0..levels {
                    for number in bids.next().into_iter().chain(asks.next()).flatten() {
                        if !text.is_empty() {
                            text.push(b':');
                        }
                        text.extend(number);
                    }
                }
            }
        }
        let mut sum = Crc::new();
        sum.update(&text);
        sum.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(levels: usize) -> TextBook {
        let mut book = TextBook::default();
        for level in 0..levels as i64 {
            let (bid, ask) = (format!("0.{}", 500 - level), format!("0.{}", 501 + level));
            book.set(BookOp::SetBid, 500 - level, [bid.as_bytes(), b"1.50"], false);
            book.set(BookOp::SetAsk, 501 + level, [ask.as_bytes(), b"0.02"], false);
        }
        book
    }

    fn crc(text: &str) -> u32 {
        let mut sum = Crc::new();
        sum.update(text.as_bytes());
        sum.sum()
    }

    #[test]
    fn the_texts_are_those_of_the_venues() {
        let book = book(2);
        assert_eq!(
            book.checksum(Scheme::Kraken),
            crc("501250225001504991 50".replace(' ', "").as_str())
        );
        let interleaved = "0.500:1.50:0.501:0.02:0.499:1.50:0.502:0.02";
        assert_eq!(book.checksum(Scheme::Interleaved { levels: 25 }), crc(interleaved));
        assert_eq!(book.checksum(Scheme::Interleaved { levels: 1 }), crc(&interleaved[..21]));
    }

    #[test]
    fn levels_below_the_depth_are_deleted() {
        let (mut book, mut packet) = (book(3), Packet::default());
        book.truncate(2, &mut packet);
        let levels: Vec<_> = packet.levels.iter().map(|l| (l.price_ticks, l.qty_lots)).collect();
        assert_eq!(levels, [(498, 0), (503, 0)]);
        assert_eq!((book.bids.len(), book.asks.len()), (2, 2));
    }
}
