//! Bars of packets worked out by hand, and the files of bars.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/jobs.rs"]
mod jobs;

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use feature_extract::{BarOptions, EmptyBars, Error, Job, parse_durations_ns, run};
use jobs::{
    SECOND, START, bid, btc, job, log, market, output, parquet_file, recording, snapshot, to_file,
    trade,
};
use market_model::{Aggressor, Packet, PacketKind, QualityFlags};

const MS: i64 = 1_000_000;

fn bars(durations: &str, empty: EmptyBars) -> Option<BarOptions> {
    let durations_ns = parse_durations_ns(durations).unwrap();
    Some(BarOptions { durations_ns, empty, path: None })
}

/// The bars of one duration, 1 s, of hand-made packets.
fn of_packets(packets: &[Packet], empty: EmptyBars) -> RecordBatch {
    let folder = tempfile::tempdir().unwrap();
    let path = log(folder.path(), "packets.ndjson", &btc(), packets);
    let job = Job { bars: bars("1s", empty), ..job(&[&path], "lob_shared_v1", "packet") };
    let mut output = output(&job);
    assert_eq!(output.bars.len(), 1);
    output.bars.remove(0).batches.remove(0)
}

fn starts(batch: &RecordBatch) -> Vec<i64> {
    let column = batch.column_by_name("bar_start").unwrap();
    let starts = column.as_primitive::<TimestampNanosecondType>().values();
    starts.iter().map(|start| (start - START) / SECOND).collect()
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
}

fn counts(batch: &RecordBatch, name: &str) -> Vec<u64> {
    batch.column_by_name(name).unwrap().as_primitive::<UInt64Type>().values().to_vec()
}

fn flags(batch: &RecordBatch, name: &str) -> Vec<u32> {
    batch.column_by_name(name).unwrap().as_primitive::<UInt32Type>().values().to_vec()
}

#[test]
fn a_bar_adds_up_its_frames() {
    let mut sold = trade(START + 500 * MS);
    sold.trades[0].aggressor = Aggressor::Sell;
    sold.trades[0].qty_lots = 4;
    let mut bought = trade(START + 600 * MS);
    bought.trades[0].price_ticks = 104;
    bought.trades[0].aggressor = Aggressor::Buy;
    let packets = [
        snapshot(START, 1),                 // bid 10.0 x 5, ask 10.2 x 5
        bid(START + 100 * MS, 2, 101, 15),  // bid 10.1 x 15: mid 10.15, flow 15
        bid(START + 200 * MS, 3, 101, 0),   // bid 10.0 x 5 again: flow -15
        sold,                               // 4 at 10.2
        bought,                             // 1 at 10.4
        bid(START + 1_000 * MS, 4, 101, 1), // the next bar
    ];
    let batch = of_packets(&packets, EmptyBars::Skip);
    assert_eq!(starts(&batch), [0, 1]);
    assert_eq!(
        flags(&batch, "complete"),
        [1, 0],
        "the first frame is at the edge; nothing ends the last"
    );
    assert_eq!(counts(&batch, "frames"), [5, 1]);
    assert_eq!(counts(&batch, "quotes"), [5, 1], "a trade leaves the quote standing");
    assert_eq!(floats(&batch, "open"), [Some(10.1), Some(10.15)]);
    assert_eq!(floats(&batch, "high"), [Some(10.15), Some(10.15)]);
    assert_eq!(floats(&batch, "low"), [Some(10.1), Some(10.15)]);
    assert_eq!(floats(&batch, "close"), [Some(10.1), Some(10.15)]);
    // Spreads in ticks: 2, 1, 2, 2, 2.
    assert_eq!(floats(&batch, "mean_spread")[0], Some(9.0 / 50.0));
    assert_eq!(floats(&batch, "min_spread")[0], Some(0.1));
    assert_eq!(floats(&batch, "max_spread")[0], Some(0.2));
    // Imbalances: 0, (15 - 5)/20, 0, 0, 0.
    assert_eq!(floats(&batch, "mean_imbalance_l1")[0], Some(0.1));
    assert_eq!(floats(&batch, "ofi"), [Some(0.0), Some(0.001)]);
    assert_eq!(counts(&batch, "trade_count"), [2, 0]);
    assert_eq!(floats(&batch, "volume")[0], Some(0.005));
    assert_eq!(floats(&batch, "buy_volume")[0], Some(0.001));
    assert_eq!(floats(&batch, "sell_volume")[0], Some(0.004));
    assert_eq!(floats(&batch, "vwap"), [Some((4.0 * 102.0 + 104.0) / 50.0), None]);
    // Two returns of ln(10.15/10.1) up and down; the third, into the next bar, is that bar's.
    let up = feature_kernel::numeric::det_ln(203.0 / 202.0);
    let variance = floats(&batch, "realized_variance");
    assert!((variance[0].unwrap() - 2.0 * up * up).abs() < 1e-17, "{variance:?}");
    assert!((variance[1].unwrap() - up * up).abs() < 1e-17, "{variance:?}");
}

