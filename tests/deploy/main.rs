//! What is installed: the host runs under exactly the roles of `host/deploy`, on Kubernetes' own
//! API server, by whose audit log every verb that is granted is used and none is missing.

mod chart;
mod grants;
mod host;
mod installed;
mod runs;
mod with_vitess;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use grants::Grant;
use kube::Client;
use kube::api::{ListParams, Patch, PatchParams};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse_api::labels;
use pilothouse_tests::cluster::host::class_of_volumes;
use pilothouse_tests::cluster::whole::{self, Whole};
use pilothouse_tests::cluster::{self, Cluster};
use pilothouse_tests::repository;
use serde_json::{Value, json};

/// What takes longer than this never comes.
const WITHIN: Duration = Duration::from_secs(60);

/// More than a life takes.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600);

/// Kinds that people make, records of backups, Jobs, each of which is made once, and claims, which nobody owns.
const NOT_MADE_ANEW: [Kind; 4] =
    [Kind::VitessCluster, Kind::VitessBackup, Kind::Job, Kind::PersistentVolumeClaim];

/// The objects of `host/deploy/manifests`, in the order of its kustomization.
fn manifests() -> Vec<Value> {
    let read = |file: &str| std::fs::read_to_string(repository("host/deploy/manifests").join(file)).unwrap();
    let all = embedded::documents(&read("kustomization.yaml")).unwrap();
    let files = all[0]["resources"].as_array().unwrap().iter();
    files.flat_map(|f| embedded::documents(&read(f.as_str().unwrap())).unwrap()).collect()
}

/// What kubectl makes of a folder of `host/deploy`; `None` where there is no kubectl.
fn kustomized(folder: &str) -> Option<Vec<Value>> {
    let folder = repository("host/deploy").join(folder);
    let Ok(output) = Command::new("kubectl").arg("kustomize").arg(folder).output() else {
        println!("not run here: there is no kubectl on the path");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(embedded::documents(&String::from_utf8(output.stdout).unwrap()).unwrap())
}

/// Our definitions, and what is installed.
async fn install(client: &Client, documents: &[Value]) -> anyhow::Result<()> {
    let definitions: Result<Vec<Value>, _> =
        pilothouse_api::crds::all()?.iter().map(serde_json::to_value).collect();
    embedded::apply(client, &definitions?).await?;
    Ok(embedded::apply(client, documents).await?)
}

/// Waits until the server acts by the roles: it takes them up a moment after it took them.
async fn are_in_force(client: &Client, documents: &[Value]) -> anyhow::Result<()> {
    let given = grants::given(documents, "pilothouse", "pilothouse");
    for (grant, scope) in given.iter().flat_map(|(grant, all)| all.iter().map(move |scope| (grant, scope))) {
        let (resource, sub) = grant.resource.split_once('/').unwrap_or((&grant.resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": "system:serviceaccount:pilothouse:pilothouse",
                "resourceAttributes": {
                    "group": grant.group, "resource": resource, "subresource": sub, "verb": grant.verb,
                    "namespace": scope.namespace, "name": scope.name,
                },
            },
        });
        until(&format!("{grant} is not allowed"), async || {
            let request = http::Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews");
            let request = request.header("content-type", "application/json");
            let answer: Value = client.request(request.body(review.to_string().into_bytes())?).await?;
            Ok(answer["status"]["allowed"] == true)
        })
        .await?;
    }
    Ok(())
}

/// Waits until something holds; what takes longer than [`WITHIN`] never does.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    whole::until(WITHIN, what, async || Ok(holds().await?.then_some(()))).await
}

/// The example with three zones, in another namespace, with a second keyspace, vtadmin, scheduled
/// backups and an autoscaler, and Nodes for it.
fn cluster(namespace: &str) -> Vec<Value> {
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let example = example.replace("namespace: default", &format!("namespace: {namespace}"));
    let mut documents = embedded::documents(&example).unwrap();
    let keyspaces = documents[0]["spec"]["keyspaces"].as_array_mut().unwrap();
    let mut second = keyspaces[0].clone();
    second["name"] = json!("ledger");
    keyspaces.push(second);
    let spec = &mut documents[0]["spec"];
    spec["images"]["vtadmin"] = json!("vitess/vtadmin:v24.0.2");
    spec["vtadmin"] = json!({ "cells": ["a"], "apiAddresses": ["http://localhost:14001"] });
    spec["backup"]["schedules"] = json!([{
        "name": "often", "schedule": "@every 1s", "successfulJobsHistoryLimit": 1, "resources": {},
        "strategies": [{ "name": "one", "keyspace": "commerce", "shard": "-" }],
    }]);
    spec["cells"][2]["gateway"]["autoscaler"] = json!({ "minReplicas": 2, "maxReplicas": 4 });
    let node = |zone: &str| {
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": format!("{zone}-1"), "labels": { "topology.kubernetes.io/zone": zone } },
        })
    };
    documents.extend(["zone-a", "zone-b", "zone-c"].map(node));
    documents
}

