//! When a row is written, and what it may know (`specs/semantics.md`, section 5).
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;

use feature_extract::{Emission, RowMaker, parse_duration_ns, parse_time_ns};
use feature_runtime::SymbolEngine;
use jobs::{
    Row, SECOND, START, bid, btc, job, log, market, packets, recording, rows, set, snapshot, trade,
};
use market_model::{Instrument, Packet, PacketKind, QualityFlags};
use proptest::prelude::*;

const SET: &str = "lob_shared_v1";
const BEST_BID: usize = 0;

/// Rows as words: fixed columns and values, and the valid bits.
type Words = Vec<(Vec<u64>, Vec<u64>)>;

fn play(instrument: &Instrument, packets: &[Packet], emission: Emission, range: [i64; 2]) -> Words {
    let engine = SymbolEngine::new(set(SET), instrument.clone());
    let mut maker = RowMaker::new(engine, emission, range[0], range[1]);
    let mut rows = Vec::new();
    for packet in packets {
        maker.push(packet, &mut |words, valid| rows.push((words.to_vec(), valid.to_vec())));
    }
    assert_eq!(maker.rows, rows.len() as u64);
    rows
}

const ALWAYS: [i64; 2] = [i64::MIN, i64::MAX];

/// The window clock with each packet, by a second engine that makes no rows.
fn clocks(instrument: &Instrument, packets: &[Packet]) -> Vec<i64> {
    let mut engine = SymbolEngine::new(set(SET), instrument.clone());
    let clock = |packet| {
        let clock_ns = engine.clock_with_ns(packet);
        engine.process(packet);
        clock_ns
    };
    packets.iter().map(clock).collect()
}

/// A hand-made tape as a job sees it.
fn hand(packets: &[Packet], emission: &str) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let path = log(folder.path(), "tape.ndjson", &btc(), packets);
    rows(&job(&[&path], SET, emission))
}

