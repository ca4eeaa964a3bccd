//! A unified diff with one hunk: enough for generated files, which change in one place.

use std::fmt::Write as _;

const CONTEXT: usize = 3;

/// The difference as a unified diff; `None` when the texts are equal.
pub(crate) fn unified(path: &str, old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let shorter = old.len().min(new.len());
    let prefix = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let suffix = suffix.min(shorter - prefix);
    let start = prefix.saturating_sub(CONTEXT);
    let after = suffix.min(CONTEXT);
    let (old_end, new_end) = (old.len() - suffix, new.len() - suffix);
    let mut out = format!(
        "--- {path}\n+++ {path}\n@@ -{},{} +{},{} @@\n",
        start + 1,
        old_end + after - start,
        start + 1,
        new_end + after - start,
    );
    let mut lines = |sign: char, lines: &[&str]| {
        for line in lines {
            let _ = writeln!(out, "{sign}{line}");
        }
    };
    lines(' ', &old[start..prefix]);
    lines('-', &old[prefix..old_end]);
    lines('+', &new[prefix..new_end]);
    lines(' ', &old[old_end..old_end + after]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_changed_lines_with_context() {
        let old = "a\nb\nc\nd\ne\nf\n";
        let new = "a\nb\nc\nD\ne\nf\n";
        let want = "--- x\n+++ x\n@@ -1,6 +1,6 @@\n a\n b\n c\n-d\n+D\n e\n f\n";
        assert_eq!(unified("x", old, new).as_deref(), Some(want));
        assert_eq!(unified("x", old, old), None);
    }

    #[test]
    fn an_added_line_is_only_added() {
        let got = unified("x", "a\na\n", "a\na\na\n").expect("they differ");
        assert_eq!(got, "--- x\n+++ x\n@@ -1,2 +1,3 @@\n a\n a\n+a\n");
    }

    #[test]
    fn a_missing_file_is_all_new() {
        let got = unified("x", "", "a\n").expect("they differ");
        assert!(got.ends_with("@@ -1,0 +1,1 @@\n+a\n"), "{got}");
    }
}
