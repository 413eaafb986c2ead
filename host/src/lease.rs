//! Leadership: of several hosts, the one that holds the Lease acts.
//!
//! Owns taking, renewing, losing and releasing one Lease. Must not know what a leader does.
//!
//! A holder that has not renewed for a while stops by itself, and before anybody may take the
//! Lease over; both sides measure on their own clocks, so these need not agree. What a host sent
//! before its deadline may still arrive after it: every step names what it expects to find.

mod candidate;
mod gate;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::telemetry::Telemetry;
pub use candidate::{Candidate, Error, LeaseSettings};
pub use gate::{Closed, Gate};

/// The Lease as one host sees it.
pub struct Lease {
    api: Api<Object>,
    candidate: Candidate,
    clock: Clock,
    telemetry: Telemetry,
    gate: Gate,
    /// As this host last wrote it; absent where somebody else may have written since.
    written: Option<Object>,
    /// When this host last took it: by this a host knows its own writes, also those of which it
    /// never heard. One of the same name that it does not know is another host's.
    since: Option<MicroTime>,
    /// The version last seen in other hands, and when that was new.
    seen: Option<(String, Instant)>,
}

/// Whose the Lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Us,
    Another,
}

/// Leads whenever the Lease allows it, until `stop`.
///
/// `lead` is spawned anew for each time; it ends by itself after `stop`, and is dropped where it
/// stands when the Lease is lost.
///
/// # Errors
/// When what leads panics.
pub async fn run<F>(
    mut lease: Lease,
    stop: CancellationToken,
    mut lead: impl FnMut() -> F,
) -> Result<(), JoinError>
where
    F: Future<Output = ()> + Send + 'static,
{
    while lease.acquire(&stop).await {
        // Ends with this future, should that be dropped.
        let mut work = JoinSet::new();
        work.spawn(lead());
        let ended = tokio::select! {
            biased;
            () = lease.hold() => None,
            ended = work.join_next() => ended,
        };
        if let Some(ended) = ended {
            lease.release().await;
            return ended;
        }
        lease.gate.close();
        work.shutdown().await;
        lease.telemetry.set_leading(false);
    }
    Ok(())
}

