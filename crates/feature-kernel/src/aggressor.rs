//! Which side took liquidity in a trade (`specs/features/trades.md`).

use core::cmp::Ordering;

use market_model::{Aggressor, StateError, StateReader, StateWriter, Trade};

use crate::context::Context;

/// Who crossed the spread, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed {
    /// 1 for a buy, -1 for a sell, 0 when nothing tells.
    pub(crate) sign: i128,
    /// Thousandths.
    pub(crate) confidence: u16,
}

/// Signs trades: as the venue says, else by the quotes before the packet, else by the last change of price.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signer {
    /// Bid and ask after the packet before, scaled; `None` when it left none.
    quotes: Option<(i64, i64)>,
    last_price_ticks: Option<i64>,
    /// Direction of the last change of price; 0 before the first.
    tick: i64,
}

impl Signer {
    /// Before the trades of a packet: nothing is told by what lies before missing packets.
    #[inline]
    pub(crate) fn open<B>(&mut self, context: &Context<'_, B>) {
        if context.gap_step {
            *self = Self::default();
        }
    }

    /// After the trades of a packet: its quotes are those of the next one.
    #[inline]
    pub(crate) fn close<B>(&mut self, context: &Context<'_, B>) {
        self.quotes = (!context.frozen).then_some((context.quotes.bid, context.quotes.ask));
    }

    /// The side of the next trade of the packet.
    pub(crate) fn sign<B>(&mut self, trade: &Trade, context: &Context<'_, B>) -> Signed {
        match self.last_price_ticks.replace(trade.price_ticks) {
            Some(last) if trade.price_ticks > last => self.tick = 1,
            Some(last) if trade.price_ticks < last => self.tick = -1,
            _ => {}
        }
        match trade.aggressor {
            Aggressor::Buy => Signed { sign: 1, confidence: 1_000 },
            Aggressor::Sell => Signed { sign: -1, confidence: 1_000 },
            Aggressor::Unknown => {
                let price = i128::from(trade.price_ticks) * i128::from(context.units.tick_scaled);
                self.by_quotes(price).unwrap_or_else(|| self.by_tick())
            }
        }
    }

    fn by_quotes(&self, price: i128) -> Option<Signed> {
        let (bid, ask) = self.quotes?;
        let (bid, ask) = (i128::from(bid), i128::from(ask));
        let sign = match (2 * price).cmp(&(bid + ask)) {
            Ordering::Greater => 1,
            Ordering::Less => -1,
            Ordering::Equal => return None,
        };
        let outside = price >= ask || price <= bid;
        Some(Signed { sign, confidence: if outside { 1_000 } else { 800 } })
    }

    fn by_tick(&self) -> Signed {
        Signed { sign: self.tick.into(), confidence: if self.tick == 0 { 0 } else { 500 } }
    }

    pub(crate) fn save(&self, out: &mut StateWriter) {
        out.u64(self.quotes.is_some().into());
        let (bid, ask) = self.quotes.unwrap_or_default();
        out.i64(bid);
        out.i64(ask);
        out.opt_i64(self.last_price_ticks);
        out.i64(self.tick);
    }

    pub(crate) fn load(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let some = from.bool("quotes of the signer")?;
        let quotes = (from.i64()?, from.i64()?);
        let (last_price_ticks, tick) = (from.opt_i64()?, from.i64()?);
        if !(-1..=1).contains(&tick) {
            return Err(from.invalid("tick of the signer", &tick));
        }
        Ok(Self { quotes: some.then_some(quotes), last_price_ticks, tick })
    }
}
