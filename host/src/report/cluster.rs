//! The VitessCluster's status.

use std::collections::BTreeMap;

use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::desired::{DesiredCluster, DesiredShard};
use pilothouse_api::labels::Component;
use pilothouse_api::names;
use pilothouse_api::orchestrator::ComponentStatus;
use pilothouse_api::validate::{FieldError, validate};
use pilothouse_api::vitess_cluster::{
    ClusterCellStatus, ClusterKeyspaceStatus, ClusterSummary, PolicyStatus, VitessClusterStatus, VitessLink,
    VitessLinkSource, ZoneStatus,
};
use pilothouse_core::levels;
use pilothouse_core::pass::Report;
use pilothouse_core::plan::{Outcome, Severity};
use pilothouse_core::standing;
use pilothouse_core::view::{CellView, Level, ShardView, TabletView, VitessSource, Wanted as Why, ZoneView};
use pilothouse_core::zones::ZoneState;

use super::{Wanted, available, gateways, lockservers, paused, schedules, set, volumes};
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn status(pilot: &Pilot, report: &Report) -> Option<Wanted> {
    let cluster = observe::cluster(&pilot.key, &pilot.members).ok()?;
    let live = cluster.status.as_ref();
    let generation = cluster.metadata.generation;
    let name = &pilot.key.name;
    let asked = validate(cluster);
    let mut status = VitessClusterStatus {
        observed_generation: generation,
        global_lockserver: lockservers::of_owner(pilot, &names::global_etcd(name)),
        gateway_service_name: names::cluster_gateway_service(name),
        cells: cells(pilot, report),
        keyspaces: keyspaces(pilot, report, asked.as_ref().ok()),
        orphaned_cells: super::orphans(report, |level| match level {
            Level::Cell(cell) => Some(cell.0.clone()),
            Level::Keyspace(_) | Level::Shard(_) => None,
        }),
        orphaned_keyspaces: super::orphans(report, |level| match level {
            Level::Keyspace(keyspace) => Some(keyspace.clone()),
            Level::Cell(_) | Level::Shard(_) => None,
        }),
        zones: zones(pilot, report, live),
        vitess: Some(link(report)),
        policies: policies(pilot),
        summary: summary(report),
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
        ..live.cloned().unwrap_or_default()
    };
    status.vitess_dashboard = ComponentStatus {
        available: available(pilot, Component::Vtctld, |_| true),
        service_name: names::vtctld_service(name),
    };
    status.vtadmin =
        cluster.spec.vtadmin.as_ref().map_or_else(ComponentStatus::default, |_| ComponentStatus {
            available: available(pilot, Component::Vtadmin, |_| true),
            service_name: names::vtadmin_service(name),
        });
    for verdict in
        [valid(pilot, &asked), zones_verdict(report), policies_verdict(report), steps_verdict(report)]
    {
        let (kind, answer, reason, message) = &verdict;
        set(&mut status.conditions, report, generation, (kind, *answer, reason, message));
    }
    volumes::tell(&mut status.conditions, report, generation, None);
    schedules::of_cluster(pilot, report, generation, &mut status.conditions);
    let (answer, reason, message) = ready(report, &status);
    set(&mut status.conditions, report, generation, ("Ready", answer, reason, &message));
    paused::tell(&mut status.conditions, report, generation, (Kind::VitessCluster, name));
    Wanted::unless_equal(Kind::VitessCluster, name, live, &status)
}

