//! The model file: its fields, and the checksum over them (`specs/model-file.md`).

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::error::Error;
use crate::link::Link;

/// Version of the file format.
pub const FORMAT_VERSION: u32 = 1;

/// What the model was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Event time of the first row, UTC ns; 0 when unknown.
    pub from_ns: i64,
    /// Event time of the last row, UTC ns; 0 when unknown.
    pub to_ns: i64,
    /// Number of rows; 0 when unknown.
    pub rows: u64,
}

/// Inputs with the scores that the trainer computed for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestVector {
    /// One number per feature, in units (not in ticks).
    pub inputs: Vec<f64>,
    /// One number per output.
    pub scores: Vec<f64>,
}

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile {
    pub(crate) featureplane_model: u32,
    pub(crate) kind: String,
    pub(crate) link: Link,
    pub(crate) feature_set_id: String,
    pub(crate) schema_hash: String,
    pub(crate) features: Vec<String>,
    pub(crate) classes: Vec<String>,
    pub(crate) intercepts: Vec<f64>,
    pub(crate) weights: Vec<Vec<f64>>,
    pub(crate) calibration: Calibration,
    pub(crate) training: Training,
    pub(crate) test_vectors: Vec<TestVector>,
    pub(crate) checksum: String,
}

impl ModelFile {
    /// FNV-1a over the lines of the specification, 16 hex digits.
    pub(crate) fn computed_checksum(&self) -> String {
        let mut lines = vec![
            self.kind.clone(),
            self.link.name().into(),
            self.feature_set_id.clone(),
            self.schema_hash.clone(),
        ];
        lines.extend(self.features.iter().map(|name| format!("feature {name}")));
        lines.extend(self.classes.iter().map(|label| format!("class {label}")));
        let calibration = [self.calibration.slope, self.calibration.offset];
        let numbers = self.intercepts.iter().chain(self.weights.iter().flatten());
        let numbers = numbers.chain(&calibration).chain(self.calibration.knots.iter().flatten());
        lines.extend(numbers.map(|x| format!("{:016x}", x.to_bits())));
        checksum(&lines)
    }
}

/// Checks what every kind of model has, and gives the schema hash; `head` is the version, the kind, and the
/// kind that is read.
pub(crate) fn checked_head(
    head: (u32, &str, &str),
    schema_hash: &str,
    features: &[String],
) -> Result<u64, Error> {
    let (version, kind, expected) = head;
    if version != FORMAT_VERSION {
        return Err(field("featureplane_model", FORMAT_VERSION, version));
    }
    if kind != expected {
        return Err(field("kind", expected, format!("`{}`", kind.escape_default())));
    }
    if features.is_empty() {
        return Err(field("features", "1 or more", "none"));
    }
    let is_hash = schema_hash.len() == 16
        && schema_hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match u64::from_str_radix(schema_hash, 16) {
        Ok(hash) if is_hash => Ok(hash),
        _ => Err(field("schema_hash", "16 hex digits", schema_hash.escape_default())),
    }
}

pub(crate) fn field(field: &str, expected: impl ToString, found: impl ToString) -> Error {
    Error::Field { field: field.into(), expected: expected.to_string(), found: found.to_string() }
}

pub(crate) fn check_length(name: &str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(field(name, format!("{expected} values"), found)) }
}

/// FNV-1a over lines joined by a line feed, 16 hex digits.
pub(crate) fn checksum(lines: &[String]) -> String {
    format!("{:016x}", fnv1a(lines.join("\n").as_bytes()))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
