//! The **played** Vitess inside the Pods of the real control plane: the simulator's own, fed with copies of objects.
//!
//! Owns the copying, and what a container runtime would tell the kubelet and kwok cannot know: a container that
//! died, a run to completion that is over. The Vitess itself is [`pilothouse_sim::vitess`]'s, judged by the
//! simulator's own checkers. Must not know what any test expects.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Client, ResourceExt as _};
use pilothouse::clock::Clock;
use pilothouse::kinds::Kind;
use pilothouse_sim::apiserver::ResourceId;
use pilothouse_sim::checkers::{Checkers, Violation};
use pilothouse_sim::clock::Clock as PlayedClock;
use pilothouse_sim::world::World;
use pilothouse_sim::world::beside::Ended;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::whole::until;

/// What the played Vitess goes by.
const COPIED: [Kind; 7] = [
    Kind::VitessCluster,
    Kind::VitessCell,
    Kind::VitessKeyspace,
    Kind::VitessShard,
    Kind::Node,
    Kind::PersistentVolumeClaim,
    Kind::Pod,
];

const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// A played Vitess; ends when dropped.
pub struct Databases {
    /// Which it is played by.
    pub world: World,
    /// The time that it goes by: the machine's, for the host too.
    pub clock: Clock,
    broken: Arc<Mutex<Vec<Violation>>>,
    client: Client,
    _tasks: JoinSet<()>,
}

impl Databases {
    /// Plays the databases of every cluster on that control plane.
    #[must_use]
    pub fn play(client: &Client, seed: u64) -> Self {
        let now = i64::try_from(Clock::system().now()).unwrap_or(0);
        let clock = PlayedClock::starting_at(now);
        let world = World::beside(clock.clone(), seed);
        let mut tasks = JoinSet::new();
        let volumes = ApiResource::erase::<PersistentVolume>(&());
        for resource in COPIED.map(Kind::resource).into_iter().chain([volumes]) {
            tasks.spawn(copy(client.clone(), resource, world.clone()));
        }
        let (over, ended) = mpsc::unbounded_channel();
        let broken = Arc::new(Mutex::new(Vec::new()));
        let (told, mut checkers) = (Arc::clone(&broken), Checkers::new());
        tasks.spawn(world.clone().run_observed(std::future::pending(), move |world| {
            told.lock().unwrap_or_else(PoisonError::into_inner).extend(checkers.check(world));
            world.take_ended().into_iter().for_each(|ended| over.send(ended).unwrap_or_default());
        }));
        tasks.spawn(tell(client.clone(), ended));
        let clock = Clock::from_fn(move || u64::try_from(clock.now_ms()).unwrap_or(0));
        Self { world, clock, broken, client: client.clone(), _tasks: tasks }
    }

    /// What the simulator's checkers found broken so far.
    #[must_use]
    pub fn broken(&self) -> Vec<Violation> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has heard of every object of a kind that is gone, if it goes by that kind: each kind is told in
    /// a stream of its own, and what somebody writes next must not overtake what it follows.
    ///
    /// # Errors
    /// When it never has, or the API server does not answer.
    pub async fn know_what_is_gone(&self, kind: Kind) -> anyhow::Result<()> {
        if !COPIED.contains(&kind) {
            return Ok(());
        }
        let resource = kind.resource();
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let id = ResourceId::new(&resource.group, &resource.plural);
        until(TOLD_WITHIN, &format!("the played Vitess hears what {} are gone", kind.as_str()), async || {
            let known = self.world.copied(&id);
            let stand = api.list_metadata(&ListParams::default()).await?;
            let stand: BTreeSet<String> = stand.iter().filter_map(|object| object.uid()).collect();
            Ok(known.is_subset(&stand).then_some(()))
        })
        .await
    }

    /// Kills what runs in a Pod; its kubelet restarts it after the back-off.
    ///
    /// # Errors
    /// When there is no such Pod.
    pub async fn kill(&self, namespace: &str, pod: &str, why: &str) -> anyhow::Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pod = api.get(pod).await?;
        write(&api, &pod, crashed(&pod, why)).await?;
        Ok(())
    }
}

/// Keeps the world's copies of one kind as the objects are.
async fn copy(client: Client, resource: ApiResource, world: World) {
    let id = ResourceId::new(&resource.group, &resource.plural);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut changes = watch(api, watcher::Config::default()).default_backoff().boxed();
    let (mut known, mut listed, mut leaving) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let at = |o: &DynamicObject| (o.namespace().unwrap_or_default(), o.name_any());
    while let Some(change) = changes.next().await {
        if let Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) = &change
            && (matches!(change, Ok(Event::Delete(_))) || object.metadata.deletion_timestamp.is_some())
            && let Some(uid) = object.uid().filter(|uid| leaving.insert(uid.clone()))
            && has_lost_its_owner(&client, object).await
        {
            world.deleted_by_others(&uid);
        }
        match change {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                listed.insert(at(&object));
                known.insert(at(&object));
                world.copy(&id, serde_json::to_value(object).unwrap_or_default());
            }
            Ok(Event::Delete(object)) => {
                known.remove(&at(&object));
                world.copy_gone(&id, &at(&object).0, &at(&object).1);
            }
            // What went while nobody watched.
            Ok(Event::InitDone) => {
                for (namespace, name) in std::mem::take(&mut known) {
                    if !listed.contains(&(namespace.clone(), name.clone())) {
                        world.copy_gone(&id, &namespace, &name);
                    }
                }
                known.clone_from(&listed);
            }
            // Such as a history that is gone: it is listed anew.
            Err(_) => {}
        }
    }
}

