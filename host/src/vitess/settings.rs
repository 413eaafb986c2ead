//! How Vitess is asked: how often, how long is waited, and who is believed.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilothouse_core::Millis;
use pilothouse_vitess::{Dialer, Tls, TlsError, Within};
use serde::{Deserialize, Serialize};

/// How Vitess is asked. All spans are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VitessSettings {
    /// Tablets are probed, and shards and tablets listed, this often.
    pub poll_ms: Millis,
    /// A tablet that has not answered after this long does not answer.
    pub probe_ms: Millis,
    /// The longest that a connection may take.
    pub connect_ms: Millis,
    /// The longest that reading or writing a record may take.
    pub call_ms: Millis,
    /// The longest that a reparent may take, Vitess's lock of the shard included.
    pub reparent_ms: Millis,
    /// The longest that a reparent waits for replicas: before, and again after it.
    pub replicas_ms: Millis,
    /// What vtctld last said of shards counts for this long; after that nothing is known, and
    /// nothing is taken away or moved.
    pub stale_ms: Millis,
    /// TLS; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// Who is believed, and who we are: files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates of those who sign for vtctld and tablets.
    pub authorities: PathBuf,
    /// Our certificate, where they ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name in their certificates; absent: the name or address that is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl Default for VitessSettings {
    fn default() -> Self {
        Self {
            poll_ms: 1_000,
            probe_ms: 1_000,
            connect_ms: 1_000,
            call_ms: 10_000,
            reparent_ms: 60_000,
            replicas_ms: 15_000,
            stale_ms: 30_000,
            tls: None,
        }
    }
}

/// Why the settings of Vitess cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A span is outside its bounds.
    #[error("vitess.{field}: {value} is not within {} and {}", within.start(), within.end())]
    Span {
        /// Which.
        field: &'static str,
        /// What it is.
        value: Millis,
        /// What it may be.
        within: RangeInclusive<Millis>,
    },
    /// A reparent's parts take longer than the whole.
    #[error("vitess.reparentMs: {whole} is less than twice vitess.replicasMs, which is {part}")]
    Reparent {
        /// The whole.
        whole: Millis,
        /// The part, which may come twice.
        part: Millis,
    },
    /// Only one of two that go together is given.
    #[error("vitess.tls: certificate and key go together")]
    Half,
    /// A file cannot be read.
    #[error("vitess.tls.{field}: {path}: {source}")]
    Read {
        /// Which.
        field: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What is in the files cannot be used.
    #[error("vitess.tls: {0}")]
    Tls(#[from] TlsError),
}

impl VitessSettings {
    /// How connections are made.
    ///
    /// # Errors
    /// When a span is outside its bounds, or a certificate cannot be used.
    pub fn dialer(&self) -> Result<Dialer, Error> {
        self.check()?;
        let tls = self.tls.as_ref().map(TlsSettings::load).transpose()?;
        Ok(Dialer { connect: Duration::from_millis(self.connect_ms), tls })
    }

    fn check(&self) -> Result<(), Error> {
        let spans = [
            ("pollMs", self.poll_ms, 100..=60_000),
            ("probeMs", self.probe_ms, 50..=60_000),
            ("connectMs", self.connect_ms, 50..=60_000),
            ("callMs", self.call_ms, 100..=120_000),
            ("reparentMs", self.reparent_ms, 1_000..=600_000),
            ("replicasMs", self.replicas_ms, 100..=300_000),
            // Less than some polls would forget at each hiccup.
            ("staleMs", self.stale_ms, 3 * self.poll_ms..=600_000),
        ];
        for (field, value, within) in spans {
            if !within.contains(&value) {
                return Err(Error::Span { field, value, within });
            }
        }
        if self.reparent_ms < 2 * self.replicas_ms {
            return Err(Error::Reparent { whole: self.reparent_ms, part: self.replicas_ms });
        }
        Ok(())
    }

    /// How long calls of vtctld may take.
    #[must_use]
    pub const fn within(&self) -> Within {
        Within {
            call: Duration::from_millis(self.call_ms),
            reparent: Duration::from_millis(self.reparent_ms),
            replicas: Duration::from_millis(self.replicas_ms),
        }
    }
}

impl TlsSettings {
    fn load(&self) -> Result<Tls, Error> {
        let authorities = read("authorities", &self.authorities)?;
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((read("certificate", certificate)?, read("key", key)?)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(Error::Half),
        };
        let identity = identity.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        Ok(Tls::new(&authorities, identity, self.server_name.as_deref())?)
    }
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { field, path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, told: &str) {
        let settings: VitessSettings = serde_yaml_ng::from_str(text).expect(text);
        let error = settings.dialer().expect_err(text).to_string();
        assert!(error.contains(told), "{text}: {error}");
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_field() {
        check("pollMs: 0", "vitess.pollMs: 0 is not within 100 and 60000");
        check("{ pollMs: 10000, staleMs: 20000 }", "vitess.staleMs: 20000 is not within 30000");
        check("{ reparentMs: 20000, replicasMs: 15000 }", "vitess.reparentMs: 20000 is less than twice");
        check("tls: { authorities: /no/such/file }", "vitess.tls.authorities: /no/such/file: ");
        check("tls: { authorities: Cargo.toml }", "vitess.tls: authorities: there is no certificate in it");
        check(
            "tls: { authorities: Cargo.toml, key: Cargo.toml }",
            "vitess.tls: certificate and key go together",
        );
    }

    #[test]
    fn the_defaults_can_be_used() {
        VitessSettings::default().dialer().expect("they are ours");
    }
}
