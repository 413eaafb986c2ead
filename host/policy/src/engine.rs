//! The one wasm engine of a process, and the one owner of fuel and epochs.
//!
//! Owns the configuration that host and compiling child must share, the pool,
//! and the ticker thread, which runs only while calls do. Knows nothing of policies.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::{Limits, PoolLimits};

/// So much of a pooled memory or table stays resident for the next call.
const RESIDENT_BYTES: usize = 256 << 10;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine refuses its configuration, or there is no room for its pool.
    #[error("the wasm engine cannot start: {0}")]
    Start(String),
    /// No thread for the epoch.
    #[error("the wasm engine's ticker thread cannot start: {0}")]
    Ticker(#[source] std::io::Error),
}

/// A wasmtime engine with its ticker; dropping it stops and joins the thread.
#[derive(Debug)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    pool: PoolLimits,
    beat: Arc<Beat>,
    ticker: Option<JoinHandle<()>>,
}

/// What the ticker waits for.
#[derive(Debug, Default)]
struct Beat {
    state: Mutex<BeatState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct BeatState {
    calls: u32,
    /// The ticker sleeps until a call comes: only then is waking it worth a system call.
    idle: bool,
    stop: bool,
}

impl Beat {
    fn lock(&self) -> MutexGuard<'_, BeatState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits one tick of running calls; false when the engine goes away.
    fn tick(&self, every: Duration) -> bool {
        let mut state = self.lock();
        while state.calls == 0 && !state.stop {
            state.idle = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, every, |s| !s.stop)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stop
    }
}

/// A call under way: the epoch moves while one exists.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Beat);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
    }
}

impl Engine {
    /// Starts the engine with its pool and its ticker.
    ///
    /// # Errors
    /// When the pool's address space cannot be had, or no thread.
    pub fn new(pool: PoolLimits) -> Result<Self, EngineError> {
        let mut config = compile_config();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(&pool)))
            .memory_init_cow(true)
            .wasm_backtrace_max_frames(NonZeroUsize::new(16));
        let wasmtime = wasmtime::Engine::new(&config).map_err(|e| EngineError::Start(format!("{e:#}")))?;
        let beat = Arc::new(Beat::default());
        let every = Duration::from_millis(pool.tick_ms.max(1));
        let (ticking, engine) = (Arc::clone(&beat), wasmtime.clone());
        let ticker = std::thread::Builder::new()
            .name("wasm-epoch".to_owned())
            .spawn(move || {
                while ticking.tick(every) {
                    engine.increment_epoch();
                }
            })
            .map_err(EngineError::Ticker)?;
        Ok(Self { wasmtime, pool, beat, ticker: Some(ticker) })
    }

    /// What the pool was sized for.
    #[must_use]
    pub const fn pool(&self) -> &PoolLimits {
        &self.pool
    }

    pub(crate) const fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) fn enter(&self) -> Running<'_> {
        let mut state = self.beat.lock();
        state.calls += 1;
        if state.idle {
            self.beat.changed.notify_all();
        }
        drop(state);
        Running(&self.beat)
    }

    /// The deadline of a call in ticks; one more, since the first may come at once.
    pub(crate) fn ticks(&self, limits: &Limits) -> u64 {
        limits.deadline_ms.div_ceil(self.pool.tick_ms.max(1)).saturating_add(1)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.beat.lock().stop = true;
        self.beat.changed.notify_all();
        if let Some(ticker) = self.ticker.take() {
            // A panic of the ticker has been printed; dropping must not panic again.
            drop(ticker.join());
        }
    }
}

/// Everything that decides what compiled code looks like: the same in the host and in the compiling
/// child. The child adds nothing to it; the pool does not change code. Threads, garbage collection,
/// stack switching and component async are not even built into wasmtime (see the workspace's features).
pub(crate) fn compile_config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_component_model_map(false)
        .wasm_component_model_fixed_length_lists(false)
        .wasm_component_model_error_context(false)
        .wasm_component_model_implements(false)
        .wasm_component_model_gc(false)
        .concurrency_support(false)
        .shared_memory(false)
        .max_wasm_stack(512 << 10);
    config
}

fn pooling(pool: &PoolLimits) -> PoolingAllocationConfig {
    let calls = pool.concurrent_calls.max(1);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(pool.instances))
        .total_memories(calls.saturating_mul(pool.memories))
        .total_tables(calls.saturating_mul(pool.instances))
        .max_core_instances_per_component(pool.instances)
        .max_memories_per_component(pool.memories)
        .max_tables_per_component(pool.instances)
        .max_memory_size(size(pool.memory_bytes))
        // A call touches a few pages: with the kernel telling which, they are zeroed in place and
        // the next call takes no page faults. An older kernel zeroes the lowest ones, as many.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(RESIDENT_BYTES)
        .table_elements(size(pool.table_elements));
    config
}
