//! A lost zone's tablets: one surge tablet in a surviving cell for each that is down.

use pilothouse_sdk::placement::{Action, TabletSurge};
use pilothouse_sdk::types::ZoneExpectation;
use pilothouse_sdk::{
    Cell, Decision, Expectation, PodState, Pool, PoolKey, PoolType, Reach, Shard, Step, Tablet, View, Wanted,
    Zone, ZoneState,
};

use crate::config::Config;
use crate::counts::Counts;
use crate::zones::{cells_in, names, survivors};

/// What is counted while one decision is made.
struct Surge<'a> {
    view: &'a View<'a>,
    config: &'a Config,
    lost: &'a Zone,
    survivors: Vec<&'a Cell>,
    /// Surge tablets in each cell, of all shards, with those proposed now.
    in_cell: Counts<'a>,
}

/// A cell, its pool, and the free index there.
type Place<'a> = (&'a Cell, &'a Pool, u32);
/// Tablets of the shard there, surge tablets there, the cell's name: the least is best.
type Rank<'a> = (u32, u32, &'a str);

/// Why a pool of a lost cell gets no further stand-in.
enum NoPlace {
    NoPool,
    NoAlias,
    CapReached,
}

/// Proposes the surge tablets that a lost zone's shards lack.
pub(crate) fn decide(view: &View<'_>, config: &Config, lost: &Zone, decision: &mut Decision<Action>) {
    let mut in_cell = Counts::default();
    for tablet in view.tablets().iter().filter(|t| t.stands_in_for().is_some()) {
        in_cell.add(&tablet.pool.cell);
    }
    let mut surge = Surge { view, config, lost, survivors: survivors(view), in_cell };
    for shard in view.shards() {
        for cell in cells_in(view, lost) {
            surge.shard(shard, cell, decision);
        }
    }
}

/// Whether a tablet that the manifest asks for is gone with its zone.
fn is_down(tablet: &Tablet) -> bool {
    let runs = tablet.pod == PodState::Running && tablet.ready;
    tablet.wanted == Wanted::BySpec && !runs && tablet.reach != Reach::Yes
}

impl<'a> Surge<'a> {
    fn shard(&mut self, shard: &'a Shard, home: &Cell, decision: &mut Decision<Action>) {
        let pools: Vec<&Pool> = self.view.pools_of(&shard.id).filter(|p| p.key.cell == home.name).collect();
        for pool in pools {
            if pool.key.pool_type.is_external() {
                let message =
                    format!("{} is an external pool: its MySQL is not ours to run elsewhere", pool.key);
                decision.info("ExternalPool", &shard.id, message);
            } else if pool.key.pool_type == PoolType::Replica {
                self.pool(shard, &pool.key, decision);
            }
        }
    }

    fn pool(&mut self, shard: &'a Shard, home: &PoolKey, decision: &mut Decision<Action>) {
        let tablets: Vec<&Tablet> = self.view.tablets_of(&shard.id).collect();
        let mut down: Vec<_> = Vec::new();
        for tablet in tablets.iter().filter(|t| t.pool == *home && is_down(t)) {
            if !down.contains(&&tablet.alias) {
                down.push(&tablet.alias);
            }
        }
        let same_kind = |t: &Tablet| t.pool.pool_type == home.pool_type && t.pool.name == home.name;
        let standing =
            tablets.iter().filter(|t| t.stands_in_for() == Some(&home.cell) && same_kind(t)).count();
        let mut here = Counts::default();
        for tablet in tablets.iter().filter(|t| same_kind(t) && t.wanted != Wanted::No) {
            here.add(&tablet.pool.cell);
        }
        let mut taken: Vec<(&str, u32)> = Vec::new();
        for _ in standing..down.len() {
            match self.place(shard, home, &here, &taken) {
                Ok((cell, pool, index)) => {
                    taken.push((&cell.name, index));
                    here.add(&cell.name);
                    self.in_cell.add(&cell.name);
                    decision.propose(self.step(shard, home, cell, pool, index));
                }
                Err(why) => {
                    self.tell(&why, shard, home, decision);
                    return;
                }
            }
        }
    }

