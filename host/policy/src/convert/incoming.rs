//! Decisions, in from the guest: the four slots' actions behind one reading.

use pilothouse_core::Millis;
use pilothouse_core::action::Action;
use pilothouse_core::plan::{Author, Proposal, Step};

use super::reader::{BadValue, Flaw, Reader};
use crate::bindings::{backup, expansion, failover, placement, types};
use crate::limits::Limits;

/// A slot's decision with its own action type.
pub(crate) struct RawDecision<A> {
    steps: Vec<RawStep<A>>,
    diagnostics: Vec<types::Diagnostic>,
    requeue_after_ms: Option<u64>,
}

struct RawStep<A> {
    action: A,
    reason: types::Reason,
    expect: Vec<types::Expectation>,
    ttl_ms: u64,
}

/// The slots' records are equal in shape but not in type.
macro_rules! raw_decision {
    ($($slot:ident),*) => {$(
        impl From<$slot::Decision> for RawDecision<$slot::Action> {
            fn from(d: $slot::Decision) -> Self {
                let raw = |s: $slot::Step| {
                    RawStep { action: s.action, reason: s.reason, expect: s.expect, ttl_ms: s.ttl_ms }
                };
                Self {
                    steps: d.steps.into_iter().map(raw).collect(),
                    diagnostics: d.diagnostics,
                    requeue_after_ms: d.requeue_after_ms,
                }
            }
        }
    )*};
}
raw_decision!(placement, failover, expansion, backup);

