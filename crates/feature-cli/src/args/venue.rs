//! Options of connections to venues, and of the server that plays one.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// Options of `live` for a venue's feed.
#[derive(Debug, ClapArgs)]
pub(crate) struct Connection {
    /// A venue's feed: keep every line in this file, plain or .gz, with {symbol} in it for several symbols.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<String>,
    /// Replace the recording if it exists.
    #[arg(long, requires = "record")]
    pub(crate) overwrite: bool,
    /// Connect to this address instead of the venue's: a replay-server, or a way round a wall.
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) endpoint: Option<String>,
    /// A connection without a message for this long counts as lost; each venue has a time of its own.
    #[arg(long, value_name = "DURATION")]
    pub(crate) silence: Option<String>,
    /// End after this time, for example 8h; without it Ctrl-C ends a venue's feed.
    #[arg(long, value_name = "DURATION")]
    pub(crate) duration: Option<String>,
}

/// Options of `replay-server`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReplayServer {
    /// Venue whose protocols are spoken: binance-spot, binance-usdm, bybit-linear, bybit-spot, okx or kraken.
    #[arg(long, value_name = "VENUE")]
    pub(crate) venue: String,
    /// Files of one recording of that venue, in order.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub(crate) bind: std::net::SocketAddr,
    /// Speed: max, or a factor of the recorded pace such as 1x.
    #[arg(long, default_value = "1x", value_name = "max|FACTORx")]
    pub(crate) pace: String,
    /// What goes wrong, as KIND:PROBABILITY or KIND@MESSAGE; KIND is drop, duplicate, reorder, delay (with
    /// :MILLISECONDS behind), disconnect or checksum.
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<String>,
    /// Seed of the faults.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Wait before every message, for example 5ms: a slow venue.
    #[arg(long, value_name = "DURATION")]
    pub(crate) slow: Option<String>,
    /// Print what was sent, and what went wrong, as JSON at the end.
    #[arg(long)]
    pub(crate) json: bool,
}
