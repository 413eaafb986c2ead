//! How the shipped binary is linked: functions that compile to the same code are kept once, and
//! relative relocations are packed. Only where Rust's own linker is the default; the latter
//! asks for glibc 2.36 or later where it runs.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|v| v == value);
    let linked_by_lld = is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if linked_by_lld && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bin=pilothouse=-Wl,--icf=all,-z,pack-relative-relocs");
    }
}
