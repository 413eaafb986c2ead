//! Connections: made when something is called, and made anew after one that was silent.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Uri, uri};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::call::{Call, Raw};
use crate::error::Error;
use crate::tls::{Stream, Tls};

/// Answers longer than this are refused: one of a thousand tablets has 300 kB.
const ANSWER_MOST: usize = 8 << 20;

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
        let address = || Error::Address(peer.to_owned());
        let uri = Uri::builder().scheme("http").authority(peer).path_and_query("/").build();
        let uri = uri.ok().filter(|uri| uri.port_u16().is_some()).ok_or_else(address)?;
        let channel = Mutex::new(self.channel(&uri));
        Ok(Link { peer: peer.to_owned(), uri, dialer: self.clone(), channel })
    }

    /// Has to be called within a runtime.
    fn channel(&self, uri: &Uri) -> Channel {
        let dialer = self.clone();
        let connector = tower::service_fn(move |uri: Uri| {
            let dialer = dialer.clone();
            async move { dialer.connect(&uri).await.map(TokioIo::new) }
        });
        Endpoint::from(uri.clone()).connect_with_connector_lazy(connector)
    }

    async fn connect(&self, uri: &Uri) -> io::Result<Stream> {
        let connecting = async {
            let authority = uri.authority().map(uri::Authority::as_str).unwrap_or_default();
            let stream = TcpStream::connect(authority).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => Ok(Stream::Plain(stream)),
                Some(tls) => tls.protect(stream, uri.host().unwrap_or_default()).await,
            }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        tokio::time::timeout(self.connect, connecting).await.map_err(late)?
    }
}

/// A way to one peer.
#[derive(Debug)]
pub struct Link {
    peer: String,
    uri: Uri,
    dialer: Dialer,
    channel: Mutex<Channel>,
}

impl Link {
    /// Who is there: `HOST:PORT`.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Calls, and waits for no longer than `within`.
    ///
    /// # Errors
    /// When nobody answers in time, the answer is no, or it cannot be read.
    pub async fn call<C: Call>(&self, request: &C, within: Duration) -> Result<C::Response, Error> {
        let bytes = Bytes::from(request.encode_to_vec());
        let answer = self.exchange(C::PATH, bytes, within).await?;
        let unreadable = |why: prost::DecodeError| Error::Unreadable {
            peer: self.peer.clone(),
            why: format!("{}: {why}", C::PATH),
        };
        C::Response::decode(answer).map_err(unreadable)
    }

    async fn exchange(&self, path: &'static str, bytes: Bytes, within: Duration) -> Result<Bytes, Error> {
        let channel = self.channel.lock().expect("no panic under the lock").clone();
        let mut client = Grpc::new(channel).max_decoding_message_size(ANSWER_MOST);
        let mut request = tonic::Request::new(bytes);
        // So that the peer, too, stops when nobody waits any more.
        request.set_timeout(within);
        let calling = async {
            client.ready().await.map_err(|error| tonic::Status::from_error(error.into()))?;
            client.unary(request, PathAndQuery::from_static(path), Raw).await
        };
        let error = match tokio::time::timeout(within, calling).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => Error::of(&self.peer, within, &status),
            Err(_) => Error::deadline(&self.peer, within),
        };
        if matches!(error, Error::Deadline { .. } | Error::Unreachable { .. }) {
            // A connection into the void answers nobody until the kernel gives it up; behind a
            // Service another one may lead to somebody who lives.
            *self.channel.lock().expect("no panic under the lock") = self.dialer.channel(&self.uri);
        }
        Err(error)
    }
}
