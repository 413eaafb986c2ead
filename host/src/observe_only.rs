//! What the host would do with the clusters that are there, without doing any of it.
//!
//! Owns the one look and its text. Reads by list and watch alone: nothing in here writes.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use kube::runtime::watcher;
use pilothouse_api::validate::FieldError;
use pilothouse_core::guard::{Rule, Verdict};
use pilothouse_core::pass::{self, Observe as _, Planned};
use pilothouse_policy::set::PolicySet;

use crate::actuate::Effects;
use crate::cache::{Cache, ClusterKey};
use crate::clock::Clock;
use crate::kinds::Kind;
use crate::pilot::{Judging, Pilot, author};
use crate::telemetry::Telemetry;
use crate::vitess::Vitess;
use crate::watch;

/// What is not read by then is not waited for: people wait.
const WITHIN: Duration = Duration::from_secs(60);

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Objects of a kind cannot be read.
    #[error("{kind}: {source}")]
    Watch {
        /// The kind.
        kind: &'static str,
        /// What the API server said.
        source: watcher::Error,
    },
    /// The API server did not give everything in time.
    #[error("not everything could be read within {} s", WITHIN.as_secs())]
    Slow,
    /// The watches ended before all was read.
    #[error("the watches ended")]
    Ended,
    /// A cluster cannot be seen whole.
    #[error("{cluster}: {source}")]
    Observe {
        /// Which one.
        cluster: ClusterKey,
        /// Why.
        source: crate::pilot::Error,
    },
}

/// What is looked at, and by whom it is judged.
pub struct Look {
    /// The way to the API server.
    pub client: Client,
    /// The policies that serve.
    pub policies: Arc<PolicySet>,
    /// The guard's rules.
    pub rules: Vec<Rule>,
    /// The host's clock.
    pub clock: Clock,
    /// Only clusters of this namespace; `None`: all.
    pub namespace: Option<String>,
    /// How the region judges.
    pub judging: Judging,
}

/// One cluster's plan.
#[derive(Debug)]
pub struct ClusterPlan {
    /// Which cluster.
    pub cluster: ClusterKey,
    /// What would be done, and what not.
    pub verdict: Verdict,
    /// Objects whose specs cannot be used, by name.
    pub invalid: Vec<(String, Vec<FieldError>)>,
}

/// Reads everything once, and plans for each cluster.
///
/// # Errors
/// See [`Error`]; the first one ends it.
pub async fn plans(look: &Look) -> Result<Vec<ClusterPlan>, Error> {
    let cache = Arc::new(Mutex::new(Cache::default()));
    let reading = fill(&cache, look);
    tokio::time::timeout(WITHIN, reading).await.map_err(|_| Error::Slow)??;
    let keys: Vec<ClusterKey> = {
        let cache = cache.lock().expect("no panic under the lock");
        let is_there = |key: &&ClusterKey| cache.has(key, Kind::VitessCluster, &key.name);
        cache.keys().filter(is_there).cloned().collect()
    };
    let effects = Effects {
        client: look.client.clone(),
        vitess: Vitess::Unknown,
        cache,
        clock: look.clock.clone(),
        telemetry: Telemetry::default(),
    };
    let mut plans = Vec::new();
    for cluster in keys {
        let pilot =
            Pilot::new(cluster.clone(), effects.clone(), Arc::clone(&look.policies), look.judging.clone());
        plans.push(plan(pilot, look).await.map_err(|source| Error::Observe { cluster, source })?);
    }
    Ok(plans)
}

/// Reads until everything has been seen once. What may pass is tried again by the watch itself.
async fn fill(cache: &Mutex<Cache>, look: &Look) -> Result<(), Error> {
    let mut changes = watch::all(&look.client, look.namespace.as_deref());
    loop {
        let (kind, change) = changes.next().await.ok_or(Error::Ended)?;
        match change {
            Ok(event) => {
                let mut cache = cache.lock().expect("no panic under the lock");
                cache.absorb(kind, event);
                if cache.is_synced() {
                    return Ok(());
                }
            }
            Err(source) if is_final(&source) => return Err(Error::Watch { kind: kind.as_str(), source }),
            Err(error) => tracing::warn!(kind = kind.as_str(), %error, "watch failed; it is tried again"),
        }
    }
}

/// Whether the server would say the same again.
fn is_final(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => matches!(status.code, 401 | 403 | 404),
        WatchError(status) => matches!(status.code, 401 | 403 | 404),
        _ => false,
    }
}

async fn plan(mut pilot: Pilot, look: &Look) -> Result<ClusterPlan, crate::pilot::Error> {
    let view = pilot.observe(look.clock.now()).await?;
    let Planned { verdict, .. } = pass::plan(&mut pilot, &view, &look.rules);
    Ok(ClusterPlan { cluster: pilot.key, verdict, invalid: pilot.invalid })
}

impl fmt::Display for ClusterPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (steps, refusals) = (self.verdict.admitted.steps(), &self.verdict.refusals);
        let mut lines = String::new();
        for step in steps {
            let _ =
                writeln!(lines, "  {} (by {}): {}", step.action, author(&step.author), step.reason.message);
        }
        for refusal in refusals {
            let _ = writeln!(lines, "  refused {}", refusal.step.action);
            let _ = writeln!(lines, "    {}: {}", refusal.rule, refusal.why);
        }
        for (object, errors) in &self.invalid {
            for error in errors {
                let _ = writeln!(lines, "  unusable {object}: {error}");
            }
        }
        writeln!(f, "{}: {} to do, {} refused", self.cluster, steps.len(), refusals.len())?;
        f.write_str(lines.trim_end())
    }
}
