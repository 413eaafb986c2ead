//! The only reader of raw spec for decisions: a spec becomes desired values, or a
//! list of everything that is wrong with it.
//!
//! Levels are separate, because a child's spec is what has been released to it:
//! [`validate`] reads a VitessCluster, [`validate_cell`], [`validate_keyspace`] and
//! [`validate_shard`] read the children. The API server's schema checks are not
//! relied on: an older schema may have let the object in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::ResourceExt;
use pilothouse_core::schedule::{cron, span};
use pilothouse_core::topology::{Cell, KeyRange, ParseError, Zone};
use serde::de::DeserializeOwned;

use crate::choices::{Choice, ClaimRetention, DisruptionBudgets};
use crate::desired::{DesiredCell, DesiredCluster, DesiredKeyspace, DesiredShard};
use crate::fragment::Fragment;
use crate::gateway::{Autoscaler, Gateway};
use crate::labels;
use crate::lockserver::Lockserver;
use crate::pod_overrides::PodOverrides;
use crate::vitess_cell::{CellTemplate, VitessCell};
use crate::vitess_cluster::{VitessCluster, VitessClusterSpec};
use crate::vitess_keyspace::VitessKeyspace;
use crate::vitess_shard::VitessShard;
use crate::{defaults, key_ranges, quantity};

mod backup;
mod keyspace;
mod pool;
mod schedule;
#[cfg(test)]
mod tests;

pub use schedule::validate_schedule;

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// Where, as `spec.keyspaces[0].partitionings[1].custom.shards[0].keyRange.start`.
    pub field: String,
    /// What.
    pub reason: Reason,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing is given.
    #[error("is missing")]
    Missing,
    /// Not a name.
    #[error("{0:?} is not a valid name")]
    Name(String),
    /// Two of a kind.
    #[error("{0:?} is there twice")]
    Duplicate(String),
    /// No such cell in the cluster.
    #[error("cell {0:?} is not a cell of the cluster")]
    UnknownCell(String),
    /// No such keyspace in the cluster.
    #[error("keyspace {0:?} is not a keyspace of the cluster")]
    UnknownKeyspace(String),
    /// No such backup location in the cluster.
    #[error("backup location {0:?} is not a location of the cluster")]
    UnknownLocation(String),
    /// Below zero.
    #[error("{0} is below zero")]
    Negative(i64),
    /// Not a key range.
    #[error("{0}")]
    KeyRange(ParseError),
    /// A shard is called otherwise than its key range.
    #[error("{name:?} is not the name of key range {range}")]
    ShardName {
        /// The name given.
        name: String,
        /// The key range.
        range: KeyRange,
    },
    /// An equal partitioning has no key ranges.
    #[error("{0}")]
    Partitioning(key_ranges::Error),
    /// Not one or two partitionings.
    #[error("{0} partitionings: expected one, or two while resharding")]
    PartitioningCount(usize),
    /// Not exactly one of the fields named.
    #[error("expected exactly one of {0}")]
    ExactlyOne(&'static str),
    /// Both of two fields that exclude each other.
    #[error("{0} exclude each other")]
    Exclusive(&'static str),
    /// A pool has a name, but its MySQL is ours.
    #[error("a pool name needs an externalDatastore")]
    PoolName,
    /// A field that only external pools have.
    #[error("only pools of an external type have it")]
    ExternalOnly,
    /// A field that only pools with our own MySQL have.
    #[error("pools of an external type do not have it")]
    ManagedOnly,
    /// External pools beside pools with our own MySQL.
    #[error("external pools and pools with a MySQL of our own are mixed")]
    ExternalMix,
    /// Not a quantity of bytes.
    #[error("{0}")]
    Quantity(quantity::Error),
    /// No durability policy that we know.
    #[error(
        "durability policy {0:?}: expected none, semi_sync, cross_cell, or one of the latter two with _with_rdonly_ack"
    )]
    Durability(String),
    /// A fragment that does not have Kubernetes' shape.
    #[error("{0}")]
    Shape(String),
    /// None of some words.
    #[error("{given:?}: expected {}", .expected.join(" or "))]
    Choice {
        /// The word given.
        given: String,
        /// The words that there are.
        expected: [&'static str; 2],
    },
    /// A lower bound above the upper one.
    #[error("{fewest} is more than {most}, the most")]
    Bounds {
        /// The lower one.
        fewest: i32,
        /// The upper one.
        most: i32,
    },
    /// Neither one address for all cells nor one for each.
    #[error("{given} addresses for {cells} cells: expected one for all of them or one for each")]
    Addresses {
        /// Addresses given.
        given: usize,
        /// Cells that need one.
        cells: usize,
    },
    /// Not times in cron form.
    #[error("{0}")]
    Cron(cron::Error),
    /// Not a span between backups.
    #[error("{0}")]
    Span(span::Error),
    /// A field that a strategy has only in another scope.
    #[error("only strategies of scope {0} have it")]
    OfScope(&'static str),
    /// The object does not say what it belongs to.
    #[error("is missing, so what the object belongs to is not known")]
    Label,
}

impl Reason {
    /// One word for logs, metrics and conditions.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::Name(_) => "Name",
            Self::Duplicate(_) => "Duplicate",
            Self::UnknownCell(_) => "UnknownCell",
            Self::UnknownKeyspace(_) => "UnknownKeyspace",
            Self::UnknownLocation(_) => "UnknownLocation",
            Self::Negative(_) => "Negative",
            Self::KeyRange(_) => "KeyRange",
            Self::ShardName { .. } => "ShardName",
            Self::Partitioning(_) => "Partitioning",
            Self::PartitioningCount(_) => "PartitioningCount",
            Self::ExactlyOne(_) => "ExactlyOne",
            Self::Exclusive(_) => "Exclusive",
            Self::PoolName => "PoolName",
            Self::ExternalOnly => "ExternalOnly",
            Self::ManagedOnly => "ManagedOnly",
            Self::ExternalMix => "ExternalMix",
            Self::Quantity(_) => "Quantity",
            Self::Durability(_) => "Durability",
            Self::Shape(_) => "Shape",
            Self::Choice { .. } => "Choice",
            Self::Bounds { .. } => "Bounds",
            Self::Addresses { .. } => "Addresses",
            Self::Cron(_) => "Cron",
            Self::Span(_) => "Span",
            Self::OfScope(_) => "OfScope",
            Self::Label => "Label",
        }
    }
}

