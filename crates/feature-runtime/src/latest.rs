//! The latest frame of every symbol, for other threads and other processes (`specs/live.md`).
//!
//! One writer publishes; readers copy whole frames, or get none. The table is on the heap, or in a
//! file that both sides map.
//!
//! ```
//! use feature_runtime::{Latest, LatestWriter, built_in_set};
//! let set = built_in_set("lob_shared_v1")?;
//! let writer = LatestWriter::in_memory(&set, &["BTCUSDT"], &[]);
//! let (reader, mut latest) = (writer.reader(), Latest::default());
//! assert!(!reader.read(0, &mut latest)?);
//! # Ok::<(), feature_runtime::Error>(())
//! ```

mod layout;
mod region;
mod seqlock;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use feature_kernel::{FeatureSet, FrameRef};

use crate::error::Error;
use layout::{CLOSED, Layout, OPEN, SLOT_HEADER_WORDS, STATE_WORD};
use region::Region;
use seqlock::Copied;

/// Attempts of a reader before it sleeps: a writer that runs needs less than a microsecond.
const TRIES: u32 = 64;

/// A writer that the system stopped in the middle of a frame is waited for, for a second in all.
const SLEEP: Duration = Duration::from_micros(50);
const SLEEPS: u32 = 20_000;

/// Publishes frames; there is one per table.
#[derive(Debug)]
pub struct LatestWriter {
    region: Arc<Region>,
    layout: Arc<Layout>,
    /// Publications by symbol.
    counts: Vec<u64>,
}

/// Copies the latest frame of a symbol.
#[derive(Debug, Clone)]
pub struct LatestReader {
    region: Arc<Region>,
    layout: Arc<Layout>,
}

/// A copy of what was published last; reading into the same one again allocates nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Latest {
    words: Vec<u64>,
    scores: usize,
}

impl LatestWriter {
    /// A table on the heap, for threads of this process. `outputs` names the scores of a model.
    #[must_use]
    pub fn in_memory(set: &FeatureSet, symbols: &[&str], outputs: &[&str]) -> Self {
        let layout = Layout::new(set, symbols, outputs);
        let region = Region::heap(layout.words());
        Self::over(region, layout)
    }

    /// A table in a file, for other processes. A file of that name is replaced in one step: a reader
    /// sees the old table or the new one, and keeps the one that it opened.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn create(
        path: &Path,
        set: &FeatureSet,
        symbols: &[&str],
        outputs: &[&str],
    ) -> Result<Self, Error> {
        let layout = Layout::new(set, symbols, outputs);
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        let made = || {
            let mut options = OpenOptions::new();
            let file =
                options.read(true).write(true).create(true).truncate(true).open(&temporary)?;
            file.set_len(8 * layout.words() as u64)?;
            Region::writable(&file)
        };
        let region = made().map_err(|source| Error::File { path: temporary.clone(), source })?;
        let writer = Self::over(region, layout);
        std::fs::rename(&temporary, path)
            .map_err(|source| Error::File { path: path.into(), source })?;
        Ok(writer)
    }

    fn over(region: Region, layout: Layout) -> Self {
        layout.describe(region.words());
        region.words()[STATE_WORD].store(OPEN, Ordering::Release);
        let counts = vec![0; layout.symbols.len()];
        Self { region: Arc::new(region), layout: Arc::new(layout), counts }
    }

    /// A reader of this table in this process.
    #[must_use]
    pub fn reader(&self) -> LatestReader {
        LatestReader { region: Arc::clone(&self.region), layout: Arc::clone(&self.layout) }
    }

    /// Publishes a frame, with the scores of the model if there are any, at a time by the caller's
    /// clock (UTC ns, 0 when it has none). Allocates nothing.
    ///
    /// # Panics
    ///
    /// Panics when the frame's symbol or number of features is not one of the table.
    #[inline]
    pub fn publish(&mut self, frame: FrameRef<'_>, scores: Option<&[f64]>, now_ns: i64) {
        let symbol = frame.symbol_id() as usize;
        assert_eq!(frame.words().len(), self.layout.frame_words, "a frame of the table's set");
        self.counts[symbol] += 1;
        let head = [self.counts[symbol], now_ns.cast_unsigned(), u64::from(scores.is_some())];
        let given = scores.unwrap_or_default().iter().map(|score| score.to_bits());
        let scores = given.chain(std::iter::repeat(0)).take(self.layout.outputs);
        let words = head.into_iter().chain(scores).chain(frame.words().iter().copied());
        let slot = self.layout.slot(self.region.words(), symbol);
        seqlock::write(&slot[0], &slot[1..], words);
    }
}

