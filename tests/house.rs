//! The house rules that a reader relies on: what each crate must not know, how big
//! a file may be, what the papers name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pilothouse_tests::repository;
use serde_json::Value;

/// Every file that is or would be under version control, by its path from the root.
fn files() -> Vec<String> {
    let root = repository("");
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(&root)
        .output();
    let listed = match listed {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        // An archive without its history: every file there is, but what is built.
        Ok(_) | Err(_) => walk(&root, &root).join("\0"),
    };
    let files: Vec<String> =
        listed.split('\0').filter(|f| !f.is_empty() && root.join(f).is_file()).map(str::to_owned).collect();
    assert!(files.len() > 100, "the repository's files are not found");
    files
}

fn walk(root: &Path, dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_dir() && name != "target" && name != ".git" {
            found.extend(walk(root, &path));
        } else if path.is_file() {
            found.push(name);
        }
    }
    found
}

/// The text of a file; `None` when it is none.
fn text(file: &str) -> Option<String> {
    std::fs::read_to_string(repository(file)).ok()
}

fn sources() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(|f| f.ends_with(".rs")).map(|f| (f.clone(), text(&f).unwrap()))
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn metadata() -> Value {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(repository(""))
        .output()
        .unwrap();
    serde_json::from_slice(&cargo.stdout).unwrap()
}

#[test]
fn the_core_knows_nothing_of_the_world() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let core = packages.iter().find(|p| p["name"] == "pilothouse-core").unwrap();
    let dependencies = core["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
    let names: BTreeSet<&str> = dependencies.map(|d| d["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["serde", "thiserror"]));
    let banned = ["kube", "tokio", "wasmtime", "k8s_openapi", "HashMap", "HashSet", "SystemTime", "Instant"];
    for (file, source) in sources().filter(|(f, _)| f.starts_with("host/core/src")) {
        for (i, line) in source.lines().enumerate() {
            let words: BTreeSet<&str> =
                code(line).split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            let found = banned.iter().find(|b| words.contains(**b));
            assert!(found.is_none(), "{file}:{}: {}", i + 1, line.trim());
        }
    }
}

#[test]
fn the_crates_point_one_way() {
    let metadata = metadata();
    let ours = |package: &Value| -> BTreeSet<String> {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let of_product = dependencies.filter(|d| d["kind"].is_null());
        let names = of_product.map(|d| d["name"].as_str().unwrap().to_owned());
        names.filter(|n| n.starts_with("pilothouse")).collect()
    };
    let allowed = |name: &str| -> &[&str] {
        match name {
            "pilothouse-core" => &[],
            // The SDK for its native test kit only: a guest has none of it.
            "pilothouse-sdk" | "pilothouse-api" | "pilothouse-policy" | "pilothouse-sim"
            | "pilothouse-vitess" => &["pilothouse-core"],
            "pilothouse" => &[
                "pilothouse-core",
                "pilothouse-api",
                "pilothouse-policy",
                "pilothouse-sim",
                "pilothouse-vitess",
            ],
            "az-placement" | "failover" | "expansion" | "backup" => &["pilothouse-sdk"],
            "pilothouse-tests" => &[
                "pilothouse",
                "pilothouse-core",
                "pilothouse-api",
                "pilothouse-policy",
                "pilothouse-sim",
                "pilothouse-vitess",
            ],
            other => panic!("{other} is no crate that ARCHITECTURE.md tells of"),
        }
    };
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let allowed: BTreeSet<String> = allowed(name).iter().map(|n| (*n).to_owned()).collect();
        let beyond: Vec<String> = ours(package).difference(&allowed).cloned().collect();
        assert!(beyond.is_empty(), "{name} must not know {beyond:?}");
    }
}

#[test]
fn no_decision_in_core_or_simulator_asks_a_clock_or_a_hash() {
    let banned = ["SystemTime::now", "Instant::now", "thread_rng", "rand::", "HashMap", "HashSet"];
    let deciding = ["host/core/src", "host/sim/src", "plugins/"];
    for (file, source) in sources().filter(|(f, _)| deciding.iter().any(|d| f.starts_with(d))) {
        for (i, line) in source.lines().enumerate() {
            let found = banned.iter().find(|b| code(line).contains(**b));
            // tokio's clock is the virtual one.
            let is_clock =
                line.contains("Instant::now") && source.contains("use tokio::time::{Duration, Instant");
            assert!(found.is_none() || is_clock, "{file}:{}: {}", i + 1, line.trim());
        }
    }
}

#[test]
fn files_are_short_and_named_for_what_they_own() {
    let nameless = ["utils", "util", "common", "helpers", "helper", "manager", "misc", "shared", "lib2"];
    for (file, source) in sources() {
        let lines = source.lines().count();
        assert!(lines <= 600, "{file} has {lines} lines");
        let stem = Path::new(&file).file_stem().unwrap().to_str().unwrap().to_owned();
        let folders = Path::new(&file).components().map(|c| c.as_os_str().to_str().unwrap().to_owned());
        let found = folders.chain([stem]).find(|n| nameless.contains(&n.as_str()));
        assert!(found.is_none(), "{file}: {found:?} does not say what it owns");
        let begins = source.trim_start();
        assert!(begins.starts_with("//!") || begins.starts_with("#!["), "{file} does not say what it is");
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for (file, source) in sources() {
        for (i, line) in source.lines().enumerate() {
            let found = words.iter().find(|w| line.contains(**w));
            assert!(found.is_none(), "{file}:{}: {}", i + 1, line.trim());
        }
    }
}

#[test]
fn every_dependency_is_declared_once_for_all() {
    let root: String = text("Cargo.toml").unwrap();
    let members: Vec<&str> =
        root.lines().filter_map(|l| l.trim().strip_prefix('"')?.strip_suffix("\",")).collect();
    assert!(members.len() >= 11);
    for member in members {
        let manifest = text(&format!("{member}/Cargo.toml")).unwrap();
        let mut section = "";
        for line in manifest.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section.ends_with("dependencies]") && line.contains('=') {
                assert!(line.contains("workspace = true"), "{member}: {line}");
            }
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member} keeps its own lints");
    }
}

#[test]
fn both_commands_are_there_and_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let readme = text("README.md").unwrap();
    for command in ["demo", "test"] {
        assert!(
            readme.lines().any(|l| l.starts_with(&format!("./{command} "))),
            "README.md tells ./{command}"
        );
        let mode = repository(command).metadata().unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{command} can be run");
    }
    let ci = text(".ci/run").unwrap();
    assert!(ci.contains("./test"), ".ci/run calls the second command");
}

