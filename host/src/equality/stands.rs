//! Where an old value does as well as the rendered one, so that nothing restarts for it.
//!
//! Objects that vitess-operator wrote have both; whoever takes them over leaves them as they are.

use serde_json::Value;

use super::path::Path;

/// The node label that names a zone, and the deprecated one of the same meaning.
const ZONE_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
/// Fields that hold a node label's name.
const LABEL_FIELDS: [&str; 2] = ["topologyKey", "key"];
/// Init containers that prepare a tablet's volume: they have run, and run no more in the life of a Pod.
const PREPARING: [&str; 2] = ["init-vt-root", "init-mysql-socket"];

/// Whether what is there may stay whatever it says: the script of a preparation that is over.
pub(super) fn as_it_is(path: &Path<'_>) -> bool {
    match path {
        Path::Field(Path::Item(list, name), "args") => {
            list.name() == "initContainers" && PREPARING.contains(name)
        }
        _ => false,
    }
}

/// Whether both values are names of the label that tells a node's zone.
pub(super) fn is_the_same_zone_label(path: &Path<'_>, a: &Value, b: &Value) -> bool {
    let names = |value: &Value| value.as_str().is_some_and(|text| ZONE_LABELS.contains(&text));
    LABEL_FIELDS.contains(&path.name()) && names(a) && names(b)
}
