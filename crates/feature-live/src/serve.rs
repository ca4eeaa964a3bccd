//! Metrics and the dashboard over HTTP, from a thread of their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full as Whole;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::dashboard::{Dashboard, PAGE};
use crate::error::Error;
use crate::metrics::Metrics;

const NAME: &str = "featureplane-http";

/// Connections at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 16;

/// A client that has not sent its request by then is let go.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Nothing but what came with the page itself, and its own state.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `/metrics`, `/health`, and with a dashboard `/` and `/state.json`, at an address; port 0
    /// takes any free one.
    ///
    /// # Errors
    ///
    /// [`Error::Serve`] when the address cannot be used, [`Error::Thread`].
    pub fn start(
        bind: SocketAddr,
        metrics: Metrics,
        dashboard: Option<Dashboard>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Serve { address: bind, source };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind(bind)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let body = move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                tokio::select! {
                    () = accept(listener, Arc::new(Served { metrics, dashboard })) => {}
                    // The other end going away means the same.
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name(NAME.into())
            .spawn(body)
            .map_err(|source| Error::Thread { name: NAME, source })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the exporter has ended nothing but the exporter.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What there is to ask for.
#[derive(Debug)]
struct Served {
    metrics: Metrics,
    dashboard: Option<Dashboard>,
}

async fn accept(listener: TcpListener, served: Arc<Served>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors are left, for one; trying again at once would take a whole core.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let served = Arc::clone(&served);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &served);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).keep_alive(false);
            // What a client does wrong is its own loss.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, served: &Served) -> Response<Whole<Bytes>> {
    let page = |status: StatusCode, kind: &'static str, text: String| {
        let mut response = Response::new(Whole::new(Bytes::from(text)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, kind),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    };
    let plain = "text/plain; charset=utf-8";
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, plain, "GET only\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match (request.uri().path(), &served.dashboard) {
        ("/metrics", _) => page(StatusCode::OK, OPEN_METRICS, served.metrics.text()),
        ("/health", _) => page(StatusCode::OK, plain, "ok\n".into()),
        ("/", Some(_)) => page(StatusCode::OK, "text/html; charset=utf-8", PAGE.into()),
        ("/state.json", Some(dashboard)) => {
            let state = dashboard.state(&served.metrics).to_string();
            page(StatusCode::OK, "application/json", state)
        }
        _ => page(StatusCode::NOT_FOUND, plain, "there are /metrics and /health\n".into()),
    }
}
