//! Connections: made when something is called, and made anew after one that was silent.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Uri, request, uri};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::call::{Call, Messages, ServerStreaming, answer, framed};
use crate::error::Error;
use crate::tls::{Stream, Tls};

/// How much may be under way to us: more than any answer but of very large clusters.
const WINDOW: u32 = 1 << 20;

/// How connections are made.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// The longest that making one may take.
    pub connect: Duration,
    /// What they are protected by, if by anything.
    pub tls: Option<Tls>,
}

impl Dialer {
    /// A way to `HOST:PORT`. Nothing is sent yet.
    ///
    /// # Errors
    /// When it is no address.
    pub fn link(&self, peer: &str) -> Result<Link, Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(peer).path_and_query("/").build();
        let uri = uri.ok().filter(|uri| uri.port_u16().is_some());
        let uri = uri.ok_or_else(|| Error::Address(peer.to_owned()))?;
        Ok(Link {
            peer: peer.to_owned(),
            uri,
            dialer: self.clone(),
            connection: Mutex::default(),
            ended: Arc::default(),
        })
    }

    async fn connect(&self, peer: &str, host: &str, ended: Arc<Notify>) -> io::Result<SendRequest<Bytes>> {
        let connecting = async {
            let stream = TcpStream::connect(peer).await?;
            stream.set_nodelay(true)?;
            let stream = match &self.tls {
                None => Stream::Plain(stream),
                Some(tls) => tls.protect(stream, host).await?,
            };
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).enable_push(false);
            let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
            // It ends with the last that may send on it, or when the peer ends it: either is told there.
            tokio::spawn(async move {
                drop(connection.await);
                ended.notify_one();
            });
            Ok(sender)
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        tokio::time::timeout(self.connect, connecting).await.map_err(late)?
    }
}

/// A way to one peer.
pub struct Link {
    peer: String,
    uri: Uri,
    dialer: Dialer,
    connection: Mutex<Option<SendRequest<Bytes>>>,
    /// Rung when a connection is none any more.
    ended: Arc<Notify>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Link {
    /// Who is there: `HOST:PORT`.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Returns when a connection has ended since the last time: whoever is there may have died.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Calls, and waits for no longer than `within`.
    ///
    /// # Errors
    /// When nobody answers in time, the answer is no, or it cannot be read.
    pub async fn call<C: Call>(&self, request: &C, within: Duration) -> Result<C::Response, Error> {
        let answer = self.exchange(C::PATH, &request.encode_to_vec(), within).await?;
        C::Response::decode(answer)
            .map_err(|why| Error::unreadable(&self.peer, format!("{}: {why}", C::PATH)))
    }

    /// Asks for a stream, on the connection that somebody has called over; `None` where there is none.
    pub(crate) async fn begin<C: ServerStreaming>(&self, request: &C) -> Option<Messages<C::Response>> {
        let known = self.connection.lock().expect("no panic under the lock").clone()?;
        let mut sender = known.ready().await.ok()?;
        let head = self.head(C::PATH).body(()).expect("headers of ours");
        let (response, mut body) = sender.send_request(head, false).ok()?;
        body.send_data(framed(&request.encode_to_vec()), true).ok()?;
        Some(Messages::asked(response))
    }

    async fn exchange(&self, path: &'static str, message: &[u8], within: Duration) -> Result<Bytes, Error> {
        let sent = async {
            tokio::select! {
                answer = self.send(path, message, within) => answer,
                never = self.doubt() => match never {},
            }
        };
        let called = tokio::time::timeout(within, sent).await;
        let called = called.unwrap_or_else(|_| Err(Error::deadline(&self.peer, within)));
        if let Err(Error::Deadline { .. } | Error::Unreachable { .. }) = &called {
            // A connection into the void answers nobody until the kernel gives it up; behind a
            // Service another one may lead to somebody who lives.
            *self.connection.lock().expect("no panic under the lock") = None;
        }
        called
    }

    /// After as long as making a connection may take, whoever calls next takes one of its own: a call that
    /// may last must not wait with one that nobody hears.
    async fn doubt(&self) -> Infallible {
        tokio::time::sleep(self.dialer.connect).await;
        *self.connection.lock().expect("no panic under the lock") = None;
        std::future::pending().await
    }

    async fn send(&self, path: &'static str, message: &[u8], within: Duration) -> Result<Bytes, Error> {
        let broken = |error: h2::Error| Error::unreachable(&self.peer, &error);
        let mut sender = self.sender().await?;
        // So that the peer, too, stops when nobody waits any more.
        let request = self.head(path).header("grpc-timeout", format!("{}m", within.as_millis()));
        let request = request.body(()).expect("headers of ours");
        let (response, mut body) = sender.send_request(request, false).map_err(broken)?;
        body.send_data(framed(message), true).map_err(broken)?;
        answer(&self.peer, within, response.await.map_err(broken)?).await
    }

    fn head(&self, path: &'static str) -> request::Builder {
        let mut to = self.uri.clone().into_parts();
        to.path_and_query = Some(uri::PathAndQuery::from_static(path));
        Request::post(Uri::from_parts(to).expect("a path beside an authority"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    }

    /// One that can be sent on: as it is, or, where it is none any more, a new one.
    async fn sender(&self) -> Result<SendRequest<Bytes>, Error> {
        let known = self.connection.lock().expect("no panic under the lock").clone();
        if let Some(known) = known
            && let Ok(ready) = known.ready().await
        {
            return Ok(ready);
        }
        let host = self.uri.host().unwrap_or_default();
        let made = self.dialer.connect(&self.peer, host, Arc::clone(&self.ended)).await;
        let made = made.map_err(|error| Error::unconnected(&self.peer, &error))?;
        let made = made.ready().await.map_err(|error| Error::unreachable(&self.peer, &error))?;
        *self.connection.lock().expect("no panic under the lock") = Some(made.clone());
        Ok(made)
    }
}
