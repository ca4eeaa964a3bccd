//! Files written by the sinks, read back by independent readers.
#![allow(clippy::unwrap_used, clippy::exit, reason = "helpers of tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use market_io::sink::{
    self, ColumnKind, ColumnSpec, Compression, Existing, MemorySink, RowBatchBuilder, SinkError,
    SinkOptions, TableSink, TableSpec,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;

const NULL: Option<u64> = None;

fn spec() -> TableSpec {
    let mut spec = TableSpec::new([
        ColumnSpec::new("symbol", ColumnKind::Utf8Dict),
        ColumnSpec::new("ts_event", ColumnKind::TimestampNs),
        ColumnSpec::new("ts_recv", ColumnKind::TimestampNs).nullable(),
        ColumnSpec::new("seq", ColumnKind::U64),
        ColumnSpec::new("flags", ColumnKind::U32),
        ColumnSpec::new("lots", ColumnKind::I64).nullable().with_metadata("unit", "lots"),
        ColumnSpec::new("ratio", ColumnKind::F64).nullable(),
    ]);
    spec.metadata.insert("schema_hash".into(), "00ff".into());
    spec
}

/// One row as raw words; `None` is a null.
type Row = [Option<u64>; 7];

fn edge_rows() -> Vec<Row> {
    let floats = [
        0.0,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        0.1,
        1.0 / 3.0,
        1e22,
        1e16,
        123_456_789.123_456_78,
        2.5e-7,
    ];
    let integers = [i64::MIN, i64::MAX, 0, -1, 1, (1 << 53) - 1, -(1 << 53) - 1];
    let mut rows = Vec::new();
    for index in 0..1_000_usize {
        let lots = integers[index % integers.len()].cast_unsigned();
        let ratio = floats[index % floats.len()].to_bits();
        // Null runs of many lengths, also across bitmap words.
        let lots_null = (index / 37) % 3 == 1;
        let ratio_null = (200..460).contains(&index) || index % 11 == 0;
        rows.push([
            Some((index % 2) as u64),
            Some(1_723_161_255_030_314_667 + index as u64),
            if index % 5 == 0 { NULL } else { Some(1_723_161_255_030_314_668 + index as u64) },
            Some(u64::MAX - index as u64),
            Some(u64::from(u32::MAX) - index as u64),
            if lots_null { NULL } else { Some(lots) },
            if ratio_null { NULL } else { Some(ratio) },
        ]);
    }
    rows
}

fn batches(spec: &TableSpec, rows: &[Row], capacity: usize) -> Vec<RecordBatch> {
    let mut builder = RowBatchBuilder::new(spec, capacity, &["BTCUSDT", "A,\"B\""]);
    let mut out = Vec::new();
    for row in rows {
        let valid = row.iter().enumerate().map(|(c, v)| u64::from(v.is_some()) << c).sum::<u64>();
        builder.push_row(&row.map(|v| v.unwrap_or(0xDEAD)), &[valid]);
        if builder.is_full() {
            out.push(builder.finish());
        }
    }
    if !builder.is_empty() {
        out.push(builder.finish());
    }
    out
}

fn write(path: &Path, rows: &[Row], options: &SinkOptions) -> sink::Finished {
    let spec = spec();
    let mut sink = sink::create(path, &spec, options).unwrap();
    for batch in batches(&spec, rows, 128) {
        sink.write(&batch).unwrap();
        assert!(!path.exists(), "the destination exists before the file is finished");
    }
    let done = sink.finish().unwrap();
    assert_eq!(done.bytes, fs::metadata(path).unwrap().len());
    assert_eq!((done.rows, done.path.as_path()), (rows.len() as u64, path));
    done
}

fn words(batch: &RecordBatch, row: usize) -> Row {
    let symbol = batch.column(0).as_dictionary::<Int32Type>();
    let values = symbol.values().as_string::<i32>();
    let symbol = match values.value(symbol.key(row).unwrap()) {
        "BTCUSDT" => 0,
        "A,\"B\"" => 1,
        other => panic!("symbol {other}"),
    };
    let time = |c: usize| {
        let array = batch.column(c).as_primitive::<TimestampNanosecondType>();
        array.is_valid(row).then(|| array.value(row).cast_unsigned())
    };
    let lots = batch.column(5).as_primitive::<Int64Type>();
    let ratio = batch.column(6).as_primitive::<Float64Type>();
    [
        Some(symbol),
        time(1),
        time(2),
        Some(batch.column(3).as_primitive::<UInt64Type>().value(row)),
        Some(batch.column(4).as_primitive::<UInt32Type>().value(row).into()),
        lots.is_valid(row).then(|| lots.value(row).cast_unsigned()),
        ratio.is_valid(row).then(|| ratio.value(row).to_bits()),
    ]
}

