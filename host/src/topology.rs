//! The seam to the topology's records: who can make and remove them.
//!
//! Which records should be is [`pilothouse_core::records`]' to say, and what is there comes with
//! every observation of [`crate::vitess`].

use pilothouse_core::view::{Record, Registration};
use pilothouse_sim::vitess::PlayedVitess;

use crate::cache::ClusterKey;
use crate::vitess::{Error, played_key};

/// Writes the topology's records of a cluster. Both calls are absolute: doing one twice changes nothing.
pub trait TopologyRecords {
    /// Makes a record, or brings it to what is asked.
    ///
    /// # Errors
    /// When the topology says no.
    fn register_record(
        &self,
        cluster: &ClusterKey,
        asked: &Registration,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes a record; none is fine.
    ///
    /// # Errors
    /// When the topology says no.
    fn prune_record(
        &self,
        cluster: &ClusterKey,
        record: &Record,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

impl TopologyRecords for PlayedVitess {
    async fn register_record(&self, cluster: &ClusterKey, asked: &Registration) -> Result<(), Error> {
        self.register(&played_key(cluster), asked);
        Ok(())
    }

    async fn prune_record(&self, cluster: &ClusterKey, record: &Record) -> Result<(), Error> {
        match self.prune(&played_key(cluster), record) {
            Err(no) if no.code != "not-found" => Err(no.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
