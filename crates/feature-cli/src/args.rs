//! Commands and options.

pub(crate) mod venue;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// One kernel for order-book features: extract, inspect, prove.
#[derive(Debug, Parser)]
#[command(name = "featureplane", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read a market-data log and write a table of features (Parquet, Arrow IPC or CSV).
    Extract(Extract),
    /// Score a market-data log with a model and write its features and scores.
    Score(Score),
    /// Write a market-data log in another format: an array of hftbacktest, or the packet log.
    Convert(Convert),
    /// Say what a file is: symbol, events, span, gaps, crossed time, tick and lot size.
    Inspect(Inspect),
    /// List the built-in feature sets, or the columns of one, or check a set file.
    Sets(Sets),
    /// List the feature families and their columns.
    Features(Json),
    /// Follow growing CCXT segments and write rows and bars by exchange, symbol and date.
    Watch(Watch),
    /// Prove that every path gives the same bits.
    Parity(Parity),
    /// Run a feed through the engine on a thread of its own and publish its frames.
    Live(Live),
    /// Serve a recording by a venue's websocket and REST protocols on this machine, with faults on demand.
    ReplayServer(venue::ReplayServer),
    /// Decide over recorded metrics whether a canary is promoted; exit 0 promote, 1 hold, 2 rollback.
    Canary(Canary),
    /// Show or change how far a feature set is rolled out.
    Rollout(Rollout),
    /// Make a seeded synthetic day, extract it, prove parity, write a report.
    Demo(Demo),
}

/// Options that open an input.
#[derive(Debug, ClapArgs)]
pub(crate) struct Input {
    /// Files of one stream, in order.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// auto, hftbacktest, binance, lobster, ccxt, tardis, parquet, chronicle, dbn, cryptofeed, bybit,
    /// bitstamp-l3, bitfinex-l3 or events.
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Symbol to read; repeat for several (then --out has {symbol} in it).
    #[arg(long, value_name = "SYMBOL")]
    pub(crate) symbol: Vec<String>,
    /// Tick size, for example 0.1; inferred when absent.
    #[arg(long, value_name = "DECIMAL")]
    pub(crate) tick_size: Option<String>,
    /// Lot size, for example 0.001; inferred when absent.
    #[arg(long, value_name = "DECIMAL")]
    pub(crate) lot_size: Option<String>,
    /// hftbacktest: the book before the first row.
    #[arg(long, value_name = "FILE")]
    pub(crate) initial_snapshot: Option<PathBuf>,
    /// Refuse quantities with more decimals than the lot size instead of rounding them.
    #[arg(long)]
    pub(crate) strict_scale: bool,
}

/// Options of `extract`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Extract {
    #[command(flatten)]
    pub(crate) table: Table,
    /// Built-in set or a set file ending in .json.
    #[arg(long, default_value = "core_v1", value_name = "ID|FILE.json")]
    pub(crate) set: String,
}

/// Options of `score`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Score {
    #[command(flatten)]
    pub(crate) table: Table,
    /// Model file.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) model: PathBuf,
    /// Set that the model was trained on, when it is not built in; must have the model's schema hash.
    #[arg(long, value_name = "ID|FILE.json")]
    pub(crate) set: Option<String>,
}

