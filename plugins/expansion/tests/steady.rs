//! A volume that fills at a steady rate, followed for weeks: what must hold at every hour.

use expansion::config::{Config, GIB};
use expansion::expansion::{Decision, decide};
use expansion::rate::{HOUR_MS, PER_WINDOW, SPACING_MS, WINDOW_MS};
use pilothouse_sdk::expansion::Action;
use pilothouse_sdk::{Queries, TabletAlias, View, Volume};

/// A cluster of which nothing but one volume is known.
struct OneVolume(u64, Volume);

impl Queries for OneVolume {
    fn as_of(&self) -> u64 {
        self.0
    }

    fn volumes(&self) -> Vec<Volume> {
        vec![self.1.clone()]
    }
}

fn volume(used: u64, fill_per_hour: u64) -> Volume {
    Volume {
        claim: "vol-1".to_owned(),
        tablet: TabletAlias { cell: "zone1".to_owned(), uid: 101 },
        requested: 100 * GIB,
        capacity: 100 * GIB,
        used: Some(used),
        fill_per_hour,
        expandable: true,
        changes: Vec::new(),
        maximum: None,
    }
}

fn decision(volume: &Volume, as_of: u64, config: &Config) -> Decision {
    decide(&View::answered_by(OneVolume(as_of, volume.clone())), config)
}

/// Grows as proposed, complete `delay_ms` later; answers whether the provider's rule held.
fn follow(mut volume: Volume, delay_ms: u64, config: &Config) -> u32 {
    let mut growths = 0;
    let mut complete_at = 0;
    for hour in 0..24 * 21 {
        let now = (1_000 + hour) * HOUR_MS;
        if now >= complete_at {
            volume.capacity = volume.requested;
        }
        let used = volume.used.expect("known") + volume.fill_per_hour;
        assert!(used < volume.capacity, "hour {hour}: {used} of {} used", volume.capacity);
        volume.used = Some(used);

        let answer = decision(&volume, now, config);
        assert_eq!(answer, decision(&volume, now, config), "the same view, the same decision");
        let Some(step) = answer.steps.first() else {
            let waits = volume.capacity < volume.requested || answer.requeue_after_ms.is_some();
            assert!(waits, "hour {hour}: it fills, so time alone changes the answer");
            continue;
        };
        let Action::ExpandVolume(growth) = &step.action else { panic!("{step:?}") };
        assert!(growth.from == volume.requested && growth.to > volume.capacity, "hour {hour}: {growth:?}");
        assert!(growth.to.is_multiple_of(GIB), "hour {hour}: {growth:?}");
        assert_eq!(volume.capacity, volume.requested, "hour {hour}: the change before was complete");
        assert!(volume.changes.iter().all(|at| now - at >= SPACING_MS), "hour {hour}: {:?}", volume.changes);
        assert!(volume.changes.iter().filter(|at| now - **at < WINDOW_MS).count() < PER_WINDOW);
        volume.requested = growth.to;
        volume.changes.push(now);
        complete_at = now + delay_ms;
        growths += 1;
        assert!(decision(&volume, now, config).steps.is_empty(), "hour {hour}: a growth settles it");
    }
    growths
}

#[test]
fn it_is_never_full_and_the_provider_never_says_no() {
    for rate in [GIB / 10, GIB / 3, GIB, 2 * GIB] {
        for delay_hours in [0, 1, 6] {
            let growths = follow(volume(60 * GIB, rate), delay_hours * HOUR_MS, &Config::default());
            assert!((1..=21).contains(&growths), "{growths} growths at {rate} an hour");
        }
    }
}

#[test]
fn once_grown_it_rests_until_another_change_may_follow() {
    let config = Config::default();
    for rate in [0, GIB / 7, 3 * GIB] {
        let mut volume = volume(90 * GIB, rate);
        let answer = decision(&volume, 1_000 * HOUR_MS, &config);
        let Some(Action::ExpandVolume(growth)) = answer.steps.first().map(|s| &s.action) else {
            panic!("{answer:?}")
        };
        (volume.requested, volume.capacity) = (growth.to, growth.to);
        volume.changes.push(1_000 * HOUR_MS);
        volume.used = Some(90 * GIB + 6 * rate);
        assert_eq!(decision(&volume, 1_006 * HOUR_MS, &config).steps, [], "at {rate} an hour");
    }
}
