//! A request as both servers get it: what only one of them knows (versions, UIDs, generated names, where a list goes
//! on) stands in it as a reference to an earlier answer.

use std::fmt;

use serde_json::Value;

/// What of an earlier answer is referred to, written `{what:request}` in any text of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Its object's `resourceVersion`, or its list's.
    Version,
    /// Its object's UID.
    Uid,
    /// Its object's name.
    Name,
    /// Its list's token.
    Continue,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Version, Self::Uid, Self::Name, Self::Continue];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Uid => "uid",
            Self::Name => "name",
            Self::Continue => "continue",
        }
    }

    /// The reference to this part of a request's answer.
    pub(super) fn of(self, request: usize) -> String {
        format!("{{{}:{request}}}", self.word())
    }
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Nothing,
    Json(Value),
    /// An earlier answer with a merge patch on it: what a client does that reads, changes and writes.
    Answer {
        of: usize,
        merge: Value,
    },
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Its place in the sequence as generated; kept when others are dropped.
    pub(super) id: usize,
    /// An HTTP method, or `WATCH`.
    pub(super) method: &'static str,
    /// `api/v1`, or `apis/<group>/<version>`.
    pub(super) path: String,
    pub(super) resource: String,
    /// As in objects.
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<&'static str>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) media_type: &'static str,
    pub(super) body: Body,
}

impl Request {
    /// Whether it asks for what is at least as new as some version, and takes what is older than the newest.
    pub(super) fn may_be_late(&self) -> bool {
        let asked =
            |key: &str| self.query.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        self.method == "GET"
            && asked("resourceVersion").is_some()
            && asked("resourceVersionMatch") != Some("Exact")
    }

    /// What kind of request it is, for counting.
    pub(super) fn sort(&self) -> String {
        let of = self.subresource.map_or(String::new(), |sub| format!("/{sub}"));
        let form = match self.media_type {
            "application/json" => "",
            form => form.trim_start_matches("application/").split_once("-patch").map_or("", |(form, _)| form),
        };
        let space = if form.is_empty() { "" } else { " " };
        format!("{}{space}{form} {}{of}", self.method, self.resource)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {}", self.id, self.method, self.resource)?;
        for part in self.name.as_deref().into_iter().chain(self.subresource) {
            write!(f, "/{part}")?;
        }
        for (i, (key, value)) in self.query.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { '?' } else { '&' })?;
        }
        if self.method == "PATCH" {
            write!(f, " {}", self.media_type.trim_start_matches("application/"))?;
        }
        match &self.body {
            Body::Nothing => Ok(()),
            Body::Json(value) => write!(f, " {value}"),
            Body::Answer { of, merge } => write!(f, " answer #{of} with {merge}"),
        }
    }
}