/// An action of one slot, checked value by value.
pub(crate) trait ReadAction {
    fn read(self, r: &Reader<'_>) -> Result<Action, BadValue>;
}

/// Reads a whole decision. One bad value refuses all of it: a plugin that is wrong once is not half right.
///
/// The number of steps is checked by the caller, which has a better error for it.
pub(crate) fn read_decision<A: ReadAction>(
    raw: RawDecision<A>,
    author: &Author,
    as_of: Millis,
    limits: &Limits,
) -> Result<Proposal, BadValue> {
    let whole = Reader { limits, step: None };
    let mut steps = Vec::with_capacity(raw.steps.len());
    for (i, step) in raw.steps.into_iter().enumerate() {
        steps.push(read_step(step, &Reader { limits, step: Some(i) }, author, as_of)?);
    }
    Ok(Proposal {
        author: author.clone(),
        steps,
        diagnostics: whole.diagnostics(raw.diagnostics)?,
        requeue_after_ms: raw.requeue_after_ms.map(|ms| ms.max(limits.requeue_ms)),
    })
}

impl<A> RawDecision<A> {
    pub(crate) const fn count(&self) -> usize {
        self.steps.len()
    }
}

fn read_step<A: ReadAction>(
    step: RawStep<A>,
    r: &Reader<'_>,
    author: &Author,
    as_of: Millis,
) -> Result<Step, BadValue> {
    if step.ttl_ms == 0 {
        return r.no(&["ttl-ms"], Flaw::Zero);
    }
    r.at_most(&["expect"], step.expect.len(), r.limits.expectations)?;
    Ok(Step {
        action: step.action.read(r)?,
        author: author.clone(),
        reason: r.reason(step.reason)?,
        expect: step.expect.into_iter().map(|e| r.expectation(e)).collect::<Result<_, _>>()?,
        expires: as_of.saturating_add(step.ttl_ms.min(r.limits.ttl_ms)),
    })
}

impl ReadAction for placement::Action {
    fn read(self, r: &Reader<'_>) -> Result<Action, BadValue> {
        Ok(match self {
            Self::AssignZone(a) => Action::AssignZone {
                cell: r.cell(&["assign-zone", "cell"], a.cell)?,
                zone: r.zone(&["assign-zone", "zone"], a.zone)?,
            },
            Self::SurgeTablet(a) => Action::SurgeTablet {
                shard: r.shard("surge-tablet", a.shard)?,
                pool: r.pool("surge-tablet", a.pool)?,
                index: r.positive(&["surge-tablet", "index"], a.index)?,
                stands_in_for: r.cell(&["surge-tablet", "stands-in-for"], a.stands_in_for)?,
            },
            Self::ReturnTablet(a) => Action::ReturnTablet {
                shard: r.shard("return-tablet", a.shard)?,
                tablet: r.alias("return-tablet", "tablet", a.tablet)?,
            },
            Self::SurgeGateway(a) => Action::SurgeGateway {
                cell: r.cell(&["surge-gateway", "cell"], a.cell)?,
                stands_in_for: r.cell(&["surge-gateway", "stands-in-for"], a.stands_in_for)?,
                replicas: r.positive(&["surge-gateway", "replicas"], a.replicas)?,
            },
            Self::ReturnGateway(a) => Action::ReturnGateway {
                cell: r.cell(&["return-gateway", "cell"], a.cell)?,
                stands_in_for: r.cell(&["return-gateway", "stands-in-for"], a.stands_in_for)?,
            },
            Self::EvacuateCell(cell) => Action::EvacuateCell { cell: r.cell(&["evacuate-cell"], cell)? },
            Self::RelocateTablet(a) => Action::RelocateTablet {
                tablet: r.alias("relocate-tablet", "tablet", a.tablet)?,
                zone: r.zone(&["relocate-tablet", "zone"], a.zone)?,
            },
        })
    }
}

impl ReadAction for failover::Action {
    fn read(self, r: &Reader<'_>) -> Result<Action, BadValue> {
        Ok(match self {
            Self::InitPrimary(a) => Action::InitPrimary {
                shard: r.shard("init-primary", a.shard)?,
                to: r.alias("init-primary", "to", a.to)?,
            },
            Self::PlannedReparent(a) => Action::PlannedReparent {
                shard: r.shard("planned-reparent", a.shard)?,
                from: r.alias("planned-reparent", "from", a.from)?,
                to: r.alias("planned-reparent", "to", a.to)?,
            },
            Self::EmergencyReparent(a) => Action::EmergencyReparent {
                shard: r.shard("emergency-reparent", a.shard)?,
                lost: r.alias("emergency-reparent", "lost", a.lost)?,
                to: r.alias("emergency-reparent", "to", a.to)?,
            },
            Self::QuarantineTablet(a) => {
                Action::QuarantineTablet { tablet: r.alias("quarantine-tablet", "tablet", a)? }
            }
        })
    }
}

impl ReadAction for expansion::Action {
    fn read(self, r: &Reader<'_>) -> Result<Action, BadValue> {
        Ok(match self {
            Self::ExpandVolume(a) => Action::ExpandVolume {
                claim: r.name(&["expand-volume", "claim"], a.claim)?,
                from: a.from,
                to: a.to,
            },
            Self::ChangeVolumeClass(a) => Action::ChangeVolumeClass {
                claim: r.name(&["change-volume-class", "claim"], a.claim)?,
                class: r.name(&["change-volume-class", "class"], a.class)?,
            },
        })
    }
}

impl ReadAction for backup::Action {
    fn read(self, r: &Reader<'_>) -> Result<Action, BadValue> {
        Ok(match self {
            Self::StartBackup(a) => Action::StartBackup {
                shard: r.shard("start-backup", a.shard)?,
                location: r.label(&["start-backup", "location"], a.location)?,
                restore: a.restore.map(|b| r.name(&["start-backup", "restore"], b)).transpose()?,
            },
            Self::VerifyBackup(b) => Action::VerifyBackup { backup: r.name(&["verify-backup"], b)? },
            Self::ExpireBackup(a) => Action::ExpireBackup {
                shard: r.shard("expire-backup", a.shard)?,
                backup: r.name(&["expire-backup", "backup"], a.backup)?,
                covered_by: r.name(&["expire-backup", "covered-by"], a.covered_by)?,
            },
            Self::CancelBackup(s) => Action::CancelBackup { shard: r.shard("cancel-backup", s)? },
            Self::RestoreTablet(a) => Action::RestoreTablet {
                tablet: r.alias("restore-tablet", "tablet", a.tablet)?,
                backup: r.name(&["restore-tablet", "backup"], a.backup)?,
            },
            Self::RestoreShard(a) => Action::RestoreShard {
                shard: r.shard("restore-shard", a.shard)?,
                backup: r.name(&["restore-shard", "backup"], a.backup)?,
                to: a.to,
            },
        })
    }
}
