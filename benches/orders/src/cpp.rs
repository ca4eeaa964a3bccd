//! A peer: the plain C++ book of `cpp/plain_book.cpp`, compiled when the bench runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use market_model::Side;

use crate::market::{Event, What};

/// Bids, asks: price and lots of the best level; 0, 0 without one.
pub(crate) type Best = [(i64, i64); 2];

/// The program, built with `-O3 -march=native`, and the file of its events.
pub(crate) struct PlainBook {
    program: PathBuf,
    events: PathBuf,
    out: PathBuf,
}

impl PlainBook {
    /// Builds it and writes the events; `None` without a compiler.
    ///
    /// # Errors
    ///
    /// When it does not compile, or a file cannot be written.
    pub(crate) fn build(folder: &Path, events: &[Event]) -> Result<Option<Self>> {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
        if Command::new(&compiler).arg("--version").output().is_err() {
            return Ok(None);
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cpp/plain_book.cpp");
        let path = |name: &str| folder.join(name);
        let (program, out) = (path("plain_book"), path("out"));
        let mut command = Command::new(&compiler);
        command.args(["-std=c++17", "-O3", "-march=native"]).arg(source).arg("-o").arg(&program);
        ensure!(command.status()?.success(), "{compiler} failed");
        let mut bytes = Vec::with_capacity(events.len() * 32);
        for Event { id, side, price_ticks, what } in events {
            let (op, lots) = match *what {
                What::Add(lots) => (0_u32, lots),
                What::Reduce { before, left } => (1, before - left),
                What::Delete => (2, 0),
            };
            bytes.extend_from_slice(&id.to_ne_bytes());
            bytes.extend_from_slice(&price_ticks.to_ne_bytes());
            bytes.extend_from_slice(&lots.to_ne_bytes());
            bytes.extend_from_slice(&op.to_ne_bytes());
            bytes.extend_from_slice(&(*side as u32).to_ne_bytes());
        }
        let events = path("events");
        std::fs::write(&events, bytes)?;
        Ok(Some(Self { program, events, out }))
    }

    /// One round over all events; nanoseconds per event.
    ///
    /// # Errors
    ///
    /// When it fails or prints something else.
    pub(crate) fn run(&self) -> Result<f64> {
        let done = Command::new(&self.program).args([&self.events, &self.out]).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(done.stdout)?;
        text.trim().parse().with_context(|| format!("ns per event in `{text}`"))
    }

    /// The best levels after every event.
    ///
    /// # Errors
    ///
    /// When [`PlainBook::run`] did not leave them.
    pub(crate) fn bests(&self) -> Result<Vec<Best>> {
        let word = |bytes: &[u8]| i64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        let bytes = std::fs::read(&self.out)?;
        let best = |row: &[u8]| {
            let words: Vec<i64> = row.chunks_exact(8).map(word).collect();
            let side = |side: Side| (words[2 * side as usize], words[2 * side as usize + 1]);
            [side(Side::Bid), side(Side::Ask)]
        };
        Ok(bytes.chunks_exact(32).map(best).collect())
    }
}
