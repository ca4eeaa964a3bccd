//! One request over a connection that was made for it.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, RETRY_AFTER};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection or an answer that has not come by then is given up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Any error, as text for a message.
pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) text: String,
}

/// Asks for a page. The connection is closed when the whole answer was taken and not before, by which a
/// server knows that it was.
pub(crate) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    uri: &Uri,
    max_bytes: usize,
) -> Result<Answer, AnyError> {
    let authority = uri.authority().ok_or("the address names no host")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = seconds.and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let body = Limited::new(response.into_body(), max_bytes).collect().await?;
        let text = String::from_utf8(body.to_bytes().into())?;
        Ok(Answer { status, retry_after, text })
    };
    // The connection makes progress only while it is polled.
    tokio::pin!(exchange);
    tokio::select! {
        done = &mut exchange => done,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.into()),
        },
    }
}

/// Work that has to be done in time, its error as text.
pub(crate) async fn limited<T>(
    work: impl Future<Output = Result<T, AnyError>>,
) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}

/// Host and port of an address, `[::1]` as `::1`.
pub(crate) fn host_and_port(uri: &Uri, default_port: u16) -> Result<(&str, u16), AnyError> {
    let authority = uri.authority().ok_or("the address names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    Ok((host, authority.port_u16().unwrap_or(default_port)))
}
