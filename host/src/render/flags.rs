//! Command-line flags of Vitess' programs: sorted, each once.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Flags by name. Vitess reads `-` and `_` in a name alike, and so does this set: what is
/// set last wins, in its own spelling.
#[derive(Debug, Clone, Default)]
pub(super) struct Flags(BTreeMap<String, (String, String)>);

impl Flags {
    /// Sets a flag, over an earlier value.
    pub(super) fn set(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0.insert(name.replace('-', "_"), (name.to_owned(), value.to_string()));
        self
    }

    /// Sets flags of a fixed table.
    pub(super) fn set_all(&mut self, flags: &[(&str, &str)]) -> &mut Self {
        for (name, value) in flags {
            self.set(name, value);
        }
        self
    }

    /// Sets all of another set.
    pub(super) fn merge(&mut self, other: Self) -> &mut Self {
        self.0.extend(other.0);
        self
    }

    /// Sets what the manifest adds; it wins over ours. Leading dashes are no part of a name.
    pub(super) fn extend(&mut self, extra: &BTreeMap<String, String>) -> &mut Self {
        for (name, value) in extra {
            self.set(name.trim_start_matches('-'), value);
        }
        self
    }

    /// As arguments, in the order of their names: `--cell=zone1`.
    pub(super) fn args(&self) -> Vec<String> {
        self.sorted().into_iter().map(|(name, value)| format!("--{name}={value}")).collect()
    }

    /// As arguments of a program that is no part of Vitess and takes no value for a switch:
    /// `--collect.heartbeat`, `--no-collect.slave_status`.
    pub(super) fn switches(&self) -> Vec<String> {
        let arg = |(name, value): &(String, String)| match value.to_ascii_lowercase().as_str() {
            "true" => format!("--{name}"),
            "false" => format!("--no-{name}"),
            _ => format!("--{name}={value}"),
        };
        self.sorted().into_iter().map(arg).collect()
    }

    fn sorted(&self) -> Vec<&(String, String)> {
        let mut flags: Vec<_> = self.0.values().collect();
        flags.sort();
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_wins_in_either_spelling() {
        let mut flags = Flags::default();
        flags.set("grpc_port", 15999).set("cell", "zone1");
        flags.extend(&BTreeMap::from([("grpc-port".to_owned(), "1".to_owned())]));
        assert_eq!(flags.args(), ["--cell=zone1", "--grpc-port=1"]);
    }

    #[test]
    fn leading_dashes_are_forgiven() {
        let mut flags = Flags::default();
        flags.set("cell", "zone1").extend(&BTreeMap::from([("--cell".to_owned(), "zone2".to_owned())]));
        assert_eq!(flags.args(), ["--cell=zone2"]);
    }

    #[test]
    fn switches_have_no_value() {
        let mut flags = Flags::default();
        flags.set("a", "False").set("b", true).set("c", "sys,_vt");
        assert_eq!(flags.switches(), ["--no-a", "--b", "--c=sys,_vt"]);
    }
}
