//! Who replaces a lost primary, and how it comes to be so.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_policy::binding::Bindings;
use pilothouse_tests::cluster::whole::until;
use pilothouse_tests::crossing::scene::{NAMESPACE, Scene};
use pilothouse_tests::processes::images::Images;
use pilothouse_tests::stage::Built;
use serde_json::{Value, json};

/// A primary must have been silent for so long. With the second in which it is asked that is what VTOrc waits for an
/// answer, so the host comes before VTOrc's repairs; and a replica has missed a heartbeat by then, after 3 s.
const CONFIRM_AFTER_MS: u64 = 2_500;
/// MySQL's source sends a heartbeat each half of it, in seconds; 8.0.15 knows it by another name.
const MY_CNF: &str = "loose_replica_net_timeout = 4\n";
const MY_CNF_AT: &str =
    "/spec/keyspaces/0/partitionings/0/equal/shardTemplate/tabletPools/0/mysqld/configOverrides";
const UP_WITHIN: Duration = Duration::from_secs(180);
/// VTOrc reads its switch with the rest of the topology, every 15 s as it is rendered.
const KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// One who replaces lost primaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decider {
    /// The host, which probes every second.
    Host,
    /// VTOrc, which polls every second.
    Vtorc,
    /// VTOrc, as the example asks for it: every three seconds.
    VtorcAsRendered,
}

impl Decider {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Host => "pilothouse, 1 s",
            Self::Vtorc => "VTOrc, 1 s",
            Self::VtorcAsRendered => "VTOrc, as rendered (3 s)",
        }
    }

    /// What the manifest asks of VTOrc. It holds the shard's lock while it dials a primary that it does not
    /// reach, and nobody is replaced meanwhile: 15 s, where nobody asks for less.
    const fn flags(self) -> [(&'static str, &'static str); 2] {
        let [poll, dial] = match self {
            Self::Host | Self::Vtorc => ["1s", "3500ms"],
            Self::VtorcAsRendered => ["3s", "15s"],
        };
        [("instance-poll-time", poll), ("remote-operation-timeout", dial)]
    }
}

/// A cluster whose only gateway, VTOrc and control daemon stand in the first zone, where no zone is lost.
pub(crate) async fn set(binary: &Path, images: Images, built: Built) -> anyhow::Result<Scene> {
    let first = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchExpressions": [
            { "key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone-a"] },
        ] }],
    } } });
    let fields: [(&str, Value); 4] = [
        (MY_CNF_AT, json!(MY_CNF)),
        ("/spec/vitessDashboard/affinity", first.clone()),
        ("/spec/cells/0/gateway/affinity", first.clone()),
        ("/spec/keyspaces/0/vitessOrchestrator/affinity", first),
    ];
    let mut scene = Scene::set(binary, images, built, "failover", &fields).await?;
    scene.start_host("first", &settings(&scene))?;
    scene.ready("etcd", 3, UP_WITHIN).await?;
    scene.ready("vttablet", 3, UP_WITHIN).await?;
    scene.ready("vtorc", 1, UP_WITHIN).await?;
    scene.ready("vtgate", 1, UP_WITHIN).await?;
    Ok(scene)
}

/// What hosts run with here.
pub(crate) fn settings(scene: &Scene) -> Settings {
    let mut settings = scene.settings();
    if let Some(failover) = &mut settings.policies.failover {
        failover.config["confirmAfterMs"] = CONFIRM_AFTER_MS.into();
    }
    settings
}

/// Has that one decide, and waits until it is so.
pub(crate) async fn takes_over(scene: &mut Scene, decider: Decider) -> anyhow::Result<()> {
    asks(scene, decider.flags()).await?;
    let settings = settings(scene);
    let settings = match decider {
        Decider::Host => settings,
        Decider::Vtorc | Decider::VtorcAsRendered => {
            let policies = Bindings { failover: None, ..settings.policies };
            Settings { policies, ..settings }
        }
    };
    scene.stop_host("first").await?;
    scene.start_host("first", &settings)?;
    let stands_by = decider == Decider::Host;
    until(UP_WITHIN, "the topology says who decides", async || {
        Ok((scene.vtorc_stands_by().await? == stands_by).then_some(()))
    })
    .await?;
    // Nobody tells what VTOrc has read.
    tokio::time::sleep(KNOWN_WITHIN).await;
    scene.say(&format!("{} decides", decider.name()));
    Ok(())
}

/// The host gives VTOrc its new flags, and it stands again.
async fn asks(scene: &Scene, flags: [(&str, &str); 2]) -> anyhow::Result<()> {
    let api = Kind::VitessCluster.api(scene.machines.client(), NAMESPACE);
    let mut cluster = api.get("ferry").await?;
    let orchestrator = &mut cluster.data["spec"]["keyspaces"][0]["vitessOrchestrator"];
    for (name, value) in flags {
        orchestrator["extraFlags"][name] = json!(value);
    }
    let spec = json!({ "spec": { "keyspaces": cluster.data["spec"]["keyspaces"] } });
    api.patch("ferry", &PatchParams::default(), &Patch::Merge(spec)).await?;
    let flags = flags.map(|(name, value)| format!("--{name}={value}"));
    let has_them = |pod: &Pod| {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let args = containers.flat_map(|c| c.args.iter().chain(&c.command).flatten());
        let args: Vec<String> = args.map(|arg| arg.replace('_', "-")).collect();
        flags.iter().all(|flag| args.contains(flag))
    };
    until(UP_WITHIN, "VTOrc has the flags that it is told", async || {
        let pods = scene.pods("vtorc").await?;
        let all = !pods.is_empty()
            && pods.iter().all(|pod| has_them(pod) && pod.metadata.deletion_timestamp.is_none());
        Ok(all.then_some(()))
    })
    .await?;
    scene.ready("vtorc", 1, UP_WITHIN).await
}
