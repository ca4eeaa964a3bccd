//! `featureplane demo`: the whole promise on a synthetic market, without a server or a download.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use feature_extract::{Destination, Emission, Job, Summary};
use feature_parity::{Gate, PathName, Tape, report, run_gate};
use market_io::OpenOptions;
use market_io::sink::{Existing, SinkOptions};
use market_io::synthetic::SyntheticConfig;
use market_io::write::write_binance;

use crate::args::Demo;
use crate::exit::{CHECK_FAILED, DONE};
use crate::print;
use crate::progress::{Bars, is_interrupted};

/// Makes a market, extracts it, proves parity, writes a report.
pub(crate) fn run(args: &Demo) -> anyhow::Result<u8> {
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let market = args.out.join("market.binance.gz");
    let config = SyntheticConfig {
        seed: args.seed,
        duration_ns: i64::from(args.minutes) * 60_000_000_000,
        gaps: 2,
        duplicates: 3,
        crossed: 1,
        ..SyntheticConfig::default()
    };
    print::note(format_args!("1/3 making a synthetic recording (seed {})", args.seed));
    write_binance(&market, &config, Existing::Replace)?;
    print::note("2/3 extracting features");
    let summary = extract(args, &market)?;
    print::note("3/3 proving parity");
    let (gate, skipped) = prove(args, &market)?;
    let page = args.out.join("report.html");
    std::fs::write(&page, report::html(&gate)).with_context(|| page.display().to_string())?;
    show(&summary, &gate, &skipped, &page);
    let equal = gate.differing_bits() == 0;
    Ok(if equal { DONE } else { CHECK_FAILED })
}

fn open(market: &Path) -> OpenOptions {
    OpenOptions { inputs: vec![market.into()], ..OpenOptions::default() }
}

fn extract(args: &Demo, market: &Path) -> anyhow::Result<Summary> {
    let path = args.out.join("features.parquet");
    let job = Job {
        open: open(market),
        set: Arc::new(feature_runtime::built_in_set("core_v1")?),
        model: None,
        emission: Emission::Packet,
        bars: None,
        checkpoints: None,
        warm_start: None,
        from_ns: None,
        to_ns: None,
        destination: Destination::File {
            path,
            options: SinkOptions { existing: Existing::Replace, ..SinkOptions::default() },
        },
        command: format!("featureplane demo --seed {} --minutes {}", args.seed, args.minutes),
    };
    let bars = Bars::new(false);
    let output = feature_extract::run(&job, &bars);
    bars.clear();
    drop(bars);
    let summary = output?.summary;
    anyhow::ensure!(!is_interrupted(), "interrupted");
    Ok(summary)
}

/// Every path that this machine can run; what cannot run is named, never passed over in silence.
fn prove(args: &Demo, market: &Path) -> anyhow::Result<(Gate, Vec<&'static str>)> {
    let python = super::python(args.python.as_ref());
    let (mut paths, mut skipped) = (vec![PathName::Kernel, PathName::Batch], Vec::new());
    for (path, module, why) in [
        (PathName::Python, "featureplane", "python (the package is not installed)"),
        (PathName::Reference, "json", "reference (no Python interpreter)"),
    ] {
        match super::parity::probe(module, &python) {
            Ok(()) => paths.push(path),
            Err(_) => skipped.push(why),
        }
    }
    let tapes = ["core_v1", "lob_shared_v1"].map(|id| {
        let set = Arc::new(feature_runtime::built_in_set(id)?);
        Tape::read(&open(market), set, u64::MAX)
    });
    Ok((run_gate(tapes, &paths, &python)?, skipped))
}

fn show(summary: &Summary, gate: &Gate, skipped: &[&str], page: &Path) {
    let output = summary.output.as_ref().map(PathBuf::from).unwrap_or_default();
    let quality: Vec<String> =
        summary.quality.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let mut rows = vec![
        ("events read", print::count(summary.events)),
        ("packets", print::count(summary.packets)),
        ("rows written", print::count(summary.rows)),
        ("events/s", format!("{:.1} M", summary.events_per_s / 1e6)),
        ("quality bits", quality.join(", ")),
        (
            "parity",
            format!("{} paths, {} differing bits", gate.paths.len() + 1, gate.differing_bits()),
        ),
    ];
    rows.extend(skipped.iter().map(|why| ("not compared", (*why).to_owned())));
    rows.push(("features", output.display().to_string()));
    rows.push(("report", page.display().to_string()));
    for (name, value) in rows {
        print::line(format_args!("{name:<14} {value}"));
    }
    if let Some(d) = gate.first_difference() {
        print::note(format_args!("first difference: {d:?}"));
    }
}
