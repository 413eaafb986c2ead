//! Names, labels and the fields of `metadata` that the server owns.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::kinds::{self, Kind};
use super::status::Cause;

const DNS_1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Why `name` is no DNS-1123 label, if it is none.
pub(crate) fn label_error(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!is_label(name)).then(|| DNS_1123_LABEL.to_owned())
}

fn subdomain_error(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 bytes".to_owned());
    }
    (!name.split('.').all(is_label)).then(|| DNS_1123_SUBDOMAIN.to_owned())
}

fn path_segment_error(name: &str) -> Option<String> {
    if matches!(name, "." | "..") {
        return Some(format!("may not be '{name}'"));
    }
    ['/', '%'].into_iter().find(|&c| name.contains(c)).map(|c| format!("may not contain '{c}'"))
}

fn is_qualified_part(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Why `key` is no label or annotation key, if it is none.
pub(crate) fn qualified_name_error(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".to_owned());
        }
        if let Some(why) = subdomain_error(prefix) {
            return Some(format!("prefix part {why}"));
        }
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".to_owned());
    }
    (!is_qualified_part(name)).then(|| QUALIFIED_NAME.to_owned())
}

/// Why `value` is no label value, if it is none.
pub(crate) fn label_value_error(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!value.is_empty() && !is_qualified_part(value)).then(|| LABEL_VALUE.to_owned())
}

fn name_error(kind: &Kind, name: &str) -> Option<String> {
    if kind.is(&kinds::NAMESPACES) || kind.is(&kinds::SERVICES) {
        label_error(name)
    } else if kind.id.group == "rbac.authorization.k8s.io" || kind.is(&kinds::DISRUPTION_BUDGETS) {
        path_segment_error(name)
    } else {
        subdomain_error(name)
    }
}

/// Checks name, labels, annotations, finalizers and owner references.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or("");
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = name_error(kind, name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        if let Some(why) = qualified_name_error(key) {
            causes.push(Cause::invalid("metadata.labels", &json!(key), why));
        }
        if let Some(why) = label_value_error(value.as_str().unwrap_or("")) {
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
    }
    let mut total = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        if let Some(why) = qualified_name_error(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), why));
        }
        total += key.len() + value.as_str().map_or(0, str::len);
    }
    if total > 256 * 1024 {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: "Too long: may not be more than 262144 bytes".to_owned(),
            field: "metadata.annotations".to_owned(),
        });
    }
    check_finalizers(metadata, causes);
    check_owners(metadata, causes);
}

fn check_finalizers(metadata: &Value, causes: &mut Vec<Cause>) {
    for (at, finalizer) in metadata["finalizers"].as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or("");
        if let Some(why) = qualified_name_error(text) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, why));
        } else if !text.contains('/') && !matches!(text, "orphan" | "foregroundDeletion" | "kubernetes") {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{at}]"), finalizer, why));
        }
    }
}

fn check_owners(metadata: &Value, causes: &mut Vec<Cause>) {
    let mut controllers = Vec::new();
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().unwrap_or("").is_empty() {
                let path = format!("metadata.ownerReferences.{field}");
                causes.push(Cause::invalid(path, &json!(""), why));
            }
        }
        if owner["controller"] == json!(true) {
            controllers.push(owner["name"].as_str().unwrap_or("").to_owned());
        }
    }
    if controllers.len() > 1 {
        let shown = metadata["ownerReferences"].clone();
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
            controllers[0], controllers[1]
        );
        causes.push(Cause::invalid("metadata.ownerReferences", &shown, why));
    }
}

/// Fields that a client may not change on an update: (field, message).
pub(crate) fn check_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        if new.get(field) != old.get(field) {
            let shown = new.get(field).cloned().unwrap_or(Value::Null);
            causes.push(Cause::invalid(format!("metadata.{field}"), &shown, "field is immutable"));
        }
    }
    if !old["deletionTimestamp"].is_null() {
        let before = old["finalizers"].as_array();
        let mut added: Vec<&Value> = new["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|finalizer| !before.is_some_and(|before| before.contains(finalizer)))
            .collect();
        if !added.is_empty() {
            added.sort_by_key(|name| name.to_string());
            let names: Vec<String> = added.iter().map(|name| name.to_string()).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                names.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
}

/// The `metadata` of an object as a map, created if absent.
pub(crate) fn of_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(map) => map,
        _ => unreachable!("just made an object"),
    }
}

/// A seeded source of UIDs and name suffixes.
pub(crate) struct Seeded {
    seed: u64,
    drawn: u64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut hash = Sha256::new();
        hash.update(b"pilothouse apiserver");
        hash.update(self.seed.to_le_bytes());
        hash.update(self.drawn.to_le_bytes());
        hash.finalize().into()
    }

    /// A version 4 UUID.
    pub(crate) fn uid(&mut self) -> String {
        let mut bytes = self.draw();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
    }

    /// Five characters for `generateName`, of the real server's alphabet.
    pub(crate) fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        self.draw()[..5]
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
            .collect()
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let bytes = self.draw();
        u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
            % bound
    }
}
