//! Parquet tables of level updates. The committed one was written with polars.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, UInt8Array};
use market_io::{Format, OpenOptions};
use market_model::{BookOp, Level, Packet, PacketKind};

use crate::book::{drain, options, read, shared, write_file};
use crate::{check_sample, sample};

#[test]
fn the_sample_gives_its_packets() {
    let options = options(sample("parquet", &["sample.parquet"]));
    check_sample(&options, Format::Parquet, "expected.ndjson");
    let mut source = market_io::open(&options).unwrap();
    drain(source.as_mut());
    let stats = source.stats();
    assert_eq!((stats.records, stats.dropped_updates), (10, 1));
    assert_eq!((stats.snapshots, stats.rejected), (2, 1));
    assert!(stats.faults[0].to_string().contains("row 5"), "{}", stats.faults[0]);
}

/// Rows of a table: local time in us, price, size, side, snapshot.
type TestRow = (i64, i64, i64, u8, bool);

fn columns(rows: &[TestRow]) -> Vec<(&'static str, ArrayRef)> {
    let line = 0..i32::try_from(rows.len()).unwrap();
    let numbers = |pick: fn(&TestRow) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(pick)))
    };
    vec![
        ("ts_local_us", numbers(|row| row.0)),
        ("price_int", numbers(|row| row.1)),
        ("size_int", numbers(|row| row.2)),
        ("side", Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.3)))),
        ("is_snapshot", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.4))))),
        ("file_line_number", Arc::new(Int32Array::from_iter_values(line))),
    ]
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.into()
}

const US: i64 = 1_585_699_200_355_000;

fn good() -> Vec<TestRow> {
    vec![(US, 101, 5, 1, true), (US, 100, 4, 0, true), (US + 1, 99, 3, 0, false)]
}

#[test]
fn tables_that_are_no_such_table_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let with = |at: usize, row: TestRow| {
        let mut rows = good();
        rows[at] = row;
        columns(&rows)
    };
    let replaced = |name: &'static str, array: ArrayRef| {
        let mut columns = columns(&good());
        columns.iter_mut().filter(|column| column.0 == name).for_each(|c| c.1 = array.clone());
        columns
    };
    let nulls = Int64Array::from(vec![Some(1), None, Some(2)]);
    let floats = arrow_array::Float64Array::from(vec![1.0, 2.0, 3.0]);
    let ids = Int64Array::from(vec![7, 7, 8]);
    let mut two = columns(&good());
    two.push(("symbol_id", Arc::new(ids)));
    for (columns, parts) in [
        (with(2, (US - 1, 99, 3, 0, false)), ["row 2", "rows by ts_local_us"]),
        (columns(&good())[1..].to_vec(), ["expected columns ts_local_us", "no `ts_local_us`"]),
        (replaced("price_int", Arc::new(nulls)), ["row 1", "found null"]),
        (replaced("size_int", Arc::new(floats)), ["expected integers", "Float64"]),
        (with(0, (US, 101, 5, 1, false))[..].to_vec(), ["no depth snapshot", "after"]),
        (two, ["found 7 and 8", "choose one"]),
    ] {
        let mut columns = columns;
        if parts[0] == "no depth snapshot" {
            let flags = BooleanArray::from(vec![false, false, false]);
            columns[4].1 = Arc::new(flags);
        }
        let error = read(&options(vec![write(&path, columns)])).1.unwrap().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let damaged = write_file(&dir, "d.parquet", b"PAR1....................PAR1");
    let error = read(&options(vec![damaged])).1.unwrap().to_string();
    assert!(error.contains("corrupt parquet file"), "{error}");
}

#[test]
fn one_symbol_is_chosen_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut columns = columns(&good());
    columns.push(("symbol_id", Arc::new(Int64Array::from(vec![7, 7, 8]))));
    let path = write(&dir.path().join("t.parquet"), columns);
    let chosen = OpenOptions { symbol: Some("7".into()), ..options(vec![path]) };
    let (packets, error) = read(&chosen);
    assert!(error.is_none(), "{error:?}");
    assert_eq!((packets.len(), packets[0].kind), (1, PacketKind::Snapshot));
}

#[test]
fn rows_that_cannot_be_used_refuse_their_packet() {
    let dir = tempfile::tempdir().unwrap();
    for (row, part) in [
        ((US + 1, 0, 3, 0, false), "field `price_int`"),
        ((US + 1, 1 << 53, 3, 0, false), "field `price_int`"),
        ((US + 1, 99, -3, 0, false), "field `size_int`"),
        ((US + 1, 99, 3, 2, false), "field `side`"),
        ((US * 1_000, 99, 3, 2, false), "field `ts_local_us`"),
    ] {
        let mut rows = good();
        rows[2] = row;
        let path = write(&dir.path().join("t.parquet"), columns(&rows));
        let mut source = market_io::open(&options(vec![path])).unwrap();
        let (packets, error) = drain(source.as_mut());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(packets[1].kind, PacketKind::Rejected);
        let fault = source.stats().faults[0].to_string();
        assert!(fault.contains(part) && fault.contains("row 2"), "{fault}");
    }
}

/// A real recording, written as a table, gives the levels of the recording again.
#[test]
fn a_recording_survives_the_table() {
    let Some(paths) = shared(&["binance/usdm_btcusdt_20240718.gz"]) else { return };
    let mut source = market_io::open(&options(paths)).unwrap();
    let instrument = source.instrument().clone();
    let (packets, error) = drain(source.as_mut());
    assert!(error.is_none());
    let mut rows: Vec<TestRow> = Vec::new();
    let mut wanted: Vec<(i64, Vec<(BookOp, Level)>)> = Vec::new();
    let with_levels = |packet: &&Packet| !packet.levels.is_empty();
    for packet in packets.iter().filter(with_levels) {
        let us = packet.ts_recv_ns / 1_000;
        if wanted.last().is_none_or(|(last, _)| *last != us) {
            wanted.push((us, Vec::new()));
        }
        for (op, levels) in packet.runs() {
            for level in levels {
                wanted.last_mut().unwrap().1.push((op, *level));
                let side = u8::from(op == BookOp::SetAsk);
                let is_snapshot = packet.kind == PacketKind::Snapshot;
                rows.push((us, level.price_ticks, level.qty_lots, side, is_snapshot));
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir.path().join("BTCUSDT.parquet"), columns(&rows));
    let sized = OpenOptions {
        tick_size: Some(format!("{}e-{}", instrument.tick_scaled, instrument.price_scale)),
        lot_size: Some(format!("{}e-{}", instrument.lot_scaled, instrument.qty_scale)),
        ..options(vec![path])
    };
    let mut source = market_io::open(&sized).unwrap();
    assert_eq!(source.instrument().symbol, "BTCUSDT");
    let (found, error) = drain(source.as_mut());
    assert!(error.is_none(), "{error:?}");
    let found: Vec<_> = found
        .iter()
        .map(|packet| {
            let levels = |(op, levels): (BookOp, &[Level])| {
                levels.iter().map(|level| (op, *level)).collect::<Vec<_>>()
            };
            (packet.ts_recv_ns / 1_000, packet.runs().flat_map(levels).collect::<Vec<_>>())
        })
        .collect();
    assert!(found == wanted && found.len() > 2_000, "{} packets", found.len());
}
