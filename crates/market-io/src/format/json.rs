//! Fields of JSON messages, as text until their type is known.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{FieldFault, quoted};

/// Items of one level that are kept: price, quantity, and what a venue adds.
const MAX_ITEMS: usize = 4;

pub(super) type Field<'a> = (&'static str, Option<&'a RawValue>);

pub(super) fn typed<'a, T: Deserialize<'a>>(
    field: Field<'a>,
    expected: &'static str,
) -> Result<T, FieldFault> {
    let (name, raw) = field;
    let Some(raw) = raw else {
        return Err(FieldFault { field: name, expected, found: "nothing".into() });
    };
    serde_json::from_str(raw.get())
        .map_err(|_| FieldFault::new(name, expected, raw.get().as_bytes()))
}

/// A JSON string; borrowed when it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

pub(super) fn text<'a>(field: Field<'a>) -> Result<Cow<'a, str>, FieldFault> {
    typed::<Text<'a>>(field, "a string").map(|text| text.0)
}

pub(super) fn number(field: Field<'_>) -> Result<u64, FieldFault> {
    typed(field, "an integer of at most 64 bits, not negative")
}

pub(super) fn object<'a, T: Deserialize<'a>>(
    field: &'static str,
    json: &'a [u8],
) -> Result<T, FieldFault> {
    serde_json::from_slice(json).map_err(|error| FieldFault {
        field,
        expected: "one JSON object",
        found: format!("{} ({error})", quoted(json)),
    })
}

/// A number, written as a number or as a string.
pub(super) fn decimal_text<'a>((name, raw): Field<'a>) -> Result<&'a [u8], FieldFault> {
    let expected = "a decimal number";
    let raw = raw.ok_or_else(|| FieldFault { field: name, expected, found: "nothing".into() })?;
    Ok(unquoted(raw.get().as_bytes()))
}

/// A field that may be absent or `null`.
pub(super) fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

/// Hands out the items of each array in an array, quotes removed: `[["1.5", 2], [1, "0"]]`.
///
/// `json` is valid JSON already; items that are arrays or objects themselves are refused.
pub(super) fn each_row<'a>(
    field: &'static str,
    json: &'a [u8],
    mut each: impl FnMut(&[&'a [u8]]) -> Result<(), FieldFault>,
) -> Result<(), FieldFault> {
    let wrong = || FieldFault::new(field, "an array of arrays of numbers", json);
    let inside = json.strip_prefix(b"[").and_then(|json| json.strip_suffix(b"]"));
    let mut rest = inside.ok_or_else(wrong)?.trim_ascii();
    while !rest.is_empty() {
        let row = rest.strip_prefix(b"[").ok_or_else(wrong)?;
        let end = memchr::memchr(b']', row).ok_or_else(wrong)?;
        let mut items: [&[u8]; MAX_ITEMS] = [b""; MAX_ITEMS];
        let (mut len, mut start) = (0, 0);
        for (at, c) in row[..end].iter().chain(b",").enumerate() {
            match c {
                b'[' | b'{' | b'}' => return Err(wrong()),
                b',' if len < MAX_ITEMS => {
                    items[len] = unquoted(row[start..at].trim_ascii());
                    (len, start) = (len + 1, at + 1);
                }
                _ => {}
            }
        }
        each(&items[..len])?;
        rest = row[end + 1..].trim_ascii_start();
        rest = match rest.strip_prefix(b",") {
            Some(more) => more.trim_ascii_start(),
            None if rest.is_empty() => rest,
            None => return Err(wrong()),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_whatever_the_spaces_and_quotes() {
        for text in [r#"[["1.5",2],[1e-7,"0"]]"#, r#"[ ["1.5", 2 ] , [ 1e-7,"0" ] ]"#] {
            let mut rows = Vec::new();
            each_row("bids", text.as_bytes(), |items| {
                rows.push(
                    items.iter().map(|item| str::from_utf8(item).unwrap()).collect::<Vec<_>>(),
                );
                Ok(())
            })
            .unwrap();
            assert_eq!(rows, [["1.5", "2"], ["1e-7", "0"]], "{text}");
        }
        for text in ["{}", "[1]", "[[1,2]3]", "[[[1],2]]", r#"[[{"a":1},2]]"#, "null"] {
            let result = each_row("bids", text.as_bytes(), |_| Ok(()));
            assert_eq!(result.unwrap_err().field, "bids", "{text}");
        }
        assert_eq!(each_row("bids", b"[ ]", |_| panic!("no row")), Ok(()));
    }
}
