//! A random sequence of requests over a few kinds and names.
//!
//! Owns how often what is asked. Must not know any answer: it refers to them.

use serde_json::{Value, json};

use crate::draws::Draws;
use crate::script::{Body, Part, Request};
use crate::vocabulary::Kind;

const NAMES: [&str; 3] = ["a", "b", "c"];
const MANAGERS: [&str; 3] = ["one", "two", "three"];
const LABELS: [&str; 10] = [
    "app=one",
    "app!=one",
    "app in (one,two)",
    "app notin (one)",
    "tier",
    "!tier",
    "app=two,tier=back",
    "app==one",
    "a=b=c",
    "app in one",
];
/// Watches at the end of a sequence, at the same time: each takes its whole second.
pub(super) const WATCHES: usize = 4;

/// Lists of whoever has been away.
const AFTER_ABSENCE: usize = 12;

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// How a scale subresource is asked.
const SCALINGS: [(usize, (&str, &str)); 5] = [
    (6, ("GET", JSON)),
    (4, ("PUT", JSON)),
    (4, ("PATCH", MERGE_PATCH)),
    (2, ("PATCH", JSON_PATCH)),
    (1, ("PATCH", APPLY)),
];
/// What it is asked for; `None` is no number.
const REPLICAS: [(usize, Option<i64>); 4] = [(6, Some(4)), (3, Some(0)), (1, Some(-1)), (1, None)];

#[derive(Debug, Clone, Copy)]
enum Verb {
    Create,
    Generate,
    Get,
    List,
    GoOn,
    Update,
    Overwrite,
    Merge,
    Json,
    Strategic,
    Apply,
    Delete,
    DeleteAll,
    Status,
    Scale,
}

const VERBS: [(usize, Verb); 15] = [
    (16, Verb::Create),
    (2, Verb::Generate),
    (5, Verb::Get),
    (8, Verb::List),
    (3, Verb::GoOn),
    (10, Verb::Update),
    (4, Verb::Overwrite),
    (9, Verb::Merge),
    (8, Verb::Json),
    (4, Verb::Strategic),
    (20, Verb::Apply),
    (7, Verb::Delete),
    (1, Verb::DeleteAll),
    (9, Verb::Status),
    (7, Verb::Scale),
];

/// A sequence while it is made.
struct Making<'a> {
    draws: Draws,
    kinds: Vec<&'a Kind>,
    done: Vec<Request>,
}

/// `length` requests and the watches after them.
pub(super) fn sequence(seed: u64, vocabulary: &[Kind], length: usize) -> Vec<Request> {
    let mut draws = Draws::new(seed);
    let kinds = (0..2).map(|_| draws.pick(vocabulary)).collect();
    let mut making = Making { draws, kinds, done: Vec::new() };
    for _ in 0..length {
        making.one();
    }
    for _ in 0..WATCHES {
        making.watch();
    }
    making.done
}

/// What a client asks that has been away while the history was forgotten: to go on with lists, to see old ones again,
/// and what happened since. `done` is what it did before.
pub(super) fn after_absence(seed: u64, vocabulary: &[Kind], done: Vec<Request>) -> Vec<Request> {
    let before = done.len();
    let mut draws = Draws::new(seed);
    let kinds = (0..2).map(|_| draws.pick(vocabulary)).collect();
    let mut making = Making { draws, kinds, done };
    for _ in 0..AFTER_ABSENCE {
        let kind = *making.draws.pick(&making.kinds);
        let request = if making.draws.chance(50) { making.gone_on(kind) } else { making.listed_again(kind) };
        making.done.push(request);
    }
    for _ in 0..WATCHES {
        making.watch();
    }
    making.done.split_off(before)
}

/// The patch laid on the value, as RFC 7396 says.
pub(super) fn merged(mut value: Value, patch: &Value) -> Value {
    json_merge(&mut value, patch);
    value
}