fn all_words(batches: &[RecordBatch]) -> Vec<Row> {
    batches.iter().flat_map(|b| (0..b.num_rows()).map(|row| words(b, row))).collect()
}

fn read_parquet(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

#[test]
fn parquet_keeps_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::Zstd, Compression::Snappy, Compression::None] {
        let path = folder.path().join(format!("{compression:?}.parquet"));
        let rows = edge_rows();
        write(&path, &rows, &SinkOptions { compression, ..SinkOptions::default() });
        let batches = read_parquet(&path);
        assert_eq!(all_words(&batches), rows);
        let schema = batches[0].schema();
        assert_eq!(schema.field_with_name("lots").unwrap().metadata()["unit"], "lots");
    }
}

#[test]
fn parquet_carries_metadata_twice_and_the_chosen_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &edge_rows(), &SinkOptions::default());
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert_eq!(builder.schema().metadata()["schema_hash"], "00ff");
    let file = builder.metadata().file_metadata();
    let pairs = file.key_value_metadata().unwrap();
    let hash = pairs.iter().find(|kv| kv.key == "schema_hash").unwrap();
    assert_eq!(hash.value.as_deref(), Some("00ff"));
    let group = builder.metadata().row_group(0);
    let has = |column: usize, encoding| group.column(column).encodings().any(|e| e == encoding);
    assert!(has(0, Encoding::RLE_DICTIONARY));
    assert!(has(6, Encoding::BYTE_STREAM_SPLIT) && !has(6, Encoding::RLE_DICTIONARY));
    assert!((1..6).all(|c| has(c, Encoding::DELTA_BINARY_PACKED)));
    assert!((0..7).all(|c| group.column(c).statistics().is_some()));
}

#[test]
fn arrow_ipc_keeps_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["arrow", "feather", "ipc", "ARROW"] {
        let path = folder.path().join(format!("a.{ending}"));
        let rows = edge_rows();
        write(&path, &rows, &SinkOptions::default());
        let reader =
            arrow_ipc::reader::FileReader::try_new(File::open(&path).unwrap(), None).unwrap();
        assert_eq!(reader.schema().metadata()["schema_hash"], "00ff");
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(all_words(&batches), rows);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn csv_keeps_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let rows = edge_rows();
    write(&path, &rows, &SinkOptions::default());
    let kinds = [
        DataType::Utf8,
        DataType::Int64,
        DataType::Int64,
        DataType::UInt64,
        DataType::UInt32,
        DataType::Int64,
        DataType::Utf8,
    ];
    let names = ["symbol", "ts_event", "ts_recv", "seq", "flags", "lots", "ratio"];
    let fields: Vec<Field> =
        names.iter().zip(kinds).map(|(name, kind)| Field::new(*name, kind, true)).collect();
    let reader = arrow_csv::ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_header(true)
        .build(File::open(&path).unwrap())
        .unwrap();
    let mut found = Vec::new();
    for batch in reader.map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            let int = |c: usize| {
                let array = batch.column(c).as_primitive::<Int64Type>();
                array.is_valid(row).then(|| array.value(row).cast_unsigned())
            };
            let ratio = batch.column(6).as_string::<i32>();
            found.push([
                Some(u64::from(batch.column(0).as_string::<i32>().value(row) != "BTCUSDT")),
                int(1),
                int(2),
                Some(batch.column(3).as_primitive::<UInt64Type>().value(row)),
                Some(batch.column(4).as_primitive::<UInt32Type>().value(row).into()),
                int(5),
                // The standard library's parser is exact; that of the CSV reader need not be.
                Some(ratio.value(row))
                    .filter(|t| ratio.is_valid(row) && !t.is_empty())
                    .map(|t| t.parse::<f64>().unwrap().to_bits()),
            ]);
        }
    }
    assert_eq!(found, rows);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "arrow", "csv"] {
        let [a, b] = ["a", "b"].map(|name| folder.path().join(format!("{name}.{ending}")));
        write(&a, &edge_rows(), &SinkOptions::default());
        write(&b, &edge_rows(), &SinkOptions::default());
        assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap(), "{ending}");
    }
}

