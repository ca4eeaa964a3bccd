//! `featureplane replay-server`: a recording as a venue on this machine, with faults on demand.

use std::sync::atomic::Ordering;
use std::time::Duration;

use feature_live::feed::{VENUES, Venue};
use feature_live::replay_server::{Fault, ReplayServer, ReplayServerOptions, ServerCounters};
use serde_json::{Value, json};

use super::feed::time;
use crate::args::venue::ReplayServer as Args;
use crate::exit::{DONE, Usage};
use crate::print;
use crate::progress;

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Serves until Ctrl-C comes.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let venue = Venue::named(&args.venue).ok_or_else(|| {
        let names: Vec<_> = VENUES.iter().map(|venue| venue.name).collect();
        Usage(format!("--venue: `{}` is not one of {}", args.venue, names.join(", ")))
    })?;
    let faults = args.fault.iter().map(|text| text.parse::<Fault>()).collect::<Result<_, _>>();
    let options = ReplayServerOptions {
        bind: args.bind,
        pace: args.pace.parse().map_err(|e| Usage(format!("--pace: {e}")))?,
        faults: faults.map_err(|e| Usage(format!("--fault: {e}")))?,
        seed: args.seed,
        slow: time("--slow", args.slow.as_deref())?.unwrap_or_default(),
        ..ReplayServerOptions::new(venue, args.input.clone())
    };
    let server = match ReplayServer::start(options) {
        Err(feature_live::Error::Input(error)) => {
            // Wrapped as in a job, so that the same mistake has the same exit code.
            return Err(feature_extract::Error::from(error).into());
        }
        Err(error @ feature_live::Error::Serve { .. }) => {
            return Err(Usage(error.to_string()).into());
        }
        started => started?,
    };
    print::note(format_args!("{} at {}", venue.name, server.endpoint()));
    let (stop, counters) = (progress::interruption(), server.counters());
    let mut was_finished = false;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        if counters.is_finished() && !was_finished {
            was_finished = true;
            print::note("the recording is at its end");
        }
    }
    if args.json {
        print::json(&summary(counters))?;
    }
    Ok(DONE)
}

fn summary(counters: &ServerCounters) -> Value {
    let faults: serde_json::Map<String, Value> =
        counters.faults.named().map(|(name, count)| (name.to_owned(), count.into())).collect();
    json!({
        "connections": counters.connections.get(),
        "snapshots": counters.snapshots.get(),
        "sent": counters.sent.get(),
        "faults": faults,
        "finished": counters.is_finished(),
    })
}
