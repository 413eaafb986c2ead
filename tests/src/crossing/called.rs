//! A tablet, called as the host calls it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use pilothouse_vitess::{Dialer, Tablet};

/// Who has not answered by then does not.
pub const ASKED_FOR: Duration = Duration::from_secs(2);

/// A way to the tablet of a Pod.
///
/// # Errors
/// When the Pod has no address.
pub fn called(pod: &Pod) -> anyhow::Result<Tablet> {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).unwrap_or_default();
    let dialer = Dialer { connect: ASKED_FOR, tls: None };
    Ok(Tablet::new(dialer.link(&format!("{address}:15999"))?))
}