#[test]
fn a_dropped_sink_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "arrow", "csv"] {
        let path = folder.path().join(format!("a.{ending}"));
        let spec = spec();
        let mut sink = sink::create(&path, &spec, &SinkOptions::default()).unwrap();
        sink.write(&batches(&spec, &edge_rows(), 4096)[0]).unwrap();
        let name = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().file_name();
        let name = name.into_string().unwrap();
        let start = format!(".a.{ending}.tmp-{}-", std::process::id());
        assert!(name.starts_with(&start), "{name}");
        drop(sink);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{ending}");
    }
}

#[test]
fn a_table_without_rows_is_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "arrow", "csv"] {
        write(&folder.path().join(format!("a.{ending}")), &[], &SinkOptions::default());
    }
    assert!(all_words(&read_parquet(&folder.path().join("a.parquet"))).is_empty());
}

fn refused(path: &Path) -> SinkError {
    sink::create(path, &spec(), &SinkOptions::default()).err().expect("refused")
}

#[test]
fn destinations_that_cannot_be_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("old.csv"), "old").unwrap();
    fs::create_dir(at("folder.csv")).unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("link.csv")).unwrap();
    assert!(matches!(refused(&at("a.txt")), SinkError::UnknownEnding { .. }));
    assert!(matches!(refused(&at("parquet")), SinkError::UnknownEnding { .. }));
    assert!(matches!(refused(&at("old.csv")), SinkError::Exists { .. }));
    assert!(matches!(refused(&at("link.csv")), SinkError::Exists { .. }));
    assert!(matches!(refused(&at("folder.csv")), SinkError::NotAFile { .. }));
    assert!(matches!(refused(&at("no/such/a.csv")), SinkError::NoParent { .. }));
    assert!(matches!(refused(&at("old.csv/a.csv")), SinkError::NoParent { .. }));
    let replace = SinkOptions { existing: Existing::Replace, ..SinkOptions::default() };
    let error = sink::create(&at("folder.csv"), &spec(), &replace).err().unwrap();
    assert!(error.to_string().contains("folder.csv: is a directory"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn devices_are_not_destinations() {
    let file = market_io::sink::AtomicFile::create(Path::new("/dev/full"), Existing::Replace);
    let error = file.err().unwrap().to_string();
    assert!(error.contains("/dev/full: is a device"), "{error}");
}

#[test]
fn overwriting_replaces_links_and_does_not_follow_them() {
    let folder = tempfile::tempdir().unwrap();
    let [target, link] = ["target", "link.csv"].map(|name| folder.path().join(name));
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let options = SinkOptions { existing: Existing::Replace, ..SinkOptions::default() };
    sink::create(&link, &spec(), &options).unwrap().finish().unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
}

#[test]
fn a_read_only_folder_is_an_error_with_the_path() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.path().join("probe"), "").is_ok() {
        return; // root may write everywhere
    }
    let path = folder.path().join("a.csv");
    assert!(matches!(refused(&path), SinkError::Io { operation: "creating a temporary file", .. }));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let batch = &batches(&spec(), &edge_rows(), 128)[0];
    let other = TableSpec::new([ColumnSpec::new("seq", ColumnKind::U64)]);
    let memory: Box<dyn TableSink> = Box::new(MemorySink::new(&other));
    let mut sinks = vec![memory];
    for ending in ["parquet", "arrow", "csv"] {
        let path = folder.path().join(format!("a.{ending}"));
        sinks.push(sink::create(&path, &other, &SinkOptions::default()).unwrap());
    }
    for sink in &mut sinks {
        assert!(matches!(sink.write(batch), Err(SinkError::Columns { .. })));
    }
}

#[test]
fn truncated_files_are_refused_by_their_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &edge_rows(), &SinkOptions::default());
    let bytes = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.parquet");
    for len in [0, 1, 4, 12, bytes.len() / 2, bytes.len() - 8, bytes.len() - 1] {
        fs::write(&cut, &bytes[..len]).unwrap();
        let opened = ParquetRecordBatchReaderBuilder::try_new(File::open(&cut).unwrap());
        assert!(opened.is_err(), "{len} of {} bytes", bytes.len());
    }
}

