//! One segment file: header, records, and what may stand behind the last one.

use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::Crc;
use market_model::check_ns;

use super::frames;
use crate::bytes::{Container, Decoder, u16_at, u32_at, u64_at};
use crate::error::{Error, FieldFault, Location, Position};

/// First bytes of a segment.
pub(super) const MAGIC: [u8; 4] = *b"0GES";

/// Header of a segment and of a record, and the grid on which records start.
const UNIT: usize = 64;
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=2;
const SEALED: u32 = 1;
/// Type of a record that fills the rest of a repaired segment; its checksum is not set.
const PAD: u16 = 0xffff;
/// Bytes that are looked at together behind the last record.
const CHUNK_BYTES: usize = 64 << 10;

/// Header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Record {
    pub(super) seq: u64,
    /// 0 when it is no time.
    pub(super) timestamp_ns: i64,
    pub(super) type_id: u16,
}

/// A record that was read, so that it can be found and known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) segment_id: u32,
    /// Number of the record in the segment, from 1.
    pub(super) record: u64,
    /// Uncompressed offset of its header.
    pub(super) offset: u64,
    /// Uncompressed offset of the byte behind it.
    pub(super) end: u64,
    pub(super) seq: u64,
    /// Checksum of its payload.
    pub(super) crc: u32,
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// Whether an intact record begins on the grid inside of some bytes.
fn holds_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).step_by(UNIT).any(|start| {
        let Some((header, rest)) = bytes[start..].split_at_checked(UNIT) else { return false };
        let len = (u32_at(header, 0) as usize).checked_sub(1);
        let payload = len.and_then(|len| rest.get(..len));
        payload.is_some_and(|payload| crc32(payload) == u32_at(header, 28))
    })
}

/// A segment that is being read.
pub(super) struct Segment {
    path: PathBuf,
    decoder: Decoder,
    pub(super) id: u32,
    is_sealed: bool,
    /// Number and uncompressed offset of the last record.
    record: u64,
    record_offset: u64,
    /// Uncompressed offset of the next byte.
    offset: u64,
    /// Number and checksum of the last record that was whole.
    last: Option<(u64, u32)>,
    is_at_end: bool,
}

