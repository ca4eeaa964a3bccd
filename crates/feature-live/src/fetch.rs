//! One page over plain HTTP.

use hyper::Uri;
use tokio::net::TcpStream;

use crate::error::Error;
use crate::http::{self, AnyError, limited};

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
    runtime.block_on(async { limited(get(url)).await }).map_err(failed)
}

async fn get(url: &str) -> Result<String, AnyError> {
    let uri: Uri = url.parse()?;
    if uri.scheme_str() != Some("http") {
        return Err("expected an address that begins with http://".into());
    }
    let stream = TcpStream::connect(http::host_and_port(&uri, 80)?).await?;
    let answer = http::get(stream, &uri, MAX_BYTES).await?;
    if answer.status.is_success() {
        Ok(answer.text)
    } else {
        Err(format!("status {}", answer.status).into())
    }
}
