//! Days of bad weather: the world itself, with nobody at the helm, breaks no invariant and recovers.

use pilothouse_sim::checkers::Checkers;
use pilothouse_sim::faults::{Weather, plan, play};
use pilothouse_sim::world::WorldSettings;

use crate::kit::Kit;

#[tokio::test(start_paused = true)]
async fn a_day_of_faults_breaks_nothing_by_itself() {
    for seed in 0..10 {
        let settings = WorldSettings { writes_per_minute: 60, ..WorldSettings::default() };
        let zones = settings.zones.clone();
        let kit = Kit::with(seed, settings);
        kit.three_tablets().await;
        let day = plan(seed, &zones, Weather::default());
        let weather = play(&kit.world, &kit.clock, &day);
        tokio::pin!(weather);
        let mut checkers = Checkers::new();
        loop {
            tokio::select! {
                () = &mut weather => break,
                () = kit.pass(30) => assert_eq!(checkers.check(&kit.world), vec![], "seed {seed}"),
            }
        }
        kit.pass(900).await;
        assert_eq!(checkers.check(&kit.world), vec![], "seed {seed}");
        let truth = kit.world.facts();
        let acked = truth.shards.values().map(|s| s.acked.count()).sum::<u64>();
        assert!(acked > 1_000, "clients got through at times: {acked}");
        assert_eq!(kit.world.refused_writes(), Vec::<String>::new(), "seed {seed}");
    }
}