/// A field's place.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root(&'static str),
    Field(&'a Self, &'static str),
    Index(&'a Self, usize),
    Key(&'a Self, &'a str),
}

impl<'a> Path<'a> {
    const fn field(&'a self, name: &'static str) -> Self {
        Self::Field(self, name)
    }

    const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

const SPEC: Path<'static> = Path::Root("spec");

/// Everything that is wrong so far.
#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, path: Path<'_>, reason: Reason) {
        self.0.push(FieldError { field: path.to_string(), reason });
    }

    /// Notes an error and goes on without the value.
    fn take<T>(&mut self, path: Path<'_>, value: Result<T, Reason>) -> Option<T> {
        value.map_err(|reason| self.add(path, reason)).ok()
    }

    fn count(&mut self, path: Path<'_>, number: i32) -> u32 {
        self.take(path, u32::try_from(number).map_err(|_| Reason::Negative(number.into())))
            .unwrap_or_default()
    }

    fn name(&mut self, path: Path<'_>, name: &str, inner: &str) {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let within = |c: char| c.is_ascii_alphanumeric() || inner.contains(c);
        let valid = edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(within);
        if !valid || name.len() > 63 {
            self.add(path, Reason::Name(name.to_owned()));
        }
    }

    fn unique<T: Ord>(&mut self, path: Path<'_>, seen: &mut BTreeSet<T>, key: T, shown: &str) {
        if !seen.insert(key) {
            self.add(path, Reason::Duplicate(shown.to_owned()));
        }
    }

    fn shape<T: DeserializeOwned>(&mut self, path: Path<'_>, fragment: &Fragment<T>) {
        if let Err(error) = fragment.read() {
            self.add(path, Reason::Shape(error.to_string()));
        }
    }

    fn pod(&mut self, path: Path<'_>, pod: &PodOverrides) {
        self.shape(path.field("affinity"), &pod.affinity);
        self.shape(path.field("extraVolumes"), &pod.extra_volumes);
        self.shape(path.field("initContainers"), &pod.init_containers);
        self.shape(path.field("sidecarContainers"), &pod.sidecar_containers);
        self.shape(path.field("tolerations"), &pod.tolerations);
    }

    fn choice<C: Choice>(&mut self, cluster: &VitessCluster) {
        if let Err(given) = C::read(&cluster.metadata) {
            let reason = Reason::Choice { given: given.to_owned(), expected: C::WORDS.map(|(word, _)| word) };
            self.add(Path::Root("metadata.annotations").key(C::KEY), reason);
        }
    }

    fn finish<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// Reads a VitessCluster.
