//! Trading on paper: fills at the touch, and a strategy that only compares a feature with a threshold.

use std::sync::mpsc::Sender;

use feature_runtime::{FeatureEngine, FeatureValue};
use market_model::QualityFlags;

use crate::strategy::{Context, Strategy};

/// Cash and position of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PaperAccount {
    /// Units held; negative is short.
    pub position: i64,
    /// Cash, price units (`10^-price_scale`) times units held; starts at 0.
    pub cash_scaled: i128,
    /// Fills.
    pub trades: u64,
}

impl PaperAccount {
    /// Buys at the ask or sells at the bid until the position is `target`.
    pub fn move_to(&mut self, target: i64, bid_scaled: i64, ask_scaled: i64) {
        let units = i128::from(target) - i128::from(self.position);
        if units == 0 {
            return;
        }
        let price = if units > 0 { ask_scaled } else { bid_scaled };
        self.cash_scaled -= units * i128::from(price);
        self.position = target;
        self.trades += 1;
    }

    /// What remains after the position is closed at the touch, in units of cash.
    #[must_use]
    pub fn closed_scaled(&self, bid_scaled: i64, ask_scaled: i64) -> i128 {
        let mut closed = *self;
        closed.move_to(0, bid_scaled, ask_scaled);
        closed.cash_scaled
    }
}

/// Result of a paper strategy for one symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperResult {
    /// Symbol.
    pub symbol: String,
    /// Account after the last frame.
    pub account: PaperAccount,
    /// Profit after closing at the last touch, price units times units held; `None` before any quote.
    pub profit_scaled: Option<i128>,
    /// Decimals of a price unit.
    pub price_scale: u8,
}

/// Goes long one unit while a feature is at or above a threshold, short one while it is at or below its
/// negative, and stays as it is in between. It computes no feature.
#[derive(Debug)]
pub struct PaperThreshold {
    features: [String; 3],
    enter: f64,
    accounts: Vec<(PaperAccount, Option<[i64; 2]>)>,
    results: Sender<Vec<PaperResult>>,
}

impl PaperThreshold {
    /// Follows `feature`; results are sent after the last packet.
    #[must_use]
    pub fn new(feature: &str, enter: f64, results: Sender<Vec<PaperResult>>) -> Self {
        let features = [feature, "best_bid", "best_ask"].map(str::to_owned);
        Self { features, enter, accounts: Vec::new(), results }
    }
}

impl Strategy for PaperThreshold {
    fn name(&self) -> &'static str {
        "paper threshold"
    }

    fn required_features(&self) -> Vec<String> {
        self.features.to_vec()
    }

    fn on_features(&mut self, context: &Context<'_>) {
        let symbol = context.symbol_id() as usize;
        if self.accounts.len() <= symbol {
            self.accounts.resize(symbol + 1, Default::default());
        }
        let (account, touch) = &mut self.accounts[symbol];
        let (Some(FeatureValue::I64(bid)), Some(FeatureValue::I64(ask))) =
            (context.value(1), context.value(2))
        else {
            return;
        };
        *touch = Some([bid, ask]);
        // A frame with any defect is no reason to trade.
        let Some(signal) = context.value(0).filter(|_| context.is_ready(0)) else { return };
        if context.quality() != QualityFlags::empty() {
            return;
        }
        let signal = signal.as_f64();
        if signal >= self.enter {
            account.move_to(1, bid, ask);
        } else if signal <= -self.enter {
            account.move_to(-1, bid, ask);
        }
    }

    fn on_end(&mut self, engine: &FeatureEngine) {
        let results =
            engine.symbols().zip(&self.accounts).map(|(symbol, (account, touch))| PaperResult {
                symbol: symbol.instrument().symbol.clone(),
                account: *account,
                profit_scaled: touch.map(|[bid, ask]| account.closed_scaled(bid, ask)),
                price_scale: symbol.instrument().price_scale,
            });
        // Nobody has to wait for the results.
        let _ = self.results.send(results.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_pay_the_spread_and_closing_does_so_once_more() {
        let mut account = PaperAccount::default();
        account.move_to(1, 100, 101);
        assert_eq!((account.cash_scaled, account.closed_scaled(100, 101)), (-101, -1));
        account.move_to(-1, 110, 111);
        assert_eq!((account.cash_scaled, account.position, account.trades), (119, -1, 2));
        account.move_to(-1, 90, 91);
        assert_eq!((account.trades, account.closed_scaled(90, 91)), (2, 28));
    }
}
