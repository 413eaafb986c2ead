//! Deeds that invariants speak of, with the truth at their moment.
//!
//! Owns the record; the checkers judge it. Must not judge.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::{BackupView, Durability};
use serde_json::Value;

use super::objects::{Name, array, label, name_of, number, text, uid};
use super::state::State;
use crate::apiserver::ResourceId;
use crate::apiserver::kinds::{CLAIMS, PODS};
use crate::vitess::{
    ClusterKey, Shard, ShardKey, Tablet, acks_required, alias_of, cluster_of, may_ack, shard_of,
};

const SHARDS: ResourceId = ResourceId::of("planetscale.com", "vitessshards");

/// What was asked of the world or done in it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each deed's doc names its fields")]
pub enum Deed {
    /// A tablet's Pod was asked to go by somebody else than the played controllers, while
    /// `down` other tablets of its shard did not serve, as far as anybody can have been told, or
    /// had been asked to go before;
    /// `ackers_left` of the primary's caught-up ackers remain, `required` are needed; `acked` if it was one
    /// itself, or the primary.
    TabletPodDeleted {
        at: i64,
        shard: ShardKey,
        tablet: TabletAlias,
        down: usize,
        ackers_left: usize,
        required: usize,
        acked: bool,
        served: bool,
    },
    /// A Pod's object went away by somebody else's hand while its kubelet was silent.
    PodForced { at: i64, pod: Name, node: String },
    /// As before, and its processes still ran.
    PodVanishedRunning { at: i64, pod: Name, uid: String },
    /// A tablet's claim was asked to go by somebody else; `lost` are transactions that somebody was told are
    /// safe and that are nowhere else; `wanted` if the living shard that owns it still asks for that tablet;
    /// `errant` if that has what the shard's primary never had.
    ClaimDeleted { at: i64, claim: Name, shard: Option<ShardKey>, lost: GtidSet, wanted: bool, errant: bool },
    /// A cell, keyspace or shard went by somebody else's hand; `wanted` if its living parent still
    /// asks for it, `needed`: what somebody still needs of it.
    LevelRemoved { at: i64, object: String, wanted: bool, needed: Option<String> },
    /// A topology record was pruned; `wanted`: what of the living objects still needs it.
    RecordPruned { at: i64, cluster: ClusterKey, record: String, wanted: Option<String> },
    /// A claim asks for another size.
    SizeAsked { at: i64, claim: Name, from: u64, to: u64, provider_last_changed: Option<i64> },
    /// A reparent was asked for; refused with a code, or begun.
    ReparentAsked {
        at: i64,
        shard: ShardKey,
        to: TabletAlias,
        emergency: bool,
        refused: Option<&'static str>,
        zones_dark: usize,
        errant: GtidSet,
    },
    /// A tablet was made primary; `missing` are acknowledged transactions that it lacks.
    Promoted { at: i64, shard: ShardKey, to: TabletAlias, durability: Durability, missing: GtidSet },
    /// A backup was removed; `left` are the others of its shard.
    BackupRemoved { at: i64, cluster: ClusterKey, removed: BackupView, left: Vec<BackupView> },
}

/// All deeds so far, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) deeds: Vec<Deed>,
    /// Writes of the played controllers that the API server refused.
    pub(crate) refused: Vec<String>,
    /// Size last asked for, by claim UID.
    pub(crate) requests: BTreeMap<String, u64>,
    seen: BTreeSet<(String, bool)>,
    /// UIDs of tablets' Pods that somebody else asked to go.
    leaving: BTreeSet<String>,
}

impl Journal {
    pub(crate) fn push(&mut self, deed: Deed) {
        self.deeds.push(deed);
    }

    /// Adds a deed that would else be added at every look.
    pub(crate) fn once(&mut self, deed: Deed) {
        if let Deed::PodVanishedRunning { uid, .. } = &deed
            && !self.seen.insert((format!("run {uid}"), true))
        {
            return;
        }
        self.push(deed);
    }

    /// Whether this deletion (asked for, or done) is known already.
    pub(crate) fn saw_deletion(&mut self, uid: &str, gone: bool) -> bool {
        !self.seen.insert((uid.to_owned(), gone))
    }
}

impl State {
    /// Writes down a deletion that somebody else asked for, with the truth around it.
    pub(crate) fn note_deletion(&mut self, kind: &ResourceId, object: &Value, gone: bool) {
        let deed = if *kind == PODS {
            self.pod_deed(object, gone)
        } else if *kind == CLAIMS {
            self.claim_deed(object, gone)
        } else {
            self.level_deed(kind, object, gone)
        };
        if let Some(Deed::TabletPodDeleted { .. }) = &deed {
            self.journal.leaving.insert(uid(object).to_owned());
        }
        if let Some(deed) = deed {
            self.journal.push(deed);
        }
    }

