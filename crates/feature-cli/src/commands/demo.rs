//! placeholder
use crate::args::Demo;
use std::process::ExitCode;
/// demo
pub(crate) fn run(_args: &Demo) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
