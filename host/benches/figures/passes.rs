//! A pass over a three-zone, one-shard cluster at rest, on the embedded control plane.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::runtime::watcher::Event;
use pilothouse::actuate::Effects;
use pilothouse::cache::{Cache, ClusterKey};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::{Kind, Read};
use pilothouse::pilot::Pilot;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_core::guard::RULES;
use pilothouse_core::pass::{self, Observe as _, Passed, Settled};
use pilothouse_sim::apiserver::ResourceId;
use pilothouse_sim::world::WorldSettings;
use tokio_util::sync::CancellationToken;

use crate::cpu::{least, line};
use crate::product::Loaded;

pub(crate) const MANIFEST: &str = include_str!("../../../crds/examples/three-zones.yaml");
/// 2026-01-01T00:00:00Z.
pub(crate) const EPOCH_MS: u64 = 1_767_225_600_000;

pub(crate) fn print(loaded: &Loaded) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (embedded, cache) = runtime.block_on(at_rest(loaded));
    let settings = Settings::default();
    let key = ClusterKey { namespace: "default".to_owned(), name: "harbour".to_owned() };
    let effects = Effects {
        client: embedded.client.clone(),
        vitess: Vitess::Played(embedded.world.vitess()),
        cache,
        clock: embedded.clock.clone(),
        telemetry: embedded.telemetry.clone(),
    };
    let pilot = || Pilot::new(key.clone(), effects.clone(), Arc::clone(&loaded.set), (&settings).into());
    let as_of = embedded.clock.now();
    let mut settled = Settled::default();
    let mut kept = pilot();
    let pass = |pilot: &mut Pilot, settled: &mut Settled| {
        futures::executor::block_on(pass::run(pilot, settled, RULES, as_of)).expect("a view")
    };

    let Passed::Ran(report) = pass(&mut kept, &mut settled) else { panic!("a first pass runs") };
    assert_eq!((report.outcomes.len(), report.refusals.len()), (0, 0), "the cluster is at rest");
    assert_eq!(
        (report.view.tablets.len(), report.view.zones.len(), loaded.set.policies().count()),
        (3, 3, 4)
    );

    let whole = least(50, || drop(pass(&mut kept, &mut Settled::default())));
    line("a whole pass, nothing to write: four policies, guard, diff", whole, "(bound: 250 us)");
    let first = least(5, || drop(pass(&mut pilot(), &mut Settled::default())));
    line("the same by a host that has just started: renders, compares", first, "");
    let opened = least(5, || {
        effects.cache.lock().expect("no panic under the lock").pack(&key);
        drop(pass(&mut pilot(), &mut Settled::default()));
    });
    line("the same, where the cluster was packed", opened, "");
    let (outside, _hears) = tokio::sync::mpsc::unbounded_channel();
    let mut memory = Some(std::mem::replace(&mut kept, pilot()).into_memory());
    let hurried = least(5, || {
        effects.cache.lock().expect("no panic under the lock").pack(&key);
        let mut rested = memory.take().expect("put back below");
        rested.rest();
        let mut guest = pilot().remembering(rested).as_guest(outside.clone());
        drop(pass(&mut guest, &mut Settled::default()));
        assert!(guest.is_hurried(), "nothing was rendered");
        memory = Some(guest.into_memory());
    });
    line("the same by a guest of the room: nothing is rendered", hurried, "");
    drop(pass(&mut kept, &mut settled));
    let observe = least(50, || drop(futures::executor::block_on(kept.observe(as_of))));
    line("of it, observing", observe, "");
    let fingerprint = least(500, || {
        std::hint::black_box(report.view.fingerprint());
    });
    line("of it, the view's digest", fingerprint, "");
    assert!(matches!(pass(&mut kept, &mut settled), Passed::Unchanged { .. }));
    let unchanged = least(500, || drop(pass(&mut kept, &mut settled)));
    line("a pass over an unchanged view", unchanged, "(bound: 3 us)");
}

/// The cluster a day after its birth, when nothing is left to do, with what watches would have told.
async fn at_rest(loaded: &Loaded) -> (Embedded, Arc<Mutex<Cache>>) {
    let embedded = Embedded::new(EPOCH_MS, 1, WorldSettings::default()).expect("a control plane");
    let stop = CancellationToken::new();
    let controller = embedded.controller(Arc::clone(&loaded.set), &Settings::default());
    let tasks = embedded.start(controller, &stop);
    let documents = embedded::documents(MANIFEST).expect("our own manifest");
    embedded::apply(&embedded.client, &documents).await.expect("taken");
    tokio::time::sleep(Duration::from_secs(30 * 3_600)).await;
    stop.cancel();
    for task in tasks {
        task.await.expect("no panic");
    }
    let mut cache = Cache::default();
    for kind in Kind::ALL {
        let resource = kind.resource();
        let listed = embedded.api.list(&ResourceId::new(&resource.group, &resource.plural), None);
        cache.absorb(kind, Event::Init);
        for object in listed {
            let object: Read = serde_json::from_str(&object.to_string()).expect("an object");
            cache.absorb(kind, Event::InitApply(object));
        }
        cache.absorb(kind, Event::InitDone);
    }
    (embedded, Arc::new(Mutex::new(cache)))
}
