//! The `pilothouse` command, as the product's own `main` has it.

fn main() -> anyhow::Result<std::process::ExitCode> {
    pilothouse::cli::main()
}
