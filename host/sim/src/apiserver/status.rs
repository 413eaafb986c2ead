//! The API's error answer: `metav1.Status`, with the wordings of the real server.
//!
//! It must not know HTTP beyond the status code it carries, nor the store.

use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable reason, e.g. `FieldValueInvalid`.
    pub reason: &'static str,
    /// Human-readable text without the field's path.
    pub message: String,
    /// The field's path, e.g. `spec.replicas`.
    pub field: String,
}

/// A refusal, as `metav1.Status` of kind Failure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// Machine-readable reason, e.g. `Conflict`.
    pub reason: &'static str,
    /// The real server's wording.
    pub message: String,
    /// What it is about.
    pub details: Box<Details>,
}

/// What a refusal is about; every part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The kind's group.
    pub group: String,
    /// The kind; for most reasons the real server puts the resource here.
    pub kind: String,
    /// The object's UID.
    pub uid: String,
    /// The single faults.
    pub causes: Vec<Cause>,
    /// Seconds; also the Retry-After header.
    pub retry_after: Option<u32>,
    /// `metadata.continue`, for an expired list only.
    pub continue_token: Option<String>,
    /// What was warned of before; a header each.
    pub warnings: Vec<String>,
}

impl Status {
    fn plain(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default() }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details.group = kind.id.group.to_string();
        self.details.kind = kind.id.resource.to_string();
        self.details.name = name.to_owned();
        self
    }

    /// 404 for one object.
    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::plain(404, "NotFound", format!("{} \"{name}\" not found", kind.qualified())).about(kind, name)
    }

    /// 404 for a path that names no resource.
    pub(crate) fn no_such_path() -> Self {
        Self::plain(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409 because the name is taken.
    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::plain(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.qualified()))
            .about(kind, name)
    }

    /// 409 with the real server's frame around `why`.
    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::plain(409, "Conflict", message).about(kind, name)
    }

    /// 409 because the writer's resourceVersion is not the newest.
    pub(crate) fn stale(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409 of server-side apply: `conflicts` are (manager text, field path).
    pub(crate) fn apply_conflict(message: String, conflicts: Vec<(String, String)>) -> Self {
        let mut status = Self::plain(409, "Conflict", message);
        status.details.causes = conflicts
            .into_iter()
            .map(|(manager, field)| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {manager}"),
                field,
            })
            .collect();
        status
    }

    /// 409 of a deletion's preconditions, which names the kind instead of the resource.
    pub(crate) fn bad_precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.group_kind());
        let mut status = Self::plain(409, "Conflict", message).about(kind, name);
        status.details.kind.clone_from(&kind.kind);
        status
    }

    /// 422 with its causes; at least one.
    pub(crate) fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_named(&kind.group_kind(), name, causes)
    }

    /// 422 of a `dryRun` that is not `All`.
    pub(crate) fn bad_dry_run(options: &str, given: &Value) -> Self {
        Self::invalid_named(options, "", vec![Cause::unsupported("dryRun", given, &["\"All\"".to_owned()])])
    }

    /// 422 of a patched object that cannot be read, or not strictly.
    pub(crate) fn bad_patched(patched: &Value, why: &str) -> Self {
        let cause = Cause::invalid("patch", &Value::String(patched.to_string()), why);
        Self::invalid_named("", "", vec![cause])
    }

    /// 400 of a body without the name that the URL has.
    pub(crate) fn no_name(name: &str) -> Self {
        Self::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))
    }

    /// 500 of server-side apply's own machinery, which gives no reason.
    pub(crate) fn apply_failed(message: String) -> Self {
        Self::plain(500, "", message)
    }

    /// The same refusal, after warnings.
    pub(crate) fn warned(mut self, warnings: &[String]) -> Self {
        self.details.warnings.extend_from_slice(warnings);
        self
    }

    /// 422 for a thing that is no stored kind, e.g. `ListOptions.meta.k8s.io`.
    pub(crate) fn invalid_named(group_kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for cause in &causes {
            let text = format!("{}: {}", cause.field, cause.message);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let all = if texts.len() == 1 { texts.remove(0) } else { format!("[{}]", texts.join(", ")) };
        let mut status = Self::plain(422, "Invalid", format!("{group_kind} \"{name}\" is invalid: {all}"));
        let (kind, group) = group_kind.split_once('.').unwrap_or((group_kind, ""));
        status.details.group = group.to_owned();
        status.details.kind = kind.to_owned();
        status.details.name = name.to_owned();
        status.details.causes = causes;
        status
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, "BadRequest", message)
    }

    /// 422 of a JSON patch that does not fit the object; the real server tells no more.
    pub(crate) fn patch_failed() -> Self {
        Self::plain(422, "Invalid", "the server rejected our request due to an error in our request")
    }

    /// 403 as admission words it.
    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
        Self::plain(403, "Forbidden", message).about(kind, name)
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::plain(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 406: none of the accepted media types can be produced.
    pub(crate) fn not_acceptable() -> Self {
        Self::plain(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        )
    }

    /// 415: the body's media type cannot be read; `accepted` are those that can.
    pub(crate) fn unsupported_media(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::plain(415, "UnsupportedMediaType", message)
    }

    /// 410: history no longer reaches back that far.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, "Expired", message)
    }

    /// 504: a resourceVersion that does not exist yet.
    pub(crate) fn too_large_version(asked: u64, newest: u64) -> Self {
        let mut status =
            Self::plain(504, "Timeout", format!("Too large resource version: {asked}, current: {newest}"));
        status.details.causes = vec![Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        }];
        status.details.retry_after = Some(1);
        status
    }

    /// 429 of an eviction that a disruption budget refuses.
    pub(crate) fn disruption_budget(name: &str, desired: i64, healthy: i64) -> Self {
        let mut status = Self::plain(
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        );
        status.details.causes = vec![Cause {
            reason: "DisruptionBudget",
            message: format!(
                "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
            ),
            field: String::new(),
        }];
        status
    }

    /// 413.
    pub(crate) fn too_large_body(limit: usize) -> Self {
        Self::plain(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// 500.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let why = message.into();
        let mut status = Self::plain(500, "InternalError", format!("Internal error occurred: {why}"));
        status.details.causes = vec![Cause { reason: "", message: why, field: String::new() }];
        status
    }

    /// 501: the played server does not do `what`; never answered by the real one.
    pub(crate) fn unsupported(what: &str) -> Self {
        let message = format!("the played API server does not support {what}");
        Self::plain(501, "NotImplemented", message)
    }

    /// The JSON form.
    pub fn to_value(&self) -> Value {
        let mut details = Map::new();
        for (key, text) in [
            ("name", &self.details.name),
            ("group", &self.details.group),
            ("kind", &self.details.kind),
            ("uid", &self.details.uid),
        ] {
            if !text.is_empty() {
                details.insert(key.to_owned(), json!(text));
            }
        }
        if !self.details.causes.is_empty() {
            details.insert("causes".to_owned(), self.details.causes.iter().map(Cause::to_value).collect());
        }
        if let Some(seconds) = self.details.retry_after {
            details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        let mut metadata = Map::new();
        if let Some(token) = &self.details.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if self.reason.is_empty() {
            status.as_object_mut().map(|map| map.remove("reason"));
        }
        // The generic refusals carry empty details.
        if !details.is_empty() || matches!((self.code, self.reason), (404, _) | (422, _)) {
            status["details"] = Value::Object(details);
        }
        status
    }
}

impl Cause {
    /// `Invalid value: <value>: <why>`.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: impl AsRef<str>) -> Self {
        Self {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {}", why.as_ref()),
            field: field.into(),
        }
    }

    /// A status checked alone is told of by paths that begin in it.
    pub(crate) fn begin_at_status(&mut self) {
        if let Some(path) = self.field.strip_prefix("status.") {
            self.message =
                self.message.replace(&format!("{} in body", self.field), &format!("{path} in body"));
        }
    }

    /// `Required value[: <why>]`.
    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// `Forbidden: <why>`.
    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
    }

    /// `Unsupported value: <value>: supported values: …`.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    /// `Duplicate value: <value>`.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {value}"),
            field: field.into(),
        }
    }

    fn to_value(&self) -> Value {
        let mut cause = json!({ "message": self.message });
        for (key, text) in [("reason", self.reason), ("field", self.field.as_str())] {
            if !text.is_empty() {
                cause[key] = json!(text);
            }
        }
        cause
    }
}
