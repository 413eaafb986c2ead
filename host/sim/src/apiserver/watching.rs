//! WATCH: a stream of JSON lines, from a resourceVersion on.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use super::ApiServer;
use super::kinds::Kind;
use super::read::{self, Selection};
use super::render::{Form, Rendering};
use super::request::Query;
use super::selector::LabelSelector;
use super::state::State;
use super::status::{Cause, Status};
use super::store::{Change, ChangeKind, Stored};

/// Shortest time a watch without `timeoutSeconds` lives, as in the real server; the longest is twice that.
const MIN_TIMEOUT_SECONDS: u64 = 1800;
/// A watch's one bookmark comes this long before its end. The real server sends more, about one a
/// minute, but promises none of them: clients that need them are caught here.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// An open watch.
pub(crate) struct Watch {
    server: ApiServer,
    kind: Arc<Kind>,
    version: String,
    form: Form,
    selection: Selection,
    wake: watch::Receiver<u64>,
    /// Everything up to here was told.
    cursor: u64,
    /// Whether the history was looked at, which may no longer reach back to the cursor.
    looked: bool,
    ready: Vec<u8>,
    headers_sent: bool,
    deadline: Instant,
    bookmark: Option<Instant>,
    over: bool,
}

fn forbid(field: &str, why: &str) -> Status {
    Status::invalid_named("ListOptions.meta.k8s.io", "", vec![Cause::forbidden(field, why)])
}

/// Which initial events a watch begins with.
struct Start {
    initial: bool,
    end_mark: bool,
    from: Option<u64>,
}

