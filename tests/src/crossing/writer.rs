//! A client that goes on writing through the gateway, whatever becomes of what it wrote before.
//!
//! Owns when each row was begun and acknowledged. A row begins at its own time; one that hangs holds back no other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilothouse::clock::Clock;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::sql::Sql;
use crate::processes::images::Images;

/// A row begins this often.
const EVERY: Duration = Duration::from_millis(50);

/// A row that was begun, and what came of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its key.
    pub id: u64,
    /// When it was sent, in Unix milliseconds.
    pub begun: u64,
    /// When it was acknowledged; absent: it never was.
    pub acknowledged: Option<u64>,
}

/// A client that writes until it is dropped.
pub struct Writer {
    rows: Arc<Mutex<Vec<Row>>>,
    _writes: JoinSet<()>,
}

impl Writer {
    /// Begins to write into a table of that name, which has a key `id`; keys begin at `first`.
    #[must_use]
    pub fn start(images: &Images, host: &str, database: &str, table: &str, first: u64) -> Self {
        let target = Target {
            images: images.clone(),
            host: host.to_owned(),
            database: database.to_owned(),
            table: table.to_owned(),
        };
        let rows = Arc::<Mutex<Vec<Row>>>::default();
        let mut writes = JoinSet::new();
        writes.spawn(write(target, first, Arc::clone(&rows)));
        Self { rows, _writes: writes }
    }

    /// All rows that anything has come of.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        lock(&self.rows).clone()
    }
}

struct Target {
    images: Images,
    host: String,
    database: String,
    table: String,
}

async fn write(target: Target, first: u64, rows: Arc<Mutex<Vec<Row>>>) {
    let idle = Arc::<Mutex<Vec<Sql>>>::default();
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    for id in first.. {
        pace.tick().await;
        while under_way.try_join_next().is_some() {}
        let free = lock(&idle).pop();
        let sql = match free {
            Some(sql) => Ok(sql),
            None => Sql::start(&target.images, &target.host, &target.database),
        };
        let Ok(mut sql) = sql else { continue };
        let statement = format!("INSERT INTO {} (id) VALUES ({id})", target.table);
        let (idle, rows) = (Arc::clone(&idle), Arc::clone(&rows));
        under_way.spawn(async move {
            let clock = Clock::system();
            let begun = clock.now();
            let answer = sql.ask(&statement).await;
            let acknowledged = answer.is_ok().then(|| clock.now());
            lock(&rows).push(Row { id, begun, acknowledged });
            lock(&idle).push(sql);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
