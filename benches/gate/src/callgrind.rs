//! Instructions of single functions, counted by valgrind's callgrind.
//!
//! Counts repeat to the last digit on a busy machine, where times move by half.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Whether valgrind can be started.
#[must_use]
pub fn is_installed() -> bool {
    let mut command = Command::new("valgrind");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program and gives the instructions of each function, callees included.
///
/// `functions` are ends of paths such as `arms::book`; they must not be inlined.
///
/// # Errors
///
/// When the program fails, or when a function was not called.
pub fn count(
    program: &Path,
    args: &[&str],
    functions: &[&str],
    folder: &Path,
) -> Result<BTreeMap<String, u64>> {
    let out = folder.join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--demangle=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(args)
        .output()
        .context("start valgrind")?;
    ensure!(output.status.success(), "valgrind: {}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new("callgrind_annotate")
        .args(["--inclusive=yes", "--threshold=100"])
        .arg(&out)
        .output()
        .context("start callgrind_annotate")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counts = functions.iter().map(|name| Ok(((*name).to_owned(), inclusive(&text, name)?)));
    counts.collect()
}

/// The count of one function in the annotated text. There is a line for each file that was inlined
/// into it; the longest one holds the whole.
fn inclusive(text: &str, function: &str) -> Result<u64> {
    let path = format!("::{function} ");
    let mut longest = None;
    for line in text.lines().filter(|line| format!("{line} ").contains(&path)) {
        let digits: String =
            line.trim_start().chars().take_while(|c| *c != ' ').filter(|c| *c != ',').collect();
        let count: u64 = digits.parse().with_context(|| format!("no count in `{line}`"))?;
        longest = longest.max(Some(count));
    }
    longest.with_context(|| format!("callgrind saw no call of `{function}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_line_of_a_function_counts() {
        let text = "1,234 (50.0%)  arms.rs:gate::arms::book [/x/gate]\n\
                    6 ( 0.1%)  num.rs:gate::arms::book\n\
                    99 ( 4.0%)  arms.rs:gate::arms::book_x [/x/gate]";
        assert_eq!(inclusive(text, "arms::book").unwrap(), 1_234);
        assert_eq!(inclusive(text, "arms::book_x").unwrap(), 99);
        assert!(inclusive(text, "arms::other").is_err());
    }
}
