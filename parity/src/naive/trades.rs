//! Trades and their sides (`specs/features/trades.md`): every trade of the epoch that a window can reach.

use std::collections::VecDeque;

use feature_kernel::Feature;
use market_model::{Aggressor, Trade};

use super::Defect;
use super::columns::{Quote, Scene, Value, number, ratio};

/// A trade with its side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print {
    pub(super) t_ns: i64,
    price: i128,
    pub(super) qty: i128,
    /// 1, -1, or 0 when nothing told the side.
    pub(super) sign: i128,
    /// Thousandths.
    pub(super) confidence: u32,
}

/// Trades of the epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Prints {
    history: VecDeque<Print>,
    /// Trades of the newest packet.
    pub(super) packet: Vec<Print>,
    last: Option<Print>,
    quote: Option<Quote>,
    /// The last two different prices, newest first.
    prices: Vec<i64>,
}

impl Prints {
    /// Takes the trades of a packet; `quote` are the quotes after it, none on a frozen book.
    pub(super) fn step(&mut self, scene: &Scene<'_>, quote: Option<Quote>, gap: bool, reach: i64) {
        if gap && scene.defect != Some(Defect::SignsAcrossGap) {
            self.quote = None;
            self.prices.clear();
        }
        if scene.defect == Some(Defect::SignedByNewQuotes) {
            self.quote = quote;
        }
        self.packet.clear();
        for trade in &scene.packet.trades {
            let print = self.print(trade, scene);
            self.packet.push(print);
        }
        self.history.extend(&self.packet);
        self.last = self.packet.last().copied().or(self.last);
        self.quote = quote;
        let oldest = i128::from(scene.now_ns) - i128::from(reach);
        while self.history.front().is_some_and(|print| i128::from(print.t_ns) < oldest) {
            self.history.pop_front();
        }
    }

    fn print(&mut self, trade: &Trade, scene: &Scene<'_>) -> Print {
        let price = scene.scaled_price(trade.price_ticks);
        let forgets = scene.defect == Some(Defect::FlatTickForgotten);
        if self.prices.first() != Some(&trade.price_ticks) {
            self.prices.insert(0, trade.price_ticks);
            self.prices.truncate(2);
        } else if forgets {
            self.prices.truncate(1);
        }
        let (sign, confidence) = match trade.aggressor {
            Aggressor::Buy => (1, 1_000),
            Aggressor::Sell => (-1, 1_000),
            Aggressor::Unknown => self.infer(price),
        };
        let sign = if scene.defect == Some(Defect::AggressorSwapped) { -sign } else { sign };
        let qty = scene.scaled_qty(trade.qty_lots);
        Print { t_ns: scene.now_ns, price, qty, sign, confidence }
    }

    /// At or through a quote, then the near side of the mid, then the tick rule.
    fn infer(&self, price: i128) -> (i128, u32) {
        if let Some(quote) = self.quote {
            let locked = quote.bid == quote.ask;
            match price {
                p if p > quote.ask || (p == quote.ask && !locked) => return (1, 1_000),
                p if p < quote.bid || (p == quote.bid && !locked) => return (-1, 1_000),
                p if 2 * p > quote.bid + quote.ask => return (1, 800),
                p if 2 * p < quote.bid + quote.ask => return (-1, 800),
                _ => {}
            }
        }
        match self.prices[..] {
            [now, before] if now > before => (1, 500),
            [_, _] => (-1, 500),
            _ => (0, 0),
        }
    }

    /// The value of a column of the family.
    pub(super) fn value(&self, feature: &Feature, scene: &Scene<'_>) -> Option<Value> {
        let id = feature.column.id;
        let inside: Vec<Print> = match number(feature, "window_ns") {
            0 => self.packet.clone(),
            window_ns => self.window(window_ns, scene),
        };
        let side = |sign: i128| -> i128 {
            inside.iter().filter(|print| print.sign == sign).map(|print| print.qty).sum()
        };
        let value = match id {
            "trade_count" | "trade_count_sum" => inside.len() as i128,
            "buy_qty" | "buy_qty_sum" => side(1),
            "sell_qty" | "sell_qty_sum" => side(-1),
            "signed_flow" | "signed_flow_sum" => side(1) - side(-1),
            "trade_qty_sum" => inside.iter().map(|print| print.qty).sum(),
            "tfi" => return ratio(side(1) - side(-1), side(1) + side(-1)),
            "vwap" => {
                let notional: i128 = inside.iter().map(|print| print.price * print.qty).sum();
                let qty: i128 = inside.iter().map(|print| print.qty).sum();
                return ratio(notional, qty * scene.price_unit());
            }
            "last_trade_price" => self.last?.price,
            "last_trade_qty" => self.last?.qty,
            _ => return None,
        };
        Some(Value::Int(value))
    }

    fn window(&self, window_ns: i64, scene: &Scene<'_>) -> Vec<Print> {
        let rests = scene.defect == Some(Defect::TradesNeverDecay);
        let now_ns = match self.last {
            Some(last) if rests => last.t_ns,
            _ => scene.now_ns,
        };
        let closed = i128::from(scene.defect == Some(Defect::WrongWindowEdge));
        let edge = i128::from(now_ns) - i128::from(window_ns) - closed;
        let newest_first = self.history.iter().rev();
        newest_first.take_while(|print| i128::from(print.t_ns) > edge).copied().collect()
    }
}
