//! The figures that the project promises, as ratios and least processor times of one run.
//!
//! Owns the table that `cargo bench` prints; `cargo bench -- calls passes` prints only those
//! of its parts `calls`, `passes`, `days`, `start` and `product`.
//! Asserts nothing about time: machines are shared and noisy, so a figure is for people to read.

mod calls;
mod cpu;
mod days;
mod passes;
mod product;
mod start;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    // `cargo test --benches` asks for a list or a run of tests; there are none here.
    if asked.iter().any(|a| a == "--list" || a == "--test") {
        return;
    }
    println!("least of {} rounds, microseconds of processor time for one\n", cpu::ROUNDS);
    let policies = product::policies();
    let parts: [(&str, &dyn Fn()); 5] = [
        ("calls", &|| calls::print(&policies)),
        ("passes", &|| passes::print(&policies)),
        ("days", &|| days::print(&policies)),
        ("start", &start::print),
        ("product", &product::print),
    ];
    for (name, print) in parts {
        if asked.is_empty() || asked.iter().any(|a| a == name) {
            print();
        }
    }
}
