//! Lines of a CCXT recorder, made up: order books and trades of several symbols from a seed.

use std::fmt::Write;

/// A recorder's stream; each call of [`Iterator::next`] gives a line without its end.
#[derive(Debug, Clone)]
pub struct CcxtLines {
    symbols: Vec<(String, String, i64)>,
    levels: usize,
    time_ms: i64,
    state: u64,
}

impl CcxtLines {
    /// A stream of symbols of the form `exchange:symbol` with some levels a side, from a time in ms.
    /// Prices have one decimal, amounts three; there are no nonces.
    ///
    /// # Panics
    ///
    /// When a name has no colon.
    #[must_use]
    pub fn new(symbols: &[&str], levels: usize, start_ms: i64, seed: u64) -> Self {
        let named = |(index, name): (usize, &&str)| {
            let (exchange, symbol) = name.split_once(':').expect("exchange:symbol");
            (exchange.to_owned(), symbol.to_owned(), 250_000 + 1_000 * index as i64)
        };
        let symbols = symbols.iter().enumerate().map(named).collect();
        Self { symbols, levels, time_ms: start_ms, state: seed }
    }

    /// A number below `end` (splitmix64).
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn side(&mut self, best: i64, step: i64) -> String {
        let (mut text, mut price) = (String::from("["), best);
        for level in 0..self.levels {
            let qty = 1 + self.below(5_000);
            let comma = if level == 0 { "" } else { "," };
            let (whole, tenth) = (price / 10, price % 10);
            let _ = write!(text, "{comma}[{whole}.{tenth},{}.{:03}]", qty / 1_000, qty % 1_000);
            price += step * (1 + self.below(3).cast_signed());
        }
        text + "]"
    }
}

impl Iterator for CcxtLines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.time_ms += 20 + self.below(300).cast_signed();
        let index = usize::try_from(self.below(self.symbols.len() as u64)).unwrap_or_default();
        let shift = self.below(9).cast_signed() - 4;
        self.symbols[index].2 += shift;
        let (exchange, symbol, bid) = self.symbols[index].clone();
        let (kind, content) = if self.below(6) == 0 {
            let side = ["buy", "sell"][usize::from(self.below(2) == 1)];
            let (price, qty) = (bid + self.below(2).cast_signed(), 1 + self.below(900));
            let (whole, tenth, time) = (price / 10, price % 10, self.time_ms);
            let trade = format!(
                r#"[{{"timestamp":{time},"side":"{side}","price":{whole}.{tenth},"amount":0.{qty:03}}}]"#
            );
            ("trades", trade)
        } else {
            let ask = bid + 1 + self.below(3).cast_signed();
            let (bids, asks) = (self.side(bid, -1), self.side(ask, 1));
            let time = self.time_ms;
            let book =
                format!(r#"{{"bids":{bids},"asks":{asks},"timestamp":{time},"nonce":null}}"#);
            ("orderbook", book)
        };
        let local = self.time_ms + 12;
        Some(format!(
            r#"{{"type":"{kind}","exchange":"{exchange}","symbol":"{symbol}","data":{content},"collected_at":{local}}}"#
        ))
    }
}