#[test]
fn an_end_is_outside_and_belongs_to_the_next_bar() {
    for (at_ns, want) in [(SECOND - 1, vec![0]), (SECOND, vec![0, 1])] {
        let packets = [snapshot(START, 1), bid(START + at_ns, 2, 101, 5)];
        assert_eq!(starts(&of_packets(&packets, EmptyBars::Skip)), want, "{at_ns}");
    }
}

#[test]
fn a_packet_that_runs_back_is_in_the_bar_under_way() {
    let packets = [
        snapshot(START + 900 * MS, 1),
        bid(START + 1_100 * MS, 2, 101, 5),
        bid(START + 950 * MS, 3, 101, 6),
        bid(START + 2_000 * MS, 4, 101, 7),
    ];
    let batch = of_packets(&packets, EmptyBars::Skip);
    assert_eq!(starts(&batch), [0, 1, 2]);
    assert_eq!(counts(&batch, "frames"), [1, 2, 1]);
    let anomaly = QualityFlags::TS_ANOMALY.bits();
    assert_eq!(flags(&batch, "quality_flags").map_bits(anomaly), [0, anomaly, 0]);
}

trait MapBits {
    fn map_bits(&self, mask: u32) -> Vec<u32>;
}

impl MapBits for Vec<u32> {
    fn map_bits(&self, mask: u32) -> Vec<u32> {
        self.iter().map(|flags| flags & mask).collect()
    }
}

#[test]
fn empty_bars_are_written_when_asked_for() {
    let packets = [snapshot(START, 1), bid(START + 3_500 * MS, 2, 101, 5)];
    assert_eq!(starts(&of_packets(&packets, EmptyBars::Skip)), [0, 3]);
    let batch = of_packets(&packets, EmptyBars::Write);
    assert_eq!(starts(&batch), [0, 1, 2, 3]);
    assert_eq!(counts(&batch, "frames"), [1, 0, 0, 1]);
    assert_eq!(flags(&batch, "complete"), [1, 1, 1, 0], "a quiet market was seen whole");
    assert_eq!(floats(&batch, "close")[1..3], [None, None]);
    assert_eq!(floats(&batch, "volume")[1..3], [Some(0.0), Some(0.0)]);
}

#[test]
fn bars_around_a_gap_are_not_complete() {
    let packets = [
        snapshot(START, 1),
        bid(START + 1_200 * MS, 2, 101, 5),
        bid(START + 1_300 * MS, 9, 101, 6),  // 3 to 8 are missing
        bid(START + 2_100 * MS, 10, 101, 6), // waits
        snapshot(START + 3_400 * MS, 20),
        bid(START + 4_000 * MS, 21, 101, 7),
        bid(START + 5_000 * MS, 22, 101, 8),
    ];
    let batch = of_packets(&packets, EmptyBars::Write);
    assert_eq!(starts(&batch), [0, 1, 2, 3, 4, 5]);
    assert_eq!(flags(&batch, "complete"), [1, 0, 0, 0, 1, 0]);
    assert_eq!(counts(&batch, "frames"), [1, 2, 0, 1, 1, 1]);
    let masks = QualityFlags::GAP_DETECTED | QualityFlags::STATE_RESET;
    let seen = flags(&batch, "quality_flags").map_bits(masks.bits());
    let (gap, reset) = (QualityFlags::GAP_DETECTED.bits(), QualityFlags::STATE_RESET.bits());
    assert_eq!(seen, [0, gap, 0, reset, 0, 0]);
    // No return over the gap: the mid is that of the snapshot, then of one change.
    assert_eq!(floats(&batch, "realized_variance")[3], Some(0.0));
}

