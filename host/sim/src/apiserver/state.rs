//! Everything the server holds, under one lock.

use std::sync::Arc;

use serde_json::Value;

use super::counters::Counters;
use super::definition;
use super::kinds::{self, Kinds, ObjectKey};
use super::metadata::Seeded;
use super::store::{Store, Stored};
use crate::clock::Clock;

pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) seeded: Seeded,
    pub(crate) kinds: Kinds,
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    /// The next Service address and node port to try.
    pub(crate) next_address: u32,
    pub(crate) next_port: u32,
    /// The garbage collector has seen everything up to here.
    pub(crate) collected: u64,
    /// No event expires before this time.
    pub(crate) events_expire_from: i64,
    /// Automatic compaction: the window, and (when it was last looked at, the newest resourceVersion then).
    history_ms: Option<i64>,
    history_mark: (i64, u64),
}

impl State {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        let kinds = Kinds::builtin();
        let mut store = Store::new();
        for kind in kinds.all() {
            store.add_kind(&kind.stored);
        }
        let history_mark = (clock.now_ms(), store.rv());
        Self {
            clock,
            seeded: Seeded::new(seed),
            kinds,
            store,
            counters: Counters::default(),
            next_address: 10,
            next_port: 0,
            collected: 0,
            events_expire_from: i64::MIN,
            history_ms: None,
            history_mark,
        }
    }

    /// Commits a new state.
    pub(crate) fn commit(&mut self, key: &ObjectKey, object: Value) -> Arc<Stored> {
        self.count_write(key);
        let stored = self.store.put(key, object);
        if key.kind == kinds::DEFINITIONS {
            definition::installed(self, &stored.value);
        }
        stored
    }

    /// Commits the end of an object.
    pub(crate) fn commit_removal(&mut self, key: &ObjectKey, last: Value) -> Arc<Stored> {
        self.count_write(key);
        let stored = self.store.remove(key, last);
        if key.kind == kinds::DEFINITIONS {
            definition::removed(self, &stored.value);
        }
        stored
    }

    fn count_write(&mut self, key: &ObjectKey) {
        let name = if key.kind.group.is_empty() {
            key.kind.resource.to_string()
        } else {
            format!("{}.{}", key.kind.resource, key.kind.group)
        };
        *self.counters.writes.entry(name).or_default() += 1;
        self.forget_old_history();
    }

    pub(crate) fn keep_history(&mut self, window_ms: Option<i64>) {
        self.history_ms = window_ms;
        self.history_mark = (self.clock.now_ms(), self.store.rv());
    }

    /// Once a window, forgets what was already history at the last look, as the real server's compactor does.
    fn forget_old_history(&mut self) {
        let Some(window) = self.history_ms else { return };
        let now = self.clock.now_ms();
        if now - self.history_mark.0 >= window {
            let rv = self.history_mark.1;
            self.history_mark = (now, self.store.rv());
            self.store.compact(rv);
        }
    }
}
