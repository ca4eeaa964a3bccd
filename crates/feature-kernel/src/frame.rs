//! `FeatureUpdateFrameV1`: the bytes that leave the kernel (`specs/abi-v1.md`).

use market_model::QualityFlags;

use crate::error::Error;

/// First eight bytes of every frame.
pub const MARKER: [u8; 8] = *b"FUFRAME1";

/// Length of the fixed header in bytes.
pub const HEADER_BYTES: usize = 64;

const HEADER_WORDS: usize = HEADER_BYTES / 8;

/// Length of a frame of `n` features in bytes.
///
/// ```
/// assert_eq!(feature_kernel::frame::frame_bytes(16), 64 + 24 + 128);
/// assert_eq!(feature_kernel::frame::frame_bytes(65), 64 + 48 + 520);
/// ```
#[must_use]
pub const fn frame_bytes(n: usize) -> usize {
    HEADER_BYTES + 24 * n.div_ceil(64) + 8 * n
}

/// Header fields that change from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameHeader {
    /// Frame number of the symbol in the epoch, from 1.
    pub seq: u64,
    /// Update id of the packet; 0 when there is none.
    pub source_seq: u64,
    /// Event time, UTC ns.
    pub source_ts_ns: i64,
    /// Arrival time, UTC ns; 0 when unknown.
    pub local_ts_ns: i64,
    /// Session number, from 0.
    pub epoch: u32,
    /// Quality bits.
    pub quality: QualityFlags,
}

/// An owned frame, written in place packet after packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameBuf {
    words: Vec<u64>,
    features: usize,
}

/// A borrowed frame.
///
/// ```
/// # use feature_kernel::{FrameBuf, FrameRef};
/// let buf = FrameBuf::new(0xABCD, 7, 2);
/// let bytes = buf.as_bytes().to_vec();
/// let words = feature_kernel::frame::decode(&bytes, 0xABCD, 2)?;
/// let frame = FrameRef::from_words(&words);
/// assert_eq!((frame.symbol_id(), frame.feature_count()), (7, 2));
/// # Ok::<(), feature_kernel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRef<'a> {
    words: &'a [u64],
    features: usize,
}

impl FrameBuf {
    /// An empty frame: no frame number, nothing valid.
    ///
    /// # Panics
    ///
    /// Panics with more than 2^32 features.
    #[must_use]
    pub fn new(schema_hash: u64, symbol_id: u32, features: usize) -> Self {
        let count = u32::try_from(features).expect("fewer than 2^32 features");
        let mut words = vec![0; frame_bytes(features) / 8];
        words[0] = u64::from_le_bytes(MARKER);
        words[1] = schema_hash;
        words[2] = u64::from(symbol_id) | (u64::from(count) << 32);
        Self { words, features }
    }

    /// Writes the header fields that change.
    #[inline]
    pub fn set_header(&mut self, header: &FrameHeader) {
        self.words[3] = header.seq;
        self.words[4] = header.source_seq;
        self.words[5] = header.source_ts_ns.cast_unsigned();
        self.words[6] = header.local_ts_ns.cast_unsigned();
        self.words[7] = u64::from(header.epoch) | (u64::from(header.quality.bits()) << 32);
    }

    /// The frame for reading.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> FrameRef<'_> {
        FrameRef { words: &self.words, features: self.features }
    }

    /// The frame as bytes. Little-endian machines only, which the crate checks when it is built.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Masks and values for the kernel to write: changed, ready, valid, values.
    #[inline]
    pub(crate) fn parts_mut(&mut self) -> [&mut [u64]; 4] {
        let m = self.features.div_ceil(64);
        let rest = &mut self.words[HEADER_WORDS..];
        let (changed, rest) = rest.split_at_mut(m);
        let (ready, rest) = rest.split_at_mut(m);
        let (valid, values) = rest.split_at_mut(m);
        [changed, ready, valid, values]
    }
}

#[cfg(target_endian = "big")]
compile_error!("frames are little-endian and viewed in place");

impl<'a> FrameRef<'a> {
    /// A frame over words that [`decode`] or the kernel made.
    ///
    /// # Panics
    ///
    /// Panics when the number of words does not fit the feature count in the header.
    #[must_use]
    pub fn from_words(words: &'a [u64]) -> Self {
        let features = (words[2] >> 32) as usize;
        assert_eq!(words.len() * 8, frame_bytes(features), "frame length fits its feature count");
        Self { words, features }
    }

    /// Schema hash of the feature set.
    #[must_use]
    pub fn schema_hash(&self) -> u64 {
        self.words[1]
    }