impl Drop for LatestWriter {
    fn drop(&mut self) {
        self.region.words()[STATE_WORD].store(CLOSED, Ordering::Release);
    }
}

impl LatestReader {
    /// Opens a table in a file that was written for `schema_hash`.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::NotLatest`] when the file is no table of this version, or cut;
    /// [`Error::Kernel`] when it is of another feature set.
    pub fn open(path: &Path, schema_hash: u64) -> Result<Self, Error> {
        let file_error = |source| Error::File { path: path.into(), source };
        let file = std::fs::File::open(path).map_err(file_error)?;
        let bytes = file.metadata().map_err(file_error)?.len();
        let broken = |(field, expected, found)| {
            let path = path.into();
            Error::NotLatest { path, field, expected, found }
        };
        layout::check_length(bytes).map_err(broken)?;
        let region = Region::read_only(&file).map_err(file_error)?;
        let layout = Layout::parse(region.words()).map_err(broken)?;
        let found = layout.schema_hash;
        if found != schema_hash {
            let expected = schema_hash;
            return Err(feature_kernel::Error::SchemaMismatch { expected, found }.into());
        }
        Ok(Self { region: Arc::new(region), layout: Arc::new(layout) })
    }

    /// Symbols in the order of their ids.
    #[must_use]
    pub fn symbols(&self) -> &[String] {
        &self.layout.symbols
    }

    /// Id of a symbol.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    pub fn symbol_id(&self, name: &str) -> Result<u32, Error> {
        let at = self.layout.symbols.iter().position(|symbol| symbol == name);
        at.and_then(|at| u32::try_from(at).ok()).ok_or_else(|| self.unknown(name))
    }

    /// Copies the latest frame of a symbol; `false`, and nothing copied, before the first one.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`]; [`Error::Unfinished`], after a second, when the writer ended in the
    /// middle of a frame.
    #[inline]
    pub fn read(&self, symbol_id: u32, latest: &mut Latest) -> Result<bool, Error> {
        let symbol = symbol_id as usize;
        if symbol >= self.layout.symbols.len() {
            return Err(self.unknown(&symbol_id.to_string()));
        }
        latest.words.resize(self.layout.used_slot_words() - 1, 0);
        latest.scores = self.layout.outputs;
        let slot = self.layout.slot(self.region.words(), symbol);
        for _ in 0..SLEEPS {
            match seqlock::read(&slot[0], &slot[1..], &mut latest.words, TRIES) {
                Copied::Whole => return Ok(true),
                Copied::Empty => return Ok(false),
                Copied::Busy => std::thread::sleep(SLEEP),
            }
        }
        Err(Error::Unfinished { symbol: self.layout.symbols[symbol].clone() })
    }

    /// Whether the writer has ended in good order. A writer that was killed has not.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.words()[STATE_WORD].load(Ordering::Acquire) == CLOSED
    }

    /// Offset in bytes of the frame of a symbol in the file, for views that copy nothing; its version
    /// is the word at the offset of the slot.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSymbol`].
    pub fn offsets(&self, symbol_id: u32) -> Result<(usize, usize), Error> {
        let symbol = symbol_id as usize;
        if symbol >= self.layout.symbols.len() {
            return Err(self.unknown(&symbol_id.to_string()));
        }
        let slot = self.layout.slot_start(symbol);
        Ok((8 * slot, 8 * (slot + SLOT_HEADER_WORDS + self.layout.outputs)))
    }

    fn words(&self) -> &[AtomicU64] {
        self.region.words()
    }

    fn unknown(&self, symbol: &str) -> Error {
        let known = self.layout.symbols.join(", ");
        Error::UnknownSymbol { symbol: symbol.into(), known }
    }
}

impl Latest {
    /// The frame.
    ///
    /// # Panics
    ///
    /// Panics before the first successful read.
    #[must_use]
    pub fn frame(&self) -> FrameRef<'_> {
        FrameRef::from_words(&self.words[SLOT_HEADER_WORDS - 1 + self.scores..])
    }

    /// How many frames of the symbol were published, this one included: a reader that polls sees from
    /// the difference how many it did not.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.words[0]
    }

    /// When the frame was published by the writer's clock, UTC ns; 0 when it has none.
    #[must_use]
    pub fn published_ns(&self) -> i64 {
        self.words[1].cast_signed()
    }

    /// Score `index` of the model; `None` when it gave none for this frame.
    #[must_use]
    pub fn score(&self, index: usize) -> Option<f64> {
        (self.words[2] == 1 && index < self.scores)
            .then(|| f64::from_bits(self.words[SLOT_HEADER_WORDS - 1 + index]))
    }
}