impl Lease {
    /// A Lease that nobody has looked at yet. `client` must not pass `gate`.
    #[must_use]
    pub fn new(client: Client, candidate: Candidate, clock: Clock, telemetry: Telemetry, gate: Gate) -> Self {
        let api = match &candidate.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::default_namespaced(client),
        };
        telemetry.set_leading(false);
        Self { api, candidate, clock, telemetry, gate, written: None, since: None, seen: None }
    }

    /// Waits until this host holds the Lease; `false` when `stop` comes first.
    async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        // Whoever stands by has nothing to list first.
        self.telemetry.set_ready(true);
        loop {
            // Not broken off by `stop`: what it may have taken has to be released.
            match timeout(self.patience(), self.attempt()).await {
                Ok(Ok(Holder::Us)) => break,
                Ok(Ok(Holder::Another)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be had; it is tried again"),
                Err(_) => tracing::warn!("the Lease cannot be had: no answer; it is tried again"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = sleep(self.candidate.retry) => {}
            }
        }
        self.telemetry.set_leading(true);
        tracing::info!(identity = self.candidate.identity, "this host leads");
        true
    }

    /// Renews until that is not possible any more.
    async fn hold(&mut self) {
        while let Some(deadline) = self.gate.deadline() {
            let next = (self.clock.instant() + self.candidate.retry).min(deadline);
            sleep_until(next).await;
            let patience = (self.clock.instant() + self.patience()).min(deadline);
            match timeout_at(patience, self.attempt()).await {
                Ok(Ok(Holder::Us)) => {}
                Ok(Ok(Holder::Another)) => {
                    tracing::warn!("the Lease is another host's: this one stops acting");
                    return;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the Lease is not renewed; it is tried again"),
                Err(_) => tracing::warn!("the Lease is not renewed: no answer; it is tried again"),
            }
        }
        tracing::warn!("the Lease could not be renewed in time: this host stops acting");
    }

    /// How long one answer is waited for: there is time for another try before the deadline.
    fn patience(&self) -> Duration {
        self.candidate.renew_within / 2
    }

    /// One try to take or to renew.
    async fn attempt(&mut self) -> Result<Holder, kube::Error> {
        let begun = self.clock.instant();
        let found = match self.written.take() {
            Some(written) => Some(written),
            None => self.api.get_opt(&self.candidate.name).await?,
        };
        let (name, params) = (self.candidate.name.clone(), PostParams::default());
        let answer = match found {
            None => {
                let new = self.taken(Object::default());
                self.api.create(&params, &new).await?
            }
            Some(found) if self.is_ours(&found) => {
                self.api.replace(&name, &params, &self.renewed(found)).await?
            }
            Some(found) if self.is_free(&found) => {
                let ours = self.taken(found);
                self.api.replace(&name, &params, &ours).await?
            }
            Some(_) => return Ok(Holder::Another),
        };
        self.written = Some(answer);
        self.gate.open_until(begun + self.candidate.renew_within);
        Ok(Holder::Us)
    }

    fn is_ours(&self, found: &Object) -> bool {
        let spec = found.spec.as_ref();
        self.since.is_some()
            && spec.is_some_and(|s| {
                s.holder_identity.as_ref() == Some(&self.candidate.identity) && s.acquire_time == self.since
            })
    }

    /// Whether nobody holds it, or its holder gave no sign for as long as it promised to.
    fn is_free(&mut self, found: &Object) -> bool {
        let spec = found.spec.clone().unwrap_or_default();
        if spec.holder_identity.is_none_or(|holder| holder.is_empty()) {
            return true;
        }
        let promised = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
        let promised = promised.map_or(self.candidate.duration, Duration::from_secs);
        let version = found.metadata.resource_version.clone().unwrap_or_default();
        let now = self.clock.instant();
        match &self.seen {
            Some((known, since)) if *known == version => now >= *since + promised,
            _ => {
                self.seen = Some((version, now));
                false
            }
        }
    }

    fn taken(&mut self, mut found: Object) -> Object {
        let transitions = found.spec.as_ref().map(|s| s.lease_transitions.unwrap_or(0) + 1);
        self.since = Some(self.now());
        found.metadata.name = Some(self.candidate.name.clone());
        found.spec = Some(LeaseSpec {
            holder_identity: Some(self.candidate.identity.clone()),
            lease_duration_seconds: i32::try_from(self.candidate.duration.as_secs()).ok(),
            acquire_time: self.since.clone(),
            renew_time: self.since.clone(),
            lease_transitions: Some(transitions.unwrap_or(0)),
            ..LeaseSpec::default()
        });
        found
    }

    fn renewed(&self, mut found: Object) -> Object {
        found.spec.get_or_insert_default().renew_time = Some(self.now());
        found
    }

    /// Gives it back, so that another host need not wait; a host that cannot leaves it to run out.
    async fn release(&mut self) {
        self.gate.close();
        self.telemetry.set_leading(false);
        match timeout(self.patience(), self.give_back()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lease is not released; it runs out"),
            Err(_) => tracing::warn!("the Lease is not released: no answer; it runs out"),
        }
    }

    async fn give_back(&mut self) -> Result<(), kube::Error> {
        let found = match self.written.take() {
            Some(written) => Some(written),
            None => self.api.get_opt(&self.candidate.name).await?,
        };
        if let Some(found) = found.filter(|found| self.is_ours(found)) {
            let mut released = self.renewed(found);
            released.spec.get_or_insert_default().holder_identity = None;
            self.api.replace(&self.candidate.name, &PostParams::default(), &released).await?;
        }
        Ok(())
    }

    fn now(&self) -> MicroTime {
        let now = i64::try_from(self.clock.now()).unwrap_or(0);
        MicroTime(Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}
