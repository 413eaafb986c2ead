//! How claims outlive the object that asked for them: nobody owns them.
//!
//! Owns how an owner that stands is taken away again: one that vitess-operator wrote, or that we
//! wrote while the claims were to go with it. Must not know who asks for that.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::render::Rendered;

const GROUP: &str = "planetscale.com/";

/// Whether a claim is owned by one of our kinds although it is rendered without an owner.
#[must_use]
pub fn is_owned_against(rendered: &Rendered, live: &DynamicObject) -> bool {
    let is_claim = rendered.object.kind == Kind::PersistentVolumeClaim.as_str();
    is_claim
        && rendered.value.pointer("/metadata/ownerReferences").is_none()
        && live.metadata.owner_references.iter().flatten().any(is_of_our_kinds)
}

/// The merge patch that takes those owners away, on the version that was read. Other people's stay;
/// a server-side apply would leave what another manager wrote.
#[must_use]
pub fn release(rendered: &Rendered, live: &DynamicObject) -> Option<Value> {
    is_owned_against(rendered, live).then(|| {
        let all = live.metadata.owner_references.iter().flatten();
        let kept: Vec<&OwnerReference> = all.filter(|owner| !is_of_our_kinds(owner)).collect();
        let kept = if kept.is_empty() { Value::Null } else { json!(kept) };
        json!({ "metadata": { "resourceVersion": live.metadata.resource_version, "ownerReferences": kept } })
    })
}

fn is_of_our_kinds(owner: &OwnerReference) -> bool {
    owner.controller == Some(true) && owner.api_version.starts_with(GROUP)
}

#[cfg(test)]
mod tests {
    use pilothouse_core::action::ObjectRef;

    use super::*;

    const OURS: &str = "planetscale.com/v2";

    fn owner(api_version: &str, controller: bool) -> Value {
        json!({ "apiVersion": api_version, "kind": "K", "name": "n", "uid": "u", "controller": controller })
    }

    fn live(owners: &[Value]) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": { "name": "c", "resourceVersion": "7", "ownerReferences": owners },
        }))
        .unwrap()
    }

    fn rendered(kind: &str, owners: Option<Value>) -> Rendered {
        let object = ObjectRef { kind: kind.into(), namespace: "ns".into(), name: "c".into() };
        let value = owners.map_or_else(|| json!({}), |o| json!({ "metadata": { "ownerReferences": [o] } }));
        Rendered { object, value, initial: None }
    }

    #[track_caller]
    fn check(rendered: &Rendered, owners: &[Value], left: Option<&Value>) {
        let patch = release(rendered, &live(owners));
        let expected =
            left.map(|left| json!({ "metadata": { "resourceVersion": "7", "ownerReferences": left } }));
        assert_eq!(patch, expected, "{owners:?}");
    }

    #[test]
    fn owners_of_our_kinds_alone_are_taken_away_and_of_claims_alone() {
        let claim = rendered("PersistentVolumeClaim", None);
        let (ours, theirs) = (owner(OURS, true), owner("example.com/v1", true));
        check(&claim, &[], None);
        check(&claim, std::slice::from_ref(&ours), Some(&Value::Null));
        check(&claim, std::slice::from_ref(&theirs), None);
        check(&claim, &[owner(OURS, false)], None);
        check(&claim, &[ours.clone(), theirs.clone()], Some(&json!([theirs])));
        check(&rendered("Pod", None), std::slice::from_ref(&ours), None);
        check(&rendered("PersistentVolumeClaim", Some(ours.clone())), &[ours], None);
    }
}
