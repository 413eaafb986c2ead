//! Why a shard that wants another primary cannot have one: a value, and its text.

use pilothouse_sdk::{Decision, Drain, Durability, PodState, Shard, TabletAlias, failover::Action};

/// What stands in the way of a whole shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Replicas still hear the primary that does not answer us.
    OneSidedEvidence { primary: TabletAlias, heard_by: Vec<TabletAlias> },
    /// Nobody else answers, so nobody confirms.
    NoWitness { primary: TabletAlias },
    /// More than one zone looks dead.
    TwoZonesDark { zones: Vec<String> },
    /// Some transaction may be only on tablets that do not answer.
    Unproven { reached: usize, missing: Vec<TabletAlias> },
    /// Without semi-sync, only a stopped primary or an accepted loss will do.
    LossNotAccepted { primary: TabletAlias },
    /// The topology's primary answers, but does not serve as primary.
    NotServing { primary: TabletAlias },
    /// No tablet is fit.
    NoCandidate { unfit: Vec<(TabletAlias, Unfit)> },
}

/// What speaks against one tablet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    NotRunning(PodState),
    NotReady,
    Silent,
    Draining(Drain),
    NotServing,
    Leaving,
    PositionUnknown,
    Errant(u64),
    ZoneDark,
    Behind(u64),
    Detached,
    Stalled,
    Lagging(u64),
    NoAckerLeft(Durability),
    Rival,
}

impl Unfit {
    fn text(self) -> String {
        match self {
            Self::NotRunning(pod) => format!("its Pod is {}", pod_word(pod)),
            Self::NotReady => "it is not ready".to_owned(),
            Self::Silent => "it does not answer".to_owned(),
            Self::Draining(_) => "it drains".to_owned(),
            Self::NotServing => "it does not serve as replica".to_owned(),
            Self::Leaving => "nothing asks for it any more".to_owned(),
            Self::PositionUnknown => "its transactions are unknown".to_owned(),
            Self::Errant(n) => format!("it has {n} errant transactions"),
            Self::ZoneDark => "its zone is lost or suspect".to_owned(),
            Self::Behind(n) => format!("it lacks {n} transactions that others have"),
            Self::Detached => "it does not replicate from the primary".to_owned(),
            Self::Stalled => "it does not apply what it received".to_owned(),
            Self::Lagging(ms) => format!("it lags by more than {ms} ms"),
            Self::Rival => "another tablet calls itself primary".to_owned(),
            Self::NoAckerLeft(Durability::CrossCell) => {
                "no tablet of another cell is left to acknowledge".to_owned()
            }
            Self::NoAckerLeft(Durability::None | Durability::SemiSync) => {
                "no tablet is left to acknowledge".to_owned()
            }
        }
    }
}

const fn pod_word(pod: PodState) -> &'static str {
    match pod {
        PodState::Absent => "absent",
        PodState::Pending => "pending",
        PodState::Running => "running",
        PodState::Terminating => "terminating",
        PodState::Ended => "ended",
    }
}

/// At most five names; a condition has to stay readable.
pub(crate) fn names<T: ToString>(all: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let rest = all.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

impl Obstacle {
    const fn code(&self) -> &'static str {
        match self {
            Self::OneSidedEvidence { .. } => "OneSidedEvidence",
            Self::NoWitness { .. } => "NoWitness",
            Self::TwoZonesDark { .. } => "TwoZonesDark",
            Self::Unproven { .. } => "DurabilityUnproven",
            Self::LossNotAccepted { .. } => "LossNotAccepted",
            Self::NotServing { .. } => "PrimaryNotServing",
            Self::NoCandidate { .. } => "NoCandidate",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::OneSidedEvidence { primary, heard_by } => {
                format!("{primary} does not answer us, but {} still replicates from it", names(heard_by))
            }
            Self::NoWitness { primary } => {
                format!("{primary} does not answer, and no replica answers that could confirm its loss")
            }
            Self::TwoZonesDark { zones } => {
                format!(
                    "zones {} are lost, suspect or silent: no primary is moved on such evidence",
                    names(zones)
                )
            }
            Self::Unproven { reached, missing } => format!(
                "a write is safe with 1 acknowledgement, and {reached} of {} tablets that may have given it answer \
                 (R {reached} + W 1 must exceed N {}): {} may hold the only copy",
                reached + missing.len(),
                reached + missing.len(),
                names(missing),
            ),
            Self::LossNotAccepted { primary } => format!(
                "without semi-sync {primary} may still take writes, or hold the only copy of some: its Pod must have \
                 ended, or the loss be accepted (fact lossAccepted)"
            ),
            Self::NotServing { primary } => {
                format!("{primary} is to be moved and answers, but does not serve as primary")
            }
            Self::NoCandidate { unfit } => {
                let each: Vec<String> =
                    unfit.iter().map(|(alias, why)| format!("{alias}: {}", why.text())).collect();
                if each.is_empty() {
                    "no tablet of a replica pool is there".to_owned()
                } else {
                    format!("no tablet can be primary: {}", names(&each))
                }
            }
        }
    }

    /// Tells it as a warning about the shard.
    pub(crate) fn tell(&self, shard: &Shard, decision: &mut Decision<Action>) {
        decision.warn(self.code(), &shard.id, self.text());
    }
}
