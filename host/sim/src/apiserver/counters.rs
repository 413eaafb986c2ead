//! What the server was asked, counted.

use std::collections::BTreeMap;

/// Counts since the server began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests by (verb, `resource.group[/subresource]`); verbs are Kubernetes' own (get, list, watch, create, …).
    pub requests: BTreeMap<(String, String), u64>,
    /// Objects written (committed changes, no-ops and dry runs left out), by `resource.group`.
    pub writes: BTreeMap<String, u64>,
    /// Refusals by (code, reason).
    pub refusals: BTreeMap<(u16, String), u64>,
    /// What was asked and is not supported (501), by the text of the refusal.
    pub unsupported: BTreeMap<String, u64>,
    /// Watch streams opened.
    pub watches_opened: u64,
}

impl Counters {
    pub(crate) fn request(&mut self, verb: &str, resource: &str) {
        *self.requests.entry((verb.to_owned(), resource.to_owned())).or_default() += 1;
    }

    pub(crate) fn refusal(&mut self, status: &super::status::Status) {
        *self.refusals.entry((status.code, status.reason.to_owned())).or_default() += 1;
        if status.code == 501 {
            *self.unsupported.entry(status.message.clone()).or_default() += 1;
        }
    }

    /// All writes.
    pub fn total_writes(&self) -> u64 {
        self.writes.values().sum()
    }
}
