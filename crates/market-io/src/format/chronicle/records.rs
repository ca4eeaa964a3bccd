//! The records of all segments, one after the other.

use std::ops::Range;
use std::path::PathBuf;

use super::segment::{Record, Segment, Spot};
use crate::bytes::total_bytes;
use crate::error::{Error, Location};
use crate::source::OpenOptions;

/// The records of all segments in order.
pub(super) struct Records {
    inputs: Vec<PathBuf>,
    opened: usize,
    segment: Option<Segment>,
    last_id: Option<u32>,
    /// A segment is missing before the current one: what was expected, what was found.
    pub(super) missing: Option<(u32, u32)>,
    closed_bytes: u64,
    total_bytes: u64,
}

impl Records {
    pub(super) fn open(options: &OpenOptions) -> Result<Self, Error> {
        Ok(Self {
            inputs: options.inputs.clone(),
            opened: 0,
            segment: None,
            last_id: None,
            missing: None,
            closed_bytes: 0,
            total_bytes: total_bytes(&options.inputs)?,
        })
    }

    pub(super) fn next(&mut self, payload: &mut Vec<u8>) -> Result<Option<Record>, Error> {
        loop {
            if let Some(segment) = &mut self.segment {
                if let Some(record) = segment.next(payload)? {
                    return Ok(Some(record));
                }
                self.closed_bytes += segment.position();
                self.segment = None;
            }
            let Some(path) = self.inputs.get(self.opened) else { return Ok(None) };
            self.opened += 1;
            let segment = Segment::open(path)?;
            if let Some(last) = self.last_id.replace(segment.id)
                && segment.id != last.wrapping_add(1)
            {
                self.missing = Some((last.wrapping_add(1), segment.id));
            }
            self.segment = Some(segment);
        }
    }

    pub(super) fn location(&self) -> Location {
        match &self.segment {
            Some(segment) => segment.location(),
            None => Location::file(&self.inputs[self.opened.saturating_sub(1)]),
        }
    }

    /// Bytes that were read of those that are to be read, as stored.
    pub(super) fn progress(&self) -> (u64, u64) {
        let current = self.segment.as_ref().map_or(0, Segment::position);
        (self.closed_bytes + current, self.total_bytes)
    }

    /// The last record, the input that holds it, and the bytes of that file which it depends on.
    pub(super) fn place(&self) -> Option<(usize, Range<u64>, Spot)> {
        let segment = self.segment.as_ref()?;
        let (stored, spot) = segment.place()?;
        Some((self.opened - 1, stored, spot))
    }

    /// Goes on behind a record without reading what stands before it; bytes that are left out.
    pub(super) fn resume(
        &mut self,
        input: usize,
        spot: &Spot,
        payload: &mut Vec<u8>,
    ) -> Result<u64, Error> {
        let Some(path) = self.inputs.get(input) else {
            let reason = format!("it is in input {input} of {}", self.inputs.len());
            return Err(Error::Place { reason });
        };
        let (segment, skipped) = Segment::open_at(path, spot, payload)?;
        let skipped = skipped + total_bytes(&self.inputs[..input])?;
        self.last_id = Some(segment.id);
        self.segment = Some(segment);
        self.opened = input + 1;
        self.total_bytes = self.total_bytes.saturating_sub(skipped);
        Ok(skipped)
    }
}
