//! A peer that speaks gRPC, or does not: it answers by path, refuses, hangs, or breaks off.
//!
//! Owns the frames. What is answered is the test's to say.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What comes back.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A message.
    Message(Vec<u8>),
    /// A no, with gRPC's number of it.
    Refused(u32, String),
    /// Nothing, ever.
    Silence,
    /// One message after another, to one caller at a time, as long as somebody may send.
    Stream(Arc<Mutex<UnboundedReceiver<Vec<u8>>>>),
    /// The connection goes on, and the answer ends within a message.
    Half,
}

impl Reply {
    /// That message.
    #[must_use]
    pub fn of(message: &impl Message) -> Self {
        Self::Message(message.encode_to_vec())
    }
}

/// What is answered: by the call's path and the request's bytes.
pub type Answers = Arc<dyn Fn(&str, &Bytes) -> Reply + Send + Sync>;

/// A peer on loopback; it ends when it is dropped.
pub struct Peer {
    /// Where.
    pub at: SocketAddr,
    connections: Arc<AtomicUsize>,
    _life: JoinSet<Infallible>,
}

impl Peer {
    /// Begins to answer.
    ///
    /// # Errors
    /// When loopback cannot be listened on.
    pub async fn serve(answers: Answers) -> anyhow::Result<Self> {
        Self::begin(answers, None).await
    }

    /// Begins to answer those who speak TLS.
    ///
    /// # Errors
    /// When loopback cannot be listened on.
    pub async fn serve_tls(answers: Answers, config: ServerConfig) -> anyhow::Result<Self> {
        Self::begin(answers, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn begin(answers: Answers, tls: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (at, connections) = (listener.local_addr()?, Arc::<AtomicUsize>::default());
        let mut life = JoinSet::new();
        life.spawn(accept(listener, answers, tls, Arc::clone(&connections)));
        Ok(Self { at, connections, _life: life })
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn accept(
    listener: TcpListener,
    answers: Answers,
    tls: Option<TlsAcceptor>,
    connections: Arc<AtomicUsize>,
) -> Infallible {
    let mut all = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.fetch_add(1, Ordering::Relaxed);
        let (answers, tls) = (Arc::clone(&answers), tls.clone());
        all.spawn(async move {
            match tls {
                None => connection(stream, answers).await,
                Some(tls) => {
                    // One that we do not believe is told by the handshake.
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, answers).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, answers: Answers) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(call(request, respond, Arc::clone(&answers)));
    }
}

async fn call(request: Request<h2::RecvStream>, respond: SendResponse<Bytes>, answers: Answers) {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut asked = BytesMut::new();
    while let Some(Ok(part)) = body.data().await {
        asked.put(part);
    }
    // Before each message: whether it is compressed, and its length.
    let asked = asked.freeze().slice(5..);
    // A caller that has gone does not need the answer.
    let _ = answer(respond, answers(&path, &asked)).await;
}

async fn answer(mut respond: SendResponse<Bytes>, reply: Reply) -> Result<(), h2::Error> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
    match reply {
        Reply::Silence => std::future::pending().await,
        Reply::Refused(code, message) => {
            let mut head = head;
            head.headers_mut().extend(trailers(code, &message));
            respond.send_response(head, true).map(drop)
        }
        Reply::Message(message) => {
            let mut stream = respond.send_response(head, false)?;
            stream.send_data(framed(&message, message.len()), false)?;
            stream.send_trailers(trailers(0, ""))
        }
        Reply::Stream(messages) => {
            let mut stream = respond.send_response(head, false)?;
            let mut messages = messages.lock().await;
            while let Some(message) = messages.recv().await {
                stream.send_data(framed(&message, message.len()), false)?;
            }
            stream.send_trailers(trailers(0, ""))
        }
        Reply::Half => {
            let mut stream = respond.send_response(head, false)?;
            stream.send_data(framed(b"half", 8), true)
        }
    }
}

fn framed(message: &[u8], length: usize) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("a message of a test"));
    frame.put_slice(message);
    frame.freeze()
}

fn trailers(code: u32, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    trailers.insert("grpc-message", HeaderValue::from_str(message).expect("a header's text"));
    trailers
}
