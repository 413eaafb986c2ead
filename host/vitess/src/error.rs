//! Why a call did not come about.

use std::io;
use std::time::Duration;

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
    /// The machine is there, and no process listens: nothing was done.
    #[error("{peer}: nobody listens there")]
    Nobody {
        /// Who was called.
        peer: String,
    },
    /// No answer came in time: whether anything was done is not known.
    #[error("{peer} did not answer within {ms} ms")]
    Deadline {
        /// Who was called.
        peer: String,
        /// How long was waited.
        ms: u128,
    },
    /// It answers, and says that something it needs for it does not: whether anything was done is not known.
    #[error("{peer} lacks what it needs: {why}")]
    Unavailable {
        /// Who was called.
        peer: String,
        /// What it said.
        why: String,
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

    pub(crate) fn unreachable(peer: &str, cause: &dyn std::error::Error) -> Self {
        Self::Unreachable { peer: peer.to_owned(), why: innermost(cause) }
    }

    /// A connection that was not made.
    pub(crate) fn unconnected(peer: &str, cause: &io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::ConnectionRefused => Self::Nobody { peer: peer.to_owned() },
            _ => Self::unreachable(peer, cause),
        }
    }

    pub(crate) fn unreadable(peer: &str, why: String) -> Self {
        Self::Unreadable { peer: peer.to_owned(), why }
    }

    /// A status of gRPC that is not OK (source: gRPC's "Status codes and their use").
    pub(crate) fn of(peer: &str, within: Duration, code: u16, message: String) -> Self {
        let code = match code {
            1 => "Cancelled",
            3 => "InvalidArgument",
            4 => return Self::deadline(peer, within),
            5 => "NotFound",
            6 => "AlreadyExists",
            7 => "PermissionDenied",
            8 => "ResourceExhausted",
            9 => "FailedPrecondition",
            10 => "Aborted",
            11 => "OutOfRange",
            12 => "Unimplemented",
            13 | 15 => return Self::unreadable(peer, message),
            14 => return Self::Unavailable { peer: peer.to_owned(), why: message },
            16 => "Unauthenticated",
            // 2: whatever Vitess itself says has no other.
            _ => "Refused",
        };
        Self::refused(code, message)
    }
}

/// The first cause: those above it only say that there is one.
fn innermost(mut cause: &dyn std::error::Error) -> String {
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}
