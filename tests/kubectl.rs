//! kubectl against `pilothouse dev`, in real time: the commands that an operator uses.
//!
//! Without a kubectl on the path nothing is checked, and a line says so.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use pilothouse_tests::repository;

/// `pilothouse dev`, ended with the test.
struct Dev {
    child: Child,
    kubeconfig: PathBuf,
    dir: tempfile::TempDir,
}

impl Dev {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join("settings.yaml");
        std::fs::write(&settings, "listen: 127.0.0.1:0\n").unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        let mut child = Command::new(env!("CARGO_BIN_EXE_pilothouse-under-test"))
            .args(["dev", "--settings"])
            .arg(&settings)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().starts_with("export KUBECONFIG="));
        let dev = Self { child, kubeconfig, dir };
        assert!(ready, "dev ended before it served");
        dev
    }

    fn kubectl(&self, args: &[&str]) -> Output {
        Command::new("kubectl")
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.dir.path())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn does(&self, args: &[&str]) -> String {
        let output = self.kubectl(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {stderr}", args.join(" "));
        assert!(!stderr.contains("NotImplemented"), "kubectl {}: {stderr}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], words: &[&str]) {
        let output = self.kubectl(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "kubectl {} went through", args.join(" "));
        assert!(words.iter().all(|w| stderr.contains(w)), "kubectl {}: {stderr}", args.join(" "));
    }

    fn file(&self, name: &str, content: &str) -> String {
        let file = self.dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.display().to_string()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn has_kubectl() -> bool {
    Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|o| o.status.success())
}

/// The columns of a table's first line.
fn columns(table: &str) -> Vec<&str> {
    table.lines().next().unwrap_or_default().split_whitespace().collect()
}

#[test]
fn an_operators_day() {
    if !has_kubectl() {
        assert!(std::env::var_os("CI").is_none(), "there is no kubectl on the path, and here it must be");
        println!("not run here: there is no kubectl on the path");
        return;
    }
    let dev = Dev::start();
    assert_eq!(mode(&dev.kubeconfig), 0o600);
    let manifest = repository("crds/examples/three-zones.yaml").display().to_string();

    assert!(dev.does(&["apply", "-f", &manifest]).contains("vitesscluster.planetscale.com/harbour created"));
    // kubectl's own merge says "configured": a list that got a default differs from the file.
    dev.does(&["apply", "-f", &manifest]);
    assert_eq!(dev.does(&["get", "vt/harbour", "-o", "jsonpath={.metadata.generation}"]), "1");
    watches(&dev);
    dev.does(&["wait", "--for=condition=Ready", "--timeout=120s", "vt/harbour"]);
    dev.does(&["wait", "--for=jsonpath={.status.summary.tablets}=3/3", "--timeout=120s", "vt/harbour"]);
    gets(&dev);
    changes(&dev, &manifest);
    wrong_input(&dev);
    deletes(&dev);
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().unwrap().permissions().mode() & 0o777
}

fn gets(dev: &Dev) {
    let vt = dev.does(&["get", "vt"]);
    assert_eq!(columns(&vt), ["NAME", "READY", "PRIMARIES", "TABLETS", "ZONES", "AGE"]);
    let row: Vec<&str> = vt.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["harbour", "True", "1/1", "3/3"]);
    let vts = dev.does(&["get", "vts", "-o", "wide"]);
    let shown = ["NAME", "SHARD", "READY", "PRIMARY", "TABLETS", "SURGE", "BACKUPS", "PAUSED", "AGE"];
    assert_eq!(columns(&vts), shown);
    assert!(vts.contains("a-0518946941"), "{vts}");
    let pods = dev.does(&["get", "pods", "-o", "wide", "-l", "planetscale.com/component=vttablet"]);
    assert_eq!(columns(&pods)[..5], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(pods.lines().filter(|l| l.contains("3/3") && l.contains("Running")).count(), 3, "{pods}");
    let claims = dev.does(&["get", "pvc"]);
    assert_eq!(columns(&claims)[..4], ["NAME", "STATUS", "VOLUME", "CAPACITY"]);
    assert!(claims.lines().filter(|l| l.contains("Bound") && l.contains("10Gi")).count() >= 4, "{claims}");
    let all = dev.does(&["get", "vt,vts,pods,pvc"]);
    for kind in
        ["vitesscluster.planetscale.com/", "vitessshard.planetscale.com/", "pod/", "persistentvolumeclaim/"]
    {
        assert!(all.contains(kind), "{all}");
    }
    let described = dev.does(&["describe", "vt", "harbour"]);
    for words in ["Conditions:", "PoliciesSatisfied", "Events:", "InitShardPrimary", "pilothouse"] {
        assert!(described.contains(words), "{described}");
    }
    let pod = pods.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(dev.does(&["describe", "pod", pod]).contains("vttablet:"));
    assert!(dev.does(&["explain", "vt.spec.cells"]).contains("gateway"));
    assert!(dev.does(&["get", "nodes", "-L", "topology.kubernetes.io/zone"]).contains("zone-c"));
}

/// A watch that runs while the cluster comes up sees it become ready.
fn watches(dev: &Dev) {
    let mut watch = Command::new("kubectl")
        .args(["get", "vt", "harbour", "-w", "--output-watch-events"])
        .env("KUBECONFIG", &dev.kubeconfig)
        .env("HOME", dev.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let seen: Vec<String> = lines.map(Result::unwrap).take(4).collect();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(seen[0].starts_with("EVENT"), "{seen:?}");
    assert!(seen[1].starts_with("ADDED") && seen[2].starts_with("MODIFIED"), "{seen:?}");
}

fn changes(dev: &Dev, manifest: &str) {
    let applied = dev.does(&["apply", "--server-side", "--force-conflicts", "-f", manifest]);
    assert!(applied.contains("harbour serverside-applied"), "{applied}");
    dev.does(&["patch", "vt", "harbour", "--type=merge", "-p", r#"{"metadata":{"labels":{"tier":"gold"}}}"#]);
    assert!(dev.does(&["get", "vt", "-l", "tier=gold", "-o", "name"]).contains("harbour"));
    let pool = "/spec/keyspaces/0/partitionings/0/equal/shardTemplate/tabletPools/1/replicas";
    let raise = format!(r#"[{{"op":"replace","path":"{pool}","value":2}}]"#);
    dev.does(&["patch", "vt", "harbour", "--type=json", "-p", &raise]);
    dev.does(&["wait", "--for=jsonpath={.status.summary.tablets}=4/4", "--timeout=120s", "vt/harbour"]);
    dev.does(&["annotate", "vt", "harbour", "note=x"]);
    dev.does(&["label", "vt", "harbour", "tier-"]);
}

fn wrong_input(dev: &Dev) {
    let good = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let unknown = dev.file("unknown.yaml", &good.replace("durabilityPolicy:", "durability:"));
    dev.refuses(&["apply", "-f", &unknown], &["unknown field", "durability"]);
    let typed = dev.file("typed.yaml", &good.replacen("replicas: 1", "replicas: many", 1));
    dev.refuses(&["apply", "-f", &typed], &["replicas"]);
    dev.refuses(&["get", "vt", "nobody"], &["not found"]);
    dev.refuses(&["get", "frigates"], &["frigates"]);
    dev.refuses(&["patch", "vt", "harbour", "--type=json", "-p", r#"[{"op":"fly","path":"/x"}]"#], &["fly"]);
    let stale = r#"{"metadata":{"resourceVersion":"1"},"spec":{"images":{"vtgate":"x"}}}"#;
    dev.refuses(&["patch", "vt", "harbour", "--type=merge", "-p", stale], &["Conflict"]);
}

fn deletes(dev: &Dev) {
    let deleted = dev.does(&["delete", "vt", "harbour", "--timeout=60s"]);
    assert!(deleted.contains("deleted"), "{deleted}");
    dev.does(&["wait", "--for=delete", "--timeout=60s", "pods", "-l", "planetscale.com/cluster=harbour"]);
    assert!(dev.does(&["get", "vts", "-o", "name"]).is_empty());
}
