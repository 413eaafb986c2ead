//! The `pilothouse` command.

fn main() -> anyhow::Result<std::process::ExitCode> {
    pilothouse::cli::main()
}
