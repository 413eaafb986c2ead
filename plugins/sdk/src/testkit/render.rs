//! Decisions as texts that a human reviews.

use std::fmt::Write as _;

use crate::decision::{Decision, Step};
use crate::types::{Expectation, Severity};
use crate::{backup, expansion, failover, placement};

/// An action that can be written as one line.
pub trait Rendered {
    /// Verb and object.
    fn line(&self) -> String;
}

impl Rendered for placement::Action {
    fn line(&self) -> String {
        match self {
            Self::AssignZone(a) => format!("assign-zone {} to {}", a.cell, a.zone),
            Self::SurgeTablet(s) => {
                format!("surge-tablet {} {} index {} for {}", s.shard, s.pool, s.index, s.stands_in_for)
            }
            Self::ReturnTablet(r) => format!("return-tablet {} {}", r.shard, r.tablet),
            Self::SurgeGateway(g) => {
                format!("surge-gateway {} {} for {}", g.cell, g.replicas, g.stands_in_for)
            }
            Self::ReturnGateway(g) => format!("return-gateway {} for {}", g.cell, g.stands_in_for),
            Self::EvacuateCell(cell) => format!("evacuate-cell {cell}"),
            Self::RelocateTablet(r) => format!("relocate-tablet {} to {}", r.tablet, r.zone),
        }
    }
}

impl Rendered for failover::Action {
    fn line(&self) -> String {
        match self {
            Self::InitPrimary(i) => format!("init-primary {} to {}", i.shard, i.to),
            Self::PlannedReparent(p) => format!("planned-reparent {} from {} to {}", p.shard, p.from, p.to),
            Self::EmergencyReparent(e) => {
                format!("emergency-reparent {} from lost {} to {}", e.shard, e.lost, e.to)
            }
            Self::QuarantineTablet(tablet) => format!("quarantine-tablet {tablet}"),
        }
    }
}

impl Rendered for expansion::Action {
    fn line(&self) -> String {
        match self {
            Self::ExpandVolume(g) => format!("expand-volume {} from {} to {} bytes", g.claim, g.from, g.to),
            Self::ChangeVolumeClass(c) => format!("change-volume-class {} to {}", c.claim, c.class),
        }
    }
}

impl Rendered for backup::Action {
    fn line(&self) -> String {
        match self {
            Self::StartBackup(s) => {
                format!(
                    "start-backup {} at {:?} restoring {}",
                    s.shard,
                    s.location,
                    or_none(s.restore.as_ref())
                )
            }
            Self::VerifyBackup(name) => format!("verify-backup {name}"),
            Self::ExpireBackup(e) => {
                format!("expire-backup {} {} covered by {}", e.shard, e.backup, e.covered_by)
            }
            Self::CancelBackup(shard) => format!("cancel-backup {shard}"),
            Self::RestoreTablet(r) => format!("restore-tablet {} from {}", r.tablet, r.backup),
            Self::RestoreShard(r) => format!("restore-shard {} from {} to {}", r.shard, r.backup, r.to),
        }
    }
}

fn or_none(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

fn expectation(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Primary(p) => {
            format!("primary of {} is {}", p.shard, or_none(p.is.as_ref()))
        }
        Expectation::Zone(z) => format!("zone {} is {}", z.zone, z.state.as_str()),
        Expectation::VolumeRequest(v) => format!("claim {} asks for {} bytes", v.claim, v.bytes),
        Expectation::BackupPresent(b) => format!("backup {} of {} is there", b.backup, b.shard),
        Expectation::BackupIdle(shard) => format!("no backup of {shard} runs"),
    }
}

fn step<A: Rendered>(out: &mut String, step: &Step<A>) {
    let _ = writeln!(out, "{}", step.action.line());
    let _ = writeln!(out, "    because {}: {}", step.reason.code, step.reason.message);
    for e in &step.expect {
        let _ = writeln!(out, "    expects {}", expectation(e));
    }
    let _ = writeln!(out, "    lives {} ms", step.ttl_ms);
}

/// A decision, line by line: steps, diagnostics, when to ask again.
#[must_use]
pub fn decision<A: Rendered>(decision: &Decision<A>) -> String {
    let mut out = String::new();
    for s in &decision.steps {
        step(&mut out, s);
    }
    for d in &decision.diagnostics {
        let severity = match d.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let subject = if d.subject.is_empty() { "cluster" } else { &d.subject };
        let _ = writeln!(out, "{severity} {} ({subject}): {}", d.code, d.message);
    }
    if decision.steps.is_empty() && decision.diagnostics.is_empty() {
        out.push_str("nothing to do\n");
    }
    if let Some(ms) = decision.requeue_after_ms {
        let _ = writeln!(out, "again in {ms} ms");
    }
    out
}
