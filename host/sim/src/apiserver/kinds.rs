//! Which kinds the server knows, how each is addressed, and how it may be used.
//!
//! It must not know objects; only their kinds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::schema::{Schema, builtin};
use super::status::Status;

/// The stored identity of a kind: API group and plural resource name, without a version.
/// Ordered by the latter first, by which most differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// Plural, lower case: `pods`.
    pub resource: Cow<'static, str>,
    /// API group; empty for core.
    pub group: Cow<'static, str>,
}

impl ResourceId {
    /// A resource known at compile time.
    pub const fn of(group: &'static str, resource: &'static str) -> Self {
        Self { group: Cow::Borrowed(group), resource: Cow::Borrowed(resource) }
    }

    /// A resource known at run time.
    pub fn new(group: &str, resource: &str) -> Self {
        Self { group: Cow::Owned(group.to_owned()), resource: Cow::Owned(resource.to_owned()) }
    }
}

macro_rules! builtin_ids {
    ($($name:ident = $group:literal, $resource:literal;)*) => {
        $(#[doc = concat!("`", $resource, "` of group `", $group, "`.")]
        pub const $name: ResourceId = ResourceId::of($group, $resource);)*
    };
}

builtin_ids! {
    NAMESPACES = "", "namespaces";
    NODES = "", "nodes";
    PODS = "", "pods";
    CLAIMS = "", "persistentvolumeclaims";
    VOLUMES = "", "persistentvolumes";
    SERVICES = "", "services";
    SECRETS = "", "secrets";
    CONFIG_MAPS = "", "configmaps";
    SERVICE_ACCOUNTS = "", "serviceaccounts";
    EVENTS = "", "events";
    DEPLOYMENTS = "apps", "deployments";
    REPLICA_SETS = "apps", "replicasets";
    JOBS = "batch", "jobs";
    DISRUPTION_BUDGETS = "policy", "poddisruptionbudgets";
    STORAGE_CLASSES = "storage.k8s.io", "storageclasses";
    VOLUME_ATTACHMENTS = "storage.k8s.io", "volumeattachments";
    PRIORITY_CLASSES = "scheduling.k8s.io", "priorityclasses";
    LEASES = "coordination.k8s.io", "leases";
    AUTOSCALERS = "autoscaling", "horizontalpodautoscalers";
    NETWORK_POLICIES = "networking.k8s.io", "networkpolicies";
    DEFINITIONS = "apiextensions.k8s.io", "customresourcedefinitions";
}

/// One object's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: ResourceId,
    /// Its namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// The object `name` of `kind` in `namespace` (empty for a cluster-scoped kind).
    pub fn new(kind: ResourceId, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// Where a kind's scale subresource reads and writes, as simple paths (`.spec.replicas`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) selector: Option<String>,
}

/// A column of a printed table, for kinds that declare theirs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// A version of a kind that is served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) version: String,
    pub(crate) schema: Arc<Schema>,
    pub(crate) columns: Vec<PrinterColumn>,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) warning: Option<String>,
    pub(crate) selectable: Vec<String>,
}

/// All the server knows about a kind.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// As addressed.
    pub(crate) id: ResourceId,
    /// Where its objects are kept; differs from `id` for the second door to events only.
    pub(crate) stored: ResourceId,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) singular: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) storage_version: String,
    pub(crate) served: Vec<Served>,
    pub(crate) custom: bool,
}

impl Kind {
    /// `pods`, or `vitessclusters.planetscale.com`.
    pub(crate) fn qualified(&self) -> String {
        if self.id.group.is_empty() {
            self.id.resource.to_string()
        } else {
            format!("{}.{}", self.id.resource, self.id.group)
        }
    }

    /// `Pod`, or `VitessCluster.planetscale.com`.
    pub(crate) fn group_kind(&self) -> String {
        if self.id.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.id.group) }
    }

    /// `v1`, or `apps/v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.id.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.id.group) }
    }

    pub(crate) fn version(&self, version: &str) -> Option<&Served> {
        self.served.iter().find(|served| served.version == version)
    }

    /// The version in which objects are kept; a kind always serves or at least declares it.
    pub(crate) fn storage(&self) -> &Served {
        self.version(&self.storage_version).unwrap_or(&self.served[0])
    }

    /// Served for reading alone, always empty: nothing here would enforce what they say.
    pub(crate) fn is_read_only(&self) -> bool {
        self.id.group.is_empty() && matches!(&*self.id.resource, "limitranges" | "resourcequotas")
    }

    /// Whether the real server knows more fields of it to select by than name and namespace.
    pub(crate) fn has_field_labels(&self) -> bool {
        self.custom
            || self.id.group.is_empty()
                && matches!(
                    &*self.id.resource,
                    "pods" | "nodes" | "events" | "namespaces" | "secrets" | "services"
                )
    }

    pub(crate) fn is(&self, id: &ResourceId) -> bool {
        self.id == *id
    }
}

