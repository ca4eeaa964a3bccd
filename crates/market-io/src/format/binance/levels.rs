//! Decimal text of levels and trades to ticks and lots.

use std::borrow::Cow;

use market_model::{BookOp, Level, MAX_SCALED, POW10, Packet};
use serde::Deserialize;

use crate::error::FieldFault;
use crate::format::MAX_LEVELS_PER_SIDE;
use crate::format::grid::Grid;

/// Digits of a number that cannot exceed 2^53 - 1.
const SAFE_DIGITS: usize = 15;
const _: () = assert!(POW10[SAFE_DIGITS] <= MAX_SCALED);

/// One `[price, quantity]` of a message that is not written the usual way.
#[derive(Deserialize)]
struct Pair<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>);

impl Grid {
    /// Appends the levels of one side; the number of quantities that were rounded.
    ///
    /// On a fault the packet holds some of the levels: the caller drops it.
    pub(super) fn push_levels(
        &self,
        field: &'static str,
        json: &[u8],
        op: BookOp,
        packet: &mut Packet,
    ) -> Result<u64, FieldFault> {
        let mut rounded = 0;
        let mut count = 0;
        let mut push = |price_ticks: i64, qty_lots: i64| {
            count += 1;
            packet.push_level(op, Level { price_ticks, qty_lots });
            count <= MAX_LEVELS_PER_SIDE
        };
        let too_many = || FieldFault {
            field,
            expected: "at most 10000 levels of one side",
            found: "more".into(),
        };
        let mut rest = json;
        // `[["p","q"],["p","q"]]`, the way it is always written.
        while let Some(at) = strip(rest, if rest.len() == json.len() { b"[[\"" } else { b",[\"" }) {
            let (price_ticks, at) = self.price_text(field, at)?;
            let Some(at) = strip(at, b"\",\"") else { break };
            let (qty_lots, at) = self.qty_text(field, at, &mut rounded)?;
            let Some(at) = strip(at, b"\"]") else { break };
            if !push(price_ticks, qty_lots) {
                return Err(too_many());
            }
            rest = at;
        }
        if rest == b"]" || json == b"[]" {
            return Ok(rounded);
        }
        // The levels so far are read again, by the general parser.
        drop_last(packet, count);
        self.push_levels_slowly(field, json, op, packet)
    }

    #[cold]
    fn push_levels_slowly(
        &self,
        field: &'static str,
        json: &[u8],
        op: BookOp,
        packet: &mut Packet,
    ) -> Result<u64, FieldFault> {
        let expected = "an array of [price, quantity] pairs of strings";
        let pairs: Vec<Pair<'_>> =
            serde_json::from_slice(json).map_err(|_| FieldFault::new(field, expected, json))?;
        if pairs.len() > MAX_LEVELS_PER_SIDE {
            let expected = "at most 10000 levels of one side";
            return Err(FieldFault { field, expected, found: pairs.len().to_string() });
        }
        let mut rounded = 0;
        for Pair(price, qty) in &pairs {
            let price_ticks = self.price(field, price.as_bytes())?;
            let (qty_lots, was_rounded) = self.qty(field, qty.as_bytes())?;
            rounded += u64::from(was_rounded);
            packet.push_level(op, Level { price_ticks, qty_lots });
        }
        Ok(rounded)
    }

    /// A price up to a closing quote, and the text from that quote on.
    #[inline]
    fn price_text<'a>(
        &self,
        field: &'static str,
        text: &'a [u8],
    ) -> Result<(i64, &'a [u8]), FieldFault> {
        if let Some((scaled, len)) = plain(text, self.price_scale)
            && self.tick_scaled == 1
            && scaled > 0
        {
            return Ok((scaled, &text[len..]));
        }
        let (number, rest) = until_quote(field, text)?;
        Ok((self.price(field, number)?, rest))
    }

    #[inline]
    fn qty_text<'a>(
        &self,
        field: &'static str,
        text: &'a [u8],
        rounded: &mut u64,
    ) -> Result<(i64, &'a [u8]), FieldFault> {
        if let Some((scaled, len)) = plain(text, self.qty_scale)
            && self.lot_scaled == 1
        {
            return Ok((scaled, &text[len..]));
        }
        let (number, rest) = until_quote(field, text)?;
        let (qty_lots, was_rounded) = self.qty(field, number)?;
        *rounded += u64::from(was_rounded);
        Ok((qty_lots, rest))
    }
}

#[inline]
fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(prefix)
}

fn until_quote<'a>(
    field: &'static str,
    text: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), FieldFault> {
    let end = memchr::memchr(b'"', text)
        .ok_or_else(|| FieldFault::new(field, "a decimal number in quotes", text))?;
    Ok(text.split_at(end))
}

