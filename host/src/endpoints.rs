//! The host's own HTTP endpoints: metrics and health, plain HTTP, read only.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Telemetry;

/// Binds, then serves in the background until `stop`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    at: SocketAddr,
    telemetry: Telemetry,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(at).await?;
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let telemetry = telemetry.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&telemetry, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    served = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {
                        if let Err(error) = served {
                            tracing::debug!(%error, "a connection to the endpoints ended badly");
                        }
                    }
                }
            });
        }
    });
    Ok(bound)
}

fn answer(telemetry: &Telemetry, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = if request.method() == Method::GET {
        telemetry.answer(request.uri().path())
    } else {
        (405, "only GET is served here\n".to_owned())
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, text);
    response
}
