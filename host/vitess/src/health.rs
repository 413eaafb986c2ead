//! A tablet's own word of its health, which comes without being asked for.
//!
//! Owns the stream. It only tells when to look: what is so is a probe's to tell.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Sleep;

use crate::call::Messages;
use crate::link::Link;
use crate::wire::query::{StreamHealthRequest, StreamHealthResponse};

/// A tablet that ended its stream, or has none, is asked for another after that.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What one tablet says of its health; nothing at first.
#[derive(Default)]
pub struct Health {
    stream: Stream,
    said: Option<StreamHealthResponse>,
}

#[derive(Default)]
enum Stream {
    #[default]
    Closed,
    Open(Messages<StreamHealthResponse>),
    Refused(Pin<Box<Sleep>>),
}

impl Stream {
    fn refused() -> Self {
        Self::Refused(Box::pin(tokio::time::sleep(ASKED_AGAIN_AFTER)))
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    pub(crate) async fn changed(&mut self, link: &Link) {
        loop {
            match &mut self.stream {
                Stream::Closed => match link.begin(&StreamHealthRequest {}).await {
                    Some(messages) => self.stream = Stream::Open(messages),
                    None => std::future::pending().await,
                },
                Stream::Open(messages) => match messages.next().await {
                    Some(says) => {
                        if self.says_another(says) {
                            return;
                        }
                    }
                    None => self.stream = Stream::refused(),
                },
                Stream::Refused(until) => {
                    until.await;
                    self.stream = Stream::Closed;
                }
            }
        }
    }

    /// The first word is no change.
    fn says_another(&mut self, says: StreamHealthResponse) -> bool {
        let differs = self.said.as_ref().is_some_and(|said| *said != says);
        self.said = Some(says);
        differs
    }
}
