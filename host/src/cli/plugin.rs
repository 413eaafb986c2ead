//! `pilothouse plugin`: looks at policy plugins without binding them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::SettingsArgs;

/// What can be asked of plugins.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Show a component's digest, imports, slots, manifest and whether this host would take it.
    Inspect {
        /// The component.
        #[arg(value_name = "F.wasm")]
        file: PathBuf,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(super) fn main(command: &PluginCommand) -> anyhow::Result<ExitCode> {
    let PluginCommand::Inspect { file, settings } = command;
    let seen =
        settings.load()?.runtime()?.inspect(file).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    say!("digest: {}", seen.digest)?;
    say!("bytes: {}", seen.bytes)?;
    say!("imports: {}", listed(&seen.contract.imports))?;
    say!("answered with constants: {}", listed(&seen.contract.inert))?;
    say!("refused imports: {}", listed(&seen.contract.refused))?;
    say!("exports: {}", listed(&seen.contract.exports))?;
    let mut fits = true;
    for (slot, manifest) in &seen.slots {
        match manifest {
            Ok(manifest) => {
                say!("slot {slot}: {} {}", manifest.name, manifest.version)?;
                say!("  needs: {}", manifest.needs.join(", "))?;
                say!("  emits: {}", manifest.emits.join(", "))?;
                say!("  configuration: {}", manifest.config_schema)?;
            }
            Err(unfit) => {
                fits = false;
                say!("slot {slot}: refused: {unfit}")?;
            }
        }
    }
    if seen.slots.is_empty() {
        say!("refused: it serves no slot of pilothouse:policy")?;
    }
    Ok(if fits && !seen.slots.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