    fn pod_deed(&self, pod: &Value, gone: bool) -> Option<Deed> {
        let node = text(pod, "/spec/nodeName");
        if gone {
            let silent = !node.is_empty() && !self.places.is_connected(node, self.now);
            let over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
            return (silent && !over).then(|| Deed::PodForced {
                at: self.now,
                pod: name_of(pod),
                node: node.to_owned(),
            });
        }
        if label(pod, "planetscale.com/component") != "vttablet" {
            return None;
        }
        let (tablet, key) = (alias_of(pod)?, ShardKey { cluster: cluster_of(pod), shard: shard_of(pod)? });
        let shard = self.vitess.shard(&key)?;
        let served =
            self.vitess.tablet(&key.cluster, &tablet).is_some_and(|t| t.serves() && t.run == uid(pod));
        let acks = |a: &TabletAlias, t: &Tablet| {
            let of = shard.primary.as_ref().filter(|p| t.source.as_ref() == Some(p));
            of.is_some_and(|p| t.connected && may_ack(shard.durability, p, a, t))
        };
        let acked = shard.primary.as_ref() == Some(&tablet)
            || self.vitess.tablet(&key.cluster, &tablet).is_some_and(|t| acks(&tablet, t));
        let others = || self.vitess.tablets_of(&key).filter(|(a, _)| **a != tablet);
        // What fell silent a moment ago nobody can have been told: not yet down.
        let fresh = |t: &Tablet| t.reach && !self.answers(t);
        let silent = |a: &TabletAlias, t: &Tablet| {
            let of = shard.primary.as_ref().filter(|p| t.source.as_ref() == Some(p));
            fresh(t) && of.is_some_and(|p| may_ack(shard.durability, p, a, t))
        };
        let ackers_left = others().filter(|(a, t)| acks(a, t) || silent(a, t)).count();
        let well = |t: &Tablet| t.serves() && self.answers(t);
        let leaving = |t: &Tablet| self.journal.leaving.contains(&t.run);
        let down = others().filter(|(_, t)| leaving(t) || !(fresh(t) || well(t))).count();
        let required = if shard.primary.is_some() { acks_required(shard.durability) } else { 0 };
        let shard = key.clone();
        Some(Deed::TabletPodDeleted {
            at: self.now,
            shard,
            tablet,
            down,
            ackers_left,
            required,
            acked,
            served,
        })
    }

    fn claim_deed(&self, claim: &Value, gone: bool) -> Option<Deed> {
        if gone {
            return None;
        }
        let volume = text(claim, "/spec/volumeName");
        let data = self.vitess.data.get(volume)?;
        let shard = data.home.clone()?;
        let told = |s: &Shard| {
            let mut told = s.acked.clone();
            told.union_with(&s.strays);
            told
        };
        let told = self.vitess.shard(&shard).map(told).unwrap_or_default();
        let here = told.minus(&told.minus(&data.position));
        let mut elsewhere = GtidSet::default();
        for (other, kept) in &self.vitess.data {
            if other != volume && kept.home.as_ref() == Some(&shard) && !self.is_doomed(other) {
                elsewhere.union_with(&kept.position);
            }
        }
        for stored in self.backups_of(&shard).filter(|b| b.view.verified.is_some()) {
            elsewhere.union_with(&stored.view.position);
        }
        let lost = here.minus(&elsewhere);
        let wanted = self.is_wanted(claim);
        let tablet = self.vitess.tablets_of(&shard).find(|(_, t)| t.data == volume);
        let errant = tablet.is_some_and(|(alias, _)| !self.errant_of(&shard, alias).is_empty());
        let (at, claim) = (self.now, name_of(claim));
        Some(Deed::ClaimDeleted { at, claim, shard: Some(shard), lost, wanted, errant })
    }

    /// Whether a VitessShard that lives asks for a claim's tablet: by labels, since nobody need own a claim.
    fn is_wanted(&self, claim: &Value) -> bool {
        let same = |shard: &Value, key: &str| label(shard, key) == label(claim, key);
        let of_claim = |shard: &Value| {
            text(shard, "/metadata/namespace") == text(claim, "/metadata/namespace")
                && ["cluster", "keyspace", "shard"]
                    .iter()
                    .all(|l| same(shard, &format!("planetscale.com/{l}")))
        };
        let index = label(claim, "planetscale.com/tablet-index").parse::<i64>();
        let asks = |pool: &Value| {
            text(pool, "/cell") == label(claim, "planetscale.com/cell")
                && text(pool, "/type") == label(claim, "planetscale.com/tablet-type")
                && index.as_ref().is_ok_and(|i| *i <= number(pool, "/replicas").unwrap_or(0))
        };
        let shards = self.objects.all(&SHARDS);
        let living = shards.iter().filter(|shard| of_claim(shard) && !super::objects::terminating(shard));
        living.flat_map(|shard| array(shard, "/spec/tabletPools")).any(asks)
    }

    /// Whether a volume's claim is on its way out.
    fn is_doomed(&self, volume: &str) -> bool {
        let claims = self.objects.all(&crate::apiserver::kinds::CLAIMS);
        let found = claims.iter().find(|c| text(c, "/spec/volumeName") == volume);
        found.is_none_or(|c| super::objects::terminating(c))
    }
}
