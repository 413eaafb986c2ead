//! The admin pages, in each of their cells: vtadmin's API beside the server of its pages, and the
//! Secrets that both read at their start.
//!
//! Those Secrets keep nothing secret: they lead to vtctld and to the gateways by the names of
//! their Services, which stay the same as long as the cluster does.

use std::collections::BTreeMap;

use pilothouse_api::labels::{self, Component};
use pilothouse_api::names::{self, VtadminSecret};
use pilothouse_api::orchestrator::VtAdmin;
use pilothouse_api::pod_overrides::SecretSource;
use pilothouse_api::vitess_cell::CellTemplate;
use pilothouse_api::{VitessCluster, defaults};
use pilothouse_core::topology::Zone;
use serde_json::{Value, json};

use super::Rendered;
use super::child::{Owner, Strings, labels as pairs, unless_empty};
use super::container::{
    API, GRPC, PRIORITY_CLASS, WEB, alive_at, alive_on, as_vitess, port, ready_at, ready_on,
};
use super::deployment::{self, Program};
use super::flags::Flags;
use super::pod::{self, unless_blank};
use super::secret::SecretFile;
use super::services;

/// Flags of every API.
const API_FLAGS: [(&str, &str); 6] = [
    ("alsologtostderr", "true"),
    ("grpc-tracing", "true"),
    ("http-origin", "*"),
    ("http-tracing", "true"),
    ("logtostderr", "true"),
    ("tracer", "opentracing-jaeger"),
];
/// What the names of the pages' settings begin with: of Vitess 20 and later, and of earlier ones.
const SETTINGS: [&str; 2] = ["VITE", "REACT_APP"];
/// Where the pages look for their settings.
const PAGES: &str = "/var/www/config";

/// One cell's.
struct Admin<'a> {
    cluster: &'a VitessCluster,
    given: &'a VtAdmin,
    cell: &'a CellTemplate,
    /// The API as browsers reach it.
    api_address: &'a str,
    discovery: SecretSource,
    clusters: SecretSource,
    pages: SecretSource,
}

/// Renders the Service, then Secrets and a Deployment for each cell that should have them. Nothing
/// without an image: there is none that would do for every version of Vitess.
pub(super) fn render(cluster: &VitessCluster) -> Vec<Rendered> {
    let Some(given) = cluster.spec.vtadmin.as_ref().map(defaults::vtadmin) else { return Vec::new() };
    if cluster.spec.images.vtadmin.is_empty() {
        return Vec::new();
    }
    let mut rendered = vec![services::vtadmin(cluster, &given)];
    for (index, cell) in cells(cluster, &given).into_iter().enumerate() {
        let addresses = &given.api_addresses;
        let Some(api_address) = addresses.get(index).or_else(|| addresses.first()) else { continue };
        rendered.extend(Admin::of(cluster, &given, cell, api_address).render());
    }
    rendered
}

/// The cells that it runs in, in the order that the addresses of the API go by.
fn cells<'a>(cluster: &'a VitessCluster, given: &VtAdmin) -> Vec<&'a CellTemplate> {
    let all = &cluster.spec.cells;
    if given.cells.is_empty() {
        return all.iter().collect();
    }
    given.cells.iter().filter_map(|name| all.iter().find(|cell| cell.name == *name)).collect()
}

impl<'a> Admin<'a> {
    fn of(
        cluster: &'a VitessCluster,
        given: &'a VtAdmin,
        cell: &'a CellTemplate,
        api_address: &'a str,
    ) -> Self {
        let owner = Owner::of(cluster);
        let secret = |which, key: &str| SecretSource {
            name: names::vtadmin_secret(owner.name, &cell.name, which),
            key: key.to_owned(),
            ..SecretSource::default()
        };
        Self {
            cluster,
            given,
            cell,
            api_address,
            discovery: secret(VtadminSecret::Discovery, "discovery.json"),
            clusters: secret(VtadminSecret::ClusterConfig, "cluster-config.yaml"),
            pages: secret(VtadminSecret::WebConfig, "config.js"),
        }
    }

    fn render(&self) -> [Rendered; 4] {
        let owner = Owner::of(self.cluster);
        let secret = |file: &SecretSource, text| {
            let child = owner.child("v1", "Secret", file.name.clone(), self.labels());
            child.with_files([(file.key.clone(), text)])
        };
        [
            secret(&self.discovery, self.discovery_text()),
            secret(&self.clusters, self.clusters_text()),
            secret(&self.pages, self.pages_text()),
            deployment::render(&owner, self.program()),
        ]
    }

    fn labels(&self) -> Strings {
        let cluster = Owner::of(self.cluster).name;
        pairs([
            (labels::CLUSTER, cluster),
            (labels::CELL, &self.cell.name),
            (labels::COMPONENT, Component::Vtadmin.as_str()),
        ])
    }

    /// Where vtctld and the cell's gateways are.
    fn discovery_text(&self) -> String {
        let Owner { name, namespace, .. } = Owner::of(self.cluster);
        let at = |service: &str, port: u16| format!("{service}.{namespace}.svc:{port}");
        let vtctld = names::vtctld_service(name);
        let gateways = names::gateway_service(name, &self.cell.name);
        let found = json!({
            "vtctlds": [{ "host": { "fqdn": at(&vtctld, WEB), "hostname": at(&vtctld, GRPC) } }],
            "vtgates": [{ "host": { "hostname": at(&gateways, GRPC) } }],
        });
        found.to_string()
    }

