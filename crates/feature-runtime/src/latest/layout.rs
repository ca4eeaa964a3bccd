//! Where everything is in a table of latest frames (`specs/live.md`).

use std::sync::atomic::{AtomicU64, Ordering};

use feature_kernel::FeatureSet;
use feature_kernel::frame::frame_bytes;
use serde::{Deserialize, Serialize};

/// First word of a table.
const MARKER: u64 = u64::from_le_bytes(*b"FPLATES1");

const HEADER_WORDS: usize = 8;
const SCHEMA_WORD: usize = 1;
const COUNTS_WORD: usize = 2;
const SLOT_WORD: usize = 3;
const TEXT_WORD: usize = 5;

/// State of the writer.
pub(super) const STATE_WORD: usize = 4;
pub(super) const OPEN: u64 = 1;
pub(super) const CLOSED: u64 = 2;

/// Version, publications, time and the mark of scores stand before the scores and the frame.
pub(super) const SLOT_HEADER_WORDS: usize = 4;

/// Slots start at a cache line, so that two symbols never share one.
const LINE_WORDS: usize = 8;

const MAX_BYTES: u64 = 1 << 30;

/// What a table says of itself in words.
#[derive(Serialize, Deserialize)]
struct Text {
    feature_set_id: String,
    symbols: Vec<String>,
    outputs: Vec<String>,
}

/// Sizes and names of one table.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) schema_hash: u64,
    pub(super) symbols: Vec<String>,
    /// Scores of a model; 0 without one.
    pub(super) outputs: usize,
    pub(super) frame_words: usize,
    features: usize,
    text: Vec<u8>,
}

/// Field, what it must be, what it is.
pub(super) type Misfit = (&'static str, String, String);

/// Whether a file can be a table at all, before it is mapped.
pub(super) fn check_length(bytes: u64) -> Result<(), Misfit> {
    let fits = (8 * HEADER_WORDS as u64..=MAX_BYTES).contains(&bytes) && bytes.is_multiple_of(8);
    let expected = || format!("whole words, {} to {MAX_BYTES} bytes", 8 * HEADER_WORDS);
    if fits { Ok(()) } else { Err(("length", expected(), format!("{bytes} bytes"))) }
}

impl Layout {
    pub(super) fn new(set: &FeatureSet, symbols: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let text = Text {
            feature_set_id: set.id().into(),
            symbols: owned(symbols),
            outputs: owned(outputs),
        };
        let json = serde_json::to_vec(&text).expect("Invariant: names are JSON strings");
        Self {
            schema_hash: set.schema_hash(),
            symbols: text.symbols,
            outputs: outputs.len(),
            frame_words: frame_bytes(set.len()) / 8,
            features: set.len(),
            text: json,
        }
    }

    /// Words of a slot that hold something.
    pub(super) const fn used_slot_words(&self) -> usize {
        SLOT_HEADER_WORDS + self.outputs + self.frame_words
    }

    const fn slot_words(&self) -> usize {
        self.used_slot_words().next_multiple_of(LINE_WORDS)
    }

    const fn slots_start(&self) -> usize {
        (HEADER_WORDS + self.text.len().div_ceil(8)).next_multiple_of(LINE_WORDS)
    }

    pub(super) const fn slot_start(&self, symbol: usize) -> usize {
        self.slots_start() + symbol * self.slot_words()
    }

    /// Length of the table.
    pub(super) const fn words(&self) -> usize {
        self.slot_start(self.symbols.len())
    }

    #[inline]
    pub(super) fn slot<'a>(&self, words: &'a [AtomicU64], symbol: usize) -> &'a [AtomicU64] {
        let start = self.slot_start(symbol);
        &words[start..start + self.used_slot_words()]
    }

    /// Writes everything but the slots and the state.
    pub(super) fn describe(&self, words: &[AtomicU64]) {
        let counts = self.features as u64 | (self.symbols.len() as u64) << 32;
        let slot = self.slot_words() as u64 | (self.outputs as u64) << 32;
        for (at, word) in [
            (SCHEMA_WORD, self.schema_hash),
            (COUNTS_WORD, counts),
            (SLOT_WORD, slot),
            (TEXT_WORD, self.text.len() as u64),
            (0, MARKER),
        ] {
            words[at].store(word, Ordering::Relaxed);
        }
        for (word, chunk) in words[HEADER_WORDS..].iter().zip(self.text.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
    }

    /// Reads what [`Layout::describe`] wrote, from words that another process made.
    pub(super) fn parse(words: &[AtomicU64]) -> Result<Self, Misfit> {
        let word = |at: usize| words[at].load(Ordering::Acquire);
        if word(0) != MARKER {
            let found = word(0).to_le_bytes().escape_ascii().to_string();
            return Err(("marker", "FPLATES1".into(), found));
        }
        let halves = |at: usize| (word(at) as u32 as usize, (word(at) >> 32) as usize);
        let ((features, symbols), (slot_words, outputs)) = (halves(COUNTS_WORD), halves(SLOT_WORD));
        let room = 8 * (words.len() - HEADER_WORDS);
        let text_bytes = usize::try_from(word(TEXT_WORD)).unwrap_or(usize::MAX);
        if text_bytes > room {
            return Err(("text", format!("at most {room} bytes"), text_bytes.to_string()));
        }
        let mut text: Vec<u8> = words[HEADER_WORDS..HEADER_WORDS + text_bytes.div_ceil(8)]
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect();
        text.truncate(text_bytes);
        let names: Text = serde_json::from_slice(&text)
            .map_err(|error| ("text", "JSON with names".to_owned(), error.to_string()))?;
        let counted = (names.symbols.len(), names.outputs.len());
        if counted != (symbols, outputs) {
            return Err(("names", format!("{symbols} and {outputs}"), format!("{counted:?}")));
        }
        // A count that is a lie must not overflow below: no table holds more features than words.
        if features > words.len() || outputs > words.len() {
            let found = format!("{features} features, {outputs} scores");
            return Err(("counts", format!("at most {} words", words.len()), found));
        }
        let layout = Self {
            schema_hash: word(SCHEMA_WORD),
            symbols: names.symbols,
            outputs,
            frame_words: frame_bytes(features) / 8,
            features,
            text,
        };
        if layout.slot_words() != slot_words {
            return Err(("slot", layout.slot_words().to_string(), slot_words.to_string()));
        }
        if layout.words() != words.len() {
            return Err(("length", layout.words().to_string(), format!("{} words", words.len())));
        }
        Ok(layout)
    }
}
