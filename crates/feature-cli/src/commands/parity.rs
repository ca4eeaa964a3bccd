//! `featureplane parity run`: the gate.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use feature_parity::{Error, Gate, PathName, Tape, report, run_gate};
use feature_runtime::FeatureSet;
use market_io::OpenOptions;

use crate::args::ParityRun;
use crate::exit::{CHECK_FAILED, DONE, Usage};
use crate::print;

/// Runs inputs through every path; exit 1 on the first difference.
pub(crate) fn run(args: &ParityRun) -> anyhow::Result<u8> {
    // The runtime is what every path is compared with: naming it changes nothing.
    let paths = args.paths.iter().filter(|path| *path != "runtime");
    let paths: Result<Vec<PathName>, _> = paths.map(|path| path.parse()).collect();
    let paths = paths.map_err(|e| Usage(format!("--paths: {e}")))?;
    let sets: Result<Vec<_>, _> = args.set.iter().map(|id| feature_runtime::load_set(id)).collect();
    let sets: Vec<_> = sets?.into_iter().map(Arc::new).collect();
    let format: market_io::Format =
        args.format.parse().map_err(|e| Usage(format!("--format: {e}")))?;
    let python = super::python(args.python.as_ref());
    let gate = if let Some(events) = args.synthetic_events {
        run_gate(synthetic(&sets, args.seed, events), &paths, &python)?
    } else {
        let tapes = args.input.iter().flat_map(|input| {
            let options = OpenOptions {
                inputs: input.split('+').map(Into::into).collect(),
                format,
                symbol: args.symbol.clone(),
                ..OpenOptions::default()
            };
            sets.iter().map(move |set| Tape::read(&options, Arc::clone(set), args.limit))
        });
        run_gate(tapes, &paths, &python)?
    };
    finish(&gate, args.report.as_deref(), args.json)
}

/// Synthetic markets, each of them for every set, until they held `events`.
fn synthetic(
    sets: &[Arc<FeatureSet>],
    first_seed: u64,
    events: u64,
) -> impl Iterator<Item = Result<Tape, Error>> {
    let mut done = 0;
    let pairs = (first_seed..).flat_map(|seed| sets.iter().enumerate().map(move |s| (seed, s)));
    pairs.map_while(move |(seed, (index, set))| {
        if index == 0 && done >= events {
            return None;
        }
        let tape = Tape::synthetic(seed, Arc::clone(set));
        if index == 0 {
            done += tape.as_ref().map_or(0, Tape::events);
        }
        Some(tape)
    })
}

/// Prints and writes the result; the exit code says whether every bit is equal.
pub(crate) fn finish(gate: &Gate, page: Option<&Path>, as_json: bool) -> anyhow::Result<u8> {
    if let Some(page) = page {
        std::fs::write(page, report::html(gate)).with_context(|| page.display().to_string())?;
    }
    if as_json {
        print::json(gate)?;
    } else {
        show(gate);
    }
    if let Some(d) = gate.first_difference() {
        print::note(format_args!(
            "first difference: path {}, symbol {}, seq {}, ts {}, feature {}: runtime {}, {} {}",
            d.path, d.symbol, d.seq, d.ts_event_ns, d.feature, d.runtime, d.path, d.other
        ));
    }
    let equal = gate.differing_bits() == 0;
    Ok(if equal { DONE } else { CHECK_FAILED })
}

/// The table for people.
pub(crate) fn show(gate: &Gate) {
    let mut rows = Vec::new();
    for case in &gate.cases {
        for (index, comparison) in case.comparisons.iter().enumerate() {
            rows.push(vec![
                case.tape.clone(),
                case.feature_set_id.clone(),
                comparison.path.clone(),
                print::count(case.events),
                print::count(comparison.frames),
                print::count(comparison.differing_bits),
                format!("{:.2}", case.seconds.get(index + 1).copied().unwrap_or_default()),
            ]);
        }
    }
    let head = ["input", "set", "path", "events", "frames", "differing bits", "seconds"];
    print::table(&head, &rows);
    print::line(format_args!(
        "parity: {} paths beside the runtime, {} tapes, {} events, {} differing bits",
        gate.paths.len(),
        gate.cases.len(),
        print::count(gate.events()),
        gate.differing_bits()
    ));
}

/// Whether a path can run with this interpreter; the reason when it cannot.
pub(crate) fn probe(module: &str, python: &Path) -> Result<(), Error> {
    let said =
        std::process::Command::new(python).args(["-c", &format!("import {module}")]).output();
    let failed = |message: String| Error::Process {
        path: "python",
        command: format!("{} -c 'import {module}'", python.display()),
        message,
    };
    match said {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(failed(done.status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
