//! What the command line prints, takes and refuses. `PILOTHOUSE_ACCEPT=1` accepts
//! texts; digests of plugins are left out, they change with every build.

#[path = "cli/zones.rs"]
mod zones;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pilothouse::settings::Settings;
use pilothouse_tests::repository;
use serde_json::Value;

fn pilothouse(args: &[&str]) -> Output {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache");
    Command::new(env!("CARGO_BIN_EXE_pilothouse-under-test"))
        .args(args)
        .env("XDG_CACHE_HOME", cache)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(args: &[&str]) -> String {
    let output = pilothouse(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with that status and says all of `words`, nothing on standard output.
#[track_caller]
fn fails(args: &[&str], status: i32, words: &[&str]) {
    let output = pilothouse(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
    assert!(words.iter().all(|w| stderr.contains(w)), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
}

#[track_caller]
fn golden(name: &str, found: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli").join(name);
    if std::env::var_os("PILOTHOUSE_ACCEPT").is_some() {
        std::fs::write(&file, found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{name} is otherwise (PILOTHOUSE_ACCEPT=1 accepts):\n{found}");
}

fn view() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/primary-lost.yaml").display().to_string()
}

/// A file that goes with the test.
fn temporary(dir: &tempfile::TempDir, name: &str, content: &[u8]) -> String {
    let file: PathBuf = dir.path().join(name);
    std::fs::write(&file, content).unwrap();
    file.display().to_string()
}

#[test]
fn plan_explains_a_view() {
    golden("plan.txt", &succeeds(&["plan", "--view", &view()]));
    let mut json: Value = serde_json::from_str(&succeeds(&["plan", "--view", &view(), "--json"])).unwrap();
    let mut left_out = 0;
    leave_out_digests(&mut json, &mut left_out);
    assert!(left_out >= 4, "every policy's proposal is signed with its digest");
    golden("plan.json", &format!("{}\n", serde_json::to_string_pretty(&json).unwrap()));
}

fn leave_out_digests(value: &mut Value, left_out: &mut usize) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "digest" {
                    *left_out += 1;
                    *value = Value::String("…".to_owned());
                } else {
                    leave_out_digests(value, left_out);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|v| leave_out_digests(v, left_out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn plan_takes_another_policy_by_two_lines() {
    let dir = tempfile::tempdir().unwrap();
    let preferring = "policies:\n  failover: { builtin: failover, config: { preferredCells: [c] } }\n";
    let settings = temporary(&dir, "eu.yaml", preferring.as_bytes());
    let none = temporary(&dir, "none.yaml", b"policies:\n  failover: null\n");
    let with = |settings: &str| succeeds(&["plan", "--view", &view(), "--settings", settings]);
    assert!(with(&settings).contains("failover/failover: "));
    assert!(!with(&none).contains("failover"));
}

#[test]
fn plan_refuses_what_it_cannot_read() {
    let dir = tempfile::tempdir().unwrap();
    fails(&["plan", "--view", "/no/such/view"], 1, &["/no/such/view", "No such file"]);
    let bad = std::fs::read_to_string(view()).unwrap().replace("gatewaysReady", "gatewaysreddy");
    let bad = temporary(&dir, "view.yaml", bad.as_bytes());
    fails(&["plan", "--view", &bad], 1, &[&bad, "unknown field `gatewaysreddy`"]);
    let settings =
        temporary(&dir, "settings.yaml", b"policies: { failover: { builtin: failover, confg: {} } }\n");
    fails(&["plan", "--view", &view(), "--settings", &settings], 1, &[&settings, "unknown field `confg`"]);
    let settings = temporary(&dir, "zones.yaml", b"zones: { lostAfter: 3 }\n");
    fails(&["settings", "--settings", &settings], 1, &[&settings, "unknown field `lostAfter`"]);
}

#[test]
fn inspect_shows_what_a_component_is() {
    let dir = tempfile::tempdir().unwrap();
    let builtin = pilothouse_policy::registry::builtin("failover").unwrap();
    let file = temporary(&dir, "failover.wasm", builtin.component);
    let text = succeeds(&["plugin", "inspect", &file]);
    for words in
        ["digest: sha256:", "refused imports: none", "slot failover: failover 0.1.0", "configuration: {"]
    {
        assert!(text.contains(words), "{text}");
    }
    for (bytes, words) in [
        (&b"hello"[..], "not WebAssembly"),
        (b"", "an empty file"),
        (b"\0asm\x01\0\0\0", "a core WebAssembly module"),
    ] {
        let file = temporary(&dir, "garbage.wasm", bytes);
        fails(&["plugin", "inspect", &file], 1, &[&file, words]);
    }
    fails(&["plugin", "inspect", "/no/such.wasm"], 1, &["/no/such.wasm"]);
}

#[test]
fn an_empty_component_serves_no_slot() {
    let dir = tempfile::tempdir().unwrap();
    let file = temporary(&dir, "empty.wasm", b"\0asm\x0d\0\x01\0");
    let output = pilothouse(&["plugin", "inspect", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("it serves no slot"));
}

#[test]
fn crds_are_the_files() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(repository("crds"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|f| f.is_file())
        .collect();
    files.sort();
    assert_eq!(files.len(), 8);
    let read = |f: &PathBuf| std::fs::read_to_string(f).unwrap();
    let mut expected: Vec<Value> = files.iter().map(|f| serde_yaml_ng::from_str(&read(f)).unwrap()).collect();
    let printed = succeeds(&["crds"]);
    let mut found = pilothouse::embedded::documents(&printed).unwrap();
    let name = |v: &Value| v["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    expected.sort_by_key(name);
    found.sort_by_key(name);
    assert_eq!(found, expected);
}

#[test]
fn settings_print_defaults_that_read_back() {
    let printed = succeeds(&["settings"]);
    assert_eq!(serde_yaml_ng::from_str::<Settings>(&printed).unwrap(), Settings::default());
    let dir = tempfile::tempdir().unwrap();
    let file = temporary(&dir, "printed.yaml", printed.as_bytes());
    assert_eq!(succeeds(&["settings", "--settings", &file]), printed);
}

#[test]
fn completions_and_help_name_every_command() {
    let commands = ["demo", "dev", "simulate", "run", "plan", "zones", "plugin", "crds", "settings"];
    for text in [succeeds(&["completions", "bash"]), succeeds(&["completions", "zsh"]), succeeds(&["--help"])]
    {
        for command in commands {
            assert!(text.contains(command), "{command} is missing in\n{text}");
        }
    }
    assert!(!succeeds(&["--help"]).contains("compile-component"), "the child's command is hidden");
}

#[test]
fn wrong_usage_ends_with_2() {
    fails(&["plan", "--nope"], 2, &["--nope"]);
    fails(&["fly"], 2, &["fly"]);
    fails(&[], 2, &["Usage"]);
    fails(&["completions", "cobol"], 2, &["cobol"]);
    fails(&["--log", "a=b=c", "crds"], 1, &["--log", "a=b=c"]);
}

/// `run` fails in such an environment, and says all of `words`.
#[track_caller]
fn run_fails(environment: &[(&str, &str)], words: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_pilothouse-under-test"))
        .arg("run")
        .env_clear()
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache"))
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(words.iter().all(|w| stderr.contains(w)), "{stderr}");
}

#[test]
fn run_without_a_cluster_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = temporary(&dir, "config", b"apiVersion: v1\nkind: Config\n");
    run_fails(&[("KUBECONFIG", &config)], &["kubeconfig"]);
}

#[test]
fn run_in_a_pod_needs_a_name_for_the_election() {
    run_fails(&[("KUBERNETES_SERVICE_HOST", "127.0.0.1")], &["lease.identity", "POD_NAME"]);
}

#[test]
fn demo_refuses_a_manifest_without_a_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = temporary(&dir, "m.yaml", b"apiVersion: v1\nkind: Secret\nmetadata: { name: x }\n");
    fails(&["demo", "--file", &manifest], 1, &["the manifest has 0 VitessClusters"]);
    let manifest = temporary(&dir, "n.yaml", b"spec: [");
    fails(&["demo", "--file", &manifest], 1, &["document 1 of the manifest"]);
    fails(&["demo", "--file", "/no/such.yaml"], 1, &["/no/such.yaml"]);
}
