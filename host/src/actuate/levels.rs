//! The removal of a cell, keyspace or shard: all that stands below goes with it.

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use pilothouse_core::action::ObjectRef;
use serde_json::json;

use super::{Effects, Error, MANAGER};
use crate::cache::ClusterKey;
use crate::kinds::Kind;

impl Effects {
    /// Removes the object of that UID and version, if its parent is of the other version still.
    ///
    /// A read may be of an older state, and then the parent asks for the object by now. Only a
    /// write is held against what really stands: so the parent's status is written, with nothing
    /// in it but the version that it must have. The API server changes nothing for that.
    pub(super) async fn turn_down(
        &self,
        key: &ClusterKey,
        (object, uid, version): (&ObjectRef, &str, &str),
        (parent, parent_version): (&ObjectRef, &str),
    ) -> Result<(), Error> {
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        let api = kind.api(&self.client, &object.namespace);
        let Some(found) = api.get_opt(&object.name).await? else { return Ok(()) };
        if found.metadata.uid.as_deref() != Some(uid) || !super::objects::is_ours(&found, key) {
            return Err(Error::Overtaken(format!("{object} is another object now")));
        }
        if found.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let parents = Kind::of(&parent.kind).ok_or(Error::Unsupported)?.api(&self.client, &parent.namespace);
        let same = json!({ "metadata": { "resourceVersion": parent_version } });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let judged = parents.patch_status(&parent.name, &params, &Patch::Merge(&same)).await?;
        if judged.metadata.deletion_timestamp.is_some() {
            return Err(Error::Overtaken(format!("{parent} is on its way out")));
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: Some(version.to_owned()),
            }),
            ..DeleteParams::background()
        };
        self.telemetry.metrics.api_writes.inc();
        api.delete(&object.name, &params).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use kube::api::DynamicObject;
    use serde_json::Value;

    use super::*;
    use crate::cache::Cache;
    use crate::embedded::{self, Embedded};
    use crate::vitess::Vitess;

    const CELL: &str = "harbour-d";

    async fn standing(played: &Embedded, kind: Kind, name: &str) -> Option<DynamicObject> {
        kind.api(&played.client, "default").get_opt(name).await.expect("an answer")
    }

    fn version(object: &DynamicObject) -> String {
        object.metadata.resource_version.clone().expect("a version")
    }

    fn object(kind: Kind, name: &str) -> ObjectRef {
        ObjectRef { kind: kind.as_str().to_owned(), namespace: "default".to_owned(), name: name.to_owned() }
    }

    /// Whether a cell goes when something is `late` of how it and its parent were judged.
    async fn goes(late: &str) -> bool {
        let played = Embedded::new(1_767_225_600_000, 1, pilothouse_sim::world::WorldSettings::default());
        let played = played.expect("a control plane");
        let manifest = crate::simulate::manifest().expect("the manifest is good");
        embedded::apply(&played.client, &manifest).await.expect("applied");
        let parent = standing(&played, Kind::VitessCluster, "harbour").await.expect("the cluster");
        let cell: Value = json!({
            "apiVersion": "planetscale.com/v2", "kind": "VitessCell",
            "metadata": {
                "name": CELL, "namespace": "default", "labels": { "planetscale.com/cluster": "harbour" },
            },
            "spec": {
                "name": "d", "allCells": [],
                "globalLockserver": { "implementation": "etcd2", "address": "e:2379", "rootPath": "/" },
            },
        });
        embedded::apply(&played.client, &[cell]).await.expect("applied");
        let cell = standing(&played, Kind::VitessCell, CELL).await.expect("the cell");
        let edited = match late {
            "parent" => Some((Kind::VitessCluster, "harbour")),
            "cell" => Some((Kind::VitessCell, CELL)),
            _ => None,
        };
        if let Some((kind, name)) = edited {
            let patch = Patch::Merge(json!({ "metadata": { "annotations": { "asked": "again" } } }));
            let api = kind.api(&played.client, "default");
            api.patch(name, &PatchParams::default(), &patch).await.expect("edited");
        }
        let effects = Effects {
            client: played.client.clone(),
            vitess: Vitess::Unknown,
            cache: Arc::new(Mutex::new(Cache::default())),
            clock: played.clock.clone(),
            telemetry: played.telemetry.clone(),
        };
        let key = ClusterKey { namespace: "default".to_owned(), name: "harbour".to_owned() };
        let uid = if late == "uid" { "another" } else { cell.metadata.uid.as_deref().expect("a UID") };
        let (level, above) = (object(Kind::VitessCell, CELL), object(Kind::VitessCluster, "harbour"));
        let (judged, parent) = (version(&cell), version(&parent));
        let done = effects.turn_down(&key, (&level, uid, &judged), (&above, &parent)).await;
        let stands = standing(&played, Kind::VitessCell, CELL).await;
        assert_eq!(done.is_ok(), stands.is_none(), "{late}: {done:?}");
        if let Some(cluster) =
            standing(&played, Kind::VitessCluster, "harbour").await.filter(|_| edited.is_none())
        {
            assert_eq!(version(&cluster), parent, "the parent is asked and not changed");
        }
        stands.is_none()
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_as_it_was_judged_and_under_a_parent_as_it_was_judged() {
        assert!(goes("nothing").await);
        for late in ["parent", "cell", "uid"] {
            assert!(!goes(late).await, "{late}");
        }
    }
}
