//! How the API server merges each list: by key, as a set, or as a whole.
//!
//! The keys are those of the built-in types' OpenAPI (`x-kubernetes-list-map-keys`) and of our
//! own kinds; they are told by the list's field name.

use serde_json::Value;

/// How two lists are compared.
pub(super) enum Shape {
    /// Items are found by these fields; `ordered` if their order means something.
    Keyed { keys: &'static [&'static str], ordered: bool },
    /// Scalars in any order.
    Set,
    /// Tolerations: an atomic list that admission adds to.
    Tolerations,
    /// By position, and as long.
    Atomic,
}

const fn keyed(keys: &'static [&'static str]) -> Shape {
    Shape::Keyed { keys, ordered: false }
}

/// The shape of the list in field `name`, one of whose items is `item`.
pub(super) fn shape(name: &str, item: &Value) -> Shape {
    if !item.is_object() {
        return if name == "finalizers" { Shape::Set } else { Shape::Atomic };
    }
    match name {
        // init containers run, and variables refer to each other, in order
        "initContainers" | "env" => Shape::Keyed { keys: &["name"], ordered: true },
        "containers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates" => keyed(&["name"]),
        "volumeMounts" => keyed(&["mountPath"]),
        "volumeDevices" => keyed(&["devicePath"]),
        "hostAliases" => keyed(&["ip"]),
        "topologySpreadConstraints" => keyed(&["topologyKey", "whenUnsatisfiable"]),
        "ownerReferences" => keyed(&["uid"]),
        "conditions" => keyed(&["type"]),
        "tabletPools" => keyed(&["type", "cell", "name"]),
        "ports" if item.get("containerPort").is_some() => keyed(&["containerPort", "protocol"]),
        "ports" if item.get("port").is_some() => keyed(&["port", "protocol"]),
        "tolerations" => Shape::Tolerations,
        _ => Shape::Atomic,
    }
}

/// What the API server puts where nothing was said, inside lists and maps that are compared
/// as a whole. Elsewhere a default is just a field that we do not own.
const DEFAULTS: [(&str, DefaultValue); 8] = [
    ("protocol", DefaultValue::Text("TCP")),
    ("name", DefaultValue::Text("")),
    ("apiVersion", DefaultValue::Text("v1")),
    ("expirationSeconds", DefaultValue::Number(3600)),
    ("hexWidth", DefaultValue::Number(0)),
    ("backupMethod", DefaultValue::Text("vtbackup")),
    ("concurrencyPolicy", DefaultValue::Text("Forbid")),
    ("jobTimeoutMinute", DefaultValue::Number(10)),
];

enum DefaultValue {
    Text(&'static str),
    Number(i64),
}

/// Whether `value` in field `name` is what an absent field means.
pub(super) fn is_default(name: &str, value: &Value) -> bool {
    is_absent(value)
        || DEFAULTS.iter().any(|(field, default)| {
            *field == name
                && match default {
                    DefaultValue::Text(text) => value.as_str() == Some(text),
                    DefaultValue::Number(number) => value.as_i64() == Some(*number),
                }
        })
}

/// Whether a value says nothing: null, an empty map or an empty list.
pub(super) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether two items of a keyed list are the same item.
pub(super) fn same_key(keys: &[&str], a: &Value, b: &Value) -> bool {
    keys.iter().all(|key| match (a.get(key), b.get(key)) {
        (Some(a), Some(b)) => a == b,
        (Some(only), None) | (None, Some(only)) => is_default(key, only),
        (None, None) => true,
    })
}

/// Where the item with the keys of `item`, which stands at `index`, is in another list: mostly at the same place.
pub(super) fn place(keys: &[&str], index: usize, item: &Value, has: &[Value]) -> Option<usize> {
    match has.get(index) {
        Some(there) if same_key(keys, item, there) => Some(index),
        _ => has.iter().position(|there| same_key(keys, item, there)),
    }
}

/// Whether `item` is the one that a `managedFields` key names, such as
/// `{"containerPort":80,"protocol":"TCP"}`.
pub(super) fn has_key(item: &Value, key: &str) -> bool {
    pairs(key, &mut |field, wanted| match (item.get(field), wanted) {
        (Some(Value::String(has)), KeyValue::Text(text)) => has == text,
        (Some(Value::Number(has)), KeyValue::Bare(text)) => {
            has.as_i64().is_some_and(|n| text.parse() == Ok(n))
        }
        (Some(Value::Bool(has)), KeyValue::Bare(text)) => text.parse() == Ok(*has),
        (None | Some(Value::Null), KeyValue::Text(text)) => is_default(field, &Value::from(text)),
        (None | Some(_), _) => false,
    })
    .unwrap_or_else(|| {
        // escapes in the key: rare enough to parse it
        let Ok(Value::Object(key)) = serde_json::from_str(key) else { return false };
        key.iter().all(|(field, wanted)| match item.get(field) {
            Some(has) => has == wanted,
            None => is_default(field, wanted),
        })
    })
}

enum KeyValue<'a> {
    Text(&'a str),
    Bare(&'a str),
}

/// Whether `hit` holds for every pair of a one-level JSON object without escapes; `None` if
/// the text is anything else.
fn pairs(text: &str, hit: &mut dyn FnMut(&str, KeyValue<'_>) -> bool) -> Option<bool> {
    if text.contains('\\') {
        return None;
    }
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut all = true;
    while !rest.is_empty() {
        let (field, after) = rest.strip_prefix('"')?.split_once('"')?;
        let after = after.strip_prefix(':')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (text, after) = quoted.split_once('"')?;
                (KeyValue::Text(text), after)
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (KeyValue::Bare(&after[..end]), &after[end..])
            }
        };
        all &= hit(field, value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(all)
}
