//! `specs/semantics.lock`: the bits of every column over fixed tapes, tied to its revision.

mod cases;
mod lock;
mod orders;
mod play;
mod tape;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use feature_kernel::FAMILIES;

use lock::Lock;

const LOCK: &str = "specs/semantics.lock";

fn read(root: &Path) -> Result<Lock> {
    match std::fs::read_to_string(root.join(LOCK)) {
        Ok(text) => lock::parse(&text).context(LOCK),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::new()),
        Err(error) => Err(error).context(LOCK),
    }
}

/// Compares the bits of every column with the lock; `false` after listing what differs.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let (old, new) = (read(root)?, play::lock()?);
    let problems = lock::compare(&old, &new);
    problems.iter().for_each(|(key, problem)| println!("{key}: {problem}"));
    match problems.len() {
        0 => println!("golden: {} columns have the bits of {LOCK}", new.len()),
        n => println!("\ngolden: {n} column(s) differ from {LOCK}"),
    }
    Ok(problems.is_empty())
}

/// Records the bits of one family or of all; refuses changed bits under an old revision.
pub(crate) fn accept(root: &Path, which: &str) -> Result<bool> {
    let all = which == "all";
    let known = FAMILIES.iter().any(|family| family.slug == which);
    ensure!(all || known, "no family `{which}`; give a slug or `all`");
    let (mut lock, new) = (read(root)?, play::lock()?);
    let mine = |key: &str| all || key.split('.').next() == Some(which);
    let refused: Vec<_> = lock::compare(&lock, &new)
        .into_iter()
        .filter(|(key, problem)| mine(key) && !problem.may_be_accepted())
        .collect();
    refused.iter().for_each(|(key, problem)| println!("{key}: {problem}"));
    if !refused.is_empty() {
        bail!("nothing was recorded");
    }
    lock.retain(|key, _| !mine(key));
    lock.extend(new.into_iter().filter(|(key, _)| mine(key)));
    std::fs::write(root.join(LOCK), lock::render(&lock)).context(LOCK)?;
    println!("golden: {LOCK} has {} columns", lock.len());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::lock::Problem;
    use super::*;

    #[test]
    fn every_column_has_the_bits_of_the_lock() {
        assert!(check(&crate::tree::root().unwrap()).unwrap(), "see above");
    }

    #[test]
    fn planted_changes_are_told_apart() {
        let old = play::lock().unwrap();
        let key = "mid_spread.mid";
        let planted = |change: fn(&mut lock::Entry)| {
            let mut new = old.clone();
            change(new.get_mut(key).unwrap());
            let found = lock::compare(&old, &new);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].1.clone()
        };
        assert_eq!(planted(|e| e.bits ^= 1), Problem::BitsWithoutRev);
        assert_eq!(planted(|e| e.rev += 1), Problem::RevWithoutBits);
        let bumped = planted(|e| (e.rev, e.bits) = (e.rev + 1, !e.bits));
        assert!(bumped.may_be_accepted(), "{bumped:?}");
        let retaped = planted(|e| (e.cases, e.bits) = (!e.cases, !e.bits));
        assert!(retaped.may_be_accepted(), "{retaped:?}");
    }
}
