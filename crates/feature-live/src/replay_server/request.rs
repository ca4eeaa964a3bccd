//! Requests: a snapshot, when there is one, and tick and lot size.

use std::cell::Cell;
use std::convert::Infallible;
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

use super::Shared;

/// How long a client waits for the recording to come to a snapshot.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request.
pub(super) async fn serve(stream: TcpStream, shared: &Shared) {
    // Whether the answer was the one that the stream waits for.
    let was_held = Cell::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        let was_held = &was_held;
        async move { Ok::<_, Infallible>(answer(&request, shared, was_held).await) }
    });
    // It lasts until the client is gone, which has read the answer then: only now does the stream go on,
    // so that the answer stands in the client's recording where it stands in this one.
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(2 * PATIENCE, served).await;
    if was_held.get() {
        shared.held.borrow_mut().take();
        shared.changed.notify_waiters();
    }
}

async fn answer(
    request: &Request<Incoming>,
    shared: &Shared,
    was_held: &Cell<bool>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let of_sizes = shared.exchange.borrow().sizes_requested(path);
    if let Some(symbol) = of_sizes {
        return sizes(&symbol, shared);
    }
    let Some(symbol) = shared.exchange.borrow().requested(path) else {
        return page(StatusCode::NOT_FOUND, "{\"msg\":\"neither snapshot nor sizes\"}".into());
    };
    let found = tokio::time::timeout(PATIENCE, snapshot(&symbol, shared, was_held)).await;
    match found {
        Ok(text) => {
            shared.counters.snapshots.add(1);
            page(StatusCode::OK, text)
        }
        Err(_) => page(StatusCode::SERVICE_UNAVAILABLE, "{\"msg\":\"no book yet\"}".into()),
    }
}

/// The sizes that extraction finds in the recording.
fn sizes(symbol: &str, shared: &Shared) -> Response<Full<Bytes>> {
    let options = OpenOptions {
        inputs: shared.inputs.clone(),
        symbol: (!symbol.is_empty()).then(|| symbol.to_owned()),
        ..OpenOptions::default()
    };
    let Ok(source) = market_io::open(&options) else {
        return page(StatusCode::NOT_FOUND, "{\"msg\":\"not in the recording\"}".into());
    };
    let instrument = source.instrument();
    let answer = shared.exchange.borrow().sizes(&instrument.symbol, VenueLines::sizes(instrument));
    page(StatusCode::OK, answer.to_string())
}

async fn snapshot(symbol: &str, shared: &Shared, was_held: &Cell<bool>) -> String {
    loop {
        let changed = shared.changed.notified();
        if let Some((held, text)) = &*shared.held.borrow()
            && held == symbol
        {
            was_held.set(true);
            return text.clone();
        }
        if let Some(text) = shared.exchange.borrow().snapshot(symbol) {
            return text;
        }
        changed.await;
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
