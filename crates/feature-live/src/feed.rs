//! Connections to venues: a transport of lines (`specs/live.md`).
//!
//! What a venue sends becomes the line that a recorder keeps, and the decoder that reads recordings
//! reads that line. So a recording gives the frames of the run that made it, by construction.

mod backoff;
mod binance;
mod bybit;
mod connect;
mod kraken;
mod okx;
mod recorder;
mod session;
mod sizes;
mod venue;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use market_io::venue::VenueReader;
use market_model::Instrument;

use self::recorder::Recorder;
use self::session::Session;
use crate::error::Error;
use crate::feed_counters::FeedCounters;
use crate::packet_ring::PacketSender;

pub use self::backoff::BackoffOptions;
pub use self::recorder::IfExists;
pub use self::sizes::sizes;
pub use self::venue::{VENUES, Venue};

/// How often a running feed looks at its stop flag.
const LOOK: Duration = Duration::from_millis(20);

/// One symbol of a feed.
#[derive(Debug, Clone)]
pub struct FeedSymbol {
    /// The instrument, its symbol as the venue writes it; the feed sets venue and sequencing.
    pub instrument: Instrument,
    /// File that gets every line, plain, or gzip when its name ends in `.gz`.
    pub record: Option<PathBuf>,
}

/// How a feed behaves.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// The venue.
    pub venue: &'static Venue,
    /// Address that replaces those of the venue, `ws://HOST:PORT` or `wss://HOST:PORT`; requests go to
    /// the same host by HTTP.
    pub endpoint: Option<String>,
    /// Time without a message after which a connection counts as lost; `None`: what fits the venue.
    pub silence: Option<Duration>,
    /// Waits between attempts.
    pub backoff: BackoffOptions,
    /// Seed of the waits' jitter.
    pub seed: u64,
    /// What happens to a recording that exists.
    pub if_exists: IfExists,
    /// Is told of a symbol what becomes of its connections, for people to read.
    pub tell: fn(&str, &str),
}

impl FeedOptions {
    /// The usual behaviour at a venue.
    #[must_use]
    pub fn new(venue: &'static Venue) -> Self {
        Self {
            venue,
            endpoint: None,
            silence: None,
            backoff: BackoffOptions::default(),
            seed: 1,
            if_exists: IfExists::Refuse,
            tell: |_, _| {},
        }
    }
}

/// Symbols of one venue, before and after their connections.
#[derive(Debug)]
pub struct Feed {
    options: FeedOptions,
    tracks: Vec<Track>,
}

/// What outlives the connections of a symbol.
#[derive(Debug)]
struct Track {
    reader: VenueReader,
    recorder: Option<Recorder>,
    counters: Arc<FeedCounters>,
}

impl Feed {
    /// A feed of symbols, whose ids must count from 0. Recordings begin here; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a recording cannot be written, [`Error::Endpoint`] for an address of
    /// another form.
    pub fn new(options: FeedOptions, symbols: Vec<FeedSymbol>) -> Result<Self, Error> {
        venue::check_endpoint(options.endpoint.as_deref())?;
        let mut tracks = Vec::with_capacity(symbols.len());
        for mut symbol in symbols {
            symbol.instrument.venue = options.venue.exchange.into();
            let reader = VenueReader::new(options.venue.lines, symbol.instrument);
            let recorder = symbol.record.map(|path| Recorder::create(path, options.if_exists));
            let counters = Arc::new(FeedCounters::new(&reader.instrument().symbol));
            tracks.push(Track { reader, recorder: recorder.transpose()?, counters });
        }
        Ok(Self { options, tracks })
    }

    /// Instruments in the order of their ids.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.tracks.iter().map(|track| track.reader.instrument())
    }

    /// Counters of every symbol, which other threads may read.
    #[must_use]
    pub fn counters(&self) -> Vec<Arc<FeedCounters>> {
        self.tracks.iter().map(|track| Arc::clone(&track.counters)).collect()
    }

    /// The readers, for their statistics.
    pub fn readers(&self) -> impl Iterator<Item = &VenueReader> {
        self.tracks.iter().map(|track| &track.reader)
    }

    /// Connects and sends packets until `stop` becomes true, on the calling thread; then completes the
    /// recordings. Connections that are lost are made again.
    ///
    /// # Errors
    ///
    /// [`Error::Record`], [`Error::Connect`] when nothing can be connected at all on this machine, and
    /// what [`PacketSender::send`] gives.
    pub fn run(&mut self, sender: &mut PacketSender, stop: &AtomicBool) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Connect { message: error.to_string() })?;
        let tls = connect::tls()?;
        let sender = RefCell::new(sender);
        let options = &self.options;
        let sessions = self.tracks.iter_mut().map(|track| {
            let mut session = Session::new(options, track, &sender, tls.clone());
            async move { session.run().await }
        });
        let done = runtime.block_on(async {
            tokio::select! {
                done = futures_util::future::try_join_all(sessions) => done.map(|_| ()),
                () = stopped(stop) => Ok(()),
            }
        });
        for track in &mut self.tracks {
            track.counters.is_connected.set(0);
            if let Some(recorder) = &mut track.recorder {
                recorder.flush()?;
            }
        }
        done
    }
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}
