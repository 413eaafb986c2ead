//! The kinds of planetscale.com/v2 as Rust types: what a user writes, what we
//! report, what everything is called, and what a spec means once it is valid.
//!
//! [`validate`] is the only reader of raw spec for decisions; [`children`] writes
//! each level's specs from the level above. Nothing here talks to an API server.

pub mod backup_location;
pub mod children;
pub mod choices;
pub mod condition;
pub mod crds;
pub mod defaults;
pub mod desired;
pub mod etcd_lockserver;
pub mod fragment;
pub mod gateway;
pub mod images;
pub mod key_ranges;
pub mod labels;
pub mod lockserver;
pub mod names;
mod omit;
pub mod orchestrator;
pub mod partitioning;
pub mod pod_overrides;
pub mod quantity;
mod schema;
pub mod tablet_pool;
pub mod update_strategy;
pub mod validate;
pub mod vitess_backup;
pub mod vitess_backup_schedule;
pub mod vitess_backup_storage;
pub mod vitess_cell;
pub mod vitess_cluster;
pub mod vitess_keyspace;
pub mod vitess_shard;

pub use etcd_lockserver::EtcdLockserver;
pub use vitess_backup::VitessBackup;
pub use vitess_backup_schedule::VitessBackupSchedule;
pub use vitess_backup_storage::VitessBackupStorage;
pub use vitess_cell::VitessCell;
pub use vitess_cluster::VitessCluster;
pub use vitess_keyspace::VitessKeyspace;
pub use vitess_shard::VitessShard;
