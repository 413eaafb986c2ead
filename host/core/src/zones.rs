//! Zone health: a pure state machine over evidence, with hysteresis.
//!
//! Owns the verdict healthy, suspect, lost or recovering. Node conditions and
//! provider posts are evidence, never triggers by themselves. Must not know how
//! evidence was gathered, and keeps no memory: the last verdict is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::topology::{TabletAlias, Zone};
use crate::view::{ClusterView, PodState, Reach, Role, TabletView};

/// The verdict on a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ZoneState {
    /// Nothing remembered, nothing judged yet: no mass action.
    #[default]
    Unknown,
    /// Serving.
    Healthy,
    /// Evidence against it, not yet long enough.
    Suspect,
    /// Gone, as far as two kinds of evidence can say.
    Lost,
    /// Back, not yet long enough.
    Recovering,
}

impl fmt::Display for ZoneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "not yet judged",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Recovering => "recovering",
        })
    }
}

/// A zone's verdict with the times that hysteresis needs; remembered in the
/// VitessCluster's status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneHealth {
    /// The verdict.
    pub state: ZoneState,
    /// Since when it holds.
    pub since: Millis,
    /// Since when the evidence leans towards the next verdict; absent while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaning_since: Option<Millis>,
    /// How long good evidence must last before the zone counts as healthy again; grows with every relapse.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recovery_ms: Millis,
}

const fn is_zero(millis: &Millis) -> bool {
    *millis == 0
}

/// How long what must last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ZoneSettings {
    /// Good evidence this long makes an unknown zone healthy, and one that was only suspected healthy again.
    pub settle_ms: Millis,
    /// Two kinds of evidence this long make a suspect zone lost. Nodes already had their own grace of 40–50 s.
    pub lost_after_ms: Millis,
    /// Good evidence this long makes a lost zone healthy again.
    pub recovered_after_ms: Millis,
    /// Each relapse doubles the wait, up to this.
    pub longest_recovery_ms: Millis,
    /// A zone that was healthy this long starts afresh: its relapses are forgotten.
    pub calm_after_ms: Millis,
}

impl Default for ZoneSettings {
    fn default() -> Self {
        Self {
            settle_ms: 30_000,
            lost_after_ms: 20_000,
            recovered_after_ms: 300_000,
            longest_recovery_ms: 3_600_000,
            calm_after_ms: 3_600_000,
        }
    }
}

/// What is seen of a zone at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ZoneEvidence {
    /// Nodes of the zone.
    pub nodes: u32,
    /// Nodes whose Ready condition is True.
    pub nodes_ready: u32,
    /// Since when the longest ready of them is so; absent where no node says.
    pub nodes_ready_since: Option<Millis>,
    /// Tablets that should answer: their Pod runs and is not in its first start.
    pub tablets: u32,
    /// Those of them that answer the host.
    pub tablets_answering: u32,
    /// Gateways that should run here.
    pub gateways: u32,
    /// Gateways that are ready.
    pub gateways_ready: u32,
    /// Other zones in which a replica that answers hears its source here.
    pub heard_from: u32,
    /// Whether the provider says that the zone is in trouble.
    pub provider_post: bool,
    /// Whether nothing anywhere looks alive to the host: then it is the host that is cut off.
    pub blind: bool,
}

/// Replicas of so many other zones outweigh the host's own silence.
const WITNESSES: u32 = 2;

/// What the evidence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The host sees nothing at all.
    Blind,
    /// Nothing speaks against the zone.
    Good,
    /// One kind of evidence speaks against it.
    Poor,
    /// Two kinds do.
    Dead,
}

impl ZoneEvidence {
    const fn look(&self) -> Look {
        if self.blind {
            return Look::Blind;
        }
        let silent = self.tablets > 0 && self.tablets_answering == 0;
        // Heard in so many places it lives: it is the host, and whoever posts for the nodes, that hears nothing.
        let heard = self.heard_from >= WITNESSES;
        let nodes_down = self.nodes_ready == 0;
        let elsewhere_down = nodes_down || self.provider_post;
        // Where no tablet runs, gateways speak for the databases.
        let empty = self.tablets == 0 && self.gateways > 0 && self.gateways_ready == 0;
        if (silent && elsewhere_down && !heard) || (empty && nodes_down && self.provider_post) {
            Look::Dead
        } else if silent || (nodes_down && !self.lacks_labels()) {
            Look::Poor
        } else {
            Look::Good
        }
    }

