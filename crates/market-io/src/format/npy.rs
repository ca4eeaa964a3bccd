//! Rows of a structured numpy array, from a `.npy` file or a member of an `.npz` file.
//!
//! Streamed: memory does not depend on the length of the array. Lengths that the file claims are
//! checked against the bytes that are there before anything is allocated.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bytemuck::Zeroable;

use crate::bytes::{Counted, ZipMember};
use crate::error::{Error, Fault, Location, Position, quoted};

const MAGIC: &[u8] = b"\x93NUMPY";
const MAX_HEADER_BYTES: usize = 1 << 16;
// Reads of a whole chunk go past the buffer.
const FILE_BUFFER_BYTES: usize = CHUNK_ROWS * size_of::<Row>();
const CHUNK_ROWS: usize = 1024;

/// One row of an hftbacktest array, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Row {
    /// Kind in bits 0 to 7; flags EXCH 31, LOCAL 30, BUY 29, SELL 28.
    pub ev: u64,
    /// Event time, UTC ns; 0 when unknown.
    pub exch_ts_ns: i64,
    /// Local receive time, UTC ns; 0 when unknown.
    pub local_ts_ns: i64,
    /// Price; in a clear the price up to which a side is cleared.
    pub px: f64,
    /// Quantity; 0 deletes.
    pub qty: f64,
    /// Order id in order events, else 0.
    pub order_id: u64,
    /// Update id of book rows, where our converter made them; else 0.
    pub ival: i64,
    /// Update id that a packet follows, as a whole number; else 0.
    pub fval: f64,
}

const ROW_BYTES: u64 = size_of::<Row>() as u64;
const _: () = assert!(ROW_BYTES == 64, "rows are read as they are stored");
const _: () = assert!(cfg!(target_endian = "little"), "rows are read as they are stored");

/// Names and types of the columns of a [`Row`].
pub(crate) const COLUMNS: [(&str, &str); 8] = [
    ("ev", "<u8"),
    ("exch_ts", "<i8"),
    ("local_ts", "<i8"),
    ("px", "<f8"),
    ("qty", "<f8"),
    ("order_id", "<u8"),
    ("ival", "<i8"),
    ("fval", "<f8"),
];

pub(super) fn is_npy(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

enum Body {
    Plain(BufReader<Counted<File>>),
    Zip(Box<ZipMember>),
}

/// The bytes of one array as stored in a file, or in a member of an archive.
struct Member {
    path: PathBuf,
    body: Body,
    start: u64,
    size: u64,
    read: u64,
}

impl Member {
    fn open(path: &Path) -> Result<Self, Error> {
        let wrap = |action| move |source| Error::Io { path: path.into(), action, source };
        let file = File::open(path).map_err(wrap("open"))?;
        let length = file.metadata().map_err(wrap("open"))?.len();
        if length == 0 {
            return Err(Error::Empty { path: path.into() });
        }
        let mut raw = BufReader::with_capacity(FILE_BUFFER_BYTES, Counted::new(file));
        if raw.fill_buf().map_err(wrap("read"))?.starts_with(b"PK") {
            let member = ZipMember::open(path, FILE_BUFFER_BYTES)?;
            let (start, size) = (member.position(), member.size);
            return Ok(Self {
                path: path.into(),
                body: Body::Zip(Box::new(member)),
                start,
                size,
                read: 0,
            });
        }
        Ok(Self { path: path.into(), body: Body::Plain(raw), start: 0, size: length, read: 0 })
    }

    /// Offset in the file, as stored.
    fn position(&self) -> u64 {
        match &self.body {
            Body::Plain(raw) => raw.get_ref().taken() - raw.buffer().len() as u64,
            Body::Zip(member) => member.position(),
        }
    }

    /// Fills `buf` or fails.
    fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), Error> {
        let result = match &mut self.body {
            Body::Plain(raw) => raw.read_exact(buf),
            Body::Zip(member) => member.read_exact(buf),
        };
        self.read += buf.len() as u64;
        result.map_err(|source| {
            let location = Location::byte(&self.path, self.position());
            if source.kind() == io::ErrorKind::UnexpectedEof {
                Error::Truncated { location, what: "array" }
            } else {
                Error::Corrupt { location, what: "zip member", source }
            }
        })
    }
}

