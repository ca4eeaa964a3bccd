//! A venue on this machine: a recording, served by the venue's websocket and requests, with faults on
//! demand (`specs/live.md`).
//!
//! Every symbol has a play of its own, which stands still while nobody is subscribed, and one client at a
//! time.

mod binance;
mod book;
mod bybit;
mod exchange;
mod fault;
mod kraken;
mod okx;
mod request;
mod stream;
mod tape;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, oneshot};

use self::exchange::Exchange;
use self::fault::Faults;
use self::tape::Tape;
use crate::counters::Count;
use crate::error::Error;
use crate::feed::Venue;
use crate::replay::Pace;

pub use self::fault::{Fault, FaultCounters, FaultKind};

const NAME: &str = "featureplane-replay-server";

/// A client that has not said what it wants by then is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// What is served, and how.
#[derive(Debug, Clone)]
pub struct ReplayServerOptions {
    /// The venue whose protocols are spoken.
    pub venue: &'static Venue,
    /// Files of one recording, in order.
    pub inputs: Vec<PathBuf>,
    /// Where to listen; port 0 takes any free one.
    pub bind: SocketAddr,
    /// How fast the recording goes while somebody is subscribed.
    pub pace: Pace,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Seed of the faults.
    pub seed: u64,
    /// Wait before every message, on top of the pace: a venue, or a line, that is slow.
    pub slow: Duration,
}

impl ReplayServerOptions {
    /// A recording without faults, as fast as its client takes it, on any free port of this machine.
    #[must_use]
    pub fn new(venue: &'static Venue, inputs: Vec<PathBuf>) -> Self {
        Self {
            venue,
            inputs,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            pace: Pace::Fastest,
            faults: Vec::new(),
            seed: 1,
            slow: Duration::ZERO,
        }
    }
}

/// What a server did, for other threads to read.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Streams that were opened.
    pub connections: Count,
    /// Snapshots that were sent, on request or on a stream, those of the recording included.
    pub snapshots: Count,
    /// Messages of the recording that were sent.
    pub sent: Count,
    /// Faults that happened.
    pub faults: FaultCounters,
    is_finished: AtomicBool,
}

impl ServerCounters {
    /// Whether the recording is at its end for every symbol that was asked for, and was taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Acquire)
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct ReplayServer {
    address: SocketAddr,
    counters: Arc<ServerCounters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What connections share.
struct Shared {
    options: ReplayServerOptions,
    /// Knows what clients say; it has no books.
    clerk: Box<dyn Exchange>,
    plays: RefCell<BTreeMap<String, Rc<Play>>>,
    counters: Arc<ServerCounters>,
}

/// The recording for one symbol.
struct Play {
    exchange: RefCell<Box<dyn Exchange>>,
    /// Whoever holds it is served.
    playing: Mutex<Playing>,
    /// The recorded answer that the stream waits to be asked for.
    held: RefCell<Option<String>>,
    /// Something of the above has changed.
    changed: Notify,
    /// A client has taken everything.
    is_taken: Cell<bool>,
}

/// The recording and what goes wrong with it.
struct Playing {
    tape: Tape,
    faults: Faults,
    /// Messages that pass before the next connection is served.
    missed: u64,
}

impl Shared {
    /// The play of a symbol, from its beginning when nobody was there before; `None` when the recording
    /// cannot be opened any more.
    fn play(&self, symbol: &str) -> Option<Rc<Play>> {
        if let Some(play) = self.plays.borrow().get(symbol) {
            return Some(Rc::clone(play));
        }
        let ReplayServerOptions { venue, inputs, pace, faults, seed, .. } = &self.options;
        let tape = Tape::open(venue.lines, inputs, *pace).ok()?;
        let faults = Faults::new(faults.clone(), *seed);
        let play = Rc::new(Play {
            exchange: RefCell::new(exchange::of(venue)),
            playing: Mutex::new(Playing { tape, faults, missed: 0 }),
            held: RefCell::new(None),
            changed: Notify::new(),
            is_taken: Cell::new(false),
        });
        self.counters.is_finished.store(false, Ordering::Release);
        self.plays.borrow_mut().insert(symbol.into(), Rc::clone(&play));
        Some(play)
    }

    /// A client has taken the whole of a play.
    fn take_note_of_end(&self, play: &Play) {
        play.is_taken.set(true);
        let all = self.plays.borrow().values().all(|play| play.is_taken.get());
        self.counters.is_finished.store(all, Ordering::Release);
    }
}

impl ReplayServer {
    /// Starts a server on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the recording cannot be opened, [`Error::Serve`] when the address cannot be
    /// used, [`Error::Thread`].
    pub fn start(options: ReplayServerOptions) -> Result<Self, Error> {
        let bind = options.bind;
        let failed = |source| Error::Serve { address: bind, source };
        Tape::open(options.venue.lines, &options.inputs, options.pace)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind(bind)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let counters = Arc::new(ServerCounters::default());
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&counters);
        let body = move || {
            let clerk = exchange::of(options.venue);
            let plays = RefCell::new(BTreeMap::new());
            let shared = Rc::new(Shared { options, clerk, plays, counters: kept });
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    // The other end going away means the same.
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name(NAME.into())
            .spawn(body)
            .map_err(|source| Error::Thread { name: NAME, source })?;
        Ok(Self { address, counters, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for [`crate::feed::FeedOptions::endpoint`].
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// What it did so far.
    #[must_use]
    pub const fn counters(&self) -> &Arc<ServerCounters> {
        &self.counters
    }
}

impl Drop for ReplayServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the server has ended nothing but the server.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn accept(listener: TcpListener, shared: Rc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            // What a client does wrong is its own loss.
            match tokio::time::timeout(HEAD_TIMEOUT, is_websocket(&stream)).await {
                Ok(Ok(true)) => stream::serve(stream, &shared).await,
                Ok(Ok(false)) => request::serve(stream, &shared).await,
                Ok(Err(_)) | Err(_) => {}
            }
        });
    }
}

/// Whether a client asks for a websocket, by the head of its request, which stays unread.
async fn is_websocket(stream: &TcpStream) -> std::io::Result<bool> {
    let mut head = vec![0; MAX_HEAD_BYTES];
    loop {
        stream.readable().await?;
        let count = stream.peek(&mut head).await?;
        let text = &head[..count];
        if count == 0 || count == MAX_HEAD_BYTES {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        if text.windows(4).any(|end| end == b"\r\n\r\n") {
            let text = text.to_ascii_lowercase();
            return Ok(memchr::memmem::find(&text, b"upgrade: websocket").is_some());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