/// One life of a database under two hosts: made, changed, made less; one host hands over to the other.
async fn life(cluster: &Cluster, installed: &[Value], namespace: &str) -> anyhow::Result<()> {
    let (client, dir) = (&cluster.client, tempfile::tempdir()?);
    let api = |kind: Kind| kind.api(client, namespace);
    let holder = async || -> anyhow::Result<Value> {
        let path = "/apis/coordination.k8s.io/v1/namespaces/pilothouse/leases/pilothouse";
        let lease = client.request::<Value>(http::Request::get(path).body(Vec::new())?).await;
        Ok(lease.map_or(Value::Null, |lease| lease["spec"]["holderIdentity"].clone()))
    };
    let first = host::start(cluster, dir.path(), "pilothouse-1", installed, &[]).await?;
    until("nobody leads", async || Ok(holder().await? == "pilothouse-1"))
        .await
        .with_context(|| first.log())?;
    let second = host::start(cluster, dir.path(), "pilothouse-2", installed, &[]).await?;

    let mut documents = self::cluster(namespace);
    embedded::apply(client, &documents).await?;
    let pods = api(Kind::Pod);
    let tablets = ListParams::default().labels("planetscale.com/component=vttablet");
    let made = until("six tablets", async || Ok(pods.list(&tablets).await?.items.len() == 6)).await;
    made.with_context(|| first.log())?;
    forgotten(client, namespace).await.with_context(|| first.log())?;

    first.stop().await?;
    until("the other leads", async || Ok(holder().await? == "pilothouse-2"))
        .await
        .with_context(|| second.log())?;
    documents[0]["spec"]["cells"][0]["gateway"]["replicas"] = json!(2);
    embedded::apply(client, &documents[..1]).await?;
    let gateways = ListParams::default().labels("planetscale.com/cell=a,planetscale.com/component=vtgate");
    until("two gateways", async || {
        Ok(api(Kind::Deployment).list(&gateways).await?.iter().any(|d| d.data["spec"]["replicas"] == 2))
    })
    .await
    .with_context(|| second.log())?;

    runs::two(client, namespace).await.with_context(|| second.log())?;

    documents[0]["spec"]["keyspaces"].as_array_mut().context("keyspaces")?.pop();
    embedded::apply(client, &documents[..1]).await?;
    // Without Vitess nothing is taken away: the host notes that less is asked for.
    until("the host has seen it", async || {
        let seen = api(Kind::VitessCluster).get("harbour").await?;
        Ok(seen.data["status"]["observedGeneration"].as_i64() == seen.metadata.generation)
    })
    .await
    .with_context(|| second.log())?;
    second.stop().await?;
    anyhow::ensure!(holder().await?.is_null(), "the Lease is released");
    Ok(())
}

/// Somebody takes the label by which a host sees what is its own, of an object of every kind. Where it
/// would make that object it finds it, and knows it by its owner.
async fn forgotten(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let made = Kind::ALL.into_iter().filter(|kind| kind.is_namespaced() && kind.is_watched());
    for kind in made.filter(|kind| !NOT_MADE_ANEW.contains(kind)) {
        let api = kind.api(client, namespace);
        let ours = ListParams::default().labels(labels::CLUSTER);
        let one = api.list(&ours).await?.items.into_iter().next();
        let name = one.and_then(|one| one.metadata.name).with_context(|| kind.as_str())?;
        let label = |to: Value| Patch::Merge(json!({ "metadata": { "labels": { labels::CLUSTER: to } } }));
        api.patch(&name, &PatchParams::default(), &label(Value::Null)).await?;
        until(&format!("{} {name} is seen again", kind.as_str()), async || {
            let labels = api.get(&name).await?.metadata.labels.unwrap_or_default();
            Ok(labels.contains_key(labels::CLUSTER))
        })
        .await?;
    }
    Ok(())
}

/// What people do in a namespace whose clusters run vtadmin.
fn vtadmin_here(namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "pilothouse-vtadmin", "namespace": namespace },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pilothouse-vtadmin",
        },
        "subjects": [{ "kind": "ServiceAccount", "name": "pilothouse", "namespace": "pilothouse" }],
    })
}

/// A namespace for databases, and what is installed, in force.
async fn prepare(client: &Client, documents: &[Value], namespace: &str) -> anyhow::Result<()> {
    let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    embedded::apply(client, &[home]).await?;
    install(client, documents).await?;
    are_in_force(client, documents).await
}

