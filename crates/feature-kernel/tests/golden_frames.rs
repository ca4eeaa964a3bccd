//! Frames with their bytes (`parity/golden/frames.toml`), written by hand from `specs/abi-v1.md`.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use feature_kernel::frame::{bit, decode, frame_bytes};
use feature_kernel::{Error, FrameRef};
use toml::{Table, Value};

fn frames() -> Vec<(Table, Vec<u8>)> {
    let text = include_str!("../../../parity/golden/frames.toml");
    let table: Table = text.parse().unwrap();
    let frames = table["frame"].as_array().unwrap();
    frames
        .iter()
        .map(|frame| {
            let frame = frame.as_table().unwrap().clone();
            let hex: String =
                frame["hex"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes = (0..hex.len()).step_by(2).map(byte).collect();
            (frame, bytes)
        })
        .collect()
}

fn number(frame: &Table, key: &str) -> i64 {
    frame[key].as_integer().unwrap()
}

fn identity(frame: &Table) -> (u64, usize) {
    let hash = u64::from_str_radix(frame["schema_hash"].as_str().unwrap(), 16).unwrap();
    (hash, frame["values"].as_array().unwrap().len())
}

#[test]
fn golden_frames_decode_to_their_fields() {
    let frames = frames();
    assert!(frames.len() >= 3);
    for (want, bytes) in &frames {
        let (hash, n) = identity(want);
        assert_eq!(bytes.len(), frame_bytes(n));
        let words = decode(bytes, hash, n).unwrap();
        let frame = FrameRef::from_words(&words);
        assert_eq!(frame.as_bytes(), bytes);
        let header = frame.header();
        assert_eq!(i64::from(frame.symbol_id()), number(want, "symbol_id"));
        assert_eq!(header.seq.cast_signed(), number(want, "seq"));
        assert_eq!(header.source_seq.cast_signed(), number(want, "source_seq"));
        assert_eq!(header.source_ts_ns, number(want, "source_ts_ns"));
        assert_eq!(header.local_ts_ns, number(want, "local_ts_ns"));
        assert_eq!(i64::from(header.epoch), number(want, "epoch"));
        assert_eq!(i64::from(header.quality.bits()), number(want, "quality_flags"));
        for (mask, key) in [
            (frame.changed_mask(), "changed_mask"),
            (frame.warmup_ready_mask(), "warmup_ready_mask"),
            (frame.valid_mask(), "valid_mask"),
        ] {
            assert_eq!(mask[0].cast_signed(), number(want, key), "{key}");
        }
        for (index, dtype) in want["dtypes"].as_array().unwrap().iter().enumerate() {
            let text = want["values"][index].as_str().unwrap();
            let word = match dtype.as_str().unwrap() {
                "f64" => text.parse::<f64>().unwrap().to_bits(),
                _ => text.parse::<i64>().unwrap().cast_unsigned(),
            };
            assert_eq!(frame.values()[index], word, "value {index}");
            let valid = bit(frame.valid_mask(), index).then_some(word);
            assert_eq!(frame.value(index), valid);
        }
    }
}

#[test]
fn a_frame_that_does_not_fit_is_refused_whole() {
    let (want, bytes) = frames().remove(0);
    let (hash, n) = identity(&want);
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut], hash, n).is_err(), "{cut} bytes");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(decode(&longer, hash, n).is_err());
    let other = decode(&bytes, hash ^ 1, n).unwrap_err();
    assert!(
        matches!(other, Error::SchemaMismatch { expected, found } if expected == hash ^ 1 && found == hash)
    );
    for (at, field) in
        [(0, "marker"), (20, "feature_count"), (61, "quality_flags"), (62, "quality_flags")]
    {
        let mut bad = bytes.clone();
        bad[at] |= 0xF0;
        let error = decode(&bad, hash, n).unwrap_err();
        assert!(error.to_string().contains(field), "{at}: {error}");
    }
    for (at, field) in [(64, "changed_mask"), (72, "warmup_ready_mask"), (80, "valid_mask")] {
        let mut bad = bytes.clone();
        bad[at + 1] |= 1;
        let error = decode(&bad, hash, n).unwrap_err();
        assert!(error.to_string().contains(field), "{at}: {error}");
    }
}

#[test]
fn masks_grow_by_words() {
    assert_eq!(frame_bytes(64), 64 + 24 + 512);
    assert_eq!(frame_bytes(65), 64 + 48 + 520);
    assert_eq!(frame_bytes(128), 64 + 48 + 1_024);
}
