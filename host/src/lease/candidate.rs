//! Whether and as whom a host takes part in the election, and by which times.
//!
//! Owns the settings' shape and their checks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The Pod's name, which its manifest hands on.
const POD_NAME: &str = "POD_NAME";
/// Every container of a Pod has it.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// Why a host cannot take part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Error {
    /// The setting.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// How hosts agree on the one that acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaseSettings {
    /// Whether this host acts only while it holds the Lease; absent: where it runs in a Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// The Lease's name.
    pub name: String,
    /// Its namespace; absent: the current context's, in a Pod the Pod's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// This host's name among the others; absent: `POD_NAME` of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Others take over when the holder gave no sign for so many seconds.
    pub duration_seconds: u16,
    /// A holder that could not renew for so many seconds stops acting; less than the duration.
    pub renew_within_seconds: u16,
    /// Seconds between two tries; less than the time to renew.
    pub retry_seconds: u16,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            required: None,
            name: "pilothouse".to_owned(),
            namespace: None,
            identity: None,
            duration_seconds: 15,
            renew_within_seconds: 10,
            retry_seconds: 2,
        }
    }
}

/// A host that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The Lease's name.
    pub name: String,
    /// Its namespace; `None`: the client's own.
    pub namespace: Option<String>,
    /// This host's name among the others.
    pub identity: String,
    /// Others take over after this long without a sign.
    pub duration: Duration,
    /// A holder that could not renew for this long stops acting.
    pub renew_within: Duration,
    /// Between two tries.
    pub retry: Duration,
}

impl LeaseSettings {
    /// Who takes part by these settings in an environment; `None`: the host acts without a Lease.
    ///
    /// # Errors
    /// When the host has no name, or the times do not leave the holder room to stop in.
    pub fn candidate(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Candidate>, Error> {
        if !self.required.unwrap_or_else(|| environment(IN_CLUSTER).is_some()) {
            return Ok(None);
        }
        let refused = |field, reason: String| Err(Error { field, reason });
        let Some(identity) =
            self.identity.clone().or_else(|| environment(POD_NAME)).filter(|i| !i.is_empty())
        else {
            return refused("lease.identity", format!("it is not set, nor is {POD_NAME} in the environment"));
        };
        if self.name.is_empty() {
            return refused("lease.name", "it is empty".to_owned());
        }
        if self.retry_seconds == 0 {
            return refused("lease.retrySeconds", "it must be more than 0".to_owned());
        }
        if self.retry_seconds >= self.renew_within_seconds {
            let reason = format!("it must be more than lease.retrySeconds, {}", self.retry_seconds);
            return refused("lease.renewWithinSeconds", reason);
        }
        if self.renew_within_seconds >= self.duration_seconds {
            let reason =
                format!("it must be more than lease.renewWithinSeconds, {}", self.renew_within_seconds);
            return refused("lease.durationSeconds", reason);
        }
        let seconds = |n: u16| Duration::from_secs(n.into());
        Ok(Some(Candidate {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            identity,
            duration: seconds(self.duration_seconds),
            renew_within: seconds(self.renew_within_seconds),
            retry: seconds(self.retry_seconds),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Option<String> {
        match name {
            POD_NAME => Some("pilothouse-0".to_owned()),
            IN_CLUSTER => Some("10.0.0.1".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_pod_takes_part_and_a_laptop_does_not_unless_told() {
        let defaults = LeaseSettings::default();
        let told = |required| LeaseSettings { required: Some(required), ..LeaseSettings::default() };
        let named = |s: &LeaseSettings, environment: fn(&str) -> Option<String>| {
            s.candidate(environment).map(|c| c.map(|c| c.identity))
        };
        assert_eq!(named(&defaults, pod), Ok(Some("pilothouse-0".to_owned())));
        assert_eq!(named(&defaults, |_| None), Ok(None));
        assert_eq!(named(&told(false), pod), Ok(None));
        let mine = LeaseSettings { identity: Some("mine".to_owned()), ..told(true) };
        assert_eq!(named(&mine, |_| None), Ok(Some("mine".to_owned())));
    }

    #[track_caller]
    fn refuses(settings: &str, environment: impl Fn(&str) -> Option<String>, field: &str) {
        let settings: LeaseSettings = serde_yaml_ng::from_str(settings).expect("settings");
        let error = settings.candidate(environment).expect_err("an error");
        assert_eq!(error.field, field, "{error}");
    }

    #[test]
    fn what_would_let_two_hosts_act_is_refused_by_name() {
        refuses("{ required: true }", |_| None, "lease.identity");
        refuses("{}", |name| pod(name).filter(|_| name != POD_NAME), "lease.identity");
        refuses("{ name: '' }", pod, "lease.name");
        refuses("{ retrySeconds: 0 }", pod, "lease.retrySeconds");
        refuses("{ retrySeconds: 10 }", pod, "lease.renewWithinSeconds");
        refuses("{ renewWithinSeconds: 15 }", pod, "lease.durationSeconds");
    }
}
