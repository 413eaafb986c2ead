//! One scheduled backup run, where nobody else runs Jobs and Pods: this plays what they would do.

use anyhow::Context as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use pilothouse::kinds::Kind;
use serde_json::{Value, json};

use crate::until;

/// Lets the first backup of the keyspace `commerce` end well, then one run of its schedule; waits
/// until the host has taken away what the run left.
pub(crate) async fn one(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let api = |kind: Kind| kind.api(client, namespace);
    let (pods, jobs, claims) = (api(Kind::Pod), api(Kind::Job), api(Kind::PersistentVolumeClaim));
    let first = "planetscale.com/component=vtbackup,planetscale.com/keyspace=commerce";
    let first = found(&pods, first).await?;
    status(&pods, &first.name_any(), json!({ "phase": "Succeeded" })).await?;

    let job = found(&jobs, "planetscale.com/keyspace=commerce").await?;
    let name = job.name_any();
    let claim = claims.get(&name).await.context("the run's claim")?;
    let mut template = job.data["spec"]["template"].clone();
    template["metadata"]["name"] = json!(format!("{name}-1"));
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.uid(), "controller": true,
    });
    template["metadata"]["ownerReferences"] = json!([owner]);
    let pod: DynamicObject = serde_json::from_value(template)?;
    let pod = pods.create(&PostParams::default(), &pod).await?;
    status(&pods, &pod.name_any(), json!({ "phase": "Succeeded" })).await?;
    let now = born(&job)?;
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now });
    let ended = json!({
        "startTime": now, "completionTime": now, "succeeded": 1,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    });
    status(&jobs, &name, ended).await?;

    let is_gone = async |api: &Api<DynamicObject>, name: &str, uid: Option<String>| {
        let left = api.get_opt(name).await?.filter(|left| left.uid() == uid);
        anyhow::Ok(left.is_none_or(|left| left.metadata.deletion_timestamp.is_some()))
    };
    until("the run leaves nothing", async || {
        Ok(is_gone(&pods, &pod.name_any(), pod.uid()).await?
            && is_gone(&claims, &name, claim.uid()).await?
            && is_gone(&jobs, &name, job.uid()).await?)
    })
    .await
}

/// When the Job was made: a time as good as any later one.
fn born(job: &DynamicObject) -> anyhow::Result<Value> {
    Ok(json!(job.metadata.creation_timestamp.as_ref().context("a stored Job")?))
}

async fn found(api: &Api<DynamicObject>, labels: &str) -> anyhow::Result<DynamicObject> {
    let mut found = None;
    until(&format!("nothing is labelled {labels}"), async || {
        found = api.list(&ListParams::default().labels(labels)).await?.items.into_iter().next();
        Ok(found.is_some())
    })
    .await?;
    found.context("just found")
}

async fn status(api: &Api<DynamicObject>, name: &str, status: Value) -> anyhow::Result<()> {
    let status = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &status).await?;
    Ok(())
}
