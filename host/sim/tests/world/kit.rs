//! A world under a paused clock, and the objects that a host would write.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{Registration, Role};
use pilothouse_sim::apiserver::kinds::{CLAIMS, DEPLOYMENTS, NAMESPACES, PODS};
use pilothouse_sim::apiserver::{ApiServer, DeleteOptions, ObjectKey, ResourceId};
use pilothouse_sim::clock::Clock;
use pilothouse_sim::vitess::{ClusterKey, Observation, PlayedVitess};
use pilothouse_sim::world::{World, WorldSettings};
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "example";
const START: i64 = 1_767_225_600_000;

pub(crate) struct Kit {
    pub(crate) api: ApiServer,
    pub(crate) world: World,
    pub(crate) vitess: PlayedVitess,
    pub(crate) clock: Clock,
}

pub(crate) fn alias(text: &str) -> TabletAlias {
    text.parse().expect("an alias")
}

pub(crate) fn shard() -> ShardId {
    "commerce/-".parse().expect("a shard")
}

pub(crate) fn cluster() -> ClusterKey {
    ClusterKey::new(NAMESPACE, "example")
}

/// The tablet of a zone: `zone1-0000000101` in zone-a, `…102` in zone-b, `…103` in zone-c.
pub(crate) const TABLETS: [(&str, &str); 3] =
    [("zone1-0000000101", "zone-a"), ("zone2-0000000102", "zone-b"), ("zone3-0000000103", "zone-c")];

