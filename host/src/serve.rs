//! Serves the embedded API server on loopback: TLS, one bearer token, a kubeconfig.
//!
//! Owns certificates, the token check and the kubeconfig's text. Binds loopback
//! only. Must not know what is served.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pilothouse_sim::apiserver::ApiServer;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Why serving could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or may not be had.
    #[error("127.0.0.1:{port}: {source}")]
    Bind {
        /// The port asked for.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refuses the certificate.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The kubeconfig could not be written.
    #[error("kubeconfig {path}: {source}")]
    Kubeconfig {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A server that listens.
#[derive(Debug)]
pub struct Served {
    /// Where.
    pub address: SocketAddr,
    /// What kubectl needs to reach it: holds the token.
    pub kubeconfig: String,
}

/// Begins to serve on 127.0.0.1 (`port` 0: any free one), in the background until `stop`.
///
/// # Errors
/// See [`Error`].
pub async fn serve(api: ApiServer, port: u16, stop: CancellationToken) -> Result<Served, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|source| Error::Bind { port, source })?;
    let address = listener.local_addr().map_err(|source| Error::Bind { port, source })?;
    let key = rcgen::KeyPair::generate()?;
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = params.self_signed(&key)?;
    let acceptor = acceptor(&certificate, &key)?;
    let token = hex(&Sha256::digest(rcgen::KeyPair::generate()?.serialized_der()));
    let kubeconfig = kubeconfig(address, &certificate.pem(), &token);
    let expected = Arc::new(format!("Bearer {token}"));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            tokio::spawn(connection(
                stream,
                acceptor.clone(),
                api.clone(),
                Arc::clone(&expected),
                stop.clone(),
            ));
        }
    });
    Ok(Served { address, kubeconfig })
}

fn acceptor(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    api: ApiServer,
    expected: Arc<String>,
    stop: CancellationToken,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let service = api.service();
        let expected = Arc::clone(&expected);
        async move {
            let given = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
            if given.is_none_or(|given| !same(given, expected.as_bytes())) {
                return Ok(unauthorized());
            }
            service.oneshot(request).await.map(|response| response.map(Either::Left))
        }
    });
    tokio::select! {
        () = stop.cancelled() => {}
        served = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended badly");
            }
        }
    }
}

/// Compares in a time that does not depend on where they differ.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let differ = given.iter().zip(expected).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && differ == 0
}

fn unauthorized<B>() -> Response<Either<B, Full<Bytes>>> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
    });
    let mut response = Response::new(Either::Right(Full::from(body.to_string())));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn kubeconfig(address: SocketAddr, certificate: &str, token: &str) -> String {
    let value = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pilothouse-dev",
        "clusters": [{
            "name": "pilothouse-dev",
            "cluster": {
                "server": format!("https://{address}"),
                "certificate-authority-data": base64(certificate.as_bytes()),
            },
        }],
        "users": [{ "name": "pilothouse-dev", "user": { "token": token } }],
        "contexts": [{
            "name": "pilothouse-dev",
            "context": { "cluster": "pilothouse-dev", "user": "pilothouse-dev", "namespace": "default" },
        }],
    });
    serde_yaml_ng::to_string(&value).expect("a plain value has a YAML text")
}

/// Writes the kubeconfig so that only its owner can read it.
///
/// # Errors
/// When the file cannot be made.
pub fn write_kubeconfig(path: &Path, text: &str) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let fail = |source| Error::Kubeconfig { path: path.display().to_string(), source };
    let _ = std::fs::remove_file(path);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    // Kubernetes' own byte string is base64 in JSON.
    let text = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap_or_default();
    text.as_str().unwrap_or_default().to_owned()
}
