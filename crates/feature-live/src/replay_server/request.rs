//! Requests: a snapshot, when there is one, and tick and lot size.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use market_io::OpenOptions;
use market_io::venue::VenueLines;
use tokio::net::TcpStream;

use super::{Play, Shared};

/// How long a client waits for the recording to come to a snapshot.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request.
pub(super) async fn serve(stream: TcpStream, shared: &Shared) {
    // The play whose stream waits for this answer to be read.
    let waiting = RefCell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let waiting = &waiting;
        async move { Ok::<_, Infallible>(answer(&request, shared, waiting).await) }
    });
    // It lasts until the client is gone, which has read the answer then: only now does the stream go on,
    // so that the answer stands in the client's recording where it stands in this one.
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(2 * PATIENCE, served).await;
    if let Some(play) = waiting.take() {
        play.held.borrow_mut().take();
        play.changed.notify_waiters();
    }
}

async fn answer(
    request: &Request<Incoming>,
    shared: &Shared,
    waiting: &RefCell<Option<Rc<Play>>>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    if let Some(symbol) = shared.clerk.sizes_requested(path) {
        return sizes(&symbol, shared);
    }
    let Some(symbol) = shared.clerk.requested(path) else {
        return page(StatusCode::NOT_FOUND, "{\"msg\":\"neither snapshot nor sizes\"}".into());
    };
    let play = shared.plays.borrow().get(&symbol).cloned();
    let Some(play) = play else {
        return page(StatusCode::NOT_FOUND, "{\"msg\":\"no stream of it was opened\"}".into());
    };
    match tokio::time::timeout(PATIENCE, snapshot(&symbol, &play)).await {
        Ok((text, is_held)) => {
            shared.counters.snapshots.add(1);
            *waiting.borrow_mut() = is_held.then_some(play);
            page(StatusCode::OK, text)
        }
        Err(_) => page(StatusCode::SERVICE_UNAVAILABLE, "{\"msg\":\"no book yet\"}".into()),
    }
}

/// The sizes that extraction finds in the recording.
fn sizes(symbol: &str, shared: &Shared) -> Response<Full<Bytes>> {
    let options = OpenOptions {
        inputs: shared.options.inputs.clone(),
        symbol: (!symbol.is_empty()).then(|| symbol.to_owned()),
        ..OpenOptions::default()
    };
    let Ok(source) = market_io::open(&options) else {
        return page(StatusCode::NOT_FOUND, "{\"msg\":\"not in the recording\"}".into());
    };
    let instrument = source.instrument();
    let answer = shared.clerk.sizes(&instrument.symbol, VenueLines::sizes(instrument));
    page(StatusCode::OK, answer.to_string())
}

/// A snapshot, and whether the stream waits for it.
async fn snapshot(symbol: &str, play: &Play) -> (String, bool) {
    loop {
        let changed = play.changed.notified();
        if let Some(held) = &*play.held.borrow() {
            return (held.clone(), true);
        }
        if let Some(text) = play.exchange.borrow().snapshot(symbol) {
            return (text, false);
        }
        changed.await;
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
