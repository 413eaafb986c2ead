//! Claims outlive a cluster that is deleted, and what is on them is found again by one of the same name.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::DeleteParams;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_tests::seen::text;
use pilothouse_tests::stage::{Setting, Stage, virtually};
use pilothouse_tests::{built, repository};

const HOUR: Duration = Duration::from_secs(3_600);

fn stage(has_vitess: bool) -> Stage {
    let settings = Settings::default();
    let policies = built!().policies(&settings).unwrap();
    Stage::start(Setting { has_vitess, ..Setting::three_zones(settings, policies) }).unwrap()
}

async fn apply(stage: &Stage) {
    stage
        .apply(&std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap())
        .await
        .unwrap();
}

async fn delete(stage: &Stage) {
    let api = Kind::VitessCluster.api(&stage.embedded.client, "default");
    api.delete("harbour", &DeleteParams::default()).await.unwrap();
    stage.pass_time(HOUR).await;
    assert!(stage.objects(Kind::Pod, "default").is_empty(), "all that is owned went with it");
}

/// The volume of each claim, and the UID of the claim.
fn claims(stage: &Stage) -> BTreeMap<String, (String, String)> {
    let all = stage.objects(Kind::PersistentVolumeClaim, "default").into_iter();
    let of = |o: &serde_json::Value, at: &str| text(o, at).to_owned();
    all.map(|o| (of(&o, "/metadata/name"), (of(&o, "/spec/volumeName"), of(&o, "/metadata/uid")))).collect()
}

/// What each server has, and what clients were told is safe.
fn data(stage: &Stage) -> (BTreeMap<TabletAlias, GtidSet>, GtidSet) {
    let facts = stage.embedded.world.facts();
    let shard = facts.shards.values().next().unwrap();
    let positions = shard.servers.iter().map(|(alias, server)| (alias.clone(), server.position.clone()));
    (positions.collect(), shard.acked.clone())
}

fn runs_of_vtbackup(stage: &Stage) -> usize {
    let pods = stage.objects(Kind::Pod, "default").into_iter();
    pods.filter(|p| text(p, "/metadata/labels/planetscale.com~1component") == "vtbackup").count()
}

#[test]
fn a_cluster_of_the_same_name_has_all_that_clients_wrote() {
    virtually(async {
        let stage = stage(true);
        apply(&stage).await;
        stage.settle().await.unwrap();
        let cluster = ClusterKey::new("default", "harbour");
        assert!(stage.embedded.world.write_rate(&cluster, &"commerce/-".parse().unwrap(), 60));
        stage.pass_time(HOUR).await;
        delete(&stage).await;
        let (kept, (positions, acked)) = (claims(&stage), data(&stage));
        assert!(positions.values().any(|p| !p.is_empty()) && !acked.is_empty(), "clients wrote");

        apply(&stage).await;
        stage.settle().await.unwrap();
        let again = claims(&stage);
        assert!(kept.iter().all(|(name, claim)| again.get(name) == Some(claim)), "{kept:?}, then {again:?}");
        let (now, still_acked) = data(&stage);
        for (alias, position) in positions {
            assert!(now[&alias].contains(&position), "{alias} had {position}, and has {}", now[&alias]);
        }
        assert!(still_acked.contains(&acked));
        stage.end().await.unwrap();
    });
}

#[test]
fn nobody_begins_a_shard_anew_whose_claims_are_older_than_it() {
    virtually(async {
        let stage = stage(false);
        apply(&stage).await;
        stage.pass_time(HOUR).await;
        assert_eq!(runs_of_vtbackup(&stage), 1, "a new shard is begun, also where Vitess cannot be asked");
        delete(&stage).await;
        apply(&stage).await;
        stage.pass_time(HOUR).await;
        let tablets = stage.objects(Kind::Pod, "default").len();
        assert!(tablets > 3, "{tablets} Pods");
        assert_eq!(runs_of_vtbackup(&stage), 0);
        stage.end().await.unwrap();
    });
}
