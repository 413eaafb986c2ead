//! Hosts that do wrongly, with every rule of the guard: what they do is not what it admitted.

use futures::FutureExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use pilothouse::settings::Settings;
use pilothouse::simulate::Fault;
use pilothouse_core::action::{Action, Change, ObjectRef};
use pilothouse_core::pass::Actuate as _;
use pilothouse_core::plan::Outcome;
use pilothouse_core::view::TabletView;
use serde_json::json;

use crate::day::{Day, frequent};
use crate::faulty::{Does, Mutant};

const OURS: &str = "default";

#[track_caller]
fn check(does: Does, day: &Day, broken: &[&str]) {
    day.is_good();
    day.breaks(Mutant { does, ..Mutant::SOUND }, broken);
}

/// The claim that a step deletes, if it does.
fn claim(action: &Action) -> Option<&ObjectRef> {
    let Action::Delete { object, .. } = action else { return None };
    Some(object).filter(|object| object.kind == "PersistentVolumeClaim")
}

/// A plan is a complete value, so this is no fault: all holds.
#[test]
fn what_is_done_twice_is_done_once() {
    let twice: Does = |host, view, step| {
        async {
            host.pilot.actuate(view, step).await;
            host.pilot.actuate(view, step).await
        }
        .boxed()
    };
    let day = Day { mix: frequent([Fault::N1]), ..Day::calm() };
    day.holds(Mutant { does: twice, ..Mutant::SOUND });
}

/// What is to go is said to be gone.
#[test]
fn a_claim_is_said_to_be_gone() {
    let says: Does = |host, view, step| {
        async {
            if claim(&step.action).is_some() {
                return Outcome::Done;
            }
            host.pilot.actuate(view, step).await
        }
        .boxed()
    };
    check(says, &Day { mix: frequent([Fault::N2]), ..Day::calm() }, &["L6"]);
}

/// No preconditions.
#[test]
fn a_claim_is_deleted_whatever_it_is_by_now() {
    let bare: Does = |host, view, step| {
        async {
            let Some(object) = claim(&step.action) else { return host.pilot.actuate(view, step).await };
            let claims: Api<PersistentVolumeClaim> = Api::namespaced(host.client.clone(), &object.namespace);
            let _ = claims.delete(&object.name, &DeleteParams::default()).await;
            Outcome::Done
        }
        .boxed()
    };
    check(bare, &Day::calm(), &["S7"]);
}

/// Everything that has the cluster's label, instead of the one that is meant.
#[test]
fn a_claim_is_deleted_by_its_label() {
    let all: Does = |host, view, step| {
        async {
            if claim(&step.action).is_some() && view.shards.iter().all(|s| s.primary.is_some()) {
                let claims: Api<PersistentVolumeClaim> = Api::namespaced(host.client.clone(), OURS);
                let pods: Api<Pod> = Api::namespaced(host.client.clone(), OURS);
                for name in view.tablets.iter().filter_map(TabletView::pod_name) {
                    let _ = claims.delete(name, &DeleteParams::default()).await;
                    let _ = pods.delete(name, &DeleteParams::default()).await;
                }
            }
            host.pilot.actuate(view, step).await
        }
        .boxed()
    };
    let hourly =
        |s: &mut Settings| s.policies.backup.as_mut().expect("it is bound").config["every"] = "1h".into();
    check(all, &Day { settings: hourly, ..Day::calm() }, &["S3", "S4", "S8"]);
}

/// Pods that are on their way out for too long, as people do by hand.
#[test]
fn a_pod_that_does_not_go_is_forced() {
    let forces: Does = |host, view, step| {
        async {
            let pods: Api<Pod> = Api::namespaced(host.client.clone(), OURS);
            let all = pods.list(&ListParams::default()).await.map(|l| l.items).unwrap_or_default();
            for pod in all.iter().filter(|p| p.metadata.deletion_timestamp.is_some()) {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                let _ = pods.delete(name, &DeleteParams::default().grace_period(0)).await;
            }
            host.pilot.actuate(view, step).await
        }
        .boxed()
    };
    check(forces, &Day { seed: 4, mix: frequent([Fault::N1, Fault::N3]), ..Day::calm() }, &["S9"]);
}

#[test]
fn another_tenant_is_written_to() {
    let strays: Does = |host, view, step| {
        async {
            let theirs: Api<ConfigMap> = Api::namespaced(host.client.clone(), "theirs");
            let note = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "seen": "yes" } });
            let _ = theirs.patch("harbour", &PatchParams::apply("pilothouse"), &Patch::Apply(&note)).await;
            host.pilot.actuate(view, step).await
        }
        .boxed()
    };
    check(strays, &Day::calm(), &["S10"]);
}

#[test]
fn a_secret_is_read() {
    let reads: Does = |host, view, step| {
        async {
            let secrets: Api<Secret> = Api::namespaced(host.client.clone(), OURS);
            let _ = secrets.get_opt("harbour-config").await;
            host.pilot.actuate(view, step).await
        }
        .boxed()
    };
    check(reads, &Day::calm(), &["S11"]);
}

/// A gateway is written first, and who may log in and how a moment later.
#[test]
fn a_gateway_is_secured_after_it_stands() {
    let late: Does = |host, view, step| {
        async {
            let outcome = host.pilot.actuate(view, step).await;
            if let Action::Apply { object, change: Change::Create } = &step.action
                && object.kind == "Deployment"
            {
                let all: Api<Deployment> = Api::namespaced(host.client.clone(), OURS);
                let mut whole = all.get(&object.name).await.expect("just applied");
                let pod = whole.spec.as_mut().and_then(|s| s.template.spec.as_mut()).expect("it has Pods");
                for args in pod.containers.iter_mut().filter_map(|c| c.args.as_mut()) {
                    args.retain(|arg| !arg.starts_with("--mysql_"));
                }
                all.replace(&object.name, &PostParams::default(), &whole).await.expect("replaced");
            }
            outcome
        }
        .boxed()
    };
    check(late, &Day::calm(), &["S13"]);
}