/// The installed kinds, in the order of their identity.
#[derive(Default)]
pub(crate) struct Kinds {
    by_id: BTreeMap<ResourceId, Arc<Kind>>,
}

impl Kinds {
    pub(crate) fn builtin() -> Self {
        let mut kinds = Self::default();
        for row in BUILTIN {
            kinds.install(Arc::new(row.kind()));
        }
        kinds
    }

    pub(crate) fn install(&mut self, kind: Arc<Kind>) {
        self.by_id.insert(kind.id.clone(), kind);
    }

    pub(crate) fn remove(&mut self, id: &ResourceId) {
        self.by_id.remove(id);
    }

    pub(crate) fn get(&self, id: &ResourceId) -> Option<&Arc<Kind>> {
        self.by_id.get(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_id.values()
    }

    /// The kind an owner reference names, by its group (of `apiVersion`) and `kind`.
    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.by_id.values().find(|known| known.id.group == group && known.kind == kind)
    }
}

/// One built-in kind, one line.
struct Row {
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    kind: &'static str,
    namespaced: bool,
    status: bool,
    scale: bool,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    type_name: &'static str,
}

impl Row {
    fn kind(&self) -> Kind {
        let id = ResourceId::of(self.group, self.resource);
        let stored = if self.resource == "events" { EVENTS } else { id.clone() };
        let scale = self.scale.then(|| ScalePaths {
            spec_replicas: ".spec.replicas".to_owned(),
            status_replicas: ".status.replicas".to_owned(),
            selector: None,
        });
        let served = Served {
            version: self.version.to_owned(),
            schema: builtin::schema(self.type_name),
            columns: Vec::new(),
            status: self.status,
            scale,
            warning: None,
            selectable: Vec::new(),
        };
        Kind {
            id,
            stored,
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            singular: self.kind.to_lowercase(),
            namespaced: self.namespaced,
            short_names: self.short_names.iter().map(|&name| name.to_owned()).collect(),
            categories: self.categories.iter().map(|&name| name.to_owned()).collect(),
            storage_version: self.version.to_owned(),
            served: vec![served],
            custom: false,
        }
    }
}

macro_rules! rows {
    ($($group:literal $version:literal $resource:literal $kind:literal $scope:ident $flags:literal [$($short:literal),*] [$($cat:literal),*] $type_name:literal;)*) => {
        &[$(Row {
            group: $group, version: $version, resource: $resource, kind: $kind,
            namespaced: rows!(@$scope), status: contains($flags, b'S'), scale: contains($flags, b'C'),
            short_names: &[$($short),*], categories: &[$($cat),*], type_name: $type_name,
        }),*]
    };
    (@namespaced) => { true };
    (@cluster) => { false };
}

const fn contains(flags: &str, wanted: u8) -> bool {
    let bytes = flags.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == wanted {
            return true;
        }
        at += 1;
    }
    false
}

