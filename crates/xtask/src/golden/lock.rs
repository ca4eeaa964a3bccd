//! The lock file: one line per column, sorted.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anyhow::{Context, Result};

/// What the lock holds about one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Revision of the column.
    pub(crate) rev: u32,
    /// Hash of the inputs: tapes, parameters, and what the column is computed from.
    pub(crate) cases: u32,
    /// Hash of the outputs: values, valid bits, ready bits.
    pub(crate) bits: u64,
}

/// Entries by `family.column`.
pub(crate) type Lock = BTreeMap<String, Entry>;

/// How a column differs from the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    BitsWithoutRev,
    RevWithoutBits,
    RevWentBack,
    BumpedNotRecorded,
    OtherCases,
    NotInLock,
    NotInRegistry,
}

impl Problem {
    /// Whether recording the new bits is legitimate.
    pub(crate) fn may_be_accepted(&self) -> bool {
        !matches!(self, Self::BitsWithoutRev | Self::RevWithoutBits | Self::RevWentBack)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BitsWithoutRev => {
                "the bits changed and `rev` did not: undo the change, or bump `rev` in META and in \
                 the reference"
            }
            Self::RevWithoutBits => "`rev` was bumped and no bit changed: undo the bump",
            Self::RevWentBack => "`rev` is lower than the recorded one",
            Self::BumpedNotRecorded => {
                "a new revision with new bits; record it: cargo xtask golden --accept FAMILY"
            }
            Self::OtherCases => {
                "the tapes, its parameters or its input changed; record it: cargo xtask golden \
                 --accept FAMILY"
            }
            Self::NotInLock => "a new column; record it: cargo xtask golden --accept FAMILY",
            Self::NotInRegistry => {
                "not in the registry any more; record that: cargo xtask golden --accept all"
            }
        })
    }
}

/// Every column that differs, sorted.
pub(crate) fn compare(old: &Lock, new: &Lock) -> Vec<(String, Problem)> {
    let mut found = Vec::new();
    for (key, now) in new {
        let problem = match old.get(key) {
            None => Some(Problem::NotInLock),
            Some(was) => differs(was, now),
        };
        found.extend(problem.map(|problem| (key.clone(), problem)));
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    found.extend(gone.map(|key| (key.clone(), Problem::NotInRegistry)));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn differs(was: &Entry, now: &Entry) -> Option<Problem> {
    if was == now {
        return None;
    }
    let same_bits = was.bits == now.bits;
    Some(if now.rev < was.rev {
        Problem::RevWentBack
    } else if was.cases != now.cases {
        Problem::OtherCases
    } else if now.rev == was.rev {
        Problem::BitsWithoutRev
    } else if same_bits {
        Problem::RevWithoutBits
    } else {
        Problem::BumpedNotRecorded
    })
}

const HEADER: &str = "\
# The bits of every column over the tapes of `cargo xtask golden`; written by `--accept` only.
# cases = hash of tapes, parameters and inputs; bits = hash of values, valid bits and ready bits.
";

/// The text of the lock.
pub(crate) fn render(lock: &Lock) -> String {
    let mut out = HEADER.to_owned();
    for (key, Entry { rev, cases, bits }) in lock {
        let _ = writeln!(out, "{key:<36} rev={rev} cases={cases:08x} bits={bits:016x}");
    }
    out
}

/// Reads what [`render`] wrote.
pub(crate) fn parse(text: &str) -> Result<Lock> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| entry(line).with_context(|| format!("not an entry: `{line}`"))).collect()
}

fn entry(line: &str) -> Option<(String, Entry)> {
    let mut words = line.split_whitespace();
    let key = words.next()?.to_owned();
    let rev = words.next()?.strip_prefix("rev=")?.parse().ok()?;
    let cases = u32::from_str_radix(words.next()?.strip_prefix("cases=")?, 16).ok()?;
    let bits = u64::from_str_radix(words.next()?.strip_prefix("bits=")?, 16).ok()?;
    Some((key, Entry { rev, cases, bits }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let entry = Entry { rev: 2, cases: 7, bits: 0xABCD_0123 };
        let lock = Lock::from([("time.hour_utc".into(), entry)]);
        assert_eq!(parse(&render(&lock)).unwrap(), lock);
        assert!(parse("time.hour_utc rev=x\n").is_err());
    }

    #[test]
    fn new_and_removed_columns_are_named() {
        let entry = Entry { rev: 1, cases: 0, bits: 0 };
        let (a, b) = (Lock::from([("a.x".into(), entry)]), Lock::from([("b.y".into(), entry)]));
        let found = compare(&a, &b);
        assert_eq!(found[0], ("a.x".into(), Problem::NotInRegistry));
        assert_eq!(found[1], ("b.y".into(), Problem::NotInLock));
    }
}
