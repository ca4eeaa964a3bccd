//! The venue's own book, as the texts that it sent: what a client is told that asks for a snapshot.
//!
//! Texts and not numbers, since venues make checksums of them.

use std::collections::BTreeMap;

use market_model::Decimal;
use serde_json::Value;

/// Decimals to which prices are compared.
const DECIMALS: i32 = 18;

/// Price and size as they were sent.
pub(super) type Level = [String; 2];

/// Levels of one side by price.
pub(super) type Side = BTreeMap<i128, Level>;

/// A book of texts.
#[derive(Debug, Default)]
pub(super) struct TextBook {
    pub(super) bids: Side,
    pub(super) asks: Side,
}

impl TextBook {
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Sets the levels of an array of arrays, of which a size of 0 deletes.
    pub(super) fn set(&mut self, is_bid: bool, levels: &Value) {
        let side = if is_bid { &mut self.bids } else { &mut self.asks };
        for level in levels.as_array().into_iter().flatten() {
            let text = |index: usize| {
                let item = &level[index];
                item.as_str().map_or_else(|| item.to_string(), str::to_owned)
            };
            let (price, size) = (text(0), text(1));
            let Some(key) = key(&price) else { continue };
            if Decimal::parse(size.as_bytes()).is_ok_and(|size| size.mantissa == 0) {
                side.remove(&key);
            } else {
                side.insert(key, [price, size]);
            }
        }
    }

    /// Keeps so many levels of each side.
    pub(super) fn truncate(&mut self, depth: usize) {
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    /// Bids and asks, best first.
    pub(super) fn sides(&self) -> [Vec<&Level>; 2] {
        [self.bids.values().rev().collect(), self.asks.values().collect()]
    }
}

fn key(price: &str) -> Option<i128> {
    let decimal = Decimal::parse(price.as_bytes()).ok()?;
    let shift = u32::try_from(DECIMALS - decimal.scale).ok()?;
    decimal.mantissa.checked_mul(10_i128.checked_pow(shift)?)
}

/// What is known of each market, by its name.
#[derive(Debug)]
pub(super) struct Markets<M>(Vec<(String, M)>);

impl<M> Default for Markets<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> Markets<M> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first one whose name is right.
    pub(super) fn find(&self, is_right: impl Fn(&str) -> bool) -> Option<&M> {
        self.0.iter().find(|(name, _)| is_right(name)).map(|(_, market)| market)
    }

    /// The name of the one that was added first.
    pub(super) fn first_name(&self) -> Option<&str> {
        self.0.first().map(|(name, _)| name.as_str())
    }
}

impl<M: Default> Markets<M> {
    /// The one of a name; it is added when there is none.
    pub(super) fn named(&mut self, name: &str) -> &mut M {
        let at = self.0.iter().position(|(found, _)| found == name).unwrap_or_else(|| {
            self.0.push((name.into(), M::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_by_number_and_kept_as_text() {
        let mut book = TextBook::default();
        let levels = serde_json::json!([["9.50", "1"], ["10", "2.0"], ["9.5", "3"], ["8", "1"]]);
        book.set(true, &levels);
        book.set(true, &serde_json::json!([["8.00", "0.000"]]));
        let [bids, asks] = book.sides();
        assert_eq!(bids, [&["10".to_owned(), "2.0".into()], &["9.5".to_owned(), "3".into()]]);
        assert!(asks.is_empty());
        book.truncate(1);
        assert_eq!(book.sides()[0].len(), 1);
    }
}
