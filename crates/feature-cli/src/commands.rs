//! One file per command.

mod canary;
mod convert;
mod demo;
mod extract;
mod features;
mod feed;
mod inspect;
mod live;
mod parity;
mod replay_server;
mod rollout;
mod score;
mod sets;
mod watch;

use std::path::PathBuf;

use crate::args::{Args, CanaryCommand, Command, ParityCommand};

/// Runs a command; its exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.command {
        Command::Extract(extract) => extract::run(extract),
        Command::Score(score) => score::run(score),
        Command::Convert(convert) => convert::run(convert),
        Command::Inspect(inspect) => inspect::run(inspect),
        Command::Sets(sets) => sets::run(sets),
        Command::Features(features) => features::run(features),
        Command::Watch(watch) => watch::run(watch),
        Command::Parity(parity) => match &parity.command {
            ParityCommand::Run(run) => parity::run(run),
        },
        Command::Live(live) => live::run(live),
        Command::ReplayServer(server) => replay_server::run(server),
        Command::Canary(canary) => match &canary.command {
            CanaryCommand::Evaluate(evaluate) => canary::run(evaluate),
        },
        Command::Rollout(rollout) => rollout::run(&rollout.command),
        Command::Demo(demo) => demo::run(demo),
    }
}

/// The interpreter asked for, else that of the virtual environment here, else `python3`.
fn python(asked: Option<&PathBuf>) -> PathBuf {
    let local = PathBuf::from(".venv/bin/python");
    match asked {
        Some(path) => path.clone(),
        None if local.exists() => local,
        None => "python3".into(),
    }
}
