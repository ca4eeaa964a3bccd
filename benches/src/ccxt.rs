//! A CCXT recording, made up, to rows of `ccxt_hf_v1` and bars.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use feature_extract::{BarOptions, Destination, EmptyBars, Job, Output};
use feature_runtime::built_in_set;
use market_io::OpenOptions;
use market_io::sink::{Existing, SinkOptions};
use testkit::ccxt::CcxtLines;

/// Levels of a side, as the job that is the reference was measured with.
const LEVELS: usize = 50;

const LINES: usize = 60_000;

/// Writes the recording; the number of order books in it.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: &Path) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut books = 0;
    let lines = CcxtLines::new(&["binance:BTC/USDT"], LEVELS, 1_709_999_970_000, 7);
    for line in lines.take(LINES) {
        books += u64::from(line.starts_with(r#"{"type":"orderbook""#));
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    Ok(books)
}

/// Rows by an emission and bars of 1, 5, 30 and 60 s, into files of a folder.
///
/// # Errors
///
/// What the job reports, and a line that was refused.
pub fn extract(input: &Path, emission: &str, folder: &Path) -> Result<Output> {
    let durations_ns = [1, 5, 30, 60].map(|seconds| seconds * 1_000_000_000).to_vec();
    let job = Job {
        open: OpenOptions { inputs: vec![input.into()], ..OpenOptions::default() },
        set: built_in_set("ccxt_hf_v1")?.into(),
        model: None,
        emission: emission.parse()?,
        bars: Some(BarOptions { durations_ns, empty: EmptyBars::Skip, path: None }),
        checkpoints: None,
        warm_start: None,
        from_ns: None,
        to_ns: None,
        destination: Destination::File {
            path: folder.join("rows.parquet"),
            options: SinkOptions { existing: Existing::Replace, ..SinkOptions::default() },
        },
        command: "bench".into(),
    };
    let output = feature_extract::run(&job, &())?;
    let summary = &output.summary;
    ensure!(summary.packets == LINES as u64 && summary.rejected_count == 0, "every line counts");
    ensure!(summary.bars.iter().all(|bars| bars.bars > 0), "every duration has bars");
    Ok(output)
}
