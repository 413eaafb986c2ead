//! Why a call did not come about.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};

/// A call that was not done, or of which that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{0:?} is no address: expected HOST:PORT")]
    Address(String),
    /// Nobody answers there, or the connection broke: whether anything was done is not known.
    #[error("{peer} cannot be reached: {why}")]
    Unreachable {
        /// Who was called.
        peer: String,
        /// One sentence.
        why: String,
    },
    /// No answer came in time: whether anything was done is not known.
    #[error("{peer} did not answer within {ms} ms")]
    Deadline {
        /// Who was called.
        peer: String,
        /// How long was waited.
        ms: u128,
    },
    /// It said no.
    #[error("{code}: {message}")]
    Refused {
        /// The gRPC code's name, CamelCase; `Refused` where there is no better one.
        code: String,
        /// What it said.
        message: String,
    },
    /// What came back is no answer: whether anything was done is not known.
    #[error("{peer} answered what cannot be read: {why}")]
    Unreadable {
        /// Who was called.
        peer: String,
        /// One sentence.
        why: String,
    },
}

impl Error {
    /// A refusal of ours, before or after the call.
    pub(crate) fn refused(code: &str, message: String) -> Self {
        Self::Refused { code: code.to_owned(), message }
    }

    pub(crate) fn deadline(peer: &str, within: Duration) -> Self {
        Self::Deadline { peer: peer.to_owned(), ms: within.as_millis() }
    }

    /// An answer of gRPC that is not OK.
    pub(crate) fn of(peer: &str, within: Duration, status: &Status) -> Self {
        let (peer, message) = (peer.to_owned(), status.message().to_owned());
        // Our own timer runs out as the peer's does.
        let ours = status.source().is_some();
        if status.code() == Code::DeadlineExceeded || (ours && status.code() == Code::Cancelled) {
            return Self::deadline(&peer, within);
        }
        // What the peer itself said has no cause of ours below it.
        if let Some(cause) = status.source() {
            return Self::Unreachable { peer, why: innermost(cause) };
        }
        match status.code() {
            Code::Unavailable => Self::Unreachable { peer, why: message },
            Code::Internal | Code::DataLoss => Self::Unreadable { peer, why: message },
            Code::Unknown => Self::refused("Refused", message),
            code => Self::refused(&format!("{code:?}"), message),
        }
    }
}

/// The first cause: those above it only say that there is one.
fn innermost(mut cause: &dyn std::error::Error) -> String {
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}
