//! The embedded control plane: the played API server and world with the real controller beside them.
//!
//! Owns the wiring that `demo`, `dev`, `simulate` and tests share. The
//! controller is the one that `run` starts; only what it leans on is played.

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::{Discovery, Scope};
use pilothouse_core::Millis;
use pilothouse_core::guard::RULES;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::apiserver::{self, ApiServer};
use pilothouse_sim::clock::Clock as PlayedClock;
use pilothouse_sim::world::{World, WorldSettings};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::controller::{Controller, Parts};
use crate::render::PRIORITY_CLASS;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::vitess::Vitess;

/// Why a manifest could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML, or not of Kubernetes' shape.
    #[error("document {document} of the manifest: {reason}")]
    Manifest {
        /// Counted from 1.
        document: usize,
        /// Why.
        reason: String,
    },
    /// No such kind on the embedded control plane.
    #[error("document {document} of the manifest: the control plane has no kind {kind} of {api_version}")]
    NoSuchKind {
        /// Counted from 1.
        document: usize,
        /// The kind.
        kind: String,
        /// Group and version.
        api_version: String,
    },
    /// The API server said no.
    #[error("{object}: {source}")]
    Rejected {
        /// Kind and name.
        object: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// A definition of ours, or the class of our Pods, was not taken: a defect.
    #[error("what an installation brings: {0}")]
    Definition(apiserver::Status),
    /// Our own definitions cannot be made: a defect.
    #[error(transparent)]
    Definitions(#[from] pilothouse_api::crds::Error),
    /// The manifest has no VitessCluster, or more than one.
    #[error("the manifest has {0} VitessClusters; the demo shows one")]
    Clusters(usize),
}

/// A played control plane.
pub struct Embedded {
    /// The API server.
    pub api: ApiServer,
    /// Nodes, kubelets, volumes, Vitess.
    pub world: World,
    /// A client as `run` has one, without sockets.
    pub client: Client,
    /// The host's clock, kept by the world.
    pub clock: Clock,
    /// The host's numbers.
    pub telemetry: Telemetry,
}

impl Embedded {
    /// A control plane whose time begins at `epoch_ms` and that plays nothing yet.
    ///
    /// # Errors
    /// When one of our own definitions is refused: a defect.
    pub fn new(epoch_ms: Millis, seed: u64, world: WorldSettings) -> Result<Self, Error> {
        let played = PlayedClock::starting_at(i64::try_from(epoch_ms).unwrap_or(0));
        let api = ApiServer::new(played.clone(), seed);
        for definition in definitions()? {
            api.create("pilothouse", &apiserver::kinds::DEFINITIONS, definition.clone())
                .map_err(Error::Definition)?;
        }
        api.create("pilothouse", &apiserver::kinds::PRIORITY_CLASSES, priority_class())
            .map_err(Error::Definition)?;
        let world = World::new(api.clone(), played.clone(), seed, world);
        let client = Client::new(api.service(), "default");
        let clock = Clock::from_fn(move || Millis::try_from(played.now_ms()).unwrap_or(0));
        Ok(Self { api, world, client, clock, telemetry: Telemetry::default() })
    }

    /// The controller, as `run` would start it, with the played Vitess.
    #[must_use]
    pub fn controller(&self, policies: Arc<PolicySet>, settings: &Settings) -> Controller {
        Controller::new(self.parts(policies, settings))
    }

    /// What [`Embedded::controller`] runs on.
    #[must_use]
    pub fn parts(&self, policies: Arc<PolicySet>, settings: &Settings) -> Parts {
        Parts {
            client: self.client.clone(),
            vitess: Vitess::Played(self.world.vitess()),
            policies,
            rules: RULES.to_vec(),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
            namespace: settings.namespace.clone(),
            judging: settings.into(),
        }
    }

    /// Starts the world and the controller on the current runtime.
    pub fn start(
        &self,
        controller: Controller,
        stop: &CancellationToken,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        vec![
            tokio::spawn(self.world.clone().run(stop.clone().cancelled_owned())),
            tokio::spawn(controller.run(stop.clone())),
        ]
    }
}

/// The class that our Pods name; an installation's manifests bring it.
fn priority_class() -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000,
        "metadata": { "name": PRIORITY_CLASS },
    })
}

/// Our definitions, made once: a simulation begins thousands of control planes.
fn definitions() -> Result<&'static [Value], Error> {
    static MADE: OnceLock<Vec<Value>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let made = pilothouse_api::crds::all()?.into_iter().map(|d| serde_json::to_value(d).unwrap_or_default());
    Ok(MADE.get_or_init(|| made.collect()))
}

/// Whether a manifest brings a claim that one node may mount at a time: its Pods
/// on several nodes can share it only where the provider is a network file system.
#[must_use]
pub fn shares_a_disk(documents: &[Value]) -> bool {
    let modes =
        |d: &Value| d.pointer("/spec/accessModes").and_then(Value::as_array).cloned().unwrap_or_default();
    documents
        .iter()
        .filter(|d| d["kind"] == "PersistentVolumeClaim")
        .any(|d| !modes(d).iter().any(|mode| mode == "ReadWriteMany"))
}

/// The documents of a manifest.
///
/// # Errors
/// When one is no YAML; empty documents are passed over.
pub fn documents(text: &str) -> Result<Vec<Value>, Error> {
    serde_yaml_ng::Deserializer::from_str(text)
        .enumerate()
        .map(|(i, document)| {
            let bad = |e: serde_yaml_ng::Error| Error::Manifest { document: i + 1, reason: e.to_string() };
            Value::deserialize(document).map_err(bad)
        })
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

/// Applies documents as `kubectl apply --server-side` would, after their namespaces.
///
/// # Errors
/// The first document that is not taken.
pub async fn apply(client: &Client, documents: &[Value]) -> Result<(), Error> {
    let rejected = |object: String| move |source| Error::Rejected { object, source: Box::new(source) };
    let discovery = Discovery::new(client.clone()).run().await.map_err(rejected("discovery".to_owned()))?;
    let namespaces: BTreeSet<&str> =
        documents.iter().filter_map(|d| d.pointer("/metadata/namespace")?.as_str()).collect();
    for name in namespaces {
        let api: Api<Namespace> = Api::all(client.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        match api.create(&PostParams::default(), &namespace).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(rejected(format!("Namespace {name}"))(error)),
        }
    }
    for (i, document) in documents.iter().enumerate() {
        let object: DynamicObject = serde_json::from_value(document.clone())
            .map_err(|e| Error::Manifest { document: i + 1, reason: e.to_string() })?;
        let types = object.types.clone().unwrap_or_default();
        let gvk = kube::api::GroupVersionKind::try_from(&types)
            .map_err(|e| Error::Manifest { document: i + 1, reason: e.to_string() })?;
        let (resource, capabilities) = discovery.resolve_gvk(&gvk).ok_or_else(|| Error::NoSuchKind {
            document: i + 1,
            kind: types.kind.clone(),
            api_version: types.api_version.clone(),
        })?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let api: Api<DynamicObject> = match (capabilities.scope, &object.metadata.namespace) {
            (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
            (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
        };
        let params = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply("kubectl")
        };
        let named = format!("{} {name}", types.kind);
        api.patch(&name, &params, &Patch::Apply(document)).await.map_err(rejected(named))?;
    }
    Ok(())
}