#[test]
fn the_architecture_names_every_crate_and_only_what_is_there() {
    let paper = text("ARCHITECTURE.md").unwrap();
    let metadata = metadata();
    let root = repository("").canonicalize().unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let folder = PathBuf::from(package["manifest_path"].as_str().unwrap());
        let folder = folder.parent().unwrap().strip_prefix(&root).unwrap().display().to_string();
        let named = paper.contains(&format!("`{folder}`"))
            || (folder.starts_with("plugins/") && paper.contains("`plugins/*`"));
        assert!(named, "ARCHITECTURE.md does not name {folder}");
    }
    for quoted in paper.split('`').skip(1).step_by(2) {
        let is_path = ["host/", "wit/", "plugins/", "crds/", "tests/"].iter().any(|d| quoted.starts_with(d));
        if is_path && !quoted.contains('*') {
            assert!(repository(quoted).exists(), "ARCHITECTURE.md names {quoted}, which is not there");
        }
    }
}

#[test]
fn no_file_knows_the_machine_that_it_was_written_on() {
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    for file in files() {
        let Some(content) = text(&file) else { continue };
        for (i, line) in content.lines().enumerate() {
            // The home directory in Vitess's own images.
            let line = line.replace(concat!("/ho", "me/vitess"), "");
            let found = machine.iter().find(|m| line.contains(**m));
            assert!(found.is_none(), "{file}:{}: {}", i + 1, line.trim());
        }
    }
}
