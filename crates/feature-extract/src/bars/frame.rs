//! What one frame adds to a bar, in integers.

use feature_kernel::FrameRef;
use feature_kernel::numeric::quantised;
use market_model::{Instrument, QualityFlags, Trade};

/// Places of the columns of `bars_v1`.
const MID_X2: usize = 0;
const SPREAD: usize = 1;
const REL_SPREAD: usize = 2;
const IMBALANCE: usize = 3;
const OFI: usize = 4;
const RETURN: usize = 5;
const TRADE_COUNT: usize = 6;
const BUY_QTY: usize = 7;
const SELL_QTY: usize = 8;

/// Units of one in a step return: 2^52; the column is an exact multiple.
pub(super) const RETURN_UNIT: f64 = 4_503_599_627_370_496.0;

/// What the integers of an instrument are worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    pub(super) price_scale: u8,
    pub(super) qty_scale: u8,
    tick_scaled: i64,
    lot_scaled: i64,
}

impl From<&Instrument> for Units {
    fn from(instrument: &Instrument) -> Self {
        Self {
            price_scale: instrument.price_scale,
            qty_scale: instrument.qty_scale,
            tick_scaled: instrument.tick_scaled,
            lot_scaled: instrument.lot_scaled,
        }
    }
}

/// The quote of a frame with a two-sided or locked book.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub(super) mid_x2: i64,
    pub(super) spread: i64,
    /// Units of 2^-40; `None` when the mid is not positive.
    pub(super) rel_spread: Option<i128>,
    /// Units of 2^-40.
    pub(super) imbalance: Option<i128>,
}

/// What one frame adds to a bar. Prices and quantities are scaled.
#[derive(Debug, Clone, Copy)]
pub(super) struct BarFrame {
    pub(super) quality: QualityFlags,
    pub(super) epoch: u32,
    pub(super) quote: Option<Quote>,
    pub(super) ofi: i128,
    /// Square of the step return, units of 2^-104.
    pub(super) squared_return: i128,
    pub(super) trades: u64,
    pub(super) volume: i128,
    pub(super) buy_volume: i128,
    pub(super) sell_volume: i128,
    /// Price times quantity.
    pub(super) notional: i128,
}

impl BarFrame {
    pub(super) fn read(frame: FrameRef<'_>, trades: &[Trade], units: Units) -> Self {
        let integer = |index| frame.value(index).map(u64::cast_signed);
        let float = |index| frame.value(index).map(f64::from_bits);
        let sum = |index| integer(index).map_or(0, i128::from);
        let quote = integer(MID_X2).zip(integer(SPREAD)).map(|(mid_x2, spread)| Quote {
            mid_x2,
            spread,
            rel_spread: float(REL_SPREAD).map(|x| quantised(x).0),
            imbalance: float(IMBALANCE).map(|x| quantised(x).0),
        });
        let step = float(RETURN).map_or(0, |x| (x * RETURN_UNIT) as i128);
        let header = frame.header();
        let mut seen = Self {
            quality: header.quality,
            epoch: header.epoch,
            quote,
            ofi: sum(OFI),
            squared_return: step * step,
            trades: 0,
            volume: 0,
            buy_volume: sum(BUY_QTY),
            sell_volume: sum(SELL_QTY),
            notional: 0,
        };
        // Without a valid count the packet was lost, and its trades with it.
        if frame.value(TRADE_COUNT).is_some() {
            trades.iter().for_each(|trade| seen.trade(trade, units));
        }
        seen
    }

    fn trade(&mut self, trade: &Trade, units: Units) {
        let price = i128::from(trade.price_ticks) * i128::from(units.tick_scaled);
        let qty = i128::from(trade.qty_lots) * i128::from(units.lot_scaled);
        self.trades += 1;
        self.volume += qty;
        self.notional += price * qty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_set() {
        let set = feature_runtime::built_in_set(super::super::SET).unwrap();
        let places = [
            (MID_X2, "mid_price_x2"),
            (SPREAD, "spread_scaled"),
            (REL_SPREAD, "rel_spread"),
            (IMBALANCE, "l1_imbalance"),
            (OFI, "ofi_l1_raw"),
            (RETURN, "log_return_step"),
            (TRADE_COUNT, "trade_count"),
            (BUY_QTY, "buy_qty"),
            (SELL_QTY, "sell_qty"),
        ];
        assert_eq!(set.len(), places.len());
        for (place, name) in places {
            assert_eq!(set.index_of(name), Some(place), "{name}");
        }
    }
}
