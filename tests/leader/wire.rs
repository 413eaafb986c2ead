//! A host's way to the played API server, which can fail in ways that tempt it to act unled.
//!
//! Owns what happens to requests, and the record of what was written by whom while
//! the Lease named somebody else. Must not know the host.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::client::Body;
use pilothouse_sim::apiserver::kinds::LEASES;
use pilothouse_sim::apiserver::{ApiBody, ApiServer, ObjectKey};
use tokio::time::Instant;
use tower::util::BoxCloneService;
use tower::{BoxError, Service as _};

/// What the way does to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// All are answered.
    Fair,
    /// None is answered, nor arrives.
    Cut,
    /// Those about the Lease are refused, all others answered.
    LeaseRefused,
    /// Those about the Lease arrive, but their answers are lost; all others are answered.
    LeaseAnswersLost,
}

/// One write that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) at: Instant,
    pub(crate) host: &'static str,
    pub(crate) is_lease: bool,
}

/// What all hosts wrote, in order, and what they should not have.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) writes: Vec<Write>,
    pub(crate) unled: Vec<String>,
}

impl Record {
    /// When a host first (or last) wrote anything but the Lease.
    pub(crate) fn acts(&self, host: &str) -> impl DoubleEndedIterator<Item = Instant> {
        self.writes.iter().filter(move |w| w.host == host && !w.is_lease).map(|w| w.at)
    }

    pub(crate) fn renewals(&self, host: &str) -> impl DoubleEndedIterator<Item = Instant> {
        self.writes.iter().filter(move |w| w.host == host && w.is_lease).map(|w| w.at)
    }
}

/// One host's way to the API server.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) host: &'static str,
    pub(crate) api: ApiServer,
    pub(crate) record: Arc<Mutex<Record>>,
    pub(crate) weather: Arc<Mutex<Weather>>,
}

/// The Lease as it is stored: who holds it.
pub(crate) fn holder(api: &ApiServer) -> Option<String> {
    let lease = api.get(&ObjectKey::new(LEASES, "default", "pilothouse"))?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

impl Wire {
    pub(crate) fn new(host: &'static str, api: &ApiServer, record: &Arc<Mutex<Record>>) -> Self {
        let weather = Arc::new(Mutex::new(Weather::Fair));
        Self { host, api: api.clone(), record: Arc::clone(record), weather }
    }

    pub(crate) fn turns(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    pub(crate) fn service(&self) -> BoxCloneService<Request<Body>, Response<ApiBody>, BoxError> {
        let wire = self.clone();
        BoxCloneService::new(tower::service_fn(move |request| wire.clone().carry(request)))
    }

    async fn carry(self, request: Request<Body>) -> Result<Response<ApiBody>, BoxError> {
        let is_lease = request.uri().path().contains("/leases");
        let weather = *self.weather.lock().unwrap();
        match weather {
            Weather::Cut => return std::future::pending().await,
            Weather::LeaseRefused if is_lease => return Err("connection refused".into()),
            Weather::Fair | Weather::LeaseRefused | Weather::LeaseAnswersLost => {}
        }
        if request.method() != Method::GET {
            self.note(&request, is_lease);
        }
        let answer = self.api.service().call(request).await?;
        if weather == Weather::LeaseAnswersLost && is_lease {
            return std::future::pending().await;
        }
        Ok(answer)
    }

    fn note(&self, request: &Request<Body>, is_lease: bool) {
        let at = Instant::now();
        let mut record = self.record.lock().unwrap();
        record.writes.push(Write { at, host: self.host, is_lease });
        let holder = holder(&self.api);
        if !is_lease && holder.as_deref() != Some(self.host) {
            let (method, path) = (request.method(), request.uri().path());
            record.unled.push(format!("{} {method} {path} while {holder:?} holds the Lease", self.host));
        }
    }
}
