//! The figures that the project promises, as ratios and least processor times of one run.
//!
//! Owns the table that `cargo bench` prints. Asserts nothing about time: machines are
//! shared and noisy, so a figure is for people to read.

mod calls;
mod cpu;
mod days;
mod passes;
mod product;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo test --benches` asks for a list or a run of tests; there are none here.
    if std::env::args().any(|a| a == "--list" || a == "--test") {
        return;
    }
    println!("least of {} rounds, microseconds of processor time for one\n", cpu::ROUNDS);
    let policies = product::policies();
    calls::print(&policies);
    passes::print(&policies);
    days::print(&policies);
    product::print();
}
