//! The clock (family `time`).
//!
//! Spec: `specs/features/time.md`. Reference and cases: `parity/reference`, `parity/cases/time.toml`.

use market_model::BookView;

use super::l1_column;
use crate::context::{Context, Units};
use crate::meta::{ColumnMeta, Dtype, FamilyMeta, Reads, Scale};
use crate::registry::{Family, Wanted};
use crate::slots::Slots;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;
const FUNDING_S: i64 = 8 * 3_600;

/// Fields of the UTC clock and ages.
#[derive(Debug, Clone)]
pub struct Time {
    wanted: Vec<(usize, Column)>,
    clock: Clock,
}

/// Fields of one second; packets of the same second share them.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// Since 1970.
    second: i64,
    of_day: u32,
    day_of_week: u32,
    to_funding: i64,
}

impl Clock {
    fn at(second: i64) -> Self {
        Self {
            second,
            of_day: second.rem_euclid(DAY_S) as u32,
            // 1970-01-01 was a Thursday.
            day_of_week: (second.div_euclid(DAY_S) + 3).rem_euclid(7) as u32,
            // Rounding up what is left equals rounding down what has passed.
            to_funding: FUNDING_S - second.rem_euclid(FUNDING_S),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Hour,
    Minute,
    DayOfWeek,
    IsWeekend,
    SecondsToFunding,
    BookAge,
    FeedLatency,
}

const fn clock(
    id: &'static str,
    dtype: Dtype,
    unit: &'static str,
    doc: &'static str,
) -> ColumnMeta {
    ColumnMeta { reads: Reads::Clock, ..l1_column(id, dtype, Scale::None, unit, doc) }
}

impl Family for Time {
    const META: FamilyMeta = FamilyMeta {
        slug: "time",
        doc: "Fields of the UTC clock and ages.",
        source: "UTC without leap seconds; funding every 8 h as on the large perpetual venues",
        columns: &[
            clock("hour_utc", Dtype::U32, "hour 0..23", "Hour of the day."),
            clock("minute_utc", Dtype::U32, "minute 0..59", "Minute of the hour."),
            clock("day_of_week", Dtype::U32, "0..6", "0 is Monday, 6 is Sunday."),
            clock("is_weekend", Dtype::U32, "0 or 1", "1 on Saturday and Sunday."),
            clock(
                "seconds_to_funding",
                Dtype::I64,
                "s, 1..28800",
                "Seconds, rounded up, to the next 00:00, 08:00 or 16:00 UTC strictly ahead.",
            ),
            clock("book_age_ns", Dtype::I64, "ns", "Time since the last book packet."),
            clock(
                "feed_latency_ns",
                Dtype::I64,
                "ns",
                "Arrival minus event time of the packet; negative when the clocks disagree.",
            ),
        ],
        params: &[],
    };

    fn new(wanted: &[Wanted<'_>], _units: Units) -> Self {
        const COLUMNS: [Column; 7] = [
            Column::Hour,
            Column::Minute,
            Column::DayOfWeek,
            Column::IsWeekend,
            Column::SecondsToFunding,
            Column::BookAge,
            Column::FeedLatency,
        ];
        let wanted = wanted.iter().map(|(slot, f)| (*slot, COLUMNS[f.column_index])).collect();
        Self { wanted, clock: Clock::at(0) }
    }

    #[inline]
    fn fill<B: BookView>(&mut self, context: &Context<'_, B>, slots: &mut Slots<'_>) {
        let second = context.now_ns.div_euclid(SECOND_NS);
        if second != self.clock.second {
            self.clock = Clock::at(second);
        }
        let Clock { of_day, day_of_week, to_funding, .. } = self.clock;
        for &(slot, column) in &self.wanted {
            match column {
                Column::Hour => slots.u32(slot, of_day / 3_600),
                Column::Minute => slots.u32(slot, of_day / 60 % 60),
                Column::DayOfWeek => slots.u32(slot, day_of_week),
                Column::IsWeekend => slots.u32(slot, u32::from(day_of_week >= 5)),
                Column::SecondsToFunding => slots.i64(slot, to_funding),
                Column::BookAge => slots.i64(slot, context.now_ns - context.last_book_ns),
                Column::FeedLatency => {
                    if let Some(stamp) = context.stamp
                        && stamp.ts_event_ns != 0
                        && stamp.ts_recv_ns != 0
                    {
                        let latency = i128::from(stamp.ts_recv_ns) - i128::from(stamp.ts_event_ns);
                        slots.i128(slot, latency);
                    }
                }
            }
        }
    }
}
