//! One call of one component: a fresh store, every bound set, then gone.
//!
//! Owns the order: limits, fuel, instantiate, fuel again, call. Nothing of a
//! guest survives a call, so no state, leak or residue passes to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pilothouse_core::Millis;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::engine::Engine;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::state::{HostState, LogLine};

/// What a call cost. All but `wall` is the same for the same view, configuration and component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Fuel of instantiation and call together.
    pub fuel: u64,
    /// Wall-clock time: for metrics, never for decisions.
    pub wall: Duration,
    /// Peak of all linear memories together, in bytes.
    pub peak_memory: u64,
    /// Entries that host calls looked at, and one for each call.
    pub host_work: u64,
    /// What the plugin wrote.
    pub log: Vec<LogLine>,
    /// Lines that it wrote beyond its limit.
    pub log_dropped: u64,
}

/// A linked component, ready to be called.
pub(crate) struct Guest {
    engine: Arc<Engine>,
    pre: InstancePre<HostState>,
    limits: Limits,
}

impl Guest {
    pub(crate) const fn new(engine: Arc<Engine>, pre: InstancePre<HostState>, limits: Limits) -> Self {
        Self { engine, pre, limits }
    }

    pub(crate) const fn pre(&self) -> &InstancePre<HostState> {
        &self.pre
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs `f` in a fresh instance. What it costs is told in either case.
    #[expect(clippy::disallowed_methods, reason = "how long a call took, for metrics; it decides nothing")]
    pub(crate) fn call<R>(
        &self,
        as_of: Millis,
        f: impl FnOnce(&mut Store<HostState>, &Instance) -> wasmtime::Result<R>,
    ) -> (Result<R, Failure>, CallStats) {
        let started = Instant::now();
        let _running = self.engine.enter();
        let mut store = Store::new(self.engine.wasmtime(), HostState::new(&self.limits, as_of));
        let mut burned = 0;
        let result = self.run(&mut store, &mut burned, f);
        let result = result.map_err(|e| Failure::from_wasmtime(&e, &self.limits));
        let fuel = burned + self.burned(&store);
        let state = store.into_data();
        let (peak_memory, host_work) = (state.peak_memory(), state.work_done());
        let (log, log_dropped) = state.into_log();
        (result, CallStats { fuel, wall: started.elapsed(), peak_memory, host_work, log, log_dropped })
    }

    fn run<R>(
        &self,
        store: &mut Store<HostState>,
        burned: &mut u64,
        f: impl FnOnce(&mut Store<HostState>, &Instance) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<R> {
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(usize::try_from(self.limits.host_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(self.limits.handles as usize);
        store.set_epoch_deadline(self.engine.ticks(&self.limits));
        store.set_fuel(self.limits.fuel)?;
        let instance = self.pre.instantiate(&mut *store)?;
        // Instantiation burns fuel of its own; the call gets the whole budget.
        *burned = self.burned(store);
        store.set_fuel(self.limits.fuel)?;
        f(store, &instance)
    }

    fn burned(&self, store: &Store<HostState>) -> u64 {
        self.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PoolLimits;
    use wasmtime::component::{Component, Linker};

    #[test]
    fn a_full_pool_is_busy_and_not_the_plugins_fault() {
        let engine =
            Arc::new(Engine::new(PoolLimits { concurrent_calls: 1, ..PoolLimits::default() }).unwrap());
        let text = "(component (core module $m (memory 1)) (core instance (instantiate $m)))";
        let component = Component::new(engine.wasmtime(), wat::parse_str(text).unwrap()).unwrap();
        let pre = Linker::new(engine.wasmtime()).instantiate_pre(&component).unwrap();
        let guest = Guest::new(Arc::clone(&engine), pre, Limits::default());
        let nested = guest.call(0, |_, _| Ok(guest.call(0, |_, _| Ok(())).0)).0;
        assert_eq!(nested, Ok(Err(Failure::Busy)));
        // Each call gives its place back, also after a failure.
        for _ in 0..5 {
            let (answer, stats) = guest.call(0, |_, _| Ok(7));
            assert_eq!((answer, stats.peak_memory), (Ok(7), 64 << 10));
        }
    }
}
