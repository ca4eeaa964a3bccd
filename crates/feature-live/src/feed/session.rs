//! One symbol's connections, one after the other.
//!
//! A connection that is lost leaves a note in the stream of lines; the decoder makes of it a packet
//! that ends the book, so that the loss shows in the frames of this run and of its recording alike.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use market_io::Location;
use market_io::venue::VenueLines;
use market_model::PacketKind;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::backoff::Backoff;
use super::connect::{self, NoSnapshot, Socket};
use super::venue::{Snapshot, Venue};
use super::{FeedOptions, Track};
use crate::counters::Counters;
use crate::error::Error;
use crate::feed_counters::{FeedCounters, Loss};
use crate::packet_ring::PacketSender;
use crate::plane::wall_ns;

/// How often a connection looks whether something is due.
const LOOK: Duration = Duration::from_millis(50);

/// Messages after which an answer is looked for though more of them wait.
const FLOOD: u64 = 256;

/// How long the snapshot that follows a subscription may take.
const FIRST_SNAPSHOT: Duration = Duration::from_secs(10);

type Request = Pin<Box<dyn Future<Output = Result<String, NoSnapshot>>>>;

/// One symbol of a feed while it runs.
pub(super) struct Session<'a> {
    venue: &'static Venue,
    endpoint: Option<&'a str>,
    silence: Duration,
    symbol: String,
    tell: fn(&str, &str),
    track: &'a mut Track,
    sender: &'a RefCell<&'a mut PacketSender>,
    engine: Arc<Counters>,
    tls: TlsConnector,
    line: Vec<u8>,
    reconnect: Backoff,
    resync: Resync,
    /// Packets that the ring had taken when the last snapshot was in it.
    snapshot_at: u64,
}

/// When to ask for a snapshot.
struct Resync {
    backoff: Backoff,
    /// Not before this.
    next: Instant,
    /// The decoder had no book when it was looked at last.
    was_waiting: bool,
    /// Depth updates read when the connection was made: a snapshot is of use once there is a later one.
    updates: u64,
}

