//! A tablet's PersistentVolumeClaim.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pilothouse_api::choices::{Choice as _, ClaimRetention};
use pilothouse_api::quantity;
use serde_json::{Value, json};

use super::Rendered;
use super::child::Owner;
use super::tablet::{Shard, Tablet};

/// Renders it; `None` for a tablet whose MySQL runs elsewhere. It asks for what the manifest
/// does or, when that is more, for what it asks for now: a volume never shrinks.
pub(super) fn render(
    owner: &Owner<'_>,
    shard: &Shard<'_>,
    tablet: &Tablet<'_>,
    claims: &BTreeMap<String, u64>,
) -> Option<Rendered> {
    let template = tablet.pool.data_volume_claim_template.as_ref()?;
    let name = tablet.name(shard.cluster);
    let spec = at_least(template, claims.get(&name).copied().unwrap_or(0));
    let claim = owner.child("v1", "PersistentVolumeClaim", name, tablet.labels(shard));
    Some(claim.outliving(is_retained(&shard.object.metadata)).with_spec(spec))
}

/// Whether claims stay when the object that asks for them is deleted.
pub(super) fn is_retained(metadata: &ObjectMeta) -> bool {
    ClaimRetention::of(metadata) == ClaimRetention::Retain
}

/// The claim's spec, asking for no less than `bytes`.
pub(super) fn at_least(template: &PersistentVolumeClaimSpec, bytes: u64) -> Value {
    let mut template = template.clone();
    let requests = template.resources.get_or_insert_default().requests.get_or_insert_default();
    let asked = requests.get("storage").and_then(|asked| quantity::bytes(asked).ok()).unwrap_or(0);
    if asked < bytes {
        requests.insert("storage".to_owned(), Quantity(bytes.to_string()));
    }
    json!(template)
}
