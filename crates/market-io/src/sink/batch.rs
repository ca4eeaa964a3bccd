//! Rows of raw words to Arrow batches, without per-value builders and without fresh pages.
//!
//! A row is one `u64` per column (an `f64` as its bits, an `i64` two's complement) and one validity
//! bit per column. The words are scattered into column buffers as they come; validity is kept by row
//! and transposed 64 x 64 bits at a time. A buffer comes back as soon as nobody holds the batch any
//! more: touching fresh pages costs more than filling them.

use std::sync::Arc;

use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::SchemaRef;

use super::table::{ColumnKind, TableSpec};

/// Rows of a batch that fit the second-level cache with tens of columns.
pub const DEFAULT_BATCH_ROWS: usize = 4_096;

/// Extra words between columns: with a power of two as the stride, the same row of all columns
/// would fall into one cache set.
const PAD_WORDS: usize = 8;

/// Collects rows and turns them into batches.
#[derive(Debug)]
pub struct RowBatchBuilder {
    schema: SchemaRef,
    kinds: Vec<ColumnKind>,
    dictionary: Arc<StringArray>,
    capacity: usize,
    stride: usize,
    rows: usize,
    words: Vec<u64>,
    row_valid: Vec<u64>,
    word_pool: Pool,
    narrow_pool: Pool,
    bit_pool: Pool,
}

impl RowBatchBuilder {
    /// A builder of batches of `capacity` rows; the words of all [`ColumnKind::Utf8Dict`] columns
    /// are indices into `dictionary`.
    ///
    /// An Arrow IPC file has one dictionary per column: builders that feed one sink must be given
    /// the same dictionary.
    ///
    /// # Panics
    ///
    /// Panics when `capacity` is 0.
    #[must_use]
    pub fn new(spec: &TableSpec, capacity: usize, dictionary: &[&str]) -> Self {
        assert!(capacity > 0, "a batch holds at least one row");
        let capacity = capacity.next_multiple_of(64);
        let valid_words = spec.columns.len().div_ceil(64);
        Self {
            schema: spec.schema(),
            kinds: spec.columns.iter().map(|c| c.kind).collect(),
            dictionary: Arc::new(StringArray::from_iter_values(dictionary)),
            capacity,
            stride: capacity + PAD_WORDS,
            rows: 0,
            words: Vec::new(),
            row_valid: Vec::with_capacity(valid_words * capacity),
            word_pool: Pool::default(),
            narrow_pool: Pool::default(),
            bit_pool: Pool::default(),
        }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows collected since the last batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether [`Self::finish`] must be called before the next row.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows == self.capacity
    }

    /// Appends a row: one word per column, and bit `c % 64` of `valid[c / 64]` for column `c`.
    ///
    /// The bits of columns that are not nullable are ignored.
    ///
    /// # Panics
    ///
    /// Panics when the builder is full or the slices do not fit the columns.
    #[inline]
    pub fn push_row(&mut self, words: &[u64], valid: &[u64]) {
        assert!(self.rows < self.capacity, "the batch is full");
        assert_eq!(words.len(), self.kinds.len(), "one word per column");
        assert_eq!(valid.len(), self.kinds.len().div_ceil(64), "one bit per column");
        if self.words.is_empty() {
            self.words = self.word_pool.take(self.stride * self.kinds.len());
        }
        for (column, &word) in self.words.chunks_exact_mut(self.stride).zip(words) {
            column[self.rows] = word;
        }
        self.row_valid.extend_from_slice(valid);
        self.rows += 1;
    }

