//! One object of the cache: its head, and what somebody has asked of it so far.

use std::sync::OnceLock;

use kube::api::{DynamicObject, ObjectMeta};
use pilothouse_api::{
    EtcdLockserver, VitessBackupSchedule, VitessBackupStorage, VitessCell, VitessCluster, VitessKeyspace,
    VitessShard,
};
use pilothouse_core::Millis;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::asked::AskedShard;
use crate::kinds::{Kind, Read};

/// One object. It is kept as it came; a tree is made when somebody reads more than its head (without
/// metadata, where that is enough), and the type when somebody reads the spec of one of our own kinds. Many are replaced before that.
#[derive(Debug, Clone)]
pub struct Cached {
    kind: Kind,
    read: Read,
    body: OnceLock<Value>,
    whole: OnceLock<DynamicObject>,
    typed: OnceLock<Typed>,
}

/// Our own kinds, read.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "one variant a kind")]
pub enum Typed {
    Cluster(Box<VitessCluster>),
    Cell(Box<VitessCell>),
    Keyspace(Box<VitessKeyspace>),
    Shard(Box<AskedShard>),
    Lockserver(Box<EtcdLockserver>),
    Storage(Box<VitessBackupStorage>),
    Schedule(Box<VitessBackupSchedule>),
    /// A kind that is only read in places.
    Raw,
    /// It does not fit its type: why.
    Unreadable(String),
}

impl Cached {
    /// As it came.
    #[must_use]
    pub const fn new(kind: Kind, read: Read) -> Self {
        Self { kind, read, body: OnceLock::new(), whole: OnceLock::new(), typed: OnceLock::new() }
    }

    /// As it came.
    #[must_use]
    pub const fn read(&self) -> &Read {
        &self.read
    }

    /// Its metadata, without `managedFields`.
    #[must_use]
    pub const fn head(&self) -> &ObjectMeta {
        &self.read.head
    }

    /// All of it.
    ///
    /// # Panics
    /// When the API server gave something else than an object.
    #[must_use]
    pub fn whole(&self) -> &DynamicObject {
        self.whole.get_or_init(|| self.read.whole().expect("an object of the API server's"))
    }

    /// As its type.
    #[must_use]
    pub fn typed(&self) -> &Typed {
        self.typed.get_or_init(|| Typed::of(self.kind, &self.read))
    }

    /// The object's UID; empty if the server gave none.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.read.head.uid.as_deref().unwrap_or_default()
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.read.head.name.as_deref().unwrap_or_default()
    }

    /// The version that it came as; empty if the server gave none.
    #[must_use]
    pub fn version(&self) -> &str {
        self.read.head.resource_version.as_deref().unwrap_or_default()
    }

    /// When it was created; 0 if the server gave no time.
    #[must_use]
    pub fn created(&self) -> Millis {
        let created = self.read.head.creation_timestamp.as_ref();
        created.and_then(|t| Millis::try_from(t.0.as_millisecond()).ok()).unwrap_or(0)
    }

    /// A label's value; empty if absent.
    #[must_use]
    pub fn label(&self, key: &str) -> &str {
        self.read.head.labels.as_ref().and_then(|l| l.get(key)).map_or("", String::as_str)
    }

    /// An annotation's value.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.read.head.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// A field by JSON pointer below the top (`/status/phase`); none of its type and metadata.
    ///
    /// # Panics
    /// When the API server gave something else than an object.
    #[must_use]
    pub fn field(&self, pointer: &str) -> Option<&Value> {
        let body = || self.body.get_or_init(|| self.read.body().expect("an object of the API server's"));
        let body = self.whole.get().map_or_else(body, |whole| &whole.data);
        // The library's own `pointer` makes a new string of each name on the way.
        pointer.split('/').skip(1).try_fold(body, |value, name| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => value.get(name),
        })
    }

    /// Whether the API server waits for it to go.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.read.head.deletion_timestamp.is_some()
    }
}

impl Typed {
    fn of(kind: Kind, read: &Read) -> Self {
        fn parse<K: DeserializeOwned>(read: &Read, wrap: fn(Box<K>) -> Typed) -> Typed {
            read.typed::<K>().map_or_else(Typed::Unreadable, |k| wrap(Box::new(k)))
        }
        let shard = |shard: Box<VitessShard>| Self::Shard(Box::new(AskedShard::read(*shard)));
        match kind {
            Kind::VitessCluster => parse(read, Self::Cluster),
            Kind::VitessCell => parse(read, Self::Cell),
            Kind::VitessKeyspace => parse(read, Self::Keyspace),
            Kind::VitessShard => parse(read, shard),
            Kind::EtcdLockserver => parse(read, Self::Lockserver),
            Kind::VitessBackupStorage => parse(read, Self::Storage),
            Kind::VitessBackupSchedule => parse(read, Self::Schedule),
            Kind::VitessBackup
            | Kind::Deployment
            | Kind::HorizontalPodAutoscaler
            | Kind::Job
            | Kind::PersistentVolumeClaim
            | Kind::Pod
            | Kind::PodDisruptionBudget
            | Kind::Secret
            | Kind::Service
            | Kind::Node
            | Kind::StorageClass => Self::Raw,
        }
    }
}
