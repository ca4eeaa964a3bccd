//! Rows of one table in parts: a file for every stretch of event time, below the date of its rows.

use std::path::{Path, PathBuf};

use market_io::sink::{Compression, Existing, SinkOptions, TableSpec};
use market_model::{StateReader, StateWriter};

use crate::emission::date_text;
use crate::error::Error;
use crate::writer::TableWriter;

/// Place of the time of a row among its words, in rows and in bars.
const TIME: usize = 1;

/// A folder of a partition, as Hive names it: `key=value`, and in the value `%XX` for every byte that is no
/// letter, digit, `-` or `_`, so that no name leads out of the folder. Readers of partitions undo that.
pub(super) fn partition(key: &str, value: &str) -> String {
    let mut folder = format!("{key}=");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            folder.push(byte.into());
        } else {
            folder.push_str(&format!("%{byte:02X}"));
        }
    }
    folder
}

/// Removes what a writer that was killed has left below a folder.
pub(super) fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: folder.into(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if entry.file_type().map_err(failed)?.is_dir() {
            remove_unfinished(&path)?;
        } else if name.starts_with('.') && name.contains(".tmp-") {
            std::fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// The part under way of one table.
pub(super) struct Parts {
    folder: PathBuf,
    prefix: String,
    spec: TableSpec,
    symbol: String,
    part_ns: i64,
    compression: Compression,
    /// Start of the part that is under way, UTC ns.
    start_ns: Option<i64>,
    words: Vec<u64>,
    valid: Vec<u64>,
    pub(super) written: u64,
}

impl Parts {
    /// Parts in `folder/date=.../`, with names of a prefix and the time at which they start.
    pub(super) fn new(
        folder: &Path,
        prefix: &str,
        spec: TableSpec,
        symbol: &str,
        part_ns: i64,
        compression: Compression,
    ) -> Self {
        Self {
            folder: folder.into(),
            prefix: prefix.into(),
            spec,
            symbol: symbol.into(),
            part_ns,
            compression,
            start_ns: None,
            words: Vec::new(),
            valid: Vec::new(),
            written: 0,
        }
    }

    /// Appends a row; a row of another stretch writes the part before it.
    pub(super) fn push(&mut self, words: &[u64], valid: &[u64]) -> Result<(), Error> {
        let start_ns = words[TIME].cast_signed().div_euclid(self.part_ns) * self.part_ns;
        if self.start_ns.is_some_and(|under_way| under_way != start_ns) {
            self.write()?;
        }
        self.start_ns = Some(start_ns);
        self.words.extend_from_slice(words);
        self.valid.extend_from_slice(valid);
        Ok(())
    }

    /// Writes the part under way, if there is one; a part that is there already is replaced.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        let Some(start_ns) = self.start_ns.take() else { return Ok(()) };
        let (date, time) = date_text(start_ns);
        let folder = self.folder.join(format!("date={date}"));
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::File { path: folder.clone(), source })?;
        let path = folder.join(format!("{}{time}.parquet", self.prefix));
        let options = SinkOptions { compression: self.compression, existing: Existing::Replace };
        let mut table = TableWriter::create(Some((&path, &options)), &self.spec, &self.symbol)?;
        let columns = self.spec.columns.len();
        let rows = self.words.chunks_exact(columns);
        for (words, valid) in rows.zip(self.valid.chunks_exact(columns.div_ceil(64))) {
            table.push(words, valid)?;
        }
        table.finish()?;
        self.words.clear();
        self.valid.clear();
        self.written += 1;
        Ok(())
    }

    pub(super) fn save(&self, out: &mut StateWriter) {
        out.opt_i64(self.start_ns);
        for words in [&self.words, &self.valid] {
            out.u64(words.len() as u64);
            words.iter().for_each(|word| out.u64(*word));
        }
    }

    pub(super) fn load(&mut self, from: &mut StateReader<'_>) -> Result<(), Error> {
        self.start_ns = from.opt_i64()?;
        for words in [&mut self.words, &mut self.valid] {
            words.clear();
            for _ in 0..from.count("words of a part", 8)? {
                words.push(from.u64()?);
            }
        }
        let rows = self.words.len() / self.spec.columns.len();
        if self.valid.len() != rows * self.spec.columns.len().div_ceil(64) {
            return Err(from.invalid("validity of a part", &self.valid.len()).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_one_folder() {
        assert_eq!(partition("symbol", "BTC/USDT:USDT"), "symbol=BTC%2FUSDT%3AUSDT");
        assert_eq!(partition("symbol", "../x\0"), "symbol=%2E%2E%2Fx%00");
        assert_eq!(partition("exchange", "binance"), "exchange=binance");
    }
}
