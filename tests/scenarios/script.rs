//! The scripts' language. Must not know how a step is carried out.

use std::sync::Arc;
use std::time::Duration;

use kube::api::Patch;
use pilothouse::settings::Settings;
use pilothouse_core::topology::KeyRange;
use pilothouse_tests::fault::Fault;
use pilothouse_tests::seen::{condition, text};
use serde::Deserialize;
use serde_json::{Value, json};

/// A scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Script {
    /// What it shows.
    pub(crate) about: String,
    /// The namespace that it looks at.
    #[serde(default = "default_namespace")]
    pub(crate) namespace: String,
    /// Zones of the world.
    #[serde(default = "three_zones")]
    pub(crate) zones: Vec<String>,
    /// The host's settings.
    #[serde(default)]
    pub(crate) settings: Settings,
    /// Whether the host has a way to Vitess.
    #[serde(default = "yes")]
    pub(crate) vitess: bool,
    /// Why refusals go on at the end, if they do.
    #[serde(default)]
    pub(crate) refusals_stay: Option<String>,
    #[serde(with = "serde_yaml_ng::with::singleton_map_recursive")]
    pub(crate) steps: Vec<Step>,
}

/// One step. `$primary`, `$primary-pod`, `$primary-zone` and `$primary-node` are the first
/// shard's; `$broken` is what the last breaking step named.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Step {
    /// A manifest, by its path from the repository's root.
    Apply(String),
    LoseZone(String),
    RestoreZone(String),
    LoseNode(String),
    RestoreNode(String),
    /// Of a tablet, by its alias.
    KillMysqld(String),
    /// What only the played world can break, or mend.
    Break(Fault),
    Fill(Fill),
    /// As at the end of a reshard.
    SwitchTraffic(SwitchTraffic),
    Edit(Edit),
    /// Deletes an object, as `kubectl delete` would.
    Remove(Named),
    WaitFor(WaitFor),
    /// Tells the topology's records.
    TellTopology,
    /// Tells what the played databases are in truth.
    TellTruth,
    /// Lets time pass.
    Rest(Span),
    /// Another host takes over that knows nothing of the one before.
    RestartHost,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Fill {
    pub(crate) tablet: String,
    pub(crate) gib_per_hour: u64,
}

/// The shards of a keyspace that serve from now on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SwitchTraffic {
    pub(crate) keyspace: String,
    pub(crate) to: Vec<KeyRange>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Named {
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// A change to the only object of a kind, or the one named, as `kubectl edit` would make it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// A merge patch.
    #[serde(default)]
    pub(crate) merge: Option<Value>,
    /// JSON pointer of one field that is replaced by `with`: merge patches replace whole lists.
    #[serde(default)]
    pub(crate) replace: Option<String>,
    #[serde(default)]
    pub(crate) with: Value,
    /// The operations of a JSON patch.
    #[serde(default)]
    pub(crate) patch: Option<Value>,
}

/// Waits until every object of a kind (or `count` of them, or the one named) is as asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct WaitFor {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// JSON pointer of the field asked about.
    #[serde(default)]
    pub(crate) at: Option<String>,
    /// Or a condition, whose status is asked about.
    #[serde(default)]
    pub(crate) condition: Option<String>,
    /// What it must be; `null`: absent.
    #[serde(default, deserialize_with = "given")]
    pub(crate) is: Option<Value>,
    /// What it must not be.
    #[serde(default)]
    pub(crate) is_not: Option<Value>,
    #[serde(default)]
    pub(crate) count: Option<usize>,
    pub(crate) within: Span,
}

/// `30s`, `10m`, `4h`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("{text:?}: expected a number and s, m or h");
        let (number, unit) = text.split_at(text.len().saturating_sub(1));
        let number: u64 = number.parse().map_err(|_| bad())?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(bad()),
        };
        Ok(Self(Duration::from_secs(number * seconds)))
    }
}

/// Tells `null` from nothing at all.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn default_namespace() -> String {
    "default".to_owned()
}

fn three_zones() -> Vec<String> {
    ["zone-a", "zone-b", "zone-c"].map(str::to_owned).into()
}

const fn yes() -> bool {
    true
}

