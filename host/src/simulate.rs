//! Whole hosts through bad days: the real controller on the embedded control
//! plane under a paused clock, with injected faults and checkers.
//!
//! Owns one seed's run: what is set up, when faults stop, what must hold at the
//! end. The same seed, mix and policies give the same trace byte for byte. The
//! checkers know the played world's truth and share no code with the guard.

mod bell;
mod draws;
mod effects;
mod layer;
mod mix;
mod request;
mod rest;
mod run;
mod sky;
mod watching;
mod weather;

use std::fmt;
use std::sync::Arc;

use pilothouse_policy::set::PolicySet;
pub use pilothouse_sim::checkers::Violation;
use serde_json::{Value, json};

pub use draws::Draws;
pub use mix::{Fault, Mix, NoSuchFault};

use crate::controller::{Controller, Parts};
use crate::embedded;
use crate::pilot::{Pilot, Stages};
use crate::settings::Settings;

/// Why a seed could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded control plane did not start, or refused the manifest.
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    /// There is no runtime.
    #[error("the runtime does not start: {0}")]
    Runtime(#[from] std::io::Error),
    /// Too short a day.
    #[error("hours: {0} is less than 3: the last ones are for coming to rest")]
    TooShort(u64),
}

/// What is asked of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Virtual hours.
    pub hours: u64,
    /// The faults.
    pub mix: Mix,
    /// What is asked of the host: one cluster in the namespace `default`.
    pub manifest: Vec<Value>,
    /// What people apply in the course of the day: milliseconds since its beginning, a manifest.
    pub edits: Vec<(u64, Vec<Value>)>,
    /// Whether the trace is kept.
    pub traced: bool,
}

/// What became of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// A line a request, effect, fault and change of the world, milliseconds since the
    /// beginning first; empty unless asked for.
    pub trace: String,
    /// In numbers.
    pub summary: Summary,
    /// What must never be, and was.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// The violations as lines: which, when, what.
    pub fn blamed(&self) -> impl Iterator<Item = String> {
        self.violations.iter().map(|v| {
            let ms = v.at - i64::try_from(run::EPOCH_MS).unwrap_or(0);
            let (minutes, seconds) = (ms / 60_000, ms % 60_000);
            let (h, m, s) = (minutes / 60, minutes % 60, seconds / 1_000);
            format!("{} at {h}:{m:02}:{s:02} ({ms} ms): {}", v.id, v.message)
        })
    }
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Faults that began.
    pub faults: u64,
    /// Times that the host was killed.
    pub kills: u64,
    /// Requests of the host.
    pub requests: u64,
    /// Writes among them.
    pub writes: u64,
    /// Reparents that Vitess began.
    pub reparents: u64,
    /// Transactions that clients were told are safe.
    pub acknowledged: u64,
    /// Servers that ended with transactions of their own: nobody may wipe them.
    pub errant: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, kills, requests, writes, reparents, acknowledged, errant } = self;
        write!(
            f,
            "{faults} faults, host killed {kills} times; {requests} requests, {writes} of them writes; \
             {reparents} reparents; {acknowledged} transactions acknowledged; {errant} errant servers"
        )
    }
}

/// The settings of simulated hosts: the defaults, with a backup four times a day, so
/// that a day has restores and proofs.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    if let Some(backup) = &mut settings.policies.backup {
        backup.config["every"] = serde_json::json!("6h");
    }
    settings
}

/// What simulated hosts are asked for: the example of three zones, with TLS at its gateways besides.
///
/// # Errors
/// When the example is no YAML: a defect.
pub fn manifest() -> Result<Vec<Value>, Error> {
    let mut documents = embedded::documents(include_str!("../../crds/examples/three-zones.yaml"))?;
    let file = |key: &str| json!({ "name": "harbour-tls", "key": key });
    for cell in documents[0]["spec"]["cells"].as_array_mut().into_iter().flatten() {
        cell["gateway"]["secureTransport"] = json!({
            "required": true,
            "tls": { "certSecret": file("tls.crt"), "keySecret": file("tls.key") },
        });
    }
    Ok(documents)
}

/// Runs one seed, with hosts as `host` makes them: [`Controller::new`], but in a test of the checkers.
///
/// # Errors
/// When it could not be run; what went wrong in it is in the verdict.
pub fn seed<W, S>(
    plan: &Plan,
    policies: Arc<PolicySet>,
    settings: &Settings,
    host: impl Fn(Parts) -> Controller<W> + Send + 'static,
) -> Result<Verdict, Error>
where
    W: Fn(Pilot) -> S + Send + 'static,
    S: Stages,
{
    if plan.hours < 3 {
        return Err(Error::TooShort(plan.hours));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(run::day(plan, policies, settings, host))
}

/// Runs with the host's logs in the trace, or nowhere: under thousands of faults they would say
/// nothing that a trace does not.
fn logged(sky: &Arc<sky::Sky>, traced: bool) -> tracing::subscriber::DefaultGuard {
    if traced {
        tracing::subscriber::set_default(effects::Effects(Arc::clone(sky)))
    } else {
        tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default())
    }
}
