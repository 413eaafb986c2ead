//! Volumes that grow because real tablets tell how full they are.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use pilothouse::settings::Settings;
use pilothouse_api::labels::annotations;
use pilothouse_policy::binding::Bindings;
use pilothouse_tests::cluster::whole::until;
use pilothouse_tests::crossing::scene::{NAMESPACE, Scene};
use serde_json::json;

use crate::{decider, round};

/// Each tablet is asked within a minute.
const WITHIN: Duration = Duration::from_secs(180);

/// In millionths.
const A_HUNDREDTH: u32 = 10_000;

/// A host whose policy has a volume grow once a hundredth of it is used has each tablet's grow. What is in use is the
/// disk of the machine that this runs on.
pub(crate) async fn by_their_own_word(scene: &mut Scene) -> anyhow::Result<()> {
    if !round::each_uses(scene, A_HUNDREDTH).await? {
        println!("not run here: volumes that grow: less than a hundredth of this machine's disk is in use");
        return Ok(());
    }
    let settings = decider::settings(scene);
    let expansion = json!({ "builtin": "expansion", "config": { "usedPercent": 1 } });
    let policies = Bindings { expansion: Some(serde_json::from_value(expansion)?), ..settings.policies };
    scene.stop_host("first").await?;
    scene.start_host("first", &Settings { policies, ..settings })?;
    let grown = until(WITHIN, "every tablet's claim asks for more", async || {
        let grown = grown(scene).await?;
        Ok((grown.len() == 3).then_some(grown))
    })
    .await?;
    scene.say(&format!("volumes grow by what tablets tell: {grown:?}"));
    Ok(())
}

/// What the claims of tablets ask for that have been made to grow: where the machine's disk is fuller, before this.
async fn grown(scene: &Scene) -> anyhow::Result<BTreeMap<String, String>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(scene.machines.client().clone(), NAMESPACE);
    let all = claims.list(&ListParams::default().labels("planetscale.com/component=vttablet")).await?;
    let has_grown =
        |claim: &PersistentVolumeClaim| claim.annotations().contains_key(annotations::VOLUME_CHANGES);
    let size = |claim: PersistentVolumeClaim| {
        let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
        Some((claim.name_any(), requests.get("storage")?.0.clone()))
    };
    Ok(all.items.into_iter().filter(has_grown).filter_map(size).collect())
}