impl Kit {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, WorldSettings { trace: true, ..WorldSettings::default() })
    }

    pub(crate) fn with(seed: u64, settings: WorldSettings) -> Self {
        let clock = Clock::starting_at(START);
        let api = ApiServer::new(clock.clone(), seed);
        let world = World::new(api.clone(), clock.clone(), seed, settings);
        tokio::spawn(world.clone().run(std::future::pending()));
        let kit = Self { vitess: world.vitess(), api, world, clock };
        kit.create(
            &NAMESPACES,
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
        );
        kit
    }

    pub(crate) fn create(&self, kind: &ResourceId, object: Value) -> Arc<Value> {
        self.api.create("test", kind, object).expect("created")
    }

    pub(crate) fn get(&self, kind: &ResourceId, name: &str) -> Option<Arc<Value>> {
        let namespace =
            if kind.resource == "nodes" || kind.resource == "persistentvolumes" { "" } else { NAMESPACE };
        self.api.get(&ObjectKey::new(kind.clone(), namespace, name))
    }

    pub(crate) fn delete(&self, kind: &ResourceId, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_seconds: grace, ..DeleteOptions::default() };
        self.api.delete(&ObjectKey::new(kind.clone(), NAMESPACE, name), &options).expect("deleted");
    }

    pub(crate) fn patch(&self, kind: &ResourceId, name: &str, patch: Value) {
        let key = ObjectKey::new(kind.clone(), NAMESPACE, name);
        self.api.merge_patch("test", &key, &patch, None).expect("patched");
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Waits until it holds; answers after how many milliseconds, and panics after `seconds`.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        seconds: i64,
        what: &'a str,
        holds: impl Fn(&Kit) -> bool + 'a,
    ) -> impl Future<Output = i64> + 'a {
        let began = self.clock.now_ms();
        async move {
            while !holds(self) {
                let passed = self.clock.now_ms() - began;
                assert!(
                    passed < seconds * 1_000,
                    "after {passed} ms still not: {what}\n{}",
                    self.world.trace()
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            self.clock.now_ms() - began
        }
    }

    pub(crate) fn is_ready(&self, pod: &str) -> bool {
        self.get(&PODS, pod).is_some_and(|p| ready(&p))
    }

    pub(crate) fn see(&self) -> Observation {
        self.vitess.observe(&cluster())
    }

    pub(crate) fn deployment(&self, name: &str, replicas: i64, pod: Value) {
        let labels = pod["metadata"]["labels"].clone();
        self.create(
            &DEPLOYMENTS,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": name, "namespace": NAMESPACE },
                "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": pod },
            }),
        );
    }

    pub(crate) fn claim(&self, name: &str, gibibytes: u64) {
        self.create(
            &CLAIMS,
            json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": { "name": name, "namespace": NAMESPACE },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": format!("{gibibytes}Gi") } },
                },
            }),
        );
    }

    pub(crate) fn tablet(&self, alias: &str, zone: &str) {
        self.tablet_with(alias, zone, &[], &[]);
    }

    /// The same with arguments for vttablet and further claims, mounted before the data.
    pub(crate) fn tablet_with(&self, alias: &str, zone: &str, args: &[&str], claims: &[&str]) {
        let mount = |claim: &str| json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } });
        let data = pod_name(alias);
        let volumes: Vec<Value> = claims.iter().copied().chain([data.as_str()]).map(mount).collect();
        let (cell, uid) = alias.split_once('-').expect("an alias");
        self.create(
            &PODS,
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": pod_name(alias), "namespace": NAMESPACE, "labels": {
                    "planetscale.com/component": "vttablet", "planetscale.com/cluster": "example",
                    "planetscale.com/cell": cell, "planetscale.com/keyspace": "commerce",
                    "planetscale.com/shard": "x-x", "planetscale.com/tablet-uid": uid,
                    "planetscale.com/tablet-type": "replica",
                } },
                "spec": {
                    "nodeSelector": { "topology.kubernetes.io/zone": zone },
                    "terminationGracePeriodSeconds": 1800,
                    "containers": [
                        { "name": "vttablet", "image": "vitess/lite:v24", "args": args },
                        { "name": "mysqld", "image": "vitess/lite:v24" },
                    ],
                    "volumes": volumes,
                },
            }),
        );
    }

    pub(crate) fn vtbackup(&self, name: &str, kind: &str, restart: &str) {
        self.create(
            &PODS,
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": name, "namespace": NAMESPACE, "labels": {
                    "planetscale.com/component": "vtbackup", "planetscale.com/cluster": "example",
                    "planetscale.com/keyspace": "commerce", "planetscale.com/shard": "x-x",
                    "backup.planetscale.com/type": kind, "backup.planetscale.com/location": "",
                } },
                "spec": {
                    "restartPolicy": restart,
                    "containers": [{ "name": "vtbackup", "image": "vitess/lite:v24" }],
                },
            }),
        );
    }

    pub(crate) async fn first_backup(&self) {
        self.vtbackup("first", "init", "OnFailure");
        self.until(120, "a first backup", |k| {
            k.get(&PODS, "first").expect("there")["status"]["phase"] == "Succeeded"
        })
        .await;
    }

    /// A keyspace's record with a durability policy.
    pub(crate) fn keyspace(&self, durability: &str) {
        let (keyspace, durability_policy) = ("commerce".to_owned(), durability.to_owned());
        let record = Registration::Keyspace { keyspace, durability_policy };
        self.vitess.register(&cluster(), &record);
    }

    pub(crate) fn vtorc(&self) {
        let labels = json!({
            "planetscale.com/component": "vtorc", "planetscale.com/cluster": "example",
            "planetscale.com/keyspace": "commerce", "planetscale.com/shard": "x-x",
        });
        let spread = json!([{
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": { "matchLabels": labels },
        }]);
        let container = json!([{ "name": "vtorc", "image": "vitess/lite:v24" }]);
        self.deployment(
            "vtorc",
            3,
            json!({ "metadata": { "labels": labels }, "spec": { "containers": container, "topologySpreadConstraints": spread } }),
        );
    }

    /// Three tablets in three zones with semi-sync, the first made primary, and VTOrc.
    pub(crate) async fn three_tablets(&self) {
        self.three_tablets_with("semi_sync").await;
    }

    /// The same under another durability policy.
    pub(crate) async fn three_tablets_with(&self, durability: &str) {
        self.keyspace(durability);
        self.vtorc();
        for (alias, zone) in TABLETS {
            self.claim(&pod_name(alias), 10);
            self.tablet(alias, zone);
        }
        self.until(90, "three ready tablets", |k| TABLETS.iter().all(|(a, _)| k.is_ready(&pod_name(a))))
            .await;
        self.until(90, "nobody restores", |k| k.see().tablets.values().all(|t| t.role == Role::Replica))
            .await;
        self.vitess.init_primary(&cluster(), &shard(), &alias(TABLETS[0].0)).await.expect("a first primary");
        self.until(30, "everybody hears the primary", |k| {
            k.see().tablets.iter().all(|(a, t)| {
                *a == alias(TABLETS[0].0)
                    || t.replication
                        .as_ref()
                        .is_some_and(|r| r.source_connected && r.acks == (durability != "none"))
            })
        })
        .await;
    }
}

pub(crate) fn pod_name(alias: &str) -> String {
    format!("tablet-{alias}")
}

pub(crate) fn ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}