type Said = (&'static str, ConditionStatus, String, String);

fn valid(pilot: &Pilot, asked: &Result<DesiredCluster, Vec<FieldError>>) -> Said {
    let mut errors: Vec<String> = Vec::new();
    if let Err(found) = asked {
        errors.extend(found.iter().map(ToString::to_string));
    }
    for (object, found) in &pilot.invalid {
        errors.extend(found.iter().map(|e| format!("{object}: {e}")));
    }
    if errors.is_empty() {
        return ("Valid", ConditionStatus::True, "Valid".to_owned(), "every field can be used".to_owned());
    }
    let message = format!("{}; what was valid before stays in force", errors.join("; "));
    ("Valid", ConditionStatus::False, "InvalidSpec".to_owned(), message)
}

fn zones_verdict(report: &Report) -> Said {
    let of =
        |state| report.view.zones.iter().filter(move |z| z.health.state == state).map(|z| z.name.0.as_str());
    let bad: Vec<String> = [ZoneState::Lost, ZoneState::Suspect, ZoneState::Recovering, ZoneState::Unknown]
        .into_iter()
        .flat_map(|state| of(state).map(move |zone| format!("{zone} is {state}")))
        .collect();
    let lost = of(ZoneState::Lost).next().is_some();
    let unsure = report.view.zones.iter().all(|z| z.health.state == ZoneState::Unknown);
    let answer = match (bad.is_empty(), unsure) {
        (true, _) => ConditionStatus::True,
        (false, true) => ConditionStatus::Unknown,
        (false, false) => ConditionStatus::False,
    };
    let reason = match answer {
        ConditionStatus::True => "AllHealthy",
        ConditionStatus::Unknown => "NotYetJudged",
        ConditionStatus::False if lost => "ZoneLost",
        ConditionStatus::False => "ZoneDisturbed",
    };
    let message = if bad.is_empty() { "every zone is healthy".to_owned() } else { bad.join(", ") };
    ("ZonesHealthy", answer, reason.to_owned(), message)
}

/// The worst that policies said; information is for the log.
fn policies_verdict(report: &Report) -> Said {
    let mut said: Vec<_> = report.diagnostics.iter().filter(|d| d.severity > Severity::Info).collect();
    said.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (&a.code, &a.subject).cmp(&(&b.code, &b.subject)))
    });
    let Some(worst) = said.first() else {
        let message = "no policy has anything to say against the cluster".to_owned();
        return ("PoliciesSatisfied", ConditionStatus::True, "Satisfied".to_owned(), message);
    };
    let lines: Vec<String> =
        said.iter()
            .take(8)
            .map(|d| {
                if d.subject.is_empty() { d.message.clone() } else { format!("{}: {}", d.subject, d.message) }
            })
            .collect();
    ("PoliciesSatisfied", ConditionStatus::False, worst.code.clone(), lines.join("; "))
}

fn steps_verdict(report: &Report) -> Said {
    let failed = report.outcomes.iter().find_map(|(step, outcome)| match outcome {
        Outcome::Failed { code, message } => Some((code.clone(), format!("{}: {message}", step.action))),
        Outcome::InDoubt { message } => Some(("InDoubt".to_owned(), format!("{}: {message}", step.action))),
        Outcome::Done | Outcome::Overtaken { .. } => None,
    });
    if let Some((code, message)) = failed {
        return ("StepsTaken", ConditionStatus::False, code, message);
    }
    match report.refusals.first() {
        Some(refusal) => {
            let message = format!("{}: {} ({})", refusal.step.action, refusal.why, refusal.rule);
            ("StepsTaken", ConditionStatus::False, refusal.why.code().to_owned(), message)
        }
        None => {
            let message = "every proposed step was admitted and done".to_owned();
            ("StepsTaken", ConditionStatus::True, "AllAdmitted".to_owned(), message)
        }
    }
}

fn ready(report: &Report, status: &VitessClusterStatus) -> (ConditionStatus, &'static str, String) {
    let view = &report.view;
    let blocked = |kind: &str| status.conditions.iter().any(|c| c.type_ == kind && c.status == "False");
    if blocked("Valid") && view.shards.is_empty() {
        return (ConditionStatus::False, "InvalidSpec", "the manifest cannot be used: see Valid".to_owned());
    }
    if view.shards.is_empty() {
        let reason = if blocked("PoliciesSatisfied") { "HeldByPolicy" } else { "NoShards" };
        return (ConditionStatus::False, reason, "no shard stands yet".to_owned());
    }
    if view.vitess == VitessSource::Unknown {
        return (ConditionStatus::Unknown, "VitessUnknown", "Vitess cannot be asked".to_owned());
    }
    let without: Vec<String> =
        view.shards.iter().filter(|s| !serves_writes(report, s)).map(|s| s.id.to_string()).collect();
    if without.is_empty() {
        (ConditionStatus::True, "Serving", "every shard takes writes".to_owned())
    } else {
        (ConditionStatus::False, "NoPrimary", format!("no writes on {}", without.join(", ")))
    }
}

/// The tablet that leads a shard, where one does that is known.
pub(super) fn primary<'a>(report: &'a Report, shard: &ShardView) -> Option<&'a TabletView> {
    report.view.tablet(shard.primary.as_ref()?)
}

/// Whether a shard has a primary that answers, and takes writes.
pub(super) fn serves_writes(report: &Report, shard: &ShardView) -> bool {
    primary(report, shard).is_some_and(standing::takes_writes)
}

/// Verdicts, each with what led to it. As long as neither the verdict nor what it leans to changes, what was
/// seen then stays: counts that come and go are no reason to write.
fn zones(pilot: &Pilot, report: &Report, live: Option<&VitessClusterStatus>) -> Vec<ZoneStatus> {
    let stands = |zone: &ZoneView| {
        let mut live = live.iter().flat_map(|status| &status.zones);
        live.find(|z| z.name == zone.name.0 && z.recall() == Some(zone.health))
    };
    let zones = report.view.zones.iter().filter_map(|zone| {
        let seen = pilot.evidence.get(&zone.name).map(serde_json::to_value).transpose().ok()?;
        let evidence = seen.or_else(|| stands(zone)?.evidence.clone());
        ZoneStatus::remember(&zone.name.0, &zone.health, evidence).ok()
    });
    zones.collect()
}

