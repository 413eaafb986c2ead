//! What a pass means for whoever looks: status conditions as values.
//!
//! Owns the choice of conditions, their reasons and sentences. Must not know how
//! they are serialised, nor keep the times at which they changed.

use crate::pass::Report;
use crate::plan::{Outcome, Severity};
use crate::standing::serves;
use crate::view::{ClusterView, Reach, Role, ShardView, TabletView, VitessSource, Wanted};
use crate::zones::ZoneState;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whether every admitted step was done.
    Actuated,
    /// Whether every policy could do its work.
    PolicyHealthy,
    /// Whether every shard has a primary and every tablet of the spec serves.
    Ready,
    /// Whether the guard or a rule plugin refused something.
    Refused,
    /// Whether Vitess was asked.
    VitessObserved,
    /// Whether every zone is healthy.
    ZonesHealthy,
}

impl Kind {
    /// The condition's `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actuated => "Actuated",
            Self::PolicyHealthy => "PolicyHealthy",
            Self::Ready => "Ready",
            Self::Refused => "Refused",
            Self::VitessObserved => "VitessObserved",
            Self::ZonesHealthy => "ZonesHealthy",
        }
    }
}

/// A condition's `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can say.
    Unknown,
}

impl Status {
    /// The word that Kubernetes uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One condition; without a transition time, which whoever writes it keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What it is about.
    pub kind: Kind,
    /// Whether it holds.
    pub status: Status,
    /// CamelCase.
    pub reason: String,
    /// For a human.
    pub message: String,
}

/// Messages name so many things at most, and count the rest.
const NAMED: usize = 3;

/// The conditions of a pass, one of each kind, sorted by kind.
#[must_use]
pub fn conditions(report: &Report) -> Vec<Condition> {
    let mut all = vec![
        actuated(report),
        policy_healthy(report),
        ready(&report.view),
        refused(report),
        vitess_observed(&report.view),
        zones_healthy(&report.view),
    ];
    all.sort();
    all
}

fn condition(kind: Kind, status: Status, reason: &str, message: String) -> Condition {
    Condition { kind, status, reason: reason.to_owned(), message }
}

fn some_of(things: &[String]) -> String {
    let named = things.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = things.len().saturating_sub(NAMED);
    if more == 0 { named } else { format!("{named}; and {more} more") }
}

fn actuated(report: &Report) -> Condition {
    let failures: Vec<(String, String)> = report
        .outcomes
        .iter()
        .filter_map(|(step, outcome)| match outcome {
            // Overtaken is no failure: the world moved on, and the next pass looks again.
            Outcome::Done | Outcome::Overtaken { .. } => None,
            Outcome::Failed { code, message } => Some((code.clone(), format!("{}: {message}", step.action))),
            Outcome::InDoubt { message } => {
                Some(("InDoubt".to_owned(), format!("{}: {message}", step.action)))
            }
        })
        .collect();
    let Some((code, _)) = failures.first() else {
        return condition(Kind::Actuated, Status::True, "AllDone", "every admitted step was done".to_owned());
    };
    let texts: Vec<String> = failures.iter().map(|(_, text)| text.clone()).collect();
    condition(Kind::Actuated, Status::False, code, some_of(&texts))
}

fn policy_healthy(report: &Report) -> Condition {
    let errors: Vec<_> = report.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    let Some(first) = errors.first() else {
        let message = "every policy answered without an error".to_owned();
        return condition(Kind::PolicyHealthy, Status::True, "PoliciesAnswered", message);
    };
    let texts: Vec<String> = errors.iter().map(|d| d.message.clone()).collect();
    condition(Kind::PolicyHealthy, Status::False, &first.code, some_of(&texts))
}

fn refused(report: &Report) -> Condition {
    let Some(first) = report.refusals.first() else {
        return condition(Kind::Refused, Status::False, "NothingRefused", "no step was refused".to_owned());
    };
    let one = |r: &crate::plan::Refusal| format!("{}: {} ({})", r.step.action, r.why, r.rule);
    let texts: Vec<String> = report.refusals.iter().map(one).collect();
    condition(Kind::Refused, Status::True, first.why.code(), some_of(&texts))
}

fn vitess_observed(view: &ClusterView) -> Condition {
    let (status, reason, message) = match view.vitess {
        VitessSource::Unknown => {
            (Status::Unknown, "NoEvidence", "nothing is known of Vitess: no destructive step is taken")
        }
        VitessSource::Observed => (Status::True, "Observed", "tablets and topology were asked"),
        VitessSource::Played => (Status::True, "Played", "tablets and topology are played by a simulator"),
    };
    condition(Kind::VitessObserved, status, reason, message.to_owned())
}

fn zones_healthy(view: &ClusterView) -> Condition {
    let of = |state: ZoneState| -> Vec<String> {
        view.zones.iter().filter(|z| z.health.state == state).map(|z| z.name.to_string()).collect()
    };
    let worst = [
        (ZoneState::Lost, Status::False, "ZoneLost"),
        (ZoneState::Suspect, Status::False, "ZoneSuspect"),
        (ZoneState::Unknown, Status::Unknown, "ZoneUnknown"),
        (ZoneState::Recovering, Status::False, "ZoneRecovering"),
    ];
    for (state, status, reason) in worst {
        let zones = of(state);
        if !zones.is_empty() {
            return condition(Kind::ZonesHealthy, status, reason, some_of(&zones));
        }
    }
    condition(Kind::ZonesHealthy, Status::True, "AllHealthy", "every zone is healthy".to_owned())
}

fn ready(view: &ClusterView) -> Condition {
    let down: Vec<String> = view
        .tablets
        .iter()
        .filter(|t| t.wanted == Wanted::BySpec && !up(view, t))
        .map(|t| t.alias.to_string())
        .collect();
    if !down.is_empty() {
        return condition(Kind::Ready, Status::False, "TabletsDown", some_of(&down));
    }
    if view.vitess == VitessSource::Unknown {
        let message = "every Pod is ready, and nothing is known of Vitess".to_owned();
        return condition(Kind::Ready, Status::Unknown, "VitessUnknown", message);
    }
    let headless: Vec<String> =
        view.shards.iter().filter(|s| !has_primary(view, s)).map(|s| s.id.to_string()).collect();
    if !headless.is_empty() {
        return condition(Kind::Ready, Status::False, "NoPrimary", some_of(&headless));
    }
    let message = "every shard has a primary and every tablet serves".to_owned();
    condition(Kind::Ready, Status::True, "AllServe", message)
}

/// Without Vitess evidence the Pod's readiness is all there is.
fn up(view: &ClusterView, tablet: &TabletView) -> bool {
    match view.vitess {
        VitessSource::Unknown => tablet.ready,
        VitessSource::Observed | VitessSource::Played => serves(tablet),
    }
}

fn has_primary(view: &ClusterView, shard: &ShardView) -> bool {
    let primary = shard.primary.as_ref().and_then(|alias| view.tablet(alias));
    primary.is_some_and(|t| t.role == Role::Primary && t.reach == Reach::Yes)
}
