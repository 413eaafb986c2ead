//! The compiling child on its own, for tests of this crate.

fn main() -> std::process::ExitCode {
    pilothouse_policy::compile::compile_child_main(std::env::args().skip(1))
}
