//! What `host/vitess/proto` says of Vitess's calls, compared with Vitess's own files.
//!
//! Ours are a few of theirs, written anew; each that is there has to be the same on the wire.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use pilothouse_tests::{golang, repository};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
use serde_json::Value;

/// In the version that `tests/vitess` runs.
const VITESS: &str = "vitess.io/vitess";
const SERVICES: [&str; 3] = ["queryservice.proto", "tabletmanagerservice.proto", "vtctlservice.proto"];

/// Everything that matters on the wire: where it stands, and what stands there.
type Wire = BTreeMap<String, String>;

fn wire(files: FileDescriptorSet) -> Wire {
    let mut wire = Wire::new();
    for file in files.file {
        let package = file.package().to_owned();
        file.message_type.iter().for_each(|message| of_message(&mut wire, &package, message));
        file.enum_type.iter().for_each(|words| of_enum(&mut wire, &package, words));
        file.service.iter().for_each(|service| of_service(&mut wire, &package, service));
    }
    wire
}

fn of_message(wire: &mut Wire, parent: &str, message: &DescriptorProto) {
    let name = format!("{parent}.{}", message.name());
    let is_map = message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
    wire.insert(format!("message {name}"), if is_map { "a map's entry" } else { "there" }.to_owned());
    for field in &message.field {
        let (kind, label) = (field.r#type(), field.label());
        let said = format!(
            "{} = {} {} {} optional: {}",
            field.number(),
            label.as_str_name(),
            kind.as_str_name(),
            field.type_name(),
            field.proto3_optional()
        );
        wire.insert(format!("field {name}.{}", field.name()), said);
    }
    message.nested_type.iter().for_each(|nested| of_message(wire, &name, nested));
    message.enum_type.iter().for_each(|words| of_enum(wire, &name, words));
}

fn of_enum(wire: &mut Wire, parent: &str, words: &EnumDescriptorProto) {
    for word in &words.value {
        wire.insert(format!("word {parent}.{}.{}", words.name(), word.name()), word.number().to_string());
    }
}

fn of_service(wire: &mut Wire, package: &str, service: &ServiceDescriptorProto) {
    for method in &service.method {
        let streams = (method.client_streaming(), method.server_streaming());
        let said = format!("{} -> {} {streams:?}", method.input_type(), method.output_type());
        wire.insert(format!("call {package}.{}/{}", service.name(), method.name()), said);
    }
}

fn compiled(folder: PathBuf) -> Wire {
    wire(protox::compile(SERVICES, [folder]).unwrap())
}

/// Vitess's own files, as its module has them; `None` where there is no Go to fetch it with.
fn theirs() -> anyhow::Result<Option<PathBuf>> {
    if !golang::is_there("read Vitess's own .proto files")? {
        return Ok(None);
    }
    let module = repository("tests/vitess");
    let fetched =
        Command::new("go").args(["mod", "download", "-json", VITESS]).current_dir(module).output()?;
    let told: Value = serde_json::from_slice(&fetched.stdout)?;
    let folder = told["Dir"].as_str().ok_or_else(|| anyhow::anyhow!("{VITESS}: {}", told["Error"]))?;
    Ok(Some(PathBuf::from(folder).join("proto")))
}

#[test]
fn what_we_say_of_the_wire_is_what_vitess_says() {
    let Some(folder) = theirs().unwrap() else { return };
    let (ours, theirs) = (compiled(repository("host/vitess/proto")), compiled(folder));
    let calls = ours.keys().filter(|place| place.starts_with("call ")).count();
    assert!(calls > 20, "our own files are not found: {calls} calls");
    let other: Vec<String> = ours
        .iter()
        .filter(|(place, said)| theirs.get(*place) != Some(*said))
        .map(|(place, said)| format!("{place}: {said}, theirs: {:?}", theirs.get(place)))
        .collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
}
