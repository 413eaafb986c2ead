//! Kubernetes events: what was done, what failed, what was refused, once each.
//!
//! Owns the words. A thing that repeats pass after pass is told when it begins
//! and not again until it has stopped. Losing an event loses nothing else.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, PostParams};
use pilothouse_core::action::{Action, Change, ObjectRef};
use pilothouse_core::pass::Report;
use pilothouse_core::plan::{Author, Outcome, Step};
use pilothouse_core::{levels, loss, records, rollout, turndown, volumes};
use sha2::{Digest, Sha256};

use crate::pilot::{Pilot, author};

/// The most events that one pass sends.
const MOST_A_PASS: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    warning: bool,
    reason: String,
    message: String,
}

/// Sends what is new; answers what is being said now, for the next pass to compare.
pub(crate) async fn emit(pilot: &Pilot, report: &Report, before: &BTreeSet<String>) -> BTreeSet<String> {
    let mut now = BTreeSet::new();
    let mut sent = 0;
    for said in collect(report) {
        let key = format!("{}: {}", said.reason, said.message);
        let is_new = !before.contains(&key) && now.insert(key.clone());
        now.insert(key);
        if is_new && sent < MOST_A_PASS {
            sent += 1;
            send(pilot, report, &said).await;
        }
    }
    now
}

/// What this pass did, and what stands.
fn collect(report: &Report) -> Vec<Said> {
    let mut all = routine(report);
    all.extend(outcomes(report));
    for refusal in &report.refusals {
        all.push(Said {
            warning: true,
            reason: "Refused".to_owned(),
            message: format!("{}: {} ({})", refusal.step.action, refusal.why, refusal.rule),
        });
    }
    for (tablet, count) in loss::errant(&report.view) {
        let message = loss::of_errant(&report.view, tablet, count);
        all.push(Said { warning: true, reason: "ErrantTransactions".to_owned(), message });
    }
    for (shard, pause) in rollout::pauses(&report.view) {
        let message = format!("{shard}: {pause}");
        all.push(Said { warning: false, reason: pause.as_str().to_owned(), message });
    }
    for (unwanted, kept) in levels::orphans(&report.view) {
        let message = format!("{}: {}: {kept}", unwanted.object, kept.as_str());
        all.push(Said { warning: true, reason: "TurndownBlocked".to_owned(), message });
    }
    for (record, held) in records::unneeded(&report.view) {
        if let Some(held) = held {
            let message = format!("{record}: {held}");
            all.push(Said { warning: false, reason: "TopoCleanupBlocked".to_owned(), message });
        }
    }
    for (volume, unlike) in volumes::unlike(&report.view, None) {
        let warning = unlike != volumes::Unlike::RestartWaiting;
        let message = format!("claim {}: {unlike}", volume.claim);
        all.push(Said { warning, reason: unlike.as_str().to_owned(), message });
    }
    for orphan in turndown::orphans(&report.view) {
        let message =
            format!("tablet {}: {}: {}", orphan.tablet, orphan.blocked.as_str(), orphan.blocked.message());
        all.push(Said { warning: false, reason: "TurndownBlocked".to_owned(), message });
    }
    for said in &report.diagnostics {
        all.push(Said {
            warning: said.severity > pilothouse_core::plan::Severity::Info,
            reason: said.code.clone(),
            message: format!("{} {}", said.subject, said.message).trim().to_owned(),
        });
    }
    all
}

/// What became of the steps.
fn outcomes(report: &Report) -> Vec<Said> {
    let mut all = Vec::new();
    for (step, outcome) in &report.outcomes {
        let told =
            |warning, reason: &str, message: String| Said { warning, reason: reason.to_owned(), message };
        match outcome {
            Outcome::Done if routine_object(step).is_some() => {}
            Outcome::Done => {
                let by = author(&step.author);
                let message = format!("{} (by {by}: {})", step.action, step.reason.message);
                all.push(told(false, done(&step.action), message));
                if loss::may_come_of(&report.view, &step.action) {
                    let message = format!("{}: what its primary had not passed on is lost", step.action);
                    all.push(told(true, "WritesMayBeLost", message));
                }
            }
            Outcome::Overtaken { .. } => {}
            Outcome::Failed { code, message } => {
                all.push(told(
                    true,
                    failed(&step.action).unwrap_or(code),
                    format!("{}: {message}", step.action),
                ));
            }
            Outcome::InDoubt { message } => {
                all.push(told(true, "InDoubt", format!("{}: {message}", step.action)));
            }
        }
    }
    all
}

