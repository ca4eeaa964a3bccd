//! Following growing CCXT segments (`specs/watch.md`): rows and bars of many symbols, in partitions.
//!
//! What is written depends on the lines alone, never on when they were seen: a part is closed by event
//! time and has one name, so that a part written twice is the same file. The state with the position in
//! the input is committed after the parts that it no longer holds; whatever is killed in between is
//! made again.

mod config;
mod parts;
mod set;
mod state;
mod stream;
mod tail;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use market_io::Location;
use market_io::ccxt::exchange_and_symbol;
use serde::Serialize;

pub use config::{InstrumentConfig, WatchConfig};
use parts::remove_unfinished;
use state::Slots;
use stream::Stream;
use tail::Tail;

use crate::error::Error;

/// Lines between two commits while there is much to read.
const COMMIT_LINES: u64 = 2_000;

/// Folder of the state below the output folder.
const STATE_FOLDER: &str = ".watch";

/// How long to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// What is there has been read; half a line at the end and the part under way stay for later.
    Caught,
    /// As `Caught`, and the input is over: its last line counts, bars and parts under way are written.
    Finished,
}

/// What has been done since the watch began, over all its runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WatchSummary {
    /// Lines read.
    pub lines: u64,
    /// Lines of symbols that the configuration does not name.
    pub other_symbols: u64,
    /// Lines of which not even the symbol could be read.
    pub unreadable: u64,
    /// Packets, by `exchange:symbol`.
    pub packets: BTreeMap<String, u64>,
    /// Packets that say that a line was refused, by `exchange:symbol`.
    pub rejected: BTreeMap<String, u64>,
    /// Parts written by this run.
    pub parts: u64,
}

/// Follows the segments of one folder into another.
pub struct Watcher {
    tail: Tail,
    streams: Streams,
    slots: Slots,
    summary: WatchSummary,
    uncommitted: u64,
    is_finished: bool,
    /// Held until the watcher is gone.
    _lock: File,
}

impl Watcher {
    /// Begins, or continues where the last watcher of the same configuration was committed.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for the configuration, [`Error::Watch`] when another watcher runs, when the
    /// state is damaged, of another configuration or finished, or when the segment that was being read is
    /// gone or another.
    pub fn open(input: &Path, out: &Path, config: &WatchConfig) -> Result<Self, Error> {
        let plan = config.plan()?;
        let folder = out.join(STATE_FOLDER);
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::File { path: folder.clone(), source })?;
        let lock = lock(&folder)?;
        [out.join("hf"), out.join("bars"), folder.clone()]
            .iter()
            .try_for_each(|f| remove_unfinished(f))?;
        let mut streams = BTreeMap::new();
        for instrument in &plan.instruments {
            let stream = Stream::new(&plan, instrument, out)?;
            streams.insert(stream.key(), stream);
        }
        let mut watcher = Self {
            tail: Tail::new(input),
            streams,
            slots: Slots::new(&folder, &plan.canonical),
            summary: WatchSummary::default(),
            uncommitted: 0,
            is_finished: false,
            _lock: lock,
        };
        watcher.restore(&plan, out)?;
        Ok(watcher)
    }

    /// Reads what is there; `is_stopped` ends it early, after a commit.
    ///
    /// # Errors
    ///
    /// [`Error::Watch`] when a segment shrank, changed before the position, grew after the next one began,
    /// or came late; what was committed stays, and nothing is skipped.
    pub fn catch_up(&mut self, until: Until, is_stopped: &dyn Fn() -> bool) -> Result<(), Error> {
        self.tail.check()?;
        while let Some(line) = self.tail.next_line(until == Until::Finished)? {
            let Self { tail, streams, summary, .. } = self;
            take(streams, summary, tail.text(&line), &|| tail.place())?;
            self.uncommitted += 1;
            if self.uncommitted >= COMMIT_LINES {
                self.commit()?;
                if is_stopped() {
                    return Ok(());
                }
            }
        }
        if until == Until::Finished {
            for stream in self.streams.values_mut() {
                stream.finish()?;
            }
            self.is_finished = true;
            self.uncommitted += 1;
        }
        if self.uncommitted > 0 { self.commit() } else { Ok(()) }
    }

    /// What has been done.
    #[must_use]
    pub fn summary(&self) -> WatchSummary {
        let mut summary = self.summary.clone();
        for ((exchange, symbol), stream) in &self.streams {
            let name = format!("{exchange}:{symbol}");
            let (packets, rejected) = stream.counts();
            summary.parts += stream.parts();
            summary.rejected.insert(name.clone(), rejected);
            summary.packets.insert(name, packets);
        }
        summary
    }
}

type Streams = BTreeMap<(String, String), Stream>;

fn take(
    streams: &mut Streams,
    summary: &mut WatchSummary,
    line: Option<&[u8]>,
    place: &dyn Fn() -> Location,
) -> Result<(), Error> {
    summary.lines += 1;
    if line.is_some_and(|line| line.trim_ascii().is_empty()) {
        return Ok(());
    }
    let Some(key) = line.and_then(exchange_and_symbol) else {
        // Nobody knows whose book this was: it is missing in each.
        summary.unreadable += 1;
        return streams.values_mut().try_for_each(|stream| stream.read(line, place));
    };
    match streams.get_mut(&key) {
        Some(stream) => stream.read(line, place),
        None => {
            summary.other_symbols += 1;
            Ok(())
        }
    }
}

/// The lock of an output folder: two watchers would undo each other's commits.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let failed = |source| Error::File { path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let message = "another watcher writes here".into();
            Err(Error::Watch { path: folder.into(), message })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Reads a configuration file.
///
/// # Errors
///
/// [`Error::File`], and [`Error::Watch`] with the place of what is wrong in it.
pub fn load_watch_config(path: &Path) -> Result<WatchConfig, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::File { path: path.into(), source })?;
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let parsed = WatchConfig::parse(&text, &ending);
    parsed.map_err(|message| Error::Watch { path: path.into(), message })
}

/// The configuration in a folder of segments: `watch.toml`, `watch.yaml` or `watch.yml`.
///
/// # Errors
///
/// [`Error::Watch`] when there is none, or more than one.
pub fn find_watch_config(folder: &Path) -> Result<PathBuf, Error> {
    let names = ["watch.toml", "watch.yaml", "watch.yml"];
    let mut found = names.map(|name| folder.join(name)).into_iter().filter(|path| path.exists());
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        (None, _) => {
            let message = format!("expected a configuration, one of {}", names.join(", "));
            Err(Error::Watch { path: folder.into(), message })
        }
        (Some(_), Some(path)) => {
            let message = "a second configuration in the folder; remove one, or name one".into();
            Err(Error::Watch { path, message })
        }
    }
}
