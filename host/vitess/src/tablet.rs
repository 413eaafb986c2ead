//! A tablet, asked by ourselves: whether it lives, and how its MySQL stands.

use std::time::Duration;

use pilothouse_core::Millis;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::standing::Heard;
use pilothouse_core::view::Role;

use crate::error::Error;
use crate::health::Health;
use crate::link::Link;
use crate::read;
use crate::wire::query::Row;
use crate::wire::replicationdata as replication;
use crate::wire::tabletmanagerdata as data;

/// A thread of replication that runs (source: Vitess, `ReplicationState`).
const RUNS: i32 = 3;
/// How Vitess marks positions of MySQL 5.6 and later.
const FLAVOR: &str = "MySQL56/";
/// How far behind one counts of whom that is not known: further than anybody accepts.
const FAR_BEHIND_MS: Millis = 1_000 * u32::MAX as Millis;

/// In milliseconds: how long ago the receiver last had a heartbeat or a transaction's end, by MySQL's own clock, which
/// no time zone enters, and after how long without any the source sends a heartbeat. The first is NULL where it had
/// neither, and in the midst of a transaction: one event of it may last.
const LAST_HEARD: &str = "SELECT \
    CAST(1000 * (@@session.timestamp - NULLIF(GREATEST( \
        UNIX_TIMESTAMP(s.LAST_HEARTBEAT_TIMESTAMP), \
        UNIX_TIMESTAMP(s.LAST_QUEUED_TRANSACTION_END_QUEUE_TIMESTAMP)) \
        * (UNIX_TIMESTAMP(s.QUEUEING_TRANSACTION_START_QUEUE_TIMESTAMP) = 0), 0)) AS SIGNED), \
    CAST(1000 * c.HEARTBEAT_INTERVAL AS SIGNED) \
    FROM performance_schema.replication_connection_status s \
    JOIN performance_schema.replication_connection_configuration c USING (CHANNEL_NAME) \
    WHERE CHANNEL_NAME = ''";

/// The share of its data's file system that is used, from 0 to 1, as mysqlctld measures it (source: Vitess,
/// `mysqlctl.hostMetrics`).
const DISK_USED: &str = "datadir-used-ratio";
/// Shares are told in millionths.
const WHOLE: f64 = 1e6;

/// How a tablet's MySQL stands, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// MySQL's `server_uuid`.
    pub server: String,
    /// What it serves as; `Unknown` from Vitess before 23.
    pub role: Role,
    /// Every transaction received or executed.
    pub position: GtidSet,
    /// Whom it replicates from.
    pub source: Option<Source>,
    /// Whether it acknowledges writes for semi-sync.
    pub acks: bool,
    /// Whether it is a primary whose MySQL takes no writes.
    pub read_only: bool,
}

/// Whom a replica follows, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The source's `server_uuid`; empty before it was first heard.
    pub server: String,
    /// Its MySQL's host and port.
    pub address: (String, i32),
    /// Whether the receiver is connected to it.
    pub connected: bool,
    /// When it last received anything, where that was asked and told.
    pub heard: Option<Heard>,
    /// Whether received transactions are being applied, or none is left: after its start a replica
    /// whose source is gone has nothing to do.
    pub applying: bool,
    /// How far behind.
    pub lag_ms: Millis,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All is told.
    Whole(Box<Status>),
    /// Its vttablet lives, but cannot tell of its MySQL: why.
    Mute(Error),
    /// Nobody answers: why.
    Silent(Error),
}

/// A way to one tablet.
#[derive(Debug)]
pub struct Tablet(Link);