    /// Since when good evidence has been good, as far as it tells its own age: nodes do. Tablets do not, so
    /// where one should answer it counts from the first look.
    fn good_since(&self, as_of: Millis) -> Millis {
        let since = self.nodes_ready_since.filter(|_| self.tablets == 0);
        since.map_or(as_of, |since| since.min(as_of))
    }

    /// Whether what runs there is well on nodes that say nothing of the zone: that is a mistake of labels and no loss.
    const fn lacks_labels(&self) -> bool {
        let well = self.tablets_answering > 0 || (self.tablets == 0 && self.gateways_ready > 0);
        self.nodes == 0 && well
    }
}

/// The next verdict on a zone, and when (if ever) the same evidence leads to another.
#[must_use]
pub fn step(
    previous: Option<&ZoneHealth>,
    evidence: &ZoneEvidence,
    as_of: Millis,
    settings: &ZoneSettings,
) -> (ZoneHealth, Option<Millis>) {
    let start = ZoneHealth { since: as_of, ..ZoneHealth::default() };
    let now = previous.copied().unwrap_or(start);
    let next = match (now.state, evidence.look()) {
        // What was lost stays so: nothing that would bring it back can be seen.
        (ZoneState::Lost, Look::Blind | Look::Poor | Look::Dead) => now,
        (ZoneState::Unknown, Look::Blind) => now.leaning(None),
        (ZoneState::Healthy | ZoneState::Suspect | ZoneState::Recovering, Look::Blind) => {
            now.turn(ZoneState::Unknown, as_of)
        }
        (ZoneState::Unknown, Look::Good) => {
            let now = now.leans(evidence.good_since(as_of));
            let settled = now.leant(now.recovery_ms.max(settings.settle_ms), as_of);
            if settled { now.turn(ZoneState::Healthy, as_of) } else { now }
        }
        (ZoneState::Unknown, Look::Poor | Look::Dead) => now.doubted(evidence, as_of, settings.settle_ms),
        (ZoneState::Healthy, Look::Good) => now,
        (ZoneState::Healthy, Look::Poor | Look::Dead) => {
            let calm = as_of.saturating_sub(now.since) >= settings.calm_after_ms;
            let wait = if calm { settings.settle_ms } else { now.longer(settings) };
            now.doubted(evidence, as_of, wait)
        }
        (ZoneState::Suspect, Look::Good) => now.turn(ZoneState::Recovering, as_of),
        (ZoneState::Suspect, Look::Poor) => now.leaning(None),
        (ZoneState::Suspect, Look::Dead) => {
            let now = now.leans(as_of);
            let long = now.leant(settings.lost_after_ms, as_of);
            let wait = now.recovery_ms.max(settings.recovered_after_ms);
            if long { ZoneHealth { recovery_ms: wait, ..now.turn(ZoneState::Lost, as_of) } } else { now }
        }
        (ZoneState::Lost, Look::Good) => now.turn(ZoneState::Recovering, as_of),
        (ZoneState::Recovering, Look::Good) => {
            let long = as_of >= now.since.saturating_add(now.recovery_ms);
            if long { now.turn(ZoneState::Healthy, as_of) } else { now }
        }
        (ZoneState::Recovering, Look::Poor | Look::Dead) => {
            now.doubted(evidence, as_of, now.longer(settings))
        }
    };
    (next, next.deadline(settings))
}

impl ZoneHealth {
    const fn turn(self, state: ZoneState, as_of: Millis) -> Self {
        Self { state, since: as_of, leaning_since: None, recovery_ms: self.recovery_ms }
    }

    const fn leaning(self, since: Option<Millis>) -> Self {
        Self { leaning_since: since, ..self }
    }

    /// Leans since then, if it does not already.
    fn leans(self, since: Millis) -> Self {
        self.leaning(self.leaning_since.or(Some(since)))
    }

    /// Whether the evidence has leant for that long.
    fn leant(self, for_ms: Millis, as_of: Millis) -> bool {
        self.leaning_since.is_some_and(|since| as_of >= since.saturating_add(for_ms))
    }

    fn doubted(self, evidence: &ZoneEvidence, as_of: Millis, recovery_ms: Millis) -> Self {
        let suspect = Self { recovery_ms, ..self.turn(ZoneState::Suspect, as_of) };
        if evidence.look() == Look::Dead { suspect.leaning(Some(as_of)) } else { suspect }
    }

    /// The wait after one more relapse.
    fn longer(&self, settings: &ZoneSettings) -> Millis {
        let doubled = self.recovery_ms.max(settings.settle_ms).saturating_mul(2);
        doubled.min(settings.longest_recovery_ms.max(settings.settle_ms))
    }