/// Options of every command that turns an input into a table.
#[derive(Debug, ClapArgs)]
pub(crate) struct Table {
    #[command(flatten)]
    pub(crate) input: Input,
    /// packet, trade, step:1s or trade-or-step:1s.
    #[arg(long, default_value = "packet", value_name = "EMISSION")]
    pub(crate) emit: String,
    /// Event time from which rows are written: UTC ns or YYYY-MM-DDTHH:MM:SS.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Event time at which rows end, exclusive.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Output file: .parquet, .arrow or .csv.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// Bars beside the rows, one file for each duration, for example 1s,5s,30s,60s.
    #[arg(long, value_name = "DURATIONS")]
    pub(crate) bars: Option<String>,
    /// File of the bars, with {bar} where the duration goes; day.parquet has day.bars-60s.parquet.
    #[arg(long, requires = "bars", value_name = "PATH")]
    pub(crate) bars_out: Option<String>,
    /// Write bars in which nothing happened, too.
    #[arg(long, requires = "bars")]
    pub(crate) empty_bars: bool,
    /// Distance in event time of state snapshots, for example 10m; they go to --snapshots.
    #[arg(long, requires = "snapshots", value_name = "DURATION")]
    pub(crate) snapshot_every: Option<String>,
    /// Folder for state snapshots.
    #[arg(long, requires = "snapshot_every", value_name = "DIR")]
    pub(crate) snapshots: Option<PathBuf>,
    /// Continue from the newest usable snapshot of this folder before --from: the same bytes from there on.
    #[arg(long, requires = "from", value_name = "DIR")]
    pub(crate) warm_start: Option<PathBuf>,
    /// Compression of Parquet pages.
    #[arg(long, value_enum, default_value = "zstd")]
    pub(crate) compression: Compression,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Symbols at a time.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) jobs: usize,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Codec of Parquet pages.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Compression {
    /// Zstandard.
    Zstd,
    /// Snappy.
    Snappy,
    /// None.
    None,
}

/// Options of `watch`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Watch {
    /// Folder of the segments, `*.ndjson`, in the order of the numbers in their names.
    #[arg(long, value_name = "DIR")]
    pub(crate) input: PathBuf,
    /// Folder for the tables `hf` and `bars` and for the state.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Configuration in TOML or YAML; watch.toml or watch.yaml in the folder of the segments when absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Pause between two looks at the folder.
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub(crate) poll_interval: String,
    /// Read what is there, and end; a later watch goes on.
    #[arg(long, conflicts_with = "finish")]
    pub(crate) once: bool,
    /// Read what is there, write the bars and parts under way, and end for good.
    #[arg(long)]
    pub(crate) finish: bool,
    /// Print the summary as JSON at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `convert`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Format of the new file.
    #[arg(long, value_enum)]
    pub(crate) to: Target,
    /// New file: .npz for hftbacktest; .ndjson or .ndjson.gz for events.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// hftbacktest: ns to add to every local time, or `auto` for the least after which nothing is received before it was sent.
    #[arg(long, default_value = "0", allow_hyphen_values = true, value_name = "NS|auto")]
    pub(crate) local_offset: String,
    /// hftbacktest: ns between event and arrival, for inputs that lack one of the two times.
    #[arg(long, value_name = "NS")]
    pub(crate) feed_latency: Option<u32>,
    /// hftbacktest: among rows of one event time, trades first.
    #[arg(long)]
    pub(crate) trades_first: bool,
    /// hftbacktest: also write the book at the end, as the initial snapshot of the next file.
    #[arg(long, value_name = "PATH")]
    pub(crate) book_out: Option<PathBuf>,
    /// hftbacktest: also write order latencies, made of the feed latency once per second.
    #[arg(long, value_name = "PATH")]
    pub(crate) latency_out: Option<PathBuf>,
    /// hftbacktest: store the arrays without compression.
    #[arg(long)]
    pub(crate) stored: bool,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Format of a converted file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Event array of hftbacktest.
    Hftbacktest,
    /// Packet log of this project.
    Events,
}

