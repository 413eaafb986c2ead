//! The server as a tower service, for kube-rs in process or hyper on loopback.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::ApiServer;
use super::http::{Reply, refusal};
use super::status::Status;

/// The largest request body taken, as in the real server (bytes).
const MAX_BODY: usize = 3 * 1024 * 1024;

/// A tower service over an [`ApiServer`]; clones share the server.
#[derive(Clone)]
pub struct ApiService {
    server: ApiServer,
}

/// The body of an answer: whole, or the lines of a watch.
pub struct ApiBody {
    inner: Inner,
}

enum Inner {
    Whole(Option<Bytes>),
    Lines(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Body for ApiBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.inner {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Lines(lines) => {
                lines.as_mut().poll_next(context).map(|line| line.map(|line| Ok(Frame::data(line))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.inner, Inner::Whole(None))
    }
}

impl ApiService {
    pub(crate) fn new(server: ApiServer) -> Self {
        Self { server }
    }
}

fn whole(response: Response<Bytes>) -> Response<ApiBody> {
    response.map(|bytes| ApiBody { inner: Inner::Whole((!bytes.is_empty()).then_some(bytes)) })
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display,
{
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.server.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => {
                    let status =
                        Status::bad_request(format!("the request's body could not be read: {error}"));
                    return Ok(whole(refusal(&status)));
                }
            };
            if body.len() > MAX_BODY {
                return Ok(whole(refusal(&Status::too_large_body(MAX_BODY))));
            }
            Ok(match server.reply(&parts, &body) {
                Reply::Whole(response) => whole(response),
                Reply::Watch(response, watch) => {
                    let lines = Box::pin(watch.into_stream());
                    response.map(|()| ApiBody { inner: Inner::Lines(lines) })
                }
            })
        })
    }
}

impl ApiServer {
    /// The synchronous core: one request that is no watch.
    ///
    /// A watch is answered 400 here; it needs [`ApiServer::service`].
    pub fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        match self.reply(&parts, &body) {
            Reply::Whole(response) => response,
            Reply::Watch(..) => refusal(&Status::bad_request("a watch needs the streaming service")),
        }
    }
}
