//! Scheduled backup runs, where nobody else runs Jobs and Pods: this plays what they would do.

use anyhow::Context as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use pilothouse::kinds::Kind;
use serde_json::{Value, json};

use crate::until;

/// Lets the first backup of the keyspace `commerce` end well, then two runs of its schedule; waits
/// until the host has taken away what they left, and the Job beyond the limit.
pub(crate) async fn two(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let api = |kind: Kind| kind.api(client, namespace);
    let (pods, jobs, claims) = (api(Kind::Pod), api(Kind::Job), api(Kind::PersistentVolumeClaim));
    let first = "planetscale.com/component=vtbackup,planetscale.com/keyspace=commerce";
    let first = found(&pods, first, "").await?;
    status(&pods, &first.name_any(), json!({ "phase": "Succeeded" })).await?;

    let is_gone = async |api: &Api<DynamicObject>, name: &str| {
        let left = api.get_opt(name).await?;
        anyhow::Ok(left.is_none_or(|left| left.metadata.deletion_timestamp.is_some()))
    };
    let mut earlier = String::new();
    for _ in 0..2 {
        let job = found(&jobs, "planetscale.com/keyspace=commerce", &earlier).await?;
        let name = job.name_any();
        claims.get(&name).await.context("the run's claim")?;
        let pod = ends_well(&pods, &jobs, &job).await?;
        until("the run leaves nothing", async || {
            let is_first = earlier.is_empty();
            Ok(is_gone(&pods, &pod).await?
                && is_gone(&claims, &name).await?
                && (is_first || is_gone(&jobs, &earlier).await?))
        })
        .await?;
        earlier = name;
    }
    Ok(())
}

/// What a Job controller and a kubelet would make of it; answers the Pod's name.
async fn ends_well(
    pods: &Api<DynamicObject>,
    jobs: &Api<DynamicObject>,
    job: &DynamicObject,
) -> anyhow::Result<String> {
    let name = job.name_any();
    let mut template = job.data["spec"]["template"].clone();
    template["metadata"]["name"] = json!(format!("{name}-1"));
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.uid(), "controller": true,
    });
    template["metadata"]["ownerReferences"] = json!([owner]);
    let pod = pods.create(&PostParams::default(), &serde_json::from_value(template)?).await?.name_any();
    status(pods, &pod, json!({ "phase": "Succeeded" })).await?;
    let now = born(job)?;
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now });
    let ended = json!({
        "startTime": now, "completionTime": now, "succeeded": 1,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    });
    status(jobs, &name, ended).await?;
    Ok(pod)
}

/// When the Job was made: a time as good as any later one.
fn born(job: &DynamicObject) -> anyhow::Result<Value> {
    Ok(json!(job.metadata.creation_timestamp.as_ref().context("a stored Job")?))
}

/// The first that has these labels and another name.
async fn found(api: &Api<DynamicObject>, labels: &str, not: &str) -> anyhow::Result<DynamicObject> {
    let mut found = None;
    until(&format!("nothing is labelled {labels}"), async || {
        let all = api.list(&ListParams::default().labels(labels)).await?;
        found = all.items.into_iter().find(|object| object.name_any() != not);
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
