//! Repository tasks: what is derived is rendered here, and what is promised is checked here.
#![allow(clippy::print_stdout)] // A task talks to whoever typed it.

mod diff;
#[cfg(test)]
mod examples;
mod r#gen;
mod golden;
mod meta;
mod metrics;
mod scaffold;
mod source;
mod tidy;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Repository tasks.")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write every derived file: registry, reference pages, Python types, JSON schema.
    Gen {
        /// Write nothing; show what differs and fail.
        #[arg(long)]
        check: bool,
    },
    /// Check architecture and style rules.
    Tidy,
    /// Compare the bits of every feature with `specs/semantics.lock`.
    Golden {
        /// Compare and fail on a difference; the default.
        #[arg(long, conflicts_with = "accept")]
        check: bool,
        /// Record the bits of one family, or of `all`.
        #[arg(long, value_name = "SLUG|all")]
        accept: Option<String>,
    },
    /// Lay out the files of a new feature family.
    NewFeature {
        /// Stem of its files, for example `ofi_multi`.
        slug: String,
        /// Ids of its columns.
        #[arg(long, value_delimiter = ',', required = true)]
        columns: Vec<String>,
    },
    /// Lay out the files of a new input format.
    NewFormat {
        /// Name for `--format` and stem of its files.
        slug: String,
    },
}

fn main() -> ExitCode {
    let task = Cli::parse().task;
    match run(&task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a task; `false` when what it checks does not hold.
fn run(task: &Task) -> anyhow::Result<bool> {
    let root = tree::root()?;
    match task {
        Task::Gen { check: true } => r#gen::check(&root),
        Task::Gen { check: false } => r#gen::write(&root).map(|()| true),
        Task::Tidy => tidy::run(&root),
        Task::Golden { accept: Some(which), .. } => golden::accept(&root, which),
        Task::Golden { accept: None, .. } => golden::check(&root),
        Task::NewFeature { slug, columns } => scaffold::feature::lay_out(&root, slug, columns),
        Task::NewFormat { slug } => scaffold::format::lay_out(&root, slug),
    }
}
