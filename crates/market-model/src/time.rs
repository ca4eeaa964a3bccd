//! Sanity of timestamps at the edge (rule D19).

use thiserror::Error;

const MIN_NS: i64 = 946_684_800_000_000_000; // 2000-01-01T00:00:00Z
const MAX_NS: i64 = 4_102_444_800_000_000_000; // 2100-01-01T00:00:00Z

/// A timestamp outside the years 2000 to 2100, most likely given in another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("timestamp {value} is outside 2000..2100 as nanoseconds{}", hint(*.suspected))]
pub struct TimeUnitError {
    /// The value as found.
    pub value: i64,
    /// The unit in which the value would fall inside 2000..2100, if any.
    pub suspected: Option<&'static str>,
}

fn hint(unit: Option<&str>) -> String {
    unit.map_or_else(String::new, |u| format!("; it would fit as {u}"))
}

/// Accepts a UTC nanosecond timestamp between 2000-01-01 and 2100-01-01.
///
/// # Errors
///
/// [`TimeUnitError`] naming the unit that was probably meant; it is never guessed.
///
/// ```
/// let err = market_model::check_ns(1_723_161_255_030).unwrap_err();
/// assert_eq!(err.suspected, Some("milliseconds"));
/// ```
pub fn check_ns(value: i64) -> Result<i64, TimeUnitError> {
    if (MIN_NS..MAX_NS).contains(&value) {
        return Ok(value);
    }
    let suspected =
        [("microseconds", 1_000), ("milliseconds", 1_000_000), ("seconds", 1_000_000_000)]
            .into_iter()
            .find(|(_, factor)| {
                value.checked_mul(*factor).is_some_and(|ns| (MIN_NS..MAX_NS).contains(&ns))
            })
            .map(|(unit, _)| unit);
    Err(TimeUnitError { value, suspected })
}
