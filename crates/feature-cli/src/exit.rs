//! Exit codes; the README lists them.

/// Everything was done.
pub(crate) const DONE: u8 = 0;
/// A check failed: paths differ.
pub(crate) const CHECK_FAILED: u8 = 1;
/// Wrong usage or configuration (clap uses the same).
pub(crate) const USAGE: u8 = 2;
/// The input cannot be used, or the output cannot be written.
pub(crate) const INPUT: u8 = 3;
/// Done, but events were refused; the rows are flagged.
pub(crate) const REJECTED: u8 = 4;

/// Ended by Ctrl-C, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of an error.
pub(crate) fn code_of(error: &anyhow::Error) -> u8 {
    let interrupted = |cause: &(dyn std::error::Error + 'static)| {
        let job = cause.downcast_ref::<feature_extract::Error>();
        matches!(job, Some(feature_extract::Error::Interrupted))
    };
    if error.chain().any(interrupted) {
        return INTERRUPTED;
    }
    let usage = error.chain().any(|cause| {
        cause.downcast_ref::<feature_runtime::Error>().is_some()
            || cause.downcast_ref::<Usage>().is_some()
            || cause.downcast_ref::<feature_extract::Error>().is_some_and(is_usage)
    });
    if usage { USAGE } else { INPUT }
}

/// Whether a job was described wrongly, as opposed to an input or a disk that fails it.
fn is_usage(error: &feature_extract::Error) -> bool {
    use feature_extract::Error as Job;
    use market_io::Error as Input;
    use market_io::sink::SinkError as Output;
    matches!(
        error,
        Job::Config { .. }
            | Job::Engine(_)
            | Job::Model(_)
            | Job::Array(_)
            | Job::Input(Input::Option { .. } | Input::NoInput | Input::Instrument(_))
            | Job::Output(
                Output::UnknownEnding { .. }
                    | Output::Exists { .. }
                    | Output::NotAFile { .. }
                    | Output::NoParent { .. }
            )
    )
}

/// A wrong combination of options.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl core::fmt::Display for Usage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