/// The host's own writes of a pass, those of one verb in one event: a new cluster has dozens.
fn routine(report: &Report) -> Vec<Said> {
    let mut by_verb: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (step, _) in report.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done) {
        if let Some(object) = routine_object(step) {
            let is_created = matches!(step.action, Action::Apply { change: Change::Create, .. });
            let why = if is_created { String::new() } else { format!(" ({})", step.reason.message) };
            by_verb.entry(done(&step.action)).or_default().push(format!("{object}{why}"));
        }
    }
    let said = |(reason, objects): (&str, Vec<String>)| {
        let count = if objects.len() > 1 { format!("{} objects: ", objects.len()) } else { String::new() };
        Said { warning: false, reason: reason.to_owned(), message: count + &objects.join(", ") }
    };
    by_verb.into_iter().map(said).collect()
}

/// What an own write of the host was about.
fn routine_object(step: &Step) -> Option<&ObjectRef> {
    match &step.action {
        Action::Apply { object, .. } | Action::Delete { object, .. } if step.author == Author::Host => {
            Some(object)
        }
        _ => None,
    }
}

/// The reason of an event about a step that failed, where users know another than its own.
const fn failed(action: &Action) -> Option<&'static str> {
    match action {
        Action::RegisterRecord { .. } => Some("TopoUpdateFailed"),
        Action::PruneRecord { .. } => Some("TopoCleanupFailed"),
        Action::PrepareUpgrade { .. } => Some("MysqldSafeUpgradeFailed"),
        _ => None,
    }
}

/// The event's reason, in the words that users of the kinds know where there are any.
const fn done(action: &Action) -> &'static str {
    use pilothouse_core::action::RolloutMark;
    match action {
        Action::AssignZone { .. } => "ZoneAssigned",
        Action::SurgeTablet { .. } => "TabletSurged",
        Action::ReturnTablet { .. } => "TabletReturned",
        Action::SurgeGateway { .. } => "GatewaySurged",
        Action::ReturnGateway { .. } => "GatewayReturned",
        Action::InitPrimary { .. } => "InitShardPrimary",
        Action::PlannedReparent { .. } => "PlannedReparent",
        Action::EmergencyReparent { .. } => "EmergencyReparent",
        Action::ExpandVolume { .. } => "VolumeExpanded",
        Action::StartBackup { .. } => "BackupStarted",
        Action::ExpireBackup { .. } => "BackupExpired",
        Action::RestoreTablet { .. } => "RebuildStarted",
        Action::Apply { change: Change::Create, .. } => "Created",
        Action::Apply { change: Change::Update | Change::Status, .. } => "Updated",
        Action::Delete { .. } | Action::TurnDown { .. } => "Deleted",
        Action::RecreateTablet { .. } => "TabletRecreated",
        Action::PrepareUpgrade { .. } => "MySQL_Upgrade",
        Action::ForgetTablet { .. } => "TabletForgotten",
        Action::SwitchVtorc { .. } => "FailoverSwitched",
        Action::RegisterRecord { .. } => "TopoUpdated",
        Action::PruneRecord { .. } => "TopoCleanup",
        Action::ScheduleChange { .. } => "ChangeScheduled",
        Action::ReleaseTablet { .. } => "TabletReleased",
        Action::EndRollout { marks, .. } => match marks.as_slice() {
            [.., RolloutMark::Cascade] => "RollingRestartComplete",
            _ => "RolloutEnded",
        },
        Action::DrainTablet { .. } => "Draining",
        Action::EvacuateCell { .. }
        | Action::RelocateTablet { .. }
        | Action::QuarantineTablet { .. }
        | Action::ChangeVolumeClass { .. }
        | Action::VerifyBackup { .. }
        | Action::CancelBackup { .. }
        | Action::RestoreShard { .. } => "Unsupported",
    }
}

async fn send(pilot: &Pilot, report: &Report, said: &Said) {
    let cluster = &report.view.cluster;
    let at = report.view.as_of;
    let time = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(0)).ok().map(Time);
    let digest = Sha256::digest(format!("{at} {} {}", said.reason, said.message));
    let suffix: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{suffix}", cluster.name)),
            namespace: Some(cluster.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("planetscale.com/v2".to_owned()),
            kind: Some("VitessCluster".to_owned()),
            name: Some(cluster.name.clone()),
            namespace: Some(cluster.namespace.clone()),
            uid: Some(cluster.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(if said.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(said.reason.clone()),
        message: Some(said.message.chars().take(1_000).collect()),
        first_timestamp: time.clone(),
        last_timestamp: time,
        count: Some(1),
        source: Some(EventSource { component: Some("pilothouse".to_owned()), host: None }),
        reporting_component: Some("pilothouse".to_owned()),
        ..Event::default()
    };
    let api: Api<Event> = Api::namespaced(pilot.effects.client.clone(), &cluster.namespace);
    pilot.effects.telemetry.metrics.api_writes.inc();
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::debug!(%error, reason = said.reason, "event not sent");
    }
}
