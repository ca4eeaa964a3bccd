//! The sums of one bar, in integers, and their floats at its end.

use feature_kernel::numeric::{float, pow10, ratio};
use market_model::{QualityFlags, StateError, StateReader, StateWriter};

use super::columns::{Column, INTEGERS};
use super::frame::{BarFrame, Quote, RETURN_UNIT, Units};

/// Units of one in which ratios are summed: 2^40.
const RATIO_UNIT: i128 = 1 << 40;

/// Units of one of a squared return: 2^104.
const SQUARE_UNIT: f64 = RETURN_UNIT * RETURN_UNIT;

/// After these a bar does not hold everything that happened in it.
const BREAKS: QualityFlags = QualityFlags::GAP_DETECTED.union(QualityFlags::STATE_RESET);

/// A mean in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: i128,
    count: u64,
}

impl Mean {
    fn add(&mut self, x: i128) {
        self.sum += x;
        self.count += 1;
    }

    /// `unit` is what one is worth in the sum; `None` when there was nothing.
    fn value(self, unit: i128) -> Option<f64> {
        ratio(self.sum, i128::from(self.count) * unit)
    }
}

/// Sums over the frames of one bar. Prices and quantities are scaled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bar {
    quality: QualityFlags,
    epoch: u32,
    frames: u64,
    quotes: u64,
    open_x2: i64,
    high_x2: i64,
    low_x2: i64,
    close_x2: i64,
    spread: Mean,
    spread_min: i64,
    spread_max: i64,
    rel_spread: Mean,
    imbalance: Mean,
    ofi: i128,
    squared_returns: i128,
    trades: u64,
    volume: i128,
    buy_volume: i128,
    sell_volume: i128,
    notional: i128,
}