/// Options of `inspect`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Inspect {
    /// Files of one stream, in order.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// auto, hftbacktest, binance, lobster, ccxt, tardis, parquet, chronicle, dbn, cryptofeed, bybit,
    /// bitstamp-l3, bitfinex-l3 or events.
    #[arg(long, default_value = "auto")]
    pub(crate) format: String,
    /// Symbol to read, when the file holds several.
    #[arg(long)]
    pub(crate) symbol: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `sets`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Sets {
    /// Built-in set or a set file ending in .json.
    #[arg(value_name = "ID|FILE.json")]
    pub(crate) set: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of commands that only print.
#[derive(Debug, ClapArgs)]
pub(crate) struct Json {
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `parity` and its subcommand.
#[derive(Debug, ClapArgs)]
pub(crate) struct Parity {
    #[command(subcommand)]
    pub(crate) command: ParityCommand,
}

/// What to prove.
#[derive(Debug, Subcommand)]
pub(crate) enum ParityCommand {
    /// Run inputs through every path and compare bit for bit.
    Run(ParityRun),
}

/// Options of `parity run`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ParityRun {
    /// Inputs; each is a stream of its own, unless joined with `+` (day1.gz+day2.gz).
    #[arg(long, required_unless_present = "synthetic_events", num_args = 1.., value_name = "FILE")]
    pub(crate) input: Vec<String>,
    /// Synthetic markets instead of inputs, seed after seed, until they held this many events.
    #[arg(long, conflicts_with = "input", value_name = "N")]
    pub(crate) synthetic_events: Option<u64>,
    /// First seed of the synthetic markets.
    #[arg(long, default_value_t = 1, requires = "synthetic_events")]
    pub(crate) seed: u64,
    /// auto, hftbacktest, binance, lobster, ccxt, tardis, parquet, chronicle, dbn, cryptofeed, bybit,
    /// bitstamp-l3, bitfinex-l3 or events.
    #[arg(long, default_value = "auto")]
    pub(crate) format: String,
    /// Symbol to read, when the inputs hold several.
    #[arg(long)]
    pub(crate) symbol: Option<String>,
    /// Feature sets to compare.
    #[arg(long, num_args = 1.., default_values = ["core_v1", "lob_shared_v1"], value_name = "ID|FILE.json")]
    pub(crate) set: Vec<String>,
    /// Paths beside the runtime.
    #[arg(long, value_delimiter = ',', default_value = "kernel,batch,python,reference")]
    pub(crate) paths: Vec<String>,
    /// Packets of each input, from the start.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true, value_name = "N")]
    pub(crate) limit: u64,
    /// Python interpreter for the paths python and reference.
    #[arg(long, value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
    /// Write an HTML report.
    #[arg(long, value_name = "OUT.html")]
    pub(crate) report: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `live`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Live {
    /// Where packets come from: replay:FILE, several files joined with `+`; or a venue with its symbols,
    /// such as binance-usdm:BTCUSDT,ETHUSDT. Venues: binance-spot, binance-usdm, bybit-linear, bybit-spot,
    /// okx and kraken.
    #[arg(long, value_name = "replay:FILE|VENUE:SYMBOL,..")]
    pub(crate) feed: String,
    #[command(flatten)]
    pub(crate) connection: venue::Connection,
    /// Symbols of a replay, merged by time of arrival.
    #[arg(long, value_delimiter = ',', value_name = "SYMBOL,..")]
    pub(crate) symbols: Vec<String>,
    /// Built-in set or a set file ending in .json.
    #[arg(long, default_value = "core_v1", value_name = "ID|FILE.json")]
    pub(crate) set: String,
    /// Score every frame with a model of this set.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) model: Option<PathBuf>,
    /// Publish the latest frame of every symbol in a file that other processes map.
    #[arg(long, value_name = "PATH")]
    pub(crate) latest: Option<PathBuf>,
    /// Speed of a replay: max, or a factor of the recorded pace such as 1x.
    #[arg(long, default_value = "max", value_name = "max|FACTORx")]
    pub(crate) pace: String,
    /// Trade one unit on paper: long at or above the threshold, short at or below its negative.
    #[arg(long, value_name = "FEATURE:THRESHOLD")]
    pub(crate) paper: Option<String>,
    /// Run a second implementation beside the engine and compare; exit 1 when a frame differs.
    #[arg(long, value_enum)]
    pub(crate) shadow: Option<Twin>,
    /// Packets between two comparisons of the shadow.
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub(crate) check_every: usize,
    /// Packets that may wait for the engine; a power of two.
    #[arg(long, default_value_t = feature_live::DEFAULT_RING_PACKETS, value_name = "N")]
    pub(crate) ring: usize,
    /// What happens to a packet when that many wait.
    #[arg(long, value_enum, default_value = "block")]
    pub(crate) full: FullRing,
    /// Serve metrics and a dashboard page, to this machine only unless an address is given.
    #[arg(long, num_args = 0..=1, default_missing_value = "127.0.0.1:9464", value_name = "ADDRESS")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    /// Show on the page what this policy says of the metrics so far.
    #[arg(long, requires = "metrics", value_name = "FILE.toml")]
    pub(crate) policy: Option<PathBuf>,
    /// Show on the page how far the rollout in this file is; it is not changed.
    #[arg(long, requires = "policy", value_name = "FILE.json")]
    pub(crate) state: Option<PathBuf>,
    /// Pin the engine's thread to this core, from 0.
    #[arg(long, value_name = "N")]
    pub(crate) core: Option<usize>,
    /// Never rest while no packet waits: the lowest latency for a core of its own.
    #[arg(long)]
    pub(crate) spin: bool,
    /// auto, hftbacktest, binance, lobster, ccxt, tardis, parquet, chronicle, dbn, cryptofeed, bybit,
    /// bitstamp-l3, bitfinex-l3 or events.
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Tick size, for example 0.1; when absent a recording's is inferred, and a venue is asked.
    #[arg(long, value_name = "DECIMAL")]
    pub(crate) tick_size: Option<String>,
    /// Lot size, for example 0.001; likewise.
    #[arg(long, value_name = "DECIMAL")]
    pub(crate) lot_size: Option<String>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `canary` and its subcommand.
#[derive(Debug, ClapArgs)]
pub(crate) struct Canary {
    #[command(subcommand)]
    pub(crate) command: CanaryCommand,
}

/// What to do with a canary.
#[derive(Debug, Subcommand)]
pub(crate) enum CanaryCommand {
    /// Apply a policy to metrics.
    Evaluate(Evaluate),
}

/// Options of `canary evaluate`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Evaluate {
    /// Scrapes in a file, one after the other; a page of metrics such as http://127.0.0.1:9464/metrics;
    /// or a Prometheus server such as http://127.0.0.1:9090.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) metrics: String,
    /// Policy file.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) policy: PathBuf,
    /// Scrapes of a page of metrics.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) scrapes: u32,
    /// Time between two scrapes.
    #[arg(long, default_value = "5s", value_name = "DURATION")]
    pub(crate) every: String,
    /// Time that a Prometheus server is asked about.
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    pub(crate) window: String,
    /// State of the rollout: carries evaluations in a row from one call to the next.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) state: Option<PathBuf>,
    /// Log to which the evaluation is appended.
    #[arg(long, value_name = "FILE.ndjson")]
    pub(crate) audit: Option<PathBuf>,
    /// Move the rollout by the verdict: one stage on, or back.
    #[arg(long, requires = "state")]
    pub(crate) apply: bool,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `rollout` and its subcommand.
#[derive(Debug, ClapArgs)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    pub(crate) command: RolloutCommand,
}

/// What to do with a rollout.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Show it, and check its log.
    Status(RolloutFiles),
    /// Set its stage, if it still has the version that was looked at.
    Set(RolloutSet),
    /// Roll it back now, whatever its version is.
    Rollback(RolloutBack),
}

/// Files of a rollout.
#[derive(Debug, ClapArgs)]
pub(crate) struct RolloutFiles {
    /// State of the rollout.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) state: PathBuf,
    /// Log of everything that was decided.
    #[arg(long, value_name = "FILE.ndjson")]
    pub(crate) audit: Option<PathBuf>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `rollout set`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RolloutSet {
    #[command(flatten)]
    pub(crate) files: RolloutFiles,
    /// shadow, canary, full or rolled_back.
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: String,
    /// Version that `rollout status` showed.
    #[arg(long, value_name = "VERSION")]
    pub(crate) expect: u64,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// Options of `rollout rollback`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RolloutBack {
    #[command(flatten)]
    pub(crate) files: RolloutFiles,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// A second implementation.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Twin {
    /// The engine once more.
    Runtime,
    /// The independent implementation that the parity gate uses; slow.
    Naive,
}

/// What happens to a packet for which there is no room.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FullRing {
    /// The feed waits.
    Block,
    /// The packet is dropped, counted, and its loss is flagged on a frame.
    Drop,
}

/// Options of `demo`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Folder for everything the demo writes.
    #[arg(long, default_value = "demo-out")]
    pub(crate) out: PathBuf,
    /// Seed of the synthetic market.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Length of the synthetic recording in minutes.
    #[arg(long, default_value_t = 5)]
    pub(crate) minutes: u32,
    /// Python interpreter for the paths python and reference.
    #[arg(long, value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
}
