//! One call as gRPC carries it over HTTP/2: a path, a framed request, a framed answer, a status
//! (source: gRPC's "gRPC over HTTP2").

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
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

/// The messages of a stream.
pub(crate) struct Messages {
    body: RecvStream,
    read: BytesMut,
}

impl Messages {
    pub(crate) fn of(body: RecvStream) -> Self {
        Self { body, read: BytesMut::new() }
    }

    /// The next; `None` where the stream has ended, broke off, or what came is no message. Nothing is lost where this
    /// is dropped before.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(prefix) = self.read.first_chunk::<PREFIX>() {
                let [0, length @ ..] = *prefix else { return None };
                let whole = PREFIX + usize::try_from(u32::from_be_bytes(length)).ok()?;
                if whole > ANSWER_MOST {
                    return None;
                }
                if self.read.len() >= whole {
                    return Some(self.read.split_to(whole).freeze().slice(PREFIX..));
                }
            }
            let part = self.body.data().await?.ok()?;
            self.body.flow_control().release_capacity(part.len()).ok()?;
            self.read.extend_from_slice(&part);
        }
    }
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
        Some(0) => {
            unframed(read.freeze()).ok_or_else(|| Error::unreadable(peer, "half a message".to_owned()))
        }
        Some(code) => Err(Error::of(peer, within, code, message(&trailers))),
        None => Err(Error::unreadable(peer, "an answer without a status".to_owned())),
    }
}

/// `None` unless it is one whole message that is not compressed.
fn unframed(mut frame: Bytes) -> Option<Bytes> {
    let is_plain = frame.len() >= PREFIX && frame.get_u8() == 0;
    let length = is_plain.then(|| frame.get_u32())?;
    (usize::try_from(length) == Ok(frame.len())).then_some(frame)
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
    fn a_frame_is_one_whole_message() {
        assert_eq!(unframed(framed(b"whole")), Some(Bytes::from_static(b"whole")));
        assert_eq!(unframed(framed(b"whole").slice(..7)), None);
        assert_eq!(unframed(Bytes::from_static(&[1, 0, 0, 0, 0])), None, "compressed");
        assert_eq!(unframed(Bytes::new()), None);
    }
}
