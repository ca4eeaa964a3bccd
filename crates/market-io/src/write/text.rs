//! Text files, plain or gzip, that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::sink::{AtomicFile, Existing, Finished, SinkError};

/// Level 3: a third larger than the default, three times as fast.
const LEVEL: u32 = 3;

enum Codec {
    Plain(AtomicFile),
    Gzip(Box<GzEncoder<AtomicFile>>),
}

/// A text file; gzip when its name ends in `.gz`.
pub(crate) struct TextFile(Codec);

impl TextFile {
    pub(crate) fn create(path: &Path, existing: Existing) -> Result<Self, SinkError> {
        let file = AtomicFile::create(path, existing)?;
        let is_gzip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        Ok(Self(if is_gzip {
            Codec::Gzip(Box::new(GzEncoder::new(file, Compression::new(LEVEL))))
        } else {
            Codec::Plain(file)
        }))
    }

    pub(crate) fn put(&mut self, text: &[u8]) -> Result<(), SinkError> {
        match &mut self.0 {
            Codec::Plain(file) => file.put(text),
            Codec::Gzip(encoder) => {
                encoder.write_all(text).map_err(|source| failed(encoder.get_ref().path(), source))
            }
        }
    }

    pub(crate) fn finish(self, rows: u64) -> Result<Finished, SinkError> {
        let file = match self.0 {
            Codec::Plain(file) => file,
            Codec::Gzip(encoder) => {
                let path = encoder.get_ref().path().to_owned();
                encoder.finish().map_err(|source| failed(&path, source))?
            }
        };
        file.seal()?.publish(rows)
    }
}

fn failed(path: &Path, source: std::io::Error) -> SinkError {
    SinkError::Io { path: path.into(), operation: "writing", source }
}

/// Appends an integer.
pub(crate) fn push_integer(text: &mut Vec<u8>, value: impl Into<i128>) {
    let value = value.into();
    if value < 0 {
        text.push(b'-');
    }
    let mut digits = [0_u8; 40];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    // Division of 128 bits is slow, and values are almost never that large.
    while rest > u128::from(u64::MAX) {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

/// Appends a number that is not negative, `scaled * 10^-scale`, with at least `decimals` decimals.
pub(crate) fn push_decimal(text: &mut Vec<u8>, scaled: i64, scale: u8, decimals: u8) {
    let unit = market_model::POW10[usize::from(scale)];
    push_integer(text, scaled / unit);
    if decimals.max(scale) == 0 {
        return;
    }
    text.push(b'.');
    if scale > 0 {
        let start = text.len();
        push_integer(text, unit + scaled % unit);
        // The leading 1 held the zeros in place.
        text.remove(start);
    }
    text.resize(text.len() + usize::from(decimals.saturating_sub(scale)), b'0');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let decimal = |scaled, scale, decimals| {
            let mut text = Vec::new();
            push_decimal(&mut text, scaled, scale, decimals);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(decimal(618_002, 1, 2), "61800.20");
        assert_eq!(decimal(7, 3, 3), "0.007");
        assert_eq!(decimal(0, 3, 3), "0.000");
        assert_eq!(decimal(5, 0, 0), "5");
        assert_eq!(decimal(5, 0, 2), "5.00");
        assert_eq!(decimal((1 << 53) - 1, 18, 18), "0.009007199254740991");
        for value in [i128::from(u64::MAX), i128::from(i64::MIN), 0, -7, i128::MAX] {
            let mut text = Vec::new();
            push_integer(&mut text, value);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }
}
