//! What only the name of a LOBSTER file says: ticker and date.

use std::path::Path;

use crate::error::{Error, quoted};
use crate::format::calendar::{Date, S_PER_DAY};

/// The first rule of daylight saving time that is known here holds since 2007.
const FIRST_YEAR: i64 = 2007;
const NS_PER_S: i64 = 1_000_000_000;

/// `TICKER_YYYY-MM-DD_...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) ticker: String,
    date: Date,
}

impl FileName {
    pub(super) fn parse(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let mut parts = name.split(|c| *c == b'_');
        let ticker = parts.next().and_then(|part| str::from_utf8(part).ok());
        let ticker = ticker.filter(|ticker| !ticker.is_empty());
        let date = parts.next().and_then(Date::parse).filter(|date| date.year() >= FIRST_YEAR);
        match (ticker, date) {
            (Some(ticker), Some(date)) => Ok(Self { ticker: ticker.into(), date }),
            _ => Err(Error::UnknownFormat {
                path: path.into(),
                expected: "a name TICKER_YYYY-MM-DD_..., since 2007, which tells what day it is",
                found: quoted(name),
            }),
        }
    }

    /// Midnight of New York as UTC.
    pub(super) const fn midnight_ns(&self) -> i64 {
        let hours = if self.date.is_new_york_summer() { 4 } else { 5 };
        (self.date.days() * S_PER_DAY + hours * 3_600) * NS_PER_S
    }
}