///
/// # Errors
/// Everything that is wrong with its spec.
pub fn validate(cluster: &VitessCluster) -> Result<DesiredCluster, Vec<FieldError>> {
    let mut faults = Faults::default();
    let spec = &cluster.spec;
    if spec.cells.is_empty() {
        faults.add(SPEC.field("cells"), Reason::Missing);
    }
    faults.choice::<ClaimRetention>(cluster);
    faults.choice::<DisruptionBudgets>(cluster);
    lockserver(&mut faults, SPEC.field("globalLockserver"), &spec.global_lockserver);
    let cells = read_cells(&mut faults, &spec.cells);
    let known: BTreeSet<&str> = spec.cells.iter().map(|c| c.name.as_str()).collect();
    if let Some(dashboard) = &spec.vitess_dashboard {
        let path = SPEC.field("vitessDashboard");
        component_cells(&mut faults, path, &dashboard.cells, &known);
        faults.pod(path, &dashboard.pod);
    }
    vtadmin(&mut faults, spec, &known);
    let mut backup_locations = BTreeSet::new();
    if let Some(backup) = &spec.backup {
        let path = SPEC.field("backup");
        backup_locations = backup::locations(&mut faults, path.field("locations"), &backup.locations);
        if backup.locations.is_empty() {
            faults.add(path.field("locations"), Reason::Missing);
        }
    }
    let scope = pool::Scope { cells: &known, locations: &backup_locations };
    let keyspaces = read_keyspaces(&mut faults, cluster, &scope);
    if let Some(backup) = &spec.backup {
        let path = SPEC.field("backup");
        schedule::schedules(&mut faults, path.field("schedules"), &backup.schedules, keyspaces.values());
    }
    faults.finish(DesiredCluster {
        name: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
        cells,
        keyspaces,
        backup_locations,
    })
}

fn read_cells(faults: &mut Faults, templates: &[CellTemplate]) -> BTreeMap<Cell, DesiredCell> {
    let mut seen = BTreeSet::new();
    let path = SPEC.field("cells");
    let mut cells = BTreeMap::new();
    for (index, template) in templates.iter().enumerate() {
        let path = path.index(index);
        faults.unique(path.field("name"), &mut seen, template.name.as_str(), &template.name);
        let cell = read_cell(faults, path, template);
        cells.insert(cell.name.clone(), cell);
    }
    cells
}

fn read_cell(faults: &mut Faults, path: Path<'_>, template: &CellTemplate) -> DesiredCell {
    faults.name(path.field("name"), &template.name, "_.");
    lockserver(faults, path.field("lockserver"), &template.lockserver);
    gateway(faults, path.field("gateway"), &template.gateway);
    let replicas = template.gateway.replicas.unwrap_or(defaults::GATEWAYS);
    let gateways = path.field("gateway");
    DesiredCell {
        name: Cell(template.name.clone()),
        zone: Some(&template.zone).filter(|z| !z.is_empty()).map(|z| Zone(z.clone())),
        gateways: faults.count(gateways.field("replicas"), replicas),
        autoscaled: template.gateway.autoscaler.is_some(),
    }
}

fn gateway(faults: &mut Faults, path: Path<'_>, gateway: &Gateway) {
    faults.pod(path, &gateway.pod);
    faults.shape(path.field("topologySpreadConstraints"), &gateway.topology_spread_constraints);
    if let Some(Autoscaler { min_replicas, max_replicas: most, .. }) = &gateway.autoscaler {
        let path = path.field("autoscaler");
        if *most < 1 {
            faults.add(path.field("maxReplicas"), Reason::Missing);
        } else if let Some(fewest) = min_replicas.filter(|fewest| fewest > most) {
            faults.add(path.field("minReplicas"), Reason::Bounds { fewest, most: *most });
        }
    }
}

fn lockserver(faults: &mut Faults, path: Path<'_>, lockserver: &Lockserver) {
    if lockserver.external.is_some() && lockserver.etcd.is_some() {
        faults.add(path, Reason::Exclusive("etcd and external"));
    }
    if let Some(etcd) = &lockserver.etcd {
        let path = path.field("etcd");
        faults.pod(path, &etcd.pod);
        if let Some(claim) = &etcd.data_volume_claim_template {
            pool::storage_request(faults, path.field("dataVolumeClaimTemplate"), claim);
        }
    }
}

fn component_cells(faults: &mut Faults, path: Path<'_>, cells: &[String], known: &BTreeSet<&str>) {
    let path = path.field("cells");
    for (index, cell) in cells.iter().enumerate().filter(|(_, c)| !known.contains(c.as_str())) {
        faults.add(path.index(index), Reason::UnknownCell(cell.clone()));
    }
}