pub(crate) fn read(text: &str) -> Result<Script, serde_yaml_ng::Error> {
    serde_yaml_ng::from_str(text)
}

impl Script {
    /// Manifests that it applies.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|s| if let Step::Apply(path) = s { Some(path.as_str()) } else { None })
    }
}

impl Edit {
    /// What `kubectl edit` would send.
    pub(crate) fn patch(&self) -> anyhow::Result<Patch<Value>> {
        match (&self.merge, &self.replace, &self.patch) {
            (Some(merge), None, None) => Ok(Patch::Merge(merge.clone())),
            (None, Some(at), None) => {
                let one = json!([{ "op": "replace", "path": at, "value": self.with }]);
                Ok(Patch::Json(serde_json::from_value(one)?))
            }
            (None, None, Some(operations)) => Ok(Patch::Json(serde_json::from_value(operations.clone())?)),
            _ => anyhow::bail!("an edit has merge, or replace and with, or patch"),
        }
    }
}

impl WaitFor {
    /// Whether the objects of its kind are as asked; what variables stand for is already put in.
    pub(crate) fn is_met(&self, mut objects: Vec<Arc<Value>>) -> bool {
        objects.retain(|o| self.name.as_deref().is_none_or(|name| text(o, "/metadata/name") == name));
        let fitting = objects.iter().filter(|o| self.fits(o)).count();
        match self.count {
            Some(count) => fitting == count,
            None => fitting == objects.len() && fitting > 0,
        }
    }

    fn fits(&self, object: &Value) -> bool {
        let found = match (&self.at, &self.condition) {
            (Some(at), _) => object.pointer(at),
            (None, Some(kind)) => condition(object, kind).map(|c| &c["status"]),
            (None, None) => None,
        };
        let empty = || found.is_none_or(|v| v.as_str() == Some(""));
        self.is.as_ref().is_none_or(|is| found.unwrap_or(&Value::Null) == is)
            && self.is_not.as_ref().is_none_or(|not| found != Some(not) && !empty())
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apply(path) => write!(f, "apply {path}"),
            Self::LoseZone(zone) => write!(f, "lose zone {zone}"),
            Self::RestoreZone(zone) => write!(f, "restore zone {zone}"),
            Self::LoseNode(node) => write!(f, "lose node {node}"),
            Self::RestoreNode(node) => write!(f, "restore node {node}"),
            Self::KillMysqld(tablet) => write!(f, "kill mysqld of {tablet}"),
            Self::Break(fault) => fault.fmt(f),
            Self::Fill(fill) => write!(f, "fill {} by {} GiB an hour", fill.tablet, fill.gib_per_hour),
            Self::SwitchTraffic(SwitchTraffic { keyspace, to }) => {
                let to: Vec<String> = to.iter().map(ToString::to_string).collect();
                write!(f, "switch traffic of {keyspace} to {}", to.join(" "))
            }
            Self::Edit(edit) => {
                let name = edit.name.as_deref().unwrap_or_default();
                match (edit.merge.as_ref().or(edit.patch.as_ref()), &edit.replace) {
                    (Some(patch), _) => write!(f, "edit {} {name}: {patch}", edit.kind),
                    (None, replaced) => {
                        let at = replaced.as_deref().unwrap_or_default();
                        write!(f, "edit {} {name}: {at} = {}", edit.kind, edit.with)
                    }
                }
            }
            Self::Remove(named) => write!(f, "remove {} {}", named.kind, named.name),
            Self::TellTopology => f.write_str("topology"),
            Self::TellTruth => f.write_str("in truth"),
            Self::WaitFor(wait) => wait.fmt(f),
            Self::Rest(span) => write!(f, "rest {} s", span.0.as_secs()),
            Self::RestartHost => f.write_str("restart the host"),
        }
    }
}

impl std::fmt::Display for WaitFor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wait for ")?;
        if let Some(count) = self.count {
            write!(f, "{count} ")?;
        }
        f.write_str(&self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if let Some(what) = self.condition.as_ref().or(self.at.as_ref()) {
            write!(f, " {what}")?;
        }
        if let Some(value) = &self.is {
            write!(f, " = {value}")?;
        }
        if let Some(value) = &self.is_not {
            write!(f, " not {value}")?;
        }
        Ok(())
    }
}
