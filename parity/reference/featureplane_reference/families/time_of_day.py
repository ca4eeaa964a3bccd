"""Reference of family ``time``: the clock and the age of the data. Spec: ``specs/features/time.md``."""

from __future__ import annotations

from .base import Column, Feature, View

REV = {
    "hour_utc": 1,
    "minute_utc": 1,
    "day_of_week": 1,
    "is_weekend": 1,
    "seconds_to_funding": 1,
    "book_age_ns": 1,
    "feed_latency_ns": 1,
}

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def day_of_week(now: int) -> int:
    """0 = Monday .. 6 = Sunday; 1970-01-01 was a Thursday."""
    return (now // DAY + 3) % 7


class ClockFeature(Feature):
    """A column that depends on the time of the row only."""

    reads = "clock"
    resamples = True

    def compute(self, view: View) -> int | None:
        return self.at(view.now, view.last_book_t)


class HourUtc(ClockFeature):
    """Hour of the day."""

    def at(self, now: int, last_book_t: int) -> int:
        return now // HOUR % 24


class MinuteUtc(ClockFeature):
    """Minute of the hour."""

    def at(self, now: int, last_book_t: int) -> int:
        return now // MINUTE % 60


class DayOfWeek(ClockFeature):
    """Day of the week."""

    def at(self, now: int, last_book_t: int) -> int:
        return day_of_week(now)


class IsWeekend(ClockFeature):
    """1 on Saturday and Sunday."""

    def at(self, now: int, last_book_t: int) -> int:
        return 1 if day_of_week(now) >= 5 else 0


class SecondsToFunding(ClockFeature):
    """Whole seconds, rounded up, to the next 00:00, 08:00 or 16:00 strictly after ``now``."""

    def at(self, now: int, last_book_t: int) -> int:
        left = 8 * HOUR - now % (8 * HOUR)
        return -(-left // SECOND)


class BookAge(ClockFeature):
    """Time since the last book packet that was applied."""

    def at(self, now: int, last_book_t: int) -> int:
        return now - last_book_t


class FeedLatency(ClockFeature):
    """``ts_recv - ts_event`` of the packet, as given."""

    def compute(self, view: View) -> int | None:
        if view.ts_event == 0 or view.ts_recv == 0:
            return None
        return view.ts_recv - view.ts_event

    def at(self, now: int, last_book_t: int) -> None:
        return None


COLUMNS = {
    "hour_utc": Column(HourUtc, "u32", "none", "hour"),
    "minute_utc": Column(MinuteUtc, "u32", "none", "minute"),
    "day_of_week": Column(DayOfWeek, "u32", "none", "day"),
    "is_weekend": Column(IsWeekend, "u32", "none", "bool"),
    "seconds_to_funding": Column(SecondsToFunding, "i64", "none", "s"),
    "book_age_ns": Column(BookAge, "i64", "none", "ns"),
    "feed_latency_ns": Column(FeedLatency, "i64", "none", "ns"),
}