    /// The surviving cell with the fewest tablets of the shard, and the pool's next free index there.
    fn place(
        &self,
        shard: &Shard,
        home: &PoolKey,
        here: &Counts<'_>,
        taken: &[(&str, u32)],
    ) -> Result<Place<'a>, NoPlace> {
        let mut why = NoPlace::NoPool;
        let mut best: Option<(Rank<'_>, Place<'a>)> = None;
        for &cell in &self.survivors {
            let key = PoolKey { cell: cell.name.clone(), pool_type: home.pool_type, name: home.name.clone() };
            let view: &'a View<'a> = self.view;
            let Some(pool) = view.pool(&shard.id, &key) else { continue };
            let crowd = self.in_cell.of(&cell.name);
            let Some(index) = self.free_index(shard, pool, taken) else {
                why = NoPlace::NoAlias;
                continue;
            };
            if crowd >= self.config.max_surge_per_cell {
                why = NoPlace::CapReached;
                continue;
            }
            let rank = (here.of(&cell.name), crowd, cell.name.as_str());
            if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, (cell, pool, index)));
            }
        }
        best.map(|(_, place)| place).ok_or(why)
    }

    /// The first index beyond `replicas` whose alias is known and nobody's.
    fn free_index(&self, shard: &Shard, pool: &Pool, taken: &[(&str, u32)]) -> Option<u32> {
        let used = |index: u32| {
            let alias = usize::try_from(index).ok().and_then(|i| pool.aliases.get(i.checked_sub(1)?));
            let in_pool = |t: &Tablet| {
                t.shard == shard.id && t.pool == pool.key && t.index == index || alias == Some(&t.alias)
            };
            alias.is_none()
                || taken.contains(&(pool.key.cell.as_str(), index))
                || self.view.tablets().iter().any(in_pool)
        };
        let last = u32::try_from(pool.aliases.len()).unwrap_or(u32::MAX);
        (pool.replicas.saturating_add(1)..=last).find(|&index| !used(index))
    }

    fn tell(&self, why: &NoPlace, shard: &Shard, home: &PoolKey, decision: &mut Decision<Action>) {
        let cells = names(self.survivors.iter().map(|c| c.name.as_str()));
        let kind = home.pool_type.as_str();
        let (code, message) = match why {
            NoPlace::NoPool => (
                "NoPoolToSurge",
                format!("no surviving cell ({cells}) has a {kind} pool that could stand in for {home}"),
            ),
            NoPlace::NoAlias => (
                "NoFreeIndex",
                format!(
                    "the {kind} pools of surviving cells ({cells}) have no free index left to stand in for {home}"
                ),
            ),
            NoPlace::CapReached => {
                let most = self.config.max_surge_per_cell;
                (
                    "SurgeCapReached",
                    format!("the surviving cells ({cells}) hold {most} surge tablets each, the most allowed"),
                )
            }
        };
        decision.warn(code, &shard.id, message);
    }

    fn step(&self, shard: &Shard, home: &PoolKey, cell: &Cell, pool: &Pool, index: u32) -> Step<Action> {
        let action = TabletSurge {
            shard: shard.id.clone(),
            pool: pool.key.clone(),
            index,
            stands_in_for: home.cell.clone(),
        };
        let message = format!("zone {} is lost with a tablet of {home}", self.lost.name);
        let zone = |name: &str, state| Expectation::Zone(ZoneExpectation { zone: name.to_owned(), state });
        let step = Step::new(Action::SurgeTablet(action), "zone-lost", message)
            .expecting(zone(&self.lost.name, ZoneState::Lost))
            .living(self.config.ttl_ms);
        match cell.zone.as_deref() {
            Some(name) => step.expecting(zone(name, ZoneState::Healthy)),
            None => step,
        }
    }
}
