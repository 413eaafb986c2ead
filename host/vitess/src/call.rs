//! One call as gRPC carries it over HTTP/2: a path, a framed request, a framed answer, a status
//! (source: gRPC's "gRPC over HTTP2").

use std::marker::PhantomData;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{HeaderMap, Response, StatusCode};
use prost::Message;

use crate::error::Error;

/// Answers longer than this are not read: one of a thousand tablets has 300 kB.
const ANSWER_MOST: usize = 8 << 20;
/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A request, with where it goes and what answers it.
pub trait Call: Message {
    /// `/package.Service/Method`.
    const PATH: &'static str;
    /// What answers it.
    type Response: Message + Default;
}

/// A request that is answered again and again.
pub trait ServerStreaming: Message {
    /// `/package.Service/Method`.
    const PATH: &'static str;
    /// What answers it.
    type Response: Message + Default;
}

/// The messages of a stream, from when it was asked for.
pub(crate) struct Messages<M> {
    state: State,
    read: BytesMut,
    of: PhantomData<fn() -> M>,
}

enum State {
    Asked(ResponseFuture),
    Open(RecvStream),
}

impl<M: Message + Default> Messages<M> {
    pub(crate) fn asked(response: ResponseFuture) -> Self {
        Self { state: State::Asked(response), read: BytesMut::new(), of: PhantomData }
    }

    /// The next; `None` where the stream was refused, has ended, broke off, or what came is no message. Nothing is
    /// lost where this is dropped before.
    pub(crate) async fn next(&mut self) -> Option<M> {
        loop {
            if let Some(message) = take(&mut self.read).ok()? {
                return M::decode(message).ok();
            }
            match &mut self.state {
                State::Asked(response) => {
                    let open = response.await.ok().filter(|open| open.status() == StatusCode::OK)?;
                    self.state = State::Open(open.into_body());
                }
                State::Open(body) => {
                    let part = body.data().await?.ok()?;
                    body.flow_control().release_capacity(part.len()).ok()?;
                    self.read.extend_from_slice(&part);
                }
            }
        }
    }
}

/// Takes the first message off what was read; `None` where not all of it is there.
///
/// # Errors
/// When it is none that we read.
fn take(read: &mut BytesMut) -> Result<Option<Bytes>, String> {
    let Some(prefix) = read.first_chunk::<PREFIX>() else { return Ok(None) };
    let [0, length @ ..] = *prefix else { return Err("a compressed message".to_owned()) };
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > ANSWER_MOST {
        return Err(format!("a message of more than {ANSWER_MOST} bytes"));
    }
    let is_whole = read.len() >= PREFIX + length;
    Ok(is_whole.then(|| read.split_to(PREFIX + length).freeze().slice(PREFIX..)))
}

pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a request of ours is short"));
    frame.put_slice(message);
    frame.freeze()
}

/// Reads an answer to its end.
pub(crate) async fn answer(
    peer: &str,
    within: Duration,
    response: Response<RecvStream>,
) -> Result<Bytes, Error> {
    let broken = |error: h2::Error| Error::unreachable(peer, &error);
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(Error::unreadable(peer, format!("HTTP status {}", head.status)));
    }
    // Where there is no message, the head has the status.
    if let Some(code) = code(&head.headers).filter(|code| *code != 0) {
        return Err(Error::of(peer, within, code, message(&head.headers)));
    }
    let mut read = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(broken)?;
        body.flow_control().release_capacity(part.len()).map_err(broken)?;
        if read.len() + part.len() > ANSWER_MOST {
            return Err(Error::unreadable(peer, format!("an answer of more than {ANSWER_MOST} bytes")));
        }
        read.extend_from_slice(&part);
    }
    let trailers = body.trailers().await.map_err(broken)?.unwrap_or_default();
    match code(&trailers) {
        Some(0) => {}
        Some(code) => return Err(Error::of(peer, within, code, message(&trailers))),
        None => return Err(Error::unreadable(peer, "an answer without a status".to_owned())),
    }
    let message = take(&mut read).map_err(|why| Error::unreadable(peer, why))?;
    let message = message.filter(|_| read.is_empty());
    message.ok_or_else(|| Error::unreadable(peer, "not one whole message".to_owned()))
}

fn code(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What stands beside a status, percent-encoded.
fn message(headers: &HeaderMap) -> String {
    let text = headers.get("grpc-message").map_or(&[][..], |value| value.as_bytes());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%');
        let escaped = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        rest = if escaped.is_some() { &after[2..] } else { after };
        bytes.push(escaped.unwrap_or(first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_meant() {
        for (sent, meant) in [("plain", "plain"), ("caf%C3%A9%0A50%25", "café\n50%"), ("%zz%4", "%zz%4")] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-message", sent.parse().expect("a header"));
            assert_eq!(message(&headers), meant);
        }
    }

    #[test]
    fn a_message_is_taken_when_all_of_it_is_there() {
        let mut read = BytesMut::new();
        for &part in framed(b"first").iter().chain(&framed(b"")[..]) {
            assert_eq!(take(&mut read), Ok(None));
            read.put_u8(part);
            if read.len() == PREFIX + 5 {
                assert_eq!(take(&mut read), Ok(Some(Bytes::from_static(b"first"))));
            }
        }
        assert_eq!(take(&mut read), Ok(Some(Bytes::new())));
        assert_eq!(take(&mut BytesMut::from(&[1, 0, 0, 0, 0][..])), Err("a compressed message".to_owned()));
        let long = take(&mut BytesMut::from(&[0, 0xff, 0, 0, 0][..]));
        assert_eq!(long, Err("a message of more than 8388608 bytes".to_owned()));
    }
}
