//! Dates and times as inputs write them.

use market_model::{Decimal, check_ns};

use crate::error::FieldFault;

const NS_PER_S: i64 = 1_000_000_000;
pub(super) const S_PER_DAY: i64 = 86_400;

/// A date of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Reads `YYYY-MM-DD`; `None` for anything else, and for days that do not exist.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let [y, yy, yyy, yyyy, b'-', m, mm, b'-', d, dd] = text else { return None };
        let number = |digits: &[u8]| {
            digits
                .iter()
                .try_fold(0, |sum, c| c.is_ascii_digit().then(|| sum * 10 + i64::from(c - b'0')))
        };
        let date = Self {
            year: number(&[*y, *yy, *yyy, *yyyy])?,
            month: number(&[*m, *mm])?,
            day: number(&[*d, *dd])?,
        };
        let exists = date.year > 0
            && (1..=12).contains(&date.month)
            && (1..=days_of_month(date.year, date.month)).contains(&date.day);
        exists.then_some(date)
    }

    /// Days since 1970-01-01.
    pub(super) const fn days(self) -> i64 {
        // Counted from March, so that the leap day is the last of its year.
        let year = self.year - (self.month <= 2) as i64;
        let month = (self.month + 9) % 12;
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
    }

    /// Whether New York keeps daylight saving time at noon of the day; the rule is that of 2007.
    pub(super) const fn is_new_york_summer(self) -> bool {
        let start = Self { month: 3, day: 8, ..self }.sunday_on_or_after();
        let end = Self { month: 11, day: 1, ..self }.sunday_on_or_after();
        start <= self.days() && self.days() < end
    }

    const fn sunday_on_or_after(self) -> i64 {
        // 1970-01-01 was a Thursday.
        let weekday = (self.days() + 4).rem_euclid(7);
        self.days() + (7 - weekday) % 7
    }

    pub(super) const fn year(self) -> i64 {
        self.year
    }
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS.fffZ`, or with the offset `+00:00`, as UTC ns.
pub(super) fn iso_ns(text: &[u8]) -> Option<i64> {
    let date = Date::parse(text.get(..10)?)?;
    let time = text[10..].strip_prefix(b"T")?;
    let time = time.strip_suffix(b"Z").or_else(|| time.strip_suffix(b"+00:00"))?;
    let [h, hh, b':', m, mm, b':', seconds @ ..] = time else { return None };
    let pair = |tens: &u8, ones: &u8, below: i64| {
        let value = i64::from(tens.checked_sub(b'0')?) * 10 + i64::from(ones.checked_sub(b'0')?);
        (tens.is_ascii_digit() && ones.is_ascii_digit() && value < below).then_some(value)
    };
    let minutes = pair(h, hh, 24)? * 60 + pair(m, mm, 60)?;
    let (ns, _) = Decimal::parse(seconds).ok()?.to_scaled(9).ok()?;
    let is_second = seconds.first()?.is_ascii_digit() && (0..60 * NS_PER_S).contains(&ns);
    let of_seconds = (date.days() * S_PER_DAY + minutes * 60).checked_mul(NS_PER_S)?;
    is_second.then(|| of_seconds.checked_add(ns)).flatten()
}

/// Unit of a time since 1970, as its decimals in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

impl Unit {
    const fn words(self) -> (i32, &'static str) {
        match self {
            Self::Seconds => (9, "a time in s between 2000 and 2100"),
            Self::Milliseconds => (6, "a time in ms between 2000 and 2100"),
            Self::Microseconds => (3, "a time in us between 2000 and 2100"),
        }
    }
}

/// A time since 1970 in decimal text, as UTC ns; digits below a nanosecond are cut.
pub(super) fn unix_ns(field: &'static str, text: &[u8], unit: Unit) -> Result<i64, FieldFault> {
    let (decimals, expected) = unit.words();
    let read = || {
        let decimal = Decimal::parse(text).ok()?;
        let shift = decimals - decimal.scale;
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        let ns = if shift >= 0 {
            decimal.mantissa.checked_mul(power)?
        } else {
            decimal.mantissa.div_euclid(power)
        };
        check_ns(i64::try_from(ns).ok()?).ok()
    };
    read().ok_or_else(|| FieldFault::new(field, expected, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        Date::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn dates_are_counted_in_days() {
        for (text, days) in
            [("1970-01-01", 0), ("1969-12-31", -1), ("2000-02-29", 11_016), ("2012-06-21", 15_512)]
        {
            assert_eq!(date(text).days(), days, "{text}");
        }
        for text in
            ["2011-02-29", "2012-13-01", "2012-00-10", "2012-06-00", "2012-6-21", "+012-06-21"]
        {
            assert_eq!(Date::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn new_york_summer_begins_and_ends_on_sundays() {
        for (text, is_summer) in [
            ("2012-03-10", false),
            ("2012-03-11", true),
            ("2012-06-21", true),
            ("2012-11-03", true),
            ("2012-11-04", false),
            ("2020-03-08", true),
            ("2020-10-31", true),
            ("2020-11-01", false),
        ] {
            assert_eq!(date(text).is_new_york_summer(), is_summer, "{text}");
        }
    }

    #[test]
    fn unix_times_are_exact_and_never_of_another_unit() {
        for (text, unit, ns) in [
            ("1618678132.9348202", Unit::Seconds, Some(1_618_678_132_934_820_200)),
            ("1.6786884e9", Unit::Seconds, Some(1_678_688_400_000_000_000)),
            ("1678886401250", Unit::Milliseconds, Some(1_678_886_401_250_000_000)),
            ("1598918403696000", Unit::Microseconds, Some(1_598_918_403_696_000_000)),
            ("1678886401250", Unit::Seconds, None),
            ("1678886401", Unit::Milliseconds, None),
            ("0", Unit::Seconds, None),
            ("1e400", Unit::Seconds, None),
            ("x", Unit::Seconds, None),
        ] {
            assert_eq!(unix_ns("t", text.as_bytes(), unit).ok(), ns, "{text}");
        }
    }

    #[test]
    fn iso_times_are_exact() {
        for (text, ns) in [
            ("2021-07-22T23:17:06.865Z", Some(1_626_995_826_865_000_000)),
            ("2021-04-17T16:44:41.152313+00:00", Some(1_618_677_881_152_313_000)),
            ("2021-07-22T23:17:06", None),
            ("2021-07-22T24:17:06Z", None),
            ("2021-07-22T23:17:60Z", None),
            ("2021-07-22 23:17:06Z", None),
            ("2021-07-22T23:17:-6Z", None),
            ("2262-04-11T23:47:16.854775807Z", Some(i64::MAX)),
            ("2262-04-11T23:47:16.854775808Z", None),
            ("9211-04-17T16:44:41Z", None),
        ] {
            assert_eq!(iso_ns(text.as_bytes()), ns, "{text}");
        }
    }
}
