//! One page over plain HTTP.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::Error;

const TIMEOUT: Duration = Duration::from_secs(10);

const MAX_BYTES: usize = 64 << 20;

/// The text at an `http://` address; a server behind TLS is not asked.
///
/// # Errors
///
/// [`Error::Fetch`] for anything but a page of text with status 200 within ten seconds.
pub fn fetch(url: &str) -> Result<String, Error> {
    let failed = |message: String| Error::Fetch { url: url.into(), message };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let limited = async { tokio::time::timeout(TIMEOUT, get(url)).await };
    match runtime.block_on(limited) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", TIMEOUT.as_secs()))),
    }
}

async fn get(url: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let uri: Uri = url.parse()?;
    if uri.scheme_str() != Some("http") {
        return Err("expected an address that begins with http://".into());
    }
    let authority = uri.authority().ok_or("the address names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await?;
        let text = String::from_utf8(body.to_bytes().into())?;
        if status.is_success() { Ok(text) } else { Err(format!("status {status}").into()) }
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
