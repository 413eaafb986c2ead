//! TLS, mutual if a certificate of ours is given.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A text holds no certificate, or no key.
    #[error("{what}: {why}")]
    Pem {
        /// Which of those given.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The name is none.
    #[error("server name {0:?} is neither a DNS name nor an IP address")]
    Name(String),
    /// They do not fit each other.
    #[error("certificate and key: {0}")]
    Pair(String),
}

/// Whom we believe, and who we are.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Believes those that `authorities` signed and that are called `name` (without one: as they
    /// were dialled), and shows `identity`: certificate and key. All PEM.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn new(
        authorities: &[u8],
        identity: Option<(&[u8], &[u8])>,
        name: Option<&str>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates("authorities", authorities)? {
            roots.add(authority).map_err(|why| pem("authorities", &why))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| TlsError::Pair(why.to_string()))?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| pem("key", &why))?;
                builder
                    .with_client_auth_cert(certificates("certificate", certificate)?, key)
                    .map_err(|why| TlsError::Pair(why.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = name.map(server_name).transpose().map_err(TlsError::Name)?;
        Ok(Self { config: Arc::new(config), name })
    }

    pub(crate) async fn protect(&self, stream: TcpStream, host: &str) -> io::Result<Stream> {
        let dialled = || server_name(host.trim_matches(['[', ']'])).map_err(io::Error::other);
        let name = self.name.clone().map_or_else(dialled, Ok)?;
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

fn pem(what: &'static str, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::Pem { what, why: why.to_string() }
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let all = all.map_err(|why| pem(what, &why))?;
    if all.is_empty() { Err(pem(what, &"there is no certificate in it")) } else { Ok(all) }
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| name.to_owned())
}

/// A connection, protected or not.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
