//! Jobs over small inputs, and tables as rows that can be compared.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use feature_extract::{Destination, FIXED_COLUMNS, Job, Output, run};
use feature_runtime::{FeatureSet, built_in_set};
use market_io::sink::{Existing, SinkOptions};
use market_io::synthetic::{SyntheticConfig, SyntheticSource};
use market_io::write::write_binance;
use market_io::{EventsWriter, OpenOptions, Source};
use market_model::{BookOp, Instrument, Level, Packet, PacketKind, Trade};

pub const SECOND: i64 = 1_000_000_000;

/// A whole second of UTC; hand-made tapes start here.
pub const START: i64 = 1_735_689_600 * SECOND;

/// One row; a value is the bits of its word, `None` for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub ts_event: i64,
    pub ts_recv: Option<i64>,
    pub seq: u64,
    pub epoch: u32,
    pub flags: u32,
    pub ready: u32,
    pub values: Vec<Option<u64>>,
}

pub fn set(id: &str) -> Arc<FeatureSet> {
    built_in_set(id).unwrap().into()
}

/// A job that keeps its rows.
pub fn job(inputs: &[&Path], set_id: &str, emission: &str) -> Job {
    Job {
        open: OpenOptions {
            inputs: inputs.iter().map(|path| path.to_path_buf()).collect(),
            ..OpenOptions::default()
        },
        set: set(set_id),
        model: None,
        emission: emission.parse().unwrap(),
        bars: None,
        checkpoints: None,
        warm_start: None,
        from_ns: None,
        to_ns: None,
        destination: Destination::Memory,
        command: "test".into(),
    }
}

/// The same job to a file.
pub fn to_file(job: &Job, path: &Path) -> Job {
    let options = SinkOptions::default();
    Job { destination: Destination::File { path: path.into(), options }, ..job.clone() }
}

pub fn rows(job: &Job) -> Vec<Row> {
    rows_of(&run(job, &()).unwrap().batches)
}

pub fn output(job: &Job) -> Output {
    run(job, &()).unwrap()
}

/// The word of a cell.
pub fn word(array: &dyn Array, row: usize) -> Option<u64> {
    array.is_valid(row).then(|| match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).cast_unsigned(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_bits(),
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampNanosecondType>().value(row).cast_unsigned()
        }
        other => panic!("no column is of type {other}"),
    })
}

pub fn rows_of(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |column: usize| word(batch.column(column).as_ref(), row);
            let narrow = |column| u32::try_from(cell(column).unwrap()).unwrap();
            rows.push(Row {
                ts_event: cell(1).unwrap().cast_signed(),
                ts_recv: cell(2).map(u64::cast_signed),
                seq: cell(3).unwrap(),
                epoch: narrow(4),
                flags: narrow(5),
                ready: narrow(6),
                values: (FIXED_COLUMNS..batch.num_columns()).map(cell).collect(),
            });
        }
    }
    rows
}

pub fn parquet_file(path: &Path) -> (SchemaRef, Vec<RecordBatch>) {
    let file = std::fs::File::open(path).unwrap();
    let builder =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    (schema, builder.build().unwrap().map(Result::unwrap).collect())
}

pub fn ipc_file(path: &Path) -> (SchemaRef, Vec<RecordBatch>) {
    let file = std::fs::File::open(path).unwrap();
    let reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
    (reader.schema(), reader.map(Result::unwrap).collect())
}

/// A market with every fault, short enough for every test.
pub fn market() -> SyntheticConfig {
    SyntheticConfig {
        seed: 11,
        duration_ns: 20 * SECOND,
        packets_per_second: 10,
        events_per_packet: 20,
        levels: 50,
        gaps: 1,
        crossed: 1,
        duplicates: 2,
        reorders: 1,
        ..SyntheticConfig::default()
    }
}

pub fn recording(folder: &Path, name: &str, config: &SyntheticConfig) -> PathBuf {
    let path = folder.join(name);
    write_binance(&path, config, Existing::Refuse).unwrap();
    path
}

/// The packets of [`recording`], without its file.
pub fn packets(config: &SyntheticConfig) -> (Instrument, Vec<Packet>) {
    let mut source = SyntheticSource::new(config).unwrap();
    let (mut packets, mut packet) = (Vec::new(), Packet::default());
    while source.next_packet(&mut packet).unwrap() {
        packets.push(packet.clone());
    }
    (source.instrument().clone(), packets)
}

pub fn log(folder: &Path, name: &str, instrument: &Instrument, packets: &[Packet]) -> PathBuf {
    let path = folder.join(name);
    let mut writer =
        EventsWriter::create(&path, instrument, serde_json::Map::new(), Existing::Refuse).unwrap();
    packets.iter().for_each(|packet| writer.write(packet).unwrap());
    writer.finish().unwrap();
    path
}

pub fn btc() -> Instrument {
    Instrument::new(0, "BTCUSDT", "0.1", "0.001").unwrap()
}

/// A snapshot of one level a side: bid 100, ask 102.
pub fn snapshot(ts_event_ns: i64, seq: u64) -> Packet {
    let mut packet = Packet { kind: PacketKind::Snapshot, seq, ..bid(ts_event_ns, seq, 100, 5) };
    packet.push_level(BookOp::SetAsk, Level::new(102, 5));
    packet
}

/// One bid level, following the packet with `seq - 1`.
pub fn bid(ts_event_ns: i64, seq: u64, price_ticks: i64, qty_lots: i64) -> Packet {
    let ts_recv_ns = if ts_event_ns == 0 { 0 } else { ts_event_ns + 1_000 };
    let mut packet = Packet { ts_event_ns, ts_recv_ns, seq, first_seq: seq, ..Packet::default() };
    packet.push_level(BookOp::SetBid, Level::new(price_ticks, qty_lots));
    packet
}

pub fn trade(ts_event_ns: i64) -> Packet {
    let trades = vec![Trade { price_ticks: 102, qty_lots: 1, ..Trade::default() }];
    Packet { ts_event_ns, ts_recv_ns: ts_event_ns + 1_000, trades, ..Packet::default() }
}
