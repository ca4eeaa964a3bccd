//! A symbol as a file name (fault W07 of the fault catalogue).

use std::fmt::Write;

const LONGEST: usize = 120;

/// Names that Windows gives to devices, whatever the ending.
const RESERVED: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

/// Turns a symbol into the stem of a file name, so that different symbols give different files.
///
/// Letters, digits, `-` and `_` stay; every other byte becomes `%XX`. A name with lower-case letters
/// gets a hash suffix, since it could meet its upper-case twin on a file system that folds case; a
/// name that would be longer than 120 bytes is cut and gets a hash suffix too.
///
/// ```
/// use market_io::sink::file_stem;
/// assert_eq!(file_stem("BTCUSDT"), "BTCUSDT");
/// assert_eq!(file_stem("BTC/USDT:USDT"), "BTC%2FUSDT%3AUSDT");
/// assert_eq!(file_stem("../X"), "%2E%2E%2FX");
/// assert_ne!(file_stem("btc").to_lowercase(), file_stem("BTC").to_lowercase());
/// ```
#[must_use]
pub fn file_stem(symbol: &str) -> String {
    let mut stem = String::with_capacity(symbol.len() + 8);
    let upper = symbol.to_ascii_uppercase();
    let device = RESERVED.contains(&upper.as_str())
        || (upper.len() == 4 && (upper.starts_with("COM") || upper.starts_with("LPT")));
    for (index, byte) in symbol.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b'-' && index > 0);
        if plain && !(device && index == 0) {
            stem.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(stem, "%{byte:02X}");
        }
    }
    let folds = symbol.bytes().any(|b| b.is_ascii_lowercase());
    if folds || stem.len() > LONGEST || symbol.is_empty() {
        stem.truncate(LONGEST - 17);
        let hash = blake3::hash(symbol.as_bytes()).to_hex();
        stem.push('~');
        stem.push_str(&hash[..16]);
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_symbols_stay_inside_the_folder_and_apart() {
        let long = "A".repeat(300);
        let longer = "A".repeat(301);
        let symbols = [
            "BTC/USDT:USDT",
            "../../x",
            "/etc/passwd",
            "a\0b",
            "",
            ".",
            "..",
            "CON",
            "con",
            "COM1",
            "btc",
            "BTC",
            "Btc",
            "%2E",
            "~",
            "-rf",
            "\u{e9}",
            "A B",
            &long,
            &longer,
        ];
        let mut seen = std::collections::BTreeSet::new();
        for symbol in symbols {
            let stem = file_stem(symbol);
            assert!(!stem.is_empty() && stem.len() <= LONGEST, "{symbol:?}: {stem}");
            assert!(stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_%~".contains(&b)));
            assert!(!stem.starts_with('-') && !RESERVED.contains(&stem.as_str()));
            assert!(seen.insert(stem.to_ascii_lowercase()), "{symbol:?} collides: {stem}");
        }
    }
}
