//! GET and LIST: consistent pages, selections, and how old an answer may be.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{self, Kind, ObjectKey, Served};
use super::request::Query;
use super::selector::{FieldSelector, LabelSelector};
use super::state::State;
use super::status::{Cause, Status};
use super::store::Stored;

/// Which objects of a kind are meant.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selection {
    pub(crate) fn read(
        kind: &Kind,
        served: &Served,
        namespace: Option<&str>,
        query: &Query,
    ) -> Result<Self, Status> {
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            labels: LabelSelector::parse(query.text("labelSelector"))?,
            fields: FieldSelector::parse(query.text("fieldSelector"), kind, &served.selectable)?,
        })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether a list of these comes by such a name at all.
    fn is_in_place(&self, (namespace, name): &(String, String)) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.fields.name().is_none_or(|wanted| wanted == name)
    }

    /// Whether an object at (namespace, …) in its stored form is meant.
    pub(crate) fn matches(&self, namespace: &str, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.labels.matches(object)
            && self.fields.matches(object)
    }
}

/// A page of a list.
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Stored>>,
    pub(crate) rv: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<usize>,
}

/// Where a list goes on, as the opaque token says.
struct Continue {
    /// Zero for "whatever is newest", after the snapshot expired.
    rv: u64,
    after: (String, String),
}

fn encode_continue(rv: u64, after: &(String, String)) -> String {
    let text = json!({ "v": "meta.k8s.io/v1", "rv": rv, "ns": after.0, "name": after.1 }).to_string();
    super::builtin::base64(text.as_bytes())
        .replace('+', "-")
        .replace('/', "_")
        .trim_end_matches('=')
        .to_owned()
}

fn decode_continue(token: &str) -> Result<Continue, Status> {
    let refuse = || Status::bad_request("continue key is not valid: the token cannot be read");
    let text = decode_base64url(token).ok_or_else(refuse)?;
    let value: Value = serde_json::from_slice(&text).map_err(|_| refuse())?;
    let field = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(refuse);
    Ok(Continue { rv: value["rv"].as_u64().ok_or_else(refuse)?, after: (field("ns")?, field("name")?) })
}

fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut group, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        group = group << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(group >> bits & 0xff).unwrap_or(0));
        }
    }
    Some(out)
}

/// The resourceVersion parameter: `None` for absent.
pub(crate) fn version_asked(query: &Query) -> Result<Option<u64>, Status> {
    match query.text("resourceVersion") {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let cause = Cause::invalid(
                "resourceVersion",
                &json!(text),
                format!("strconv.ParseUint: parsing \"{text}\": invalid syntax"),
            );
            Status::invalid_named("ListOptions.meta.k8s.io", "", vec![cause])
        }),
    }
}

fn forbid(field: &str, why: &str) -> Status {
    Status::invalid_named("ListOptions.meta.k8s.io", "", vec![Cause::forbidden(field, why)])
}

/// Refuses combinations of parameters that the real server refuses.
fn check_options(query: &Query, asked: Option<u64>) -> Result<(), Status> {
    let rule = query.text("resourceVersionMatch");
    let goes_on = !query.text("continue").is_empty();
    if query.flag("sendInitialEvents") {
        return Err(forbid("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if rule.is_empty() {
        return Ok(());
    }
    if goes_on {
        return Err(forbid(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden when continue is provided",
        ));
    }
    match (rule, asked) {
        (_, None) => Err(forbid(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        )),
        ("Exact", Some(0)) => Err(forbid(
            "resourceVersionMatch",
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        )),
        ("Exact" | "NotOlderThan", Some(_)) => Ok(()),
        (other, Some(_)) => {
            let allowed = ["\"Exact\"".to_owned(), "\"NotOlderThan\"".to_owned(), "\"\"".to_owned()];
            let cause = Cause::unsupported("resourceVersionMatch", &json!(other), &allowed);
            Err(Status::invalid_named("ListOptions.meta.k8s.io", "", vec![cause]))
        }
    }
}

/// Refuses a list's options before its selectors are looked at.
pub(crate) fn check_list(query: &Query) -> Result<(), Status> {
    LabelSelector::parse(query.text("labelSelector"))?;
    check_options(query, version_asked(query)?)
}

/// LIST.
pub(crate) fn list(state: &State, kind: &Kind, selection: &Selection, query: &Query) -> Result<Page, Status> {
    let asked = version_asked(query)?;
    let limit = usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(usize::MAX);
    // Whatever is at hand is at hand as a whole.
    let limit = if asked == Some(0) && query.text("continue").is_empty() { 0 } else { limit };
    let newest = state.store.rv();
    let goes_on = match query.text("continue") {
        "" => None,
        _ if asked.is_some_and(|rv| rv > 0) => {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        token => Some(decode_continue(token)?),
    };
    let exact = query.text("resourceVersionMatch") == "Exact"
        || limit > 0 && query.text("resourceVersionMatch").is_empty() && selection.fields.name().is_none();
    let at = match (&goes_on, asked) {
        (Some(token), _) if token.rv > 0 => token.rv,
        (Some(_), _) | (None, None | Some(0)) => newest,
        (None, Some(rv)) if rv > newest => return Err(Status::too_large_version(rv, newest)),
        (None, Some(rv)) if exact => rv,
        (None, Some(_)) => newest,
    };
    if at < state.store.compacted() {
        return Err(expired(&goes_on));
    }
    let Some(shelf) = state.store.shelf(&kind.stored) else { return Err(Status::no_such_path()) };
    let past;
    let objects = if at == newest {
        &shelf.objects
    } else {
        past = shelf.objects_at(at);
        &past
    };
    // The newest Pods are kept by their nodes as well: whoever asks for a node's is told of no others.
    let newest_kept = goes_on.is_none() && (asked.is_none() || !exact);
    let node = selection.fields.node().filter(|_| newest_kept && kind.is(&kinds::PODS));
    let after = goes_on.map(|token| token.after);
    let mut items = Vec::new();
    let mut last = None;
    let mut left = 0;
    for (names, stored) in objects {
        if after.as_ref().is_some_and(|after| names <= after) || !selection.is_in_place(names) {
            continue;
        }
        // A full page does not look whether what is left is meant at all.
        if limit > 0 && items.len() == limit {
            left += usize::from(node.is_none_or(|node| stored.value["spec"]["nodeName"] == *node));
            continue;
        }
        if !selection.matches(&names.0, &stored.value) {
            continue;
        }
        items.push(Arc::clone(stored));
        last = Some(names.clone());
    }
    let next = last.filter(|_| left > 0).map(|last| encode_continue(at, &last));
    let remaining = (left > 0 && selection.is_whole()).then_some(left);
    Ok(Page { items, rv: at, next, remaining })
}

fn expired(goes_on: &Option<Continue>) -> Status {
    match goes_on {
        None => Status::expired("The resourceVersion for the provided list is too old."),
        Some(token) => {
            let mut status = Status::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
            );
            status.details.continue_token = Some(encode_continue(0, &token.after));
            status
        }
    }
}

/// GET of one object in its stored form.
pub(crate) fn get(state: &State, kind: &Kind, key: &ObjectKey, query: &Query) -> Result<Arc<Stored>, Status> {
    if let Some(rv) = version_asked(query)?.filter(|rv| *rv > state.store.rv()) {
        return Err(Status::too_large_version(rv, state.store.rv()));
    }
    state.store.get(key).cloned().ok_or_else(|| Status::not_found(kind, &key.name))
}
