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
    println!("digest: {}", seen.digest);
    println!("bytes: {}", seen.bytes);
    println!("imports: {}", listed(&seen.contract.imports));
    println!("answered with constants: {}", listed(&seen.contract.inert));
    println!("refused imports: {}", listed(&seen.contract.refused));
    println!("exports: {}", listed(&seen.contract.exports));
    let mut fits = true;
    for (slot, manifest) in &seen.slots {
        match manifest {
            Ok(manifest) => {
                println!("slot {slot}: {} {}", manifest.name, manifest.version);
                println!("  needs: {}", manifest.needs.join(", "));
                println!("  emits: {}", manifest.emits.join(", "));
                println!("  configuration: {}", manifest.config_schema);
            }
            Err(unfit) => {
                fits = false;
                println!("slot {slot}: refused: {unfit}");
            }
        }
    }
    if seen.slots.is_empty() {
        println!("refused: it serves no slot of pilothouse:policy");
    }
    Ok(if fits && !seen.slots.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
