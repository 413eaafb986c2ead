//! How a parent lets changes through to its children.

use std::collections::BTreeSet;

use pilothouse_api::labels::annotations;
use pilothouse_api::update_strategy::{UpdateStrategy, UpdateStrategyType};
use pilothouse_core::rollout::Strategy;

use crate::cache::{Cached, Typed};
use crate::kinds::Kind;

/// A parent, as far as its children's changes depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Above {
    /// What it is.
    pub(super) kind: Kind,
    /// Whether changes that restart something wait below it.
    pub(super) strategy: Strategy,
    /// Whether it, or something above it, cascades.
    pub(super) cascading: bool,
}

impl Above {
    /// Kinds without a strategy of their own leave it to whoever released a change to them.
    pub(super) fn of(kind: Kind, object: &Cached, inherited: bool) -> Self {
        let chosen = match object.typed() {
            Typed::Cluster(cluster) => Some(&cluster.spec.update_strategy),
            Typed::Keyspace(keyspace) => Some(&keyspace.spec.update_strategy),
            Typed::Shard(shard) => Some(&shard.object.spec.update_strategy),
            Typed::Cell(_)
            | Typed::Lockserver(_)
            | Typed::Storage(_)
            | Typed::Schedule(_)
            | Typed::Raw
            | Typed::Unreadable(_) => None,
        };
        let strategy = match chosen.map(|strategy| UpdateStrategy::effective(strategy.as_ref())) {
            Some(UpdateStrategyType::Immediate) => Strategy::Immediate,
            Some(UpdateStrategyType::External) | None => Strategy::External,
        };
        Self { kind, strategy, cascading: inherited || is_annotated(object) }
    }

    /// Whether changes of a child of that kind can wait here.
    pub(super) fn holds(self, child: Kind) -> bool {
        // a Pod is replaced one at a time, whoever releases it
        let waits = self.strategy == Strategy::External || child == Kind::Pod;
        waits && crate::rollout::can_wait(self.kind, child)
    }
}

/// Whether somebody asked it to cascade.
pub(super) fn is_annotated(object: &Cached) -> bool {
    object.annotation(annotations::ROLLOUT_CASCADE).is_some()
}

/// Whom a cascade has reached, while parents are gone through before their children.
pub(super) type Reached = BTreeSet<(Kind, String)>;
