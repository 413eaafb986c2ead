//! Makes Rust types of the messages in `proto`, and says of each call where it goes and what answers it.

use std::fmt::Write as _;
use std::{env, error};

use prost_build::{Config, Service, ServiceGenerator};

/// Where our .proto files are, and those of them that have calls: the rest is imported.
const FOLDER: &str = "proto";
const SERVICES: [&str; 3] = ["queryservice.proto", "tabletmanagerservice.proto", "vtctlservice.proto"];

struct Calls;

impl ServiceGenerator for Calls {
    fn generate(&mut self, service: Service, text: &mut String) {
        for method in service.methods {
            let path = format!("/{}.{}/{}", service.package, service.proto_name, method.proto_name);
            let (request, response) = (method.input_type, method.output_type);
            let called = if method.server_streaming { "ServerStreaming" } else { "Call" };
            let call = format!(
                "impl crate::call::{called} for {request} {{\n    \
                 const PATH: &'static str = {path:?};\n    type Response = {response};\n}}\n"
            );
            text.write_str(&call).expect("a string takes it");
        }
    }
}

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let files = protox::compile(SERVICES, [FOLDER])?;
    let out = env::var_os("OUT_DIR").ok_or("cargo names OUT_DIR")?;
    let mut config = Config::new();
    config.service_generator(Box::new(Calls)).btree_map(["."]).skip_debug(["."]);
    config.include_file("wire.rs").out_dir(out).compile_fds(files)?;
    Ok(())
}