impl Tablet {
    /// Behind that link.
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self(link)
    }

    /// Where it is called: `HOST:PORT`.
    #[must_use]
    pub fn peer(&self) -> &str {
        self.0.peer()
    }

    /// Returns when a connection to it has ended since the last time.
    pub async fn hung_up(&self) {
        self.0.ended().await;
    }

    /// Returns when it says another thing of its health than it last did: what it serves as, whether it serves, or what
    /// ails it. Never, where nobody has called it yet. When this is dropped and called anew nothing is missed.
    pub async fn health_changed(&self, health: &mut Health) {
        health.changed(&self.0).await;
    }

    /// Asks how its MySQL stands, and, if that takes long, whether there is anybody; waits for no
    /// longer than `within`.
    pub async fn probe(&self, within: Duration) -> Answer {
        let status = self.0.call(&data::FullStatusRequest {}, within);
        // Its MySQL may hang, and it not.
        let ping = async {
            tokio::time::sleep(within / 2).await;
            self.0.call(&data::PingRequest { payload: String::new() }, within / 2).await
        };
        tokio::pin!(status, ping);
        let (status, pinged) = tokio::select! {
            biased;
            status = &mut status => (status, None),
            pinged = &mut ping => (status.await, Some(pinged)),
        };
        let error = match status.and_then(|answer| self.read(answer.status)) {
            Ok(status) => return Answer::Whole(Box::new(status)),
            Err(error) => error,
        };
        match error {
            Error::Refused { .. } | Error::Unavailable { .. } | Error::Unreadable { .. } => {
                Answer::Mute(error)
            }
            Error::Nobody { .. } | Error::Unreachable { .. } | Error::Address(_) => Answer::Silent(error),
            Error::Deadline { .. } => {
                let pinged = match pinged {
                    Some(pinged) => pinged,
                    None => ping.await,
                };
                pinged.map_or_else(Answer::Silent, |_| Answer::Mute(error))
            }
        }
    }

    /// As [`Self::probe`]; meanwhile asks a replica when it last received anything. Whoever does not tell that has
    /// told the rest.
    pub async fn probe_closely(&self, within: Duration) -> Answer {
        let (mut answer, heard) = tokio::join!(self.probe(within), self.last_heard(within));
        if let Answer::Whole(status) = &mut answer
            && let Some(source) = &mut status.source
        {
            source.heard = heard.ok().flatten();
        }
        answer
    }

    /// When a replica last received anything of its source; `None` on one that has none.
    ///
    /// # Errors
    /// As every call.
    pub async fn last_heard(&self, within: Duration) -> Result<Option<Heard>, Error> {
        let request = data::ExecuteFetchAsDbaRequest { query: LAST_HEARD.into(), max_rows: 1 };
        let rows = self.0.call(&request, within).await?.result.unwrap_or_default().rows;
        let unreadable = || Error::unreadable(self.peer(), "no two numbers of milliseconds".to_owned());
        rows.first().map(|row| heard(row).ok_or_else(unreadable)).transpose()
    }

    /// How much of the file system of its MySQL's data is used, in millionths; `None` where that could not be measured.
    ///
    /// # Errors
    /// As every call; an older Vitess has none such.
    pub async fn disk_used(&self, within: Duration) -> Result<Option<u32>, Error> {
        let told =
            self.0.call(&data::MysqlHostMetricsRequest {}, within).await?.host_metrics.unwrap_or_default();
        let share = told.metrics.get(DISK_USED).map_or(0.0, |metric| metric.value);
        // What failed is told as 0, and no file system is empty.
        Ok((share > 0.0 && share <= 1.0).then_some((share * WHOLE) as u32))
    }

    fn read(&self, status: Option<replication::FullStatus>) -> Result<Status, Error> {
        let unreadable = |why: &str| Error::Unreadable { peer: self.peer().to_owned(), why: why.to_owned() };
        let status = status.ok_or_else(|| unreadable("a status without a status"))?;
        if status.disk_stalled {
            return Err(unreadable("its disk stalls"));
        }
        read_status(status).map_err(|error| unreadable(&error.to_string()))
    }
}

fn read_status(status: replication::FullStatus) -> Result<Status, pilothouse_core::gtid::ParseError> {
    let mut position = GtidSet::default();
    if let Some(own) = &status.primary_status {
        position.union_with(&set(&own.position)?);
    }
    if let Some(replica) = &status.replication_status {
        position.union_with(&set(&replica.position)?);
        position.union_with(&set(&replica.relay_log_position)?);
    }
    let role = read::role(status.tablet_type);
    let applied = status.replication_status.as_ref().map(applied).transpose()?.unwrap_or_default();
    // What a primary followed before it became one stays written in it.
    let follows = status.replication_status.filter(|r| role != Role::Primary && !r.source_host.is_empty());
    Ok(Status {
        server: status.server_uuid,
        role,
        position,
        acks: status.semi_sync_replica_enabled && status.semi_sync_replica_status,
        read_only: role == Role::Primary && (status.read_only || status.super_read_only),
        source: follows.map(|follows| source(follows, applied)),
    })
}

/// Whether it has executed all that it received.
fn applied(status: &replication::Status) -> Result<bool, pilothouse_core::gtid::ParseError> {
    Ok(set(&status.position)?.contains(&set(&status.relay_log_position)?))
}

fn source(status: replication::Status, applied: bool) -> Source {
    let connected = status.io_state == RUNS;
    let applying = status.sql_state == RUNS || (!connected && applied);
    let lag_ms = if status.replication_lag_unknown {
        FAR_BEHIND_MS
    } else {
        1_000 * Millis::from(status.replication_lag_seconds)
    };
    Source {
        server: status.source_uuid,
        address: (status.source_host, status.source_port),
        connected,
        heard: None,
        applying,
        lag_ms,
    }
}