/// What the child processes of the two tests below do: write more than the file size limit allows.
#[test]
fn child_that_writes_too_much() {
    let Some(folder) = std::env::var_os("SINK_TEST_FOLDER") else { return };
    let path = PathBuf::from(folder).join("a.parquet");
    let spec = spec();
    let options = SinkOptions { compression: Compression::None, ..SinkOptions::default() };
    let mut sink = sink::create(&path, &spec, &options).unwrap();
    let batches = batches(&spec, &edge_rows(), 4096);
    for _ in 0..3_000 {
        if let Err(e) = sink.write(&batches[0]) {
            assert!(matches!(e, SinkError::Io { .. }), "{e:?}");
            drop(sink);
            std::process::exit(42);
        }
    }
    match sink.finish() {
        Err(SinkError::Io { .. }) => std::process::exit(42),
        other => panic!("{other:?}"),
    }
}

fn run_child(folder: &Path, shell: &str) -> std::process::ExitStatus {
    let program = std::env::current_exe().unwrap();
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell}; exec \"$0\" --exact child_that_writes_too_much --nocapture"))
        .arg(program)
        .env("SINK_TEST_FOLDER", folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let status = run_child(folder.path(), "ulimit -f 2048; trap '' XFSZ");
    assert_eq!(status.code(), Some(42));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_killed_writer_leaves_no_final_file() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    let status = run_child(folder.path(), "ulimit -c 0; ulimit -f 2048");
    assert!(status.signal().is_some(), "killed by the size limit: {status}");
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() == 1 && names[0].starts_with(".a.parquet.tmp-"), "{names:?}");
    // The waste of the killed writer is in nobody's way.
    write(&folder.path().join("a.parquet"), &edge_rows(), &SinkOptions::default());
}

#[test]
#[ignore = "a measurement: run in release"]
fn speed() {
    let floats = (0..16).map(|c| ColumnSpec::new(format!("f{c}"), ColumnKind::F64).nullable());
    let integers = (0..16).map(|c| ColumnSpec::new(format!("i{c}"), ColumnKind::I64).nullable());
    let mut columns = vec![
        ColumnSpec::new("symbol", ColumnKind::Utf8Dict),
        ColumnSpec::new("ts_event", ColumnKind::TimestampNs),
        ColumnSpec::new("seq", ColumnKind::U64),
        ColumnSpec::new("flags", ColumnKind::U32),
    ];
    columns.extend(floats.chain(integers));
    let spec = TableSpec::new(columns);
    let rows = 1_000_000_u64;
    let mut state = 1_u64;
    let mut words = vec![0_u64; spec.columns.len()];
    let mut lots = [0_i64; 16];
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("none", None),
        ("parquet zstd", Some(("z.parquet", Compression::Zstd))),
        ("parquet snappy", Some(("s.parquet", Compression::Snappy))),
        ("parquet plain", Some(("n.parquet", Compression::None))),
        ("arrow", Some(("a.arrow", Compression::None))),
        ("csv", Some(("c.csv", Compression::None))),
    ];
    for (name, target) in cases {
        let mut builder = RowBatchBuilder::new(&spec, sink::DEFAULT_BATCH_ROWS, &["BTCUSDT"]);
        let options = |compression| SinkOptions { compression, ..SinkOptions::default() };
        let mut sink = target.map(|(file, compression)| {
            sink::create(&folder.path().join(file), &spec, &options(compression)).unwrap()
        });
        let (mut filling, mut writing) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let mut done = 0;
        while done < rows {
            let start = std::time::Instant::now();
            while !builder.is_full() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                words[1] = 1_723_161_255_030_314_667 + done * 1_000_003 + (state >> 50);
                words[2] += state >> 60;
                let column = (state >> 40) as usize % 16;
                lots[column] += (state >> 50) as i64 - 8_192;
                words[20 + column] = lots[column].cast_unsigned();
                words[4 + column] = (lots[column] as f64 / 1_000.0 / 7.0).to_bits();
                builder.push_row(&words, &[u64::MAX >> ((state >> 62) * 2)]);
                done += 1;
            }
            let batch = builder.finish();
            filling += start.elapsed();
            let start = std::time::Instant::now();
            if let Some(sink) = &mut sink {
                sink.write(&batch).unwrap();
            }
            writing += start.elapsed();
        }
        let start = std::time::Instant::now();
        let bytes = sink.map_or(0, |sink| sink.finish().unwrap().bytes);
        println!(
            "{name}: fill {:.0} ns/row, write {:.0} ns/row, finish {:?}, {:.2} bytes/value",
            filling.as_secs_f64() * 1e9 / done as f64,
            writing.as_secs_f64() * 1e9 / done as f64,
            start.elapsed(),
            bytes as f64 / (done * 36) as f64,
        );
    }
}
