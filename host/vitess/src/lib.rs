//! The way to Vitess: the calls of vtctld and of tablets that are used, in the words of the core.
//!
//! Owns connections, deadlines and the reading of what comes over the wire. Must not know
//! Kubernetes, nor why anything is called.

mod call;
mod error;
mod health;
mod link;
mod read;
mod records;
mod reparent;
mod restored;
mod tablet;
mod tls;
mod vtctld;

pub use call::{Call, ServerStreaming};
pub use error::Error;
pub use health::Health;
pub use link::{Dialer, Link};
pub use restored::{Restored, restored};
pub use tablet::{Answer, Source, Status, Tablet};
pub use tls::{Tls, TlsError};
pub use vtctld::{BackupRecord, KeyspaceRecord, ShardRecord, TabletRecord, Vtctld, Within};

/// Messages as they are on the wire: our own declarations of what is used of Vitess's.
pub mod wire {
    #![expect(missing_docs, clippy::all, reason = "made from the .proto files")]

    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
}