/// Whether an object that begins to go does so by the garbage collector: it asks when the owner is no more, or
/// waits for it alone. Who asked is not in the object.
async fn has_lost_its_owner(client: &Client, object: &DynamicObject) -> bool {
    let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    let Some((kind, owner)) = controller.and_then(|owner| Some((Kind::of(&owner.kind)?, owner))) else {
        return false;
    };
    let stands = kind.api(client, &object.namespace().unwrap_or_default()).get_opt(&owner.name).await;
    match stands {
        Ok(Some(found)) if found.uid().as_ref() == Some(&owner.uid) => {
            found.finalizers().iter().any(|finalizer| finalizer == "foregroundDeletion")
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Writes into Pods what their runtime would tell.
async fn tell(client: Client, mut ended: mpsc::UnboundedReceiver<Ended>) {
    while let Some(Ended { namespace, pod, uid, failed }) = ended.recv().await {
        let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let told = async {
            let Some(pod) = api.get_opt(&pod).await?.filter(|p| p.uid() == Some(uid)) else { return Ok(()) };
            let never = pod.spec.as_ref().is_some_and(|s| s.restart_policy.as_deref() == Some("Never"));
            let status = match &failed {
                None => over("Succeeded", "PodCompleted"),
                Some(_) if never => over("Failed", "PodFailed"),
                Some(why) => crashed(&pod, why),
            };
            write(&api, &pod, status).await
        };
        if let Err(error) = told.await {
            eprintln!("the end of {pod}: {error}");
        }
    }
}

async fn write(api: &Api<Pod>, pod: &Pod, status: Value) -> kube::Result<()> {
    let patch = Patch::Strategic(json!({ "metadata": { "uid": pod.uid() }, "status": status }));
    api.patch_status(&pod.name_any(), &PatchParams::default(), &patch).await.map(|_| ())
}

fn unready(reason: &str) -> Value {
    let now = pilothouse::clock::rfc3339(Clock::system().now());
    let of =
        |kind: &str| json!({ "type": kind, "status": "False", "reason": reason, "lastTransitionTime": now });
    json!([of("Ready"), of("ContainersReady")])
}

fn over(phase: &str, reason: &str) -> Value {
    json!({ "phase": phase, "conditions": unready(reason) })
}

/// Every container of the Pod waits for its restart.
fn crashed(pod: &Pod, why: &str) -> Value {
    let containers = pod.status.as_ref().and_then(|s| s.container_statuses.clone()).unwrap_or_default();
    let waits = containers.into_iter().map(|mut container| {
        container.ready = false;
        container.restart_count += 1;
        let mut value = serde_json::to_value(container).unwrap_or_default();
        // A merge would leave the other states beside it.
        value["state"] =
            json!({ "$patch": "replace", "waiting": { "reason": "CrashLoopBackOff", "message": why } });
        value
    });
    json!({ "conditions": unready("ContainersNotReady"), "containerStatuses": waits.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use kube::api::{DeleteParams, PostParams};
    use pilothouse::embedded::Embedded;
    use pilothouse_sim::world::WorldSettings;

    use super::*;
    use crate::stage::virtually;

    async fn create(client: &Client, object: Value) -> DynamicObject {
        let kind = object["kind"].as_str().and_then(Kind::of).expect("a kind");
        let object = serde_json::from_value(object).expect("an object");
        kind.api(client, "default").create(&PostParams::default(), &object).await.expect("it is taken")
    }

    fn claim(name: &str, owner: Option<&DynamicObject>) -> Value {
        let owners = owner.map(|owner| {
            json!([{ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": owner.name_any(),
                "uid": owner.uid(), "controller": true }])
        });
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": name, "namespace": "default", "ownerReferences": owners },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        })
    }

    #[test]
    fn the_collectors_deletions_are_told_from_the_hosts() {
        virtually(async {
            let client = Embedded::new(0, 1, WorldSettings::default()).expect("it starts").client;
            let claims = Kind::PersistentVolumeClaim.api(&client, "default");
            let owner = create(&client, claim("owner", None)).await;
            let owned = create(&client, claim("owned", Some(&owner))).await;
            assert!(!has_lost_its_owner(&client, &owner).await, "it has none");
            assert!(!has_lost_its_owner(&client, &owned).await, "it stands: this is somebody's deed");
            // In the foreground it waits for what it owns.
            claims.delete("owner", &DeleteParams::foreground()).await.expect("it begins to go");
            assert!(has_lost_its_owner(&client, &owned).await);
            let freed = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
            claims.patch("owner", &PatchParams::default(), &freed).await.expect("it goes");
            assert!(claims.get_opt("owner").await.expect("an answer").is_none());
            assert!(has_lost_its_owner(&client, &owned).await);
            create(&client, claim("owner", None)).await;
            assert!(has_lost_its_owner(&client, &owned).await, "it is another one of the same name");
        });
    }
}
