//! A policy that asks WASI for everything, and logs what it was told.

wit_bindgen::generate!({
    path: ["wit/deps/wasi-io.wit", "wit/deps/wasi-clocks.wit", "wit/deps/wasi-random.wit", "wit/deps/wasi-cli.wit", "../../../../../wit", "wit/world.wit"],
    world: "test:foreign/foreign",
    generate_all,
});

use exports::pilothouse::policy::failover::{Decision, Guest as Failover};
use exports::pilothouse::policy::meta::{Guest as Meta, Manifest};
use pilothouse::policy::types::{ConfigError, PolicyError};
use pilothouse::policy::view::Cluster;
use wasi::cli::{environment, exit, stdout};
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::random::{insecure_seed, random};

struct Foreign;

export!(Foreign);

impl Meta for Foreign {
    fn describe() -> Manifest {
        Manifest {
            name: "foreign".into(),
            version: "0.1.0".into(),
            config_schema: "{}".into(),
            needs: Vec::new(),
            emits: Vec::new(),
        }
    }

    fn validate_config(_: String) -> Result<(), Vec<ConfigError>> {
        Ok(())
    }
}

fn print(line: String) {
    let out = stdout::get_stdout();
    let room = out.check_write().unwrap();
    assert!(room as usize >= line.len());
    out.write(line.as_bytes()).unwrap();
}

impl Failover for Foreign {
    fn decide(_: &Cluster, config: String) -> Result<Decision, PolicyError> {
        match config.as_str() {
            r#"{"do":"exit"}"# => exit::exit(Ok(())),
            r#"{"do":"leak"}"# => loop {
                std::mem::forget(stdout::get_stdout());
            },
            r#"{"do":"unanswered"}"# => stdout::get_stdout().splice_nothing(),
            r#"{"do":"random"}"# => drop(random::get_random_bytes(1 << 40)),
            _ => {
                let now = wall_clock::now();
                print(format!("now {}.{:09} {}\n", now.seconds, now.nanoseconds, monotonic_clock::now()));
                let (env, args) = (environment::get_environment(), environment::get_arguments());
                print(format!("environment {env:?} arguments {args:?}\n"));
                let (bytes, seed) = (random::get_random_bytes(4), insecure_seed::insecure_seed());
                print(format!("random {bytes:?} {} {seed:?}\n", random::get_random_u64()));
            }
        }
        Ok(Decision { steps: Vec::new(), diagnostics: Vec::new(), requeue_after_ms: None })
    }
}