/// `None` where that is not what [`LAST_HEARD`] asks for.
fn heard(row: &Row) -> Option<Heard> {
    let [ago, heartbeat] = read::numbers(row)?.try_into().ok()?;
    // A clock that was set back tells of what is to come.
    let ago_ms = ago.map(|ago| Millis::try_from(ago).unwrap_or(0));
    Some(Heard { ago_ms, heartbeat_ms: Millis::try_from(heartbeat?).ok()? })
}

pub(crate) fn set(position: &str) -> Result<GtidSet, pilothouse_core::gtid::ParseError> {
    position.strip_prefix(FLAVOR).unwrap_or(position).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn status(lag_unknown: bool) -> replication::FullStatus {
        replication::FullStatus {
            server_uuid: "own".to_owned(),
            tablet_type: 2,
            primary_status: Some(replication::PrimaryStatus {
                position: format!("MySQL56/{SERVER}:1-5"),
                server_uuid: "own".to_owned(),
            }),
            replication_status: Some(replication::Status {
                position: format!("MySQL56/{SERVER}:1-5"),
                relay_log_position: format!("MySQL56/{SERVER}:1-8"),
                source_host: "10.0.0.1".to_owned(),
                source_port: 3306,
                source_uuid: SERVER.to_owned(),
                io_state: 3,
                sql_state: 1,
                replication_lag_seconds: 7,
                replication_lag_unknown: lag_unknown,
                ..replication::Status::default()
            }),
            ..replication::FullStatus::default()
        }
    }

    #[test]
    fn what_was_received_counts_though_it_is_not_executed() {
        let read = read_status(status(false)).expect("a status");
        assert_eq!(read.position.to_string(), format!("{SERVER}:1-8"));
        let source = read.source.expect("a replica");
        assert_eq!((source.connected, source.applying, source.lag_ms), (true, false, 7_000));
    }

    #[test]
    fn whoever_is_cut_off_with_nothing_left_to_apply_has_not_stopped_applying() {
        let applies = |io_state, relay: &str| {
            let mut stopped = status(false);
            let replica = stopped.replication_status.as_mut().expect("given");
            (replica.io_state, replica.relay_log_position) = (io_state, format!("MySQL56/{SERVER}:{relay}"));
            read_status(stopped).expect("a status").source.expect("a replica").applying
        };
        assert!(applies(1, "1-5"), "as it was started");
        assert!(!applies(1, "1-8"), "three are left");
        assert!(!applies(3, "1-5"), "more will come");
    }

    #[test]
    fn a_lag_that_is_not_known_is_no_small_one() {
        let source = read_status(status(true)).expect("a status").source.expect("a replica");
        assert_eq!(source.lag_ms, FAR_BEHIND_MS);
    }

    #[test]
    fn a_primary_follows_nobody_whatever_stands_in_its_mysql() {
        let promoted = replication::FullStatus { tablet_type: 1, ..status(false) };
        let read = read_status(promoted).expect("a status");
        assert_eq!((read.role, read.source), (Role::Primary, None));
    }

    #[test]
    fn only_a_primary_is_to_take_writes() {
        let read_only = |tablet_type, read_only, super_read_only| {
            let told = replication::FullStatus { tablet_type, read_only, super_read_only, ..status(false) };
            read_status(told).expect("a status").read_only
        };
        assert!(!read_only(1, false, false));
        assert!(read_only(1, true, false));
        assert!(read_only(1, false, true));
        assert!(!read_only(2, true, true), "a replica never does");
    }

    #[test]
    fn a_position_that_is_none_is_an_error_and_not_an_empty_one() {
        let mut broken = status(false);
        broken.primary_status.as_mut().expect("given").position = "MariaDB/0-1-2".to_owned();
        assert!(read_status(broken).is_err());
    }

    #[test]
    fn when_it_heard_its_source_is_two_numbers_and_nothing_else() {
        let told = |lengths: &[i64], values: &str| {
            heard(&Row { lengths: lengths.to_vec(), values: values.as_bytes().to_vec() })
        };
        let after = |ago_ms| Some(Heard { ago_ms, heartbeat_ms: 4_000 });
        assert_eq!(told(&[4, 4], "55004000"), after(Some(5_500)));
        assert_eq!(told(&[-1, 4], "4000"), after(None), "nothing yet");
        assert_eq!(told(&[3, 4], "-204000"), after(Some(0)), "its clock was set back");
        for (lengths, values) in [
            (&[4, -1][..], "5500"),
            (&[4][..], "5500"),
            (&[4, 4, 1][..], "550040001"),
            (&[4, 9][..], "55004000"),
            (&[4, 4][..], "5.504000"),
            (&[4, 5][..], "5500-4000"),
        ] {
            assert_eq!(told(lengths, values), None, "{lengths:?} {values}");
        }
    }
}
