//! One websocket: subscriptions in, messages of the recording out, with what goes wrong.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::exchange::{Channel, Seen};
use super::fault::FaultKind;
use super::{Play, Playing, Shared};

/// Messages that a client misses while it is cut off.
const MISSED: u64 = 25;

/// How long a client may take for its subscriptions before the recording goes on.
const SETTLE: Duration = Duration::from_millis(100);

/// How long the recording waits to be asked for the snapshot that it holds.
const PATIENCE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TcpStream>;

/// The connection is over.
struct Gone;

type Served<T = ()> = Result<T, Gone>;

/// One client.
struct Client<'a> {
    socket: Socket,
    shared: &'a Shared,
    /// What is played to it, once it has said what it wants.
    play: Option<Rc<Play>>,
    channels: Vec<Channel>,
    /// A message that goes out after the next one.
    late: Option<String>,
}

/// Serves a client until one of both goes.
pub(super) async fn serve(stream: TcpStream, shared: &Shared) {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's type")]
    let opened = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        Ok(response)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, opened).await else { return };
    shared.counters.connections.add(1);
    let channels = shared.clerk.opened(&path);
    let mut client = Client { socket, shared, play: None, channels, late: None };
    // Dropping the socket breaks the connection without a farewell, as networks do.
    let Err(Gone) = client.serve().await;
}

