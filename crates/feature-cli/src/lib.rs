//! The `featureplane` command: parse, call, print.
//!
//! A library, so that the Python package installs the same command beside its module.

mod args;
mod commands;
mod exit;
mod print;
mod progress;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

/// Runs the command with its arguments, the name of the program first, and returns its exit code.
///
/// It prints, and it takes over Ctrl-C while jobs run: whoever calls it ends the process with the
/// code. `README.md` lists the codes.
///
/// ```
/// assert_eq!(feature_cli::run(["featureplane", "sets", "lob_shared_v1"]), 0);
/// assert_eq!(feature_cli::run(["featureplane", "extract"]), 2);
/// ```
#[must_use]
pub fn run<T: Into<OsString> + Clone>(args: impl IntoIterator<Item = T>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    // The exit code of wrong usage would be a verdict there.
    let is_canary = args.get(1).is_some_and(|first| first == "canary");
    let args = match args::Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // A closed pipe is not an error of ours.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return match (asked, is_canary) {
                (true, _) => exit::DONE,
                (false, true) => exit::INPUT,
                (false, false) => exit::USAGE,
            };
        }
    };
    commands::run(&args).unwrap_or_else(|error| {
        print::error(&error);
        exit::code_of(&error)
    })
}