/// Digits with at most one point, up to a quote, with at most `scale` decimals that carry
/// information; the scaled value and the length. `None` for anything else.
#[inline]
fn plain(text: &[u8], scale: u8) -> Option<(i64, usize)> {
    let mut value = 0_i64;
    let mut at = 0;
    loop {
        let digit = text.get(at)?.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value * 10 + i64::from(digit);
        at += 1;
        if at > SAFE_DIGITS {
            return None;
        }
    }
    let whole = at;
    let mut missing = usize::from(scale);
    if whole == 0 || whole + missing > SAFE_DIGITS {
        return None;
    }
    if text[at] == b'.' {
        at += 1;
        loop {
            let digit = text.get(at)?.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            if missing > 0 {
                value = value * 10 + i64::from(digit);
                missing -= 1;
            } else if digit != 0 {
                return None;
            }
            at += 1;
        }
    }
    (text[at] == b'"').then(|| (value * POW10[missing], at))
}

/// Takes back the last levels, which are the end of one run.
fn drop_last(packet: &mut Packet, count: usize) {
    packet.levels.truncate(packet.levels.len() - count);
    let end = packet.levels.len();
    while packet.run_ends.last().is_some_and(|run| {
        let start = packet.run_ends.iter().rev().nth(1).map_or(0, |before| before.end as usize);
        start >= end && run.end as usize > end
    }) {
        packet.run_ends.pop();
    }
    if let Some(run) = packet.run_ends.last_mut() {
        run.end = run.end.min(u32::try_from(end).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use market_model::{Instrument, parse_scaled};
    use proptest::prelude::*;

    use super::*;

    fn grid(tick: &str, lot: &str) -> Grid {
        Grid::new(&Instrument::new(0, "X", tick, lot).unwrap(), false)
    }

    #[test]
    fn unusual_writing_gives_the_same_levels() {
        let usual = r#"[["1.50","2"],["1.40","0.000"]]"#;
        let mut want = Packet::default();
        grid("0.1", "0.001").push_levels("b", usual.as_bytes(), BookOp::SetBid, &mut want).unwrap();
        for text in [
            r#"[["1.50","2"] , ["1.40","0.000"]]"#,
            r#" [["1.50", "2"],["1.40","0.000"]] "#,
            r#"[["1.5\u0030","2"],["1.40","0"]]"#,
            r#"[["15e-1","2.000"],["1.4","0"]]"#,
        ] {
            let mut packet = Packet::default();
            let result =
                grid("0.1", "0.001").push_levels("b", text.as_bytes(), BookOp::SetBid, &mut packet);
            if text.contains('\\') {
                // An escape inside a number is valid JSON and not worth supporting.
                assert!(result.is_err(), "{text}");
            } else {
                assert_eq!(result, Ok(0), "{text}");
                assert_eq!(packet, want, "{text}");
            }
        }
    }

    #[test]
    fn refused_levels_name_the_field() {
        for (text, expected) in [
            (r#"[["0","1"]]"#, "a positive price"),
            (r#"[["-1","1"]]"#, "a positive price"),
            (r#"[["1.05","1"]]"#, "a price on the tick grid (pass --tick-size to set the grid)"),
            (r#"[["1.5","-1"]]"#, "a quantity that is not negative"),
            (r#"[["NaN","1"]]"#, "a decimal number"),
            (r#"[["1","Infinity"]]"#, "a decimal number"),
            (r#"[["1","1e999"]]"#, "a number of at most 2^53-1 after scaling"),
            (r#"[[1.5,"1"]]"#, "an array of [price, quantity] pairs of strings"),
            (r#"[["1"]]"#, "an array of [price, quantity] pairs of strings"),
            (r#"[["1","1","1"]]"#, "an array of [price, quantity] pairs of strings"),
            (r#"[["1","1"],]"#, "an array of [price, quantity] pairs of strings"),
        ] {
            let fault = grid("0.1", "0.001")
                .push_levels("b", text.as_bytes(), BookOp::SetBid, &mut Packet::default())
                .unwrap_err();
            assert_eq!((fault.field, fault.expected), ("b", expected), "{text}");
        }
        let mut many = Packet::default();
        let text = format!("[{}]", vec![r#"["1","1"]"#; 10_001].join(","));
        let fault = grid("1", "1").push_levels("a", text.as_bytes(), BookOp::SetAsk, &mut many);
        assert_eq!(fault.unwrap_err().expected, "at most 10000 levels of one side");
    }

    #[test]
    fn fine_quantities_round_half_to_even() {
        let mut packet = Packet::default();
        let text = br#"[["1","0.0005"],["2","0.0015"],["3","0.0010"]]"#;
        let rounded = grid("1", "0.001").push_levels("b", text, BookOp::SetBid, &mut packet);
        assert_eq!(rounded, Ok(2));
        let lots: Vec<_> = packet.levels.iter().map(|level| level.qty_lots).collect();
        assert_eq!(lots, [0, 2, 1]);
    }

    proptest! {
        #[test]
        fn plain_numbers_equal_the_general_parser(text in "[0-9]{0,16}(\\.[0-9]{0,10})?", scale in 0_u8..9) {
            let quoted = format!("{text}\"");
            if let Some((value, len)) = plain(quoted.as_bytes(), scale) {
                prop_assert_eq!(len, text.len());
                prop_assert_eq!(parse_scaled(text.as_bytes(), scale), Ok((value, false)));
            }
        }
    }
}
