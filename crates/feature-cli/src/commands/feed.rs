//! Where the packets of `live` come from: a recording, or a venue.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use feature_live::feed::{self, Feed, FeedOptions, FeedSymbol, IfExists, VENUES, Venue};
use feature_live::{Count, Error, FeedCounters, Loss, Pace, PacketSender, Replay};
use market_io::OpenOptions;
use market_model::Instrument;
use serde_json::{Value, json};

use crate::args::Live;
use crate::exit::Usage;
use crate::print;

/// A feed before it runs.
pub(super) enum LiveFeed {
    Replay(Replay, Pace),
    Venue(Feed),
}

impl LiveFeed {
    /// Opens what `--feed` names.
    pub(super) fn open(args: &Live) -> anyhow::Result<Self> {
        let (kind, rest) = args.feed.split_once(':').unwrap_or((&args.feed, ""));
        if kind == "replay" {
            return replay(args, rest);
        }
        match Venue::named(kind) {
            Some(venue) if !rest.is_empty() => connection(args, venue, rest),
            _ => {
                let names: Vec<_> = VENUES.iter().map(|venue| venue.name).collect();
                let message = format!(
                    "--feed: `{}` is neither replay:FILE nor VENUE:SYMBOL with one of {}",
                    args.feed,
                    names.join(", ")
                );
                Err(Usage(message).into())
            }
        }
    }

    /// Instruments in the order of their ids.
    pub(super) fn instruments(&self) -> Vec<Instrument> {
        match self {
            Self::Replay(replay, _) => replay.instruments().cloned().collect(),
            Self::Venue(feed) => feed.instruments().cloned().collect(),
        }
    }

    /// Counters of the connections; none for a recording.
    pub(super) fn counters(&self) -> Vec<Arc<FeedCounters>> {
        match self {
            Self::Replay(..) => Vec::new(),
            Self::Venue(feed) => feed.counters(),
        }
    }

    /// Sends packets until the recording ends or `stop` becomes true.
    pub(super) fn send_all(
        &mut self,
        sender: &mut PacketSender,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        match self {
            Self::Replay(replay, pace) => replay.send_all(sender, *pace, stop).map(|_| ()),
            Self::Venue(feed) => feed.run(sender, stop),
        }
    }
}

/// A time of an option, such as `500ms` or `8h`.
pub(super) fn time(option: &str, text: Option<&str>) -> anyhow::Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    let ns = feature_extract::parse_duration_ns(text)
        .map_err(|error| Usage(format!("{option}: {error}")))?;
    Ok(Some(Duration::from_nanos(ns.unsigned_abs())))
}

fn replay(args: &Live, files: &str) -> anyhow::Result<LiveFeed> {
    let connection = &args.connection;
    if connection.record.is_some() || connection.endpoint.is_some() || connection.silence.is_some()
    {
        let message = "--record, --endpoint and --silence are for the feed of a venue";
        return Err(Usage(message.into()).into());
    }
    let pace = args.pace.parse().map_err(|e| Usage(format!("--pace: {e}")))?;
    let format = args.format.parse().map_err(|e| Usage(format!("--format: {e}")))?;
    let symbols: Vec<Option<&String>> = match args.symbols.as_slice() {
        [] => vec![None],
        several => several.iter().map(Some).collect(),
    };
    let mut sources = Vec::with_capacity(symbols.len());
    for (symbol, symbol_id) in symbols.into_iter().zip(0..) {
        let options = OpenOptions {
            inputs: files.split('+').map(Into::into).collect(),
            format,
            symbol: symbol.cloned(),
            tick_size: args.tick_size.clone(),
            lot_size: args.lot_size.clone(),
            symbol_id,
            ..OpenOptions::default()
        };
        // Wrapped as in a job, so that the same mistake has the same exit code.
        sources.push(market_io::open(&options).map_err(feature_extract::Error::from)?);
    }
    Ok(LiveFeed::Replay(Replay::new(sources)?, pace))
}

fn connection(args: &Live, venue: &'static Venue, symbols: &str) -> anyhow::Result<LiveFeed> {
    let connection = &args.connection;
    let names: Vec<&str> = symbols.split(',').collect();
    let mut tracks = Vec::with_capacity(names.len());
    for (&name, symbol_id) in names.iter().zip(0..) {
        let [tick, lot] = sizes(args, venue, name)?;
        let instrument =
            Instrument::new(symbol_id, name, &tick, &lot).map_err(|e| Usage(e.to_string()))?;
        tracks.push(FeedSymbol { instrument, record: recording(args, name, names.len())? });
    }
    let mut options = FeedOptions::new(venue);
    options.endpoint.clone_from(&connection.endpoint);
    options.silence = time("--silence", connection.silence.as_deref())?;
    options.seed = seed();
    options.tell = |symbol, what| print::note(format_args!("{symbol}: {what}"));
    if connection.overwrite {
        options.if_exists = IfExists::Replace;
    }
    Feed::new(options, tracks).map(LiveFeed::Venue).map_err(error_of)
}

/// The sizes that were given, else those that the venue states.
fn sizes(args: &Live, venue: &Venue, symbol: &str) -> anyhow::Result<[String; 2]> {
    if let (Some(tick), Some(lot)) = (&args.tick_size, &args.lot_size) {
        return Ok([tick.clone(), lot.clone()]);
    }
    let stated = feed::sizes(venue, args.connection.endpoint.as_deref(), symbol);
    let [tick, lot] = stated.map_err(error_of)?;
    Ok([args.tick_size.clone().unwrap_or(tick), args.lot_size.clone().unwrap_or(lot)])
}

/// What was asked for wrongly is the user's to repair.
fn error_of(error: Error) -> anyhow::Error {
    let is_usage = match &error {
        Error::Endpoint { .. } => true,
        Error::Record { source, .. } => source.kind() == ErrorKind::AlreadyExists,
        _ => false,
    };
    if is_usage { Usage(error.to_string()).into() } else { error.into() }
}

/// Clients that were cut off together must not come back together.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or_default() ^ u64::from(std::process::id()) << 32
}

fn recording(args: &Live, symbol: &str, symbols: usize) -> anyhow::Result<Option<PathBuf>> {
    let Some(record) = &args.connection.record else { return Ok(None) };
    if symbols > 1 && !record.contains("{symbol}") {
        let message = format!("--record: `{record}` needs {{symbol}} in it for several symbols");
        return Err(Usage(message).into());
    }
    // A symbol such as XBT/USD is no name of a file.
    Ok(Some(record.replace("{symbol}", &symbol.replace('/', "-")).into()))
}

/// What became of the connections, for the summary.
pub(super) fn connections(counters: &[Arc<FeedCounters>]) -> Vec<Value> {
    let one = |feed: &Arc<FeedCounters>| {
        let lost = Loss::ALL.iter().zip(feed.lost.iter().map(Count::get));
        let lost: serde_json::Map<String, Value> =
            lost.map(|(loss, count)| (loss.label().to_owned(), count.into())).collect();
        json!({
            "symbol": feed.symbol,
            "connections": feed.connections.get(),
            "lost": lost,
            "messages": feed.messages.get(),
            "snapshots_asked": feed.snapshots_asked.get(),
            "snapshots_failed": feed.snapshots_failed.get(),
            "rejected": feed.rejected.get(),
        })
    };
    counters.iter().map(one).collect()
}