    /// Dense symbol id.
    #[must_use]
    pub fn symbol_id(&self) -> u32 {
        self.words[2] as u32
    }

    /// Number of features.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.features
    }

    /// The header fields that change from frame to frame.
    #[must_use]
    pub fn header(&self) -> FrameHeader {
        FrameHeader {
            seq: self.words[3],
            source_seq: self.words[4],
            source_ts_ns: self.words[5].cast_signed(),
            local_ts_ns: self.words[6].cast_signed(),
            epoch: self.words[7] as u32,
            quality: QualityFlags::from_bits_retain((self.words[7] >> 32) as u32),
        }
    }

    /// The words that never change: marker, schema hash, symbol id and count.
    pub(crate) fn fixed_words(&self) -> [u64; 3] {
        [self.words[0], self.words[1], self.words[2]]
    }

    #[inline]
    fn mask(&self, which: usize) -> &'a [u64] {
        let m = self.features.div_ceil(64);
        &self.words[HEADER_WORDS + which * m..HEADER_WORDS + (which + 1) * m]
    }

    /// Bits of values that differ from the previous frame.
    #[must_use]
    pub fn changed_mask(&self) -> &'a [u64] {
        self.mask(0)
    }

    /// Bits of values that have seen enough packets and enough time.
    #[must_use]
    pub fn warmup_ready_mask(&self) -> &'a [u64] {
        self.mask(1)
    }

    /// Bits of values that are defined for this packet.
    #[must_use]
    pub fn valid_mask(&self) -> &'a [u64] {
        self.mask(2)
    }

    /// Value words in schema order.
    #[inline]
    #[must_use]
    pub fn values(&self) -> &'a [u64] {
        &self.words[HEADER_WORDS + 3 * self.features.div_ceil(64)..]
    }

    /// The word of a feature, `None` when it is not valid.
    #[inline]
    #[must_use]
    pub fn value(&self, feature_id: usize) -> Option<u64> {
        let word = *self.values().get(feature_id)?;
        bit(self.valid_mask(), feature_id).then_some(word)
    }

    /// The frame as 64-bit words in the order of its bytes.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &'a [u64] {
        self.words
    }

    /// The frame as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        bytemuck::cast_slice(self.words)
    }

    /// A copy that owns its words.
    #[must_use]
    pub fn to_owned(&self) -> FrameBuf {
        FrameBuf { words: self.words.to_vec(), features: self.features }
    }
}

/// Bit `index` of a mask.
#[inline]
#[must_use]
pub fn bit(mask: &[u64], index: usize) -> bool {
    (mask[index / 64] >> (index % 64)) & 1 == 1
}

/// Checks bytes and copies them into aligned words; never pads, truncates or reorders.
///
/// # Errors
///
/// [`Error::SchemaMismatch`] for another schema hash, [`Error::BadFrame`] for anything else that
/// does not fit: marker, count, length, unknown quality bits, mask bits beyond the features.
pub fn decode(bytes: &[u8], schema_hash: u64, features: usize) -> Result<Vec<u64>, Error> {
    let bad = |field, offset, expected: String, found: String| {
        Err(Error::BadFrame { field, offset, expected, found })
    };
    if bytes.len() < HEADER_BYTES {
        let (want, have) = (format!("{HEADER_BYTES} bytes or more"), bytes.len().to_string());
        return bad("length", 0, want, have);
    }
    if bytes[..8] != MARKER {
        return bad("marker", 0, "FUFRAME1".into(), bytes[..8].escape_ascii().to_string());
    }
    let word =
        |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap_or_default());
    if word(1) != schema_hash {
        return Err(Error::SchemaMismatch { expected: schema_hash, found: word(1) });
    }
    if word(2) >> 32 != features as u64 {
        return bad("feature_count", 20, features.to_string(), (word(2) >> 32).to_string());
    }
    let length = frame_bytes(features);
    if bytes.len() != length {
        return bad("length", 0, format!("{length} bytes"), bytes.len().to_string());
    }
    let quality = (word(7) >> 32) as u32;
    if quality & !QualityFlags::KNOWN.bits() != 0 {
        return bad("quality_flags", 60, "known bits".into(), format!("{quality:#x}"));
    }
    let m = features.div_ceil(64);
    for (mask, field) in ["changed_mask", "warmup_ready_mask", "valid_mask"].into_iter().enumerate()
    {
        let last = HEADER_WORDS + (mask + 1) * m - 1;
        if !features.is_multiple_of(64) && word(last) >> (features % 64) != 0 {
            return bad(field, 8 * last, format!("{features} bits"), format!("{:#x}", word(last)));
        }
    }
    Ok((0..length / 8).map(word).collect())
}