fn start_of(state: &State, query: &Query) -> Result<Start, Status> {
    let asked = read::version_asked(query)?;
    let rule = query.text("resourceVersionMatch");
    let list_wanted = match query.text("sendInitialEvents") {
        "" => None,
        _ => Some(query.flag("sendInitialEvents")),
    };
    if !query.text("continue").is_empty() {
        return Err(forbid("continue", "continue is forbidden for watch"));
    }
    match list_wanted {
        None if !rule.is_empty() => {
            return Err(forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        Some(_) if rule != "NotOlderThan" => {
            return Err(forbid(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        _ => {}
    }
    let newest = state.store.rv();
    if let Some(rv) = asked.filter(|rv| list_wanted == Some(true) && *rv > newest) {
        return Err(Status::too_large_version(rv, newest));
    }
    let unset = asked.unwrap_or(0) == 0;
    let initial = list_wanted.unwrap_or(unset);
    let bookmarks = query.flag("allowWatchBookmarks");
    Ok(Start {
        initial,
        end_mark: list_wanted == Some(true) && bookmarks,
        from: if unset || initial { None } else { asked },
    })
}

/// Refuses a watch's options before its selectors are looked at.
pub(crate) fn check_options(state: &State, query: &Query) -> Result<(), Status> {
    LabelSelector::parse(query.text("labelSelector"))?;
    start_of(state, query).map(drop)
}

impl Watch {
    /// Opens a watch; initial events are read now.
    pub(crate) fn open(
        server: &ApiServer,
        state: &mut State,
        kind: &Arc<Kind>,
        version: &str,
        form: Form,
        selection: Selection,
        query: &Query,
    ) -> Result<Self, Status> {
        let start = start_of(state, query)?;
        let timeout = match query.number("timeoutSeconds")? {
            Some(seconds) if seconds > 0 => seconds,
            _ => MIN_TIMEOUT_SECONDS + state.seeded.below(MIN_TIMEOUT_SECONDS),
        };
        let now = Instant::now();
        let deadline = now + Duration::from_secs(timeout);
        let wake = state.store.shelf(&kind.stored).ok_or_else(Status::no_such_path)?.waker();
        state.counters.watches_opened += 1;
        let mut watch = Self {
            server: server.clone(),
            kind: Arc::clone(kind),
            version: version.to_owned(),
            form,
            selection,
            wake,
            cursor: start.from.unwrap_or(state.store.rv()),
            looked: false,
            ready: Vec::new(),
            headers_sent: false,
            deadline,
            bookmark: deadline
                .checked_sub(BOOKMARK_BEFORE_END)
                .filter(|at| query.flag("allowWatchBookmarks") && *at > now),
            over: false,
        };
        if start.initial {
            watch.tell_all(state);
        }
        if start.end_mark {
            watch.tell_bookmark(state.store.rv(), true);
        }
        Ok(watch)
    }

    fn tell_all(&mut self, state: &State) {
        let Some(shelf) = state.store.shelf(&self.kind.stored) else { return };
        let now_ms = state.clock.now_ms();
        for ((namespace, _), stored) in &shelf.objects {
            if self.selection.matches(namespace, &stored.value) {
                self.tell("ADDED", stored, now_ms);
            }
        }
    }

    fn tell(&mut self, what: &str, stored: &Stored, now_ms: i64) {
        let rendering = Rendering { kind: &self.kind, version: &self.version, form: self.form, now_ms };
        self.ready.extend_from_slice(b"{\"type\":\"");
        self.ready.extend_from_slice(what.as_bytes());
        self.ready.extend_from_slice(b"\",\"object\":");
        if matches!(self.form, Form::Table(_)) && self.headers_sent {
            self.ready.extend_from_slice(rendering.object_value(stored, false).to_string().as_bytes());
        } else {
            self.ready.extend_from_slice(&rendering.object(stored));
            self.headers_sent = true;
        }
        self.ready.extend_from_slice(b"}\n");
    }

    fn tell_bookmark(&mut self, rv: u64, initial_end: bool) {
        let rendering = Rendering { kind: &self.kind, version: &self.version, form: self.form, now_ms: 0 };
        let bookmark = rendering.bookmark(rv, initial_end);
        self.ready.extend_from_slice(format!("{{\"type\":\"BOOKMARK\",\"object\":{bookmark}}}\n").as_bytes());
    }

    fn tell_error(&mut self, status: &Status) {
        let event = json!({ "type": "ERROR", "object": status.to_value() });
        self.ready.extend_from_slice(event.to_string().as_bytes());
        self.ready.push(b'\n');
        self.over = true;
    }

    /// Tells what happened since the cursor; mostly that is nothing of this kind.
    fn catch_up(&mut self) {
        let server = self.server.clone();
        let state = server.lock();
        let newest = state.store.rv();
        if *self.wake.borrow_and_update() <= self.cursor && self.looked {
            self.cursor = newest;
            return;
        }
        self.looked = true;
        if self.cursor < state.store.compacted() {
            let message = format!("too old resource version: {} ({})", self.cursor, state.store.compacted());
            self.tell_error(&Status::expired(message));
            return;
        }
        let Some(shelf) = state.store.shelf(&self.kind.stored) else {
            self.over = true;
            return;
        };
        let now_ms = state.clock.now_ms();
        for change in shelf.changes_since(self.cursor) {
            self.tell_change(change, now_ms);
        }
        self.cursor = self.cursor.max(newest);
    }

    fn tell_change(&mut self, change: &Change, now_ms: i64) {
        let namespace = &change.key.namespace;
        let now =
            change.what != ChangeKind::Deleted && self.selection.matches(namespace, &change.object.value);
        let before =
            change.previous.as_ref().is_some_and(|old| self.selection.matches(namespace, &old.value));
        match (before, now) {
            (false, true) => self.tell("ADDED", &change.object, now_ms),
            (true, true) => self.tell("MODIFIED", &change.object, now_ms),
            (true, false) if change.what == ChangeKind::Deleted => {
                self.tell("DELETED", &change.object, now_ms)
            }
            (true, false) => {
                // It left the selection: its last selected state, under the change's resourceVersion.
                if let Some(old) = &change.previous {
                    let mut value = (*old.value).clone();
                    value["metadata"]["resourceVersion"] = json!(change.rv.to_string());
                    self.tell("DELETED", &Stored::new(value, change.rv), now_ms);
                }
            }
            (false, false) => {}
        }
    }

    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.over {
                self.catch_up();
            }
            if !self.ready.is_empty() {
                return Some(Bytes::from(std::mem::take(&mut self.ready)));
            }
            if self.over {
                return None;
            }
            let until = self.bookmark.map_or(self.deadline, |bookmark| bookmark.min(self.deadline));
            tokio::select! {
                biased;
                changed = self.wake.changed() => {
                    // The kind is gone.
                    if changed.is_err() {
                        self.over = true;
                    }
                }
                () = sleep_until(until) => self.at_time(),
            }
        }
    }

    fn at_time(&mut self) {
        let now = Instant::now();
        if self.bookmark.is_some_and(|bookmark| bookmark <= now) {
            self.catch_up();
            if !self.over {
                self.tell_bookmark(self.cursor, false);
            }
            self.bookmark = None;
        }
        if self.deadline <= now {
            self.over = true;
        }
    }

    /// The watch as a stream of JSON lines.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut watch| async move { watch.next().await.map(|lines| (lines, watch)) })
    }
}
