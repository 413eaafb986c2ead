//! Where things stand and what can reach what: zones, machines, power, network.
//!
//! Owns the physical truth. Must not know Kubernetes' opinion of it.

use std::collections::{BTreeMap, BTreeSet};

use super::timing;

/// A zone of the played world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneSpec {
    /// Its name, as in the label `topology.kubernetes.io/zone`.
    pub name: String,
    /// How many nodes it has.
    pub nodes: u32,
}

/// A machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) zone: String,
    /// Since when it has power; `None` without.
    pub(crate) powered_since: Option<i64>,
    /// Milliseconds into each renewal period at which its kubelet renews its Lease.
    pub(crate) renewal_phase: i64,
    /// When its kubelet fell silent; `None` while it posts.
    pub(crate) silent_since: Option<i64>,
    /// Whether it was lost by itself, not with its zone.
    pub(crate) lost_alone: bool,
}

impl Machine {
    /// Whether its kubelet and containers can run.
    pub(crate) fn is_up(&self, now: i64) -> bool {
        self.powered_since.is_some_and(|since| now >= since + timing::NODE_BOOT)
    }

    /// When its kubelet last renewed its Lease, if it fell silent at `silent`.
    pub(crate) fn last_renewal(&self, silent: i64) -> i64 {
        let period = timing::LEASE_RENEWAL;
        silent - (silent - self.renewal_phase).rem_euclid(period)
    }
}

/// All machines and the network between them. Nodes of one zone always reach each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) machines: BTreeMap<String, Machine>,
    /// Zones without a way to the control plane (API server, host, topology).
    pub(crate) cut_from_control: BTreeSet<String>,
    /// Pairs of zones without a way to each other, smaller name first.
    pub(crate) cut: BTreeSet<(String, String)>,
    /// Zones without power.
    pub(crate) dark: BTreeSet<String>,
    /// What the provider posts, by zone.
    pub(crate) posts: BTreeMap<String, String>,
}

impl Places {
    pub(crate) fn zones(&self) -> BTreeSet<&str> {
        self.machines.values().map(|m| m.zone.as_str()).collect()
    }

    pub(crate) fn nodes_of(&self, zone: &str) -> Vec<String> {
        self.machines.iter().filter(|(_, m)| m.zone == zone).map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn zone_of(&self, node: &str) -> Option<&str> {
        self.machines.get(node).map(|m| m.zone.as_str())
    }

    /// Whether containers run on the node.
    pub(crate) fn is_up(&self, node: &str, now: i64) -> bool {
        self.machines.get(node).is_some_and(|m| m.is_up(now))
    }

    /// Whether the node runs and has a way to the control plane.
    pub(crate) fn is_connected(&self, node: &str, now: i64) -> bool {
        self.machines.get(node).is_some_and(|m| m.is_up(now) && !self.cut_from_control.contains(&m.zone))
    }

    /// Whether two running machines reach each other.
    pub(crate) fn reach(&self, a: &str, b: &str) -> bool {
        match (self.zone_of(a), self.zone_of(b)) {
            (Some(x), Some(y)) if x != y => {
                let pair = if x < y { (x, y) } else { (y, x) };
                !self.cut.iter().any(|(p, q)| (p.as_str(), q.as_str()) == pair)
            }
            (Some(_), Some(_)) => true,
            (None, _) | (_, None) => false,
        }
    }
}

/// A number of `low..=high` that depends on nothing but its arguments.
pub(crate) fn draw(seed: u64, purpose: &str, key: &str, (low, high): (i64, i64)) -> i64 {
    let span = u64::try_from(high - low).unwrap_or(0) + 1;
    low + i64::try_from(hash(seed, purpose, key) % span).unwrap_or(0)
}

/// FNV-1a over the parts, then the finaliser of SplitMix64.
pub(crate) fn hash(seed: u64, purpose: &str, key: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in purpose.bytes().chain([0]).chain(key.bytes()) {
        h = (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

/// `length` characters as Kubernetes' name generator writes them.
pub(crate) fn suffix(seed: u64, purpose: &str, key: &str, length: usize) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut h = hash(seed, purpose, key);
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        text.push(char::from(ALPHABET[(h % ALPHABET.len() as u64) as usize]));
        h /= ALPHABET.len() as u64;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_kubelet_renewed_within_the_last_period() {
        let machine = Machine {
            zone: "a".into(),
            powered_since: Some(0),
            renewal_phase: 3_000,
            silent_since: None,
            lost_alone: false,
        };
        assert_eq!(machine.last_renewal(100_000), 93_000);
        assert_eq!(machine.last_renewal(103_000), 103_000);
    }

    #[test]
    fn draws_stay_in_bounds_and_repeat() {
        for key in 0..200 {
            let key = key.to_string();
            let n = draw(7, "x", &key, (3, 9));
            assert!((3..=9).contains(&n));
            assert_eq!(n, draw(7, "x", &key, (3, 9)));
        }
        assert_eq!(suffix(1, "pod", "a", 5).len(), 5);
    }
}
