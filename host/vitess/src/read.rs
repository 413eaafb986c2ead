//! What stands on the wire, in the words of the core.

use pilothouse_core::Millis;
use pilothouse_core::topology::{Cell, ShardId, TabletAlias};
use pilothouse_core::view::Role;

use crate::vtctld::TabletRecord;
use crate::wire::query::Row;
use crate::wire::topodata::{self, TabletType};
use crate::wire::vttime;

/// The port by which a tablet is called.
const GRPC: &str = "grpc";
/// The port at which it shows its variables.
const HTTP: &str = "vt";

/// `None` for the alias that stands for no tablet.
pub(crate) fn alias(alias: topodata::TabletAlias) -> Option<TabletAlias> {
    let named = TabletAlias { cell: Cell(alias.cell), uid: alias.uid };
    Some(named).filter(|alias| !alias.cell.0.is_empty())
}

pub(crate) fn wire_alias(alias: &TabletAlias) -> topodata::TabletAlias {
    topodata::TabletAlias { cell: alias.cell.0.clone(), uid: alias.uid }
}

/// `None` for a shard that is not named by its key range.
pub(crate) fn shard(keyspace: &str, name: &str) -> Option<ShardId> {
    Some(ShardId { keyspace: keyspace.to_owned(), range: name.parse().ok()? })
}

/// Unix milliseconds; 0 where there is no time, or one before 1970.
pub(crate) fn time(time: Option<vttime::Time>) -> Millis {
    let time = time.unwrap_or_default();
    let seconds = Millis::try_from(time.seconds).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(Millis::try_from(time.nanoseconds / 1_000_000).unwrap_or(0))
}

/// A row of whole numbers, `None` for NULL; `None` in all where it has anything else.
pub(crate) fn numbers(row: &Row) -> Option<Vec<Option<i64>>> {
    let mut rest = &row.values[..];
    let mut number = |length: &i64| {
        let Ok(length) = usize::try_from(*length) else { return Some(None) };
        let (text, after) = rest.split_at_checked(length)?;
        rest = after;
        std::str::from_utf8(text).ok()?.parse().ok().map(Some)
    };
    row.lengths.iter().map(&mut number).collect()
}

pub(crate) fn role(kind: i32) -> Role {
    match TabletType::try_from(kind).unwrap_or_default() {
        TabletType::Primary => Role::Primary,
        TabletType::Replica => Role::Replica,
        TabletType::Rdonly => Role::Rdonly,
        TabletType::Spare | TabletType::Experimental | TabletType::Drained => Role::Spare,
        TabletType::Backup | TabletType::Restore => Role::Restore,
        TabletType::Unknown => Role::Unknown,
    }
}

/// `None` for a record without a name, or of a shard that we do not know to name.
pub(crate) fn tablet(tablet: topodata::Tablet) -> Option<TabletRecord> {
    let at = |port: &str| {
        let port = tablet.port_map.get(port).filter(|_| !tablet.hostname.is_empty())?;
        Some(address(&tablet.hostname, *port))
    };
    let (grpc, http) = (at(GRPC), at(HTTP));
    Some(TabletRecord {
        alias: alias(tablet.alias?)?,
        shard: shard(&tablet.keyspace, &tablet.shard)?,
        role: role(tablet.r#type),
        grpc,
        http,
        mysql: (tablet.mysql_hostname, tablet.mysql_port),
    })
}

fn address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
