//! The gate that every write of a host passes: open while the host leads.
//!
//! Owns the moment until which that is sure. It stands in the client itself, so that no writer
//! can be forgotten, and looks at the clock for each request, so that a process that was stopped
//! for a while writes nothing when it wakes.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request};
use kube::client::Body;
use tokio::time::Instant;
use tower::BoxError;
use tower::filter::{FilterLayer, Predicate};

use crate::clock::Clock;

/// This host does not hold the Lease any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this host does not hold the Lease: it writes nothing")]
pub struct Closed;

/// Lets writes pass while the host leads; reads always.
#[derive(Debug, Clone)]
pub struct Gate {
    clock: Clock,
    deadline: Arc<Mutex<Option<Instant>>>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, deadline: Arc::default() }
    }

    /// What puts the gate before a client's way to the API server.
    #[must_use]
    pub fn layer(&self) -> FilterLayer<Self> {
        FilterLayer::new(self.clone())
    }

    /// The moment at which it closes by itself; `None` when it is closed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.filter(|deadline| self.clock.instant() < *deadline)
    }

    pub(super) fn open_until(&self, deadline: Instant) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    pub(super) fn close(&self) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Predicate<Request<Body>> for Gate {
    type Request = Request<Body>;

    fn check(&mut self, request: Request<Body>) -> Result<Request<Body>, BoxError> {
        if request.method() == Method::GET || self.deadline().is_some() {
            Ok(request)
        } else {
            Err(Closed.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn passes(gate: &Gate, method: Method) -> bool {
        let request = Request::builder().method(method).body(Body::empty()).expect("a request");
        gate.clone().check(request).is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn writes_pass_until_the_deadline_and_reads_always() {
        let gate = Gate::new(Clock::from_fn(|| 0));
        assert!(passes(&gate, Method::GET) && !passes(&gate, Method::PATCH), "closed at first");
        gate.open_until(gate.clock.instant() + Duration::from_secs(10));
        tokio::time::advance(Duration::from_millis(9_999)).await;
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(passes(&gate, method));
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!passes(&gate, method), "nobody closed it, but its time is over");
        }
        assert!(passes(&gate, Method::GET));
        gate.open_until(gate.clock.instant() + Duration::from_secs(10));
        gate.close();
        assert!(!passes(&gate, Method::PUT));
    }
}