impl Segment {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut segment = Self {
            path: path.into(),
            decoder: Decoder::open(path)?,
            id: 0,
            is_sealed: false,
            record: 0,
            record_offset: 0,
            offset: 0,
            last: None,
            is_at_end: false,
        };
        let mut header = Vec::new();
        segment.fill(&mut header, UNIT)?;
        if header.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        if header.len() < UNIT {
            return Err(segment.truncated());
        }
        if header[..4] != MAGIC {
            let [first, second, third, fourth] = [0, 1, 2, 3].map(|at| header[at]);
            let found = format!("{first:02x} {second:02x} {third:02x} {fourth:02x}");
            return Err(segment.wrong("magic", "30 47 45 53", found));
        }
        let version = u32_at(&header, 4);
        if !VERSIONS.contains(&version) {
            return Err(segment.wrong("version", "1 or 2", version.to_string()));
        }
        segment.id = u32_at(&header, 8);
        segment.is_sealed = u32_at(&header, 12) & SEALED != 0;
        Ok(segment)
    }

    /// The next record; `None` at the end of the segment.
    pub(super) fn next(&mut self, payload: &mut Vec<u8>) -> Result<Option<Record>, Error> {
        if self.is_at_end {
            return Ok(None);
        }
        let mut header = std::mem::take(payload);
        self.record_offset = self.offset;
        self.fill(&mut header, UNIT)?;
        if header.is_empty() {
            self.is_at_end = true;
            return Ok(None);
        }
        if header.len() < UNIT {
            return Err(self.truncated());
        }
        let commit = u32_at(&header, 0);
        let type_id = u16_at(&header, 24);
        if commit == 0 || type_id == PAD {
            self.is_at_end = true;
            if commit == 0 {
                self.refuse_hole(&header)?;
            }
            return Ok(None);
        }
        let record = Record {
            seq: u64_at(&header, 8),
            timestamp_ns: i64::try_from(u64_at(&header, 16))
                .ok()
                .and_then(|ns| check_ns(ns).ok())
                .unwrap_or(0),
            type_id,
        };
        let crc = u32_at(&header, 28);
        let len = commit as usize - 1;
        *payload = header;
        self.fill(payload, len.next_multiple_of(UNIT))?;
        if payload.len() < len.next_multiple_of(UNIT) {
            return Err(self.truncated());
        }
        let computed = crc32(&payload[..len]);
        if computed != crc {
            return self.torn(payload, computed, crc);
        }
        payload.truncate(len);
        self.record += 1;
        self.last = Some((record.seq, crc));
        Ok(Some(record))
    }

    /// The last record, and the bytes of the file, as stored, that it depends on; `None` before the
    /// first one, at the end, and in a file that can only be read front to back.
    pub(super) fn place(&self) -> Option<(Range<u64>, Spot)> {
        let (seq, crc) = self.last.filter(|_| !self.is_at_end)?;
        let stored = match self.decoder.container()? {
            // The header is left out: its flags change when the segment is sealed.
            Container::Plain => UNIT as u64..self.offset,
            Container::Zstd => 0..std::fs::metadata(&self.path).ok()?.len(),
        };
        let (segment_id, record) = (self.id, self.record);
        let (offset, end) = (self.record_offset, self.offset);
        Some((stored, Spot { segment_id, record, offset, end, seq, crc }))
    }

    /// Opens a segment behind a record: its header is read, and the record again, but nothing between
    /// them in a plain file, and less than one frame in an archive. Also the stored bytes left out.
    pub(super) fn open_at(
        path: &Path,
        spot: &Spot,
        payload: &mut Vec<u8>,
    ) -> Result<(Self, u64), Error> {
        let mut segment = Self::open(path)?;
        if segment.id != spot.segment_id {
            let found = format!("{} in place of {}", segment.id, spot.segment_id);
            return Err(segment.wrong("segment_id", "that of the place", found));
        }
        let container = segment.decoder.container().ok_or_else(|| Error::Place {
            reason: format!("{} can only be read front to back", path.display()),
        })?;
        if container == Container::Plain {
            segment.decoder = Decoder::open_at(path, container, spot.offset)?;
            segment.offset = spot.offset;
            segment.read_again(spot, payload)?;
            return Ok((segment, spot.offset));
        }
        let frame = frames::find(path, spot.offset)?;
        segment.decoder = Decoder::open_at(path, container, frame.stored)?;
        segment.offset = frame.offset;
        let found = segment.skip_to(spot.offset).and_then(|()| segment.read_again(spot, payload));
        found.map_err(|error| frame.lies(error.to_string()))?;
        Ok((segment, frame.stored))
    }

    /// Reads the record at which the decoder stands, which must be the one that was read before.
    fn read_again(&mut self, spot: &Spot, payload: &mut Vec<u8>) -> Result<(), Error> {
        self.record = spot.record.saturating_sub(1);
        let found = self.next(payload)?.map(|record| record.seq);
        let is_same = self.last == Some((spot.seq, spot.crc)) && self.offset == spot.end;
        if found.is_some() && is_same {
            return Ok(());
        }
        let found = found.map_or_else(|| "none".into(), |seq| format!("another, of seq {seq}"));
        Err(self.wrong("record", "the one that was read there before", found))
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), Error> {
        let mut chunk = Vec::new();
        while self.offset < offset {
            let len = usize::try_from(offset - self.offset).unwrap_or(CHUNK_BYTES);
            self.fill(&mut chunk, len.min(CHUNK_BYTES))?;
            if chunk.is_empty() {
                return Err(self.truncated());
            }
        }
        Ok(())
    }

    /// A record whose payload was not written in full is an end if nothing follows it; a wrong length
    /// may reach over records that do.
    fn torn(
        &mut self,
        payload: &[u8],
        computed: u32,
        stored: u32,
    ) -> Result<Option<Record>, Error> {
        if !self.is_sealed && !holds_record(payload) && self.next_content()?.is_none() {
            self.is_at_end = true;
            return Ok(None);
        }
        let found = format!("{computed:#010x}");
        let fault = FieldFault { field: "checksum", expected: "that of the payload", found };
        let mut fault = fault.at(self.location(), "");
        fault.expected = format!("{stored:#010x}, as the record says");
        Err(fault.into())
    }

    /// Behind the last record there are zeros only; anything else was a record once.
    fn refuse_hole(&mut self, header: &[u8]) -> Result<(), Error> {
        let hole = self.record_offset;
        let data = match header.iter().position(|byte| *byte != 0) {
            Some(at) => Some(hole + at as u64),
            None => self.next_content()?,
        };
        let Some(data) = data else { return Ok(()) };
        let found = format!("a hole: something stands at byte {data} behind it");
        Err(self.wrong("commit word", "a record, or zeros to the end of the segment", found))
    }

    /// Offset of the next byte that is not 0.
    fn next_content(&mut self) -> Result<Option<u64>, Error> {
        let mut chunk = Vec::new();
        loop {
            let start = self.offset;
            self.fill(&mut chunk, CHUNK_BYTES)?;
            if let Some(at) = chunk.iter().position(|byte| *byte != 0) {
                return Ok(Some(start + at as u64));
            }
            if chunk.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Replaces the bytes of a buffer by the next ones of the file, fewer at its end.
    fn fill(&mut self, buffer: &mut Vec<u8>, len: usize) -> Result<(), Error> {
        self.decoder.fill(buffer, len)?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    fn truncated(&self) -> Error {
        Error::Truncated { location: self.location(), what: "segment" }
    }

    fn wrong(&self, field: &'static str, expected: &'static str, found: String) -> Error {
        FieldFault { field, expected, found }.at(self.location(), "").into()
    }

    /// Where the last record is.
    pub(super) fn location(&self) -> Location {
        let position = Position::Row { row: self.record, offset: self.record_offset };
        Location { path: self.path.clone(), position }
    }

    pub(super) fn position(&self) -> u64 {
        self.decoder.position()
    }
}
