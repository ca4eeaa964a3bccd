//! `specs/abi-v1.md` in bytes.

use market_model::QualityFlags;

/// Everything of a frame, not packed yet.
#[derive(Debug, Clone)]
pub(super) struct Frame<'a> {
    pub(super) schema_hash: u64,
    pub(super) symbol_id: u32,
    pub(super) seq: u64,
    pub(super) source_seq: u64,
    pub(super) source_ts_ns: i64,
    pub(super) local_ts_ns: i64,
    pub(super) epoch: u32,
    pub(super) flags: QualityFlags,
    pub(super) changed: &'a [bool],
    pub(super) ready: &'a [bool],
    pub(super) valid: &'a [bool],
    pub(super) words: &'a [u64],
}

impl Frame<'_> {
    /// Appends the bytes of the frame.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.words.len()).expect("Invariant: a set is small");
        out.extend_from_slice(b"FUFRAME1");
        out.extend_from_slice(&self.schema_hash.to_le_bytes());
        out.extend_from_slice(&self.symbol_id.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.source_seq.to_le_bytes());
        out.extend_from_slice(&self.source_ts_ns.to_le_bytes());
        out.extend_from_slice(&self.local_ts_ns.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.flags.bits().to_le_bytes());
        for mask in [self.changed, self.ready, self.valid] {
            for bits in mask.chunks(64) {
                let set = bits.iter().enumerate().filter(|(_, bit)| **bit);
                let word = set.fold(0_u64, |word, (at, _)| word | 1 << at);
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        for word in self.words {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
}
