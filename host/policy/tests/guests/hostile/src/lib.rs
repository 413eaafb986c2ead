//! A failover policy whose configuration says how it misbehaves: `{"do": "loop"}`.
//!
//! Without misbehaviour it proposes one planned reparent for each shard with a
//! primary and another tablet, and logs what it read.

wit_bindgen::generate!({
    path: "../../../../../wit",
    world: "pilothouse:policy/failover-policy@0.1.0",
});

use exports::pilothouse::policy::failover::{Action, Decision, Guest as Failover, Planned, Step};
use exports::pilothouse::policy::meta::{Guest as Meta, Manifest};
use pilothouse::policy::context;
use pilothouse::policy::types::{
    ConfigError, Diagnostic, Expectation, PolicyError, PrimaryExpectation, Reason, Severity, ShardId,
    TabletAlias,
};
use pilothouse::policy::view::{Cluster, Tablet, TabletFilter};

struct Hostile;

export!(Hostile);

const SCHEMA: &str = r#"{
    "type": "object",
    "additionalProperties": false,
    "properties": { "do": { "type": "string", "maxLength": 40 } }
}"#;

impl Meta for Hostile {
    fn describe() -> Manifest {
        Manifest {
            name: "hostile".into(),
            version: "0.1.0".into(),
            config_schema: SCHEMA.into(),
            needs: Vec::new(),
            emits: vec!["planned-reparent".into()],
        }
    }

    fn validate_config(config: String) -> Result<(), Vec<ConfigError>> {
        match misdeed(&config) {
            "bad-config" => {
                Err(vec![ConfigError { field: "do".into(), message: "even I do not do that".into() }])
            }
            "trap-in-validate" => panic!("in validate-config"),
            _ => Ok(()),
        }
    }
}

/// The value of `do`; the schema has made sure that nothing else is there.
fn misdeed(config: &str) -> &str {
    config.split('"').nth(3).unwrap_or("nothing")
}

#[inline(never)]
fn descend(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { descend(std::hint::black_box(depth) + 1) + 1 }
}

fn everything(view: &Cluster) -> Vec<Tablet> {
    let any = TabletFilter { shard: None, cell: None, role: None, reach: None };
    view.tablets(&any, 0, u32::MAX)
}

fn honest(view: &Cluster) -> Vec<Step> {
    let tablets = everything(view);
    let mut steps = Vec::new();
    for shard in view.shards(0, 1_000) {
        let Some(primary) = shard.primary else { continue };
        let other =
            tablets.iter().find(|t| t.shard.keyspace == shard.id.keyspace && t.alias.uid != primary.uid);
        let Some(other) = other else { continue };
        context::log(Severity::Info, &format!("{} stands by", other.alias.uid));
        steps.push(step(shard.id, primary, other.alias.clone()));
    }
    steps
}

fn step(shard: ShardId, from: TabletAlias, to: TabletAlias) -> Step {
    Step {
        expect: vec![Expectation::Primary(PrimaryExpectation {
            shard: shard.clone(),
            is: Some(from.clone()),
        })],
        action: Action::PlannedReparent(Planned { shard, from, to }),
        reason: Reason { code: "because-i-can".into(), message: "A test.".into() },
        ttl_ms: 60_000,
    }
}

/// Makes a tablet, given as `CELL-UID`, the primary of every shard that has one.
fn take(view: &Cluster, tablet: &str) -> Vec<Step> {
    let Some((cell, uid)) = tablet.rsplit_once('-') else { return Vec::new() };
    let to = alias(cell, uid.parse().unwrap_or(0));
    let shards = view.shards(0, 1_000).into_iter();
    shards.filter_map(|s| Some(step(s.id, s.primary?, to.clone()))).collect()
}

fn alias(cell: &str, uid: u32) -> TabletAlias {
    TabletAlias { cell: cell.into(), uid }
}

fn shard(range: &str) -> ShardId {
    ShardId { keyspace: "commerce".into(), key_range: range.into() }
}

fn plain() -> Step {
    step(shard("-"), alias("zone1", 1), alias("zone2", 2))
}

/// Steps with one flaw each.
fn flawed(flaw: &str) -> Vec<Step> {
    let mut step = plain();
    match flaw {
        "key-range" => step.action = reparent(shard("80-40"), alias("zone2", 2)),
        "giant-string" => step.action = reparent(shard("-"), alias(&"z".repeat(1 << 20), 2)),
        "control-character" => step.reason.message = "fine\nERROR all is lost".into(),
        "empty-cell" => step.action = reparent(shard("-"), alias("", 2)),
        "zero-ttl" => step.ttl_ms = 0,
        "endless-ttl" => step.ttl_ms = u64::MAX,
        "bad-code" => step.reason.code = "Not Kebab".into(),
        "foreign-tablet" => step.action = reparent(shard("-"), alias("elsewhere", 4_242)),
        "many-expectations" => step.expect = vec![step.expect[0].clone(); 100],
        _ => {}
    }
    vec![plain(), step]
}

fn reparent(shard: ShardId, to: TabletAlias) -> Action {
    Action::PlannedReparent(Planned { shard, from: alias("zone1", 1), to })
}

impl Failover for Hostile {
    fn decide(view: &Cluster, config: String) -> Result<Decision, PolicyError> {
        let steps = match misdeed(&config) {
            "nothing" => honest(view),
            "trap" => panic!("on purpose"),
            "loop" => loop {
                std::hint::black_box(());
            },
            "memory-bomb" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(Vec::<u8>::with_capacity(1 << 20));
                    std::hint::black_box(&hoard);
                }
            }
            "recursion" => {
                descend(0);
                Vec::new()
            }
            "busy-host" => loop {
                std::hint::black_box(everything(view).len());
            },
            "log-flood" => {
                for i in 0..200 {
                    context::log(Severity::Warning, &format!("{i} {}", "x".repeat(2_000)));
                }
                Vec::new()
            }
            "thousand-steps" => vec![plain(); 1_000],
            "far-too-many-steps" => vec![plain(); 50_000],
            "million-steps" => vec![plain(); 1_000_000],
            "refuse" => return Err(PolicyError::View("no primary\u{1b}[2J anywhere".into())),
            other => match other.strip_prefix("take ") {
                Some(tablet) => take(view, tablet),
                None => flawed(other),
            },
        };
        let diagnostics = vec![Diagnostic {
            severity: Severity::Info,
            code: "Hostile".into(),
            message: "One sentence.".into(),
            subject: String::new(),
        }];
        Ok(Decision { steps, diagnostics, requeue_after_ms: Some(0) })
    }
}