    /// The rows so far as a batch; the builder is empty afterwards.
    ///
    /// # Panics
    ///
    /// Panics when the word of a dictionary column is no index of the dictionary.
    #[must_use]
    pub fn finish(&mut self) -> RecordBatch {
        let rows = self.rows;
        let mut words = std::mem::take(&mut self.words);
        if words.is_empty() {
            words = self.word_pool.take(self.stride * self.kinds.len()); // A batch without rows.
        }
        let narrow = self.narrow_columns(&words);
        let words = self.word_pool.share(words);
        let bits = self.validity_columns();
        let (mut narrow_index, mut columns) = (0, Vec::with_capacity(self.kinds.len()));
        for (index, &kind) in self.kinds.iter().enumerate() {
            let start = index * self.stride;
            let nulls = self.schema.field(index).is_nullable().then(|| {
                let bits = BooleanBuffer::new(bits.clone(), index * self.capacity, rows);
                NullBuffer::new(bits)
            });
            let nulls = nulls.filter(|n| n.null_count() > 0);
            let wide = (&words, start, rows);
            let slim = (&narrow, narrow_index * self.capacity, rows);
            columns.push(match kind {
                ColumnKind::I64 => column::<Int64Type>(wide, nulls),
                ColumnKind::U64 => column::<UInt64Type>(wide, nulls),
                ColumnKind::F64 => column::<Float64Type>(wide, nulls),
                ColumnKind::TimestampNs => {
                    Arc::new(array::<TimestampNanosecondType>(wide, nulls).with_timezone("UTC"))
                }
                ColumnKind::U32 => column::<UInt32Type>(slim, nulls),
                ColumnKind::Utf8Dict => {
                    let keys = array::<Int32Type>(slim, nulls);
                    let array = DictionaryArray::try_new(keys, self.dictionary.clone());
                    Arc::new(array.expect("words of a dictionary column index the dictionary"))
                }
            });
            narrow_index += usize::from(is_narrow(kind));
        }
        self.rows = 0;
        self.row_valid.clear();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("the columns were built from the schema")
    }

    /// The 32-bit columns, one after the other.
    fn narrow_columns(&mut self, words: &[u64]) -> Buffer {
        let count = self.kinds.iter().filter(|&&k| is_narrow(k)).count();
        let mut narrow: Vec<u32> = self.narrow_pool.take(count * self.capacity);
        let sources = words.chunks_exact(self.stride.max(1)).zip(&self.kinds);
        let sources = sources.filter(|(_, kind)| is_narrow(**kind));
        for (to, (from, _)) in narrow.chunks_exact_mut(self.capacity).zip(sources) {
            for (to, from) in to.iter_mut().zip(&from[..self.rows]) {
                *to = u32::try_from(*from).expect("words of a 32-bit column fit 32 bits");
            }
        }
        self.narrow_pool.share(narrow)
    }

    /// The validity bitmaps, `capacity` bits for each column, one after the other.
    fn validity_columns(&mut self) -> Buffer {
        let per_row = self.kinds.len().div_ceil(64);
        let per_column = self.capacity / 64;
        let mut bits: Vec<u64> = self.bit_pool.take(self.kinds.len() * per_column);
        for group in 0..self.rows.div_ceil(64) {
            let rows = (self.rows - group * 64).min(64);
            for block in 0..per_row {
                let mut square = [0_u64; 64];
                for (row, word) in square[..rows].iter_mut().enumerate() {
                    *word = self.row_valid[(group * 64 + row) * per_row + block];
                }
                transpose(&mut square);
                let columns = (self.kinds.len() - block * 64).min(64);
                for (column, word) in square[..columns].iter().enumerate() {
                    bits[(block * 64 + column) * per_column + group] = *word;
                }
            }
        }
        self.bit_pool.share(bits)
    }
}

const fn is_narrow(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::U32 | ColumnKind::Utf8Dict)
}

type Part<'a> = (&'a Buffer, usize, usize);

fn array<T: ArrowPrimitiveType>(part: Part<'_>, nulls: Option<NullBuffer>) -> PrimitiveArray<T> {
    let (buffer, start, rows) = part;
    PrimitiveArray::new(ScalarBuffer::new(buffer.clone(), start, rows), nulls)
}

fn column<T: ArrowPrimitiveType>(part: Part<'_>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(array::<T>(part, nulls))
}

/// Transposes 64 x 64 bits; bit 0 is the first column (Hacker's Delight, section 7-3).
fn transpose(square: &mut [u64; 64]) {
    let (mut half, mut mask) = (32, 0x0000_0000_FFFF_FFFF_u64);
    while half != 0 {
        let mut row = 0;
        while row < 64 {
            let swap = ((square[row] >> half) ^ square[row + half]) & mask;
            square[row] ^= swap << half;
            square[row + half] ^= swap;
            row = (row + half + 1) & !half;
        }
        half >>= 1;
        mask ^= mask << half;
    }
}