fn json_merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, child) in patch {
        match (child, value.as_object_mut()) {
            (Value::Null, Some(map)) => drop(map.remove(name)),
            (_, Some(map)) => json_merge(map.entry(name.clone()).or_insert(Value::Null), child),
            (_, None) => {}
        }
    }
}

impl Making<'_> {
    fn one(&mut self) {
        let kind = *self.draws.pick(&self.kinds);
        let verb = self.draws.weighed(&VERBS);
        let request = self.request(kind, verb);
        self.done.push(request);
    }

    fn request(&mut self, kind: &Kind, verb: Verb) -> Request {
        match verb {
            Verb::Create => {
                let name = json!({ "metadata": { "name": self.name() } });
                let object = merged(self.object(kind), &name);
                self.posted(kind, object)
            }
            Verb::Generate => {
                // A base of its own, so that the order of names is the same on both servers.
                let base = format!("made-{}-", self.done.len());
                let object = self.object(kind);
                self.posted(kind, merged(object, &json!({ "metadata": { "generateName": base } })))
            }
            Verb::Get => self.got(kind),
            Verb::List => self.listed(kind),
            Verb::GoOn => self.gone_on(kind),
            Verb::Update => self.updated(kind, None),
            Verb::Overwrite => self.overwritten(kind),
            Verb::Merge => self.patched(kind, MERGE_PATCH, None),
            Verb::Json => self.patched(kind, JSON_PATCH, None),
            Verb::Strategic => self.patched(kind, STRATEGIC_PATCH, None),
            Verb::Apply => self.applied(kind, None),
            Verb::Delete => self.deleted(kind),
            Verb::DeleteAll => self.all_deleted(kind),
            Verb::Status => match self.draws.below(4) {
                0 => self.updated(kind, Some("status")),
                1 => self.patched(kind, MERGE_PATCH, Some("status")),
                2 => self.patched(kind, JSON_PATCH, Some("status")),
                _ => self.applied(kind, Some("status")),
            },
            Verb::Scale if kind.scale => self.scaled(kind),
            Verb::Scale => self.got(kind),
        }
    }

    fn bare(&self, kind: &Kind, method: &'static str) -> Request {
        Request {
            id: self.done.len(),
            method,
            path: kind.path.clone(),
            resource: kind.resource.clone(),
            kind: kind.kind.clone(),
            name: None,
            subresource: None,
            query: Vec::new(),
            media_type: JSON,
            body: Body::Nothing,
        }
    }

    /// Mostly one of three; now and then one that was generated, or that no object can have.
    fn name(&mut self) -> String {
        let generated: Vec<usize> = self.done.iter().filter(|r| r.is_generated()).map(|r| r.id).collect();
        if !generated.is_empty() && self.draws.chance(5) {
            return Part::Name.of(*self.draws.pick(&generated));
        }
        if self.draws.chance(1) {
            return "Bad_Name".to_owned();
        }
        (*self.draws.pick(&NAMES)).to_owned()
    }

    fn object(&mut self, kind: &Kind) -> Value {
        let mut object = self.draws.pick(&kind.objects).clone();
        while self.draws.chance(25) {
            object = merged(object, self.draws.pick(&kind.patches));
        }
        object
    }

    fn patch(&mut self, kind: &Kind, subresource: Option<&str>) -> Value {
        let of_status = subresource == Some("status") && !kind.statuses.is_empty();
        self.draws.pick(if of_status { &kind.statuses } else { &kind.patches }).clone()
    }

    /// An earlier request on this kind, most likely a late one: the objects that it tells of are still there.
    fn earlier(&mut self, kind: &Kind, fits: impl Fn(&Request) -> bool) -> Option<Request> {
        let found: Vec<&Request> =
            self.done.iter().filter(|r| r.resource == kind.resource && fits(r)).collect();
        if found.is_empty() {
            return None;
        }
        let back = self.draws.below(found.len()).min(self.draws.below(found.len()));
        found.get(found.len() - 1 - back).map(|r| (*r).clone())
    }

    fn write_options(&mut self, request: &mut Request) {
        let validation = [(80, ""), (10, "Strict"), (4, "Warn"), (4, "Ignore"), (1, "Other")];
        match self.draws.weighed(&validation) {
            "" => {}
            rule => request.query.push(("fieldValidation", rule.to_owned())),
        }
        match self.draws.below(60) {
            0..3 => request.query.push(("dryRun", "All".to_owned())),
            3 => request.query.push(("dryRun", "Some".to_owned())),
            _ => {}
        }
        if self.draws.chance(90) || request.media_type == APPLY {
            request.query.push(("fieldManager", (*self.draws.pick(&MANAGERS)).to_owned()));
        }
    }

    fn posted(&mut self, kind: &Kind, object: Value) -> Request {
        let mut request = self.bare(kind, "POST");
        self.write_options(&mut request);
        let head = json!({ "apiVersion": kind.api_version(), "kind": kind.kind });
        request.body = Body::Json(if self.draws.chance(95) { merged(head, &object) } else { object });
        request
    }

    fn got(&mut self, kind: &Kind) -> Request {
        let mut request = self.bare(kind, "GET");
        request.name = Some(self.name());
        if self.draws.chance(20) && kind.status {
            request.subresource = Some("status");
        }
        request
    }

    fn selected(&mut self, kind: &Kind, request: &mut Request) {
        if self.draws.chance(40) {
            request.query.push(("labelSelector", (*self.draws.pick(&LABELS)).to_owned()));
        }
        if self.draws.chance(25) {
            request.query.push(("fieldSelector", self.draws.pick(&kind.fields).clone()));
        }
    }

    fn listed(&mut self, kind: &Kind) -> Request {
        let mut request = self.bare(kind, "GET");
        self.selected(kind, &mut request);
        if self.draws.chance(40) {
            request.query.push(("limit", (1 + self.draws.below(3)).to_string()));
        }
        if self.draws.chance(20) {
            let rules = [(6, ""), (3, "Exact"), (3, "NotOlderThan"), (1, "Other")];
            let earlier = self.earlier(kind, |r| r.name.is_some());
            let version = earlier.map_or("0".to_owned(), |r| Part::Version.of(r.id));
            request.query.push(("resourceVersion", version));
            match self.draws.weighed(&rules) {
                "" => {}
                rule => request.query.push(("resourceVersionMatch", rule.to_owned())),
            }
        }
        request
    }

    /// As it was, or at least as new, after an earlier answer.
    fn listed_again(&mut self, kind: &Kind) -> Request {
        let mut request = self.bare(kind, "GET");
        self.selected(kind, &mut request);
        let earlier = self.earlier(kind, |r| r.name.is_some() || r.method == "POST");
        let version = earlier.map_or("0".to_owned(), |r| Part::Version.of(r.id));
        request.query.push(("resourceVersion", version));
        match self.draws.weighed(&[(4, "Exact"), (1, "NotOlderThan"), (2, "")]) {
            "" => request.query.push(("limit", "2".to_owned())),
            rule => request.query.push(("resourceVersionMatch", rule.to_owned())),
        }
        request
    }

    /// The next page of an earlier list; where there was none, a list.
    fn gone_on(&mut self, kind: &Kind) -> Request {
        let paged = |r: &Request| r.is_list() && r.query.iter().any(|(key, _)| *key == "limit");
        let Some(before) = self.earlier(kind, paged) else { return self.listed(kind) };
        let mut request = self.bare(kind, "GET");
        let kept = |key: &str| matches!(key, "labelSelector" | "fieldSelector" | "limit");
        request.query = before.query.into_iter().filter(|(key, _)| kept(key)).collect();
        request.query.push(("continue", Part::Continue.of(before.id)));
        request
    }

    fn updated(&mut self, kind: &Kind, subresource: Option<&'static str>) -> Request {
        let named = |r: &Request| r.name.is_some() && r.method != "DELETE" && r.subresource != Some("scale");
        let Some(earlier) = self.earlier(kind, |r| named(r) || r.method == "POST") else {
            return self.overwritten(kind);
        };
        let mut request = self.bare(kind, "PUT");
        request.name = Some(earlier.name.clone().unwrap_or_else(|| Part::Name.of(earlier.id)));
        request.subresource = subresource;
        self.write_options(&mut request);
        let mut merge = if self.draws.chance(85) { self.patch(kind, subresource) } else { json!({}) };
        if self.draws.chance(15) {
            merge["metadata"]["resourceVersion"] = Value::Null;
        }
        request.body = Body::Answer { of: earlier.id, merge };
        request
    }

    /// An object that nobody read before.
    fn overwritten(&mut self, kind: &Kind) -> Request {
        let name = self.name();
        let object = merged(self.object(kind), &json!({ "metadata": { "name": name } }));
        let mut request = self.posted(kind, object);
        request.method = "PUT";
        request.name = Some(name);
        request
    }

    /// Preconditions in the object itself: of a live one, a former one, or none.
    fn precondition(&mut self, kind: &Kind, patch: &mut Value) {
        if !self.draws.chance(15) {
            return;
        }
        let Some(earlier) = self.earlier(kind, |r| r.name.is_some() || r.method == "POST") else { return };
        let field =
            if self.draws.chance(70) { ("resourceVersion", Part::Version) } else { ("uid", Part::Uid) };
        *patch = merged(patch.clone(), &json!({ "metadata": { field.0: field.1.of(earlier.id) } }));
    }

    fn patched(&mut self, kind: &Kind, form: &'static str, subresource: Option<&'static str>) -> Request {
        let mut request = self.bare(kind, "PATCH");
        request.name = Some(self.name());
        request.media_type = form;
        request.subresource = subresource;
        self.write_options(&mut request);
        let mut patch = self.patch(kind, subresource);
        self.precondition(kind, &mut patch);
        request.body = Body::Json(if form == JSON_PATCH { self.operations(&patch) } else { patch });
        request
    }

    /// A merge patch as JSON patch: each leaf an operation, some of them tests.
    fn operations(&mut self, patch: &Value) -> Value {
        let mut leaves = Vec::new();
        leaves_of(patch, String::new(), &mut leaves);
        let operations = leaves.into_iter().map(|(path, value)| {
            let word = match value {
                Value::Null => "remove",
                _ => self.draws.weighed(&[(6, "add"), (3, "replace"), (1, "test"), (1, "remove")]),
            };
            match word {
                "remove" => json!({ "op": word, "path": path }),
                _ => json!({ "op": word, "path": path, "value": value }),
            }
        });
        operations.collect()
    }

    fn applied(&mut self, kind: &Kind, subresource: Option<&'static str>) -> Request {
        let mut request = self.bare(kind, "PATCH");
        request.name = Some(self.name());
        request.media_type = APPLY;
        request.subresource = subresource;
        self.write_options(&mut request);
        if self.draws.chance(30) {
            request.query.push(("force", "true".to_owned()));
        }
        let mut object = match subresource {
            // A status alone, or a piece of an object beside other managers' pieces.
            Some(_) => self.patch(kind, subresource),
            None if self.draws.chance(30) => self.patch(kind, None),
            None => self.object(kind),
        };
        let head = json!({ "apiVersion": kind.api_version(), "kind": kind.kind });
        let named = self.draws.chance(97);
        let name = if named { json!({ "metadata": { "name": request.name } }) } else { json!({}) };
        object = merged(merged(head, &name), &object);
        self.precondition(kind, &mut object);
        request.body = Body::Json(object);
        request
    }

    /// What an autoscaler asks and writes.
    fn scaled(&mut self, kind: &Kind) -> Request {
        let (method, media_type) = self.draws.weighed(&SCALINGS);
        let mut request = self.bare(kind, method);
        request.name = Some(self.name());
        request.subresource = Some("scale");
        request.media_type = media_type;
        if method == "GET" {
            return request;
        }
        self.write_options(&mut request);
        let replicas = self.draws.weighed(&REPLICAS).map_or(json!("many"), |count| json!(count));
        let mut scale = json!({ "spec": { "replicas": replicas } });
        if self.draws.chance(15)
            && let Some(earlier) = self.earlier(kind, |r| r.name.is_some() || r.method == "POST")
        {
            scale["metadata"]["resourceVersion"] = json!(Part::Version.of(earlier.id));
        }
        if method == "PUT" || media_type == APPLY {
            let head = json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": request.name } });
            scale = merged(head, &scale);
        }
        if media_type == JSON_PATCH {
            scale = json!([{ "op": "replace", "path": "/spec/replicas", "value": replicas }]);
        }
        request.body = Body::Json(scale);
        request
    }

    fn deleted(&mut self, kind: &Kind) -> Request {
        let mut request = self.bare(kind, "DELETE");
        // What waits for its finalizers is deleted again, now in another way.
        let again = self.draws.chance(35).then(|| self.earlier(kind, |r| r.method == "DELETE")).flatten();
        request.name = Some(again.as_ref().and_then(|r| r.name.clone()).unwrap_or_else(|| self.name()));
        let mut options = json!({});
        match self.draws.weighed(&[
            (12, ""),
            (4, "Background"),
            (3, "Foreground"),
            (3, "Orphan"),
            (1, "Other"),
        ]) {
            "" => {}
            rule => options["propagationPolicy"] = json!(rule),
        }
        if self.draws.chance(10) {
            options["gracePeriodSeconds"] = json!(self.draws.below(3));
        }
        if self.draws.chance(20)
            && let Some(earlier) =
                again.or_else(|| self.earlier(kind, |r| r.name.is_some() || r.method == "POST"))
        {
            let (field, part) =
                if self.draws.chance(50) { ("uid", Part::Uid) } else { ("resourceVersion", Part::Version) };
            options["preconditions"] = json!({ field: part.of(earlier.id) });
        }
        if self.draws.chance(5) {
            options["dryRun"] = json!(["All"]);
        }
        if options != json!({}) {
            options = merged(json!({ "apiVersion": "v1", "kind": "DeleteOptions" }), &options);
            request.body = Body::Json(options);
        }
        request
    }

    fn all_deleted(&mut self, kind: &Kind) -> Request {
        let mut request = self.bare(kind, "DELETE");
        self.selected(kind, &mut request);
        request
    }

    /// What happened since an earlier answer, or everything.
    fn watch(&mut self) {
        let kind = *self.draws.pick(&self.kinds);
        let mut request = self.bare(kind, "WATCH");
        self.selected(kind, &mut request);
        request.query.push(("timeoutSeconds", "1".to_owned()));
        let from = self.earlier(kind, |r| r.name.is_some() || r.method == "POST");
        match from.filter(|_| self.draws.chance(80)) {
            Some(from) => request.query.push(("resourceVersion", Part::Version.of(from.id))),
            None if self.draws.chance(50) => {
                let initial = [
                    ("sendInitialEvents", "true"),
                    ("allowWatchBookmarks", "true"),
                    ("resourceVersionMatch", "NotOlderThan"),
                ];
                let kept = if self.draws.chance(80) { 3 } else { self.draws.below(3) };
                request.query.extend(initial[..kept].iter().map(|(k, v)| (*k, (*v).to_owned())));
            }
            None => {}
        }
        self.done.push(request);
    }
}

impl Request {
    fn is_generated(&self) -> bool {
        self.method == "POST"
            && matches!(&self.body, Body::Json(object) if object.pointer("/metadata/generateName").is_some())
    }

    fn is_list(&self) -> bool {
        self.method == "GET" && self.name.is_none()
    }
}

fn leaves_of(patch: &Value, path: String, leaves: &mut Vec<(String, Value)>) {
    match patch {
        Value::Object(map) if !map.is_empty() => {
            for (name, child) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves_of(child, format!("{path}/{name}"), leaves);
            }
        }
        leaf => leaves.push((path, leaf.clone())),
    }
}