#[test]
fn a_reset_breaks_the_bar_without_ending_it() {
    let reset =
        Packet { kind: PacketKind::Reset, ts_event_ns: START + 300 * MS, ..Packet::default() };
    let packets = [
        snapshot(START, 1),
        reset,
        snapshot(START + 600 * MS, 1),
        bid(START + 1_000 * MS, 2, 101, 5),
    ];
    let batch = of_packets(&packets, EmptyBars::Skip);
    assert_eq!(starts(&batch), [0, 1]);
    assert_eq!(counts(&batch, "frames"), [2, 1]);
    assert_eq!(flags(&batch, "complete"), [0, 0]);
    assert_eq!(flags(&batch, "epoch"), [1, 1]);
}

#[test]
fn one_pass_gives_one_file_for_each_duration() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    let durations = "1s,5s,30s,250ms";
    let plain = job(&[&input], "core_v1", "packet");
    let wanted = Job { bars: bars(durations, EmptyBars::Skip), ..plain.clone() };
    let path = folder.path().join("rows.parquet");
    let summary = run(&to_file(&wanted, &path), &()).unwrap().summary;
    let alone = folder.path().join("alone.parquet");
    run(&to_file(&plain, &alone), &()).unwrap();
    let rows = |path: &Path| jobs::rows_of(&parquet_file(path).1);
    assert_eq!(rows(&path), rows(&alone), "bars change no row");
    let in_memory = output(&wanted).bars;
    for (index, label) in durations.split(',').enumerate() {
        let path = folder.path().join(format!("rows.bars-{label}.parquet"));
        let (schema, batches) = parquet_file(&path);
        assert_eq!(schema.metadata()["featureplane.bars"], label);
        assert!(schema.metadata()["featureplane.inputs"].contains("market.gz"));
        let bars = &summary.bars[index];
        assert_eq!(bars.duration, label);
        assert_eq!(bars.output_bytes, path.metadata().unwrap().len());
        assert_eq!(bars.bars, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
        assert_eq!(batches[0].columns(), in_memory[index].batches[0].columns());
        let lengths = batches[0].column_by_name("duration_ns").unwrap();
        let [length] = parse_durations_ns(label).unwrap()[..] else { panic!() };
        assert!(lengths.as_primitive::<Int64Type>().values().iter().all(|ns| *ns == length));
    }
}

#[test]
fn a_range_holds_the_bars_that_lie_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = recording(folder.path(), "market.gz", &market());
    let whole = Job { bars: bars("1s", EmptyBars::Skip), ..job(&[&input], "core_v1", "step:1s") };
    let all = output(&whole).bars[0].batches[0].clone();
    let first = all.column_by_name("bar_start").unwrap();
    let first = first.as_primitive::<TimestampNanosecondType>().value(0);
    let (from, to) = (first + 4 * SECOND + 1, first + 9 * SECOND);
    let part = Job { from_ns: Some(from), to_ns: Some(to), ..whole };
    let part = output(&part).bars[0].batches[0].clone();
    assert_eq!(part.columns(), all.slice(5, 4).columns(), "5, 6, 7 and 8 lie in 4.000000001 to 9");
}

#[test]
fn wrong_options_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.gz");
    let base = to_file(&job(&[&missing], "core_v1", "packet"), &folder.path().join("x.parquet"));
    let named = |path: &str| Some(folder.path().join(path));
    for (durations, path, want) in [
        (vec![], None, "at least one"),
        (vec![0], None, "positive"),
        (vec![SECOND, 2 * SECOND, SECOND], None, "1s is there twice"),
        (vec![SECOND, 2 * SECOND], named("bars.parquet"), "needs {bar}"),
    ] {
        let options = BarOptions { durations_ns: durations, path, ..BarOptions::default() };
        let error = run(&Job { bars: Some(options), ..base.clone() }, &()).unwrap_err();
        assert!(matches!(&error, Error::Config { field: "bars", .. }), "{error}");
        assert!(error.to_string().contains(want), "{error}");
    }
    let there = folder.path().join("x.bars-1s.parquet");
    std::fs::write(&there, "kept").unwrap();
    let error = run(&Job { bars: bars("1s", EmptyBars::Skip), ..base }, &()).unwrap_err();
    assert!(error.to_string().contains("x.bars-1s.parquet"), "{error}");
    assert_eq!(std::fs::read_to_string(there).unwrap(), "kept");
}
