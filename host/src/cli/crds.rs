//! `pilothouse crds`.

use std::process::ExitCode;

/// Prints every custom resource definition as one YAML stream.
pub(super) fn main() -> anyhow::Result<ExitCode> {
    for text in pilothouse_api::crds::yaml()?.values() {
        say!("---\n{}", text.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
