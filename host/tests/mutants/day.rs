//! Simulated days for mutants, and the questions that every test asks of them.

#[path = "../policies/mod.rs"]
mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use pilothouse::settings::Settings;
use pilothouse::simulate::{self, Fault, Mix, Plan, Verdict};
use serde_json::Value;

use crate::faulty::Mutant;

/// As few as a day may have.
const HOURS: u64 = 3;
/// A host that is refused again and again does not write again and again.
const MOST_WRITES: u64 = 1_000;

/// What happens to a cluster, whoever runs it.
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

    /// The mutant's day is a good one.
    #[track_caller]
    pub(crate) fn holds(&self, mutant: Mutant) {
        let Verdict { violations, summary, .. } = self.verdict(mutant);
        assert!(violations.is_empty(), "{violations:#?}");
        assert!(summary.writes < MOST_WRITES, "{summary}");
    }

    /// A sound host's day is a good one; looked at once for all tests.
    #[track_caller]
    pub(crate) fn is_good(&self) {
        static GOOD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let mut good = GOOD.lock().unwrap_or_else(PoisonError::into_inner);
        let named = format!("{} {:?} {} {}", self.seed, self.mix, self.durability, self.settings().to_yaml());
        if !good.contains(&named) {
            self.holds(Mutant::SOUND);
            good.insert(named);
        }
    }

    /// The mutant's day breaks all of these.
    #[track_caller]
    pub(crate) fn breaks(&self, mutant: Mutant, broken: &[&str]) {
        let violations = self.verdict(mutant).violations;
        // The last of each kind; some mutants break the same thing hundreds of times.
        let found: BTreeMap<_, _> = violations.iter().map(|v| (v.id, &v.message)).collect();
        assert!(broken.iter().all(|id| found.contains_key(id)), "{broken:?} is not all in {found:#?}");
    }

    fn settings(&self) -> Settings {
        let mut settings = simulate::settings();
        (self.settings)(&mut settings);
        settings
    }

    fn verdict(&self, mutant: Mutant) -> Verdict {
        let mut manifest = simulate::manifest().expect("the manifest is good");
        manifest[0]["spec"]["keyspaces"][0]["durabilityPolicy"] = Value::from(self.durability);
        let plan = Plan {
            seed: self.seed,
            hours: HOURS,
            mix: self.mix.clone(),
            manifest,
            edits: Vec::new(),
            traced: false,
        };
        let (settings, host) = (self.settings(), move |parts| mutant.controller(parts));
        simulate::seed(&plan, policies::of(&settings), &settings, host).expect("a day")
    }
}

/// These faults, more often than by default.
pub(crate) fn frequent(faults: impl IntoIterator<Item = Fault>) -> Mix {
    Mix { spacing_ms: 1_200_000, ..Mix::only(faults) }
}