#[test]
fn packet_gives_one_row_per_frame_with_its_words() {
    let (instrument, packets) = packets(&market());
    let mut engine = SymbolEngine::new(set(SET), instrument.clone());
    let mut want = Vec::new();
    for packet in &packets {
        if let Some(frame) = engine.process(packet) {
            let header = frame.header();
            let values = (0..frame.feature_count()).map(|i| frame.value(i)).collect();
            want.push(Row {
                ts_event: header.source_ts_ns,
                ts_recv: Some(header.local_ts_ns),
                seq: header.seq,
                epoch: header.epoch,
                flags: header.quality.bits(),
                ready: u32::from(frame.warmup_ready_mask()[0] == (1 << frame.feature_count()) - 1),
                values,
            });
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = recording(folder.path(), "market.txt", &market());
    let found = rows(&job(&[&path], SET, "packet"));
    assert!(found.len() > 200 && found.len() < packets.len(), "{}", found.len());
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(&want) {
        assert_eq!(found, want);
    }
    let seen = found.iter().fold(0, |flags, row| flags | row.flags);
    let all = QualityFlags::GAP_DETECTED
        | QualityFlags::STATE_RESET
        | QualityFlags::CROSSED_BOOK
        | QualityFlags::DUPLICATE_INPUT;
    assert_eq!(seen & all.bits(), all.bits(), "the market has every fault: {seen:#x}");
}

#[test]
fn trade_gives_the_frames_of_trade_packets_with_the_flags_since_the_row_before() {
    let (instrument, packets) = packets(&market());
    let mut engine = SymbolEngine::new(set(SET), instrument.clone());
    let (mut want, mut since) = (Vec::new(), 0);
    for packet in &packets {
        if let Some(frame) = engine.process(packet) {
            since |= frame.header().quality.bits();
            if !packet.trades.is_empty() {
                want.push((frame.header().seq, frame.header().epoch, since));
                since = 0;
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = recording(folder.path(), "market.txt", &market());
    let rows = rows(&job(&[&path], SET, "trade"));
    let found: Vec<_> = rows.iter().map(|row| (row.seq, row.epoch, row.flags)).collect();
    assert!(found.len() > 20);
    assert_eq!(found, want);
}

#[test]
fn an_event_on_the_grid_point_is_not_in_its_row() {
    let tape = [
        snapshot(START + 400, 1),
        bid(START + SECOND - 1, 2, 101, 7),
        bid(START + SECOND, 3, 101, 8),
        bid(START + 2 * SECOND + 1, 4, 101, 9),
    ];
    let rows = hand(&tape, "step:1s");
    let times: Vec<_> = rows.iter().map(|row| row.ts_event).collect();
    assert_eq!(times, [START + SECOND, START + 2 * SECOND]);
    let (l1_bid_qty, seqs) = (8, [2, 3]);
    for ((row, seq), lots) in rows.iter().zip(seqs).zip([7, 8]) {
        assert_eq!((row.seq, row.ts_recv), (seq, None));
        assert_eq!((row.values[BEST_BID], row.values[l1_bid_qty]), (Some(101), Some(lots)));
    }
}

#[test]
fn empty_steps_have_rows_and_the_end_of_the_input_has_none() {
    let tape = [snapshot(START + 1, 1), bid(START + 5 * SECOND, 2, 101, 7)];
    let rows = hand(&tape, "step:1s");
    let times: Vec<_> = rows.iter().map(|row| (row.ts_event - START) / SECOND).collect();
    assert_eq!(times, [1, 2, 3, 4, 5], "the point at 5 s is closed by the event on it");
    assert!(rows.iter().all(|row| row.seq == 1 && row.values[BEST_BID] == Some(100)));
    let without_the_last = hand(&[tape[0].clone(), bid(START + 9, 2, 101, 7)], "packet");
    assert_eq!(without_the_last.len(), 2);
}

#[test]
fn flags_between_two_rows_are_joined_and_told_once() {
    let mut crossed = bid(START + 300, 2, 103, 1);
    crossed.ts_recv_ns = crossed.ts_event_ns;
    let tape = [
        snapshot(START + 200, 1),
        crossed,
        bid(START + 400, 3, 103, 0), // repaired
        bid(START + 400, 3, 103, 0), // a duplicate: dropped, told by the next frame
        bid(START + 500, 4, 101, 1), // carries DUPLICATE_INPUT
        bid(START + 600, 5, 101, 2), // clean
        bid(START + SECOND + 1, 6, 101, 3),
        bid(START + 2 * SECOND + 1, 7, 101, 4),
    ];
    let rows = hand(&tape, "step:1s");
    let want =
        QualityFlags::CROSSED_BOOK | QualityFlags::PARTIAL_FEATURES | QualityFlags::DUPLICATE_INPUT;
    assert_eq!(rows.iter().map(|row| row.flags).collect::<Vec<_>>(), [want.bits(), 0]);
    assert_eq!(rows[0].values[BEST_BID], Some(101));
}

#[test]
fn trade_or_step_puts_the_grid_rows_of_a_packet_first() {
    let tape = [
        snapshot(START + 200, 1),
        trade(START + 300),
        trade(START + SECOND),
        bid(START + SECOND + 5, 2, 101, 1),
        trade(START + 2 * SECOND + 7),
    ];
    let rows = hand(&tape, "trade-or-step:1s");
    let found: Vec<_> =
        rows.iter().map(|row| (row.ts_event - START, row.ts_recv.is_some(), row.seq)).collect();
    assert_eq!(
        found,
        [
            (300, true, 2),
            (SECOND, false, 2), // the state before the trade on the grid point
            (SECOND, true, 3),
            (2 * SECOND, false, 4),
            (2 * SECOND + 7, true, 5),
        ]
    );
    let steps = hand(&tape, "step:1s");
    let trades = hand(&tape, "trade");
    assert_eq!(rows.len(), steps.len() + trades.len());
}

#[test]
fn a_reset_ends_the_grid_until_the_next_frame() {
    let reset = Packet { kind: PacketKind::Reset, ..bid(START + SECOND + 1, 0, 1, 1) };
    let reset = Packet { levels: Vec::new(), run_ends: Vec::new(), ..reset };
    let tape = [
        snapshot(START + 200, 1),
        reset,
        snapshot(START + 4 * SECOND + 1, 1),
        bid(START + 6 * SECOND, 2, 101, 1),
    ];
    let rows = hand(&tape, "step:1s");
    let found: Vec<_> =
        rows.iter().map(|row| ((row.ts_event - START) / SECOND, row.epoch)).collect();
    assert_eq!(found, [(1, 0), (5, 1), (6, 1)]);
    assert_eq!(rows[1].flags, QualityFlags::STATE_RESET.bits());
}

/// A first packet without any time must not start a grid in 1970, which would be a billion rows.
#[test]
fn the_grid_starts_when_a_time_is_known() {
    let tape = [snapshot(0, 1), bid(START + 1, 2, 101, 1), bid(START + SECOND + 1, 3, 101, 2)];
    let rows = hand(&tape, "step:1s");
    assert_eq!(rows.iter().map(|row| row.ts_event).collect::<Vec<_>>(), [START + SECOND]);
}

#[test]
fn a_grid_row_is_what_a_run_that_ends_before_it_gives() {
    let (instrument, packets) = packets(&market());
    let step_ns = 250_000_000;
    let rows = play(&instrument, &packets, Emission::Step { step_ns }, ALWAYS);
    let clocks = clocks(&instrument, &packets);
    assert!(rows.len() > 60, "{}", rows.len());
    for pair in rows.windows(2) {
        assert_eq!(pair[1].0[1] - pair[0].0[1], step_ns.cast_unsigned(), "no step is missing");
    }
    for (words, valid) in rows.iter().step_by(7) {
        let grid_ns = words[1].cast_signed();
        assert_eq!(grid_ns % step_ns, 0, "aligned to UTC");
        let later = clocks.iter().position(|clock| *clock >= grid_ns).unwrap();
        let mut engine = SymbolEngine::new(set(SET), instrument.clone());
        for packet in &packets[..later] {
            engine.process(packet);
        }
        let sample = engine.sample(grid_ns).unwrap();
        assert_eq!(&words[feature_extract::FIXED_COLUMNS..], sample.values.as_slice());
        let bits = sample.valid[0] << feature_extract::FIXED_COLUMNS;
        assert_eq!(valid[0], bits | 0b111_1011, "all fixed columns but the arrival time");
    }
}

#[test]
fn a_range_gives_the_slice_of_the_whole_runs_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(folder.path(), "market.txt", &market());
    for emission in ["packet", "trade", "step:500ms", "trade-or-step:1s"] {
        let whole = job(&[&path], SET, emission);
        let all = rows(&whole);
        // The window clock of a row: event times of two channels may step back, the clock not.
        let mut clock = i64::MIN;
        let clocks: Vec<i64> = all
            .iter()
            .map(|row| {
                clock = clock.max(row.ts_event);
                clock
            })
            .collect();
        let start = all[0].ts_event;
        for (from, to) in [
            (None, Some(start + 7 * SECOND)),
            (Some(start + 5 * SECOND), None),
            (Some(start + 3 * SECOND), Some(start + 12 * SECOND)),
            (Some(all[all.len() / 2].ts_event), Some(all[all.len() / 2].ts_event + 1)),
        ] {
            let part = feature_extract::Job { from_ns: from, to_ns: to, ..whole.clone() };
            let range = from.unwrap_or(i64::MIN)..to.unwrap_or(i64::MAX);
            let want: Vec<_> = all
                .iter()
                .zip(&clocks)
                .filter(|(_, c)| range.contains(c))
                .map(|(r, _)| r)
                .collect();
            assert!(!want.is_empty() && want.len() < all.len(), "{emission}");
            let found = rows(&part);
            assert_eq!(found.iter().collect::<Vec<_>>(), want, "{emission} {range:?}");
        }
    }
}

#[test]
fn emissions_and_durations_read_what_they_print() {
    for (text, shown) in [
        ("packet", "packet"),
        ("trade", "trade"),
        ("step:1s", "step:1000000000ns"),
        ("trade-or-step:250ms", "trade-or-step:250000000ns"),
    ] {
        let emission: Emission = text.parse().unwrap();
        assert_eq!(emission.to_string(), shown);
        assert_eq!(shown.parse::<Emission>().unwrap(), emission);
    }
    for text in
        ["", "Packet", "step", "step:", "step:0s", "step:-1s", "step:1", "step:1.5s", "x:1s"]
    {
        assert!(text.parse::<Emission>().is_err(), "{text}");
    }
    for text in ["9223372036854775807h", "99999999999999999999s", "1 s", "1S", "s", "+1s", "٣s"] {
        assert!(parse_duration_ns(text).is_err(), "{text}");
    }
    let error = "\u{1b}[31mstep".parse::<Emission>().unwrap_err().to_string();
    assert!(!error.contains(char::is_control), "{error}");
}

#[test]
fn times_are_read_strictly() {
    let day = 1_723_075_200 * SECOND;
    for (text, ns) in [
        ("2024-08-08", day),
        ("2024-08-08Z", day),
        ("2024-08-08T00:01", day + 60 * SECOND),
        ("2024-08-08 01:00:00", day + 3_600 * SECOND),
        ("2024-08-08T00:00:00.000000001Z", day + 1),
        ("2024-02-29", 1_709_164_800 * SECOND),
        ("1723075200000000000", day),
    ] {
        assert_eq!(parse_time_ns(text).unwrap(), ns, "{text}");
    }
    for text in [
        "",
        "yesterday",
        "2024-13-01",
        "2023-02-29",
        "2024-08-08T24:00",
        "2024-08-08T12:00:60",
        "2024-08-08T12",
        "2024-08-08T12:00.5",
        "2024-08-08T12:00:00.-5",
        "2024-08-08T12:00:00.+5",
        "2024-08-08T+1:00",
        "2024-08-08T12:00:00.1234567891",
        "2024-08-08T12:00:00+02:00",
        "1999-01-01",
        "1723075200",
        "1723075200000",
        "-1",
    ] {
        assert!(parse_time_ns(text).is_err(), "{text}");
    }
}

/// Hostile tapes at steps that put grid points on packets and between them.
fn tape() -> impl Strategy<Value = (Instrument, Vec<Packet>, i64)> {
    let step = prop_oneof![Just(100_000_000_i64), Just(500_000_000), Just(1_000_000_007)];
    (testkit::tape(40), step).prop_map(|((instrument, packets), step)| (instrument, packets, step))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Taking packets away from the end takes rows away from the end and changes none.
    #[test]
    fn rows_never_know_later_packets(
        (instrument, packets, step_ns) in tape(),
        cut in 0.0..1.0_f64,
        kind in 0..4_usize,
    ) {
        let emission = [
            Emission::Packet,
            Emission::Trade,
            Emission::Step { step_ns },
            Emission::TradeOrStep { step_ns },
        ][kind];
        let whole = play(&instrument, &packets, emission, ALWAYS);
        let cut = (packets.len() as f64 * cut) as usize;
        let part = play(&instrument, &packets[..cut], emission, ALWAYS);
        prop_assert_eq!(&part[..], &whole[..part.len()]);
    }

    /// Grid rows are on the grid and in order, and each has a quality no cleaner than its frame.
    #[test]
    fn grid_rows_are_aligned_and_in_order((instrument, packets, step_ns) in tape()) {
        let rows = play(&instrument, &packets, Emission::Step { step_ns }, ALWAYS);
        let times: Vec<i64> = rows.iter().map(|(words, _)| words[1].cast_signed()).collect();
        prop_assert!(times.iter().all(|time| time.rem_euclid(step_ns) == 0));
        prop_assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        let last = clocks(&instrument, &packets).into_iter().max().unwrap_or(0);
        prop_assert!(times.last().is_none_or(|time| *time <= last));
    }

    /// A range hands out a part of the rows and changes no word of them.
    #[test]
    fn ranges_are_slices((instrument, packets, step_ns) in tape(), from in 0..8_i64, span in 1..8_i64) {
        let start = testkit::START_NS;
        let range = [start + from * SECOND, start + (from + span) * SECOND];
        for emission in [Emission::Step { step_ns }, Emission::TradeOrStep { step_ns }] {
            let whole = play(&instrument, &packets, emission, ALWAYS);
            let part = play(&instrument, &packets, emission, range);
            let mut rest = whole.iter();
            for row in &part {
                prop_assert!(rest.any(|other| other == row), "in order, none changed");
            }
            let inside = |row: &&(Vec<u64>, Vec<u64>)| {
                // Sampled rows have no arrival time; their clock is their event time.
                row.1[0] & 0b100 == 0 && (range[0]..range[1]).contains(&row.0[1].cast_signed())
            };
            let sampled = |rows: &Words| rows.iter().filter(inside).count();
            prop_assert_eq!(sampled(&part), sampled(&whole));
        }
    }
}
