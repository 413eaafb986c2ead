//! Who asked the API server what, as its audit log has it.
//!
//! Owns reading it on as it grows. Must not know who should have asked.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

/// What a server keeps of requests: those of service accounts and of [`super::HOST`], of whom tests want to know.
pub(super) const POLICY: &str = r#"{
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [
        { "level": "Metadata", "userGroups": ["system:serviceaccounts"] },
        { "level": "Metadata", "users": ["host"] },
        { "level": "None" }
    ]
}"#;

/// A log that is read from where it was read to.
pub struct Audit {
    log: PathBuf,
    read: u64,
}

impl Audit {
    pub(super) const fn of(log: PathBuf) -> Self {
        Self { log, read: 0 }
    }

    /// Its events since the last call: requests and how they were answered.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read_on(&mut self) -> anyhow::Result<Vec<Value>> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // The last line may be half written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += u64::try_from(whole)?;
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
    }
}