fn field_error(path: &Path, offset: u64, field: &str, expected: &str, found: String) -> Error {
    Fault {
        location: Location::byte(path, offset),
        symbol: String::new(),
        field: field.into(),
        expected: expected.into(),
        found,
    }
    .into()
}

/// The rows of one array, in chunks.
pub(super) struct Rows {
    member: Member,
    header_bytes: u64,
    rows_left: u64,
    chunk: Vec<Row>,
    /// Number of the first row of the chunk.
    chunk_row: u64,
}

impl Rows {
    /// Opens an array and checks that its type and length are what its header says.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut member = Member::open(path)?;
        let header = read_header(&mut member)?;
        let fault = |field: &str, expected: &str, found: String| {
            field_error(path, member.start, field, expected, found)
        };
        let dict = Literal::parse(&header)
            .ok_or_else(|| fault("header", "a Python dictionary", quoted(&header)))?;
        check_dtype(&dict, &fault)?;
        match dict.get("fortran_order") {
            Some(Literal::Word(word)) if word == "False" => {}
            other => return Err(fault("fortran_order", "False", show(other))),
        }
        let shape = dict.get("shape");
        let rows = match shape {
            Some(Literal::List(items)) => match items.as_slice() {
                [Literal::Word(count)] => count.parse::<u64>().ok(),
                _ => None,
            },
            _ => None,
        };
        let rows = rows.ok_or_else(|| fault("shape", "one dimension", show(shape)))?;
        let held = member.size - member.read;
        if rows.checked_mul(ROW_BYTES) != Some(held) {
            let expected = format!("{} rows ({held} bytes after the header)", held / ROW_BYTES);
            return Err(fault("shape", &expected, format!("{rows} rows of {ROW_BYTES} bytes")));
        }
        let header_bytes = member.read;
        Ok(Self { member, header_bytes, rows_left: rows, chunk: Vec::new(), chunk_row: 0 })
    }

    /// Reads the next chunk; `false` after the last one.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        self.chunk_row += self.chunk.len() as u64;
        let take = self.rows_left.min(CHUNK_ROWS as u64) as usize;
        self.chunk.resize(take, Row::zeroed());
        if take == 0 {
            return Ok(false);
        }
        self.rows_left -= take as u64;
        self.member.read_exact(bytemuck::cast_slice_mut(&mut self.chunk))?;
        Ok(true)
    }

    pub(super) fn chunk(&self) -> &[Row] {
        &self.chunk
    }

    /// Where a row of the current chunk is.
    pub(super) fn location(&self, index: usize) -> Location {
        self.location_of(self.chunk_row + index as u64)
    }

    /// Where a row of the array is.
    pub(super) fn location_of(&self, row: u64) -> Location {
        let position = Position::Row { row, offset: self.header_bytes + row * ROW_BYTES };
        Location { path: self.member.path.clone(), position }
    }

    /// Bytes of the file consumed, as stored.
    pub(super) fn position(&self) -> u64 {
        self.member.position()
    }
}

fn read_header(member: &mut Member) -> Result<Vec<u8>, Error> {
    let offset = member.start;
    let path = member.path.clone();
    let fault =
        |field: &str, expected: &str, found| field_error(&path, offset, field, expected, found);
    let mut head = [0; 8];
    member.read_exact(&mut head)?;
    if !is_npy(&head) {
        return Err(fault("magic", "`\\x93NUMPY`", quoted(&head)));
    }
    let length = match head[6] {
        1 => {
            let mut length = [0; 2];
            member.read_exact(&mut length)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            member.read_exact(&mut length)?;
            u32::from_le_bytes(length) as usize
        }
        other => return Err(fault("version", "1, 2 or 3", other.to_string())),
    };
    let held = member.size.saturating_sub(member.read);
    if length > MAX_HEADER_BYTES || length as u64 > held {
        let expected = format!("at most {} bytes", held.min(MAX_HEADER_BYTES as u64));
        return Err(fault("header length", &expected, length.to_string()));
    }
    let mut header = vec![0; length];
    member.read_exact(&mut header)?;
    Ok(header)
}

