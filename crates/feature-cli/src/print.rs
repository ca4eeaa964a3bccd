//! The only place that writes to standard output and standard error.

use std::io::Write;

/// One line to standard output; a closed pipe is not an error of ours.
pub(crate) fn line(text: impl core::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{}", harmless(&text.to_string()));
}

/// One line to standard error.
pub(crate) fn note(text: impl core::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless(&text.to_string()));
}

/// Control characters but line ends as `\u001b`, which JSON reads back: no input drives a terminal.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// An error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    note(format_args!("error: {error:#}"));
}

/// A value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Rows of text in columns; numbers to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max()
    };
    let widths: Vec<usize> = (0..head.len()).map(|c| width(c).unwrap_or(0)).collect();
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "+-.,eE".contains(c));
    let numeric: Vec<bool> = (0..head.len())
        .map(|c| !rows.is_empty() && rows.iter().all(|row| is_number(&row[c])))
        .collect();
    let show = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).zip(&numeric).map(|((text, &width), &right)| {
            if right { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    show(head.to_vec());
    for row in rows {
        show(row.iter().map(String::as_str).collect());
    }
}

/// A count with separators of thousands.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
