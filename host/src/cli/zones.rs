//! `pilothouse zones`: how the zones of clusters are judged, since when, and what was seen that led to it.
//!
//! Owns the text. Reads statuses alone: it tells what the host wrote down, and judges nothing.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, Config, ResourceExt as _};
use pilothouse_api::vitess_cluster::{Witnesses, ZoneEvidence, ZoneStatus};
use pilothouse_core::zones::{ZoneHealth, ZoneState};

use crate::clock::rfc3339;
use crate::kinds::Kind;

/// Arguments of `zones`.
#[derive(Debug, Args)]
pub(super) struct ZonesArgs {
    /// One VitessCluster; without it all of the namespace.
    cluster: Option<String>,
    /// The namespace; without it that of the current context.
    #[arg(long, short)]
    namespace: Option<String>,
    /// Look into every namespace.
    #[arg(long, short = 'A', conflicts_with_all = ["cluster", "namespace"])]
    all_namespaces: bool,
}

pub(super) fn main(args: &ZonesArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clusters = runtime.block_on(async {
        let config = Config::infer().await.context("the current kubeconfig")?;
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)?;
        if args.all_namespaces { all(&client).await } else { of(&client, &namespace, args).await }
    })?;
    for cluster in &clusters {
        say!("{}", told(cluster).trim_end())?;
    }
    if clusters.is_empty() {
        say!("there is no VitessCluster")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(client: &Client) -> anyhow::Result<Vec<DynamicObject>> {
    let api = Api::all_with(client.clone(), &Kind::VitessCluster.resource());
    listed(&api).await
}

/// The clusters that the arguments name; one that is not there is an error, and so is a namespace.
async fn of(client: &Client, namespace: &str, args: &ZonesArgs) -> anyhow::Result<Vec<DynamicObject>> {
    let clusters = listed(&Kind::VitessCluster.api(client, namespace)).await?;
    if clusters.is_empty() {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        // Who may not look at namespaces is told of clusters alone.
        if let Ok(None) = namespaces.get_opt(namespace).await {
            bail!("there is no namespace {namespace}");
        }
    }
    let Some(name) = &args.cluster else { return Ok(clusters) };
    let names: Vec<String> = clusters.iter().map(kube::ResourceExt::name_any).collect();
    let found: Vec<DynamicObject> = clusters.into_iter().filter(|c| c.name_any() == *name).collect();
    if found.is_empty() {
        let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        bail!("there is no VitessCluster {namespace}/{name}; in {namespace} there are: {others}");
    }
    Ok(found)
}

async fn listed(api: &Api<DynamicObject>) -> anyhow::Result<Vec<DynamicObject>> {
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            bail!("the API server knows no VitessClusters: apply the files of crds/ first")
        }
        Err(error) => Err(error).context("VitessClusters cannot be listed"),
    }
}

/// One cluster's zones, as its status has them.
fn told(cluster: &DynamicObject) -> String {
    let mut out = format!("{}/{}\n", cluster.namespace().unwrap_or_default(), cluster.name_any());
    let zones = cluster.data.pointer("/status/zones").cloned();
    let zones: Vec<ZoneStatus> =
        zones.and_then(|zones| serde_json::from_value(zones).ok()).unwrap_or_default();
    if zones.is_empty() {
        out.push_str("  no zone is judged: no host has looked at it yet\n");
    }
    for zone in &zones {
        let _ = writeln!(out, "  {}: {}", zone.name, verdict(zone.recall().as_ref()));
        match zone.evidence() {
            Some(evidence) => out.push_str(&seen(&evidence)),
            None => out.push_str("    what led to it was not kept\n"),
        }
    }
    out
}

fn verdict(health: Option<&ZoneHealth>) -> String {
    let Some(health) = health else { return "what was judged cannot be read".to_owned() };
    let ZoneHealth { state, since, leaning_since, recovery_ms } = health;
    let mut text = format!("{state} since {}", rfc3339(*since));
    if let (Some(leaning), Some(next)) = (leaning_since, next(*state)) {
        let _ = write!(text, ", leaning to {next} since {}", rfc3339(*leaning));
    }
    if matches!(state, ZoneState::Lost | ZoneState::Recovering) {
        let _ = write!(text, ", healthy after {} s of good evidence", recovery_ms / 1_000);
    }
    text
}

/// What evidence that lasts makes of a verdict.
const fn next(state: ZoneState) -> Option<ZoneState> {
    match state {
        ZoneState::Unknown => Some(ZoneState::Healthy),
        ZoneState::Suspect => Some(ZoneState::Lost),
        ZoneState::Healthy | ZoneState::Lost | ZoneState::Recovering => None,
    }
}

fn seen(evidence: &ZoneEvidence) -> String {
    let ZoneEvidence { at, nodes, tablets, gateways, heard_from, provider_post, blind } = evidence;
    let mut out = format!("    as seen at {}:\n", rfc3339(*at));
    for (what, is, witnesses) in
        [("nodes", "ready", nodes), ("tablets", "answering", tablets), ("gateways", "ready", gateways)]
    {
        let Witnesses { up, of, since } = witnesses;
        let since = since.map(|since| format!(", since {}", rfc3339(since))).unwrap_or_default();
        let _ = writeln!(out, "      {what}: {up} of {of} {is}{since}");
    }
    if *heard_from > 0 {
        let zones = if *heard_from == 1 { "zone" } else { "zones" };
        let _ = writeln!(out, "      primaries: heard by replicas of {heard_from} other {zones}");
    }
    let _ = writeln!(out, "      provider: {}", provider_post.as_deref().unwrap_or("posts nothing"));
    if *blind {
        out.push_str("      blind: no zone looked alive, so the host was cut off itself\n");
    }
    out
}
