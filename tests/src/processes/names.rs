//! **Played** cluster DNS and Services: files of hosts, rewritten as the control plane's endpoints change.
//!
//! A Service's name leads straight to the addresses that are ready, by the port that the Pod listens on: so a
//! Service must have the same port as its Pods, or has no name here. A Service without any has no address, where a
//! real one would be refused. Owns the files. Must not know who reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::Api;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};

const SERVICE: &str = "kubernetes.io/service-name";
const LOCAL: &str = "127.0.0.1 localhost\n";

/// A file of hosts.
struct File {
    path: PathBuf,
    /// In whose namespace short names are looked for; `None`: nobody's.
    namespace: Option<String>,
    /// What stands before the Services.
    own: String,
}

/// Names and the files that have them.
pub(super) struct Names {
    files: Mutex<Vec<File>>,
    /// Addresses by namespace and by name within it.
    known: Mutex<BTreeMap<(String, String), BTreeSet<String>>>,
    dir: PathBuf,
}

impl Names {
    /// Begins with a file for this process's own eyes, in its own namespace of mounts.
    pub(super) fn over_this_machines(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join("names");
        std::fs::create_dir_all(&dir)?;
        let names = Self { files: Mutex::default(), known: Mutex::default(), dir };
        let ours = names.file("machine", None, LOCAL)?;
        let bound = Command::new("mount").arg("--bind").arg(ours).arg("/etc/hosts").status()?;
        ensure!(bound.success(), "the file of hosts cannot be mounted");
        Ok(names)
    }

    /// A file for a Pod, which has its own name in it.
    pub(super) fn of_pod(
        &self,
        namespace: &str,
        hostname: &str,
        uid: &str,
        address: Ipv4Addr,
    ) -> anyhow::Result<PathBuf> {
        self.file(uid, Some(namespace), &format!("{LOCAL}{address} {hostname}\n"))
    }

    fn file(&self, name: &str, namespace: Option<&str>, own: &str) -> anyhow::Result<PathBuf> {
        let file =
            File { path: self.dir.join(name), namespace: namespace.map(str::to_owned), own: own.to_owned() };
        let path = file.path.clone();
        file.write(&self.known.lock().unwrap_or_else(PoisonError::into_inner))?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|f| f.path != path);
        files.push(file);
        Ok(path)
    }

    fn learn(&self, known: BTreeMap<(String, String), BTreeSet<String>>) {
        let mut before = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *before == known {
            return;
        }
        *before = known;
        for file in self.files.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Err(error) = file.write(&before) {
                eprintln!("{}: {error}", file.path.display());
            }
        }
    }
}

impl File {
    /// In place: it is mounted elsewhere.
    fn write(&self, known: &BTreeMap<(String, String), BTreeSet<String>>) -> std::io::Result<()> {
        let mut text = self.own.clone();
        for ((namespace, name), addresses) in known {
            let near = self.namespace.as_ref() == Some(namespace);
            let short = if near { format!("{name} ") } else { String::new() };
            for address in addresses {
                let full = format!("{name}.{namespace}");
                let _ = writeln!(text, "{address} {short}{full} {full}.svc {full}.svc.cluster.local");
            }
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }
}

/// Writes names down as they change, for ever.
pub(super) async fn keep(client: Client, names: Arc<Names>) {
    let (services, writer) = reflector::store();
    let of_services = watcher(Api::<Service>::all(client.clone()), watcher::Config::default());
    let of_services = of_services.default_backoff().reflect(writer).touched_objects().map(|_| ());
    let (slices, writer) = reflector::store();
    let of_slices = watcher(Api::<EndpointSlice>::all(client), watcher::Config::default());
    let of_slices = of_slices.default_backoff().reflect(writer).touched_objects().map(|_| ());
    let mut changes = futures::stream::select(of_services.boxed(), of_slices.boxed());
    while changes.next().await.is_some() {
        names.learn(known(&services, &slices));
    }
}

fn known(
    services: &Store<Service>,
    slices: &Store<EndpointSlice>,
) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut known: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for slice in slices.state() {
        let namespace = slice.namespace().unwrap_or_default();
        let Some(name) = slice.labels().get(SERVICE) else { continue };
        // The API server's own is on no Pod.
        let is_of = |s: &&Arc<Service>| s.namespace().as_deref() == Some(&namespace) && s.name_any() == *name;
        let all = services.state();
        let Some(service) = all.iter().find(is_of).filter(|s| has_selector(s)) else { continue };
        if let Some(other) = other_port(service, &slice) {
            eprintln!("{namespace}/{name}: port {other} is another one on its Pods, so it has no name here");
            continue;
        }
        for endpoint in slice.endpoints.iter().flatten() {
            if endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(false) {
                continue;
            }
            let host = endpoint.hostname.iter().map(|host| format!("{host}.{name}"));
            for name in host.chain([name.clone()]) {
                known.entry((namespace.clone(), name)).or_default().extend(endpoint.addresses.clone());
            }
        }
    }
    known
}

fn has_selector(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.selector.is_some())
}

/// A port of the Service that its endpoints have under another number.
fn other_port(service: &Service, slice: &EndpointSlice) -> Option<i32> {
    let ports = service.spec.as_ref()?.ports.as_deref().unwrap_or_default();
    let ends = slice.ports.as_deref().unwrap_or_default();
    let differs = |port: &&k8s_openapi::api::core::v1::ServicePort| {
        ends.iter().any(|end| end.name == port.name && end.port.is_some_and(|p| p != port.port))
    };
    ports.iter().find(differs).map(|port| port.port)
}
