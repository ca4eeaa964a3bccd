//! When a row is written (`specs/semantics.md`, section 5), and times as text.

use core::fmt;
use core::str::FromStr;

use crate::error::Error;

/// When a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emission {
    /// One row per frame.
    #[default]
    Packet,
    /// One row per frame of a packet that holds a trade.
    Trade,
    /// One row per grid point, with the state strictly before it.
    Step {
        /// Distance of grid points, ns.
        step_ns: i64,
    },
    /// Rows of `Trade` and of `Step`.
    TradeOrStep {
        /// Distance of grid points, ns.
        step_ns: i64,
    },
}

impl Emission {
    /// Distance of grid points, if there is a grid.
    #[must_use]
    pub const fn step_ns(self) -> Option<i64> {
        match self {
            Self::Packet | Self::Trade => None,
            Self::Step { step_ns } | Self::TradeOrStep { step_ns } => Some(step_ns),
        }
    }
}

impl FromStr for Emission {
    type Err = Error;

    /// Reads `packet`, `trade`, `step:1s` or `trade-or-step:250ms`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let step = |text| parse_duration_ns(text).map(|step_ns| (step_ns, ()));
        match text.split_once(':') {
            None if text == "packet" => Ok(Self::Packet),
            None if text == "trade" => Ok(Self::Trade),
            Some(("step", length)) => step(length).map(|(step_ns, ())| Self::Step { step_ns }),
            Some(("trade-or-step", length)) => {
                step(length).map(|(step_ns, ())| Self::TradeOrStep { step_ns })
            }
            _ => Err(Error::Config {
                field: "emit",
                message: format!(
                    "`{}` is none of packet, trade, step:1s, trade-or-step:1s",
                    text.escape_default()
                ),
            }),
        }
    }
}

impl fmt::Display for Emission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet => f.write_str("packet"),
            Self::Trade => f.write_str("trade"),
            Self::Step { step_ns } => write!(f, "step:{step_ns}ns"),
            Self::TradeOrStep { step_ns } => write!(f, "trade-or-step:{step_ns}ns"),
        }
    }
}

/// A positive duration such as `250ms`, `1s`, `5m`, `1h` or `1000ns`, in ns.
///
/// # Errors
///
/// [`Error::Config`] naming the units there are.
///
/// ```
/// assert_eq!(feature_extract::parse_duration_ns("250ms").unwrap(), 250_000_000);
/// assert!(feature_extract::parse_duration_ns("0s").is_err());
/// ```
pub fn parse_duration_ns(text: &str) -> Result<i64, Error> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[digits..] {
        "ns" => Some(1),
        "us" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    };
    let value = text[..digits].parse::<i64>().ok().zip(factor);
    value.and_then(|(value, factor)| value.checked_mul(factor)).filter(|ns| *ns > 0).ok_or_else(
        || {
            let shown = text.escape_default();
            let message = format!("`{shown}` is not a positive number with ns, us, ms, s, m or h");
            Error::Config { field: "duration", message }
        },
    )
}

/// A time as UTC ns: an integer of ns, or `YYYY-MM-DD[THH:MM[:SS[.fraction]]][Z]`.
///
/// # Errors
///
/// [`Error::Config`] for anything else, and for integers outside the years 2000 to 2100.
///
/// ```
/// use feature_extract::parse_time_ns;
/// assert_eq!(parse_time_ns("2024-08-08T23:54:15.5Z").unwrap(), 1_723_161_255_500_000_000);
/// assert_eq!(parse_time_ns("2024-08-08").unwrap(), 1_723_075_200_000_000_000);
/// assert!(parse_time_ns("1723161255").is_err()); // seconds, not ns
/// ```
pub fn parse_time_ns(text: &str) -> Result<i64, Error> {
    let wrong = |why: &str| Error::Config {
        field: "time",
        message: format!("`{}`: {why}", text.escape_default()),
    };
    if let Ok(value) = text.parse::<i64>() {
        return market_model::check_ns(value).map_err(|e| wrong(&e.to_string()));
    }
    // `parse` alone would take signs.
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<i64>().ok(),
        false => None,
    };
    let shape = "expected ns or YYYY-MM-DD[THH:MM[:SS[.fraction]]][Z]";
    let body = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = body.split_once(['T', ' ']).unwrap_or((body, "00:00"));
    let mut date = date.splitn(3, '-').map(number);
    let (Some(Some(year)), Some(Some(month)), Some(Some(day))) =
        (date.next(), date.next(), date.next())
    else {
        return Err(wrong(shape));
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let fields: Option<Vec<i64>> = clock.split(':').map(number).collect();
    let (hour, minute, second) = match fields.as_deref() {
        Some([hour, minute]) if fraction.is_empty() => (*hour, *minute, 0),
        Some([hour, minute, second]) => (*hour, *minute, *second),
        _ => return Err(wrong(shape)),
    };
    let fraction_ns = match fraction.len() {
        0 => 0,
        1..=9 => number(&format!("{fraction:0<9}")).ok_or_else(|| wrong(shape))?,
        _ => return Err(wrong("more than 9 decimals of a second")),
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let in_range = (2000..2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days[usize::try_from(month - 1).unwrap_or(0).min(11)]).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    if !in_range {
        return Err(wrong("no such date or time between 2000 and 2100"));
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Ok(seconds * 1_000_000_000 + fraction_ns)
}

/// Days from 1970-01-01 in the Gregorian calendar (years counted from March, so that the leap day is last).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// UTC date and time of day, as `2024-08-08` and `235415`.
pub(crate) fn date_text(ns: i64) -> (String, String) {
    const DAY_S: i64 = 86_400;
    let seconds = ns.div_euclid(1_000_000_000);
    let (days, of_day) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    // The inverse of `days_since_1970`: years of March to February, in cycles of 400.
    let shifted = days + 719_468;
    let (cycle, of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leap_free = of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096;
    let year_of_cycle = leap_free / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * cycle + year_of_cycle + i64::from(month <= 2);
    let time = format!("{:02}{:02}{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60);
    (format!("{year:04}-{month:02}-{day:02}"), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_century_is_written_as_it_is_read() {
        let mut ns = parse_time_ns("2000-01-01").unwrap();
        let end = parse_time_ns("2099-12-31").unwrap();
        while ns <= end {
            let (date, time) = date_text(ns + 86_399_999_999_999);
            assert_eq!(parse_time_ns(&date).unwrap(), ns, "{date}");
            assert_eq!(time, "235959");
            ns += 86_400_000_000_000;
        }
    }
}
