//! Simulated days for mutants, and the question that every test asks of them.

use std::path::Path;
use std::sync::Arc;

use pilothouse::settings::Settings;
use pilothouse::simulate::{self, Fault, Mix, Plan, Verdict};
use pilothouse_policy::cache::Cache;
use pilothouse_policy::compile::Compiler;
use pilothouse_policy::engine::Engine;
use pilothouse_policy::runtime::Runtime;
use pilothouse_policy::set::PolicySet;
use serde_json::Value;

use crate::faulty::Mutant;

/// As few as a day may have.
const HOURS: u64 = 3;
/// A host that is refused again and again does not write again and again.
const MOST_WRITES: u64 = 1_000;

/// What happens to a cluster, whoever runs it.
#[derive(Clone)]
pub(crate) struct Day {
    pub(crate) seed: u64,
    pub(crate) mix: Mix,
    /// The keyspace's durability policy.
    pub(crate) durability: &'static str,
    /// What a region has set otherwise.
    pub(crate) settings: fn(&mut Settings),
}

impl Day {
    /// Three hours in which nothing happens but what the host does.
    pub(crate) fn calm() -> Self {
        Self { seed: 1, mix: Mix::calm(), durability: "semi_sync", settings: |_| () }
    }

    /// What becomes of the day with the mutant.
    pub(crate) fn verdict(&self, mutant: Mutant) -> Verdict {
        let mut manifest = simulate::manifest().expect("the manifest is good");
        manifest[0]["spec"]["keyspaces"][0]["durabilityPolicy"] = Value::from(self.durability);
        let mut settings = simulate::settings();
        (self.settings)(&mut settings);
        let plan = Plan { seed: self.seed, hours: HOURS, mix: self.mix.clone(), manifest, traced: false };
        let host = move |parts| mutant.controller(parts);
        simulate::seed(&plan, policies(&settings), &settings, host).expect("a day")
    }

    /// The mutant's day breaks `broken`; without its fault the same day is a good one.
    #[track_caller]
    pub(crate) fn catches(&self, mutant: Mutant, sound: Mutant, broken: &[&str]) {
        let good = self.verdict(sound);
        assert!(good.violations.is_empty(), "without the fault: {:#?}", good.violations);
        assert!(good.summary.writes < MOST_WRITES, "without the fault: {}", good.summary);
        let found = self.verdict(mutant).violations;
        let caught = |id: &&str| found.iter().any(|v| v.id == *id);
        assert!(broken.iter().all(caught), "{broken:?} is not all in {found:#?}");
    }
}

/// These faults, more often than by default.
pub(crate) fn frequent(faults: impl IntoIterator<Item = Fault>) -> Mix {
    Mix { spacing_ms: 1_200_000, ..Mix::only(faults) }
}

/// The policies of those settings; compiled once for all.
fn policies(settings: &Settings) -> Arc<PolicySet> {
    let compiler = Compiler {
        program: env!("CARGO_BIN_EXE_pilothouse").into(),
        args: vec!["compile-component".into()],
        limits: settings.compile.clone(),
    };
    let cache = Cache::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies")).expect("a cache");
    let engine = Engine::new(settings.pool.clone()).expect("an engine");
    let runtime = Runtime::new(Arc::new(engine), compiler, cache);
    Arc::new(PolicySet::load(&runtime, &settings.policies).expect("the default policies"))
}
