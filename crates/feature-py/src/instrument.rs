//! The settings of one symbol as an instrument.

use market_model::{FeedKind, Instrument, MAX_SCALE, Sequencing};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::decimal_text;
use crate::errors::{config, raise};

/// Settings that have not been looked at yet; what is left at the end is unknown.
struct Settings<'py> {
    symbol: String,
    left: Bound<'py, PyDict>,
}

impl<'py> Settings<'py> {
    fn wrong(&self, what: &str) -> PyErr {
        config(&format!("symbols[{:?}]: {what}", self.symbol))
    }

    fn take(&self, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.left.get_item(key)?;
        if found.is_some() {
            self.left.del_item(key)?;
        }
        Ok(found)
    }

    fn size(&self, key: &str) -> PyResult<Option<String>> {
        self.take(key)?.map(|given| decimal_text(&given, key)).transpose()
    }

    fn number(&self, key: &str) -> PyResult<Option<i64>> {
        self.take(key)?.map(|given| given.extract::<i64>()).transpose()
    }

    fn text(&self, key: &str) -> PyResult<Option<String>> {
        self.take(key)?.map(|given| given.extract::<String>()).transpose()
    }

    /// The grid: as decimal sizes, or as the integers of a packet log.
    fn grid(&self) -> PyResult<Instrument> {
        let new = |tick: &str, lot: &str| {
            Instrument::new(0, &self.symbol, tick, lot)
                .map_err(|error| raise(market_io::Error::from(error)))
        };
        let sizes = [self.size("tick_size")?, self.size("lot_size")?];
        let prices = [self.number("price_scale")?, self.number("tick_scaled")?];
        let quantities = [self.number("qty_scale")?, self.number("lot_scaled")?];
        match (sizes, prices, quantities) {
            ([Some(tick), Some(lot)], [None, None], [None, None]) => new(&tick, &lot),
            (
                [None, None],
                [Some(price_scale), Some(tick_scaled)],
                [Some(qty_scale), Some(lot_scaled)],
            ) => {
                if tick_scaled < 1 || lot_scaled < 1 {
                    return Err(self.wrong("tick_scaled and lot_scaled are at least 1"));
                }
                let (price_scale, qty_scale) = (self.scale(price_scale)?, self.scale(qty_scale)?);
                let base = new("1", "1")?;
                Ok(Instrument { price_scale, qty_scale, tick_scaled, lot_scaled, ..base })
            }
            _ => Err(self.wrong(
                "give tick_size and lot_size, or price_scale, tick_scaled, qty_scale and lot_scaled",
            )),
        }
    }

    fn scale(&self, value: i64) -> PyResult<u8> {
        let scale = u8::try_from(value).ok().filter(|scale| *scale <= MAX_SCALE);
        scale.ok_or_else(|| self.wrong("a scale is 0 to 18"))
    }
}

/// An instrument from the settings of one symbol, a mapping.
pub(crate) fn instrument(symbol: &str, given: &Bound<'_, PyAny>) -> PyResult<Instrument> {
    let left = PyDict::from_sequence(&given.call_method0("items")?)?;
    let settings = Settings { symbol: symbol.into(), left };
    let mut instrument = settings.grid()?;
    if let Some(venue) = settings.text("venue")? {
        instrument.venue = venue;
    }
    instrument.feed = match settings.text("feed")?.as_deref() {
        None | Some("delta") => FeedKind::Delta,
        Some("snapshot") => FeedKind::Snapshot,
        Some(_) => return Err(settings.wrong("feed is delta or snapshot")),
    };
    instrument.sequencing = match settings.text("sequencing")?.as_deref() {
        None | Some("venue") => Sequencing::Venue,
        Some("source_time") => Sequencing::SourceTime,
        Some("arrival") => Sequencing::Arrival,
        Some(_) => return Err(settings.wrong("sequencing is venue, source_time or arrival")),
    };
    if let Some(given) = settings.take("max_age_ns")? {
        instrument.max_age_ns = given.extract()?;
    }
    if let Some(key) = settings.left.keys().iter().next() {
        return Err(settings.wrong(&format!("unknown setting {key}")));
    }
    Ok(instrument)
}
