//! What a tablet restored when it began, as it shows in its variables: no call of Vitess tells.
//!
//! `RestoredBackupTime` is the time in the restored backup's name, and `RestorePosition` what stands in its MANIFEST
//! (source: Vitess, `vttablet/tabletmanager/restore.go`). Both are there once the restore is done, until the
//! vttablet ends.

use std::time::Duration;

use pilothouse_core::gtid::GtidSet;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::Error;
use crate::tablet::set;

/// More than a tablet shows: a few hundred kilobytes.
const MOST_BYTES: u64 = 16 << 20;

/// What a tablet restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The time in the backup's name, RFC 3339.
    pub backup_time: String,
    /// What the backup had.
    pub position: GtidSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Variables {
    #[serde(default)]
    restored_backup_time: String,
    #[serde(default)]
    restore_position: String,
}

/// Asks a tablet at `HOST:PORT`, and waits for no longer than `within`; `None`: nothing since its vttablet began.
///
/// # Errors
/// When nobody answers in time, or the answer cannot be read.
pub async fn restored(peer: &str, within: Duration) -> Result<Option<Restored>, Error> {
    let answer = tokio::time::timeout(within, shown(peer)).await;
    let answer = answer.unwrap_or_else(|_| Err(Error::deadline(peer, within)))?;
    read(&answer).map_err(|why| Error::unreadable(peer, why))
}

/// The whole answer, which ends with the connection.
async fn shown(peer: &str) -> Result<Vec<u8>, Error> {
    let mut stream = TcpStream::connect(peer).await.map_err(|error| Error::unconnected(peer, &error))?;
    let request = format!("GET /debug/vars HTTP/1.0\r\nHost: {peer}\r\n\r\n");
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        stream.take(MOST_BYTES).read_to_end(&mut answer).await
    };
    asked.await.map_err(|error| Error::unreachable(peer, &error))?;
    Ok(answer)
}

fn read(answer: &[u8]) -> Result<Option<Restored>, String> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no header that ends")?;
    let (header, body) = (&answer[..end], &answer[end + 4..]);
    let first = header.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if first.split(|byte| *byte == b' ').nth(1) != Some(b"200") {
        return Err(String::from_utf8_lossy(first).into_owned());
    }
    let shown: Variables = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if shown.restored_backup_time.is_empty() {
        return Ok(None);
    }
    let position = set(&shown.restore_position).map_err(|error| error.to_string())?;
    Ok(Some(Restored { backup_time: shown.restored_backup_time, position }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn answer(body: &str) -> Vec<u8> {
        format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn what_it_restored_stands_among_much_else() {
        let shown = answer(&format!(
            r#"{{"cmdline": ["vttablet"], "RestorePosition": "MySQL56/{SERVER}:1-3", "Queries": {{"TotalCount": 1}},
                "RestoredBackupTime": "2026-01-01T00:01:00Z"}}"#
        ));
        let restored = read(&shown).expect("readable").expect("a restore");
        assert_eq!(restored.backup_time, "2026-01-01T00:01:00Z");
        assert_eq!(restored.position.to_string(), format!("{SERVER}:1-3"));
    }

    #[test]
    fn one_that_began_with_its_data_restored_nothing() {
        assert_eq!(read(&answer(r#"{"RestorePosition": "", "RestoredBackupTime": ""}"#)), Ok(None));
        assert_eq!(read(&answer("{}")), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_not_nothing() {
        for shown in [
            b"HTTP/1.0 404 Not Found\r\n\r\n{}".to_vec(),
            b"HTTP/1.0 200 OK\r\n".to_vec(),
            answer("{"),
            answer(r#"{"RestoredBackupTime": "2026-01-01T00:01:00Z", "RestorePosition": "MariaDB/0-1-2"}"#),
        ] {
            assert!(read(&shown).is_err(), "{}", String::from_utf8_lossy(&shown));
        }
    }
}