impl Client<'_> {
    async fn serve(&mut self) -> Served<Infallible> {
        if self.channels.is_empty() {
            self.subscription().await?;
        }
        let symbol = &self.channels.first().ok_or(Gone)?.symbol;
        let play = self.shared.play(symbol).ok_or(Gone)?;
        let mut playing = play.playing.lock().await;
        for _ in 0..std::mem::take(&mut playing.missed) {
            if let Some((_, message)) = playing.tape.next_message() {
                play.exchange.borrow_mut().take(&message);
            }
        }
        self.play = Some(Rc::clone(&play));
        for channel in self.channels.clone() {
            self.send_snapshot(&channel).await?;
        }
        let ended = self.follow(&play, &mut playing).await;
        playing.tape.stand_still();
        ended
    }

    async fn follow(&mut self, play: &Play, playing: &mut Playing) -> Served<Infallible> {
        while let Some((due, message)) = playing.tape.next_message() {
            while self.channels.is_empty() {
                self.listen().await?;
            }
            let due = due.max(Instant::now() + self.shared.options.slow);
            if due > Instant::now() {
                self.listen_until(due).await?;
            } else {
                // Else a fast recording would never let the client speak, nor others be served.
                self.hear_what_is_there().await?;
                tokio::task::yield_now().await;
            }
            self.pass(message, play, playing).await?;
        }
        self.send_late().await?;
        self.finish(play).await
    }

    /// Waits for a subscription, and a little for those that come with it.
    async fn subscription(&mut self) -> Served {
        while self.channels.is_empty() {
            self.listen().await?;
        }
        self.listen_until(Instant::now() + SETTLE).await
    }

    /// Lets a message of the recording happen.
    async fn pass(&mut self, message: String, play: &Play, playing: &mut Playing) -> Served {
        if let Some(symbol) = self.answer_of(&message) {
            let has_book = play.exchange.borrow().snapshot(&symbol).is_some();
            if !has_book {
                hold(&message, play).await;
            }
        }
        let seen = play.exchange.borrow_mut().take(&message);
        match seen {
            Seen::Message(channel) if self.channels.contains(&channel) => {
                self.send_with_faults(message, playing).await
            }
            Seen::Answer(_) => {
                play.changed.notify_waiters();
                Ok(())
            }
            Seen::Message(_) | Seen::Other => Ok(()),
        }
    }

    /// The symbol of a recorded answer; `None` for any other message.
    fn answer_of(&self, message: &str) -> Option<String> {
        let is_answer = message.starts_with("{\"lastUpdateId\"");
        let book = self.channels.iter().find(|channel| channel.is_book);
        book.filter(|_| is_answer).map(|channel| channel.symbol.clone())
    }

    async fn send_with_faults(&mut self, message: String, playing: &mut Playing) -> Served {
        let Some(kind) = playing.faults.next_fault() else {
            self.send(message).await?;
            return self.send_late().await;
        };
        let spoilt = match kind {
            FaultKind::Checksum => self.shared.clerk.with_wrong_checksum(&message),
            _ => None,
        };
        if kind != FaultKind::Checksum || spoilt.is_some() {
            self.shared.counters.faults.add(kind);
        }
        match kind {
            FaultKind::Drop => return Ok(()),
            FaultKind::Disconnect => {
                playing.missed = MISSED;
                return Err(Gone);
            }
            FaultKind::Reorder if self.late.is_none() => {
                self.late = Some(message);
                return Ok(());
            }
            FaultKind::Duplicate => self.send(message.clone()).await?,
            FaultKind::Delay(time) => self.listen_until(Instant::now() + time).await?,
            FaultKind::Checksum | FaultKind::Reorder => {}
        }
        self.send(spoilt.unwrap_or(message)).await?;
        self.send_late().await
    }

    async fn send_late(&mut self) -> Served {
        match self.late.take() {
            Some(late) => self.send(late).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, message: String) -> Served {
        self.shared.counters.sent.add(1);
        self.socket.send(Message::text(message)).await.map_err(|_| Gone)
    }

    /// Takes what the client says until a time.
    async fn listen_until(&mut self, time: Instant) -> Served {
        loop {
            tokio::select! {
                biased;
                heard = self.socket.next() => self.obey(heard).await?,
                () = sleep_until(time) => return Ok(()),
            }
        }
    }

    /// Takes what the client has said already.
    async fn hear_what_is_there(&mut self) -> Served {
        while let Some(heard) = self.socket.next().now_or_never() {
            self.obey(heard).await?;
        }
        Ok(())
    }

    /// Takes one message of the client.
    async fn listen(&mut self) -> Served {
        let heard = self.socket.next().await;
        self.obey(heard).await
    }

    async fn obey(&mut self, heard: Option<Result<Message, SocketError>>) -> Served {
        let text = match heard {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
            Some(Ok(_)) => return Ok(()),
        };
        let said = self.shared.clerk.said(&text);
        for answer in said.answers {
            self.socket.send(Message::text(answer)).await.map_err(|_| Gone)?;
        }
        self.channels.retain(|channel| !said.unsubscribe.contains(channel));
        for channel in said.subscribe {
            self.send_snapshot(&channel).await?;
            if !self.channels.contains(&channel) {
                self.channels.push(channel);
            }
        }
        Ok(())
    }

    /// Sends the book as it is, to a new subscriber of it; nothing before there is one.
    async fn send_snapshot(&mut self, channel: &Channel) -> Served {
        let Some(play) = self.play.as_ref().filter(|_| channel.is_book) else { return Ok(()) };
        let Some(snapshot) = play.exchange.borrow().first_message(&channel.symbol) else {
            return Ok(());
        };
        self.shared.counters.snapshots.add(1);
        self.socket.send(Message::text(snapshot)).await.map_err(|_| Gone)
    }

    /// The recording is at its end: waits until the client has taken everything, then for its farewell.
    async fn finish(&mut self, play: &Play) -> Served<Infallible> {
        let end = Message::Ping(Vec::from("end").into());
        self.socket.send(end).await.map_err(|_| Gone)?;
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Pong(text))) if *text == *b"end" => break,
                Some(Ok(_)) => {}
                _ => return Err(Gone),
            }
        }
        self.shared.take_note_of_end(play);
        loop {
            self.listen().await?;
        }
    }
}

/// Waits until a client has asked for a recorded snapshot and has read it.
async fn hold(message: &str, play: &Play) {
    *play.held.borrow_mut() = Some(message.to_owned());
    play.changed.notify_waiters();
    let taken = async {
        loop {
            let changed = play.changed.notified();
            if play.held.borrow().is_none() {
                return;
            }
            changed.await;
        }
    };
    // A client that has no need of it does not stop the recording.
    let _ = timeout(PATIENCE, taken).await;
    play.held.borrow_mut().take();
}
