//! The `featureplane` program.

fn main() -> std::process::ExitCode {
    feature_cli::run(std::env::args_os()).into()
}