fn link(report: &Report) -> VitessLink {
    let (source, message) = match report.view.vitess {
        VitessSource::Unknown => (
            VitessLinkSource::Unknown,
            "Vitess cannot be asked: objects are made and reported, and nothing is destroyed",
        ),
        VitessSource::Observed => (VitessLinkSource::Observed, "tablets and topology are asked"),
        VitessSource::Played => {
            (VitessLinkSource::Played, "Vitess is played by the simulator: nothing here is a real database")
        }
    };
    VitessLink { source, message: message.to_owned() }
}

fn policies(pilot: &Pilot) -> Vec<PolicyStatus> {
    let mut all: Vec<PolicyStatus> = pilot
        .policies
        .policies()
        .map(|p| PolicyStatus {
            slot: p.slot().to_string(),
            plugin: p.manifest().name.clone(),
            digest: p.digest().to_string(),
            state: "Serving".to_owned(),
            message: String::new(),
        })
        .collect();
    all.sort();
    all
}

fn cells(pilot: &Pilot, report: &Report) -> BTreeMap<String, ClusterCellStatus> {
    let status = |cell: &CellView| ClusterCellStatus {
        gateway_available: gateways(pilot, &cell.name.0),
        pending_changes: pilot.pending(Kind::VitessCell, &names::cell(&pilot.key.name, &cell.name.0)),
    };
    let asked = |c: &&CellView| !levels::is_unwanted(&report.view, &Level::Cell(c.name.clone()));
    report.view.cells.iter().filter(asked).map(|c| (c.name.0.clone(), status(c))).collect()
}

fn keyspaces(
    pilot: &Pilot,
    report: &Report,
    asked: Option<&DesiredCluster>,
) -> BTreeMap<String, ClusterKeyspaceStatus> {
    let mut all: BTreeMap<String, ClusterKeyspaceStatus> = observe::keyspace_objects(&pilot.members)
        .map(|k| {
            let object = k.metadata.name.as_deref().unwrap_or_default();
            let pending_changes = pilot.pending(Kind::VitessKeyspace, object);
            let status = ClusterKeyspaceStatus { pending_changes, ..ClusterKeyspaceStatus::default() };
            (k.spec.template.name.clone(), status)
        })
        .collect();
    for shard in super::wanted_shards(report) {
        let status = all.entry(shard.id.keyspace.clone()).or_default();
        let tablets: Vec<&TabletView> = report.view.tablets_of(&shard.id).collect();
        let ready = tablets.iter().filter(|t| t.ready).count();
        let desired = tablets.iter().filter(|t| t.wanted == Why::BySpec).count();
        status.shards += 1;
        status.ready_shards += i32::from(serves_writes(report, shard) && ready >= desired);
        status.updated_shards += i32::from(tablets.iter().all(|t| !t.outdated));
        status.desired_tablets += count(desired);
        status.tablets += count(tablets.len());
        status.ready_tablets += count(ready);
        status.updated_tablets += count(tablets.iter().filter(|t| !t.outdated).count());
        for cell in shard.pools.iter().map(|p| p.key.cell.0.clone()) {
            if !status.cells.contains(&cell) {
                status.cells.push(cell);
            }
        }
        status.cells.sort();
    }
    for (name, status) in &mut all {
        // The manifest's word, also while its change waits for a release; where it cannot be used, what stands.
        let asked = asked.and_then(|cluster| cluster.keyspaces.get(name));
        status.desired_shards = asked.map_or(status.shards, |keyspace| count(keyspace.shards.len()));
        if let Some(keyspace) = asked {
            let tablets: u32 = keyspace.shards.values().map(DesiredShard::tablets).sum();
            status.desired_tablets = i32::try_from(tablets).unwrap_or(i32::MAX);
        }
    }
    all.retain(|keyspace, _| !levels::is_unwanted(&report.view, &Level::Keyspace(keyspace.clone())));
    all
}

fn summary(report: &Report) -> ClusterSummary {
    let view = &report.view;
    let serving = view.shards.iter().filter(|s| serves_writes(report, s)).count();
    let ready = view.tablets.iter().filter(|t| t.ready).count();
    let wanted = view.tablets.iter().filter(|t| t.wanted != Why::No).count();
    let healthy = view.zones.iter().filter(|z| z.health.state == ZoneState::Healthy).count();
    ClusterSummary {
        primaries: format!("{serving}/{}", view.shards.len()),
        tablets: format!("{ready}/{wanted}"),
        zones: format!("{healthy}/{}", view.zones.len()),
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
