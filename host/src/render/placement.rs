//! Where Pods may and should run: the zone is required, spreading is preferred.
//!
//! An affinity in the manifest takes the place of our spreading, never that of the zone,
//! which is required on top of it.

use std::collections::BTreeSet;

use pilothouse_core::topology::Zone;
use serde_json::{Value, json};

/// The node label that names its zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// The node label that is unique to it.
const HOST: &str = "kubernetes.io/hostname";

/// A wish not to share a host or a zone with like Pods.
pub(super) struct Apart<'a> {
    /// How much it weighs.
    pub(super) weight: u32,
    /// From whom.
    pub(super) labels: &'a super::child::Strings,
    /// Apart by what.
    pub(super) by: Domain,
}

/// What two Pods should not share.
#[derive(Clone, Copy)]
pub(super) enum Domain {
    /// A node.
    Host,
    /// A zone.
    Zone,
}

/// The affinity of a Pod: the manifest's (`given`) or, where that is null, `apart` preferred;
/// with one of `zones` required, unless that is empty. Null if all that says nothing.
pub(super) fn affinity(given: &Value, zones: &BTreeSet<&Zone>, apart: &[Apart<'_>]) -> Value {
    let mut affinity = if given.is_null() { spread(apart) } else { given.clone() };
    if !zones.is_empty() {
        require_zone(&mut affinity, zones);
    }
    super::child::unless_empty(affinity)
}

fn spread(apart: &[Apart<'_>]) -> Value {
    if apart.is_empty() {
        return json!({});
    }
    let terms = apart.iter().map(|apart| {
        json!({
            "weight": apart.weight,
            "podAffinityTerm": {
                "labelSelector": { "matchLabels": apart.labels },
                "topologyKey": match apart.by { Domain::Host => HOST, Domain::Zone => ZONE },
            },
        })
    });
    json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": terms.collect::<Vec<_>>() } })
}

/// Node selector terms are alternatives: each one must name the zones.
fn require_zone(affinity: &mut Value, zones: &BTreeSet<&Zone>) {
    let zone = json!({ "key": ZONE, "operator": "In", "values": zones });
    let node = entry(affinity, "nodeAffinity", || json!({}));
    let required = entry(node, "requiredDuringSchedulingIgnoredDuringExecution", || json!({}));
    let terms = entry(required, "nodeSelectorTerms", || json!([]));
    let Some(terms) = terms.as_array_mut() else { return };
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in terms {
        if let Some(expressions) = entry(term, "matchExpressions", || json!([])).as_array_mut() {
            expressions.push(zone.clone());
        }
    }
}

/// The field of an object, made by `fresh` when absent or null.
fn entry<'v>(value: &'v mut Value, field: &str, fresh: impl FnOnce() -> Value) -> &'v mut Value {
    if !value.is_object() {
        *value = json!({}); // validation has refused anything but an object or null
    }
    let field = &mut value[field];
    if field.is_null() {
        *field = fresh();
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_joins_every_alternative_of_the_manifest() {
        let given = json!({
            "podAffinity": { "x": 1 },
            "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["ssd"] }] },
                { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n"] }] },
            ] } },
        });
        let zone = Zone("z-a".to_owned());
        let merged = affinity(&given, &BTreeSet::from([&zone]), &[]);
        let in_zone = json!({ "key": ZONE, "operator": "In", "values": ["z-a"] });
        let terms =
            &merged["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        assert_eq!(terms[0]["matchExpressions"][1], in_zone);
        assert_eq!(terms[1]["matchExpressions"], json!([in_zone]));
        assert_eq!(
            terms[1]["matchFields"],
            given["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][1]["matchFields"]
        );
        assert_eq!(merged["podAffinity"], given["podAffinity"]);
    }

    #[test]
    fn without_zone_and_wishes_nothing_is_said() {
        assert_eq!(affinity(&Value::Null, &BTreeSet::new(), &[]), Value::Null);
    }

    #[test]
    fn the_manifests_affinity_takes_the_place_of_spreading() {
        let labels = super::super::child::labels([("a", "b")]);
        let apart = [Apart { weight: 2, labels: &labels, by: Domain::Host }];
        let ours = affinity(&Value::Null, &BTreeSet::new(), &apart);
        let term = &ours["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(term["podAffinityTerm"]["topologyKey"], HOST);
        let given = json!({ "podAffinity": { "x": 1 } });
        assert_eq!(affinity(&given, &BTreeSet::new(), &apart), given);
    }
}
