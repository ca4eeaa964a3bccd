//! `reader-bench [--csv PATH]`: MB/s of our LOBSTER source beside the `csv` crate with serde, and of our DBN source
//! beside the vendor's crate `dbn`, on the same files; their contents are compared first.

mod databento;
mod lobster;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use instruction_gate::report::{Row, Target, print, write_csv};
use market_io::{OpenOptions, Source};
use market_model::Packet;

const ROUNDS: usize = 7;

/// What both readers must find in a file; prices and sizes in the units of the file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    /// Rows or records.
    records: u64,
    trades: u64,
    /// Over trades, price by size.
    turnover: i128,
    /// Events that say how large an order is, their price by size, and the id of the last one.
    orders: u64,
    order_value: i128,
    last_order_id: u64,
    /// Best bid and ask at the end: price, size.
    best: [Option<(i64, i64)>; 2],
}

/// One file, or one pair of files, and what two readers make of it.
struct Case {
    what: String,
    bytes: u64,
    ours: Box<dyn Fn() -> Result<u64>>,
    peer: Box<dyn Fn() -> Result<u64>>,
}

/// Reads everything into packets; how many there were.
fn drain(options: &OpenOptions) -> Result<u64> {
    let mut source = market_io::open(options)?;
    let (mut packet, mut packets) = (Packet::default(), 0);
    while source.next_packet(&mut packet)? {
        packets += 1;
    }
    Ok(packets)
}

/// Every packet of an input and the source behind it.
fn each(options: &OpenOptions, mut take: impl FnMut(&Packet)) -> Result<Box<dyn Source>> {
    let mut source = market_io::open(options)?;
    let mut packet = Packet::default();
    while source.next_packet(&mut packet)? {
        take(&packet);
    }
    Ok(source)
}

fn megabytes_per_s(bytes: u64, read: &dyn Fn() -> Result<u64>) -> Result<f64> {
    let start = Instant::now();
    read()?;
    Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn timed(case: &Case) -> Result<Row> {
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let ours = megabytes_per_s(case.bytes, &case.ours)?;
        let peer = megabytes_per_s(case.bytes, &case.peer)?;
        if round > 0 {
            rounds.push([ours, peer]);
        }
    }
    let speed = |arm: usize| median(rounds.iter().map(|round| round[arm]).collect());
    Ok(Row {
        figure: "readers",
        what: case.what.clone(),
        ours: format!("{:.0} MB/s", speed(0)),
        peer: format!("{:.0} MB/s", speed(1)),
        value: median(rounds.iter().map(|[ours, peer]| ours / peer).collect()),
        target: Target::None,
    })
}

/// Unpacks a file of the shared recordings, so that no arm pays for it.
fn unpacked(from: &Path, folder: &Path) -> Result<PathBuf> {
    let name = from.file_stem().context("a file without a name")?;
    let to = folder.join(name);
    zstd::stream::copy_decode(std::fs::File::open(from)?, std::fs::File::create(&to)?)?;
    Ok(to)
}

fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut csv = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--csv" => csv = Some(PathBuf::from(args.next().context("--csv needs a path")?)),
            other => bail!("unknown argument `{other}`; expected --csv PATH"),
        }
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !shared.is_dir() {
        println!("skipped: no recordings at {}", shared.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut cases = lobster::cases(&shared, folder.path())?;
    cases.extend(databento::cases(&shared, folder.path())?);
    println!("{} files compared: both readers find the same in each\n", cases.len());
    let rows = cases.iter().map(timed).collect::<Result<Vec<_>>>()?;
    print(&rows);
    if let Some(path) = csv {
        write_csv(&path, &rows, "files in the page cache, opening included; median of rounds")?;
    }
    Ok(())
}