/// vtadmin has no image that would do for every version, and its pages must be told where
/// browsers reach the API.
fn vtadmin(faults: &mut Faults, spec: &VitessClusterSpec, known: &BTreeSet<&str>) {
    let Some(vtadmin) = &spec.vtadmin else { return };
    let path = SPEC.field("vtadmin");
    component_cells(faults, path, &vtadmin.cells, known);
    let mut seen = BTreeSet::new();
    for (index, cell) in vtadmin.cells.iter().enumerate() {
        faults.unique(path.field("cells").index(index), &mut seen, cell.as_str(), cell);
    }
    faults.pod(path, &vtadmin.pod);
    if spec.images.vtadmin.is_empty() {
        faults.add(SPEC.field("images").field("vtadmin"), Reason::Missing);
    }
    let cells = if vtadmin.cells.is_empty() { spec.cells.len() } else { vtadmin.cells.len() };
    let addresses = path.field("apiAddresses");
    match vtadmin.api_addresses.len() {
        0 => faults.add(addresses, Reason::Missing),
        given if given == 1 || given == cells => {}
        given => faults.add(addresses, Reason::Addresses { given, cells }),
    }
}

fn read_keyspaces(
    faults: &mut Faults,
    cluster: &VitessCluster,
    scope: &pool::Scope<'_>,
) -> BTreeMap<String, DesiredKeyspace> {
    let mut seen = BTreeSet::new();
    let path = SPEC.field("keyspaces");
    let mut keyspaces = BTreeMap::new();
    for (index, keyspace) in cluster.spec.keyspaces.iter().enumerate() {
        let path = path.index(index);
        let name = &keyspace.template.name;
        faults.unique(path.field("name"), &mut seen, name.as_str(), name);
        keyspaces.insert(name.clone(), keyspace::read(faults, path, &keyspace.template, scope));
    }
    keyspaces
}

/// Reads a VitessCell.
///
/// # Errors
/// Everything that is wrong with its spec.
pub fn validate_cell(cell: &VitessCell) -> Result<DesiredCell, Vec<FieldError>> {
    let mut faults = Faults::default();
    let desired = read_cell(&mut faults, SPEC, &cell.spec.template);
    faults.finish(desired)
}

/// Reads a VitessKeyspace.
///
/// # Errors
/// Everything that is wrong with its spec.
pub fn validate_keyspace(keyspace: &VitessKeyspace) -> Result<DesiredKeyspace, Vec<FieldError>> {
    let mut faults = Faults::default();
    let spec = &keyspace.spec;
    let locations = backup::locations(&mut faults, SPEC.field("backupLocations"), &spec.backup_locations);
    let cells = spec.zone_map.keys().map(String::as_str).collect();
    let scope = pool::Scope { cells: &cells, locations: &locations };
    let desired = keyspace::read(&mut faults, SPEC, &spec.template, &scope);
    faults.finish(desired)
}

/// Reads a VitessShard. Its keyspace is the one that its label names.
///
/// # Errors
/// Everything that is wrong with its spec.
pub fn validate_shard(shard: &VitessShard) -> Result<DesiredShard, Vec<FieldError>> {
    let mut faults = Faults::default();
    let spec = &shard.spec;
    let root = Path::Root("metadata.labels");
    let keyspace = shard.labels().get(labels::KEYSPACE).cloned().unwrap_or_else(|| {
        faults.add(root.key(labels::KEYSPACE), Reason::Label);
        String::new()
    });
    let range = keyspace::key_range(&mut faults, SPEC.field("keyRange"), &spec.key_range);
    if let Some(range) = range.as_ref().filter(|r| r.to_string() != spec.name) {
        let reason = Reason::ShardName { name: spec.name.clone(), range: range.clone() };
        faults.add(SPEC.field("name"), reason);
    }
    if let Some(vtorc) = &spec.vitess_orchestrator {
        faults.pod(SPEC.field("vitessOrchestrator"), &vtorc.pod);
    }
    let locations = backup::locations(&mut faults, SPEC.field("backupLocations"), &spec.backup_locations);
    let cells = spec.zone_map.keys().map(String::as_str).collect();
    let scope = pool::Scope { cells: &cells, locations: &locations };
    let template = keyspace::template(&mut faults, SPEC, &spec.template, &scope);
    let range = range.unwrap_or_else(KeyRange::whole);
    let desired = template.shard(&keyspace, range, None);
    faults.finish(desired)
}
