//! Bytes of a state snapshot: little-endian words, written and read in one fixed order.
//!
//! Nothing is padded and nothing depends on insertion history, so equal states give equal bytes.

use thiserror::Error;

/// A state snapshot that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The bytes end early.
    #[error("state ends at byte {offset}, {needed} more bytes were expected")]
    Truncated {
        /// Position of the read.
        offset: usize,
        /// Bytes that were needed there.
        needed: usize,
    },
    /// A field has a value that this build cannot hold.
    #[error("state field `{field}` at byte {offset} is invalid: {found}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// Position after the field.
        offset: usize,
        /// What was found.
        found: String,
    },
}

/// Collects state as little-endian words.
#[derive(Debug, Default)]
pub struct StateWriter {
    bytes: Vec<u8>,
}

impl StateWriter {
    /// Appends one 64-bit word.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends a signed word.
    pub fn i64(&mut self, value: i64) {
        self.u64(value.cast_unsigned());
    }

    /// Appends a 128-bit integer.
    pub fn i128(&mut self, value: i128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends the bits of a float.
    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// Appends an optional signed word.
    pub fn opt_i64(&mut self, value: Option<i64>) {
        self.u64(u64::from(value.is_some()));
        self.i64(value.unwrap_or_default());
    }

    /// Appends a length and as many bytes.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads what a [`StateWriter`] wrote.
#[derive(Debug)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> StateReader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let rest = &self.bytes[self.offset..];
        let Some(chunk) = rest.first_chunk::<N>() else {
            return Err(StateError::Truncated { offset: self.offset, needed: N - rest.len() });
        };
        self.offset += N;
        Ok(*chunk)
    }

    /// Reads one word.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`] at the end of the bytes.
    pub fn u64(&mut self) -> Result<u64, StateError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// Reads a signed word.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`] at the end of the bytes.
    pub fn i64(&mut self) -> Result<i64, StateError> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    /// Reads a 128-bit integer.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`] at the end of the bytes.
    pub fn i128(&mut self) -> Result<i128, StateError> {
        Ok(i128::from_le_bytes(self.take()?))
    }

    /// Reads a float.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`] at the end of the bytes.
    pub fn f64(&mut self) -> Result<f64, StateError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// Reads an optional signed word.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`] at the end of the bytes.
    pub fn opt_i64(&mut self) -> Result<Option<i64>, StateError> {
        let some = self.bool("option")?;
        let value = self.i64()?;
        Ok(some.then_some(value))
    }

    /// Reads a flag.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`], or [`StateError::Invalid`] for anything but 0 and 1.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, StateError> {
        match self.u64()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.invalid(field, &other)),
        }
    }

    /// Reads a count of items of `item_bytes` bytes each, checked against the bytes that are left.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`], or [`StateError::Invalid`] for a count that cannot be true.
    pub fn count(&mut self, field: &'static str, item_bytes: usize) -> Result<usize, StateError> {
        let count = self.u64()?;
        let left = (self.bytes.len() - self.offset) as u64;
        match count.checked_mul(item_bytes as u64) {
            Some(bytes) if bytes <= left => {
                usize::try_from(count).map_err(|_| self.invalid(field, &count))
            }
            _ => Err(self.invalid(field, &count)),
        }
    }

    /// Reads bytes with their length.
    ///
    /// # Errors
    ///
    /// [`StateError::Truncated`], or [`StateError::Invalid`] for a length that cannot be true.
    pub fn blob(&mut self, field: &'static str) -> Result<&'a [u8], StateError> {
        let count = self.count(field, 1)?;
        let bytes = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(bytes)
    }

    /// An error for a field that was just read.
    pub fn invalid(&self, field: &'static str, found: &dyn core::fmt::Display) -> StateError {
        StateError::Invalid { field, offset: self.offset, found: found.to_string() }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }
}
