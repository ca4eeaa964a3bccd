//! `featureplane watch`: follow growing CCXT segments.

use std::time::Duration;

use feature_extract::{
    Until, WatchSummary, Watcher, find_watch_config, load_watch_config, parse_duration_ns,
};

use crate::args::Watch;
use crate::exit::REJECTED;
use crate::print;
use crate::progress::{Bars, is_interrupted};

/// How often a sleeping watch looks for Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Follows the segments until Ctrl-C, or does one round.
pub(crate) fn run(args: &Watch) -> anyhow::Result<u8> {
    let pause_ns = parse_duration_ns(&args.poll_interval)?;
    let pause = Duration::from_nanos(pause_ns.unsigned_abs());
    let config = match &args.config {
        Some(path) => load_watch_config(path)?,
        None => load_watch_config(&find_watch_config(&args.input)?)?,
    };
    // Only for its handler: a watch that is interrupted commits what it has done.
    let handler = Bars::new(true);
    let mut watcher = Watcher::open(&args.input, &args.out, &config)?;
    let until = if args.finish { Until::Finished } else { Until::Caught };
    let mut told = WatchSummary::default();
    loop {
        watcher.catch_up(until, &is_interrupted)?;
        let summary = watcher.summary();
        let is_last = args.once || args.finish || is_interrupted();
        if !args.json && (is_last || summary.parts > told.parts) {
            show(&summary);
            told = summary;
        }
        if is_last {
            break;
        }
        let mut left = pause;
        while !left.is_zero() && !is_interrupted() {
            let nap = left.min(LOOK_EVERY);
            std::thread::sleep(nap);
            left -= nap;
        }
    }
    drop(handler);
    let summary = watcher.summary();
    if args.json {
        print::json(&summary)?;
    }
    let is_clean = summary.rejected.values().all(|count| *count == 0);
    Ok(if is_clean { crate::exit::DONE } else { REJECTED })
}

fn show(summary: &WatchSummary) {
    print::line(format_args!(
        "{} lines, {} parts written, {} lines of other symbols, {} unreadable",
        print::count(summary.lines),
        print::count(summary.parts),
        print::count(summary.other_symbols),
        print::count(summary.unreadable),
    ));
    for (name, packets) in &summary.packets {
        let rejected = summary.rejected.get(name).copied().unwrap_or_default();
        let (packets, rejected) = (print::count(*packets), print::count(rejected));
        print::line(format_args!("  {name}: {packets} packets, {rejected} rejected"));
    }
}
