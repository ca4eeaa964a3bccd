//! Metadata and records of one file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bytes::{Decoder, u16_at, u32_at};
use crate::error::{Error, FieldFault, Location, Position};

/// First bytes of a file; the version follows.
pub(super) const MAGIC: &[u8; 3] = b"DBN";

const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;
const PRELUDE_BYTES: usize = 8;
/// Metadata before the lists of symbols.
const FIXED_BYTES: usize = 100;
const SCHEMA_AT: usize = 16;
const SYMBOL_LEN_AT: usize = 45;
/// Bytes of a symbol in version 1; later versions say it.
const SYMBOL_LEN_V1: usize = 22;
const HEADER_BYTES: usize = 16;
/// Holds the longest record, of 255 units, many times.
const BUFFER_BYTES: usize = 64 << 10;
/// Lengths are in units of 4 bytes.
const LENGTH_UNIT: usize = 4;

/// Schemas that are read, as the metadata number them.
const MBO: u16 = 0;
const MBP_1: u16 = 1;
const MBP_10: u16 = 2;
const TRADES: u16 = 4;
/// A stream of several schemas.
const MIXED: u16 = u16::MAX;

/// A file that is being read.
pub(super) struct DbnFile {
    path: PathBuf,
    decoder: Decoder,
    pub(super) dataset: String,
    /// Symbols by instrument id.
    symbols: BTreeMap<u32, String>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read from the file and not handed out.
    unread: Range<usize>,
    /// The last record in the buffer.
    last: Range<usize>,
    /// Number and uncompressed offset of the last record.
    record: u64,
    record_offset: u64,
    offset: u64,
}

impl DbnFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut file = Self {
            path: path.into(),
            decoder: Decoder::open(path)?,
            dataset: String::new(),
            symbols: BTreeMap::new(),
            buffer: vec![0; BUFFER_BYTES],
            unread: 0..0,
            last: 0..0,
            record: 0,
            record_offset: 0,
            offset: 0,
        };
        let mut bytes = Vec::new();
        file.fill(&mut bytes, PRELUDE_BYTES)?;
        if bytes.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        file.check_len(&bytes, PRELUDE_BYTES)?;
        let version = bytes[3];
        if !bytes.starts_with(MAGIC) || !VERSIONS.contains(&version) {
            let found = format!("{:02x?}", &bytes[..4]);
            return Err(file.wrong("version", "DBN of version 1, 2 or 3", found));
        }
        let len = u32_at(&bytes, 4) as usize;
        file.fill(&mut bytes, len)?;
        file.check_len(&bytes, len)?;
        file.metadata(&bytes, version)?;
        Ok(file)
    }

    fn metadata(&mut self, bytes: &[u8], version: u8) -> Result<(), Error> {
        let wrong = |found: String| self.wrong("metadata", "lists of symbols", found);
        if bytes.len() < FIXED_BYTES {
            return Err(wrong(format!("{} bytes", bytes.len())));
        }
        let schema = u16_at(bytes, SCHEMA_AT);
        if !matches!(schema, MBO | MBP_1 | MBP_10 | TRADES | MIXED) {
            let expected = "0 (mbo), 1 (mbp-1), 2 (mbp-10) or 4 (trades)";
            return Err(self.wrong("schema", expected, schema.to_string()));
        }
        let symbol_len = match version {
            1 => SYMBOL_LEN_V1,
            _ => usize::from(u16_at(bytes, SYMBOL_LEN_AT)),
        };
        let symbols = Lists { bytes: &bytes[FIXED_BYTES..], symbol_len }.read();
        let symbols = symbols.ok_or_else(|| wrong("lists that end early".into()))?;
        self.dataset = text(&bytes[..SCHEMA_AT]);
        self.symbols = symbols;
        Ok(())
    }

    /// Reads the next record, for [`DbnFile::last`]; `false` at the end.
    pub(super) fn next(&mut self) -> Result<bool, Error> {
        self.record_offset = self.offset;
        if self.buffered(1)? == 0 {
            return Ok(false);
        }
        self.record += 1;
        let length = self.buffer[self.unread.start];
        let len = usize::from(length) * LENGTH_UNIT;
        if len < HEADER_BYTES {
            self.offset += 1;
            return Err(self.wrong("length", "at least 4 units of 4 bytes", length.to_string()));
        }
        if self.buffered(len)? < len {
            return Err(self.truncated());
        }
        self.last = self.unread.start..self.unread.start + len;
        self.unread.start += len;
        self.offset += len as u64;
        Ok(true)
    }

    /// The bytes of the last record.
    #[inline]
    pub(super) fn last(&self) -> &[u8] {
        &self.buffer[self.last.clone()]
    }

    /// Fills the buffer until so many bytes are unread, or the file ends; how many are.
    #[inline]
    fn buffered(&mut self, len: usize) -> Result<usize, Error> {
        while self.unread.len() < len {
            if self.buffer.len() - self.unread.start < len {
                self.buffer.copy_within(self.unread.clone(), 0);
                self.unread = 0..self.unread.len();
            }
            let count = self.decoder.read(&mut self.buffer[self.unread.end..])?;
            if count == 0 {
                break;
            }
            self.unread.end += count;
        }
        Ok(self.unread.len())
    }

    pub(super) fn symbol(&self, id: u32) -> Option<&str> {
        self.symbols.get(&id).map(String::as_str)
    }

    fn fill(&mut self, bytes: &mut Vec<u8>, len: usize) -> Result<(), Error> {
        self.decoder.fill(bytes, len)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn check_len(&self, bytes: &[u8], len: usize) -> Result<(), Error> {
        if bytes.len() == len {
            return Ok(());
        }
        Err(self.truncated())
    }

    fn truncated(&self) -> Error {
        Error::Truncated { location: self.location(), what: "DBN stream" }
    }

    fn wrong(&self, field: &'static str, expected: &'static str, found: String) -> Error {
        FieldFault { field, expected, found }.at(self.location(), "").into()
    }

    /// Where the last record is; the metadata are record 0.
    pub(super) fn location(&self) -> Location {
        let position = Position::Row { row: self.record, offset: self.record_offset };
        Location { path: self.path.clone(), position }
    }

    pub(super) fn position(&self) -> u64 {
        self.decoder.position()
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The variable part of the metadata.
struct Lists<'a> {
    bytes: &'a [u8],
    symbol_len: usize,
}

impl Lists<'_> {
    /// Raw symbols by instrument id; `None` when the bytes end early.
    fn read(mut self) -> Option<BTreeMap<u32, String>> {
        let definition_len = self.number()?;
        self.bytes = self.bytes.get(definition_len..)?;
        // Symbols that were asked for, found in part, not found.
        for _ in 0..3 {
            for _ in 0..self.number()? {
                self.symbol()?;
            }
        }
        let mut symbols = BTreeMap::new();
        for _ in 0..self.number()? {
            let raw = self.symbol()?;
            for _ in 0..self.number()? {
                // From which day to which.
                self.bytes = self.bytes.get(8..)?;
                if let Ok(id) = self.symbol()?.parse() {
                    symbols.insert(id, raw.clone());
                }
            }
        }
        Some(symbols)
    }

    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.bytes.split_at_checked(4)?;
        self.bytes = rest;
        Some(u32_at(number, 0) as usize)
    }

    fn symbol(&mut self) -> Option<String> {
        let (symbol, rest) = self.bytes.split_at_checked(self.symbol_len)?;
        self.bytes = rest;
        (!symbol.is_empty()).then(|| text(symbol))
    }
}
