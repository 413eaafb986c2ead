//! Bodies of requests: their head, unknown fields, types and defaults, and why they cannot be read.
//!
//! Must not know what is done with them.

use serde_json::{Value, json};

use super::schema::Schema;
use super::schema::normalise::{self, Unreadable};
use super::status::Status;
use super::write::{FieldValidation, WriteAs};
use super::{builtin, convert};

impl WriteAs<'_> {
    /// `apps/v1, Kind=Deployment`; the core group has a slash as well.
    pub(crate) fn group_version_kind(&self) -> String {
        format!("{}/{}, Kind={}", self.kind.id.group, self.version, self.kind.kind)
    }

    /// An object as server-side apply's machinery names it.
    pub(crate) fn described(&self, object: &Value) -> String {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or("");
        format!("{}/{}; {}", text("namespace"), text("name"), self.group_version_kind())
    }

    /// Why a body of another kind or version is not taken.
    fn other_kind(&self, field: &str, found: &str, body: &Value, patch: bool) -> Status {
        let (kind, version) = (&self.kind.kind, self.version);
        if self.kind.custom {
            let wanted = self.kind.api_version(version);
            return Status::bad_request(if field == "kind" {
                format!("the object provided is unrecognized (must be of type {kind}): got kind {found}")
            } else {
                format!(
                    "the API version in the data ({found}) does not match the expected API version ({wanted})"
                )
            });
        }
        let (given_kind, given_version, why) = if field == "kind" {
            let package = self.kind.id.group.split('.').next().filter(|g| !g.is_empty()).unwrap_or("core");
            let why = format!("converting ({version}.{found}) to ({package}.{kind}): unknown conversion");
            (found, version, why)
        } else {
            let scheme = "in scheme \"pkg/runtime/scheme.go:111\"";
            let why = format!("no kind \"{kind}\" is registered for version \"{found}\" {scheme}");
            (kind.as_str(), found, why)
        };
        if patch {
            return Status::bad_patched(body, &why);
        }
        let text =
            format!("{given_kind} in version \"{given_version}\" cannot be handled as a {kind}: {why}");
        Status::bad_request(text)
    }

    fn cannot(&self, why: &str) -> Status {
        let kind = &self.kind.kind;
        Status::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {kind}: {why}",
            self.version
        ))
    }

    /// Why a body or a patched object cannot be read.
    fn unreadable(&self, why: Unreadable, prefix: &str) -> String {
        match why {
            Unreadable::WrongType { path, found, wanted } => {
                let path = if prefix.is_empty() { path } else { format!("{prefix}.{path}") };
                let kind = &self.kind.kind;
                format!("json: cannot unmarshal {found} into Go struct field {kind}.{path} of type {wanted}")
            }
            Unreadable::NoQuantity => {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                    .to_owned()
            }
            Unreadable::NoBase64 { at } => format!("illegal base64 data at input byte {at}"),
        }
    }
}

/// The served form of a body: head checked, unknown fields dealt with, types checked, defaults added.
pub(crate) fn decode(
    how: &WriteAs<'_>,
    mut body: Value,
    patch: bool,
) -> Result<(Value, Vec<String>), Status> {
    let kind = how.kind;
    if !body.is_object() {
        return Err(
            how.cannot(&format!("json: cannot unmarshal {} into Go value", normalise::json_word(&body)))
        );
    }
    check_head(how, &mut body, patch)?;
    let resets_owners = body["metadata"]["managedFields"] == json!([]);
    let served = how.served();
    let unknown = normalise::prune(&mut body, &served.schema);
    if let Err(why) = to_typed(how, &mut body) {
        return Err(if patch { Status::bad_patched(&body, &why) } else { how.cannot(&why) });
    }
    let warnings = judge_unknown(how, &body, &unknown, patch)?;
    if resets_owners {
        body["metadata"]["managedFields"] = json!([]);
    }
    normalise::add_defaults(&mut body, &served.schema);
    let mut object = convert::to_stored(kind, body);
    if !kind.custom {
        builtin::add_defaults(kind, &mut object);
    }
    Ok((object, warnings))
}

/// Brings a merged, stored object (of an apply) to its typed form, with defaults.
/// `described` is what was applied, for a refusal.
pub(crate) fn settle(
    how: &WriteAs<'_>,
    object: &mut Value,
    schema: &Schema,
    described: &str,
) -> Result<(), Status> {
    if how.kind.custom {
        to_typed(how, object).map_err(|why| how.cannot(&why))?;
    } else {
        let typed = normalise::to_typed(object, schema);
        typed.map_err(|why| apply_unreadable(how, described, &how.unreadable(why, "")))?;
    }
    normalise::add_defaults(object, schema);
    if !how.kind.custom {
        builtin::add_defaults(how.kind, object);
    }
    Ok(())
}

/// What apply says of a merged object that is none of its kind.
fn apply_unreadable(how: &WriteAs<'_>, described: &str, why: &str) -> Status {
    let kind = how.group_version_kind();
    Status::apply_failed(format!(
        "failed to convert new object ({described}) to proper version: unable to convert unstructured object to {kind}: error decoding from json: {why}"
    ))
}

/// `Err` says why not.
fn to_typed(how: &WriteAs<'_>, body: &mut Value) -> Result<(), String> {
    if how.kind.custom {
        let head = super::schema::builtin::object_meta();
        normalise::to_typed(&mut body["metadata"], &head).map_err(|why| how.unreadable(why, "metadata"))
    } else {
        normalise::to_typed(body, &how.served().schema).map_err(|why| how.unreadable(why, ""))
    }
}

/// What becomes of fields that the schema does not know, as the writer asked.
fn judge_unknown(
    how: &WriteAs<'_>,
    body: &Value,
    unknown: &[String],
    patch: bool,
) -> Result<Vec<String>, Status> {
    let texts: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    match how.unknown {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(texts),
        FieldValidation::Strict if patch => {
            Err(Status::bad_patched(body, &format!("strict decoding error: {}", texts.join(", "))))
        }
        FieldValidation::Strict => Err(how.cannot(&format!("strict decoding error: {}", texts.join(", ")))),
    }
}

pub(crate) fn check_head(how: &WriteAs<'_>, body: &mut Value, patch: bool) -> Result<(), Status> {
    if how.kind.custom && body["kind"].as_str().unwrap_or("").is_empty() {
        let mut text = body.clone();
        if let Some(map) = text.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
        let text = text.to_string();
        if how.unknown == FieldValidation::Ignore {
            return Err(how.cannot(&format!("Object 'Kind' is missing in '{text}'")));
        }
        let short: String = text.chars().take(30).collect();
        let more = if short.len() < text.len() { " ..." } else { "" };
        return Err(Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({short}{more})",
            how.kind.kind
        )));
    }
    let wanted = how.kind.api_version(how.version);
    for (field, wanted) in [("apiVersion", wanted.as_str()), ("kind", how.kind.kind.as_str())] {
        match body[field].as_str() {
            None | Some("") => body[field] = json!(wanted),
            Some(found) if found == wanted => {}
            Some(found) => {
                let found = found.to_owned();
                return Err(how.other_kind(field, &found, body, patch));
            }
        }
    }
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    Ok(())
}
