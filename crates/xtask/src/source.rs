//! Rust text as the rules see it: without comments and literals, and without test modules.

/// The text with comments, strings and character literals blanked; lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let len = literal_or_comment(&bytes[at..], at.checked_sub(1).map(|i| bytes[i]));
        match len {
            0 => {
                out.push(bytes[at]);
                at += 1;
            }
            len => {
                let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
                out.extend(bytes[at..at + len].iter().map(blank));
                at += len;
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Length of the comment or literal that starts here; 0 when none does.
fn literal_or_comment(rest: &[u8], before: Option<u8>) -> usize {
    let until = |end: &[u8], from: usize| {
        rest[from..].windows(end.len()).position(|w| w == end).map_or(rest.len(), |n| from + n)
    };
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match rest {
        [b'/', b'/', ..] => until(b"\n", 0),
        [b'/', b'*', ..] => (until(b"*/", 2) + 2).min(rest.len()),
        [b'"', ..] => string(rest, 0),
        [b'b' | b'c', b'"', ..] if !in_word => string(rest, 1),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 2),
        [b'\'', b'\\', ..] => (until(b"'", 3) + 1).min(rest.len()),
        [b'\'', _, b'\'', ..] => 3,
        [b'\'', lead, ..] if *lead >= 0x80 => (until(b"'", 1) + 1).min(rest.len()),
        _ => 0,
    }
}

fn string(rest: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// 0 for a raw identifier such as `r#type`.
fn raw_string(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return 0;
    }
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    let close = rest[open + 1..].windows(end.len()).position(|w| w == end);
    close.map_or(rest.len(), |n| open + 1 + n + end.len())
}

/// Line (from 0) of the brace that closes the one that opens at or after `line`; `None` when a `;`
/// comes first.
pub(crate) fn closing_line(lines: &[&str], line: usize, column: usize) -> Option<usize> {
    let (mut depth, mut brackets) = (0_i32, 0_i32);
    for (number, text) in lines.iter().enumerate().skip(line) {
        let skip = if number == line { column } else { 0 };
        for byte in text.bytes().skip(skip) {
            match byte {
                b'{' => depth += 1,
                b'}' if depth == 1 => return Some(number),
                b'}' => depth -= 1,
                b'[' | b'(' => brackets += 1,
                b']' | b')' => brackets -= 1,
                b';' if depth == 0 && brackets == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

/// Code without the items under `#[cfg(test)]`; lines stay where they are.
pub(crate) fn without_tests(code: &str) -> String {
    let lines: Vec<&str> = code.lines().collect();
    let mut kept = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        if let Some(column) = lines[at].find("#[cfg(test)]") {
            let end = closing_line(&lines, at, column + "#[cfg(test)]".len()).unwrap_or(at + 1);
            kept.extend(std::iter::repeat_n("", end + 1 - at));
            at = end + 1;
        } else {
            kept.push(lines[at]);
            at += 1;
        }
    }
    kept.join("\n")
}

/// Whether a word stands in a line of code on its own.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        let text =
            "let a = \"x // {\"; // }\nlet b: &'a str = r#\"y \" {\"#; let c = '{'; /* } */ f();";
        let got = code(text);
        assert_eq!(got.len(), text.len());
        assert!(!got.contains(['{', '}']), "{got}");
        assert!(got.contains("let b: &'a str =") && got.contains("f();"), "{got}");
    }

    #[test]
    fn escapes_and_raw_names_do_not_confuse() {
        let got = code(r#"let r#type = '\''; let s = "\"{"; let q = b'{'; mod r#gen;"#);
        assert!(got.contains("r#type") && got.contains("mod r#gen;"), "{got}");
        assert!(!got.contains('{'), "{got}");
    }

    #[test]
    fn test_modules_are_left_out() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        assert_eq!(without_tests(text), "fn a() {}\n\n\n\n\nfn c() {}");
    }
}
