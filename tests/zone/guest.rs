//! A pass that comes for what cannot wait, over a cluster at rest whose primary's zone is lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::runtime::watcher::Event;
use pilothouse::actuate::Effects;
use pilothouse::cache::{Cache, ClusterKey};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::{Kind, Read};
use pilothouse::pilot::{Memory, Pilot};
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_core::action::Action;
use pilothouse_core::guard::RULES;
use pilothouse_core::pass::{self, Passed, Settled};
use pilothouse_core::plan::Outcome;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::apiserver::ResourceId;
use pilothouse_sim::world::WorldSettings;
use pilothouse_tests::stage::virtually;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const EXAMPLE: &str = include_str!("../../crds/examples/three-zones.yaml");
/// 2026-01-01T00:00:00Z.
const EPOCH: u64 = 1_767_225_600_000;
/// Up, settled, and nothing to do any more.
const RESTS: Duration = Duration::from_secs(30 * 60);
/// Replicas have missed their source, and the policy has waited for as long as it does.
const LOST_FOR: Duration = Duration::from_secs(10);

/// A host's effects on a cluster at rest, and what the host keeps of it while it is packed.
struct Rested {
    embedded: Embedded,
    effects: Effects,
    key: ClusterKey,
    policies: Arc<PolicySet>,
}

impl Rested {
    async fn set(policies: Arc<PolicySet>) -> anyhow::Result<(Self, Memory)> {
        let embedded = Embedded::new(EPOCH, 1, WorldSettings::default())?;
        tokio::spawn(embedded.world.clone().run(std::future::pending()));
        let stop = CancellationToken::new();
        let controller = embedded.controller(Arc::clone(&policies), &Settings::default());
        let controller = tokio::spawn(controller.run(stop.clone()));
        let mut documents = embedded::documents(EXAMPLE)?;
        documents[0]["spec"].as_object_mut().expect("a spec").remove("backup");
        embedded::apply(&embedded.client, &documents).await?;
        tokio::time::sleep(RESTS).await;
        stop.cancel();
        controller.await?;
        let effects = Effects {
            client: embedded.client.clone(),
            vitess: Vitess::Played(embedded.world.vitess()),
            cache: Arc::new(Mutex::new(listed(&embedded))),
            clock: embedded.clock.clone(),
            telemetry: embedded.telemetry.clone(),
        };
        let key = ClusterKey { namespace: "default".to_owned(), name: "harbour".to_owned() };
        let rested = Self { embedded, effects, key, policies };
        let mut pilot = rested.pilot();
        let passed = rested.pass(&mut pilot).await;
        assert!(passed.is_empty(), "it is at rest: {passed:?}");
        let mut memory = pilot.into_memory();
        memory.rest();
        rested.packed();
        Ok((rested, memory))
    }

    fn pilot(&self) -> Pilot {
        let judging = (&Settings::default()).into();
        Pilot::new(self.key.clone(), self.effects.clone(), Arc::clone(&self.policies), judging)
    }

    fn packed(&self) {
        self.effects.cache.lock().unwrap().pack(&self.key);
    }

    /// What was done.
    async fn pass(&self, pilot: &mut Pilot) -> Vec<(Action, Outcome)> {
        let now = self.effects.clock.now();
        let passed = pass::run(pilot, &mut Settled::default(), RULES, now).await.expect("a view");
        let Passed::Ran(report) = passed else { panic!("nothing was settled before") };
        report.outcomes.into_iter().map(|(step, outcome)| (step.action, outcome)).collect()
    }
}

/// What watches would have told.
fn listed(embedded: &Embedded) -> Cache {
    let mut cache = Cache::default();
    for kind in Kind::ALL {
        let resource = kind.resource();
        cache.absorb(kind, Event::Init);
        for object in embedded.api.list(&ResourceId::new(&resource.group, &resource.plural), None) {
            cache.absorb(kind, Event::InitApply(read(&object)));
        }
        cache.absorb(kind, Event::InitDone);
    }
    cache
}

fn read(object: &Value) -> Read {
    Read::of(object.to_string()).expect("an object")
}

fn replaced(done: &[(Action, Outcome)]) -> Vec<&Outcome> {
    let reparents = done.iter().filter(|(action, _)| matches!(action, Action::EmergencyReparent { .. }));
    reparents.map(|(_, outcome)| outcome).collect()
}

#[test]
fn it_renders_nothing_waits_outside_and_replaces_the_primary() {
    virtually(async {
        let (rested, memory) = Rested::set(crate::policies()).await.unwrap();
        rested.embedded.world.lose_zone("zone-a");
        tokio::time::sleep(LOST_FOR).await;
        let (outside, mut hears) = mpsc::unbounded_channel();
        let mut guest = rested.pilot().remembering(memory).as_guest(outside);
        let key = rested.key.clone();
        let mut passing = Box::pin(rested.pass(&mut guest));
        tokio::select! {
            biased;
            stepped_out = hears.recv() => assert_eq!(stepped_out, Some(key)),
            done = &mut passing => panic!("it waited for nothing: {done:?}"),
        }
        rested.packed();
        let done = passing.await;
        assert_eq!(replaced(&done), [&Outcome::Done], "{done:?}");
        assert!(guest.is_hurried());
    });
}

/// What was judged by the objects as they were says nothing of those that stand.
#[test]
fn it_renders_where_the_objects_are_not_those_that_were_judged() {
    virtually(async {
        let (rested, memory) = Rested::set(crate::policies()).await.unwrap();
        let resource = Kind::VitessCluster.resource();
        let clusters = rested.embedded.api.list(&ResourceId::new(&resource.group, &resource.plural), None);
        let mut cluster = (*clusters[0]).clone();
        cluster["metadata"]["resourceVersion"] = json!("999999999");
        let told = Event::Apply(read(&cluster));
        rested.effects.cache.lock().unwrap().absorb(Kind::VitessCluster, told);
        rested.embedded.world.lose_zone("zone-a");
        tokio::time::sleep(LOST_FOR).await;
        let (outside, mut hears) = mpsc::unbounded_channel();
        let mut guest = rested.pilot().remembering(memory).as_guest(outside);
        let done = rested.pass(&mut guest).await;
        assert_eq!(replaced(&done), [&Outcome::Done], "{done:?}");
        assert!(!guest.is_hurried());
        assert!(hears.try_recv().is_err(), "it keeps what it has open");
    });
}
