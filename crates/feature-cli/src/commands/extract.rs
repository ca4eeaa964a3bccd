//! `featureplane extract`: the main job.

use std::collections::BTreeSet;
use std::sync::Arc;

use feature_extract::{
    BarOptions, CheckpointOptions, Destination, Emission, EmptyBars, Job, Output, Summary,
    parse_duration_ns, parse_durations_ns, parse_time_ns, run_all,
};
use feature_infer::AnyModel;
use feature_runtime::FeatureSet;
use market_io::OpenOptions;
use market_io::sink::{Compression, Existing, SinkOptions, file_stem};

use crate::args::{Compression as CompressionArg, Extract, Input, Table};
use crate::exit::{DONE, REJECTED, Usage};
use crate::print;
use crate::progress::Bars;

/// Extracts features of one or several symbols.
pub(crate) fn run(args: &Extract) -> anyhow::Result<u8> {
    write(&args.table, &Arc::new(feature_runtime::load_set(&args.set)?), None)
}

/// Writes the tables of a set, with the scores of a model when there is one.
pub(crate) fn write(
    args: &Table,
    set: &Arc<FeatureSet>,
    model: Option<&Arc<AnyModel>>,
) -> anyhow::Result<u8> {
    let jobs = jobs(args, set, model)?;
    let bars = Bars::new(args.json);
    let result = run_all(&jobs, args.jobs.max(1), &bars);
    bars.clear();
    let outputs = result?;
    if args.json {
        let summaries: Vec<_> = outputs.iter().map(|output| &output.summary).collect();
        print::json(&summaries)?;
    } else {
        outputs.iter().for_each(|output| show(&output.summary));
    }
    let rejected: u64 = outputs.iter().map(|output: &Output| output.summary.rejected_count).sum();
    Ok(if rejected == 0 { DONE } else { REJECTED })
}

/// Options of an input for one symbol.
pub(crate) fn open_options(input: &Input, symbol: Option<&String>) -> anyhow::Result<OpenOptions> {
    Ok(OpenOptions {
        inputs: input.input.clone(),
        format: input.format.parse().map_err(|e| Usage(format!("--format: {e}")))?,
        symbol: symbol.cloned(),
        tick_size: input.tick_size.clone(),
        lot_size: input.lot_size.clone(),
        initial_snapshot: input.initial_snapshot.clone(),
        strict_scale: input.strict_scale,
        symbol_id: 0,
    })
}

fn jobs(
    args: &Table,
    set: &Arc<FeatureSet>,
    model: Option<&Arc<AnyModel>>,
) -> anyhow::Result<Vec<Job>> {
    let emission: Emission = args.emit.parse()?;
    let time = |text: &Option<String>| text.as_deref().map(parse_time_ns).transpose();
    let (from_ns, to_ns) = (time(&args.from)?, time(&args.to)?);
    let options = SinkOptions {
        compression: match args.compression {
            CompressionArg::Zstd => Compression::Zstd,
            CompressionArg::Snappy => Compression::Snappy,
            CompressionArg::None => Compression::None,
        },
        existing: if args.overwrite { Existing::Replace } else { Existing::Refuse },
    };
    let symbols: Vec<Option<&String>> = match args.input.symbol.as_slice() {
        [] => vec![None],
        several => several.iter().map(Some).collect(),
    };
    let out = args.out.to_string_lossy().into_owned();
    if symbols.len() > 1 && !out.contains("{symbol}") {
        let message = format!("--out `{out}` needs {{symbol}} in it for several symbols");
        return Err(Usage(message).into());
    }
    let durations_ns = args.bars.as_deref().map(parse_durations_ns).transpose()?;
    if symbols.len() > 1 && args.bars_out.as_ref().is_some_and(|path| !path.contains("{symbol}")) {
        let message = "--bars-out needs {symbol} in it for several symbols".into();
        return Err(Usage(message).into());
    }
    let every_ns = args.snapshot_every.as_deref().map(parse_duration_ns).transpose()?;
    let checkpoints = every_ns.zip(args.snapshots.clone());
    let checkpoints = checkpoints.map(|(every_ns, folder)| CheckpointOptions { every_ns, folder });
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("featureplane {}", command.join(" "));
    let mut paths = BTreeSet::new();
    symbols
        .into_iter()
        .map(|symbol| {
            let stem = symbol.map_or_else(String::new, |symbol| file_stem(symbol));
            let named = |path: &String| match symbol {
                Some(_) => path.replace("{symbol}", &stem),
                None => path.clone(),
            };
            let path = named(&out);
            let bars = durations_ns.clone().map(|durations_ns| BarOptions {
                durations_ns,
                empty: if args.empty_bars { EmptyBars::Write } else { EmptyBars::Skip },
                path: args.bars_out.as_ref().map(|path| named(path).into()),
            });
            if !paths.insert(path.clone()) {
                return Err(Usage(format!("--symbol: two of them would write `{path}`")).into());
            }
            Ok(Job {
                open: open_options(&args.input, symbol)?,
                set: Arc::clone(set),
                model: model.cloned(),
                emission,
                bars,
                checkpoints: checkpoints.clone(),
                warm_start: args.warm_start.clone(),
                from_ns,
                to_ns,
                destination: Destination::File { path: path.into(), options },
                command: command.clone(),
            })
        })
        .collect()
}

/// The summary for people.
pub(crate) fn show(summary: &Summary) {
    print::line(format_args!(
        "{}: {} rows of {} ({}) -> {} ({} bytes)",
        summary.symbol,
        print::count(summary.rows),
        summary.feature_set_id,
        summary.emission,
        summary.output.as_deref().unwrap_or("memory"),
        print::count(summary.output_bytes),
    ));
    print::line(format_args!(
        "  {} packets, {} events, {} frames in {:.2} s ({:.1} M events/s)",
        print::count(summary.packets),
        print::count(summary.events),
        print::count(summary.frames),
        summary.elapsed_s,
        summary.events_per_s / 1e6,
    ));
    if let Some(warm) = &summary.warm_start {
        let packets = print::count(warm.packets);
        print::line(format_args!("  from {} after {packets} packets", warm.snapshot));
        for reason in &warm.refused {
            print::note(format_args!("snapshot refused: {reason}"));
        }
        if let Some(reason) = &warm.read_whole {
            print::note(format_args!("input read from its front: {reason}"));
        }
    }
    for bars in &summary.bars {
        print::line(format_args!(
            "  {} bars of {} -> {} ({} bytes)",
            print::count(bars.bars),
            bars.duration,
            bars.output.as_deref().unwrap_or("memory"),
            print::count(bars.output_bytes),
        ));
    }
    for (name, count) in &summary.quality {
        print::line(format_args!("  {name} on {} frames", print::count(*count)));
    }
    for reason in &summary.rejected {
        print::note(format_args!("rejected: {reason}"));
    }
    if summary.rejected_count > summary.rejected.len() as u64 {
        print::note(format_args!("rejected in all: {}", summary.rejected_count));
    }
}
