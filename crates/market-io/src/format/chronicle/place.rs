//! Where a feed stands between two records, as bytes that outlive it.

use market_model::{StateError, StateReader, StateWriter};

use super::orders::Unpriced;
use super::segment::Spot;
use crate::error::Error;

/// All that is needed to go on behind a record.
pub(super) struct Standing {
    /// What the survey and the options settled; another one would give other packets.
    pub(super) setup: Vec<u8>,
    pub(super) spot: Spot,
    /// Number that the next record must have.
    pub(super) next_seq: Option<u64>,
    /// Venue's id of the last snapshot, 0 when a change came after it.
    pub(super) snapshot_id: u64,
    pub(super) unpriced: Unpriced,
}

impl Standing {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let Self { setup, spot, next_seq, snapshot_id, unpriced } = self;
        let mut out = StateWriter::default();
        out.blob(&setup);
        let Spot { segment_id, record, offset, end, seq, crc } = spot;
        let words = [segment_id.into(), record, offset, end, seq, crc.into()];
        words.into_iter().for_each(|word| out.u64(word));
        out.opt_i64(next_seq.map(u64::cast_signed));
        out.u64(snapshot_id);
        out.u64(unpriced.len() as u64);
        for (order_id, lots) in unpriced {
            out.u64(order_id);
            out.i64(lots);
        }
        out.into_bytes()
    }

    /// Reads the bytes back for a feed of the same setup.
    pub(super) fn read(bytes: &[u8], setup: &[u8]) -> Result<Self, Error> {
        let broken = |error: StateError| Error::Place { reason: error.to_string() };
        let mut from = StateReader::new(bytes);
        let standing = Self::parse(&mut from).map_err(broken)?;
        let reason = if from.remaining() > 0 {
            format!("{} bytes too many", from.remaining())
        } else if standing.setup != setup {
            let [then, now] = [&standing.setup, setup].map(String::from_utf8_lossy);
            format!("the input was read as {then}, and is now as {now}")
        } else {
            return Ok(standing);
        };
        Err(Error::Place { reason })
    }

    fn parse(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let setup = from.blob("setup")?.to_vec();
        let narrow = |from: &mut StateReader<'_>, field| {
            let word = from.u64()?;
            u32::try_from(word).map_err(|_| from.invalid(field, &word))
        };
        let spot = Spot {
            segment_id: narrow(from, "segment id")?,
            record: from.u64()?,
            offset: from.u64()?,
            end: from.u64()?,
            seq: from.u64()?,
            crc: narrow(from, "checksum")?,
        };
        let next_seq = from.opt_i64()?.map(i64::cast_unsigned);
        let snapshot_id = from.u64()?;
        let count = from.u64()?;
        let unpriced = (0..count).map(|_| Ok((from.u64()?, from.i64()?)));
        let unpriced = unpriced.collect::<Result<_, StateError>>()?;
        Ok(Self { setup, spot, next_seq, snapshot_id, unpriced })
    }
}
