//! Files and functions are short enough to be read at once.

use super::Violation;
use crate::source::{closing_line, code, has_word, without_tests};
use crate::tree::Tree;

const MAX_FILE_LINES: usize = 600;
const MAX_FN_LINES: usize = 70;

pub(super) fn files_are_short(tree: &Tree) -> Vec<Violation> {
    let is_code = |path: &str| [".rs", ".py", ".pyi"].iter().any(|ending| path.ends_with(ending));
    let long = tree.iter().filter(|(path, _)| is_code(path)).filter_map(|(path, text)| {
        let lines = text.lines().count();
        let message = format!("{lines} lines; a file has at most {MAX_FILE_LINES}");
        (lines > MAX_FILE_LINES).then(|| Violation::new(path, "file size", message))
    });
    long.collect()
}

pub(super) fn functions_are_short(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| !path.contains("/tests/")) {
        let code = without_tests(&code(text));
        let lines: Vec<&str> = code.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| has_word(line, "fn")) {
            let column = line.find("fn ").unwrap_or(0);
            let Some(end) = closing_line(&lines, number, column) else { continue };
            let length = end + 1 - number;
            if length > MAX_FN_LINES {
                let message = format!("{length} lines; a function has at most {MAX_FN_LINES}");
                found.push(Violation::at(path, number, "function size", message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize) -> String {
        format!("/// Doc.\nfn f(\n    x: [u8; 4],\n) {{\n{}}}\n", "    x();\n".repeat(lines - 4))
    }

    #[test]
    fn a_long_function_is_found() {
        let check = |text: &str| functions_are_short(&Tree::of(&[("crates/x/src/lib.rs", text)]));
        assert_eq!(check(&function(MAX_FN_LINES)), []);
        let found = check(&function(MAX_FN_LINES + 1));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/x/src/lib.rs:2");
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(200));
        assert_eq!(check(&test), []);
        assert_eq!(check("trait T {\n    fn f();\n}\n"), []);
    }

    #[test]
    fn a_long_file_is_found() {
        let text = "\n".repeat(MAX_FILE_LINES + 1);
        assert_eq!(files_are_short(&Tree::of(&[("a.py", &text), ("a.md", &text)])).len(), 1);
    }
}
