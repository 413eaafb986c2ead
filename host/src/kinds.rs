//! The Kubernetes kinds that the host watches and writes, and how to reach them.
//!
//! Owns the one table of kinds. Everything generic over kinds asks here. Secrets are written and
//! never watched: a watch would need to read those of everybody ([`crate::secrets`]).

mod read;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, Request};
use kube::{Client, Resource};
use pilothouse_api::{
    EtcdLockserver, VitessBackup, VitessBackupSchedule, VitessBackupStorage, VitessCell, VitessCluster,
    VitessKeyspace, VitessShard,
};
use serde::Serialize;

pub use read::Read;

/// A part of an object that is written apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Metadata and spec.
    Main,
    /// Its status.
    Status,
}

/// A kind that the host watches or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "Kubernetes' own names")]
pub enum Kind {
    VitessCluster,
    VitessCell,
    VitessKeyspace,
    VitessShard,
    EtcdLockserver,
    VitessBackupStorage,
    VitessBackup,
    VitessBackupSchedule,
    Deployment,
    HorizontalPodAutoscaler,
    Job,
    PersistentVolumeClaim,
    Pod,
    PodDisruptionBudget,
    Secret,
    Service,
    Node,
    StorageClass,
}

impl Kind {
    /// Every kind, in the order that they are first listed: parents before children.
    pub const ALL: [Self; 18] = [
        Self::VitessCluster,
        Self::VitessCell,
        Self::VitessKeyspace,
        Self::VitessShard,
        Self::EtcdLockserver,
        Self::VitessBackupStorage,
        Self::VitessBackup,
        Self::VitessBackupSchedule,
        Self::Deployment,
        Self::HorizontalPodAutoscaler,
        Self::Job,
        Self::PersistentVolumeClaim,
        Self::Pod,
        Self::PodDisruptionBudget,
        Self::Secret,
        Self::Service,
        Self::Node,
        Self::StorageClass,
    ];

    /// The kind as manifests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VitessCluster => "VitessCluster",
            Self::VitessCell => "VitessCell",
            Self::VitessKeyspace => "VitessKeyspace",
            Self::VitessShard => "VitessShard",
            Self::EtcdLockserver => "EtcdLockserver",
            Self::VitessBackupStorage => "VitessBackupStorage",
            Self::VitessBackup => "VitessBackup",
            Self::VitessBackupSchedule => "VitessBackupSchedule",
            Self::Deployment => "Deployment",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Job => "Job",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Pod => "Pod",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Secret => "Secret",
            Self::Service => "Service",
            Self::Node => "Node",
            Self::StorageClass => "StorageClass",
        }
    }

    /// Whether objects of it ask for others.
    #[must_use]
    pub const fn has_children(self) -> bool {
        matches!(
            self,
            Self::VitessCluster
                | Self::VitessCell
                | Self::VitessKeyspace
                | Self::VitessShard
                | Self::EtcdLockserver
                | Self::VitessBackupStorage
        )
    }

    /// The kind of that name, if it is in the table.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == name)
    }

    /// Whether changes of the kind's objects are told by a watch.
    #[must_use]
    pub const fn is_watched(self) -> bool {
        !matches!(self, Self::Secret)
    }

    /// Whether objects of the kind stand in a namespace.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::StorageClass)
    }

    /// Group, version and plural.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        fn erased<K: Resource<DynamicType = ()>>() -> ApiResource {
            ApiResource::erase::<K>(&())
        }
        match self {
            Self::VitessCluster => erased::<VitessCluster>(),
            Self::VitessCell => erased::<VitessCell>(),
            Self::VitessKeyspace => erased::<VitessKeyspace>(),
            Self::VitessShard => erased::<VitessShard>(),
            Self::EtcdLockserver => erased::<EtcdLockserver>(),
            Self::VitessBackupStorage => erased::<VitessBackupStorage>(),
            Self::VitessBackup => erased::<VitessBackup>(),
            Self::VitessBackupSchedule => erased::<VitessBackupSchedule>(),
            Self::Deployment => erased::<Deployment>(),
            Self::HorizontalPodAutoscaler => erased::<HorizontalPodAutoscaler>(),
            Self::Job => erased::<Job>(),
            Self::PersistentVolumeClaim => erased::<PersistentVolumeClaim>(),
            Self::Pod => erased::<Pod>(),
            Self::PodDisruptionBudget => erased::<PodDisruptionBudget>(),
            Self::Secret => erased::<Secret>(),
            Self::Service => erased::<Service>(),
            Self::Node => erased::<Node>(),
            Self::StorageClass => erased::<StorageClass>(),
        }
    }

    /// Objects that carry this label are ours to see; `None`: all of the kind.
    #[must_use]
    pub const fn selector(self) -> Option<&'static str> {
        match self {
            Self::Deployment
            | Self::HorizontalPodAutoscaler
            | Self::Job
            | Self::PersistentVolumeClaim
            | Self::Pod
            | Self::PodDisruptionBudget
            | Self::Secret
            | Self::Service => Some(pilothouse_api::labels::CLUSTER),
            Self::VitessCluster
            | Self::VitessCell
            | Self::VitessKeyspace
            | Self::VitessShard
            | Self::EtcdLockserver
            | Self::VitessBackupStorage
            | Self::VitessBackup
            | Self::VitessBackupSchedule
            | Self::Node
            | Self::StorageClass => None,
        }
    }

    /// An untyped API for the kind in a namespace.
    #[must_use]
    pub fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }

    /// Patches an object, or its `status`; answers what then stands.
    ///
    /// # Errors
    /// When the API server says no, or says nothing.
    pub async fn patch<P: Serialize + std::fmt::Debug>(
        self,
        client: &Client,
        (namespace, name): (&str, &str),
        part: Part,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<Read, kube::Error> {
        let request = Request::new(DynamicObject::url_path(&self.resource(), Some(namespace)));
        let request = match part {
            Part::Main => request.patch(name, params, patch),
            Part::Status => request.patch_subresource("status", name, params, patch),
        };
        let text = client.request_text(request.map_err(kube::Error::BuildRequest)?).await?;
        Read::of(text).map_err(kube::Error::SerdeError)
    }
}
