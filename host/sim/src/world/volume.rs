//! Claims and volumes: provisioning, growth, protection, reclaim.
//!
//! Played: one class `standard` (WaitForFirstConsumer, expandable, reclaim Delete),
//! a provisioner, a provider that takes one change of a volume every six hours, the
//! resizer's and the kubelet's halves of a growth. Not played: snapshots, quota,
//! attributes classes, VolumeAttachment objects. Must not know what is stored.

use serde_json::{Value, json};

use super::agenda::Look;
use super::journal::Deed;
use super::objects::{
    Name, annotation, array, bytes_at, condition, name, quantity_of, terminating, text, uid,
};
use super::places::draw;
use super::state::State;
use super::timing;
use crate::apiserver::kinds::{CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES};
use crate::clock::timestamp_of;

const PROTECTION: &str = "kubernetes.io/pvc-protection";
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const PROVISIONER: &str = "played.pilothouse.dev/disk";

/// A volume's change on its way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growth {
    /// The size that the provider was asked for, and when it will have it.
    pub(crate) controller: Option<(u64, i64)>,
    /// When the file system will have it.
    pub(crate) filesystem: Option<i64>,
    /// When the provider last took a change.
    pub(crate) changed_at: Option<i64>,
    /// Whether the refusal of the present request was told.
    pub(crate) refused: bool,
}

/// The claims that a Pod mounts.
pub(crate) fn claims_of(pod: &Value) -> Vec<String> {
    let volumes = array(pod, "/spec/volumes").iter();
    volumes
        .map(|v| text(v, "/persistentVolumeClaim/claimName").to_owned())
        .filter(|c| !c.is_empty())
        .collect()
}

/// The class of a claim; the default one if it names none.
pub(crate) fn class_of(claim: &Value) -> &str {
    claim.pointer("/spec/storageClassName").and_then(Value::as_str).unwrap_or("standard")
}