    /// When this verdict, with the evidence unchanged, gives way to the next.
    fn deadline(&self, settings: &ZoneSettings) -> Option<Millis> {
        let leaning = self.leaning_since;
        match self.state {
            ZoneState::Unknown => leaning.map(|t| t.saturating_add(self.recovery_ms.max(settings.settle_ms))),
            ZoneState::Suspect => leaning.map(|t| t.saturating_add(settings.lost_after_ms)),
            ZoneState::Recovering => Some(self.since.saturating_add(self.recovery_ms)),
            ZoneState::Healthy | ZoneState::Lost => None,
        }
    }
}

/// The evidence as it is judged: when more than one zone is there and none of them looks
/// alive, the host itself is cut off, and nobody is judged by that.
#[must_use]
pub fn judged(evidence: &BTreeMap<Zone, ZoneEvidence>) -> BTreeMap<Zone, ZoneEvidence> {
    let blind = evidence.len() > 1 && evidence.values().all(|e| e.look() != Look::Good);
    let judged = |seen: &ZoneEvidence| ZoneEvidence { blind: seen.blind || blind, ..*seen };
    evidence.iter().map(|(zone, seen)| (zone.clone(), judged(seen))).collect()
}

/// The verdicts on all zones of a cluster, and when to look again at the latest.
#[must_use]
pub fn judge(
    previous: &BTreeMap<Zone, ZoneHealth>,
    evidence: &BTreeMap<Zone, ZoneEvidence>,
    as_of: Millis,
    settings: &ZoneSettings,
) -> (BTreeMap<Zone, ZoneHealth>, Option<Millis>) {
    let mut deadline: Option<Millis> = None;
    let mut verdicts = BTreeMap::new();
    for (zone, seen) in judged(evidence) {
        let (health, next) = step(previous.get(&zone), &seen, as_of, settings);
        deadline = deadline.into_iter().chain(next).min();
        verdicts.insert(zone, health);
    }
    (verdicts, deadline)
}

/// Whether a tablet tells of its zone. It does once its Pod runs, unless it has never been heard of
/// while its node is well: then it is starting, not silent.
#[must_use]
pub fn should_answer(tablet: &TabletView) -> bool {
    let runs = matches!(tablet.pod, PodState::Running | PodState::Terminating);
    let starting = tablet.role == Role::Unknown && tablet.replication.is_none();
    runs && tablet.reach != Reach::Unknown && !(starting && tablet.node_ready == Some(true))
}

/// What a view shows of each of its zones.
#[must_use]
pub fn evidence(view: &ClusterView) -> BTreeMap<Zone, ZoneEvidence> {
    let (mut all, heard) = (BTreeMap::new(), heard(view));
    for zone in &view.zones {
        let mut seen = ZoneEvidence {
            nodes: zone.nodes,
            nodes_ready: zone.nodes_ready,
            nodes_ready_since: zone.nodes_ready_since,
            provider_post: zone.provider_post.is_some(),
            ..ZoneEvidence::default()
        };
        for cell in view.cells.iter().filter(|c| c.zone.as_ref() == Some(&zone.name)) {
            seen.gateways = seen.gateways.saturating_add(cell.gateways);
            seen.gateways_ready = seen.gateways_ready.saturating_add(cell.gateways_ready);
        }
        for tablet in view.tablets.iter().filter(|t| t.zone.as_ref() == Some(&zone.name)) {
            let expected = should_answer(tablet);
            seen.tablets += u32::from(expected);
            seen.tablets_answering += u32::from(expected && tablet.reach == Reach::Yes);
        }
        let witnesses = heard.iter().filter(|(source, _)| **source == zone.name);
        seen.heard_from = u32::try_from(witnesses.count()).unwrap_or(u32::MAX);
        all.insert(zone.name.clone(), seen);
    }
    all
}

/// Pairs of a zone and another in which a replica that answers says that it hears its source in the first.
fn heard(view: &ClusterView) -> BTreeSet<(&Zone, &Zone)> {
    let zones: BTreeMap<&TabletAlias, &Zone> =
        view.tablets.iter().filter_map(|t| Some((&t.alias, t.zone.as_ref()?))).collect();
    let answering = view.tablets.iter().filter(|t| t.reach == Reach::Yes);
    let pairs = answering.filter_map(|tablet| {
        let replication = tablet.replication.as_ref().filter(|r| r.source_connected)?;
        Some((*zones.get(replication.source.as_ref()?)?, tablet.zone.as_ref()?))
    });
    pairs.filter(|(source, witness)| source != witness).collect()
}