/// Flags: S a status subresource, C a scale subresource.
const BUILTIN: &[Row] = rows! {
    "" "v1" "namespaces" "Namespace" cluster "S" ["ns"] [] "Namespace";
    "" "v1" "nodes" "Node" cluster "S" ["no"] [] "Node";
    "" "v1" "pods" "Pod" namespaced "S" ["po"] ["all"] "Pod";
    "" "v1" "persistentvolumeclaims" "PersistentVolumeClaim" namespaced "S" ["pvc"] [] "PersistentVolumeClaim";
    "" "v1" "persistentvolumes" "PersistentVolume" cluster "S" ["pv"] [] "PersistentVolume";
    "" "v1" "services" "Service" namespaced "S" ["svc"] ["all"] "Service";
    "" "v1" "secrets" "Secret" namespaced "" [] [] "Secret";
    "" "v1" "configmaps" "ConfigMap" namespaced "" ["cm"] [] "ConfigMap";
    "" "v1" "serviceaccounts" "ServiceAccount" namespaced "" ["sa"] [] "ServiceAccount";
    "" "v1" "events" "Event" namespaced "" ["ev"] [] "Event";
    "" "v1" "limitranges" "LimitRange" namespaced "" ["limits"] [] "LimitRange";
    "" "v1" "resourcequotas" "ResourceQuota" namespaced "" ["quota"] [] "ResourceQuota";
    "events.k8s.io" "v1" "events" "Event" namespaced "" ["ev"] [] "events.Event";
    "apps" "v1" "deployments" "Deployment" namespaced "SC" ["deploy"] ["all"] "apps.Deployment";
    "apps" "v1" "replicasets" "ReplicaSet" namespaced "SC" ["rs"] ["all"] "apps.ReplicaSet";
    "batch" "v1" "jobs" "Job" namespaced "S" [] ["all"] "batch.Job";
    "policy" "v1" "poddisruptionbudgets" "PodDisruptionBudget" namespaced "S" ["pdb"] [] "policy.PodDisruptionBudget";
    "storage.k8s.io" "v1" "storageclasses" "StorageClass" cluster "" ["sc"] [] "storage.StorageClass";
    "storage.k8s.io" "v1" "volumeattachments" "VolumeAttachment" cluster "S" [] [] "storage.VolumeAttachment";
    "scheduling.k8s.io" "v1" "priorityclasses" "PriorityClass" cluster "" ["pc"] [] "scheduling.PriorityClass";
    "coordination.k8s.io" "v1" "leases" "Lease" namespaced "" [] [] "coordination.Lease";
    "autoscaling" "v2" "horizontalpodautoscalers" "HorizontalPodAutoscaler" namespaced "S" ["hpa"] ["all"] "autoscaling.HorizontalPodAutoscaler";
    "networking.k8s.io" "v1" "networkpolicies" "NetworkPolicy" namespaced "" ["netpol"] [] "networking.NetworkPolicy";
    "rbac.authorization.k8s.io" "v1" "roles" "Role" namespaced "" [] [] "rbac.Role";
    "rbac.authorization.k8s.io" "v1" "rolebindings" "RoleBinding" namespaced "" [] [] "rbac.RoleBinding";
    "rbac.authorization.k8s.io" "v1" "clusterroles" "ClusterRole" cluster "" [] [] "rbac.ClusterRole";
    "rbac.authorization.k8s.io" "v1" "clusterrolebindings" "ClusterRoleBinding" cluster "" [] [] "rbac.ClusterRoleBinding";
    "apiextensions.k8s.io" "v1" "customresourcedefinitions" "CustomResourceDefinition" cluster "S" ["crd", "crds"] ["api-extensions"] "CustomResourceDefinition";
};

/// Groups and core resources of the real server that are not played.
const NOT_PLAYED: &[(&str, &[&str])] = &[
    ("", &["bindings", "componentstatuses", "endpoints", "podtemplates", "replicationcontrollers"]),
    ("apps", &["controllerrevisions", "daemonsets", "statefulsets"]),
    ("batch", &["cronjobs"]),
    ("networking.k8s.io", &["ingressclasses", "ingresses", "ipaddresses", "servicecidrs"]),
    ("storage.k8s.io", &["csidrivers", "csinodes", "csistoragecapacities", "volumeattributesclasses"]),
    ("coordination.k8s.io", &["leasecandidates"]),
    ("admissionregistration.k8s.io", &[]),
    ("apiregistration.k8s.io", &[]),
    ("authentication.k8s.io", &[]),
    ("authorization.k8s.io", &[]),
    ("certificates.k8s.io", &[]),
    ("discovery.k8s.io", &[]),
    ("flowcontrol.apiserver.k8s.io", &[]),
    ("node.k8s.io", &[]),
    ("resource.k8s.io", &[]),
];

/// The refusal for a resource that is not served: 501 if the real server has it, else 404.
pub(crate) fn absent(id: &ResourceId) -> Status {
    let real = NOT_PLAYED.iter().any(|(group, resources)| {
        *group == id.group && (resources.is_empty() || resources.contains(&&*id.resource))
    });
    if real {
        let group = if id.group.is_empty() { "core" } else { &id.group };
        return Status::unsupported(&format!("the resource {} of group {group}", id.resource));
    }
    Status::no_such_path()
}
