//! Which volumes grow now, by how much, and what stands in the way of the others.
//!
//! Owns the order of urgency and every bound: the class, the provider's rule,
//! the maximum, the budget. Never shrinks. Must not know how a volume grows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pilothouse_sdk::expansion::{Action, Growth};
use pilothouse_sdk::time::utc;
use pilothouse_sdk::types::VolumeExpectation;
use pilothouse_sdk::{Diagnostic, Expectation, Severity, Step, Value, View, Volume, Wanted, ZoneState};

use crate::config::{Config, GIB};
use crate::need::{Need, enough, need, next_look_ms, shown, wanted};
use crate::rate::allowed_at;

/// What the policy answers.
pub type Decision = pilothouse_sdk::Decision<Action>;

/// A step that was not taken by then is decided anew.
const TTL_MS: u64 = 600_000;
/// A change that takes longer may be stuck: usually the new size is there within minutes.
const LONG_CHANGE_MS: u64 = 3_600_000;
/// The cluster's fact that bounds what all its volumes together may ask for: the host's own budget.
const BUDGET_FACT: &str = "volumeBudgetBytes";
/// A shorter rest than this would gain nothing: a growth takes minutes.
const SHORTEST_REST_MS: u64 = 60_000;

/// The policy: the soonest full first, then the replicas that hold the same data.
#[must_use]
pub fn decide(view: &View<'_>, config: &Config) -> Decision {
    let mut needy: Vec<(&Volume, Need)> =
        view.volumes().iter().filter_map(|v| Some((v, need(v, config)?))).collect();
    needy.sort_by(|(a, x), (b, y)| {
        let rank = |need: &Need| (need.full_in_ms.unwrap_or(u64::MAX), Reverse(need.used_permille));
        rank(x).cmp(&rank(y)).then_with(|| a.claim.cmp(&b.claim))
    });

    let mut round = Round::new(view, config);
    let mut leaders: BTreeMap<String, Leader<'_>> = BTreeMap::new();
    for (volume, need) in &needy {
        let group = group_of(view, volume).filter(|_| config.even_out);
        let at_least = group.as_ref().and_then(|g| leaders.get(g)).map_or(0, |leader| leader.to);
        if let (Some(to), Some(group)) = (round.grow_needy(volume, need, at_least), group)
            && to > at_least
        {
            leaders.insert(group, Leader { claim: &volume.claim, to });
        }
    }
    let needing: BTreeSet<&str> = needy.iter().map(|(volume, _)| volume.claim.as_str()).collect();
    for volume in view.volumes().iter().filter(|v| !needing.contains(v.claim.as_str())) {
        let group = if leaders.is_empty() { None } else { group_of(view, volume) };
        let leader = group.and_then(|g| leaders.get(&g));
        match leader.filter(|leader| leader.to > volume.requested) {
            Some(leader) => round.grow_peer(volume, leader),
            None => round.look_again(next_look_ms(volume, config)),
        }
    }
    round.decision
}

/// Shard, pool type and pool name: volumes of one group hold the same data. Absent when its
/// use is not known, its tablet is not known or not wanted any more, or its zone is lost.
fn group_of(view: &View<'_>, volume: &Volume) -> Option<String> {
    volume.used?;
    let tablet = view.tablet(&volume.tablet)?;
    let stays = tablet.wanted != Wanted::No && tablet.zone_state != ZoneState::Lost;
    stays.then(|| format!("{} {} {}", tablet.shard, tablet.pool.pool_type.as_str(), tablet.pool.name))
}

/// The volume of a group that grows the most now.
struct Leader<'a> {
    claim: &'a str,
    to: u64,
}

/// Why a volume cannot grow as it should.
struct Bar {
    code: &'static str,
    severity: Severity,
    message: String,
}

/// One decision in the making.
struct Round<'a> {
    as_of: u64,
    config: &'a Config,
    /// Bytes that all volumes may ask for.
    budget: Option<u64>,
    /// Bytes that the budget still has; absent without a budget.
    left: Option<u64>,
    decision: Decision,
}

impl<'a> Round<'a> {
    fn new(view: &View<'_>, config: &'a Config) -> Self {
        let asked = view.volumes().iter().fold(0, |sum: u64, volume| sum.saturating_add(volume.requested));
        let of_host = match view.fact("cluster", BUDGET_FACT) {
            Some(Value::Integer(bytes)) => Some(u64::try_from(bytes).unwrap_or(0)),
            Some(Value::Text(_) | Value::Flag(_)) | None => None,
        };
        let budget = config.budget_bytes.into_iter().chain(of_host).min();
        let left = budget.map(|budget| budget.saturating_sub(asked));
        Self { as_of: view.as_of, config, budget, left, decision: Decision::default() }
    }