impl Bar {
    /// The bar after this one, before its first frame.
    pub(super) fn next(&self) -> Self {
        Self { epoch: self.epoch, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether no frame says that something is missing or began anew.
    pub(super) fn is_unbroken(&self) -> bool {
        !self.quality.intersects(BREAKS)
    }

    #[inline]
    pub(super) fn add(&mut self, frame: &BarFrame) {
        self.quality |= frame.quality;
        self.epoch = frame.epoch;
        self.frames += 1;
        if let Some(quote) = &frame.quote {
            self.quote(quote);
        }
        self.ofi += frame.ofi;
        // 2^23 returns of one are the limit; it is far, and passing it must not wrap.
        self.squared_returns = self.squared_returns.saturating_add(frame.squared_return);
        self.trades += frame.trades;
        self.volume += frame.volume;
        self.buy_volume += frame.buy_volume;
        self.sell_volume += frame.sell_volume;
        self.notional = self.notional.saturating_add(frame.notional);
    }

    fn quote(&mut self, quote: &Quote) {
        if self.quotes == 0 {
            (self.open_x2, self.high_x2, self.low_x2) = (quote.mid_x2, quote.mid_x2, quote.mid_x2);
            (self.spread_min, self.spread_max) = (quote.spread, quote.spread);
        }
        self.quotes += 1;
        self.high_x2 = self.high_x2.max(quote.mid_x2);
        self.low_x2 = self.low_x2.min(quote.mid_x2);
        self.close_x2 = quote.mid_x2;
        self.spread.add(quote.spread.into());
        self.spread_min = self.spread_min.min(quote.spread);
        self.spread_max = self.spread_max.max(quote.spread);
        quote.rel_spread.into_iter().for_each(|x| self.rel_spread.add(x));
        quote.imbalance.into_iter().for_each(|x| self.imbalance.add(x));
    }

    /// Writes the words from the fourth column on; the result is the validity of all columns.
    pub(super) fn write(&self, units: Units, words: &mut [u64]) -> u64 {
        let (price_unit, qty_unit) = (pow10(units.price_scale), pow10(units.qty_scale));
        let quoted = |x: i64, unit: i128| (self.quotes > 0).then(|| float(x.into()) / float(unit));
        let mid = |mid_x2| quoted(mid_x2, 2 * price_unit);
        let qty = |x: i128| Some(float(x) / float(qty_unit));
        let floats = [
            (Column::Open, mid(self.open_x2)),
            (Column::High, mid(self.high_x2)),
            (Column::Low, mid(self.low_x2)),
            (Column::Close, mid(self.close_x2)),
            (Column::MeanSpread, self.spread.value(price_unit)),
            (Column::MinSpread, quoted(self.spread_min, price_unit)),
            (Column::MaxSpread, quoted(self.spread_max, price_unit)),
            (Column::MeanRelSpread, self.rel_spread.value(RATIO_UNIT)),
            (Column::MeanImbalance, self.imbalance.value(RATIO_UNIT)),
            (Column::Ofi, qty(self.ofi)),
            (Column::RealizedVariance, Some(float(self.squared_returns) / SQUARE_UNIT)),
            (Column::Volume, qty(self.volume)),
            (Column::BuyVolume, qty(self.buy_volume)),
            (Column::SellVolume, qty(self.sell_volume)),
            (Column::Vwap, ratio(self.notional, self.volume * price_unit)),
        ];
        let integers = [
            (Column::QualityFlags, self.quality.bits().into()),
            (Column::Epoch, self.epoch.into()),
            (Column::Frames, self.frames),
            (Column::Quotes, self.quotes),
            (Column::TradeCount, self.trades),
        ];
        let mut valid = INTEGERS;
        for (column, word) in integers {
            words[column as usize] = word;
        }
        for (column, value) in floats {
            words[column as usize] = value.unwrap_or_default().to_bits();
            valid |= u64::from(value.is_some()) << column as usize;
        }
        valid
    }

    pub(super) fn save(&self, out: &mut StateWriter) {
        out.u64(self.quality.bits().into());
        out.u64(self.epoch.into());
        [self.frames, self.quotes, self.trades].into_iter().for_each(|x| out.u64(x));
        let prices = [self.open_x2, self.high_x2, self.low_x2, self.close_x2];
        prices.into_iter().chain([self.spread_min, self.spread_max]).for_each(|x| out.i64(x));
        for mean in [self.spread, self.rel_spread, self.imbalance] {
            out.i128(mean.sum);
            out.u64(mean.count);
        }
        let sums = [self.ofi, self.squared_returns, self.volume, self.buy_volume];
        sums.into_iter().chain([self.sell_volume, self.notional]).for_each(|x| out.i128(x));
    }

    pub(super) fn load(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let quality = from.u64()?;
        let known = u32::try_from(quality).ok().map(QualityFlags::from_bits_retain);
        let quality = known.ok_or_else(|| from.invalid("quality of a bar", &quality))?;
        let epoch = from.u64()?;
        let epoch = u32::try_from(epoch).map_err(|_| from.invalid("epoch of a bar", &epoch))?;
        let [frames, quotes, trades] = [from.u64()?, from.u64()?, from.u64()?];
        let [open_x2, high_x2, low_x2] = [from.i64()?, from.i64()?, from.i64()?];
        let [close_x2, spread_min, spread_max] = [from.i64()?, from.i64()?, from.i64()?];
        let mut mean = || Ok(Mean { sum: from.i128()?, count: from.u64()? });
        let [spread, rel_spread, imbalance] = [mean()?, mean()?, mean()?];
        Ok(Self {
            quality,
            epoch,
            frames,
            quotes,
            open_x2,
            high_x2,
            low_x2,
            close_x2,
            spread,
            spread_min,
            spread_max,
            rel_spread,
            imbalance,
            ofi: from.i128()?,
            squared_returns: from.i128()?,
            trades,
            volume: from.i128()?,
            buy_volume: from.i128()?,
            sell_volume: from.i128()?,
            notional: from.i128()?,
        })
    }
}