/// Buffers that are lent to batches.
#[derive(Debug, Default)]
struct Pool {
    lent: Vec<Buffer>,
}

impl Pool {
    /// Batches in flight: one is written, one waits, one was just made. More than that means that
    /// somebody collects them.
    const LENT: usize = 3;

    fn take<T: ArrowNativeType>(&mut self, len: usize) -> Vec<T> {
        for index in 0..self.lent.len() {
            match self.lent.swap_remove(index).into_vec::<T>() {
                Ok(buffer) if buffer.len() == len => return buffer,
                Ok(_) => return vec![T::default(); len],
                Err(shared) => {
                    self.lent.push(shared);
                    let last = self.lent.len() - 1;
                    self.lent.swap(index, last);
                }
            }
        }
        vec![T::default(); len]
    }

    fn share<T: ArrowNativeType>(&mut self, buffer: Vec<T>) -> Buffer {
        let buffer = Buffer::from_vec(buffer);
        if self.lent.len() == Self::LENT {
            self.lent.remove(0);
        }
        self.lent.push(buffer.clone());
        buffer
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use super::super::table::ColumnSpec;
    use super::*;

    #[test]
    fn transposing_moves_every_bit() {
        for (row, column) in [(0, 0), (0, 63), (63, 0), (5, 40), (33, 31)] {
            let mut square = [0_u64; 64];
            square[row] = 1 << column;
            transpose(&mut square);
            let mut want = [0_u64; 64];
            want[column] = 1 << row;
            assert_eq!(square, want, "{row} {column}");
        }
    }

    #[test]
    fn validity_of_many_columns_lands_in_the_right_place() {
        let columns = 130;
        let spec = TableSpec::new(
            (0..columns).map(|c| ColumnSpec::new(format!("c{c}"), ColumnKind::U64).nullable()),
        );
        let mut builder = RowBatchBuilder::new(&spec, 128, &[]);
        let is_valid = |row: usize, column: usize| !(row * 31 + column * 17).is_multiple_of(5);
        for row in 0..100 {
            let mut valid = [0_u64; 3];
            for column in 0..columns {
                valid[column / 64] |= u64::from(is_valid(row, column)) << (column % 64);
            }
            let words: Vec<u64> = (0..columns).map(|c| (row * 1_000 + c) as u64).collect();
            builder.push_row(&words, &valid);
        }
        let batch = builder.finish();
        for column in 0..columns {
            let array = batch.column(column).as_primitive::<UInt64Type>();
            for row in 0..100 {
                assert_eq!(array.is_valid(row), is_valid(row, column), "{row} {column}");
                assert_eq!(array.value(row), (row * 1_000 + column) as u64);
            }
        }
    }

    #[test]
    fn a_dropped_batch_gives_its_buffers_back() {
        let spec = TableSpec::new([
            ColumnSpec::new("symbol", ColumnKind::Utf8Dict),
            ColumnSpec::new("x", ColumnKind::F64).nullable(),
        ]);
        let mut builder = RowBatchBuilder::new(&spec, 64, &["A", "B"]);
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..10_u64 {
            builder.push_row(&[round % 2, 1.5_f64.to_bits()], &[3]);
            let batch = builder.finish();
            let x = batch.column(1).as_primitive::<Float64Type>();
            seen.insert(x.values().as_ptr() as usize);
            let symbol = batch.column(0).as_dictionary::<Int32Type>();
            assert_eq!(symbol.key(0), Some((round % 2) as usize));
        }
        assert_eq!(seen.len(), 1);
        // A batch that is kept keeps its values.
        builder.push_row(&[0, 1.0_f64.to_bits()], &[3]);
        let kept = builder.finish();
        builder.push_row(&[0, 2.0_f64.to_bits()], &[3]);
        let _ = builder.finish();
        assert_eq!(
            kept.column(1).as_primitive::<Float64Type>().value(0).to_bits(),
            1.0_f64.to_bits()
        );
    }
}