    /// The list of clusters: this one. JSON is YAML.
    fn clusters_text(&self) -> String {
        let name = Owner::of(self.cluster).name;
        let cluster = json!({
            "name": name,
            "discovery": "staticfile",
            "discovery-staticfile-path": self.discovery_file().path(),
        });
        json!({ "clusters": { name: cluster } }).to_string()
    }

    /// The pages' settings, as the script that they load.
    fn pages_text(&self) -> String {
        let settings = [
            ("VTADMIN_API_ADDRESS", json!(self.api_address)),
            ("FETCH_CREDENTIALS", json!(self.given.fetch_credentials)),
            ("ENABLE_EXPERIMENTAL_TABLET_DEBUG_VARS", json!(false)),
            ("BUGSNAG_API_KEY", json!("")),
            ("DOCUMENT_TITLE", json!("")),
            ("READONLY_MODE", json!(self.given.read_only.unwrap_or(false))),
        ];
        let named = |prefix: &&str| settings.clone().map(|(name, value)| (format!("{prefix}_{name}"), value));
        let all: BTreeMap<String, Value> = SETTINGS.iter().flat_map(named).collect();
        format!("window.env = {};\n", json!(all))
    }

    fn program(&self) -> Program<'_> {
        let zone = Zone(self.cell.zone.clone());
        let files = [
            self.rbac_file(),
            Some(self.discovery_file()),
            Some(self.clusters_file()),
            Some(self.pages_file()),
        ];
        let mut pod = pod::spec(
            pod::Parts {
                containers: vec![self.api(), self.web()],
                init_containers: Vec::new(),
                volumes: files.iter().flatten().filter_map(SecretFile::volume).collect(),
                zones: Some(&zone).filter(|zone| !zone.0.is_empty()).into_iter().collect(),
                apart: Vec::new(),
                pull_secrets: &self.cluster.spec.image_pull_secrets,
            },
            &self.given.pod,
        );
        pod["priorityClassName"] = json!(PRIORITY_CLASS);
        Program {
            name: names::vtadmin(Owner::of(self.cluster).name, &self.cell.name),
            labels: self.labels(),
            extra_labels: &self.given.pod.extra_labels,
            annotations: self.given.pod.annotations.clone(),
            replicas: Some(i64::from(self.given.replicas.unwrap_or(1))),
            strategy: Value::Null,
            pod,
        }
    }

    fn api(&self) -> Value {
        let files = [self.rbac_file(), Some(self.discovery_file()), Some(self.clusters_file())];
        let mounts = files.iter().flatten().map(SecretFile::mount).collect();
        json!({
            "name": "vtadmin-api",
            "image": unless_blank(&self.cluster.spec.images.vtadmin),
            "imagePullPolicy": unless_blank(&self.cluster.spec.image_pull_policies.vtadmin),
            "command": ["/vt/bin/vtadmin"],
            "args": self.flags().args(),
            "env": pod::env(Vec::new(), &self.given.pod.extra_env),
            "ports": [port("api", API)],
            "readinessProbe": ready_on("api", "/health"),
            "livenessProbe": alive_on("api", "/health"),
            "resources": unless_empty(json!(self.given.api_resources)),
            "securityContext": as_vitess(),
            "volumeMounts": pod::mounts(mounts, &self.given.pod.extra_volume_mounts),
        })
    }

    fn web(&self) -> Value {
        let mut env: Vec<Value> = self.given.pod.extra_env.iter().map(|var| json!(var)).collect();
        env.push(json!({ "name": "VTADMIN_WEB_PORT", "value": WEB.to_string() }));
        json!({
            "name": "vtadmin-web",
            "image": unless_blank(&self.cluster.spec.images.vtadmin),
            "imagePullPolicy": unless_blank(&self.cluster.spec.image_pull_policies.vtadmin),
            "command": ["/docker-entrypoint.sh"],
            "args": ["nginx", "-g", "daemon off;"],
            "env": env,
            "ports": [port("web", WEB)],
            "readinessProbe": ready_at("/"),
            "livenessProbe": alive_at("/"),
            "resources": unless_empty(json!(self.given.web_resources)),
            "securityContext": as_vitess(),
            "volumeMounts": pod::mounts(vec![self.pages_file().mount()], &self.given.pod.extra_volume_mounts),
        })
    }

    fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        flags
            .set_all(&API_FLAGS)
            .set("addr", format!(":{API}"))
            .set("cluster-config", self.clusters_file().path());
        match self.rbac_file() {
            Some(file) => flags.set("rbac", true).set("rbac-config", file.path()),
            None => flags.set("no-rbac", true),
        };
        flags.extend(&self.given.extra_flags);
        flags
    }

    fn rbac_file(&self) -> Option<SecretFile<'_>> {
        self.given.rbac.as_ref().map(|source| SecretFile::new("rbac-config", source))
    }

    const fn discovery_file(&self) -> SecretFile<'_> {
        SecretFile::new("discovery-config", &self.discovery)
    }

    const fn clusters_file(&self) -> SecretFile<'_> {
        SecretFile::new("cluster-config", &self.clusters)
    }

    const fn pages_file(&self) -> SecretFile<'_> {
        SecretFile::new("config-js", &self.pages).at(PAGES)
    }
}