    /// Grows a volume that has to, where it can to no less than its peer; answers its new size if it may.
    fn grow_needy(&mut self, volume: &Volume, need: &Need, at_least: u64) -> Option<u64> {
        if let Some(bar) = self.barred(volume, Some(need)) {
            self.say(volume, bar);
            return None;
        }
        let (ceiling, affordable) = (self.ceiling(volume), self.affordable(volume));
        let wanted = wanted(volume, self.config, self.as_of).max(at_least);
        let to = wanted.min(ceiling).min(affordable);
        if affordable < wanted.min(ceiling) {
            self.say(volume, budget_bar(self.budget, Severity::Warning));
        } else if ceiling < enough(volume, self.config, self.as_of) {
            self.say(volume, maximum_bar(ceiling, Severity::Warning));
        }
        if to <= volume.requested {
            return None;
        }
        self.grow(volume, to, need.code, need.message.clone());
        Some(to)
    }

    /// Grows a volume so that it keeps up with a peer, which holds the same data.
    fn grow_peer(&mut self, volume: &Volume, leader: &Leader<'_>) {
        if let Some(bar) = self.barred(volume, None) {
            self.say(volume, bar);
            return;
        }
        let to = leader.to.min(self.ceiling(volume));
        if to > self.affordable(volume) {
            self.say(volume, budget_bar(self.budget, Severity::Info));
        } else {
            let message = format!("{}, with the same data, grows to {}.", leader.claim, shown(leader.to));
            self.grow(volume, to, "even-with-peer", message);
        }
    }

    /// What forbids any growth now. Where nothing but evenness asks for it, that is only good to know.
    fn barred(&mut self, volume: &Volume, need: Option<&Need>) -> Option<Bar> {
        let severity = if need.is_some() { Severity::Warning } else { Severity::Info };
        if !volume.expandable {
            let message = "It should grow, but its class does not allow expansion.".to_owned();
            return Some(Bar { code: "VolumeNotExpandable", severity, message });
        }
        let ceiling = self.ceiling(volume);
        if ceiling <= volume.requested {
            return Some(maximum_bar(ceiling, severity));
        }
        if volume.capacity < volume.requested {
            return Some(self.incomplete(volume));
        }
        let allowed = allowed_at(&volume.changes);
        let wait = allowed.checked_sub(self.as_of).filter(|&wait| wait > 0)?;
        self.look_again(Some(wait));
        let too_late = need.and_then(|n| n.full_in_ms).is_some_and(|full| full < wait);
        let severity = if too_late { Severity::Error } else { severity };
        let fear = if too_late { ", and at this rate it is full before" } else { "" };
        let message =
            format!("It should grow, but the provider allows no change before {}{fear}.", utc(allowed));
        Some(Bar { code: "ExpansionRateLimited", severity, message })
    }

    /// A change that is under way: only when it takes long somebody should look at it.
    fn incomplete(&mut self, volume: &Volume) -> Bar {
        let late = volume.changes.iter().max().map_or(0, |began| began.saturating_add(LONG_CHANGE_MS));
        self.look_again(late.checked_sub(self.as_of).filter(|&wait| wait > 0));
        let severity = if late > self.as_of { Severity::Info } else { Severity::Warning };
        let message =
            format!("Its change to {} is not complete; another has to wait for it.", shown(volume.requested));
        Bar { code: "ExpansionIncomplete", severity, message }
    }

    /// The most that the volume may have, in whole GiB.
    fn ceiling(&self, volume: &Volume) -> u64 {
        let own = volume.maximum.unwrap_or(u64::MAX);
        own.min(self.config.maximum_bytes.unwrap_or(u64::MAX)) / GIB * GIB
    }

    /// The most that the volume may have for what is left of the budget, in whole GiB.
    fn affordable(&self, volume: &Volume) -> u64 {
        self.left.map_or(u64::MAX, |left| volume.requested.saturating_add(left) / GIB * GIB)
    }

    fn grow(&mut self, volume: &Volume, to: u64, code: &str, message: String) {
        let (claim, from) = (volume.claim.clone(), volume.requested);
        self.left = self.left.map(|left| left.saturating_sub(to - from));
        let expect = VolumeExpectation { claim: claim.clone(), bytes: from };
        let step = Step::new(Action::ExpandVolume(Growth { claim, from, to }), code, message);
        self.decision.propose(step.expecting(Expectation::VolumeRequest(expect)).living(TTL_MS));
    }

    fn say(&mut self, volume: &Volume, bar: Bar) {
        let (code, subject) = (bar.code.to_owned(), volume.claim.clone());
        self.decision.diagnostics.push(Diagnostic {
            severity: bar.severity,
            code,
            message: bar.message,
            subject,
        });
    }

    fn look_again(&mut self, after_ms: Option<u64>) {
        if let Some(ms) = after_ms {
            self.decision.again_in(ms.max(SHORTEST_REST_MS));
        }
    }
}

fn maximum_bar(ceiling: u64, severity: Severity) -> Bar {
    let message = format!("It should grow beyond {}, the most that it may have.", shown(ceiling));
    Bar { code: "VolumeAtMaximum", severity, message }
}

fn budget_bar(budget: Option<u64>, severity: Severity) -> Bar {
    let budget = shown(budget.unwrap_or(u64::MAX));
    let message = format!("It should grow more than the budget of {budget} for all volumes allows.");
    Bar { code: "BudgetExhausted", severity, message }
}
