//! `pilothouse plan`: any policies against any view, judged by the guard, nothing written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use pilothouse_core::guard::{self, RULES, Verdict};
use pilothouse_core::plan::{Plan, Proposal};
use pilothouse_core::view::ClusterView;
use pilothouse_core::{drain, turndown};

use super::SettingsArgs;
use crate::pilot::author;
use crate::review;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The view, as YAML; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    view: PathBuf,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let text = if args.view.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input")?
    } else {
        std::fs::read_to_string(&args.view).with_context(|| args.view.display().to_string())?
    };
    let view: ClusterView =
        serde_yaml_ng::from_str(&text).with_context(|| format!("view {}", args.view.display()))?;
    let policies = args.settings.load()?.load_policies()?;
    let view = Arc::new(view);
    let proposals: Vec<Proposal> =
        policies.propose(&view).into_iter().map(|(proposal, _)| proposal).collect();
    let own = drain::steps(&view).into_iter().chain(turndown::steps(&view)).collect();
    let proposed = Plan::merge(&proposals, own);
    let vetoed = review::ask(&policies, &view, proposed.steps(), &mut BTreeMap::new());
    let mut verdict = guard::admit(&view, proposed.reviewed(&vetoed), RULES);
    verdict.refusals.extend(vetoed);
    if args.json {
        let value = serde_json::json!({
            "proposals": proposals,
            "plan": verdict.admitted.steps(),
            "refusals": verdict.refusals,
        });
        say!("{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        say!("{}", explain(&proposals, &verdict).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Proposals, refusals and the plan as text.
fn explain(proposals: &[Proposal], verdict: &Verdict) -> String {
    let mut out = String::new();
    for proposal in proposals {
        let again =
            proposal.requeue_after_ms.map_or_else(|| "not by itself".to_owned(), |ms| format!("{ms} ms"));
        let _ = writeln!(
            out,
            "{}: {} proposed, asks again: {again}",
            author(&proposal.author),
            proposal.steps.len()
        );
        for step in &proposal.steps {
            let _ =
                writeln!(out, "  propose {}\n    {}: {}", step.action, step.reason.code, step.reason.message);
        }
        for said in &proposal.diagnostics {
            let subject = if said.subject.is_empty() { "cluster" } else { &said.subject };
            let _ = writeln!(out, "  {:?} {} {subject}: {}", said.severity, said.code, said.message);
        }
    }
    let _ = writeln!(out, "refused: {}", verdict.refusals.len());
    for refusal in &verdict.refusals {
        let _ = writeln!(out, "  {}\n    {}: {}", refusal.step.action, refusal.rule, refusal.why);
    }
    let _ = writeln!(out, "plan: {}", verdict.admitted.steps().len());
    for (i, step) in verdict.admitted.steps().iter().enumerate() {
        let _ = writeln!(out, "  {}. {} (by {})", i + 1, step.action, author(&step.author));
    }
    out
}