/// What a life on a control plane made use of. It ends as soon as it asks for something that is not allowed:
/// what it would wait for then would not come.
async fn used_in(
    cluster: &Cluster,
    life: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<BTreeSet<Grant>> {
    let mut audit = cluster.audit();
    let refused = whole::until(LONGEST_LIFE, "a life's end", async || {
        let forbidden = grants::forbidden(&audit.read_on()?);
        Ok((!forbidden.is_empty()).then_some(forbidden))
    });
    tokio::select! {
        lived = life => lived?,
        refused = refused => anyhow::bail!("not allowed, and asked for:\n{}", refused?.join("\n")),
    }
    let events = cluster.audit().read_on()?;
    let forbidden = grants::forbidden(&events);
    anyhow::ensure!(forbidden.is_empty(), "not allowed, and asked for:\n{}", forbidden.join("\n"));
    Ok(grants::used(&events))
}

/// Runs hosts under the roles of `documents`, and compares what these give with what was used: by processes
/// as they are installed, which find no Vitess, and by one that knows the played one.
async fn least_that_works(documents: &[Value], namespace: &str) -> anyhow::Result<()> {
    let Some(binary) = cluster::binary()? else { return Ok(()) };
    let documents = &[documents, &[vtadmin_here(namespace)]].concat();
    let cluster = Cluster::start(&binary).await?;
    embedded::apply(&cluster.client, &[class_of_volumes()]).await?;
    prepare(&cluster.client, documents, namespace).await?;
    let mut used = used_in(&cluster, life(&cluster, documents, namespace)).await?;
    drop(cluster);
    let whole = Whole::start(&binary, &["zone-a", "zone-b", "zone-c"], 1).await?;
    prepare(&whole.cluster.client, documents, namespace).await?;
    used.extend(used_in(&whole.cluster, with_vitess::life(&whole, documents, namespace)).await?);
    let given = grants::given(documents, "pilothouse", "pilothouse");
    let unused: Vec<String> = given.keys().filter(|g| !used.contains(g)).map(Grant::to_string).collect();
    anyhow::ensure!(unused.is_empty(), "granted and never used:\n{}", unused.join("\n"));
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn every_verb_that_is_granted_is_used_and_none_is_missing() {
    block_on(least_that_works(&manifests(), "default")).unwrap();
}

#[test]
fn bound_in_one_namespace_it_needs_no_other() {
    let Some(documents) = kustomized("namespaced") else { return };
    assert_eq!(host::settings(&documents, "pilothouse").namespace.as_deref(), Some("vitess"));
    let given = grants::given(&documents, "pilothouse", "pilothouse");
    let everywhere = given.iter().filter(|(_, scopes)| scopes.iter().any(|s| s.namespace.is_none()));
    let places: BTreeSet<&str> = everywhere.map(|(grant, _)| grant.resource.as_str()).collect();
    assert_eq!(places, BTreeSet::from(["nodes", "storageclasses"]));
    block_on(least_that_works(&documents, "vitess")).unwrap();
}

#[test]
fn a_look_needs_to_read_and_nothing_else() {
    block_on(async {
        let Some(binary) = cluster::binary().unwrap() else { return };
        let mut documents = manifests();
        let rules = documents.iter_mut().filter_map(|d| d.get_mut("rules")?.as_array_mut());
        for rules in rules {
            for rule in rules.iter_mut() {
                rule["verbs"].as_array_mut().unwrap().retain(|verb| verb == "list" || verb == "watch");
            }
            rules.retain(|rule| rule["verbs"] != json!([]));
        }
        let cluster = Cluster::start(&binary).await.unwrap();
        embedded::apply(&cluster.client, &[class_of_volumes()]).await.unwrap();
        prepare(&cluster.client, &documents, "default").await.unwrap();
        let mut clusters = self::cluster("default");
        // Nobody gave the right to look at its Secrets here.
        clusters[0]["spec"].as_object_mut().unwrap().remove("vtadmin");
        embedded::apply(&cluster.client, &clusters).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let look = host::start(&cluster, dir.path(), "look", &documents, &["--observe-only"]).await.unwrap();
        look.end().await.unwrap();
        let told = std::fs::read_to_string(dir.path().join("look.out")).unwrap();
        assert!(told.contains("apply VitessShard") || told.contains("apply VitessCell"), "{told}");
        assert!(told.ends_with("1 clusters, nothing was written\n"), "{told}");
        let events = cluster.audit().read_on().unwrap();
        assert_eq!(grants::forbidden(&events), Vec::<String>::new());
        let verbs: BTreeSet<String> = grants::used(&events).into_iter().map(|grant| grant.verb).collect();
        assert_eq!(verbs, BTreeSet::from(["list".to_owned(), "watch".to_owned()]));
    });
}
