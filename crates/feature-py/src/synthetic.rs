//! Synthetic recordings, for trials and tests without data.

use std::path::PathBuf;

use market_io::sink::Existing;
use market_io::synthetic::{SyntheticConfig, SyntheticSource};
use market_io::write::{NpzCompression, WriteError, write_binance, write_hftbacktest};
use market_io::{EventsWriter, Source};
use market_model::Packet;
use pyo3::prelude::*;

use crate::errors::{config, guarded, raise_write};

/// Write the recording of a synthetic market and return its number of rows.
#[pyfunction]
#[pyo3(signature = (
    path: "str",
    kind: "str",
    seed: "int",
    duration_ns: "int",
    faults: "tuple[int, int, int, int]",
    overwrite: "bool",
    /
) -> "int")]
pub(crate) fn write_synthetic(
    py: Python<'_>,
    path: PathBuf,
    kind: &str,
    seed: u64,
    duration_ns: i64,
    faults: (u32, u32, u32, u32),
    overwrite: bool,
) -> PyResult<u64> {
    let (gaps, crossed, duplicates, reorders) = faults;
    let market = SyntheticConfig {
        seed,
        duration_ns,
        gaps,
        crossed,
        duplicates,
        reorders,
        ..SyntheticConfig::default()
    };
    let existing = if overwrite { Existing::Replace } else { Existing::Refuse };
    guarded(|| {
        let written = py.detach(|| match kind {
            "binance" => Some(write_binance(&path, &market, existing)),
            "hftbacktest" => {
                Some(write_hftbacktest(&path, &market, NpzCompression::Deflate, existing))
            }
            "events" => Some(write_events(&path, &market, existing)),
            _ => None,
        });
        let Some(written) = written else {
            let shown = kind.escape_default();
            return Err(config(&format!("kind `{shown}` is none of binance, hftbacktest, events")));
        };
        Ok(written.map_err(raise_write)?.rows)
    })
}

fn write_events(
    path: &std::path::Path,
    market: &SyntheticConfig,
    existing: Existing,
) -> Result<market_io::sink::Finished, WriteError> {
    let mut source = SyntheticSource::new(market)?;
    let mut writer =
        EventsWriter::create(path, source.instrument(), serde_json::Map::new(), existing)?;
    let mut packet = Packet::default();
    while source.next_packet(&mut packet)? {
        writer.write(&packet)?;
    }
    Ok(writer.finish()?)
}
