//! The `pilothouse` command.

/// The simulator and the caches allocate small trees all the time; the system's allocator costs
/// them a third of their time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<std::process::ExitCode> {
    pilothouse::cli::main()
}
