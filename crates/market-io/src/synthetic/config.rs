//! What a synthetic market is made of.

use market_model::{Decimal, Instrument, MAX_SCALED};

use crate::error::{Error, quoted};

/// A synthetic market. Everything has a default; set what matters.
///
/// ```
/// use market_io::synthetic::SyntheticConfig;
/// let config = SyntheticConfig { seed: 7, gaps: 1, ..SyntheticConfig::default() };
/// assert_eq!(config.symbol, "BTCUSDT");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticConfig {
    /// Seed; the same one gives the same market.
    pub seed: u64,
    /// Name of the symbol.
    pub symbol: String,
    /// Dense id that packets carry.
    pub symbol_id: u32,
    /// First event time, UTC ns; whole milliseconds.
    pub start_ns: i64,
    /// Length in event time, ns.
    pub duration_ns: i64,
    /// Diffs per second of a quiet market; trades and best quotes come on top.
    pub packets_per_second: u32,
    /// Order events per diff; a diff holds somewhat fewer levels than that.
    pub events_per_packet: u32,
    /// Tick size as decimal text; prices are written with as many decimals.
    pub tick_size: String,
    /// Lot size as decimal text; quantities are written with as many decimals.
    pub lot_size: String,
    /// First best bid as decimal text; a multiple of the tick size.
    pub start_price: String,
    /// Levels per side of a snapshot.
    pub levels: u32,
    /// Diffs that are lost; a snapshot follows each.
    pub gaps: u32,
    /// Diffs that cross the book; the next diff repairs it.
    pub crossed: u32,
    /// Diffs that arrive twice.
    pub duplicates: u32,
    /// Pairs of diffs that arrive in the wrong order; a snapshot follows each.
    pub reorders: u32,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            symbol: "BTCUSDT".into(),
            symbol_id: 0,
            start_ns: 1_735_689_600_000_000_000, // 2025-01-01T00:00:00Z
            duration_ns: 60_000_000_000,
            packets_per_second: 20,
            events_per_packet: 60,
            tick_size: "0.10".into(),
            lot_size: "0.001".into(),
            start_price: "61800.20".into(),
            levels: 1_000,
            gaps: 0,
            crossed: 0,
            duplicates: 0,
            reorders: 0,
        }
    }
}

/// The configuration as numbers.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) instrument: Instrument,
    pub(super) start_ticks: i64,
    /// Distance from the touch up to which there are orders, in ticks.
    pub(super) reach: i64,
}

impl SyntheticConfig {
    /// The instrument of the market.
    ///
    /// # Errors
    ///
    /// [`Error::Instrument`] when a size is not a positive decimal, [`Error::Option`] for any other
    /// value that cannot be used.
    pub fn instrument(&self) -> Result<Instrument, Error> {
        self.check().map(|checked| checked.instrument)
    }

    /// Decimals of the tick and lot size as they are written, trailing zeros included.
    pub(crate) fn written_decimals(&self) -> (u8, u8) {
        let count = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len());
        let count = |text: &str| u8::try_from(count(text)).unwrap_or(u8::MAX);
        (count(&self.tick_size), count(&self.lot_size))
    }

    pub(super) fn check(&self) -> Result<Checked, Error> {
        let wrong = |option, expected, found: &dyn std::fmt::Display| Error::Option {
            option,
            expected,
            found: found.to_string(),
        };
        let mut instrument =
            Instrument::new(self.symbol_id, &self.symbol, &self.tick_size, &self.lot_size)?;
        instrument.venue = "synthetic".into();
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if self.symbol.is_empty() || self.symbol.len() > 64 || !self.symbol.bytes().all(plain) {
            let found = quoted(self.symbol.as_bytes());
            return Err(wrong("symbol", "1 to 64 letters, digits, `-`, `_` or `.`", &found));
        }
        let start = Decimal::parse(self.start_price.as_bytes());
        let start = start.and_then(|d| d.to_scaled(instrument.price_scale));
        let start_ticks = match start {
            Ok((scaled, false)) if scaled % instrument.tick_scaled == 0 => {
                scaled / instrument.tick_scaled
            }
            _ => {
                let found = quoted(self.start_price.as_bytes());
                return Err(wrong("start_price", "a decimal multiple of the tick size", &found));
            }
        };
        let levels = i64::from(self.levels);
        let reach = (levels * 4).max(512);
        let largest = MAX_SCALED / instrument.tick_scaled / 2;
        if !(1..=10_000).contains(&levels) {
            return Err(wrong("levels", "1 to 10000", &levels));
        }
        if !(reach + 2_048..=largest).contains(&start_ticks) {
            let expected =
                "at least 4 * levels + 2048 (at least 2560) and at most 2^52 / tick ticks";
            return Err(wrong("start_price", expected, &format!("{start_ticks} ticks")));
        }
        if instrument.lot_scaled > MAX_SCALED / 10_000_000_000 {
            return Err(wrong("lot_size", "at most 900719 units", &instrument.lot_scaled));
        }
        if !(1..=1_000_000).contains(&self.packets_per_second) {
            let found = self.packets_per_second;
            return Err(wrong("packets_per_second", "1 to 1000000", &found));
        }
        if !(1..=10_000).contains(&self.events_per_packet) {
            return Err(wrong("events_per_packet", "1 to 10000", &self.events_per_packet));
        }
        let end = self.start_ns.checked_add(self.duration_ns);
        let is_whole = self.start_ns % 1_000_000 == 0 && self.duration_ns > 0;
        if !is_whole || end.is_none_or(|t| market_model::check_ns(t).is_err()) {
            let expected = "a whole millisecond, and an end between 2000 and 2100";
            return Err(wrong("start_ns", expected, &self.start_ns));
        }
        market_model::check_ns(self.start_ns)
            .map_err(|e| wrong("start_ns", "a time in ns between 2000 and 2100", &e))?;
        Ok(Checked { instrument, start_ticks, reach })
    }
}
