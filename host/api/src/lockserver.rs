//! Where the topology is kept: an etcd that we run, or one that runs elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::etcd_lockserver::{EtcdLockserverStatus, EtcdTemplate};
use crate::names;

/// A lockserver: at most one of `etcd` and `external`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lockserver {
    /// One that runs elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<LockserverParams>,
    /// One that we run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<EtcdTemplate>,
    /// The address that the topology gives out for our etcd, instead of its Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cell_info_address: String,
}

/// How Vitess connects to a lockserver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockserverParams {
    /// Vitess's name of the implementation (`etcd2`).
    pub implementation: String,
    /// Address with port.
    pub address: String,
    /// Root of the records.
    pub root_path: String,
}

/// What we know of lockservers that we run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockserverStatus {
    /// Our etcd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<EtcdLockserverStatus>,
}

impl Lockserver {
    fn own(&self, name: &str, namespace: &str, root_path: String) -> LockserverParams {
        let address = if self.cell_info_address.is_empty() {
            format!("{}.{namespace}.svc:2379", names::etcd_client_service(name))
        } else {
            self.cell_info_address.clone()
        };
        LockserverParams { implementation: "etcd2".to_owned(), address, root_path }
    }

    /// How to reach the cluster's global topology.
    #[must_use]
    pub fn global_params(&self, namespace: &str, cluster: &str) -> LockserverParams {
        self.external.clone().unwrap_or_else(|| {
            self.own(&names::global_etcd(cluster), namespace, format!("/vitess/{cluster}/global"))
        })
    }

    /// How to reach a cell's local topology; `global` is shared when the cell has none of its own.
    #[must_use]
    pub fn local_params(
        &self,
        global: &LockserverParams,
        namespace: &str,
        cluster: &str,
        cell: &str,
    ) -> LockserverParams {
        let root_path = format!("/vitess/{cluster}/local/{cell}");
        match (&self.external, &self.etcd) {
            (Some(external), _) => external.clone(),
            (None, Some(_)) => self.own(&names::local_etcd(cluster, cell), namespace, root_path),
            (None, None) => LockserverParams { root_path, ..global.clone() },
        }
    }
}
