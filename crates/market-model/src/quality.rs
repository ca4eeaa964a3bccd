//! Quality bits of a frame (`specs/semantics.md`, section 3).

use bitflags::bitflags;

bitflags! {
    /// What a consumer must know about a frame; bits 14 to 31 are always 0 in version 1.
    ///
    /// Defects of market data are flags, never errors: a live engine keeps running through them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct QualityFlags: u32 {
        /// Updates are missing before this packet.
        const GAP_DETECTED = 1 << 0;
        /// All state was cleared before this packet.
        const STATE_RESET = 1 << 1;
        /// The packet arrived more than the instrument's `max_age_ns` after the event.
        const STALE_INPUT = 1 << 2;
        /// One or more late packets were dropped since the last frame.
        const OUT_OF_ORDER_INPUT = 1 << 3;
        /// Some values are held from an earlier frame; see the valid mask.
        const PARTIAL_FEATURES = 1 << 4;
        /// One or more repeated packets were dropped since the last frame.
        const DUPLICATE_INPUT = 1 << 5;
        /// Best bid above best ask.
        const CROSSED_BOOK = 1 << 6;
        /// Best bid equal to best ask.
        const LOCKED_BOOK = 1 << 7;
        /// A side of the book is empty.
        const ONE_SIDED_BOOK = 1 << 8;
        /// One or more events were refused since the last frame.
        const REJECTED_INPUT = 1 << 9;
        /// A source timestamp went backward, was missing, or lay in the far future.
        const TS_ANOMALY = 1 << 10;
        /// A value was clamped to the range of its type.
        const SATURATED = 1 << 11;
        /// No snapshot has confirmed the book yet, or the feed carries no sequence.
        const UNVERIFIED_BOOK = 1 << 12;
        /// The venue's checksum did not match the book.
        const CHECKSUM_MISMATCH = 1 << 13;
    }
}

impl QualityFlags {
    /// The five bits of the first contract, without the extension bits.
    pub const CORE: Self = Self::from_bits_truncate(0x1F);

    /// Every bit that version 1 defines.
    pub const KNOWN: Self = Self::all();
}