impl State {
    /// Creates the class that the world offers.
    pub(crate) fn create_storage_class(&mut self) {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
            },
            "provisioner": PROVISIONER, "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
        });
        self.create(&STORAGE_CLASSES, class);
    }

    /// A claim changed, a Pod that uses it did, or a deadline of it passed.
    pub(crate) fn look_at_claim(&mut self, at: &Name) {
        let Some(claim) = self.objects.get(&CLAIMS, at) else { return };
        if terminating(&claim) {
            self.release_protection(at, &claim);
            return;
        }
        let finalizers = array(&claim, "/metadata/finalizers");
        if !finalizers.iter().any(|f| f == PROTECTION) {
            let mut all = finalizers.to_vec();
            all.push(json!(PROTECTION));
            self.patch(&CLAIMS, at, json!({ "metadata": { "finalizers": all } }));
            return;
        }
        if text(&claim, "/spec/volumeName").is_empty() {
            self.provision(at, &claim);
        } else if text(&claim, "/status/phase") == "Bound" {
            self.note_request(&claim);
            self.grow(at, &claim);
        }
    }

    fn release_protection(&mut self, at: &Name, claim: &Value) {
        let uses = |pod: &Value| {
            !text(pod, "/spec/nodeName").is_empty()
                && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
                && claims_of(pod).contains(&at.1)
        };
        if self.objects.within(&PODS, &at.0).iter().any(|pod| uses(pod)) {
            return;
        }
        let rest: Vec<&Value> =
            array(claim, "/metadata/finalizers").iter().filter(|f| *f != PROTECTION).collect();
        if rest.len() < array(claim, "/metadata/finalizers").len() {
            let volume = text(claim, "/spec/volumeName").to_owned();
            self.patch(&CLAIMS, at, json!({ "metadata": { "finalizers": rest } }));
            self.growth.remove(uid(claim));
            self.agenda.now(Look::Volume(volume));
        }
    }

    fn provision(&mut self, at: &Name, claim: &Value) {
        let Some(class) = self.objects.get(&STORAGE_CLASSES, &(String::new(), class_of(claim).to_owned()))
        else {
            return;
        };
        if text(claim, "/status/phase").is_empty() {
            self.set_status(&CLAIMS, claim, json!({ "phase": "Pending" }));
        }
        let selected = annotation(claim, SELECTED_NODE).to_owned();
        if selected.is_empty() && text(&class, "/volumeBindingMode") == "WaitForFirstConsumer" {
            return;
        }
        let takes = draw(self.seed, "provision", &at.1, timing::PROVISIONING);
        let due = *self.provisioning.entry(uid(claim).to_owned()).or_insert(self.now + takes);
        if self.now < due {
            self.agenda.at(due, Look::Claim(at.clone()));
            return;
        }
        self.provisioning.remove(uid(claim));
        let node = if selected.is_empty() {
            self.places.machines.keys().next().cloned().unwrap_or_default()
        } else {
            selected
        };
        if !self.places.is_connected(&node, self.now) {
            let forget = json!({ "metadata": { "annotations": { SELECTED_NODE: null } } });
            self.patch(&CLAIMS, at, forget); // the provider's zone does not answer: schedule anew
            self.wake_scheduler();
            return;
        }
        self.bind_new_volume(at, claim, &node);
    }

    fn bind_new_volume(&mut self, at: &Name, claim: &Value, node: &str) {
        let zone = self.places.zone_of(node).unwrap_or_default().to_owned();
        let volume = format!("pvc-{}", uid(claim));
        let size = quantity_of(bytes_at(claim, "/spec/resources/requests/storage"));
        let modes = claim["spec"]["accessModes"].clone();
        let mut object = json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {
                "name": volume, "annotations": { "pv.kubernetes.io/provisioned-by": PROVISIONER },
            },
            "spec": {
                "capacity": { "storage": size }, "accessModes": modes, "volumeMode": "Filesystem",
                "persistentVolumeReclaimPolicy": "Delete", "storageClassName": class_of(claim),
                "claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                    "namespace": at.0, "name": at.1, "uid": uid(claim),
                },
                "csi": { "driver": PROVISIONER, "volumeHandle": volume },
                "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [{
                    "key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone],
                }] }] } },
            },
        });
        if is_shared(claim) {
            // A share that every zone reaches.
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.remove("nodeAffinity");
            }
        }
        let Some(created) = self.create(&VOLUMES, object) else { return };
        self.set_status(&VOLUMES, &created, json!({ "phase": "Bound" }));
        let bind = json!({
            "metadata": { "annotations": {
                "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.kubernetes.io/storage-provisioner": PROVISIONER,
            } },
            "spec": { "volumeName": volume },
        });
        if let Some(bound) = self.patch(&CLAIMS, at, bind) {
            let status = json!({ "phase": "Bound", "accessModes": modes, "capacity": { "storage": size } });
            self.set_status(&CLAIMS, &bound, status);
            self.note(format!("claim {}/{} bound in {zone}", at.0, at.1));
        }
    }

    fn note_request(&mut self, claim: &Value) {
        let asked = bytes_at(claim, "/spec/resources/requests/storage");
        let known = self.journal.requests.insert(uid(claim).to_owned(), asked);
        if let Some(before) = known.filter(|b| *b != asked) {
            let last = self.growth.get(uid(claim)).and_then(|g| g.changed_at);
            let deed = Deed::SizeAsked {
                at: self.now,
                claim: super::objects::name_of(claim),
                from: before,
                to: asked,
                provider_last_changed: last,
            };
            self.journal.push(deed);
            if let Some(growth) = self.growth.get_mut(uid(claim)) {
                growth.refused = false;
            }
        }
    }

    /// Brings a bound claim's volume to the size that it asks for.
    fn grow(&mut self, at: &Name, claim: &Value) {
        let asked = bytes_at(claim, "/spec/resources/requests/storage");
        let has = bytes_at(claim, "/status/capacity/storage");
        let id = uid(claim).to_owned();
        let mut growth = self.growth.get(&id).cloned().unwrap_or_default();
        if let Some((target, due)) = growth.controller {
            if self.now < due {
                self.agenda.at(due, Look::Claim(at.clone()));
            } else {
                self.controller_has_grown(at, claim, &mut growth, target);
            }
        } else if asked > has {
            self.ask_provider(at, claim, &mut growth, asked);
        }
        self.growth.insert(id, growth);
    }

    fn ask_provider(&mut self, at: &Name, claim: &Value, growth: &mut Growth, asked: u64) {
        let class = self.objects.get(&STORAGE_CLASSES, &(String::new(), class_of(claim).to_owned()));
        if class.is_none_or(|c| c["allowVolumeExpansion"] != true) {
            return;
        }
        let free_at = growth.changed_at.map_or(self.now, |t| t + timing::BETWEEN_VOLUME_CHANGES);
        if self.now < free_at || self.zone_of_claim(claim).is_some_and(|z| self.places.dark.contains(&z)) {
            let again = if self.now < free_at { free_at } else { self.now + timing::RESIZE_RETRY };
            self.agenda.at(again, Look::Claim(at.clone()));
            if !growth.refused {
                growth.refused = true;
                let why = if self.now < free_at {
                    "the provider changes a volume at most once in 6 hours"
                } else {
                    "the provider does not answer for the volume's zone"
                };
                let message = format!("resize volume {}: {why}", text(claim, "/spec/volumeName"));
                self.claim_conditions(
                    claim,
                    json!({ "storage": "ControllerResizeInfeasible" }),
                    &[("ControllerResizeError", &message)],
                );
                self.event(claim, "Warning", "VolumeResizeFailed", &message);
            }
            return;
        }
        let due =
            self.now + draw(self.seed, "resize", &format!("{}{asked}", at.1), timing::CONTROLLER_RESIZE);
        *growth = Growth {
            controller: Some((asked, due)),
            filesystem: None,
            changed_at: Some(self.now),
            refused: false,
        };
        self.agenda.at(due, Look::Claim(at.clone()));
        self.claim_conditions(claim, json!({ "storage": "ControllerResizeInProgress" }), &[("Resizing", "")]);
        self.event(
            claim,
            "Normal",
            "Resizing",
            &format!("External resizer is resizing volume {}", text(claim, "/spec/volumeName")),
        );
    }

    fn zone_of_claim(&self, claim: &Value) -> Option<String> {
        let volume =
            self.objects.get(&VOLUMES, &(String::new(), text(claim, "/spec/volumeName").to_owned()))?;
        let terms = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
        Some(text(&volume, terms).to_owned())
    }

    fn controller_has_grown(&mut self, at: &Name, claim: &Value, growth: &mut Growth, target: u64) {
        let volume = text(claim, "/spec/volumeName").to_owned();
        let size = quantity_of(target);
        match growth.filesystem {
            None => {
                let key = (String::new(), volume);
                self.patch(&VOLUMES, &key, json!({ "spec": { "capacity": { "storage": size } } }));
                let message =
                    "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";
                self.claim_conditions(
                    claim,
                    json!({ "storage": "NodeResizePending" }),
                    &[("FileSystemResizePending", message)],
                );
                let due = self.now + draw(self.seed, "filesystem", &at.1, timing::FILESYSTEM_RESIZE);
                growth.filesystem = Some(due);
                self.agenda.at(due, Look::Claim(at.clone()));
            }
            Some(due) if self.now < due => self.agenda.at(due, Look::Claim(at.clone())),
            // the Pod's next change looks at its claims
            Some(due) if !self.is_mounted(at, self.grows_offline(claim).then_some(due)) => {}
            Some(_) => {
                growth.controller = None;
                growth.filesystem = None;
                let status = json!({
                    "capacity": { "storage": size }, "conditions": null,
                    "allocatedResourceStatuses": null, "allocatedResources": { "storage": size },
                });
                self.set_status(&CLAIMS, claim, status);
                self.note(format!("claim {}/{} grown to {size}", at.0, at.1));
                self.event(
                    claim,
                    "Normal",
                    "FileSystemResizeSuccessful",
                    "MountVolume.NodeExpandVolume succeeded",
                );
                self.volume_grown(&volume, target);
            }
        }
    }

    /// Whether the class's volumes take a new size only when they are mounted.
    fn grows_offline(&self, claim: &Value) -> bool {
        let class = self.objects.get(&STORAGE_CLASSES, &(String::new(), class_of(claim).to_owned()));
        class.is_some_and(|c| c["metadata"]["annotations"]["played.pilothouse/expansion"] == "offline")
    }

    /// Whether a kubelet that answers has the claim mounted in a Pod that runs and, if that matters,
    /// was started since then.
    fn is_mounted(&self, at: &Name, since: Option<i64>) -> bool {
        let on = |r: &super::kubelet::Run| {
            r.at.0 == at.0
                && r.claims.contains(&at.1)
                && r.has_processes()
                && since.is_none_or(|since| r.started_at.is_some_and(|started| started >= since))
                && self.places.is_connected(&r.node, self.now)
        };
        self.runs.values().any(on)
    }

    fn claim_conditions(&mut self, claim: &Value, resizing: Value, conditions: &[(&str, &str)]) {
        let made: Vec<Value> = conditions
            .iter()
            .map(|(kind, message)| {
                let since = condition(claim, kind)
                    .map_or_else(|| timestamp_of(self.now), |c| text(c, "/lastTransitionTime").to_owned());
                json!({
                    "type": kind, "status": "True", "message": message,
                    "lastProbeTime": null, "lastTransitionTime": since,
                })
            })
            .collect();
        let asked = claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or_default();
        let status = json!({
            "conditions": made, "allocatedResources": { "storage": asked }, "allocatedResourceStatuses": resizing,
        });
        self.set_status(&CLAIMS, claim, status);
    }

    /// A volume whose claim is gone is deleted with all that it held.
    pub(crate) fn look_at_volume(&mut self, volume: &str) {
        let key = (String::new(), volume.to_owned());
        let Some(object) = self.objects.get(&VOLUMES, &key) else { return };
        let claim = (
            text(&object, "/spec/claimRef/namespace").to_owned(),
            text(&object, "/spec/claimRef/name").to_owned(),
        );
        let owner = text(&object, "/spec/claimRef/uid").to_owned();
        if owner.is_empty() || self.objects.get(&CLAIMS, &claim).is_some_and(|c| uid(&c) == owner) {
            return;
        }
        if self.attached.contains_key(volume) {
            self.attached.remove(volume);
        }
        self.note(format!("volume {volume} deleted"));
        self.volume_destroyed(volume);
        self.delete(&VOLUMES, &object, None);
        if let Some(left) = self.objects.get(&VOLUMES, &key).filter(|v| terminating(v)) {
            let none: [&str; 0] = [];
            let at = (String::new(), name(&left).to_owned());
            self.patch(&VOLUMES, &at, json!({ "metadata": { "finalizers": none } }));
        }
    }

    /// All claims of a zone may go on after the provider answers again.
    pub(crate) fn look_at_all_claims(&mut self) {
        for claim in self.objects.all(&CLAIMS) {
            self.agenda.now(Look::Claim(super::objects::name_of(&claim)));
        }
        for node in self.objects.all(&NODES) {
            self.agenda.now(Look::Node(name(&node).to_owned()));
        }
    }
}

/// Whether a claim asks for a volume that many nodes may have at once.
pub(crate) fn is_shared(claim: &Value) -> bool {
    array(claim, "/spec/accessModes").iter().any(|mode| mode == "ReadWriteMany" || mode == "ReadOnlyMany")
}
