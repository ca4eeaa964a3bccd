//! From a file to a Parquet file of features, and the peer from the same file to its book.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use feature_extract::{Destination, Emission, Job, Output};
use feature_runtime::built_in_set;
use hftbacktest::backtest::data::read_npz_file;
use hftbacktest::depth::{MarketDepth, ROIVectorMarketDepth};
use hftbacktest::types::{
    DEPTH_CLEAR_EVENT, DEPTH_EVENT, DEPTH_SNAPSHOT_EVENT, Event, LOCAL_EVENT,
};
use market_io::OpenOptions;
use market_io::sink::{Existing, SinkOptions};
use zip::write::SimpleFileOptions;

use crate::peers::apply_row;

/// Extracts a set, a row per packet, into `rows.parquet` of a folder.
///
/// # Errors
///
/// What the job reports.
pub fn extract(open: &OpenOptions, set: &str, folder: &Path) -> Result<Output> {
    let job = Job {
        open: open.clone(),
        set: built_in_set(set)?.into(),
        model: None,
        emission: Emission::Packet,
        bars: None,
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
    Ok(feature_extract::run(&job, &())?)
}

/// hftbacktest's own book over the same file: load, then apply; the best prices at the end. Making
/// the book, which touches every page of the range, is left to the caller and not timed.
///
/// # Errors
///
/// When the file cannot be read.
pub fn peer_from_npz(path: &Path, depth: &mut ROIVectorMarketDepth) -> Result<(i64, i64)> {
    let path = path.to_str().context("a path that is not UTF-8")?;
    let data = read_npz_file::<Event>(path, "data")?;
    for index in 0..data.len() {
        let row = &data[index];
        let is_book =
            [DEPTH_EVENT, DEPTH_CLEAR_EVENT, DEPTH_SNAPSHOT_EVENT].contains(&(row.ev & 0xFF));
        if is_book && row.ev & LOCAL_EVENT == LOCAL_EVENT {
            apply_row(depth, row);
        }
    }
    Ok((depth.best_bid_tick(), depth.best_ask_tick()))
}

/// The same array without compression, as `numpy.savez` writes it.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn stored_copy(npz: &Path, folder: &Path) -> Result<PathBuf> {
    let mut archive = zip::ZipArchive::new(File::open(npz)?)?;
    let mut bytes = Vec::new();
    archive.by_name("data.npy")?.read_to_end(&mut bytes)?;
    let path = folder.join("stored.npz");
    let mut writer = zip::ZipWriter::new(File::create(&path)?);
    let stored = zip::CompressionMethod::Stored;
    writer.start_file("data.npy", SimpleFileOptions::default().compression_method(stored))?;
    writer.write_all(&bytes)?;
    writer.finish()?;
    Ok(path)
}
