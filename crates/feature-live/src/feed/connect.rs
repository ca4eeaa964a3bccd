//! Connections: TCP, TLS where the address asks for it, then the websocket or one request.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use market_io::venue::MAX_LINE_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::Error;
use crate::http::{self, Answer, AnyError, limited};

/// How long a venue that limits requests is left alone when it does not say.
const LIMITED: Duration = Duration::from_secs(60);

/// A stream of bytes, with or without TLS.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Bytes>>;

/// A snapshot that did not come.
#[derive(Debug)]
pub(super) struct NoSnapshot {
    pub(super) message: String,
    /// How long not to ask again.
    pub(super) wait: Duration,
}

/// TLS with the root certificates of Mozilla's list.
pub(super) fn tls() -> Result<TlsConnector, Error> {
    tls_with(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

fn tls_with(roots: RootCertStore) -> Result<TlsConnector, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Connect { message: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Opens a websocket.
pub(super) async fn websocket(url: &str, tls: &TlsConnector) -> Result<Socket, String> {
    let open = async {
        let stream = stream(&url.parse()?, tls).await?;
        let mut limits = WebSocketConfig::default();
        limits.max_message_size = Some(MAX_LINE_BYTES);
        limits.max_frame_size = Some(MAX_LINE_BYTES);
        let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(limits)).await?;
        Ok::<_, AnyError>(opened.0)
    };
    limited(open).await
}

/// Asks for a snapshot.
pub(super) async fn snapshot(url: String, tls: TlsConnector) -> Result<String, NoSnapshot> {
    // The line has a time before it.
    match page(&url, &tls, MAX_LINE_BYTES - 64).await {
        Ok(answer) if answer.status.is_success() => Ok(answer.text),
        Ok(answer) => {
            let is_limited = matches!(answer.status.as_u16(), 418 | 429);
            let asked = answer.retry_after.unwrap_or(LIMITED);
            let wait = if is_limited { asked } else { Duration::ZERO };
            Err(NoSnapshot { message: format!("{url}: status {}", answer.status), wait })
        }
        Err(message) => {
            Err(NoSnapshot { message: format!("{url}: {message}"), wait: Duration::ZERO })
        }
    }
}

/// Asks for a page.
pub(super) async fn page(
    url: &str,
    tls: &TlsConnector,
    max_bytes: usize,
) -> Result<Answer, String> {
    let ask = async {
        let uri: Uri = url.parse()?;
        http::get(stream(&uri, tls).await?, &uri, max_bytes).await
    };
    limited(ask).await
}

async fn stream(uri: &Uri, tls: &TlsConnector) -> Result<Box<dyn Bytes>, AnyError> {
    let is_secure = matches!(uri.scheme_str(), Some("wss" | "https"));
    let (host, port) = http::host_and_port(uri, if is_secure { 443 } else { 80 })?;
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    if !is_secure {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(host.to_owned())?;
    Ok(Box::new(tls.connect(name, tcp).await?))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    const AUTHORITY: &[u8] = include_bytes!("../../tests/tls/ca.pem");
    const CERTIFICATE: &[u8] = include_bytes!("../../tests/tls/server.pem");
    const KEY: &[u8] = include_bytes!("../../tests/tls/server.key");

    fn acceptor() -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What a client gets from a server on this machine that has a certificate for `localhost`.
    fn connected(host: &str, client: &TlsConnector) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("wss://{host}:{}/", listener.local_addr().unwrap().port());
            let server = async {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor().accept(stream).await {
                    let _ = tokio_tungstenite::accept_async(stream).await;
                }
            };
            let (opened, ()) = tokio::join!(websocket(&url, client), server);
            opened.map(|_| ())
        })
    }

    #[test]
    fn a_venue_that_nobody_vouches_for_is_refused() {
        let error = connected("localhost", &tls().unwrap()).unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{error}");
    }

    #[test]
    fn a_venue_is_who_its_certificate_names() {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(AUTHORITY).unwrap()).unwrap();
        let client = tls_with(roots).unwrap();
        assert_eq!(connected("localhost", &client), Ok(()));
        let error = connected("127.0.0.1", &client).unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }
}