fn check_dtype(dict: &Literal, fault: &impl Fn(&str, &str, String) -> Error) -> Result<(), Error> {
    let descr = dict.get("descr");
    let Some(Literal::List(columns)) = descr else {
        return Err(fault("descr", "8 columns of 8 bytes", show(descr)));
    };
    if columns.len() != COLUMNS.len() {
        return Err(fault("descr", "8 columns", format!("{} in {}", columns.len(), show(descr))));
    }
    for (column, (name, want)) in columns.iter().zip(COLUMNS) {
        // Names may differ, as hftbacktest allows; the types fix the layout.
        let matches = matches!(column, Literal::List(pair)
            if matches!(pair.as_slice(), [Literal::Text(_), Literal::Text(found)] if found == want));
        if !matches {
            let expected = format!("column `{name}` of type `{want}`");
            return Err(fault("descr", &expected, show(Some(column))));
        }
    }
    Ok(())
}

fn show(literal: Option<&Literal>) -> String {
    literal.map_or_else(|| "nothing".into(), |literal| quoted(literal.to_text().as_bytes()))
}

/// The part of Python's literals that numpy headers are written in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Text(String),
    /// A number or a constant, as written.
    Word(String),
    /// A list or a tuple.
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

const MAX_DEPTH: usize = 8;

impl Literal {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (literal, rest) = Self::parse_one(text.trim_start(), 0)?;
        rest.trim().is_empty().then_some(literal)
    }

    fn parse_one(text: &str, depth: usize) -> Option<(Self, &str)> {
        if depth > MAX_DEPTH {
            return None;
        }
        match text.chars().next()? {
            quote @ ('\'' | '"') => {
                let (inside, rest) = text[1..].split_once(quote)?;
                (!inside.contains('\\')).then(|| (Self::Text(inside.into()), rest))
            }
            '[' => Self::parse_items(&text[1..], ']', depth),
            '(' => Self::parse_items(&text[1..], ')', depth),
            '{' => Self::parse_dict(&text[1..], depth),
            _ => {
                let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
                (end > 0).then(|| (Self::Word(text[..end].into()), &text[end..]))
            }
        }
    }

    fn parse_items(text: &str, close: char, depth: usize) -> Option<(Self, &str)> {
        let mut rest = text.trim_start();
        let mut items = Vec::new();
        loop {
            if let Some(after) = rest.strip_prefix(close) {
                return Some((Self::List(items), after));
            }
            let (item, after) = Self::parse_one(rest, depth + 1)?;
            items.push(item);
            rest = after_comma(after, close)?;
        }
    }

    fn parse_dict(text: &str, depth: usize) -> Option<(Self, &str)> {
        let mut rest = text.trim_start();
        let mut entries: Vec<(Self, Self)> = Vec::new();
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                return Some((Self::Dict(entries), after));
            }
            let (key, after) = Self::parse_one(rest, depth + 1)?;
            let after = after.trim_start().strip_prefix(':')?.trim_start();
            let (value, after) = Self::parse_one(after, depth + 1)?;
            entries.push((key, value));
            rest = after_comma(after, '}')?;
        }
    }

    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else { return None };
        entries.iter().find(|(k, _)| matches!(k, Self::Text(text) if text == key)).map(|(_, v)| v)
    }

    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => format!("'{text}'"),
            Self::Word(word) => word.clone(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_text).collect();
                format!("({})", items.join(", "))
            }
            Self::Dict(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(k, v)| format!("{}: {}", k.to_text(), v.to_text()))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }
}

/// After an item comes a comma or the closing bracket.
fn after_comma(text: &str, close: char) -> Option<&str> {
    let text = text.trim_start();
    match text.strip_prefix(',') {
        Some(rest) => Some(rest.trim_start()),
        None => text.starts_with(close).then_some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_literals() {
        let parsed = Literal::parse(
            b"{'descr': [('ev', '<u8')], 'fortran_order': False, 'shape': (3,), }  \n",
        )
        .unwrap();
        assert_eq!(parsed.get("shape").unwrap().to_text(), "(3)");
        assert_eq!(parsed.get("descr").unwrap().to_text(), "(('ev', '<u8'))");
        for bad in
            ["", "{", "{'a' 1}", "[1 2]", "{'a': (1}", "'a", "[[[[[[[[[[[1]]]]]]]]]]]", "{} x"]
        {
            assert_eq!(Literal::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