/// Why a connection ended; an error ends the feed.
enum Ended {
    Lost(Loss, String),
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        options: &'a FeedOptions,
        track: &'a mut Track,
        sender: &'a RefCell<&'a mut PacketSender>,
        tls: TlsConnector,
    ) -> Self {
        let instrument = track.reader.instrument();
        // Every symbol has waits of its own.
        let seed = options.seed.wrapping_mul(1_000).wrapping_add(instrument.symbol_id.into());
        let resync = Resync {
            backoff: Backoff::new(options.backoff, seed.wrapping_add(500)),
            next: Instant::now(),
            was_waiting: true,
            updates: 0,
        };
        Self {
            venue: options.venue,
            endpoint: options.endpoint.as_deref(),
            silence: options.silence.unwrap_or(options.venue.silence),
            symbol: instrument.symbol.clone(),
            tell: options.tell,
            sender,
            engine: Arc::clone(sender.borrow().counters()),
            tls,
            line: Vec::new(),
            reconnect: Backoff::new(options.backoff, seed),
            resync,
            snapshot_at: 0,
            track,
        }
    }

    /// Connects again and again; ends only with an error.
    pub(super) async fn run(&mut self) -> Result<(), Error> {
        let note = VenueLines::recording_note(self.track.reader.instrument());
        self.take(&note)?;
        loop {
            let url = self.venue.stream_url(self.endpoint, &self.symbol);
            let (loss, reason) = match connect::websocket(&url, &self.tls).await {
                Ok(mut socket) => {
                    let ended = self.connection(&mut socket).await;
                    self.counters().is_connected.set(0);
                    match ended {
                        Ended::Failed(error) => return Err(error),
                        Ended::Lost(loss, reason) => (loss, Some(reason)),
                    }
                }
                Err(message) => {
                    self.tell(&format!("cannot connect: {message}"));
                    (Loss::Refused, None)
                }
            };
            self.counters().lost[loss as usize].add(1);
            if let Some(reason) = reason {
                self.tell(&format!("lost: {reason}"));
                self.take(&VenueLines::lost_note(&reason))?;
            }
            sleep(self.reconnect.next_wait()).await;
        }
    }

    async fn connection(&mut self, socket: &mut Socket) -> Ended {
        let counters = self.counters();
        counters.connections.add(1);
        counters.is_connected.set(1);
        self.tell("connected");
        for message in (self.venue.subscribe)(&self.symbol) {
            if let Err(error) = socket.send(Message::text(message)).await {
                return broken(&error);
            }
        }
        self.begin_resync();
        match self.follow(socket).await {
            Err(ended) => ended,
        }
    }

    /// Takes what comes until the connection ends.
    async fn follow(&mut self, socket: &mut Socket) -> Result<Infallible, Ended> {
        let (mut heard, mut request, mut passed) = (Instant::now(), None, 1_u64);
        let (ping_every, ping) = self.venue.ping.unwrap_or((Duration::from_secs(3_600), ""));
        let mut pings = interval(ping_every);
        pings.reset();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order: messages that came before an answer stand before it.
                biased;
                message = socket.next() => {
                    heard = Instant::now();
                    self.message(message)?;
                    passed += 1;
                }
                answer = answered(&mut request) => {
                    request = None;
                    self.answer(answer)?;
                }
                _ = pings.tick(), if !ping.is_empty() => send(socket, ping.into()).await?,
                _ = looks.tick() => {}
                () = sleep_until(heard + self.silence) => {
                    let reason = format!("no message for {:?}", self.silence);
                    return Err(Ended::Lost(Loss::Silent, reason));
                }
            }
            // A flood of messages would hide an answer for ever.
            if passed % FLOOD == 0
                && let Some(answer) = answered(&mut request).now_or_never()
            {
                request = None;
                self.answer(answer)?;
            }
            self.lose_what_the_engine_lost()?;
            if self.is_snapshot_due(request.is_some()) {
                self.ask(socket, &mut request).await?;
            }
        }
    }

    fn message(&mut self, message: Option<Result<Message, SocketError>>) -> Result<(), Ended> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| format!("closed by the venue: {frame}"));
                let reason = reason.unwrap_or_else(|| "closed by the venue".into());
                return Err(Ended::Lost(Loss::Closed, reason));
            }
            None => return Err(Ended::Lost(Loss::Closed, "closed by the venue".into())),
            Some(Err(error)) => return Err(broken(&error)),
            // Pings are answered by the library; no venue sends anything else.
            Some(Ok(_)) => return Ok(()),
        };
        self.counters().messages.add(1);
        if !(self.venue.is_pong)(&text) {
            self.take(&text)?;
        }
        // Whoever closes right after the handshake is met with longer and longer waits.
        if !self.track.reader.awaits_snapshot() {
            self.reconnect.reset();
        }
        Ok(())
    }

    /// Records a message, decodes it, and sends the packet that it gives.
    fn take(&mut self, message: &str) -> Result<(), Error> {
        self.line.clear();
        self.venue.lines.push_line(wall_ns(), message, &mut self.line);
        let Track { reader, recorder, counters } = &mut *self.track;
        if let Some(recorder) = recorder {
            recorder.write(&self.line)?;
        }
        let mut sender = self.sender.borrow_mut();
        let place = || Location::file(Path::new(self.venue.name));
        if reader.read(&self.line, place, sender.packet()) {
            let kind = sender.packet().kind;
            sender.send()?;
            match kind {
                PacketKind::Snapshot => self.snapshot_at = self.engine.sent.get(),
                PacketKind::Rejected | PacketKind::RejectedTrade => counters.rejected.add(1),
                _ => {}
            }
        }
        Ok(())
    }

    /// The engine gives a book up for reasons that no decoder sees: packets that the ring dropped, a
    /// book that stays crossed. A note makes the decoder give it up too.
    fn lose_what_the_engine_lost(&mut self) -> Result<(), Error> {
        self.sender.borrow_mut().tell_losses(wall_ns())?;
        let id = self.track.reader.instrument().symbol_id as usize;
        let has_seen_snapshot = self.engine.packets.get() >= self.snapshot_at;
        let awaits = self.engine.symbols[id].awaits_snapshot.get() == 1;
        if has_seen_snapshot && awaits && !self.track.reader.awaits_snapshot() {
            self.take(&VenueLines::lost_note("the engine gave the book up"))?;
        }
        Ok(())
    }

    fn begin_resync(&mut self) {
        let is_request = matches!(self.venue.snapshot, Snapshot::Request { .. });
        self.resync.next =
            Instant::now() + if is_request { Duration::ZERO } else { FIRST_SNAPSHOT };
        self.resync.was_waiting = true;
        self.resync.updates = self.track.reader.stats().depth_updates;
        self.resync.backoff.reset();
        if !is_request {
            self.counters().snapshots_asked.add(1);
        }
    }

    fn is_snapshot_due(&mut self, is_asked: bool) -> bool {
        let waits = self.track.reader.awaits_snapshot();
        let was_waiting = std::mem::replace(&mut self.resync.was_waiting, waits);
        if !waits || is_asked {
            if !waits {
                self.resync.backoff.reset();
            }
            return false;
        }
        if !was_waiting {
            self.resync.next = Instant::now();
        }
        let has_changes = self.track.reader.stats().depth_updates > self.resync.updates;
        let is_request = matches!(self.venue.snapshot, Snapshot::Request { .. });
        Instant::now() >= self.resync.next && (has_changes || !is_request)
    }

    async fn ask(
        &mut self,
        socket: &mut Socket,
        request: &mut Option<Request>,
    ) -> Result<(), Ended> {
        self.counters().snapshots_asked.add(1);
        self.resync.next = Instant::now() + self.resync.backoff.next_wait();
        if let Some(url) = self.venue.snapshot_url(self.endpoint, &self.symbol) {
            *request = Some(Box::pin(connect::snapshot(url, self.tls.clone())));
        }
        if let Snapshot::Subscribe(messages) = self.venue.snapshot {
            for message in messages(&self.symbol) {
                send(socket, message).await?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: Result<String, NoSnapshot>) -> Result<(), Error> {
        match answer {
            Ok(text) => self.take(&text),
            Err(failure) => {
                self.counters().snapshots_failed.add(1);
                self.tell(&format!("no snapshot: {}", failure.message));
                self.resync.next = self.resync.next.max(Instant::now() + failure.wait);
                Ok(())
            }
        }
    }

    fn tell(&self, what: &str) {
        (self.tell)(&self.symbol, what);
    }

    fn counters(&self) -> Arc<FeedCounters> {
        Arc::clone(&self.track.counters)
    }
}

async fn answered(request: &mut Option<Request>) -> Result<String, NoSnapshot> {
    match request {
        Some(request) => request.await,
        None => pending().await,
    }
}

async fn send(socket: &mut Socket, message: String) -> Result<(), Ended> {
    socket.send(Message::text(message)).await.map_err(|error| broken(&error))
}

fn broken(error: &SocketError) -> Ended {
    Ended::Lost(Loss::Broken, error.to_string())
}
