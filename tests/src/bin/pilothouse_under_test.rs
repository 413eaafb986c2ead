//! The `pilothouse` command, as the product's own `main` has it.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<std::process::ExitCode> {
    pilothouse::cli::main()
}
