//! The `featureplane` command: parse, call, print.

mod args;
mod commands;
mod exit;
mod print;
mod progress;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::run(&args) {
        Ok(code) => code,
        Err(error) => {
            print::error(&error);
            exit::code_of(&error)
        }
    }
}
